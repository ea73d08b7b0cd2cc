"""Sound in place of packets that are missing: the voice goes on for a moment, and fades.

After ITU-T G.711 Appendix I, but without its delay of 3.75 ms: what was heard last is repeated by
its pitch period, at full level for 10 ms and then down to nothing at 60 ms. The seams do not click:

- where the repetition begins, the step to it is spread over 2 ms;
- where the period begins again, its end runs over into what came before it;
- where real audio comes back, it is cross-faded with what the repetition would have been, in 4 ms.

While nothing is missing it only keeps the last packets, so it costs next to nothing.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ._pcm import PcmData
from ._resample import to_int16

_Floats = NDArray[np.float64]

_N_KEPT: Final = 3
"""Packets that are kept: 60 ms, four periods of the lowest voice."""

_SHORTEST_PERIOD: Final = 0.0025
_LONGEST_PERIOD: Final = 0.015
"""Seconds; pitches of 66 to 400 Hz (the same Appendix has 66 to 200)."""

_COMPARED: Final = 0.01
"""Seconds at the end that the period is found with."""

_LEAST_LIKENESS: Final = 0.4
"""Correlation under which there is no pitch. Noise is then repeated by its longest period, as a
short one would be heard as a tone."""

_HOLD: Final = 0.01
_FADED: Final = 0.06
"""Seconds at full level, and until nothing is left."""

_STEP_SPREAD: Final = 0.002
_CROSS_FADE: Final = 0.004


class Concealer:
    """Makes up what is missing of one track.

    The two methods are called in the order of the audio: ``follow`` for what came, ``conceal`` for
    what did not.
    """

    __slots__ = ("_kept", "_repetition")

    def __init__(self) -> None:
        self._kept: deque[PcmData] = deque(maxlen=_N_KEPT)
        self._repetition: _Repetition | None = None

    def follow(self, pcm: PcmData) -> PcmData:
        """Take the next packet that came; return what to hear.

        Args:
            pcm: "s16". Kept: it must not change.

        Returns:
            The same, but for its first 4 ms after something was missing.
        """
        if self._repetition is not None:
            pcm = self._join(pcm, self._repetition)
            self._repetition = None
        self._kept.append(pcm)
        return pcm

    def conceal(self) -> PcmData | None:
        """Make up the next packet, as long as the last that came; None before one has."""
        if not self._kept:
            return None
        last = self._kept[-1]
        if self._repetition is None:
            samples = [_by_channel(pcm) for pcm in self._kept if pcm.channels == last.channels]
            self._repetition = _Repetition(np.concatenate(samples, axis=1), last.sample_rate)
        return _like(last, self._repetition.take(last.n_samples))

    def _join(self, pcm: PcmData, repetition: _Repetition) -> PcmData:
        n_fade = min(pcm.n_samples, round(_CROSS_FADE * pcm.sample_rate))
        if pcm.channels != self._kept[-1].channels or not n_fade:
            return pcm
        real = _by_channel(pcm)
        rise = (np.arange(n_fade) + 1) / (n_fade + 1)
        real[:, :n_fade] = rise * real[:, :n_fade] + (1 - rise) * repetition.take(n_fade)
        return _like(pcm, real)


class _Repetition:
    """The last pitch period, again and again, softer and softer.

    Args:
        heard: what was heard last, shape (channels, n).
        sample_rate: in Hz.
    """

    def __init__(self, heard: _Floats, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._n_taken = 0
        length = _find_period(heard.mean(axis=0), sample_rate)
        period = heard[:, -length:].copy()
        n_overlap = min(length // 4, heard.shape[1] - length)
        if n_overlap:
            before = heard[:, -length - n_overlap : -length]
            rise = (np.arange(n_overlap) + 1) / (n_overlap + 1)
            period[:, -n_overlap:] += rise * (before - period[:, -n_overlap:])
        self._period = period
        # The first sample would have followed the one a period ago.
        self._step = heard[:, -1] - heard[:, -length - 1] if heard.shape[1] > length else None

    def take(self, n_samples: int) -> _Floats:
        """Return the next samples, shape (channels, n_samples)."""
        positions = self._n_taken + np.arange(n_samples)
        self._n_taken += n_samples
        samples = self._period[:, positions % self._period.shape[1]]
        if self._step is not None:
            left = 1 - (positions + 1) / (_STEP_SPREAD * self._sample_rate + 1)
            samples = samples + self._step[:, np.newaxis] * np.maximum(left, 0)
        seconds = positions / self._sample_rate
        faded: _Floats = samples * np.clip((_FADED - seconds) / (_FADED - _HOLD), 0, 1)
        return faded


def _find_period(heard: _Floats, sample_rate: int) -> int:
    """Return the length of the last pitch period in samples, at most that of ``heard``."""
    n_compared = round(_COMPARED * sample_rate)
    shortest = round(_SHORTEST_PERIOD * sample_rate)
    longest = min(round(_LONGEST_PERIOD * sample_rate), len(heard) - n_compared)
    if longest < shortest:
        return len(heard)
    end = heard[-n_compared:]
    # By shift, the longest first, what stood there so long ago.
    earlier = heard[len(heard) - n_compared - longest : len(heard) - shortest]
    products = np.correlate(earlier, end)
    squares = np.concatenate(([0.0], np.cumsum(np.square(earlier))))
    powers = squares[n_compared:] - squares[:-n_compared]
    likeness = products / np.sqrt(powers * end.dot(end) + 1)
    best = int(np.argmax(likeness))
    return longest - best if likeness[best] >= _LEAST_LIKENESS else longest


def _by_channel(pcm: PcmData) -> _Floats:
    """Return a copy of shape (channels, n)."""
    return np.atleast_2d(pcm.samples).astype(np.float64)


def _like(pcm: PcmData, samples: _Floats) -> PcmData:
    """Make audio of the same kind of samples of shape (channels, n)."""
    rounded = to_int16(samples)
    return PcmData(
        pcm.sample_rate,
        "s16",
        rounded[0] if pcm.channels == 1 else rounded,
        channels=pcm.channels,
    )
