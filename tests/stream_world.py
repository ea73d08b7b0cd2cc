"""What tests of the Stream bridge share: tones, and waiting for what another thread does."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

RATE = 48000


def tone(
    frequency: float, *, rate: int = RATE, seconds: float = 1.0, peak: float = 8000
) -> NDArray[np.int16]:
    """Return a sine; of a whole number of Hz it repeats without a seam after each second."""
    times = np.arange(round(seconds * rate)) / rate
    samples: NDArray[np.int16] = (peak * np.sin(2 * np.pi * frequency * times)).astype(np.int16)
    return samples


def loudness(samples: NDArray[np.int16], frequency: float, *, rate: int = RATE) -> float:
    """Return the amplitude of one frequency, as it is in the middle one of stretches of 50 ms.

    They are that short because a clock that is followed changes a pitch by a thousandth or two.
    """
    size = rate // 20
    if samples.size < size:
        return 0.0
    stretches = samples[: samples.size // size * size].reshape(-1, size)
    window = np.hanning(size)
    times = np.arange(size) / rate
    wave = window * np.exp(-2j * np.pi * frequency * times)
    return float(np.median(2 * abs(stretches @ wave) / window.sum()))


def wait_for(is_so: Callable[[], bool], *, timeout: float = 20.0) -> None:
    """Wait until something is so that threads of others bring about."""
    deadline = time.monotonic() + timeout
    while not is_so():
        assert time.monotonic() < deadline, "it has not come about"
        time.sleep(0.01)
