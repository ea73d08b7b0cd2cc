"""Adapter for trio-websocket's connections and unaccepted requests.

What trio-websocket 0.12 does, and what is done about it here:

- Its ``aclose`` waits without bound for the peer's close frame: a deadline runs beside it.
- Its ``aclose`` returns at once, with the socket open, when the peer went first: whoever hands over
  the stream has it closed in any case.
- A send that is cancelled leaves half a message on the wire: from then on there is only closing,
  without a close frame that would land inside that message.
- A ``ping`` that waits for its pong is not woken when the connection ends: it waits in a cancel
  scope of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest

from .._errors import LocalProtocolError
from ._seam import CLOSE_TIMEOUT
from ._state import FORBIDDEN, State, cannot_send_error, closed_error, end_error


class TrioWebSocket:
    """A trio-websocket connection (server's or client's), or a request that is not answered yet.

    Without ``stream`` the socket is freed through trio-websocket, which has no way to free it once
    the peer has closed or vanished, or when an unanswered request is given up; it is then up to the
    garbage collector. ``open_server_websocket`` and ``open_client_websocket`` do not have that gap.

    Args:
        connection: what trio-websocket hands out; its reader task is running.
        stream: the transport below, owned from now on.

    Attributes:
        path: the requested path with its query; it may hold a token.
        headers: of the request (server) or of the answer (client), names in lower case.
    """

    def __init__(
        self,
        connection: WebSocketConnection | WebSocketRequest,
        *,
        stream: trio.abc.Stream | None = None,
    ) -> None:
        self._request: WebSocketRequest | None = None
        self._connection: WebSocketConnection | None = None
        if isinstance(connection, WebSocketRequest):
            self._request = connection
            self._state = State.OFFERED
            headers = connection.headers
        else:
            self._connection = connection
            self._state = State.OPEN
            headers = list(connection.handshake_headers)
        self.path = connection.path or ""
        self.headers = [(bytes(name).lower(), bytes(value)) for name, value in headers]
        self._stream = stream
        self._cut_off = False  # a send was cancelled, perhaps inside its message
        self._reader_has_ended = False
        self._waiting_for_reader: set[trio.CancelScope] = set()

    @property
    def close_code(self) -> int | None:
        """The code the connection was closed with, 1006 without a close frame; None while open."""
        closed = self._connection.closed if self._connection is not None else None
        return closed.code if closed is not None else None

    async def accept(self) -> None:
        """Accept the handshake; see ``WebSocket.accept``."""
        await trio.lowlevel.checkpoint()
        if self._state is State.CLOSED:
            raise closed_error()
        if self._request is None or self._state is State.OPEN:
            return
        try:
            self._connection = await self._request.accept()
        except Exception as error:
            # ConnectionClosed, or the words in which wsproto and h11 refuse what a peer that sent
            # more than its handshake has made impossible.
            raise end_error(None) from error
        self._state = State.OPEN

    async def reject(self, status: int = FORBIDDEN, body: bytes = b"") -> None:
        """Answer the handshake with an HTTP error and free the socket.

        Raises:
            LocalProtocolError: the handshake was answered already.
        Blocks: at most CLOSE_TIMEOUT.  Cancelled: the socket is freed, perhaps without the answer.
        """
        if self._request is None or self._state is not State.OFFERED:
            raise LocalProtocolError("only a handshake that is not answered yet can be rejected")
        self._state = State.CLOSED
        try:
            # The same errors as in accept, and wsproto's own if an accept was cut off: there is
            # nobody to reject any more.
            with trio.move_on_after(CLOSE_TIMEOUT), suppress(Exception):
                await self._request.reject(status, body=body)
        finally:
            await self._free()
        await trio.lowlevel.checkpoint()

    async def receive_text(self) -> str:
        """Return the next message; see ``WebSocket.receive_text``."""
        connection = self._get_connection()
        try:
            message = await connection.get_message()
        except ConnectionClosed as error:
            if self._state is State.CLOSED:
                raise closed_error() from None
            self.note_reader_ended()
            closed = error.reason
            code, reason = (closed.code, closed.reason) if closed is not None else (None, None)
            raise end_error(code, reason) from None
        if self._state is State.CLOSED:
            raise closed_error()
        return message if isinstance(message, str) else message.decode("utf-8", "replace")

    async def send_text(self, text: str) -> None:
        """Send one message; see ``WebSocket.send_text``."""
        # A scope that is cancelled already must not count as a message cut off.
        await trio.lowlevel.checkpoint_if_cancelled()
        connection = self._get_connection()
        if self._cut_off:
            raise cannot_send_error()
        try:
            await connection.send_message(text)
        except ConnectionClosed:
            raise self._send_error() from None
        except BaseException:
            self._cut_off = True
            raise

    async def ping(self) -> None:
        """Wait for a pong; see ``WebSocket.ping``."""
        connection = self._get_connection()
        if self._cut_off:
            raise cannot_send_error()
        with self._until_reader_ends():
            try:
                await connection.ping()
            except ConnectionClosed:
                raise self._send_error() from None
            return
        raise self._send_error()

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Close and free the socket; see ``WebSocket.aclose``.

        While another task is inside ``send_text``, the close frame waits for that message to be
        out, within CLOSE_TIMEOUT.
        """
        if self._state is State.OFFERED:
            await self.reject()
            return
        if self._state is State.OPEN and self._connection is not None:
            self._state = State.CLOSED
            self._wake()
            try:
                if not self._cut_off:
                    with trio.move_on_after(CLOSE_TIMEOUT), self._until_reader_ends():
                        await self._connection.aclose(code, reason or None)
            finally:
                await self._free()
        await trio.lowlevel.checkpoint()

    def note_reader_ended(self) -> None:
        """Take note that trio-websocket reads no more, so that nobody waits for the peer."""
        self._reader_has_ended = True
        self._wake()

    def _get_connection(self) -> WebSocketConnection:
        if self._state is State.CLOSED:
            raise closed_error()
        if self._connection is None:
            raise LocalProtocolError("accept the handshake first")
        return self._connection

    def _send_error(self) -> Exception:
        return closed_error() if self._state is State.CLOSED else cannot_send_error()

    @contextmanager
    def _until_reader_ends(self) -> Iterator[None]:
        with trio.CancelScope() as scope:
            if self._reader_has_ended:
                scope.cancel()
            self._waiting_for_reader.add(scope)
            try:
                yield
            finally:
                self._waiting_for_reader.discard(scope)

    def _wake(self) -> None:
        for scope in self._waiting_for_reader:
            scope.cancel()

    async def _free(self) -> None:
        """Close the socket without waiting for anyone, and let trio-websocket's reader end."""
        connection = self._connection
        with trio.CancelScope(shield=True):
            if self._stream is not None:
                with suppress(trio.BrokenResourceError):
                    await trio.aclose_forcefully(self._stream)
            elif connection is not None:
                # Cancelled at its first await, it goes straight to closing the stream.
                with trio.CancelScope() as scope:
                    scope.cancel()
                    await connection.aclose()
            if connection is not None:
                # The reader may be stuck handing over a message that nobody will take; with the
                # socket closed it has at most one buffer of them left.
                with trio.move_on_after(CLOSE_TIMEOUT), suppress(ConnectionClosed):
                    while True:
                        await connection.get_message()
