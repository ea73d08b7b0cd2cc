"""One key press, reported twice: by a ``dtmf`` media message and by a webhook.

Media win: a digit that comes by media is delivered at once, one that comes by webhook waits a
little for its twin and is delivered when none comes. The routes have no common id for a press, so
twins are told by the digit and by when it was pressed.

The same digit pressed twice within the tolerance makes several pairings possible, and the order in
which the reports come must not decide how many presses there were. So the pairing is a maximum
matching: a new report may re-pair older ones (an augmenting path) until one of them that was alone
has found a twin. Which press of several equal ones that is does not matter; how many are left
alone does.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

# Both routes report the time of the press itself; 2 s, a guess, allow for two clocks.
_MAX_CLOCK_DIFFERENCE: Final = 2.0

# Without that time the arrival must do; 3 s, a guess too, allow for a slow webhook, not for one
# that had to be sent again.
_MAX_ARRIVAL_DIFFERENCE: Final = 3.0

# Reports remembered per route: several seconds of pressing as fast as fingers can.
_MAX_REPORTS: Final = 64


@dataclass(frozen=True, slots=True)
class KeyPress:
    """A key press that came by webhook alone.

    Attributes:
        digit: one of ``0-9A-D*#``.
        occurred_at: when it was pressed, with a time zone; None when that is not known.
    """

    digit: str
    occurred_at: datetime | None


@dataclass(slots=True, eq=False)
class _Report:
    press: KeyPress
    arrived: float
    delivered: bool = False
    twin: _Report | None = field(default=None, repr=False)


class DtmfMerger:
    """Joins the key presses of one call that come by two routes. Times are passed in.

    Memory is bounded: the last 64 reports of each route are remembered; a webhook press pushed out
    before it was due is lost.

    Attributes:
        media_open: whether a media twin can come. While it is False nothing waits for one.
    """

    def __init__(self, *, hold: float = 0.5, media_open: bool = True) -> None:
        """Make a merger that has seen nothing.

        Args:
            hold: seconds that a webhook press waits for its media twin.
            media_open: see the attribute.
        """
        self.media_open = media_open
        self._hold = hold
        self._media: deque[_Report] = deque(maxlen=_MAX_REPORTS)
        self._webhooks: deque[_Report] = deque(maxlen=_MAX_REPORTS)

    def media(self, digit: str, occurred_at: datetime | None, now: float) -> bool:
        """Take a key press from the media stream; return whether to deliver it, now.

        Args:
            digit: the key.
            occurred_at: when it was pressed, with a time zone, or None.
            now: monotonic time in seconds.

        Returns:
            True, unless its webhook twin has been delivered by :meth:`due` already.
        """
        report = _Report(KeyPress(digit, occurred_at), now, delivered=True)
        twin = _find_twin(report, self._webhooks, set())
        self._media.append(report)
        return twin is None or not twin.delivered

    def webhook(self, digit: str, occurred_at: datetime | None, now: float) -> None:
        """Take a key press from a webhook; it leaves by :meth:`due`, unless its media twin comes.

        Args:
            digit: the key.
            occurred_at: when it was pressed, with a time zone, or None.
            now: monotonic time in seconds.
        """
        report = _Report(KeyPress(digit, occurred_at), now)
        _find_twin(report, self._media, set())
        self._webhooks.append(report)

    def due(self, now: float) -> list[KeyPress]:
        """Return the webhook presses to deliver now, in order of arrival; each is returned once.

        Args:
            now: monotonic time in seconds.
        """
        reports = [report for report in self._waiting() if self._deadline(report) <= now]
        for report in reports:
            report.delivered = True
        return [report.press for report in reports]

    def next_deadline(self) -> float | None:
        """Return the time at which :meth:`due` will have something, None if nothing waits."""
        return min(map(self._deadline, self._waiting()), default=None)

    def _waiting(self) -> list[_Report]:
        return [r for r in self._webhooks if r.twin is None and not r.delivered]

    def _deadline(self, report: _Report) -> float:
        return report.arrived + self._hold if self.media_open else report.arrived


def _find_twin(report: _Report, others: deque[_Report], tried: set[_Report]) -> _Report | None:
    """Pair a report with one of the other route, re-pairing others where that helps.

    Returns:
        the report that was alone until now and no longer is, None if there is none.
    """
    candidates = [other for other in others if other not in tried and _may_be_twins(report, other)]
    for other in candidates:
        if other.twin is None:
            _pair(report, other)
            return other
    for other in candidates:
        if other in tried or other.twin is None:
            continue
        tried.add(other)
        freed = _find_twin(other.twin, others, tried)
        if freed is not None:
            _pair(report, other)
            return freed
    return None


def _pair(one: _Report, other: _Report) -> None:
    one.twin = other
    other.twin = one


def _may_be_twins(one: _Report, other: _Report) -> bool:
    if one.press.digit != other.press.digit:
        return False
    known = one.press.occurred_at is not None and other.press.occurred_at is not None
    return _difference(one, other) < (_MAX_CLOCK_DIFFERENCE if known else _MAX_ARRIVAL_DIFFERENCE)


def _difference(one: _Report, other: _Report) -> float:
    """Return seconds between two reports: of the press where both know it, else of the arrival."""
    if one.press.occurred_at is not None and other.press.occurred_at is not None:
        return abs((one.press.occurred_at - other.press.occurred_at).total_seconds())
    return abs(one.arrived - other.arrived)
