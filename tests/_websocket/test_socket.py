"""The media socket, where it and its peer are at odds: over real sockets, frames by hand."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import NoReturn

import numpy as np
import pytest
import trio
import trio.testing
from _websocket.websocket_streams import REQUEST
from stream_peer import STOP, media_text, pcm_of, start_text
from websockets.frames import Frame, Opcode

from telnyx_trio import MediaStream, StreamEnd
from telnyx_trio._websocket import MediaClock, open_socket_websocket
from telnyx_trio._websocket._media_clock import Immediate
from telnyx_trio._websocket._socket import SocketWebSocket


def frame(opcode: Opcode, data: bytes) -> bytes:
    """A frame of a client's."""
    return Frame(opcode, data).serialize(mask=True)


def text_frame(text: str) -> bytes:
    return frame(Opcode.TEXT, text.encode())


def tcp_pair(buffer_size: int | None = None) -> tuple[socket.socket, socket.socket]:
    """Our end, which does not block, and the peer's, which does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    for sock in (ours, theirs):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if buffer_size is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_size)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_size)
    theirs.settimeout(5)
    ours.setblocking(False)
    return ours, theirs


@asynccontextmanager
async def open_pair(
    *, ticks: bool = False, buffer_size: int | None = None
) -> AsyncGenerator[tuple[SocketWebSocket, socket.socket], None]:
    """An accepted WebSocket, read by the task that waits or by a clock; and its peer's socket."""
    ours, theirs = tcp_pair(buffer_size)
    with theirs:
        async with trio.open_nursery() as nursery:
            clock = MediaClock() if ticks else Immediate()
            if isinstance(clock, MediaClock):
                nursery.start_soon(clock.run)
            async with open_socket_websocket(ours, REQUEST, readiness=clock) as websocket:
                await websocket.accept()
                assert theirs.recv(4096).startswith(b"HTTP/1.1 101")
                yield websocket, theirs
            nursery.cancel_scope.cancel()


async def receive_all(websocket: SocketWebSocket) -> None:
    """Receive until the peer has closed."""
    with suppress(trio.EndOfChannel):
        while True:
            await websocket.receive_text()


async def until_received(sock: socket.socket, expected: bytes) -> None:
    """Wait until this was received."""
    data = b""
    sock.setblocking(False)
    with trio.fail_after(2):
        while expected not in data:
            await trio.lowlevel.wait_readable(sock)
            data += sock.recv(65536)


@pytest.mark.parametrize("ticks", [False, True])
@pytest.mark.parametrize("n_packets", [5, 120])
async def test_what_came_before_a_failed_send(n_packets: int, ticks: bool) -> None:
    """A peer that says ``stop`` and goes, having read nothing, while we stood still: all is read.

    Its system resets the connection for what was not read, so that the next send fails.
    """
    heard = 0
    async with open_pair(ticks=ticks) as (websocket, theirs):
        stream = MediaStream(websocket)
        ends: list[StreamEnd] = []

        async def run() -> None:
            ends.append(await stream.run())

        async def echo() -> None:
            nonlocal heard
            async for pcm in stream.audio_track:
                heard += 1
                with suppress(trio.BrokenResourceError):
                    await stream.send_audio(pcm)

        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run)
                theirs.sendall(text_frame(start_text()))
                await stream.wait_started()
                await stream.send_audio(pcm_of(np.zeros(1600, np.int16)))
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(echo)
                # Nothing of ours runs meanwhile.
                media = [text_frame(media_text(chunk=n)) for n in range(1, n_packets + 1)]
                theirs.sendall(b"".join(media) + text_frame(STOP))
                theirs.close()
    assert ends == [StreamEnd.STOPPED]
    assert heard == n_packets


async def test_a_ping_beside_a_send() -> None:
    """It is answered at once, also when it is read while a send is in its checkpoint."""
    async with open_pair() as (websocket, theirs), trio.open_nursery() as nursery:
        nursery.start_soon(receive_all, websocket)
        for n in range(50):
            await trio.testing.wait_all_tasks_blocked()
            theirs.sendall(frame(Opcode.PING, b"%d" % n))
            await websocket.send_text("x")
            await until_received(theirs, Frame(Opcode.PONG, b"%d" % n).serialize(mask=False))
        nursery.cancel_scope.cancel()


async def test_a_send_is_cut_off_while_a_ping_waits() -> None:
    """The ping fails there and then, also while nothing comes that another task could read."""
    failed = trio.Event()
    async with open_pair(buffer_size=4096) as (websocket, _), trio.open_nursery() as nursery:

        async def ping() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await websocket.ping()
            failed.set()

        nursery.start_soon(websocket.receive_text)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(ping)
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as sending:
            sending.start_soon(websocket.send_text, "x" * 1_000_000)
            await trio.testing.wait_all_tasks_blocked()
            sending.cancel_scope.cancel()
        with trio.fail_after(2):
            await failed.wait()
        nursery.cancel_scope.cancel()


async def test_a_close_beside_a_send() -> None:
    """So is a close frame."""
    for _ in range(20):
        async with open_pair() as (websocket, theirs), trio.open_nursery() as nursery:
            nursery.start_soon(receive_all, websocket)
            await trio.testing.wait_all_tasks_blocked()
            theirs.sendall(frame(Opcode.CLOSE, (1000).to_bytes(2, "big")))
            await websocket.send_text("x")
            await until_received(theirs, b"\x88")


async def test_a_peer_that_pings_and_does_not_read() -> None:
    """Its pings are taken, and not all of them answered: nothing piles up here."""
    async with open_pair() as (websocket, theirs), trio.open_nursery() as nursery:
        nursery.start_soon(receive_all, websocket)
        pings = frame(Opcode.PING, b"p" * 125) * 100
        theirs.setblocking(False)
        rest, n_sent = pings, 0
        while n_sent < 40_000_000:  # more than the kernel holds both ways
            with suppress(BlockingIOError):
                n = theirs.send(rest)
                n_sent += n
                rest = rest[n:] or pings
            await trio.lowlevel.checkpoint()
        assert websocket.has_unsent
        assert len(websocket._unsent) < 200_000
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("ticks", [False, True])
async def test_freed_while_another_task_closes_it(ticks: bool) -> None:
    """Who owns it leaves: the other one waits for the peer's close frame no more."""
    async with trio.open_nursery() as nursery:
        with trio.fail_after(0.5):  # a polite close takes longer
            async with open_pair(ticks=ticks) as (websocket, _):
                nursery.start_soon(websocket.aclose)
                await trio.testing.wait_all_tasks_blocked()
            await trio.testing.wait_all_tasks_blocked()
        assert not nursery.child_tasks


async def test_sending_at_once_tells_what_is_unsent() -> None:
    """And nothing is sent while there is something."""
    async with open_pair(buffer_size=65536) as (websocket, _):
        assert websocket.send_text_nowait("x") == 0
        n_unsent = websocket.send_text_nowait("x" * 4_000_000)
        assert n_unsent
        assert n_unsent == len(websocket._unsent)
        assert websocket.send_text_nowait("x") is None


async def test_closing_beside_a_send_to_a_slow_peer() -> None:
    """The close frame goes behind the message, and the peer's one is waited for."""
    async with open_pair(buffer_size=65536) as (websocket, theirs), trio.open_nursery() as nursery:
        text = "x" * 1_000_000

        async def send() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await websocket.send_text(text)

        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked()
        assert websocket.has_unsent
        nursery.start_soon(websocket.aclose)
        await until_received(theirs, Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=False))
        assert websocket.close_code is None
        theirs.send(frame(Opcode.CLOSE, b"\x03\xe8"))
    assert websocket.close_code == 1000


async def test_what_comes_while_it_closes() -> None:
    """It is read, as the close frame lies behind it, and not kept."""
    async with open_pair() as (websocket, theirs), trio.open_nursery() as nursery:
        nursery.start_soon(websocket.aclose)
        await until_received(theirs, b"\x88")
        for _ in range(5):
            theirs.send(text_frame("x" * 1000) * 10)
            await trio.testing.wait_all_tasks_blocked(0.001)
        theirs.send(frame(Opcode.CLOSE, b"\x03\xe8"))
    assert websocket.close_code == 1000
    assert not websocket._texts


async def test_fragments() -> None:
    """They make one message; empty ones, of which there may be any number, are not kept."""
    async with open_pair() as (websocket, theirs), trio.open_nursery() as nursery:
        texts: list[str] = []

        async def receive() -> None:
            texts.append(await websocket.receive_text())

        nursery.start_soon(receive)
        empty = Frame(Opcode.CONT, b"", fin=False).serialize(mask=True)
        parts = [
            Frame(Opcode.TEXT, b"he", fin=False).serialize(mask=True),
            empty * 1000,
            Frame(Opcode.CONT, b"llo", fin=False).serialize(mask=True),
        ]
        theirs.send(b"".join(parts))
        with trio.fail_after(2):
            while len(websocket._fragments) < 2:
                await trio.lowlevel.checkpoint()
        assert websocket._fragments == [b"he", b"llo"]
        theirs.send(Frame(Opcode.CONT, b"", fin=True).serialize(mask=True))
    assert texts == ["hello"]


@pytest.mark.parametrize("ticks", [False, True])
@pytest.mark.parametrize("how", ["stop and close", "close", "gone"])
async def test_it_ends_while_a_ping_waits(how: str, ticks: bool) -> None:
    """After a silence, the ping not answered: the stream ends as it would without it."""
    async with open_pair(ticks=ticks) as (websocket, theirs):
        stream = MediaStream(websocket, silence_timeout=0.4)
        ended: list[StreamEnd | trio.BrokenResourceError] = []

        async def run() -> None:
            try:
                ended.append(await stream.run())
            except trio.BrokenResourceError as error:
                ended.append(error)

        with trio.fail_after(8):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run)
                theirs.sendall(text_frame(start_text()))
                await stream.wait_started()
                await until_received(theirs, b"\x89")
                close = frame(Opcode.CLOSE, b"\x03\xe8")
                if how == "stop and close":
                    theirs.send(text_frame(STOP) + close)
                elif how == "close":
                    theirs.send(close)
                else:
                    theirs.shutdown(socket.SHUT_WR)
    [end] = ended
    assert (end is StreamEnd.STOPPED) == (how == "stop and close")


class Failing:
    """A detector that raises."""

    def __init__(self, rate: int) -> None:
        self.rate = rate

    def process(self, samples: object) -> NoReturn:
        raise ZeroDivisionError


async def test_a_detector_fails_at_the_end() -> None:
    """For audio that was held when the stream ended: it is raised, and all is closed."""
    async with open_pair() as (websocket, theirs):
        stream = MediaStream(websocket, voice_activity=Failing)
        cleaned = []

        async def clean() -> None:
            cleaned.append(True)

        async def run() -> None:
            with pytest.raises(ZeroDivisionError):
                await stream.run()

        stream.add_cleanup_callback(clean)
        theirs.sendall(text_frame(start_text()))
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run)
                await stream.wait_started()
                # The first one has no samples; what waits for others is heard when they come, and
                # the last one at the end.
                texts = [media_text(b"", chunk=1), *(media_text(chunk=n) for n in (3, 5, 2))]
                theirs.sendall(b"".join(map(text_frame, texts)))
        assert cleaned
        with trio.fail_after(1):
            async for _ in stream.audio_track:
                pass
        assert websocket._socket.fileno() < 0
