"""Key presses in the order in which they were pressed.

Telnyx may send them in another one and says to go by ``occurred_at``. So each press waits a little
for an earlier one. That is shorter than two presses can follow each other by hand, and longer than
messages were seen to overtake each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ._events import DtmfReceived

ORDER_HOLD: Final = 0.1
"""Seconds that a press waits for an earlier one; a guess."""


@dataclass(frozen=True, slots=True)
class _Held:
    event: DtmfReceived
    due: float


class DtmfOrder:
    """Sorts the key presses of one call by the time of the press. Times are passed in.

    A press without that time keeps its place among those that came before and after it. One that
    comes later than the hold allows comes out at once, behind its time.
    """

    def __init__(self, hold: float = ORDER_HOLD) -> None:
        self._hold = hold
        self._held: list[_Held] = []

    def push(self, event: DtmfReceived, now: float) -> None:
        """Take a press; it leaves by :meth:`due`.

        Args:
            event: the press.
            now: monotonic time in seconds.
        """
        place = len(self._held)
        while place and _is_earlier(event, self._held[place - 1].event):
            place -= 1
        self._held.insert(place, _Held(event, now + self._hold))

    def due(self, now: float) -> Sequence[DtmfReceived]:
        """Return the presses whose wait is over, and those before them, in order."""
        count = max((n for n, held in enumerate(self._held, 1) if held.due <= now), default=0)
        return self._take(count)

    def flush(self) -> Sequence[DtmfReceived]:
        """Return all that wait, in order."""
        return self._take(len(self._held))

    def next_deadline(self) -> float | None:
        """Return the time at which :meth:`due` will have something, None if nothing waits."""
        return min((held.due for held in self._held), default=None)

    def _take(self, count: int) -> Sequence[DtmfReceived]:
        taken = [held.event for held in self._held[:count]]
        del self._held[:count]
        return taken


def _is_earlier(event: DtmfReceived, other: DtmfReceived) -> bool:
    if event.occurred_at is None or other.occurred_at is None:
        return False
    return event.occurred_at < other.occurred_at
