"""A pair of WebSockets in memory: the seam without sockets, so that MockClock can run it.

Each end keeps the promises of ``WebSocket``. Beyond them an end can misbehave: ``stall`` makes it a
peer that reads nothing and answers nothing, ``vanish`` one that is gone without a close frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import trio

from .._errors import LocalProtocolError
from .._websocket import WebSocketRejected
from .._websocket._seam import CLOSE_TIMEOUT
from .._websocket._state import (
    ABNORMAL_CLOSURE,
    FORBIDDEN,
    State,
    cannot_send_error,
    closed_error,
    end_error,
)


def memory_websocket_pair(
    *,
    path: str = "/",
    headers: Sequence[tuple[bytes, bytes]] = (),
    max_messages: int = 1000,
) -> tuple[MemoryWebSocket, MemoryWebSocket]:
    """Connect two WebSockets.

    Args:
        path: what the client requests, with its query.
        headers: of the request, names in lower case.
        max_messages: that wait in one direction before a sender blocks, at least 1.

    Returns:
        The client's end and the server's end. The server's handshake is not answered yet; its first
        receive or send accepts it, if ``accept`` was not called.
    """
    if max_messages < 1:
        raise ValueError("max_messages must be at least 1")
    client = MemoryWebSocket(State.OPEN, path, headers, max_messages)
    server = MemoryWebSocket(State.OFFERED, path, headers, max_messages)
    client.connect(server)
    server.connect(client)
    return client, server


class MemoryWebSocket:
    """One end of a pair; see ``memory_websocket_pair``.

    What was sent before the end is received before the end is told, as with TCP.

    Attributes:
        path: the requested path with its query.
        headers: of the request.
    """

    _peer: MemoryWebSocket

    def __init__(
        self,
        state: State,
        path: str,
        headers: Sequence[tuple[bytes, bytes]],
        max_messages: int,
    ) -> None:
        self.path = path
        self.headers = list(headers)
        self._state = state
        self._max_messages = max_messages
        self._messages: deque[str] = deque()  # for this end to receive
        self._end: tuple[int, str] | None = None  # how the peer ended it
        self._rejected_with: int | None = None
        self._cut_off = False  # a send was cancelled while it waited
        self._stalled = False
        # Whoever waits for anything of this end or its peer waits here and looks again.
        self._receivers = trio.lowlevel.ParkingLot()
        self._others = trio.lowlevel.ParkingLot()

    def connect(self, peer: MemoryWebSocket) -> None:
        """Make ``peer`` the other end."""
        self._peer = peer

    @property
    def close_code(self) -> int | None:
        """The code that the peer ended it with, 1006 without a close frame; None while it is up."""
        return self._end[0] if self._end is not None else None

    async def accept(self) -> None:
        """Accept the handshake; see ``WebSocket.accept``."""
        await trio.lowlevel.checkpoint()
        if self._state is State.CLOSED:
            raise closed_error()
        if self._state is State.OFFERED:
            if self._end is not None:
                raise end_error(ABNORMAL_CLOSURE)
            self._accept_now()

    async def wait_accepted(self) -> None:
        """Wait until the server's end has accepted the handshake.

        Raises:
            WebSocketRejected: it rejected it. trio.BrokenResourceError: it vanished.
            trio.ClosedResourceError: you closed this end.
        """
        await trio.lowlevel.checkpoint()
        while self._peer._state is State.OFFERED and self._state is not State.CLOSED:
            await self._others.park()
        if self._state is State.CLOSED:
            raise closed_error()
        if self._rejected_with is not None:
            raise WebSocketRejected(self._rejected_with)
        if self._end is not None and self._end[0] == ABNORMAL_CLOSURE:
            raise end_error(ABNORMAL_CLOSURE)

    async def reject(self, status: int = FORBIDDEN, body: bytes = b"") -> None:
        """Answer the handshake with an HTTP error; the body is dropped.

        Raises:
            LocalProtocolError: the handshake was answered already.
        """
        if self._state is not State.OFFERED:
            raise LocalProtocolError("only a handshake that is not answered yet can be rejected")
        self._peer._rejected_with = status
        self._end_now(ABNORMAL_CLOSURE, "")
        await trio.lowlevel.checkpoint()

    async def receive_text(self) -> str:
        """Return the next message; see ``WebSocket.receive_text``."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while True:
            self._check_open()
            if not self._stalled:
                if self._messages:
                    break
                if self._rejected_with is not None:
                    raise WebSocketRejected(self._rejected_with)
                if self._end is not None:
                    raise end_error(*self._end)
            await self._receivers.park()
        text = self._messages.popleft()
        self._peer._others.unpark_all()
        await trio.lowlevel.cancel_shielded_checkpoint()
        return text

    async def send_text(self, text: str) -> None:
        """Send one message; see ``WebSocket.send_text``."""
        await trio.lowlevel.checkpoint_if_cancelled()
        waiting = self._peer._messages
        while True:
            self._check_open()
            if self._end is not None or self._cut_off:
                raise cannot_send_error()
            if len(waiting) < self._max_messages:
                break
            try:
                await self._others.park()
            except trio.Cancelled:
                self._cut_off = True
                raise
        waiting.append(text)
        self._peer._receivers.unpark_all()
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def ping(self) -> None:
        """Wait until the peer is there and not stalled; see ``WebSocket.ping``."""
        await trio.lowlevel.checkpoint()
        while True:
            self._check_open()
            if self._end is not None or self._cut_off:
                raise cannot_send_error()
            if not self._peer._stalled:
                return
            await self._others.park()

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Close; see ``WebSocket.aclose``. Only a stalled peer makes it wait."""
        if self._state is State.OFFERED:
            await self.reject()
            return
        if self._state is State.OPEN:
            peer_is_there = self._end is None
            if self._cut_off:
                self._end_now(ABNORMAL_CLOSURE, "")
            else:
                self._end_now(code, reason)
                if peer_is_there:
                    with trio.move_on_after(CLOSE_TIMEOUT):
                        while self._peer._stalled and self._peer._state is State.OPEN:
                            await self._others.park()
        await trio.lowlevel.checkpoint()

    def vanish(self) -> None:
        """End without a close frame, as if the machine had lost its power. Idempotent."""
        if self._state is not State.CLOSED:
            self._end_now(ABNORMAL_CLOSURE, "")

    def stall(self) -> None:
        """Read nothing and answer neither pings nor a close frame, until ``resume``."""
        self._stalled = True

    def resume(self) -> None:
        """Be a responsive peer again."""
        self._stalled = False
        self._wake()

    def _check_open(self) -> None:
        if self._state is State.CLOSED:
            raise closed_error()
        if self._state is State.OFFERED and self._end is None:
            self._accept_now()

    def _accept_now(self) -> None:
        self._state = State.OPEN
        self._wake()

    def _end_now(self, code: int, reason: str) -> None:
        self._state = State.CLOSED
        self._messages.clear()
        if self._peer._end is None:
            self._peer._end = (code, reason)
        self._wake()

    def _wake(self) -> None:
        for end in (self, self._peer):
            end._receivers.unpark_all()
            end._others.unpark_all()
