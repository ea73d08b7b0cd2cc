"""What is got ready for a call while it rings: a task and its result."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from ._errors import CallEnded

logger = logging.getLogger("telnyx_trio.registry")


class Preparation:
    """A task that gets something ready for a call, and its result.

    Args:
        prepare: what to do.
    """

    def __init__(self, prepare: Callable[[], Awaitable[Any]]) -> None:
        self._prepare = prepare
        self._scope = trio.CancelScope()
        self._done = trio.Event()
        self._result: Any = None
        self._error: Exception | None = None

    async def run(self) -> None:
        """Do it. What it raises is kept for who asks for the result, and logged."""
        # Stays unless the task gets to its end: then it was cancelled.
        self._error = _Cancelled()
        try:
            with self._scope:
                # Not even begun for a call that ended before its turn came.
                await trio.lowlevel.checkpoint_if_cancelled()
                self._result = await self._prepare()
                self._error = None
        except Exception as error:
            logger.warning("preparing a call failed: %r", error)
            self._error = error
        finally:
            self._done.set()

    def cancel(self) -> None:
        """Have it stop, or not begin. Idempotent."""
        self._scope.cancel()

    async def result(self, call_control_id: str) -> Any:
        """Wait for the result.

        Raises:
            CallEnded: it was cancelled.
            Exception: whatever it raised.
        """
        await self._done.wait()
        if isinstance(self._error, _Cancelled):
            raise CallEnded(call_control_id)
        if self._error is not None:
            raise self._error
        return self._result


class _Cancelled(Exception):
    pass
