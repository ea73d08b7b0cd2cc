"""A listener for gaps and clicks in a recording, who knows nothing of how it came about.

A click is a step: a difference between neighbouring samples that stands out of those around it. A
gap is silence that begins and ends inside of sound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_AROUND = 0.02
"""Seconds on each side that a difference is compared with."""

_OUTLIER = 4.0
"""How many times the largest difference around it a click is."""

_FAINTEST = 600
"""Of a click, in int16 steps: quantisation by PCMU makes steps of this size in loud sound."""

_SHORTEST_GAP = 0.003
_SILENCE = 8
"""Seconds, and the loudest sample of silence in int16 steps."""


@dataclass(frozen=True)
class Flaw:
    """Something that should not be heard.

    Attributes:
        kind: "click" or "gap".
        at: seconds.
        duration: seconds of a gap.
    """

    kind: str
    at: float
    duration: float = 0.0


def listen(samples: NDArray[np.int16], sample_rate: int) -> list[Flaw]:
    """Return the flaws in a mono recording."""
    return [*find_clicks(samples, sample_rate), *find_gaps(samples, sample_rate)]


def find_clicks(samples: NDArray[np.int16], sample_rate: int) -> list[Flaw]:
    """Return steps that stand out."""
    differences = abs(np.diff(samples.astype(np.int32)))
    reach = round(_AROUND * sample_rate)
    flaws = []
    for place in np.flatnonzero(differences > _FAINTEST):
        before = differences[max(0, place - reach) : max(0, place - 1)]
        after = differences[place + 2 : place + 2 + reach]
        around = max(before.max(initial=0), after.max(initial=0))
        if differences[place] > _OUTLIER * max(around, 1):
            flaws.append(Flaw("click", float(place) / sample_rate))
    return flaws


def find_gaps(samples: NDArray[np.int16], sample_rate: int) -> list[Flaw]:
    """Return stretches of silence between sounds."""
    is_silent = abs(samples.astype(np.int32)) <= _SILENCE
    edges = np.flatnonzero(np.diff(np.concatenate(([True], is_silent, [True])).astype(np.int8)))
    # Sounds are from an even edge to the odd one behind it; silence between them is a gap.
    ends, starts = edges[1:-1:2], edges[2::2]
    return [
        Flaw("gap", float(end) / sample_rate, float(start - end) / sample_rate)
        for end, start in zip(ends, starts, strict=True)
        if (start - end) / sample_rate >= _SHORTEST_GAP
    ]
