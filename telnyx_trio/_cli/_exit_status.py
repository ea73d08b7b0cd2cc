"""Exit statuses that every command has."""

from __future__ import annotations

from typing import Final

INTERRUPTED: Final = 130
"""After Ctrl-C, as shells have it."""
