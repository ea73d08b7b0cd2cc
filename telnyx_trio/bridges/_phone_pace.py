"""How fast others' audio goes to the phone, so that what waits there neither grows nor runs dry.

After a stall more waits at Telnyx than before, or less, and would do so for the rest of the call:
who takes blocks in real time adds as much as is played. So blocks are taken a little slower or
faster than that until it is right again, and the buffers between the speakers' clocks and ours,
which are pulled by it, leave samples out or add some, as they do for a clock that is wrong.
"""

from __future__ import annotations

from typing import Final

CUSHION: Final = 0.06
"""Seconds that are to wait at the phone when a block is about to be sent: sent just in time it
would stutter. After a pause they are silence."""

_TOLERANCE: Final = 0.01
"""Seconds off that are left alone: a wake-up of ours is as late as that."""

_FULL: Final = 0.02
"""Seconds off, beyond the tolerance, at which correction is fullest."""

_SLOWEST: Final = 0.004
_FASTEST: Final = 0.003
"""Parts of the speed: what a ``ClockBuffer`` can follow, with room for a clock that is wrong."""


def interval_until_next(block: float, backlog: float) -> float:
    """Return the seconds after which the next block is to be sent.

    Args:
        block: seconds of a block.
        backlog: seconds that waited at the phone when this block was about to be sent.
    """
    off = backlog - CUSHION
    beyond = max(0.0, abs(off) - _TOLERANCE)
    part = min(1.0, beyond / _FULL) * (_SLOWEST if off > 0 else -_FASTEST)
    return block * (1 + part)
