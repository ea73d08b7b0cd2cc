"""What tests of the bridge into a Stream call share; needs getstream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import trio
from getstream import AsyncStream
from stream_standin import API_KEY, API_SECRET, Guest, Watched, open_guest


class Addressed(Protocol):
    """A stand-in, here or in another process."""

    @property
    def url(self) -> str: ...


def stream_call_of(standin: Addressed, call_id: str, *, api_secret: str = API_SECRET) -> Any:
    """Return a call of the stand-in, as a user of getstream has it."""
    client = AsyncStream(api_key=API_KEY, api_secret=api_secret, base_url=standin.url)
    return client.video.call("default", call_id)


async def wait_until(watched: Watched, is_so: Callable[[], bool], *, timeout: float = 20.0) -> None:
    """Wait until something is so that is told by a stand-in or a guest."""
    token = trio.lowlevel.current_trio_token()
    changed = trio.Event()

    def note() -> None:
        token.run_sync_soon(lambda: changed.set())

    watched.watch(note)
    try:
        with trio.fail_after(timeout):
            while not is_so():
                await changed.wait()
                changed = trio.Event()
    finally:
        watched.unwatch(note)


@asynccontextmanager
async def guest_in(
    standin: Addressed, call_id: str, user_id: str, **options: Any
) -> AsyncIterator[Guest]:
    """Have somebody in a call of the stand-in; see ``open_guest``."""
    manager = open_guest(standin.url, call_id, user_id, **options)
    guest = await trio.to_thread.run_sync(manager.__enter__)
    try:
        yield guest
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(manager.__exit__, None, None, None)
