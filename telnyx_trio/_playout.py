"""The playback clock: when the next packet may leave, what has been heard, what became of marks.

Telnyx appends what it gets to a queue and plays that in real time. Sent just in time, every hiccup
of ours is a gap in the caller's ear; sent far ahead, an interruption comes too late (and leads of
some seconds were seen to lose audio). So packets run ahead of real time by at most ``lead``.

Real time is an absolute clock: ``ends_at`` is when Telnyx will have played all that was sent. A
late wake-up of ours shortens the next wait instead of shifting everything after it.

The way to Telnyx takes time, and so does the way to the ear. Neither is in this clock, and neither
need be: a ``clear`` goes the same way as the audio, so that it cuts where the clock stands when it
leaves.

Marks tell when Telnyx is behind the clock, as after a stall of the network in a long playback. One
late mark may as well be a stall of our own, in which it was not read; three on end are not. What
the least late of them was late, compared to the quickest ever, is ``lateness``. It corrects what
is known to have been heard, and not the pace: taken for one, a mere longer way back would drain
the lead.

No I/O and no clock here: ``now`` is passed in, in seconds.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass
from math import inf
from typing import Final

DEFAULT_LEAD: Final = 0.4
"""Seconds. Field reports: 600 ms was fine, 3 s lost audio, less than 200 ms stutters."""

MAX_MARKS: Final = 1_000
"""Marks waited for. Telnyx names no limit; a caller that sends more forgets the oldest."""

_MAX_SPANS: Final = 8
"""Gaps of one playback that are told apart; what lies before them has been heard long ago."""

_LATE_MARKS: Final = 3
"""Marks on end that must be late before Telnyx is taken to be."""


class MarkFate(enum.Enum):
    """Why a mark comes back."""

    PLAYED = "played"
    CLEARED = "cleared"
    """``clear`` threw away the audio before it."""
    RECALLED = "recalled"
    """It was behind audio that was cut short, and is sent again if it still has a meaning."""


@dataclass(slots=True)
class _Mark:
    name: str
    due: float
    fate: MarkFate = MarkFate.PLAYED


class Playout:
    """Paces packets of one stream and remembers its marks.

    Args:
        lead: seconds that the sent audio may run ahead of real time; at least one packet always
            may leave.

    Attributes:
        ends_at: when Telnyx will have played all that was sent.
        lateness: seconds that Telnyx was found to be behind this clock.
    """

    __slots__ = ("_delays", "_lead", "_least_delay", "_marks", "ends_at", "lateness")

    def __init__(self, lead: float = DEFAULT_LEAD) -> None:
        if not lead >= 0:
            raise ValueError(f"lead must be 0 or more seconds, not {lead!r}")
        self.ends_at = -inf
        self.lateness = 0.0
        self._lead = lead
        self._marks: deque[_Mark] = deque(maxlen=MAX_MARKS)
        self._delays: deque[float] = deque(maxlen=_LATE_MARKS)
        self._least_delay = inf

    def ahead(self, now: float) -> float:
        """Return how many seconds of sent audio Telnyx has yet to play."""
        return max(0.0, self.ends_at - now)

    def delay(self, now: float, duration: float) -> float:
        """Return in how many seconds a packet of ``duration`` seconds may leave; 0 is at once."""
        ahead = self.ends_at - now
        wait = ahead + duration - self._lead
        # A lead of less than a packet still lets one leave whenever all before it was played.
        if wait <= 0 or ahead <= 0:
            return 0.0
        # Rounded, so that a sum of packets that equals the lead counts as within it.
        return round(min(ahead, wait), 9)

    def sent(self, now: float, duration: float) -> float:
        """Note that a packet of ``duration`` seconds leaves now; return when it will be played."""
        start = self.ends_at
        if start < now:
            if start + self.lateness < now:
                # Telnyx has run dry, and so is behind no more.
                self._forget_lateness()
            start = now
        self.ends_at = start + duration
        return start

    def written(self, now: float, duration: float) -> bool:
        """Note that a packet, which ``sent`` had leave earlier, has only now got off.

        Telnyx cannot have begun to play it before. Without this, a stall while the first packet is
        written would put the rest further ahead than ``lead``.

        Returns:
            Whether it is played later, that is from now on, for this reason.
        """
        if self.ends_at >= now + duration:
            return False
        self.ends_at = now + duration
        return True

    def mark_sent(self, name: str, now: float) -> None:
        """Note that a mark leaves now."""
        self._marks.append(_Mark(name, max(self.ends_at, now)))

    def mark_returned(self, name: str, now: float) -> MarkFate | None:
        """Note a returned mark; None if a mark of this name is not waited for."""
        for index, mark in enumerate(self._marks):
            if mark.name == name:
                del self._marks[index]
                if mark.fate is MarkFate.PLAYED:
                    self._note_delay(now - mark.due)
                return mark.fate
        return None

    def clear(self, now: float) -> None:
        """Note that a ``clear`` leaves now: Telnyx drops its queue and returns all marks."""
        self.ends_at = min(self.ends_at, now)
        self._forget_lateness()
        for mark in self._marks:
            if mark.fate is MarkFate.PLAYED:
                mark.fate = MarkFate.CLEARED

    def recall(self, at: float) -> None:
        """Note that what is played from ``at`` on will be thrown away, its marks with it."""
        self.ends_at = min(self.ends_at, at)
        for mark in self._marks:
            if mark.fate is MarkFate.PLAYED and mark.due > at:
                mark.fate = MarkFate.RECALLED

    def _note_delay(self, delay: float) -> None:
        self._least_delay = min(self._least_delay, delay)
        self._delays.append(delay)
        if len(self._delays) == _LATE_MARKS:
            self.lateness = min(self._delays) - self._least_delay

    def _forget_lateness(self) -> None:
        self._delays.clear()
        self.lateness = 0.0


class Spans:
    """When Telnyx plays the packets of one playback: stretches of time, gaps between them.

    Attributes:
        start: of the first packet; inf before there is one.
        stop: of the last packet; -inf before there is one.
        total: seconds of audio in all of them.
    """

    __slots__ = ("_folded", "_spans", "start", "stop", "total")

    def __init__(self) -> None:
        self.start = inf
        self.stop = -inf
        self.total = 0.0
        self._folded = 0.0
        self._spans: deque[list[float]] = deque()

    def add(self, start: float, duration: float) -> bool:
        """Add a packet that is played from ``start`` on; return whether a gap is before it."""
        spans = self._spans
        self.total += duration
        if spans and start <= self.stop:
            # The clock hands out the very number at which the packet before ends.
            self.stop = spans[-1][1] = start + duration
            return False
        is_first = self.start == inf
        if is_first:
            self.start = start
        self.stop = start + duration
        spans.append([start, self.stop])
        if len(spans) > _MAX_SPANS:
            first = spans.popleft()
            self._folded += first[1] - first[0]
        return not is_first

    def move_last(self, start: float, duration: float) -> bool:
        """Have the last packet played from ``start`` on; return whether that made a gap."""
        last = self._spans[-1]
        last[1] -= duration
        self.total -= duration
        self.stop = last[1]
        if last[1] - last[0] > duration / 2:
            return self.add(start, duration)
        # It was alone behind a gap, or the first of all.
        self._spans.pop()
        if self.start == last[0]:
            self.start = inf
        self.add(start, duration)
        return False

    def played(self, now: float) -> float:
        """Return how many seconds have been played."""
        played = self._folded
        for start, stop in self._spans:
            if now > start:
                played += min(now, stop) - start
        return played
