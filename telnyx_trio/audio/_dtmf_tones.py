"""Key presses as tones in the audio: making them, and hearing them.

The frequencies are those of ITU-T Q.23. How long a tone and a pause must be, and how unequal its
two parts may be, are in Q.24; the values here are those of AT&T in its table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .._errors import LocalProtocolError
from ._pcm import PcmData

_KEYS: Final = ("123A", "456B", "789C", "*0#D")
_LOW: Final = (697.0, 770.0, 852.0, 941.0)
_HIGH: Final = (1209.0, 1336.0, 1477.0, 1633.0)
_FREQUENCIES: Final = {
    key: (_LOW[row], _HIGH[column])
    for row, keys in enumerate(_KEYS)
    for column, key in enumerate(keys)
}

_PAUSES: Final = {"w": 0.5, "W": 1.0}
"""Seconds, as in Telnyx's command ``send_dtmf``."""

_GAP: Final = 0.1
_RAMP: Final = 0.005
"""Seconds of silence after each tone, and of its fading in and out, so that it does not click."""

_LOW_AMPLITUDE: Final = 8_000
_HIGH_AMPLITUDE: Final = 10_000
"""About -9 and -7 dBm0; the high group is louder, as lines lose more of it."""

MIN_TONE_DURATION: Final = 0.04
MAX_TONE_DURATION: Final = 5.0


def dtmf_tones(digits: str, sample_rate: int, *, duration: float = 0.25) -> PcmData:
    """Make the tones of keys.

    Args:
        digits: of ``0-9 A-D * #``; ``w`` is a pause of 0.5 s, ``W`` of 1 s.
        sample_rate: in Hz, 8000 or more.
        duration: seconds of each tone, 0.04 to 5; 0.1 s of silence follow.

    Returns:
        int16, mono.

    Raises:
        LocalProtocolError: digits or duration are not as above.
    """
    if not digits or any(digit not in _FREQUENCIES and digit not in _PAUSES for digit in digits):
        raise LocalProtocolError("DTMF digits are 0-9 A-D * # and the pauses w and W")
    if not MIN_TONE_DURATION <= duration <= MAX_TONE_DURATION:
        raise LocalProtocolError(
            f"a DTMF tone lasts {MIN_TONE_DURATION:g} to {MAX_TONE_DURATION:g} s, not {duration!r}"
        )
    times = np.arange(round(duration * sample_rate)) / sample_rate
    edge = np.minimum(times, times[::-1])
    envelope = np.sin(np.minimum(edge / _RAMP, 1.0) * np.pi / 2) ** 2
    gap = np.zeros(round(_GAP * sample_rate))
    pieces: list[NDArray[np.float64]] = []
    for digit in digits:
        if digit in _PAUSES:
            pieces.append(np.zeros(round(_PAUSES[digit] * sample_rate)))
            continue
        low, high = (2 * np.pi * frequency * times for frequency in _FREQUENCIES[digit])
        tone = _LOW_AMPLITUDE * np.sin(low) + _HIGH_AMPLITUDE * np.sin(high)
        pieces += [tone * envelope, gap]
    samples = np.rint(np.concatenate(pieces)).astype(np.int16)
    return PcmData(sample_rate, samples=samples)


_BLOCK: Final = 0.014
"""Seconds that are looked at together. Shorter, the frequencies of neighbouring keys run into each
other; longer, a tone 1.5 % off, which must be taken, is missed."""

_STEP: Final = 0.007
_MIN_HITS: Final = 4
"""Blocks in a row that a tone must fill for the most part: about 27 ms; Q.24 wants 40 ms taken and
23 ms refused."""

_MIN_MISSES: Final = 3
"""Blocks in a row without it that end a tone: an interruption of 10 ms does not."""

_MIN_LEVEL: Final = 100.0
"""Root mean square of a tone, in int16 steps: about -47 dBm0. The rest is silence."""

_MIN_PURITY: Final = 0.66
"""Part of the energy that has to be in the two tones. Voices have more beside them."""

_MAX_TWIST: Final = 6.3
"""How many times the energy of one tone may be that of the other: 8 dB."""

_MIN_LEAD: Final = 4.0
"""How many times the energy of a tone has to be that of the next one of its group: 6 dB."""


@dataclass(frozen=True, slots=True)
class ToneHeard:
    """A key press that was heard in the audio.

    Attributes:
        digit: one of ``0-9 A-D * #``.
        at: seconds of audio before its tone began, to about 10 ms.
    """

    digit: str
    at: float


class DtmfDetector:
    """Hears key presses in one party's audio; pieces of any size, one after the other.

    A key is told once, some 35 ms after its tone has begun.

    Args:
        sample_rate: in Hz, 8000 or more.
    """

    def __init__(self, sample_rate: int) -> None:
        self._block = round(_BLOCK * sample_rate)
        self._step = round(_STEP * sample_rate)
        self._sample_rate = sample_rate
        times = np.arange(self._block) / sample_rate
        angles = 2 * np.pi * times[:, None] * np.array(_LOW + _HIGH)[None, :]
        # Goertzel's sums of all eight frequencies as one product of matrices.
        waves = np.concatenate((np.cos(angles), np.sin(angles)), axis=1)
        self._waves = (waves * np.sqrt(2 / self._block)).astype(np.float32)
        self._min_energy = _MIN_LEVEL**2 * self._block
        self._rest = np.zeros(0, np.float32)
        self._position = 0  # of the first sample of the rest
        self._candidate = ""
        self._began_at = 0
        self._hits = 0
        self._misses = 0
        self._sounding = ""

    def process(self, samples: NDArray[np.int16]) -> list[ToneHeard]:
        """Take the next audio; return the keys that are now known to have been pressed.

        Args:
            samples: int16, mono, of shape (n,).
        """
        rest = np.concatenate((self._rest, samples.astype(np.float32)))
        count = max((rest.size - self._block) // self._step + 1, 0)
        heard: list[ToneHeard] = []
        if count:
            # Overlapping views of it, which copy nothing.
            size = rest.itemsize
            strides = (self._step * size, size)
            blocks: NDArray[np.float32] = np.ndarray(
                (count, self._block), np.float32, rest, strides=strides
            )
            for n, digit in enumerate(self._digits_of(blocks)):
                if self._judge(digit, self._position + n * self._step):
                    heard.append(ToneHeard(digit, self._began_at / self._sample_rate))
            self._position += count * self._step
        self._rest = rest[count * self._step :]
        return heard

    def _digits_of(self, blocks: NDArray[np.float32]) -> list[str]:
        """Return for each block the key whose tone it is, or an empty text."""
        energies = [float(block @ block) for block in blocks]
        if max(energies) < self._min_energy:
            return [""] * len(blocks)
        sums = blocks @ self._waves
        sums *= sums
        powers = (sums[:, :8] + sums[:, 8:]).tolist()
        return [
            self._digit_of(block_powers, energy)
            for block_powers, energy in zip(powers, energies, strict=True)
        ]

    def _digit_of(self, powers: list[float], energy: float) -> str:
        low, high = max(powers[:4]), max(powers[4:])
        if energy < self._min_energy or low + high < _MIN_PURITY * energy:
            return ""
        if low > _MAX_TWIST * high or high > _MAX_TWIST * low:
            return ""
        row, column = powers.index(low), powers.index(high, 4) - 4
        next_low = max(power for n, power in enumerate(powers[:4]) if n != row)
        next_high = max(power for n, power in enumerate(powers[4:]) if n != column)
        if low < _MIN_LEAD * next_low or high < _MIN_LEAD * next_high:
            return ""
        return _KEYS[row][column]

    def _judge(self, digit: str, position: int) -> bool:
        """Take the key of the next block; return whether it is now known to have been pressed."""
        if digit and digit == self._sounding:
            self._misses = 0
            return False
        if self._sounding:
            self._misses += 1
            if self._misses == _MIN_MISSES:
                self._sounding = ""
        if not digit or digit != self._candidate:
            self._candidate, self._began_at, self._hits = digit, position, 0
        if not digit:
            return False
        self._hits += 1
        if self._hits < _MIN_HITS:
            return False
        self._sounding, self._misses, self._candidate = digit, 0, ""
        return True
