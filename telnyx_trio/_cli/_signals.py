"""Ctrl-C and requests to terminate, as the commands take them."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import trio

from .. import CallServer

T = TypeVar("T")


def ending_signals() -> list[signal.Signals]:
    """Return the signals that ask to end: Ctrl-C, ``kill``, and a terminal that is closed.

    The last of them not under ``nohup``.
    """
    ending = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        ending.append(signal.SIGHUP)
    return ending


@asynccontextmanager
async def cancelled_by_signals() -> AsyncIterator[trio.CancelScope]:
    """Cancel the body at the first signal; later ones change nothing, as it is on its way out."""
    scope = trio.CancelScope()

    async def watch(task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(*ending_signals()) as signals:
            task_status.started()
            async for _ in signals:
                scope.cancel()

    async with trio.open_nursery() as nursery:
        await nursery.start(watch)
        try:
            with scope:
                yield scope
        finally:
            nursery.cancel_scope.cancel()


async def run_until_signal(run: Callable[[], Awaitable[T]]) -> T | None:
    """Run something; at a signal cancel it, and return None once its cleanup is done.

    What is around it, such as the carrier that a call is hung up at, goes on meanwhile.
    """
    async with cancelled_by_signals():
        return await run()
    return None


async def serve_until_signal(server: CallServer, tell: Callable[[str], None]) -> None:
    """Wait for a signal, then for the running calls to end; at a second signal hang up on them.

    Returns when no call is left, with the server still there.
    """
    with trio.open_signal_receiver(*ending_signals()) as signals:
        await anext(signals)
        live = server.statistics().live_calls
        if live:
            calls = "1 call" if live == 1 else f"{live} calls"
            tell(f"waiting for {calls} to end; Ctrl-C again hangs up on them")
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def watch() -> None:
                await anext(signals)
                nursery.cancel_scope.cancel()

            await server.stop()
            nursery.cancel_scope.cancel()
        await server.stop(drain_timeout=0)
