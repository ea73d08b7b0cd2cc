"""How long it is worth to wait for a packet that is missing."""

from __future__ import annotations

from typing import Final

LEAST: Final = 0.04
"""Seconds: two packets. One packet that overtakes another is the least that can be waited for."""

MOST: Final = 0.2
"""Seconds. A conversation suffers from more (ITU-T G.114 wants less than 0.4 from mouth to ear, and
the phone network, the agent and the way back take theirs)."""

_FIRST: Final = 0.1
"""Seconds, before anything was learnt."""

_ROOM: Final = 1.5
"""How much longer to wait than the packets did that came."""

_DECAY: Final = 1 / 16
"""How quickly the wait becomes shorter when packets come earlier than that."""

_LOSS: Final = 0.9
"""By how much it becomes shorter when one was waited for in vain."""


class Patience:
    """Learns from packets that came after others how long to wait for the next one.

    It rises at once, so that what was too late once is waited for, and falls slowly, quicker while
    packets are lost for good.

    Attributes:
        seconds: how long to wait, between ``LEAST`` and ``MOST``.
    """

    def __init__(self) -> None:
        self.seconds = _FIRST

    def came(self, after: float) -> None:
        """Note that a missing packet came, so many seconds after one that should have followed.

        One that took longer than ``MOST`` teaches nothing: such are not waited for.
        """
        if after > MOST:
            return
        wanted = min(MOST, max(LEAST, _ROOM * after))
        if wanted > self.seconds:
            self.seconds = wanted
        else:
            self.seconds += (wanted - self.seconds) * _DECAY

    def given_up(self) -> None:
        """Note that one was waited for in vain."""
        self.seconds = max(LEAST, self.seconds * _LOSS)
