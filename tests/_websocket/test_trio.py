"""The trio-websocket adapter: pings, and who frees the socket."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from _websocket.websocket_kinds import (
    ON_SOCKETS,
    OWNED,
    WITH_READER,
    OpenEnds,
    each,
    in_time,
    set_close_timeout,
)


@pytest.fixture(autouse=True)
def _short_close_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    set_close_timeout(monkeypatch, 0.05)


@each(WITH_READER)
async def test_owner_frees_socket_of_vanished_peer_by_itself(open_ends: OpenEnds) -> None:
    """Whoever owns the stream closes it when the peer is lost, also while nobody calls."""
    async with in_time(open_ends) as ends:
        ends.peer.vanish()
        while not ends.is_freed:
            await trio.lowlevel.checkpoint()


@each(ON_SOCKETS)
async def test_ping_ends_with_connection(open_ends: OpenEnds) -> None:
    """A ping that waits for its pong learns that the peer has vanished."""
    async with in_time(open_ends) as ends, trio.open_nursery() as nursery:

        async def ping() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await ends.ours.ping()

        nursery.start_soon(ping)
        await trio.testing.wait_all_tasks_blocked()
        ends.peer.vanish()
        with pytest.raises(trio.BrokenResourceError):
            await ends.ours.receive_text()


@each(OWNED)
async def test_ping_ends_with_connection_that_nobody_reads(open_ends: OpenEnds) -> None:
    """Whoever owns the stream wakes a ping by itself, without a receiver to see the end."""
    async with in_time(open_ends) as ends, trio.open_nursery() as nursery:

        async def ping() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await ends.ours.ping()

        nursery.start_soon(ping)
        await trio.testing.wait_all_tasks_blocked()
        ends.peer.vanish()


@each(ON_SOCKETS)
async def test_ping_ends_with_our_close(open_ends: OpenEnds) -> None:
    """A ping that waits for its pong gets ClosedResourceError when we close."""
    async with in_time(open_ends) as ends, trio.open_nursery() as nursery:

        async def ping() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await ends.ours.ping()

        nursery.start_soon(ping)
        await trio.testing.wait_all_tasks_blocked()
        await ends.ours.aclose()


@each(ON_SOCKETS)
async def test_cancelled_ping_leaves_connection_usable(open_ends: OpenEnds) -> None:
    """A ping that was not waited for does no harm to the messages after it."""
    async with in_time(open_ends) as ends:
        with trio.move_on_after(0.01) as scope:
            await ends.ours.ping()
        assert scope.cancelled_caught
        await ends.ours.send_text("after")
        assert await ends.peer.receive() == "after"
