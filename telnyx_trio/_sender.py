"""The send side of a media stream: many tasks give, one task writes.

Givers wait here for room; ``run`` asks the outbox what leaves next and when, and writes it. Nobody
else writes, and nothing but the end of the stream cancels that task: half a WebSocket message on
the wire spoils all that follow.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from typing import Final

import trio

from ._errors import LocalProtocolError
from ._outbox import Outbox
from ._playout import MAX_MARKS
from ._types import ByteOrder
from .audio import PcmData
from .protocol import Command, SendMedia

MAX_SEND_QUEUE: Final = 2.0
"""Seconds of audio that may wait to be converted before ``send_audio`` waits."""


class Sender:
    """Takes what is to be sent, keeps it within bounds, and writes it.

    Args:
        outbox: orders and paces it.
        check_open: raises when the stream has ended.
    """

    def __init__(self, outbox: Outbox, check_open: Callable[[], None]) -> None:
        self._outbox = outbox
        self._check_open = check_open
        self._n_clears = 0
        # Trio shuffles tasks that wake together; audio must keep the order in which it was given.
        self._turn = trio.StrictFIFOLock()
        self._room = trio.lowlevel.ParkingLot()
        self._more = trio.lowlevel.ParkingLot()

    async def send_audio(self, pcm: PcmData) -> None:
        """Queue audio; see ``MediaStream.send_audio``."""
        n_clears = self._n_clears
        async with self._turn:
            self._check_open()
            while self._outbox.queued >= MAX_SEND_QUEUE:
                await self._room.park()
                self._check_open()
            if pcm.n_samples and n_clears == self._n_clears:
                self._outbox.put_audio(_copy(pcm))
                self._wake_writer()

    async def send_mark(self, name: str) -> None:
        """Queue a mark; see ``MediaStream.send_mark``."""
        await trio.lowlevel.checkpoint()
        self._check_open()
        check_mark_name(name)
        while self._outbox.marks_queued >= MAX_MARKS:
            await self._room.park()
            self._check_open()
        self._outbox.put_mark(name)
        self._wake_writer()

    async def clear(self) -> None:
        """Drop what waits and stop playback; see ``MediaStream.clear``."""
        self._check_open()
        self._outbox.clear(trio.current_time())
        self._n_clears += 1
        self.wake_givers()
        self._wake_writer()
        await trio.lowlevel.checkpoint()

    def wake_givers(self) -> None:
        """Have all who wait for room look again: there is some, or the stream has ended."""
        if self._room:
            self._room.unpark_all()

    async def run(
        self,
        send: Callable[[Command], Awaitable[None]],
        choose_byteorder: Callable[[], ByteOrder],
    ) -> None:
        """Write until cancelled.

        Args:
            send: writes one message.
            choose_byteorder: says in which order L16 is to leave now.
        """
        outbox = self._outbox
        while True:
            outbox.byteorder = choose_byteorder()
            outbox.fill(trio.current_time())
            step = outbox.next(trio.current_time())
            if outbox.queued < MAX_SEND_QUEUE:
                self.wake_givers()
            if not isinstance(step, float):
                await send(step)
                if isinstance(step, SendMedia):
                    outbox.written(trio.current_time())
            elif step == inf:
                await self._more.park()
            else:
                with trio.move_on_after(step):
                    await self._more.park()

    def _wake_writer(self) -> None:
        if self._more:
            self._more.unpark()


def _copy(pcm: PcmData) -> PcmData:
    return PcmData(
        sample_rate=pcm.sample_rate,
        format=pcm.format,
        samples=pcm.samples.copy(),
        channels=pcm.channels,
    )


def check_mark_name(name: str) -> None:
    """Refuse a name that no message can carry.

    Raises:
        LocalProtocolError: it is empty, or cannot be written as UTF-8.
    """
    if not name or name != name.encode("utf-8", "replace").decode():
        raise LocalProtocolError("a mark needs a name that can be written as UTF-8")
