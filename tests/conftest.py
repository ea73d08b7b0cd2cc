"""What every test has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
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
def _state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests, and the processes that they start, out of the user's own state folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TELNYX_TRIO_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        yield
