"""Something that tells when it has changed."""

from __future__ import annotations

from collections.abc import Callable


class Watched:
    """Calls its watchers, in its own thread, whenever anything has changed."""

    def __init__(self) -> None:
        self._watchers: list[Callable[[], None]] = []

    def watch(self, watcher: Callable[[], None]) -> None:
        """Have ``watcher`` called from now on."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: Callable[[], None]) -> None:
        """Call it no more."""
        self._watchers.remove(watcher)

    def changed(self) -> None:
        """Call the watchers."""
        for watcher in list(self._watchers):
            watcher()
