"""Polyphase filter banks: which input samples make one output sample, and with what weights.

Theory of operation. Changing the rate from M to L (in lowest terms) puts output sample m at the
input position m * M / L. Its value is the input weighted by a low-pass filter that is centred on
that position: a sinc that cuts at half the lower of the two rates, under a Kaiser window of
HALF_WIDTH periods of that rate to either side. The fraction of the position takes only L values,
the phases, so that all weights fit in a table of L rows.

The filter is symmetric, hence of linear phase: what it delays is HALF_WIDTH periods, 2.5 ms for
8 kHz, and since output sample m is centred on its own position that delay shows as samples held
back, never as a shift of the audio.

The weights are rounded to multiples of 2**-30. A product with an int16 sample is then exact in
float64, and so is every partial sum (at most 2**17 in size, 47 bits). The result therefore does
not depend on the order of summation: neither on how the audio was cut into chunks, nor on which
of the two ways below computes it, nor on the machine's BLAS.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, gcd
from typing import Final

import numpy as np
from numpy.typing import NDArray

HALF_WIDTH: Final = 20
"""Periods of the lower rate that the filter reaches to either side. The transition band is then
1 kHz wide at 8 kHz: -0.1 dB at 3.5 kHz, -80 dB from 4.5 kHz on (measured by the tests)."""

_KAISER_BETA: Final = 0.1102 * (80 - 8.7)
"""Stopband of 80 dB (Kaiser's formula; Oppenheim and Schafer, "Discrete-Time Signal Processing",
section 7.5)."""

_WEIGHT_STEP: Final = 2.0**-30

_BLOCK_OUTPUTS: Final = 16
"""Output samples that share one row of the matrix product: fewer make more rows, more make a
larger share of the matrix zeros. 16 was the fastest for 8, 16, 24 and 48 kHz."""

_MAX_BLOCK_CELLS: Final = 65536
"""Largest block matrix, half a megabyte. Pairs with long periods (11025 to 8000 Hz: 320 phases)
are computed from their phases instead, sample by sample."""

_Samples = NDArray[np.int16] | NDArray[np.float32]


class FilterBank:
    """The filter for one pair of rates. Immutable; shared by all resamplers of that pair."""

    __slots__ = ("_block", "_block_inputs", "_block_outputs", "_phases", "_reach", "down", "up")

    def __init__(self, from_rate: int, to_rate: int) -> None:
        common = gcd(from_rate, to_rate)
        self.up = to_rate // common
        self.down = from_rate // common
        self._reach = ceil(HALF_WIDTH * max(1.0, from_rate / to_rate))
        self._phases = self._design()

        periods = ceil(_BLOCK_OUTPUTS / self.up)
        self._block_outputs = periods * self.up
        self._block_inputs = periods * self.down
        span = (self._block_outputs - 1) * self.down // self.up + 2 * self._reach
        self._block: NDArray[np.float64] | None = None
        if span * self._block_outputs <= _MAX_BLOCK_CELLS:
            self._block = self._unroll(span)

    def _design(self) -> NDArray[np.float64]:
        """Weights, shape (up, 2 * reach); row p serves positions with the fraction p / up."""
        fraction = np.arange(self.up)[:, np.newaxis] / self.up
        tap = np.arange(1 - self._reach, self._reach + 1)
        periods = (tap - fraction) * min(1.0, self.up / self.down)
        inside = np.clip(1 - (periods / HALF_WIDTH) ** 2, 0, 1)
        weights = np.sinc(periods) * np.i0(_KAISER_BETA * np.sqrt(inside)) * (inside > 0)
        # Each phase sums to one, so that a constant stays constant.
        weights /= weights.sum(axis=1, keepdims=True)
        return np.asarray(np.rint(weights / _WEIGHT_STEP) * _WEIGHT_STEP)

    def _unroll(self, span: int) -> NDArray[np.float64]:
        """Weights of one block, shape (span, block_outputs): each column a phase, moved down."""
        block = np.zeros((span, self._block_outputs))
        for output in range(self._block_outputs):
            position, phase = divmod(output * self.down, self.up)
            block[position : position + 2 * self._reach, output] = self._phases[phase]
        return block

    def n_ready(self, n_inputs: int) -> int:
        """How many output samples are determined by the first ``n_inputs`` input samples."""
        return max(0, -(-(n_inputs - self._reach) * self.up // self.down))

    def first_input(self, output: int) -> int:
        """Index of the first input sample that ``produce`` needs for ``output``; may be < 0."""
        return output // self._block_outputs * self._block_inputs - self._reach + 1

    def produce(
        self, samples: _Samples, start: int, stop: int, *, offset: int
    ) -> NDArray[np.float64]:
        """Compute output samples ``start`` to ``stop``.

        Args:
            samples: shape (n,); input samples from index ``offset`` on. What is read beyond its
                end counts as zero.
            start: the first output sample wanted.
            stop: one beyond the last, > ``start``.
            offset: at most ``first_input(start)``.
        """
        first_block = start // self._block_outputs
        n_blocks = (stop - 1) // self._block_outputs - first_block + 1
        skip = self.first_input(start) - offset
        if self._block is None:
            return self._produce_by_phase(samples, start, stop, offset=offset)
        span = len(self._block)
        missing = skip + (n_blocks - 1) * self._block_inputs + span - len(samples)
        if missing > 0:
            samples = np.concatenate((samples, np.zeros(missing, samples.dtype)))
        item = samples.itemsize
        rows: _Samples = np.ndarray(
            (n_blocks, span),
            samples.dtype,
            samples,
            skip * item,
            (self._block_inputs * item, item),
        )
        # The copy is what makes overlapping rows fit for BLAS.
        produced = rows.astype(np.float64, order="C") @ self._block
        head = start - first_block * self._block_outputs
        return produced.reshape(-1)[head : head + stop - start]

    def _produce_by_phase(
        self, samples: _Samples, start: int, stop: int, *, offset: int
    ) -> NDArray[np.float64]:
        position, phase = np.divmod(np.arange(start, stop) * self.down, self.up)
        first = position - (self._reach - 1 + offset)
        missing = int(first[-1]) + 2 * self._reach - len(samples)
        if missing > 0:
            samples = np.concatenate((samples, np.zeros(missing, samples.dtype)))
        rows = np.lib.stride_tricks.sliding_window_view(samples, 2 * self._reach)[first]
        produced: NDArray[np.float64] = np.einsum(
            "ij,ij->i", rows.astype(np.float64), self._phases[phase]
        )
        return produced


@lru_cache(maxsize=32)
def filter_bank(from_rate: int, to_rate: int) -> FilterBank:
    """The filter bank for a pair of rates in Hz; the last 32 pairs are kept."""
    return FilterBank(from_rate, to_rate)
