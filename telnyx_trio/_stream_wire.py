"""Where the messages of a media stream go: to its WebSocket, while the stream is under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import trio

from ._websocket import CLOSE_TIMEOUT, InlineWebSocket, WebSocket
from .protocol import Command, MediaConnection

_LAST_MESSAGE_TIMEOUT: Final = 0.1
"""Seconds that the message being written gets at the end; a peer that reads takes far less."""


class StreamWire:
    """Writes commands as messages. One task may be in ``send`` or ``flush`` at a time.

    Args:
        websocket: where to.
        connection: spells the messages, and knows whether the stream is under way.
    """

    __slots__ = ("_connection", "_inline", "_is_writing", "_websocket", "_written")

    def __init__(self, websocket: WebSocket, connection: MediaConnection) -> None:
        self._websocket = websocket
        self._inline = websocket if isinstance(websocket, InlineWebSocket) else None
        self._connection = connection
        self._is_writing = False
        self._written = trio.lowlevel.ParkingLot()

    async def send(self, command: Command) -> None:
        """Write one message; after ``stop`` this waits to be cancelled.

        Raises:
            trio.BrokenResourceError: the socket is gone, and for ``CLOSE_TIMEOUT`` nobody has found
                a ``stop`` in what was received before.
        """
        if not self._connection.is_started:
            # `stop` came in the turn in which this task woke, and will have it cancelled.
            await trio.sleep_forever()
        await self._write(partial(self._websocket.send_text, self._connection.send(command)))

    async def _write(self, write: Callable[[], Awaitable[None]]) -> None:
        self._is_writing = True
        try:
            await _let_receiver_tell(write)
        finally:
            self._is_writing = False
            self._written.unpark_all()

    def send_nowait(self, command: Command) -> int | None:
        """Write one message at once, if the WebSocket can and the stream is under way.

        Returns:
            As ``InlineWebSocket.send_text_nowait``.
        """
        if self._inline is None or not self._connection.is_started:
            return None
        return self._inline.send_text_nowait(self._connection.send(command))

    @property
    def has_unsent(self) -> bool:
        """Whether the transport has yet to take something."""
        return self._inline is not None and self._inline.has_unsent

    def call_between(self, earliest: float, latest: float, call: Callable[[float], None]) -> bool:
        """Have ``call`` called once in this time, if a tick will; see ``Readiness``."""
        return self._inline is not None and self._inline.call_between(earliest, latest, call)

    async def flush(self) -> None:
        """Wait until the transport has taken all.

        Raises:
            As ``send``.
        """
        assert self._inline is not None
        await self._write(self._inline.flush)

    async def ping(self) -> None:
        """Wait for a pong. May be called beside ``send``.

        Raises:
            trio.BrokenResourceError: as ``send``.
        """
        await _let_receiver_tell(self._websocket.ping)

    async def wait_written(self) -> None:
        """Wait until no message is half written: behind one, no close frame can be sent."""
        with trio.move_on_after(_LAST_MESSAGE_TIMEOUT):
            while self._is_writing:
                await self._written.park()


async def _let_receiver_tell(write: Callable[[], Awaitable[None]]) -> None:
    """Call ``write``; what breaks it is raised late, as it is the receive loop that is to tell.

    What was received before may hold a `stop`, which makes this a normal end. That loop finds the
    end by itself, unless only one direction is broken.
    """
    try:
        await write()
    except trio.BrokenResourceError:
        await trio.sleep(CLOSE_TIMEOUT)
        raise
