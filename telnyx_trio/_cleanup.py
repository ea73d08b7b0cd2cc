"""Callbacks that run when something is over, or at once if it is."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import trio

logger = logging.getLogger("telnyx_trio.media")

CALLBACK_TIMEOUT: Final = 5.0
"""Seconds that all callbacks together get, because the owner of the stream waits for them."""

Callback: TypeAlias = Callable[[], Awaitable[Any]]


class CleanupCallbacks:
    """What is to be done in the end, each thing once.

    Callbacks run side by side, shielded from cancellation, for at most 5 s; their errors are
    logged.
    """

    def __init__(self) -> None:
        self._callbacks: list[Callback] = []
        self._ran = False

    def add(self, callback: Callback) -> None:
        """Have ``callback`` run by ``run``; at once if that has begun.

        One that is added late has no nursery left to live in and runs as a system task of Trio.

        Raises:
            RuntimeError: it is late, and this is not called from Trio.
        """
        if self._ran:
            trio.lowlevel.spawn_system_task(_run, [callback])
        else:
            self._callbacks.append(callback)

    async def run(self) -> None:
        """Run all callbacks added so far."""
        self._ran = True
        callbacks, self._callbacks = self._callbacks, []
        await _run(callbacks)


async def _run(callbacks: list[Callback]) -> None:
    with trio.move_on_after(CALLBACK_TIMEOUT, shield=True) as scope:
        async with trio.open_nursery() as nursery:
            for callback in callbacks:
                nursery.start_soon(_run_one, callback)
    if scope.cancelled_caught:
        logger.warning("media stream: cleanup took more than %g s", CALLBACK_TIMEOUT)


async def _run_one(callback: Callback) -> None:
    try:
        await callback()
    except Exception:
        logger.exception("media stream: a cleanup callback failed")
