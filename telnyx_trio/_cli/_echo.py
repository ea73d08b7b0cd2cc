"""Whether a caller hears what was said come back, and how much later."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

MIN_CORRELATION: Final = 0.5
"""Below it, what was found is no echo. Another sentence of the same voice stays under 0.2."""

_FAINT: Final = 1e-3
"""Part of the energy that was said, below which what was heard is no echo but chance."""


def find_echo(
    recording: NDArray[np.int16], sample_rate: int, *, start: float, duration: float
) -> tuple[float, float]:
    """Look for a stretch of the caller's voice in what the caller heard.

    Args:
        recording: int16 of shape (2, n): the caller's voice, and what the caller heard.
        sample_rate: in Hz.
        start: of the stretch, in seconds.
        duration: of the stretch, in seconds; the recording has to be longer, by the delay at least.

    Returns:
        Delay in seconds, and the correlation at that delay, up to 1. Both are 0 where there is
        nothing to compare.
    """
    first = round(start * sample_rate)
    said = recording[0, first : first + round(duration * sample_rate)].astype(float)
    heard = recording[1, first:].astype(float)
    if heard.size <= said.size or not said.any():
        return 0.0, 0.0
    size = 1 << (said.size + heard.size).bit_length()
    products = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size)), size)
    # The energy of each stretch of what was heard, so that a loud one does not win by loudness.
    sums = np.concatenate(([0.0], np.cumsum(heard**2)))
    energies = sums[said.size :] - sums[: -said.size]
    energy = float(said @ said)
    likeness = products[: energies.size] / np.sqrt(np.maximum(energies, _FAINT * energy) * energy)
    shift = int(np.argmax(likeness))
    return shift / sample_rate, float(likeness[shift])
