"""Python's garbage collector, while calls are carried.

It counts the objects that were made and not freed yet. With hundreds of calls, what is under way
within one tick is beyond its usual threshold of 700, so that it looks for cycles all the time, and
every two seconds at everything: 70 ms for 300 calls, in which no packet moves. Nothing of a packet
is in a cycle. What is, is left over by calls that have ended: some 700 objects each, most of them
tracebacks of Trio's cancelled tasks. That can wait, but not for ever.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

GC_THRESHOLD: Final = 20_000
"""Objects. More than a thousand calls have under way, and what some thirty calls leave over."""

_OLDER: Final = 2
"""Collections of one generation for one of the next. All is looked at after 80,000 objects that
stay; with Python's own thresholds, 700, 10 and 10, it is 70,000."""


@contextmanager
def collecting_less_often(threshold: int) -> Iterator[None]:
    """Have the garbage collector wait for so many objects while the body runs.

    A threshold that is higher already, or a collector that is switched off, is left as it is, and
    so is one that somebody else has set when the body ends.

    Args:
        threshold: of the youngest generation; 0 changes nothing.
    """
    before = gc.get_threshold()
    if not 0 < before[0] < threshold:
        yield
        return
    gc.set_threshold(threshold, *(min(_OLDER, count) for count in before[1:]))
    try:
        yield
    finally:
        if gc.get_threshold()[0] == threshold:
            gc.set_threshold(*before)
