"""What the adapters share whose socket belongs to somebody else's server.

The server moves the bytes and closes the socket once its handler has returned. Here are the rules
of the seam: states, what may still be called, and one error for each way it can end.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial

import trio

from .._errors import LocalProtocolError
from ._seam import CLOSE_TIMEOUT
from ._state import ABNORMAL_CLOSURE, State, cannot_send_error, closed_error, end_error

_logger = logging.getLogger(__name__)


class PeerClosed(Exception):
    """A server reports that the peer has closed or vanished."""

    def __init__(self, code: int | None, reason: str | None) -> None:
        self.code = code
        self.reason = reason
        super().__init__(code, reason)


class ServedWebSocket(ABC):
    """A WebSocket that a server of some kind holds; subclasses say how to speak to that server.

    The four underscored methods below may raise PeerClosed; any other Exception of theirs counts as
    a broken connection, because servers raise what they like (hypercorn an UnexpectedMessageError,
    uvicorn an OSError, Starlette a RuntimeError).

    Attributes:
        path: the requested path with its query; it may hold a token.
        headers: of the request, names in lower case.
    """

    def __init__(self, path: str, headers: list[tuple[bytes, bytes]], state: State) -> None:
        self.path = path
        self.headers = headers
        self._state = state
        self._can_send = True  # until the peer is gone, or a send failed or was cancelled
        self._end: tuple[int | None, str | None] | None = None
        self._receiving: trio.CancelScope | None = None

    @abstractmethod
    async def _accept(self) -> None: ...

    @abstractmethod
    async def _receive(self) -> str: ...

    @abstractmethod
    async def _send(self, text: str) -> None: ...

    @abstractmethod
    async def _close(self, code: int, reason: str) -> None: ...

    async def accept(self) -> None:
        """Accept the handshake; see ``WebSocket.accept``."""
        await trio.lowlevel.checkpoint()
        if self._state is State.CLOSED:
            raise closed_error()
        if self._state is State.OFFERED:
            try:
                await self._accept()
            except Exception as error:
                self._note_end(error)
                raise end_error(None) from error
            self._state = State.OPEN

    async def receive_text(self) -> str:
        """Return the next message; see ``WebSocket.receive_text``."""
        await trio.lowlevel.checkpoint()
        self._check_open()
        if self._end is not None:
            raise end_error(*self._end)
        with trio.CancelScope() as self._receiving:
            try:
                return await self._receive()
            except PeerClosed as closed:
                self._note_end(closed)
                raise end_error(closed.code, closed.reason) from None
            except Exception as error:
                self._note_end(error)
                raise end_error(None) from error
        raise closed_error()  # aclose has cancelled the scope

    async def send_text(self, text: str) -> None:
        """Send one message; see ``WebSocket.send_text``.

        Once the peer is known to be gone it raises without asking the server: a send after the
        close can bring down hypercorn's worker (seen with 0.18).
        """
        await trio.lowlevel.checkpoint()
        self._check_open()
        if not self._can_send:
            raise cannot_send_error()
        try:
            await self._send(text)
        except Exception as error:
            self._can_send = False
            raise cannot_send_error() from error
        except BaseException:
            self._can_send = False
            raise

    async def ping(self) -> None:
        """Return: a server keeps its pings to itself; see ``WebSocket.ping``."""
        await trio.lowlevel.checkpoint()
        self._check_open()
        if not self._can_send:
            raise cannot_send_error()

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Ask the server to close; see ``WebSocket.aclose``.

        The server waits for the peer's close frame, not this method. The server frees the socket
        when its handler returns; after a send that was cancelled that is also what closes.
        """
        if self._state is not State.CLOSED:
            self._state = State.CLOSED
            if self._receiving is not None:
                self._receiving.cancel()
            if self._can_send:
                await self._say_last(partial(self._close, code, reason))
        await trio.lowlevel.checkpoint()

    async def _say_last(self, say: Callable[[], Awaitable[None]]) -> None:
        """Tell the server the last thing it hears of us; whether it listens is its affair."""
        with trio.move_on_after(CLOSE_TIMEOUT):
            try:
                await say()
            except Exception as error:
                _logger.debug("closing failed: %s", type(error).__name__)

    def _check_open(self) -> None:
        if self._state is State.CLOSED:
            raise closed_error()
        if self._state is State.OFFERED:
            raise LocalProtocolError("accept the handshake first")

    def _note_end(self, error: Exception) -> None:
        self._can_send = False
        if isinstance(error, PeerClosed):
            self._end = (error.code, error.reason)
        else:
            self._end = (ABNORMAL_CLOSURE, None)
