"""A server's WebSocket on a socket of ours: the fast one, which carries media.

The framing is that of ``websockets``' sans-I/O protocol, which unmasks in C. What is ours is moving
the bytes: no task of its own, one ``recv`` a wake-up, and frames that leave at once, from whichever
task sends them, without waking another.

Frames wait in one buffer, whole and in order. What the kernel did not take of one goes before
anything else, also when whoever sent it was cancelled.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from http import HTTPStatus
from itertools import count
from typing import Final, Generic, TypeVar

import trio
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State as ProtocolState
from websockets.server import ServerProtocol

from .._errors import LocalProtocolError, RemoteProtocolError
from .._types import MAX_MESSAGE_SIZE_BYTES
from ._media_clock import Immediate, Readiness
from ._seam import CLOSE_TIMEOUT
from ._state import (
    FORBIDDEN,
    INTERNAL_ERROR,
    NO_STATUS,
    NORMAL_CLOSURE,
    State,
    cannot_send_error,
    closed_error,
    end_error,
)

T = TypeVar("T")

_RECEIVE_SIZE_BYTES: Final = 16 * 1024
"""Half a second of a call's messages; there is more only after a stall."""

_MAX_UNSENT_BYTES: Final = 64 * 1024
"""That may be unsent when a ping is answered."""

# To ask an Enum for a member takes longer than to compare it, and these are asked for every packet.
_OPEN: Final = State.OPEN
_TEXT: Final = Opcode.TEXT

_SILENT: Final = logging.Logger("websockets", logging.CRITICAL + 1)
"""For the protocol, which logs requests with their path, and that may hold a token."""


class SocketWebSocket:
    """A WebSocket on a connected socket, its handshake read and not answered.

    Args:
        sock: non-blocking; owned from now on.
        protocol: that has read the request.
        request: the handshake.
        response: that accepts it.
        readiness: tells when there is something to read.

    Attributes:
        path: the requested path with its query; it may hold a token.
        headers: of the request, names in lower case.
    """

    __slots__ = (
        "_cut_off",
        "_end",
        "_fragments",
        "_has_failed",
        "_is_reading",
        "_is_sending",
        "_last_pong",
        "_ping_numbers",
        "_protocol",
        "_readiness",
        "_response",
        "_sent",
        "_socket",
        "_state",
        "_texts",
        "_unsent",
        "_was_read",
        "headers",
        "path",
    )

    def __init__(
        self,
        sock: socket.socket,
        protocol: ServerProtocol,
        request: Request,
        response: Response,
        readiness: Readiness,
    ) -> None:
        self.path = request.path
        self.headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in request.headers.raw_items()
        ]
        self._socket = sock
        self._protocol = protocol
        self._response = response
        self._readiness = readiness
        self._state = State.OFFERED
        # Nearly always empty: a list has next to no memory then, and this is passed every packet.
        self._texts: list[str] = []
        self._fragments: list[bytes] = []
        self._unsent = b""
        self._is_sending = False
        self._cut_off = False  # a send was cancelled, inside its message, or has failed
        self._has_failed = False
        self._sent = trio.lowlevel.ParkingLot()
        # How the peer ended it: code and reason; no code if it vanished.
        self._end: tuple[int | None, str] | None = None
        self._ping_numbers = count(1)
        self._last_pong = 0
        self._is_reading = False
        self._was_read = trio.lowlevel.ParkingLot()

    @property
    def close_code(self) -> int | None:
        """The code the connection was closed with, 1006 without a close frame; None while open."""
        return None if self._end is None else self._end[0] or 1006

    @property
    def has_unsent(self) -> bool:
        """Whether the kernel has yet to take something of what was sent."""
        return bool(self._unsent)

    async def accept(self) -> None:
        """Accept the handshake; see ``WebSocket.accept``."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._state is State.CLOSED:
            raise closed_error()
        if self._state is State.OFFERED:
            self._protocol.send_response(self._response)
            self._state = State.OPEN
            try:
                await self._send_all()
            except trio.BrokenResourceError as error:
                raise end_error(None) from error
        else:
            await trio.lowlevel.cancel_shielded_checkpoint()

    async def reject(self, status: int = FORBIDDEN, body: bytes = b"") -> None:
        """Answer the handshake with an HTTP error and free the socket.

        Raises:
            LocalProtocolError: the handshake was answered already.
        Blocks: at most CLOSE_TIMEOUT.  Cancelled: the socket is freed, perhaps without the answer.
        """
        if self._state is not State.OFFERED:
            raise LocalProtocolError("only a handshake that is not answered yet can be rejected")
        self._state = State.CLOSED
        try:
            text = body.decode("utf-8", "replace")
            self._protocol.send_response(self._protocol.reject(HTTPStatus(status), text))
            with trio.move_on_after(CLOSE_TIMEOUT), suppress(trio.BrokenResourceError):
                await self._send_all()
        finally:
            self.free()
        await trio.lowlevel.checkpoint()

    async def receive_text(self) -> str:
        """Return the next message; see ``WebSocket.receive_text``."""
        return await self.receive_each(_itself)

    async def receive_each(self, take: Callable[[str, float], T | None]) -> T:
        """Give each message to ``take``; see ``InlineWebSocket.receive_each``."""
        taking = _Taking(self, take)
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check_open()
        has_waited = False
        while not taking.take_waiting(trio.current_time()):
            if self._end is not None:
                await trio.lowlevel.checkpoint()
                raise end_error(*self._end)
            await self._read_more(taking.read)
            has_waited = True
            self._check_open()
        if not has_waited:
            await trio.lowlevel.cancel_shielded_checkpoint()
        assert taking.result is not None
        return taking.result

    async def send_text(self, text: str) -> None:
        """Send one message; see ``WebSocket.send_text``."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check_can_send()
        self._protocol.send_text(text.encode())
        await self.flush()

    def send_text_nowait(self, text: str) -> int | None:
        """Send one message at once; see ``InlineWebSocket.send_text_nowait``."""
        if self._state is not _OPEN or self._end is not None or self._unsent or self._cut_off:
            return None
        # The protocol has nothing to write: what it wanted to has left, or is unsent.
        payload = text.encode()
        frame = _text_header(len(payload)) + payload
        n_sent = self._give(frame)
        if n_sent < len(frame):
            self._unsent = frame[n_sent:]
        return len(frame) - n_sent

    def call_between(self, earliest: float, latest: float, call: Callable[[float], None]) -> bool:
        """Have ``call`` called once in this time, if a tick will; see ``Readiness``."""
        return self._readiness.call_between(earliest, latest, call)

    async def flush(self) -> None:
        """Wait until the kernel has taken all that was sent.

        Raises:
            As ``send_text``.
        """
        try:
            await self._send_all()
        except trio.BrokenResourceError:
            raise self._send_error() from None
        except BaseException:
            self._cut_off = self._cut_off or self.has_unsent
            self._tell_read()
            raise

    async def ping(self) -> None:
        """Wait for a pong; see ``WebSocket.ping``."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check_can_send()
        number = next(self._ping_numbers)
        self._protocol.send_ping(b"%d" % number)
        self._try_send()
        while self._last_pong < number:
            if self._state is State.CLOSED or self._end is not None or self._cut_off:
                raise self._send_error()
            # Whoever receives reads the pong too.
            await self._read_more(self._read_once)

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Close and free the socket; see ``WebSocket.aclose``.

        While another task is inside ``send_text``, the close frame goes behind its message.
        """
        if self._state is State.OFFERED:
            await self.reject()
            return
        if self._state is State.OPEN:
            self._state = State.CLOSED
            self._wake_all()
            try:
                if not self._cut_off and self._protocol.state is ProtocolState.OPEN:
                    # It may be freed meanwhile, by who owns it.
                    gone = (trio.BrokenResourceError, trio.ClosedResourceError)
                    with trio.move_on_after(CLOSE_TIMEOUT), suppress(*gone):
                        await self._close_politely(code, reason)
            finally:
                self.free()
        await trio.lowlevel.checkpoint()

    def free(self) -> None:
        """Close the socket at once, under whoever waits for it."""
        if self._socket.fileno() >= 0:
            self._wake_all()
            self._socket.close()

    async def _close_politely(self, code: int, reason: str) -> None:
        self._protocol.send_close(code, reason)
        await self._send_all()
        while self._end is None:
            await trio.lowlevel.wait_readable(self._socket)
            self._read()
            self._texts.clear()  # nobody is to receive them

    # Reading.

    async def _read_more(self, read: Callable[[float], bool]) -> None:
        """Call ``read`` when there is something, until it returns True; or wait for who does so.

        Raises:
            trio.ClosedResourceError: we closed meanwhile.
        """
        if self._is_reading:
            await self._was_read.park()
            return
        self._is_reading = True
        try:
            await self._readiness.read_each(self._socket, read)
        except trio.ClosedResourceError:
            self._check_open()
            raise
        finally:
            self._is_reading = False
            self._tell_read()

    def _tell_read(self) -> None:
        """Wake who waits for what another task reads, or for that to be in vain."""
        if self._was_read:
            self._was_read.unpark_all()

    def _read_once(self, _: float) -> bool:
        if self._state is _OPEN:
            self._read()
        return True

    def _read(self) -> None:
        """Take what the kernel has; nothing may be there."""
        try:
            data = self._socket.recv(_RECEIVE_SIZE_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self._protocol.receive_data(data)
            self.take_events(self._protocol.events_received())
            if self._protocol.parser_exc is not None and self._end is None:
                close = self._protocol.close_sent
                self._note_end(None if close is None else int(close.code), "")
        else:
            self._protocol.receive_eof()
            self._note_end(None, "")
        if self._protocol.writes:
            self._answer()

    def _answer(self) -> None:
        """Send a pong, or the answer to a close frame.

        While much is unsent no ping is answered: a peer that pings and does not read would have us
        keep all pongs.
        """
        if len(self._unsent) > _MAX_UNSENT_BYTES and self._protocol.state is ProtocolState.OPEN:
            self._protocol.data_to_send()
        else:
            self._try_send()

    def take_events(self, events: list[Frame | Request | Response]) -> None:
        """Take frames, which may have come with the handshake."""
        for frame in events:
            if not isinstance(frame, Frame):
                continue
            opcode = frame.opcode
            if opcode is _TEXT and frame.fin:
                self._texts.append(str(frame.data, "utf-8", "replace"))
            elif opcode is _TEXT or opcode is Opcode.BINARY or opcode is Opcode.CONT:
                self._take_data(frame)
            elif opcode is Opcode.PONG:
                self._take_pong(bytes(frame.data))
            elif opcode is Opcode.CLOSE:
                received = self._protocol.close_rcvd
                code = NO_STATUS if received is None else int(received.code)
                self._note_end(code, "" if received is None else received.reason)

    def _take_data(self, frame: Frame) -> None:
        if frame.data:  # of empty ones there may be any number
            self._fragments.append(bytes(frame.data))
        if frame.fin:
            self._texts.append(b"".join(self._fragments).decode("utf-8", "replace"))
            self._fragments.clear()

    def _take_pong(self, payload: bytes) -> None:
        if payload.isdigit():
            self._last_pong = max(self._last_pong, int(payload))
            self._tell_read()

    def _note_end(self, code: int | None, reason: str) -> None:
        if self._end is None:
            self._end = (code, reason)

    # Writing.

    def _try_send(self) -> None:
        """Give the kernel what it takes of all that is to be sent, in order."""
        self._unsent += b"".join(self._protocol.data_to_send())
        if self._unsent:
            self._unsent = self._unsent[self._give(self._unsent) :]

    def _give(self, data: bytes) -> int:
        """Give the kernel what it takes of this; return how much is done with, all if it failed."""
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            # What was received before is still to be read: it may hold the end in order.
            self._cut_off = self._has_failed = True
            self._tell_read()
            return len(data)

    async def _send_all(self) -> None:
        """Send all that is to be sent; a checkpoint.

        Raises:
            trio.BrokenResourceError: the peer is gone, or we closed meanwhile.
        """
        if self._is_sending:
            # Whoever sends takes this along.
            self._unsent += b"".join(self._protocol.data_to_send())
            while self._is_sending:
                await self._sent.park()
        self._is_sending = True
        try:
            self._try_send()
            if not self._unsent:
                await trio.lowlevel.cancel_shielded_checkpoint()
            while self._unsent:
                await trio.lowlevel.wait_writable(self._socket)
                self._try_send()
        except trio.ClosedResourceError:
            raise closed_error() from None
        finally:
            self._is_sending = False
            self._sent.unpark_all()
        if self._has_failed or (self._end is not None and self._end[0] is None):
            raise cannot_send_error()

    def _check_open(self) -> None:
        if self._state is _OPEN:
            return
        if self._state is State.CLOSED:
            raise closed_error()
        raise LocalProtocolError("accept the handshake first")

    def _check_can_send(self) -> None:
        self._check_open()
        if self._cut_off or self._protocol.state is not ProtocolState.OPEN:
            raise cannot_send_error()

    def _send_error(self) -> Exception:
        return closed_error() if self._state is State.CLOSED else cannot_send_error()

    def _wake_all(self) -> None:
        """Have all who wait for this socket find that it is closed."""
        self._readiness.wake(self._socket)


class _Taking(Generic[T]):
    """One ``receive_each``: where its messages go, and what came of that.

    Attributes:
        result: None while more are wanted.
    """

    __slots__ = ("_take", "_websocket", "result")

    def __init__(self, websocket: SocketWebSocket, take: Callable[[str, float], T | None]) -> None:
        self.result: T | None = None
        self._websocket = websocket
        self._take = take

    def take_waiting(self, now: float) -> bool:
        """Give what was read; return whether that is enough."""
        texts = self._websocket._texts
        while texts and self.result is None:
            self.result = self._take(texts.pop(0), now)
        return self.result is not None

    def read(self, now: float) -> bool:
        """Read and give what came; return whether there is no more to be done."""
        websocket = self._websocket
        if websocket._state is not _OPEN:
            return True
        websocket._read()
        return self.take_waiting(now) or websocket._end is not None


@asynccontextmanager
async def open_socket_websocket(
    sock: socket.socket,
    received: bytes = b"",
    *,
    max_message_size_bytes: int = MAX_MESSAGE_SIZE_BYTES,
    handshake_timeout: float = 10.0,
    readiness: Readiness | None = None,
) -> AsyncGenerator[SocketWebSocket, None]:
    """Read a WebSocket handshake from a socket; the body accepts or rejects it.

    As ``open_server_websocket``, for sockets without TLS.

    Args:
        sock: connected, non-blocking; owned from now on, also if the handshake fails.
        received: what was read from it before.
        max_message_size_bytes: a larger message ends the connection with code 1009.
        handshake_timeout: seconds for the request to be complete.
        readiness: tells when there is something to read; None for as soon as there is.

    Raises:
        RemoteProtocolError: what came is no WebSocket handshake, or was not complete in time.
        trio.BrokenResourceError: the peer went away before its handshake was complete.
        What the body raises leaves as itself.
    """
    protocol = ServerProtocol(max_size=max_message_size_bytes, logger=_SILENT)
    try:
        with trio.move_on_after(handshake_timeout) as scope:
            events = await _receive_handshake(sock, protocol, received)
        if scope.cancelled_caught:
            raise RemoteProtocolError("WebSocket handshake not complete in time")
        request = events[0]
        assert isinstance(request, Request)
        response = protocol.accept(request)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            protocol.send_response(response)
            with suppress(OSError):
                sock.send(b"".join(protocol.data_to_send()))
            raise RemoteProtocolError("not a WebSocket handshake")
        websocket = SocketWebSocket(sock, protocol, request, response, readiness or Immediate())
        websocket.take_events(events[1:])
        code = INTERNAL_ERROR
        try:
            yield websocket
            code = NORMAL_CLOSURE
        finally:
            try:
                await websocket.aclose(code)
            finally:
                websocket.free()  # if another task is closing it politely
    finally:
        sock.close()


async def _receive_handshake(
    sock: socket.socket, protocol: ServerProtocol, received: bytes
) -> list[Frame | Request | Response]:
    if received:
        protocol.receive_data(received)
    while True:
        events = protocol.events_received()
        if events:
            return events
        if protocol.handshake_exc is not None:
            with suppress(OSError):
                sock.send(b"".join(protocol.data_to_send()))
            raise RemoteProtocolError("not a WebSocket handshake")
        await trio.lowlevel.wait_readable(sock)
        try:
            data = sock.recv(_RECEIVE_SIZE_BYTES)
        except BlockingIOError:
            continue
        except OSError:
            data = b""
        if not data:
            raise trio.BrokenResourceError("the peer went away during the WebSocket handshake")
        protocol.receive_data(data)


def _itself(text: str, _: float) -> str:
    return text


@lru_cache(maxsize=256)
def _text_header(size_bytes: int) -> bytes:
    """Return what ``websockets`` puts in front of a text of this size; media have few sizes."""
    frame = Frame(_TEXT, bytes(size_bytes)).serialize(mask=False)
    return frame[: len(frame) - size_bytes]
