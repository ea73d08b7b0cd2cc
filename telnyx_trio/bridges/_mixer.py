"""Several speakers as one voice, on one clock.

Each speaker has a buffer of its own between their clock and ours, so that one whose audio is late
or too much does not disturb the others. Voices add up. Where the sum would not fit into 16 bits,
all of it is made softer, by a gain that falls within a block and rises slowly: cut-off peaks are
heard, a softer second is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ._clock_buffer import ClockBuffer, ClockBufferStatistics

_FULL_SCALE: Final = 32000.0
_RELEASE: Final = 1.02
"""Factor by which the gain rises with each block: 6 dB in 0.7 s at 20 ms."""


class Mixer:
    """Adds up what several speakers push, in blocks that are pulled.

    Args:
        sample_rate: of all, in Hz.
        max_level: seconds that are held of each speaker at most.
    """

    def __init__(self, sample_rate: int, max_level: float) -> None:
        self._rate = sample_rate
        self._max_level = max_level
        self._buffers: dict[str, ClockBuffer] = {}
        self._leaving: set[str] = set()
        self._gain = 1.0

    def push(self, speaker: str, samples: NDArray[np.int16], now: float) -> None:
        """Take what a speaker says next; one who was not there before is there from now on.

        Args:
            speaker: who.
            samples: int16, shape (n,). Not kept.
            now: by the clock of who mixes.
        """
        buffer = self._buffers.get(speaker)
        if buffer is None:
            buffer = self._buffers[speaker] = ClockBuffer(self._rate, self._max_level)
        self._leaving.discard(speaker)
        buffer.push(samples, now)

    def remove(self, speaker: str) -> None:
        """Forget a speaker once what they said is played."""
        if speaker in self._buffers:
            self._leaving.add(speaker)

    def mix(self, count: int, now: float) -> NDArray[np.int16] | None:
        """Return the next block, int16 of shape (count,); None if nobody says anything.

        Args:
            count: samples of the block: always the same, 10 to 20 ms.
            now: by the clock of who mixes.
        """
        total: NDArray[np.float32] | None = None
        for speaker, buffer in list(self._buffers.items()):
            is_leaving = speaker in self._leaving
            block = buffer.pull(count, now, is_last=is_leaving)
            if block is not None:
                total = block if total is None else total + block
            elif is_leaving:
                del self._buffers[speaker]
                self._leaving.discard(speaker)
        if total is None:
            return None
        return self._limit(total)

    def statistics(self) -> Mapping[str, ClockBufferStatistics]:
        """Return the counters of each speaker who is there."""
        return {speaker: buffer.statistics() for speaker, buffer in list(self._buffers.items())}

    def _limit(self, total: NDArray[np.float32]) -> NDArray[np.int16]:
        peak = float(np.abs(total).max(initial=0.0))
        before = self._gain
        self._gain = min(before * _RELEASE, 1.0, _FULL_SCALE / peak if peak else 1.0)
        if self._gain < 1.0 or before < 1.0:
            # Falls in the first quarter of the block; what of a peak lies there is still cut off.
            ramp = np.full(len(total), self._gain, np.float32)
            quarter = len(total) // 4
            ramp[:quarter] = np.linspace(before, self._gain, quarter, dtype=np.float32)
            total = total * ramp
        return np.clip(np.rint(total), -32768, 32767).astype(np.int16)
