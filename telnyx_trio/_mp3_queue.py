"""What leaves next in mp3 mode, and when: whole files, marks behind them, ``clear`` before all.

No I/O and no clock here, as in ``_outbox``, which does the same for real-time audio.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Final

from ._playout import Playout
from .protocol import SendClear, SendMark, SendMedia

MP3_INTERVAL: Final = 1.1
"""Seconds between two files. Telnyx takes one a second and answers more with error 100005
(developers.telnyx.com, "Media streaming over WebSockets"); on the way to it they may bunch up."""


class Mp3Queue:
    """Orders and paces the files and marks of one stream.

    Args:
        playout: remembers the marks that are under way.

    Attributes:
        files_sent: files handed out by ``next``.
    """

    def __init__(self, playout: Playout) -> None:
        self._playout = playout
        self._queue: deque[SendMedia | SendMark] = deque()
        self._urgent: deque[SendMark | SendClear] = deque()
        self._next_file_at = -inf
        self.files_sent = 0

    def __len__(self) -> int:
        """Return how many files and marks wait."""
        return len(self._queue)

    def put_file(self, content: bytes) -> None:
        """Queue a file behind all that was put before."""
        self._queue.append(SendMedia(content))

    def put_mark(self, name: str) -> None:
        """Queue a mark behind all that was put before."""
        self._queue.append(SendMark(name))

    def clear(self) -> None:
        """Drop the files that wait, and have ``clear`` sent next; marks go before it."""
        for item in self._queue:
            if isinstance(item, SendMark):
                self._urgent.append(item)
        self._queue.clear()
        if not self._urgent or isinstance(self._urgent[-1], SendMark):
            self._urgent.append(SendClear())

    def next(self, now: float) -> SendMedia | SendMark | SendClear | float:
        """Return what to send now, or in how many seconds to ask again (inf: when more is put)."""
        if self._urgent:
            return self._hand_out(self._urgent.popleft(), now)
        if not self._queue:
            return inf
        if isinstance(self._queue[0], SendMedia):
            # Rounded: a wait too small to move the clock would be asked for again and again.
            wait = round(self._next_file_at - now, 9)
            if wait > 0:
                return wait
        return self._hand_out(self._queue.popleft(), now)

    def written(self, now: float) -> None:
        """Note that the file last handed out has been written, which may take long."""
        self._next_file_at = now + MP3_INTERVAL

    def _hand_out(
        self, item: SendMedia | SendMark | SendClear, now: float
    ) -> SendMedia | SendMark | SendClear:
        if isinstance(item, SendMark):
            self._playout.mark_sent(item.name, now)
        elif isinstance(item, SendClear):
            self._playout.clear(now)
        else:
            self.files_sent += 1
        return item
