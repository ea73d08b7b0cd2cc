"""What every WebSocket adapter promises, held against each of them."""

from __future__ import annotations

import gc

import pytest
import trio
import trio.testing
from _websocket.websocket_kinds import (
    ALL,
    AT_ONCE,
    HYPERCORN,
    MEMORY,
    ON_SOCKETS,
    OURS,
    QUIET,
    SHORT,
    STUCK,
    WITH_REQUEST,
    OpenEnds,
    each,
    fill_up,
    in_time,
    set_close_timeout,
)
from _websocket.websocket_peers import MAX_SIZE_BYTES, PATH, AsgiPeer, MemoryPeer

from telnyx_trio._websocket import receive_each


@pytest.fixture(autouse=True)
def _short_close_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    set_close_timeout(monkeypatch, SHORT)


@pytest.fixture
def _long_close_timeout(monkeypatch: pytest.MonkeyPatch, _short_close_timeout: None) -> None:
    """Whoever waits for the peer now is seen to."""
    set_close_timeout(monkeypatch, 3)


@each(ALL)
async def test_messages_arrive_in_order(open_ends: OpenEnds) -> None:
    """What the peer sends is received in its order."""
    async with in_time(open_ends) as ends, trio.open_nursery() as nursery:
        expected = [str(i) for i in range(50)]

        async def send() -> None:
            for text in expected:
                await ends.peer.send(text)

        nursery.start_soon(send)
        assert [await ends.ours.receive_text() for _ in expected] == expected


@each(ALL)
async def test_messages_are_handed_over_one_by_one(open_ends: OpenEnds) -> None:
    """Until what takes them returns something, or raises; the others stay."""

    def take(text: str, now: float) -> str | None:
        taken.append(text)
        assert trio.current_time() - 1 < now <= trio.current_time()
        if text == "error":
            raise ZeroDivisionError
        return text.upper() if text == "enough" else None

    taken: list[str] = []
    async with in_time(open_ends) as ends, trio.open_nursery() as nursery:
        texts = ["a", "b", "enough", "c", "error", "d", "enough", "e"]

        async def send() -> None:
            for text in texts:
                await ends.peer.send(text)

        nursery.start_soon(send)
        assert await receive_each(ends.ours, take) == "ENOUGH"
        assert taken == texts[:3]
        with pytest.raises(ZeroDivisionError):
            await receive_each(ends.ours, take)
        assert await ends.ours.receive_text() == "d"
        assert await receive_each(ends.ours, take) == "ENOUGH"
        assert await ends.ours.receive_text() == "e"
        assert taken == ["a", "b", "enough", "c", "error", "enough"]


@each(ALL)
async def test_handing_over_is_a_checkpoint(open_ends: OpenEnds) -> None:
    """Also if messages are there already: cancelled, none of them is lost."""
    async with in_time(open_ends) as ends:
        for text in ("first", "enough", "last"):
            await ends.peer.send(text)
        assert await ends.ours.receive_text() == "first"
        with trio.CancelScope() as scope:
            scope.cancel()
            await receive_each(ends.ours, lambda text, _: text)
        assert scope.cancelled_caught
        with trio.testing.assert_checkpoints():
            assert await receive_each(ends.ours, lambda text, _: text.upper()) == "ENOUGH"
        assert await ends.ours.receive_text() == "last"


@each(ALL)
async def test_messages_leave_in_order(open_ends: OpenEnds) -> None:
    """What we send reaches the peer in our order."""
    async with in_time(open_ends) as ends, trio.open_nursery() as nursery:
        expected = [str(i) for i in range(50)]

        async def send() -> None:
            for text in expected:
                await ends.ours.send_text(text)

        nursery.start_soon(send)
        assert [await ends.peer.receive() for _ in expected] == expected


@each(ALL)
async def test_binary_message_is_decoded(open_ends: OpenEnds) -> None:
    """A binary message is received as text."""
    async with in_time(open_ends) as ends:
        await ends.peer.send("ü".encode())
        assert await ends.ours.receive_text() == "ü"


@each(ALL)
async def test_accept_again_does_nothing(open_ends: OpenEnds) -> None:
    """An open WebSocket can be accepted once more."""
    async with in_time(open_ends) as ends:
        await ends.ours.accept()
        await ends.peer.send("still here")
        assert await ends.ours.receive_text() == "still here"


@each(OURS)
async def test_close_by_peer_is_end_of_channel(open_ends: OpenEnds) -> None:
    """After the peer's close frame there is EndOfChannel, again and again."""
    async with in_time(open_ends) as ends:
        await ends.peer.close(1001)
        for _ in range(2):
            with pytest.raises(trio.EndOfChannel, match="1001"):
                await ends.ours.receive_text()


@each(HYPERCORN)
async def test_hypercorn_tells_no_close_code(open_ends: OpenEnds) -> None:
    """hypercorn reports the peer's close frame as 1006, so it counts as a lost connection."""
    async with in_time(open_ends) as ends:
        await ends.peer.close(1001)
        with pytest.raises(trio.BrokenResourceError):
            await ends.ours.receive_text()


@each(ALL)
async def test_messages_before_close_are_received(open_ends: OpenEnds) -> None:
    """The peer's close frame does not overtake its messages."""
    async with in_time(open_ends) as ends:
        await ends.peer.send("one")
        await ends.peer.send("two")
        await ends.peer.close(1000)
        assert await ends.ours.receive_text() == "one"
        assert await ends.ours.receive_text() == "two"
        with pytest.raises((trio.EndOfChannel, trio.BrokenResourceError)):
            await ends.ours.receive_text()


@each(ALL)
async def test_send_after_close_by_peer_is_broken(open_ends: OpenEnds) -> None:
    """Once the peer has closed, sending and pinging tell that it is gone."""
    async with in_time(open_ends) as ends:
        await ends.peer.close(1000)
        with pytest.raises((trio.EndOfChannel, trio.BrokenResourceError)):
            await ends.ours.receive_text()
        with pytest.raises(trio.BrokenResourceError):
            await ends.ours.send_text("too late")
        with pytest.raises(trio.BrokenResourceError):
            await ends.ours.ping()
        if isinstance(ends.peer, AsgiPeer):
            assert ends.peer.sends_after_end == 0


@each(ALL)
async def test_close_by_us_reaches_peer_with_its_code(open_ends: OpenEnds) -> None:
    """The peer learns the code we close with."""
    async with in_time(open_ends) as ends, trio.open_nursery() as nursery:
        nursery.start_soon(ends.ours.aclose, 1008, "policy")
        assert await ends.peer.wait_closed() == 1008
    assert ends.is_freed


@each(ALL)
async def test_vanished_peer_is_broken(open_ends: OpenEnds) -> None:
    """A connection that is lost without a close frame is BrokenResourceError, again and again."""
    async with in_time(open_ends) as ends:
        ends.peer.vanish()
        for _ in range(2):
            with pytest.raises(trio.BrokenResourceError):
                await ends.ours.receive_text()
        with pytest.raises(trio.BrokenResourceError):
            await ends.ours.send_text("anyone?")
        with pytest.raises(trio.BrokenResourceError):
            await ends.ours.ping()


@each(ALL)
async def test_socket_is_freed_after_peer_vanished(open_ends: OpenEnds) -> None:
    """A lost connection leaves no socket to the garbage collector once it is closed."""
    async with in_time(open_ends) as ends:
        ends.peer.vanish()
        with pytest.raises(trio.BrokenResourceError):
            await ends.ours.receive_text()
        await ends.ours.aclose()
        assert ends.is_freed
    del ends
    gc.collect()


@each(ALL)
async def test_cancelled_receive_loses_nothing(open_ends: OpenEnds) -> None:
    """A receive that is cancelled, before or with a message there, takes none."""
    async with in_time(open_ends) as ends:
        with trio.move_on_after(0.01) as scope:
            await ends.ours.receive_text()
        assert scope.cancelled_caught
        await ends.peer.send("one")
        with trio.CancelScope() as scope:
            scope.cancel()
            await ends.ours.receive_text()
        assert scope.cancelled_caught
        assert await ends.ours.receive_text() == "one"


@each(QUIET)
@pytest.mark.usefixtures("_long_close_timeout")
async def test_cancelled_send_closes_at_once(open_ends: OpenEnds) -> None:
    """With a peer that reads nothing, cancelling a send and closing takes no time."""
    async with in_time(open_ends) as ends:
        if isinstance(ends.peer, MemoryPeer):
            ends.peer.end.stall()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fill_up, ends.ours)
            await trio.testing.wait_all_tasks_blocked(STUCK)
            nursery.cancel_scope.cancel()
        with pytest.raises(trio.BrokenResourceError):
            await ends.ours.send_text("inside the other message")
        start = trio.current_time()
        await ends.ours.aclose()
        assert trio.current_time() - start < AT_ONCE
        assert ends.is_freed


@each(OURS)
async def test_send_in_cancelled_scope_cuts_nothing_off(open_ends: OpenEnds) -> None:
    """A send that could not begin leaves the WebSocket usable."""
    async with in_time(open_ends) as ends:
        with trio.CancelScope() as scope:
            scope.cancel()
            await ends.ours.send_text("never")
        assert scope.cancelled_caught
        await ends.ours.send_text("after")
        assert await ends.peer.receive() == "after"


@each(ALL)
async def test_peer_that_never_answers_close(open_ends: OpenEnds) -> None:
    """Closing waits for the peer's close frame no longer than CLOSE_TIMEOUT."""
    async with in_time(open_ends) as ends:
        if isinstance(ends.peer, MemoryPeer):
            ends.peer.end.stall()
        start = trio.current_time()
        await ends.ours.aclose()
        assert trio.current_time() - start < SHORT + AT_ONCE
        assert ends.is_freed


@each(OURS)
@pytest.mark.usefixtures("_long_close_timeout")
async def test_cancelled_close_frees_socket_at_once(open_ends: OpenEnds) -> None:
    """Cancelling the close ends the wait, and the socket is free all the same."""
    async with in_time(open_ends) as ends:
        if isinstance(ends.peer, MemoryPeer):
            ends.peer.end.stall()
        start = trio.current_time()
        with trio.CancelScope() as scope:
            scope.cancel()
            await ends.ours.aclose()
        assert scope.cancelled_caught
        assert trio.current_time() - start < AT_ONCE
        assert ends.is_freed
        with pytest.raises(trio.ClosedResourceError):
            await ends.ours.receive_text()


@each(OURS)
async def test_close_with_unread_messages(open_ends: OpenEnds) -> None:
    """Messages that nobody received do not stand in the way of closing."""
    async with in_time(open_ends) as ends:
        for _ in range(20):
            await ends.peer.send("unread")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ends.ours.aclose)
            assert await ends.peer.wait_closed() == 1000
        assert ends.is_freed


@each(ALL)
async def test_close_is_idempotent(open_ends: OpenEnds) -> None:
    """Closing again does nothing."""
    async with in_time(open_ends) as ends:
        for _ in range(3):
            await ends.ours.aclose()


@each(ALL)
async def test_use_after_close(open_ends: OpenEnds) -> None:
    """Whatever is tried on a WebSocket that we closed is ClosedResourceError."""
    async with in_time(open_ends) as ends:
        await ends.ours.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await ends.ours.receive_text()
        with pytest.raises(trio.ClosedResourceError):
            await ends.ours.send_text("too late")
        with pytest.raises(trio.ClosedResourceError):
            await ends.ours.ping()
        with pytest.raises(trio.ClosedResourceError):
            await ends.ours.accept()


@each(ALL)
async def test_close_wakes_receiver(open_ends: OpenEnds) -> None:
    """A task that is inside receive_text when we close gets ClosedResourceError."""
    async with in_time(open_ends) as ends, trio.open_nursery() as nursery:

        async def receive() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await ends.ours.receive_text()

        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        await ends.ours.aclose()


@each({name: QUIET[name] for name in (ON_SOCKETS | MEMORY) if name in QUIET})
async def test_close_wakes_sender(open_ends: OpenEnds) -> None:
    """A task that is stuck in send_text when we close gets ClosedResourceError, soon."""
    async with in_time(open_ends) as ends, trio.open_nursery() as nursery:

        async def send() -> None:
            with pytest.raises((trio.ClosedResourceError, trio.BrokenResourceError)):
                await fill_up(ends.ours)

        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked(STUCK)
        await ends.ours.aclose()


@each(ALL)
async def test_ping_returns_while_peer_is_alive(open_ends: OpenEnds) -> None:
    """A peer that reads answers a ping."""
    async with in_time(open_ends) as ends, trio.open_nursery() as nursery:
        nursery.start_soon(ends.peer.receive)
        await ends.ours.ping()
        await ends.ours.send_text("let the peer go")


@each(ON_SOCKETS | HYPERCORN)
async def test_oversized_message_breaks_connection(open_ends: OpenEnds) -> None:
    """A message over the limit is not delivered; the peer is told with code 1009."""
    async with in_time(open_ends) as ends, trio.open_nursery() as nursery:

        async def see_close() -> None:
            assert await ends.peer.wait_closed() == 1009

        nursery.start_soon(see_close)
        await ends.peer.send("x" * (MAX_SIZE_BYTES + 1))
        with pytest.raises(trio.BrokenResourceError):
            await ends.ours.receive_text()


@each(ALL)
async def test_path_has_its_query(open_ends: OpenEnds) -> None:
    """The request target is told in full."""
    async with in_time(open_ends) as ends:
        assert getattr(ends.ours, "path", None) == PATH


@each(WITH_REQUEST)
async def test_headers_are_those_of_request(open_ends: OpenEnds) -> None:
    """The request's headers are told, names in lower case."""
    async with in_time(open_ends) as ends:
        assert (b"x-test", b"yes") in getattr(ends.ours, "headers", ())
