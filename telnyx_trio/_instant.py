"""A moment that durations are measured from, in Trio or out of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import trio


@dataclass(frozen=True)
class Instant:
    """A moment on Trio's clock where there is one, so that tests can turn it, else the system's.

    Trio's clock starts anywhere in each ``trio.run``; two moments of different runs are compared by
    the system's monotonic clock, which all moments carry.
    """

    monotonic: float
    trio_time: float | None = None
    trio_token: trio.lowlevel.TrioToken | None = field(default=None, repr=False)

    @classmethod
    def now(cls) -> Instant:
        """Return this moment."""
        try:
            token = trio.lowlevel.current_trio_token()
        except RuntimeError:
            return cls(time.monotonic())
        return cls(time.monotonic(), trio.current_time(), token)

    def since(self, earlier: Instant) -> float:
        """Return the seconds from ``earlier`` to this moment."""
        if (
            self.trio_time is not None
            and earlier.trio_time is not None
            and self.trio_token is earlier.trio_token
        ):
            return self.trio_time - earlier.trio_time
        return self.monotonic - earlier.monotonic
