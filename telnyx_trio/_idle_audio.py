"""What a stream sends while it has nothing to say, if it is asked to: silence, or a faint noise."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import Final

import numpy as np

from ._types import PTIME_MS, IdleAudio
from .audio import PcmData

NOISE_RMS: Final = 11.0
"""Of comfort noise, in int16 steps: -69 dB of full scale, at the lower end of what lines have. Loud
enough for a listener to know that the line is not dead, and for G.711 to carry (its smallest step
is 8)."""

_N_PACKETS: Final = 100
"""Of noise that repeats: two seconds, in which nobody hears a pattern."""


def open_idle_audio(kind: IdleAudio, sample_rate: int) -> Iterator[PcmData] | None:
    """Return packets of 20 ms without an end; None for "none"."""
    if kind == "none":
        return None
    n_samples = sample_rate * PTIME_MS // 1000
    if kind == "silence":
        return cycle([PcmData(sample_rate, samples=np.zeros(n_samples, np.int16))])
    noise = np.random.default_rng(0).normal(0, NOISE_RMS, (_N_PACKETS, n_samples))
    packets = np.rint(noise).astype(np.int16)
    return cycle([PcmData(sample_rate, samples=packet) for packet in packets])
