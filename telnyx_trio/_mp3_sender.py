"""The send side of a media stream in mp3 mode: many tasks give files, one task writes them.

The same bargain as in ``_sender``: nobody but ``run`` writes, and nothing but the end of the stream
cancels it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from typing import Final

import trio

from ._mp3_queue import Mp3Queue
from ._playout import Playout
from ._sender import check_mark_name
from .audio import require_mp3
from .protocol import Command, SendMedia

MAX_MP3_QUEUE: Final = 16
"""Files and marks that may wait before their givers do. A file may be a megabyte."""


class Mp3Sender:
    """Takes files and marks, keeps them within bounds, and writes them.

    Args:
        playout: remembers the marks that are under way.
        check_open: raises when the stream has ended.
    """

    def __init__(self, playout: Playout, check_open: Callable[[], None]) -> None:
        self._queue = Mp3Queue(playout)
        self._check_open = check_open
        self._n_clears = 0
        # Trio shuffles tasks that wake together; files must keep the order in which they came.
        self._turn = trio.StrictFIFOLock()
        self._room = trio.lowlevel.ParkingLot()
        self._more = trio.lowlevel.ParkingLot()

    @property
    def files_sent(self) -> int:
        """Files that have left."""
        return self._queue.files_sent

    async def send_mp3(self, content: bytes) -> None:
        """Queue a file; see ``MediaStream.send_mp3``."""
        require_mp3(content)
        n_clears = self._n_clears
        async with self._turn:
            await self._wait_room()
            # What was given before a clear is dropped by it, though it was still waiting.
            if n_clears == self._n_clears:
                self._queue.put_file(content)
                self._more.unpark_all()

    async def send_mark(self, name: str) -> None:
        """Queue a mark; see ``MediaStream.send_mark``."""
        check_mark_name(name)
        async with self._turn:
            await self._wait_room()
            self._queue.put_mark(name)
            self._more.unpark_all()

    async def clear(self) -> None:
        """Drop what waits and stop playback; see ``MediaStream.clear``."""
        self._check_open()
        self._queue.clear()
        self._n_clears += 1
        self.wake_givers()
        self._more.unpark_all()
        await trio.lowlevel.checkpoint()

    def wake_givers(self) -> None:
        """Have all who wait for room look again: there is some, or the stream has ended."""
        self._room.unpark_all()

    async def run(self, send: Callable[[Command], Awaitable[None]]) -> None:
        """Write until cancelled.

        Args:
            send: writes one message.
        """
        while True:
            step = self._queue.next(trio.current_time())
            if not isinstance(step, float):
                self.wake_givers()
                await send(step)
                if isinstance(step, SendMedia):
                    self._queue.written(trio.current_time())
            elif step == inf:
                await self._more.park()
            else:
                with trio.move_on_after(step):
                    await self._more.park()

    async def _wait_room(self) -> None:
        self._check_open()
        while len(self._queue) >= MAX_MP3_QUEUE:
            await self._room.park()
            self._check_open()
