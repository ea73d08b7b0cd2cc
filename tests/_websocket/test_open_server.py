"""open_server_websocket: handshakes good and bad, and what leaves the body."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio.testing
from _websocket.websocket_peers import WirePeer, open_tcp_pair
from _websocket.websocket_streams import REQUEST, WatchedClose, stream_pair
from wsproto import ConnectionType
from wsproto.events import Ping, RejectConnection

from telnyx_trio._errors import LocalProtocolError, RemoteProtocolError
from telnyx_trio._websocket import CLOSE_TIMEOUT, TrioWebSocket, open_server_websocket


async def accept_and_receive(websocket: TrioWebSocket) -> None:
    await websocket.accept()
    await websocket.receive_text()


async def receive_all(websocket: TrioWebSocket) -> None:
    while True:
        await websocket.receive_text()


@asynccontextmanager
async def open_pair() -> AsyncGenerator[tuple[TrioWebSocket, WirePeer, WatchedClose], None]:
    """Yield an unanswered request, its peer, and its stream."""
    our_stream, their_stream = await open_tcp_pair()
    ours = WatchedClose(our_stream)
    async with their_stream:
        peer = WirePeer(their_stream, ConnectionType.CLIENT)
        await peer.ask()
        with trio.fail_after(5):
            async with open_server_websocket(ours) as websocket:
                yield websocket, peer, ours


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 0\r\n\r\n",
        REQUEST.replace(b"13", b"99"),
        REQUEST.replace(b"example.com", b"\xff\xfe"),
        b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000,
    ],
    ids=["binary", "TLS", "no upgrade", "POST", "version", "host", "huge header"],
)
async def test_garbage_is_remote_protocol_error(garbage: bytes) -> None:
    """What is no WebSocket handshake is refused, and its stream closed."""
    ours, send, _ = stream_pair()
    await send.send_all(garbage)
    with trio.fail_after(2), pytest.raises(RemoteProtocolError):
        async with open_server_websocket(ours):
            pytest.fail("opened")
    assert ours.is_closed


async def test_peer_that_leaves_during_handshake_is_broken() -> None:
    """A handshake that is cut short is a broken connection, noticed at once."""
    ours, send, _ = stream_pair()
    await send.send_all(REQUEST[:40])
    await send.aclose()
    with trio.fail_after(2), pytest.raises(trio.BrokenResourceError):
        async with open_server_websocket(ours):
            pytest.fail("opened")
    assert ours.is_closed


async def test_silent_peer_meets_handshake_timeout(autojump_clock: trio.testing.MockClock) -> None:
    """Who connects and says nothing is refused when the time is up."""
    ours, _, theirs = stream_pair()
    with pytest.raises(RemoteProtocolError, match="in time"):
        async with open_server_websocket(ours, handshake_timeout=3):
            pytest.fail("opened")
    assert trio.current_time() == pytest.approx(3)
    assert ours.is_closed
    await theirs.aclose()


async def test_slow_peer_meets_handshake_timeout(autojump_clock: trio.testing.MockClock) -> None:
    """A byte now and then does not put the deadline off."""
    ours, send, _ = stream_pair()

    async def trickle() -> None:
        for byte in REQUEST:
            await send.send_all(bytes([byte]))
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trickle)
        with pytest.raises(RemoteProtocolError, match="in time"):
            async with open_server_websocket(ours, handshake_timeout=10):
                pytest.fail("opened")
        assert trio.current_time() == pytest.approx(10)
        nursery.cancel_scope.cancel()


async def test_cancelled_handshake_closes_stream() -> None:
    """Cancelling the handshake is a plain Cancelled, not a group, and closes the stream."""
    ours, _, _ = stream_pair()
    with trio.CancelScope() as scope:
        scope.cancel()
        with pytest.raises(trio.Cancelled) as caught:
            async with open_server_websocket(ours):
                pytest.fail("opened")
        raise caught.value
    assert scope.cancelled_caught
    assert ours.is_closed


async def test_unanswered_request_is_rejected_with_403() -> None:
    """A body that neither accepts nor rejects leaves a 403."""
    async with open_pair() as (websocket, peer, _):
        await websocket.aclose()
        answer = await peer.wait_answer()
        assert isinstance(answer, RejectConnection)
        assert answer.status_code == 403


async def test_reject_tells_status_and_body() -> None:
    """The client sees the status that the body rejects with."""
    async with open_pair() as (websocket, peer, stream):
        await websocket.reject(401, b"who are you")
        answer = await peer.wait_answer()
        assert isinstance(answer, RejectConnection)
        assert answer.status_code == 401
        assert stream.is_closed
        with pytest.raises(trio.ClosedResourceError):
            await websocket.accept()


async def test_reject_after_accept_is_refused() -> None:
    """An accepted handshake can't be rejected any more."""
    async with open_pair() as (websocket, peer, _):
        await websocket.accept()
        with pytest.raises(LocalProtocolError):
            await websocket.reject(401)
        peer.vanish()


async def test_use_before_accept_is_refused() -> None:
    """Nothing can be received or sent before the handshake is answered."""
    async with open_pair() as (websocket, _, _):
        with pytest.raises(LocalProtocolError):
            await websocket.receive_text()
        with pytest.raises(LocalProtocolError):
            await websocket.send_text("early")
        with pytest.raises(LocalProtocolError):
            await websocket.ping()


async def test_accept_of_vanished_peer_is_broken() -> None:
    """A peer that leaves before the answer is found out by accept, or by the first receive."""
    async with open_pair() as (websocket, peer, stream):
        peer.vanish()
        while not stream.is_closed:
            await trio.lowlevel.checkpoint()
        with pytest.raises(trio.BrokenResourceError):
            await websocket.accept()


async def test_request_that_goes_on_with_garbage_is_broken() -> None:
    """A peer that breaks HTTP after its request, before the answer, is a broken connection."""
    ours, send, theirs = stream_pair()
    chunked = REQUEST.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    await send.send_all(chunked)
    with trio.fail_after(2):
        async with open_server_websocket(ours) as websocket:
            await send.send_all(b"no chunk\r\n")
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BrokenResourceError):
                await accept_and_receive(websocket)
    assert ours.is_closed
    await theirs.aclose()


async def test_leaving_the_body_closes_with_1000() -> None:
    """Leaving is a proper close."""
    our_stream, their_stream = await open_tcp_pair()
    peer = WirePeer(their_stream, ConnectionType.CLIENT)
    codes = []

    async def be_peer() -> None:
        await peer.ask()
        await peer.wait_answer()
        codes.append(await peer.wait_closed())

    async with their_stream, trio.open_nursery() as nursery:
        nursery.start_soon(be_peer)
        async with open_server_websocket(our_stream) as websocket:
            await websocket.accept()
    assert codes == [1000]


async def test_error_of_body_leaves_as_itself_and_closes_with_1011() -> None:
    """An error in the body is neither wrapped nor hidden from the peer."""
    our_stream, their_stream = await open_tcp_pair()
    peer = WirePeer(their_stream, ConnectionType.CLIENT)
    codes = []

    async def be_peer() -> None:
        await peer.ask()
        await peer.wait_answer()
        codes.append(await peer.wait_closed())

    async with their_stream, trio.open_nursery() as nursery:
        nursery.start_soon(be_peer)
        error = KeyError("mine")

        async def serve() -> None:
            async with open_server_websocket(our_stream) as websocket:
                await websocket.accept()
                raise error

        with pytest.raises(KeyError) as caught:
            await serve()
        assert caught.value is error
    assert codes == [1011]


async def test_cancelled_body_closes_stream_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """A cancelled body does not wait for the peer, and leaves as a plain Cancelled."""
    ours, send, theirs = stream_pair()
    await send.send_all(REQUEST)

    async def serve() -> None:
        async with open_server_websocket(ours) as websocket:
            await websocket.accept()
            scope.cancel()
            await trio.lowlevel.checkpoint()

    with trio.CancelScope() as scope:
        with pytest.raises(trio.Cancelled) as caught:
            await serve()
        raise caught.value
    assert scope.cancelled_caught
    assert trio.current_time() == 0
    assert ours.is_closed
    await theirs.aclose()


async def test_error_in_cancelled_body_leaves_as_itself(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A cancellation does not hide the error of the body."""
    ours, send, theirs = stream_pair()
    await send.send_all(REQUEST)
    error = KeyError("mine")

    async def serve() -> None:
        async with open_server_websocket(ours) as websocket:
            await websocket.accept()
            scope.cancel()
            raise error

    with trio.CancelScope() as scope, pytest.raises(KeyError) as caught:
        await serve()
    assert caught.value is error
    assert trio.current_time() == 0
    await theirs.aclose()


async def test_cancelled_leaving_closes_stream_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A cancellation while leaving waits for the peer's close frame ends the wait."""
    ours, send, theirs = stream_pair()
    await send.send_all(REQUEST)

    async def serve() -> None:
        async with open_server_websocket(ours) as websocket:
            await websocket.accept()

    with trio.move_on_after(CLOSE_TIMEOUT / 2) as scope:
        with pytest.raises(trio.Cancelled) as caught:
            await serve()
        raise caught.value
    assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(CLOSE_TIMEOUT / 2)
    assert ours.is_closed
    await theirs.aclose()


@pytest.mark.parametrize("seed", range(25))
async def test_hostile_bytes_after_handshake_end_in_the_seams_errors(seed: int) -> None:
    """Whatever a peer sends, no other error than the seam's gets out."""
    rng = random.Random(seed)
    ours, send, theirs = stream_pair()
    await send.send_all(REQUEST)
    with trio.fail_after(2):
        async with open_server_websocket(ours, max_message_size_bytes=1000) as websocket:
            await websocket.accept()
            with suppress(trio.BrokenResourceError):  # our side may have closed before the end
                for _ in range(20):
                    # Mostly legal openings of WebSocket frames: opcode, then a masked length.
                    opcode = rng.choice((0x81, 0x01, 0x00, 0x88, 0x89, 0x8A, 0x82, 0xFF))
                    length = rng.choice((0x80, 0x85, 0xFE, 0x05))
                    noise = rng.randbytes(rng.randrange(40))
                    await send.send_all(bytes([opcode, length]) + noise)
            await send.aclose()
            with pytest.raises((trio.BrokenResourceError, trio.EndOfChannel)):
                await receive_all(websocket)
    assert ours.is_closed
    await theirs.aclose()


async def test_ping_during_close_does_no_harm() -> None:
    """A peer whose ping crosses our close frame (which crashes the reader) delays nothing."""
    async with open_pair() as (websocket, peer, _):
        await websocket.accept()
        await peer.wait_answer()
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(websocket.aclose)
            await trio.testing.wait_all_tasks_blocked()
            await peer.say(Ping(payload=b"still there?"))
        assert trio.current_time() - start < CLOSE_TIMEOUT / 2


class StuckStream(WatchedClose):
    """A stream that takes nothing any more."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.sleep_forever()


async def test_cancelled_accept_closes_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """After an answer that was cut off no other is tried."""
    ours, send, theirs = stream_pair()
    await send.send_all(REQUEST)
    async with open_server_websocket(StuckStream(ours)) as websocket:
        with trio.move_on_after(1) as scope:
            await websocket.accept()
        assert scope.cancelled_caught
        await websocket.aclose()
        assert trio.current_time() == pytest.approx(1)
        assert ours.is_closed
    await theirs.aclose()
