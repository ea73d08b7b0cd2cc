"""Changing the sample rate: of a stream, chunk by chunk, and of a whole recording.

One matrix product a chunk (see ``_filters``). Tried and not taken: soxr's stream, which holds back
57 to 175 ms at these rates, and libswresample, which lets 4.3 kHz through into 8 kHz at -31 dB.
"""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from ._filters import filter_bank

_WHOLE_STEP: Final = 4096
"""Output samples computed at a time when a whole recording is resampled, to bound memory."""

_Sample = TypeVar("_Sample", np.int16, np.float32)


class Resampler:
    """Change the rate of a stream of int16 mono samples.

    The filter's state is kept from chunk to chunk: however the stream is cut, the samples that
    come out are the same, bit for bit. Output sample m belongs to the input position
    m * ``from_rate`` / ``to_rate``; nothing is shifted, but the samples of the last 20 periods of
    the lower rate (2.5 ms where that is 8 kHz) wait for the next chunk or for ``flush``.

    Quality, where the lower rate is 8 kHz: flat within 0.1 dB to 3.4 kHz, everything from 4.6 kHz
    on is down by 80 dB.

    Args:
        from_rate: of what is pushed, in Hz.
        to_rate: of what comes out, in Hz. The same as ``from_rate`` passes everything through.

    Attributes:
        from_rate: as given.
        to_rate: as given.

    Raises:
        ValueError: a rate is not positive.
    """

    __slots__ = ("_bank", "_kept", "_n_in", "_n_out", "_offset", "from_rate", "to_rate")

    _kept: NDArray[np.int16]

    def __init__(self, from_rate: int, to_rate: int) -> None:
        if from_rate <= 0 or to_rate <= 0:
            raise ValueError(f"sample rates must be positive: {from_rate} Hz to {to_rate} Hz")
        self.from_rate = from_rate
        self.to_rate = to_rate
        self._bank = None if from_rate == to_rate else filter_bank(from_rate, to_rate)
        self.reset()

    def __repr__(self) -> str:
        return f"Resampler({self.from_rate} Hz -> {self.to_rate} Hz)"

    @property
    def held(self) -> float:
        """Audio that was pushed and has not come out yet."""
        return max(0.0, self._n_in / self.from_rate - self._n_out / self.to_rate)

    def push(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Take the next samples and return those that they complete.

        Args:
            samples: int16, shape (n,), n >= 0. Not kept.

        Returns:
            int16, shape (m,); ``samples`` itself when the rates are the same.

        Raises:
            ValueError: ``samples`` has another dtype or shape.
        """
        if samples.dtype != np.int16 or samples.ndim != 1:
            raise ValueError(f"need int16 of shape (n,), got {samples.dtype} of {samples.shape}")
        if self._bank is None:
            return samples
        self._n_in += len(samples)
        self._kept = np.concatenate((self._kept, samples))
        return self._advance(self._bank.n_ready(self._n_in))

    def flush(self) -> NDArray[np.int16]:
        """End the stream: return the samples that waited for more, and start afresh.

        What came out since the start is then round(n * ``to_rate`` / ``from_rate``) samples for
        the n that were pushed.
        """
        tail = self._advance(round(self._n_in * self.to_rate / self.from_rate))
        self.reset()
        return tail

    def reset(self) -> None:
        """Forget the stream so far, as before an unrelated one."""
        self._n_in = 0
        self._n_out = 0
        # Index, in the stream, of the first sample kept. What lies before the stream is zero.
        self._offset = 0 if self._bank is None else self._bank.first_input(0)
        self._kept = np.zeros(-self._offset, np.int16)

    def _advance(self, stop: int) -> NDArray[np.int16]:
        """Produce up to output sample ``stop`` and drop the input that is needed no more."""
        if self._bank is None or stop <= self._n_out:
            return np.empty(0, np.int16)
        produced = self._bank.produce(self._kept, self._n_out, stop, offset=self._offset)
        self._n_out = stop
        first = self._bank.first_input(stop)
        self._kept = self._kept[first - self._offset :]
        self._offset = first
        return to_int16(produced)


def to_int16(values: NDArray[np.float64]) -> NDArray[np.int16]:
    """Round to the nearest int16; what is beyond the range becomes its end."""
    rounded = np.rint(values)
    np.minimum(rounded, 32767, out=rounded)
    np.maximum(rounded, -32768, out=rounded)
    return rounded.astype(np.int16)


def resample_whole(samples: NDArray[_Sample], from_rate: int, to_rate: int) -> NDArray[_Sample]:
    """Change the rate of a whole recording.

    Args:
        samples: int16 or float32, shape (n,).
        from_rate: in Hz.
        to_rate: in Hz, another than ``from_rate``.

    Returns:
        Shape (round(n * to_rate / from_rate),), dtype as ``samples``; for int16 what a
        ``Resampler`` gives.
    """
    bank = filter_bank(from_rate, to_rate)
    total = round(len(samples) * to_rate / from_rate)
    offset = bank.first_input(0)
    padded = np.concatenate((np.zeros(-offset, samples.dtype), samples))
    resampled: NDArray[_Sample] = np.empty(total, samples.dtype)
    for start in range(0, total, _WHOLE_STEP):
        stop = min(start + _WHOLE_STEP, total)
        produced = bank.produce(padded, start, stop, offset=offset)
        resampled[start:stop] = to_int16(produced) if resampled.dtype == np.int16 else produced
    return resampled
