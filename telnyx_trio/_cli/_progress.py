"""A line that says how far a command is."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeAlias

import trio

Show: TypeAlias = Callable[[str], None]

_LIVE_INTERVAL: Final = 0.2
_PLAIN_INTERVAL: Final = 1.0
"""Seconds between two looks; a log file wants fewer lines than an eye wants pictures."""


@asynccontextmanager
async def show_progress(describe: Callable[[], str], *, quiet: bool = False) -> AsyncIterator[None]:
    """Show a text that changes for as long as the block runs.

    On a terminal it is one line, which is gone afterwards; elsewhere it is a line for each change,
    once a second at most.

    Args:
        describe: returns the text as it is now.
        quiet: show nothing.
    """
    if quiet:
        yield
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_show, describe)
        yield
        nursery.cancel_scope.cancel()


async def _show(describe: Callable[[], str]) -> None:
    with _line() as (show, interval):
        while True:
            show(describe())
            await trio.sleep(interval)


@contextmanager
def _line() -> Iterator[tuple[Show, float]]:
    """Return what shows a text, and how often to call it."""
    try:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text
    except ImportError:
        yield _plain_line(), _PLAIN_INTERVAL
        return
    console = Console()
    if not console.is_terminal or console.is_dumb_terminal:
        yield _plain_line(), _PLAIN_INTERVAL
        return
    # No thread that refreshes: it would take turns from the calls whenever it likes.
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield lambda text: live.update(Text(text, no_wrap=True), refresh=True), _LIVE_INTERVAL


def _plain_line() -> Show:
    shown = ""

    def show(text: str) -> None:
        nonlocal shown
        if text != shown:
            shown = text
            print(text, file=sys.stdout, flush=True)

    return show
