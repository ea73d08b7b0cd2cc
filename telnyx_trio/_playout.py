"""The playback clock: when the next packet may leave, and what became of the marks.

Telnyx appends what it gets to a queue and plays that in real time. Sent just in time, every hiccup
of ours is a gap in the caller's ear; sent far ahead, an interruption comes too late (and leads of
some seconds were seen to lose audio). So packets run ahead of real time by at most ``lead``.

Real time is an absolute clock: ``_ends_at`` is when Telnyx will have played all that was sent. A
late wake-up of ours shortens the next wait instead of shifting everything after it.

No I/O and no clock here: ``now`` is passed in, in seconds.
"""

from __future__ import annotations

from collections import deque
from typing import Final

DEFAULT_LEAD: Final = 0.4
"""Seconds. Field reports: 600 ms was fine, 3 s lost audio, less than 200 ms stutters."""

MAX_MARKS: Final = 1_000
"""Marks waited for. Telnyx names no limit; a caller that sends more forgets the oldest."""


class Playout:
    """Paces packets of one stream and remembers its marks.

    Args:
        lead: seconds that the sent audio may run ahead of real time; at least one packet always
            may leave.
    """

    def __init__(self, lead: float = DEFAULT_LEAD) -> None:
        if not lead >= 0:
            raise ValueError(f"lead must be 0 or more seconds, not {lead!r}")
        self._lead = lead
        self._ends_at = float("-inf")
        self._marks: deque[tuple[str, bool]] = deque(maxlen=MAX_MARKS)

    def ahead(self, now: float) -> float:
        """Return how many seconds of sent audio Telnyx has yet to play."""
        return max(0.0, self._ends_at - now)

    def delay(self, now: float, duration: float) -> float:
        """Return in how many seconds a packet of ``duration`` seconds may leave; 0 is at once."""
        ahead = self.ahead(now)
        # A lead of less than a packet still lets one leave whenever all before it was played.
        # Rounded, so that a sum of packets that equals the lead counts as within it.
        return max(0.0, round(min(ahead, ahead + duration - self._lead), 9))

    def sent(self, now: float, duration: float) -> None:
        """Note that a packet of ``duration`` seconds leaves now."""
        self._ends_at = max(self._ends_at, now) + duration

    def written(self, now: float, duration: float) -> None:
        """Note that a packet, which ``sent`` had leave earlier, has only now got off.

        Telnyx cannot have begun to play it before. Without this, a stall while the first packet is
        written would put the rest further ahead than ``lead``.
        """
        self._ends_at = max(self._ends_at, now + duration)

    def mark_sent(self, name: str) -> None:
        """Note that a mark leaves now."""
        self._marks.append((name, False))

    def mark_returned(self, name: str) -> bool:
        """Note a returned mark; True if our ``clear`` sent it back rather than playback.

        A name that was never sent counts as played.
        """
        for index, (sent, cleared) in enumerate(self._marks):
            if sent == name:
                del self._marks[index]
                return cleared
        return False

    def clear(self, now: float) -> None:
        """Note that a ``clear`` leaves now: Telnyx drops its queue and returns all marks."""
        self._ends_at = min(self._ends_at, now)
        self._marks = deque(((name, True) for name, _ in self._marks), maxlen=MAX_MARKS)
