"""What every test has."""

from __future__ import annotations

import pytest

from telnyx_trio.testing import _pytest_plugin

# Helper modules assert too.
pytest.register_assert_rewrite("scenarios", "cancellation")


def pytest_configure(config: pytest.Config) -> None:
    """Load our plugin where the package is not installed, whose entry point loads it else."""
    if not config.pluginmanager.is_registered(_pytest_plugin):
        config.pluginmanager.register(_pytest_plugin, "telnyx_trio")
