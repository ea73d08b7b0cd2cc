"""Wall-clock times that follow Trio's clock, so that a simulated hour shows as an hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import trio


class SimulatedClock:
    """Tells the date, counted in Trio's time from when it was made."""

    def __init__(self) -> None:
        self._opened_at = trio.current_time()
        self._opened_on = datetime.now(UTC)

    def elapsed(self) -> float:
        """Return the seconds since the clock was made."""
        return trio.current_time() - self._opened_at

    def iso(self) -> str:
        """Return the date as Telnyx writes it: ISO 8601, UTC, microseconds."""
        now = self._opened_on + timedelta(seconds=self.elapsed())
        return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
