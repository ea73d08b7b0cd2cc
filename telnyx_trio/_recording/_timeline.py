"""Two channels on one sample clock, of which the last seconds can still be changed.

Positions count samples from the start of the recording. What lies behind ``window`` seconds is on
disk and forgotten; what lies after it is kept, because a packet that comes late, or a ``clear``,
changes what was believed of the last moments. All that changed is written again.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Channel: TypeAlias = Literal[0, 1]

LEFT: Final = 0
RIGHT: Final = 1

_MAX_SPAN: Final = 60.0
"""Seconds kept at most, should the disk not keep up. What comes then is lost, and counted."""

_FIRST_SPAN: Final = 4.0
"""Seconds that there is room for from the start."""


class StereoTimeline:
    """The end of a recording that grows.

    Args:
        sample_rate: in Hz.
        window: seconds that are kept once they were taken.

    Attributes:
        sample_rate: as given.
        first: position of the first sample that can still be changed.
        n_lost: samples of one channel that found no room.
    """

    def __init__(self, sample_rate: int, window: float) -> None:
        self.sample_rate: Final = sample_rate
        self.first = 0
        self.n_lost = 0
        self._window = round(window * sample_rate)
        self._max_samples = round(_MAX_SPAN * sample_rate)
        # Shape (n, 2), as in the file; what was not written is silence.
        self._pcm = np.zeros((round(_FIRST_SPAN * sample_rate), 2), np.int16)
        self._end = 0
        self._changed_from = 0

    def write(self, channel: Channel, position: int, samples: NDArray[np.int16]) -> None:
        """Put samples in the place of what is there; what lies before ``first`` is left out."""
        if position < self.first:
            samples = samples[self.first - position :]
            position = self.first
        start = position - self.first
        stop = min(start + len(samples), self._max_samples)
        if stop > len(self._pcm):
            self._grow(stop)
        n_fitting = max(0, stop - start)
        self.n_lost += len(samples) - n_fitting
        if n_fitting:
            self._pcm[start:stop, channel] = samples[:n_fitting]
            self._end = max(self._end, position + n_fitting)
            self._changed_from = min(self._changed_from, position)

    def move(self, channel: Channel, start: int, stop: int, shift: int) -> None:
        """Move the samples from start up to stop; silence is where they were."""
        start = max(start, self.first)
        if start < stop:
            moved = self.read(channel, start, stop)
            self.write(channel, start, np.zeros(stop - start, np.int16))
            self.write(channel, start + shift, moved)

    def erase(self, channel: Channel, position: int) -> None:
        """Make silence of everything from a position on."""
        position = max(position, self.first)
        if position < self._end:
            self._pcm[position - self.first : self._end - self.first, channel] = 0
            self._changed_from = min(self._changed_from, position)

    def read(self, channel: Channel, start: int, stop: int) -> NDArray[np.int16]:
        """Return a copy of the samples from start, which is not before ``first``, up to stop."""
        samples = np.zeros(stop - start, np.int16)
        kept = self._pcm[start - self.first : stop - self.first, channel]
        samples[: len(kept)] = kept
        return samples

    def take(self, stop: int) -> tuple[int, bytes]:
        """Return what has changed up to a position, as the file is to have it.

        Returns:
            The position of its first sample; int16, little-endian, left and right in turn.
        """
        start = self._changed_from
        if stop <= start:
            return start, b""
        if stop - self.first > len(self._pcm):
            self._grow(min(stop - self.first, self._max_samples))
        content = self._pcm[start - self.first : stop - self.first].astype("<i2").tobytes()
        content = content.ljust((stop - start) * 4, b"\0")
        self._changed_from = stop
        self._end = max(self._end, stop)
        self._forget(stop - self._window)
        return start, content

    def _forget(self, position: int) -> None:
        n_old = position - self.first
        if n_old > 0:
            n_kept = max(0, self._end - position)
            self._pcm[:n_kept] = self._pcm[n_old : n_old + n_kept].copy()
            self._pcm[n_kept:] = 0
            self.first = position

    def _grow(self, n_samples: int) -> None:
        size = min(max(n_samples, 2 * len(self._pcm)), self._max_samples)
        grown = np.zeros((size, 2), np.int16)
        grown[: len(self._pcm)] = self._pcm
        self._pcm = grown
