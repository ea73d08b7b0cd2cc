"""The WebSocket seam: the little that a media stream needs of a WebSocket, whoever provides it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeVar, runtime_checkable

import trio

T = TypeVar("T")

CLOSE_TIMEOUT: Final = 1.0
"""Seconds that ``aclose`` waits for the peer's close frame. The media is over by then; one round
trip to a live peer takes far less, and a dead one never answers."""


class WebSocket(Protocol):
    """One WebSocket that carries text messages.

    One task may receive while another sends; two tasks must not do the same at a time. Every method
    is a checkpoint.
    """

    async def accept(self) -> None:
        """Accept the handshake; does nothing on a WebSocket that is open already.

        Raises:
            trio.BrokenResourceError: the peer went away during the handshake.
            trio.ClosedResourceError: you closed it.
        """

    async def receive_text(self) -> str:
        """Return the next message; a binary one is decoded as UTF-8, bad bytes replaced.

        Raises:
            trio.EndOfChannel: the peer closed with a close frame (and again on later calls).
            trio.BrokenResourceError: the peer vanished, or either side ended the connection over a
                breach of the WebSocket protocol (close codes 1002, 1007 and 1009).
            trio.ClosedResourceError: you closed it, before or during this call.
        Blocks: until a message is there.  Cancelled: no message was taken.
        """

    async def send_text(self, text: str) -> None:
        """Send one message.

        Raises:
            trio.BrokenResourceError: the peer closed or vanished, or an earlier ``send_text`` was
                cancelled inside its message.
            trio.ClosedResourceError: you closed it.
        Blocks: while the transport is full.  Cancelled: half a message may be on the wire; the
        WebSocket can then only be closed, and ``aclose`` will not try the close handshake.
        """

    async def ping(self) -> None:
        """Wait until the peer proves that it is alive; where the transport can't tell, return.

        Raises:
            trio.BrokenResourceError: the peer closed or vanished.
            trio.ClosedResourceError: you closed it.
        Cancelled: the WebSocket stays usable.
        """

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Close: send a close frame, wait at most CLOSE_TIMEOUT for the answer, free the socket.

        Before ``accept`` it rejects the handshake (HTTP 403). Idempotent, and raises nothing of the
        peer's doing. The socket is freed also when this is cancelled; then the handshake is not
        waited for.
        """


@runtime_checkable
class InlineWebSocket(WebSocket, Protocol):
    """A WebSocket that can also send at once, without waiting, and hand over what it reads.

    Attributes:
        has_unsent: whether the transport has yet to take something of what was sent.
    """

    @property
    def has_unsent(self) -> bool: ...

    def send_text_nowait(self, text: str) -> int | None:
        """Send one message, if nothing is in its way; not while another task is in ``send_text``.

        Returns:
            None if it was not sent. Else how many bytes the transport has yet to take: these go
            before anything else, and ``flush`` waits for them.
        """

    def call_between(self, earliest: float, latest: float, call: Callable[[float], None]) -> bool:
        """Have ``call`` called once in this time, if a tick will; see ``Readiness``."""

    async def flush(self) -> None:
        """Wait until the transport has taken all that was sent.

        Raises, and cancelled: as ``send_text``.
        """

    async def receive_each(self, take: Callable[[str, float], T | None]) -> T:
        """Give ``take`` each message and when it was read, until it returns something; return that.

        It is called in whichever task reads, in the context of this one, so that this one need not
        be woken for each message.

        Raises:
            As ``receive_text``, and what ``take`` raises.
        Blocks: until it returns something.  Cancelled: no message was lost.
        """


async def receive_each(websocket: WebSocket, take: Callable[[str, float], T | None]) -> T:
    """Give ``take`` each message, and when it came; see ``InlineWebSocket.receive_each``."""
    if isinstance(websocket, InlineWebSocket):
        return await websocket.receive_each(take)
    while True:
        text = await websocket.receive_text()
        result = take(text, trio.current_time())
        if result is not None:
            return result
