"""What a caller says and hears, on one sample clock. Sans-I/O: the time is passed in.

A queue that is played in real time needs no timer to be exact: what arrives is written at once to
the place on the time line where it will be heard, behind what is there already and never before
now. The time line up to now is then the recording, and the rest is the queue.
"""

from __future__ import annotations

from collections import deque
from typing import Final

_WIDTH: Final = 2  # bytes of an int16 sample

MAX_QUEUE: Final = 600.0
"""Seconds that a player holds. Telnyx publishes no limit; this one keeps a runaway server from
filling the memory, and lets a test send ten minutes at once."""

MAX_MARKS: Final = 10_000
"""Marks that a player holds, for the same reason."""

UNDERRUN_GAP: Final = 0.2
"""A queue that runs dry and is fed again within this time has broken a sentence. Longer gaps are
turns of a conversation."""


class Timeline:
    """Mono int16 PCM from a start of time on; whatever was not written is silence."""

    def __init__(self) -> None:
        self._pcm = bytearray()

    @property
    def end(self) -> int:
        """Position behind the last sample."""
        return len(self._pcm) // _WIDTH

    def append(self, pcm: bytes, not_before: int) -> int:
        """Write PCM behind everything, though not before a position; returns where it starts."""
        gap = not_before - self.end
        if gap > 0:
            self._pcm.extend(bytes(gap * _WIDTH))
        start = self.end
        self._pcm.extend(pcm)
        return start

    def replace(self, pcm: bytes, start: int) -> None:
        """Write PCM over what is there."""
        self._fill(start)
        self._pcm[start * _WIDTH : start * _WIDTH + len(pcm)] = pcm

    def cut(self, position: int) -> None:
        """Forget everything from a position on."""
        del self._pcm[position * _WIDTH :]

    def read(self, start: int, stop: int) -> bytes:
        """Return the samples from start up to stop."""
        pcm = bytes(self._pcm[start * _WIDTH : stop * _WIDTH])
        return pcm.ljust((stop - start) * _WIDTH, b"\0")

    def _fill(self, position: int) -> None:
        gap = position - self.end
        if gap > 0:
            self._pcm.extend(bytes(gap * _WIDTH))


class Player:
    """The real-time queue between a media socket and the caller's ear.

    Every ``now`` is in seconds since the media started and must not go back.

    Args:
        sample_rate: of everything that is played, in Hz.

    Source: developers.telnyx.com, "Media streaming over WebSockets": a mark returns when what was
    queued before it has been played, at once when nothing is queued, and on ``clear``, which
    empties the queue.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.timeline = Timeline()
        self.underruns = 0
        self._marks: deque[tuple[int, str]] = deque()  # in order of position
        self._started = False

    def position(self, now: float) -> int:
        """Return the index of the sample that is played at this moment."""
        return round(now * self.sample_rate)

    def play(self, pcm: bytes, now: float) -> bool:
        """Queue native int16 PCM; returns False, queueing nothing, when the queue is full."""
        here, end = self.position(now), self.timeline.end
        if self.queued(now) > MAX_QUEUE:
            return False
        if self._started and 0 < here - end <= UNDERRUN_GAP * self.sample_rate:
            self.underruns += 1
        self._started = True
        self.timeline.append(pcm, here)
        return True

    def mark(self, name: str, now: float) -> bool:
        """Queue a mark; returns False, queueing nothing, when there are too many."""
        if len(self._marks) >= MAX_MARKS:
            return False
        self._marks.append((max(self.timeline.end, self.position(now)), name))
        return True

    def clear(self, now: float) -> None:
        """Stop playing and make every mark due."""
        here = self.position(now)
        self.timeline.cut(here)
        self._marks = deque((min(position, here), name) for position, name in self._marks)
        # Silence after a barge-in is meant, however short.
        self._started = False

    def take_due_marks(self, now: float) -> list[str]:
        """Return the marks to be sent back now, oldest first, each once."""
        here = self.position(now)
        due = []
        while self._marks and self._marks[0][0] <= here:
            due.append(self._marks.popleft()[1])
        return due

    def next_due(self) -> float | None:
        """Return when the next mark is due, None without one."""
        return self._marks[0][0] / self.sample_rate if self._marks else None

    def queued(self, now: float) -> float:
        """Return the seconds of audio that are still to be played."""
        return max(0, self.timeline.end - self.position(now)) / self.sample_rate
