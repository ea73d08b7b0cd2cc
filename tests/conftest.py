"""What every test has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from certificates import write_self_signed
from hypothesis import settings

from telnyx_trio.testing import _pytest_plugin

# Every run tries the same inputs, and a busy machine is no failure.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# Helper modules assert too.
pytest.register_assert_rewrite("scenarios", "cancellation")


def pytest_configure(config: pytest.Config) -> None:
    """Load our plugin where the package is not installed, whose entry point loads it else."""
    if not config.pluginmanager.is_registered(_pytest_plugin):
        config.pluginmanager.register(_pytest_plugin, "telnyx_trio")


@pytest.fixture(scope="session", autouse=True)
def _environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests, and the processes that they start, have in common."""
    folder = tmp_path_factory.mktemp("environment")
    write_self_signed(folder / "certificate.pem")
    with pytest.MonkeyPatch.context() as patch:
        # The user's own state folder is none of theirs.
        patch.setenv("TELNYX_TRIO_STATE_DIR", str(folder / "state"))
        # All that they talk to is on this machine. The certificates of the world take 40 ms to
        # read, and each client reads them.
        patch.setenv("SSL_CERT_FILE", str(folder / "certificate.pem"))
        # A process that may not keep what it compiles takes twice as long to start.
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        yield
