"""Audio by which it is measured how late it comes, and whether it is whole.

A tone that never stops shows cuts, gaps and clicks; a chirp each second, above it, shows when it
was said. Both ends of a call may say it, at any rate; what was heard is looked at with 8 kHz.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
Floats = NDArray[np.float64]

LOOK_RATE: Final = 8000
PITCH: Final = 400.0
MARK_AT: Final = 0.5
"""Seconds of each second at which its chirp begins."""

_CHIRP: Final = 0.04
_CHIRP_PITCHES: Final = (1400.0, 2800.0)
_WINDOW: Final = 0.01
_CLICK: Final = 0.2
"""Part of a tone that is not the tone: what PCMU and Opus add is below 0.08, a cut above 0.3."""


def _chirp(rate: int) -> Floats:
    times = np.arange(round(rate * _CHIRP)) / rate
    low, high = _CHIRP_PITCHES
    phase = 2 * np.pi * (low * times + (high - low) / (2 * _CHIRP) * times**2)
    chirp: Floats = np.sin(phase) * np.hanning(len(times))
    return chirp


def marked_tone(rate: int) -> Samples:
    """Return one second, which repeats without a seam."""
    said = 6000 * np.sin(2 * np.pi * PITCH * np.arange(rate) / rate)
    chirp = 9000 * _chirp(rate)
    start = round(rate * MARK_AT)
    said[start : start + len(chirp)] += chirp
    return said.astype(np.int16)


class Timeline:
    """Audio in chunks, each with the moment of its first sample."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._moments: list[float] = []
        self._ends: list[int] = []
        self._chunks: list[Samples] = []

    def add(self, at: float, samples: Samples) -> None:
        """Take the next chunk, which is heard or said from ``at`` on."""
        self._moments.append(at)
        self._ends.append(self.n_samples + len(samples))
        self._chunks.append(samples)

    @property
    def n_chunks(self) -> int:
        return len(self._chunks)

    @property
    def n_samples(self) -> int:
        return self._ends[-1] if self._ends else 0

    def since(self, start: int) -> Timeline:
        """Return a copy of what there is now, from the chunk ``start`` on; in any thread."""
        copy, end = Timeline(self.rate), self.n_chunks
        for at, samples in zip(self._moments[start:end], self._chunks[start:end], strict=True):
            copy.add(at, samples)
        return copy

    def samples(self, start: int = 0) -> Samples:
        """Return the audio from the chunk ``start`` on."""
        return np.concatenate([np.empty(0, np.int16), *self._chunks[start:]])

    def when(self, positions: Floats, start: int = 0) -> Floats:
        """Return the moments of positions in ``samples(start)``, in samples."""
        ends = np.array(self._ends[start:])
        begins = np.concatenate(([0], ends[:-1] - ends[0] + len(self._chunks[start])))
        index = np.searchsorted(begins, positions, side="right") - 1
        moments: Floats = np.array(self._moments[start:])[index]
        moments += (positions - begins[index]) / self.rate
        return moments


def marks_of(timeline: Timeline, start: int = 0) -> tuple[Floats, Floats]:
    """Find the chirps from a chunk on; return when each begins, and where at ``LOOK_RATE``."""
    look = _look_at(timeline, start)
    chirp = _chirp(LOOK_RATE)
    if len(look) < LOOK_RATE // 2:
        return np.empty(0), np.empty(0)
    size = 1 << (len(look) + len(chirp)).bit_length()
    spectrum = np.fft.rfft(look, size) * np.conj(np.fft.rfft(chirp, size))
    likeness = np.fft.irfft(spectrum, size)[: len(look) - len(chirp)] / (chirp @ chirp)
    places = []
    while len(likeness) and likeness.max() > 2500:
        place = int(likeness.argmax())
        places.append(place)
        likeness[max(0, place - LOOK_RATE // 4) : place + LOOK_RATE // 4] = 0
    where = np.array(sorted(places), float)
    if not len(where):
        return np.empty(0), where
    return timeline.when(where * timeline.rate / LOOK_RATE, start), where


def delays_of(said: Floats, heard: Floats) -> Floats:
    """Return how late each mark was heard, in seconds; of delays below a second it is right.

    Args:
        said: moments at which marks were said.
        heard: moments at which marks were heard.
    """
    index = np.searchsorted(said, heard) - 1
    known = index >= 0
    late: Floats = heard[known] - said[index[known]]
    return late


def clicks_in(timeline: Timeline, start: int = 0) -> int:
    """Count the places at which the tone is broken: by a gap, a cut or a click."""
    look = _look_at(timeline, start)
    _, where = marks_of(timeline, start)
    size = round(LOOK_RATE * _WINDOW)
    windows = np.lib.stride_tricks.sliding_window_view(look, size)[:: size // 2]
    if not len(windows):
        return 0
    times = np.arange(size) / LOOK_RATE
    parts = np.stack(
        (np.cos(2 * np.pi * PITCH * times), np.sin(2 * np.pi * PITCH * times), np.ones(size))
    )
    fitted = windows @ np.linalg.pinv(parts) @ parts
    rest = np.sqrt(((windows - fitted) ** 2).mean(axis=1))
    loud = np.sqrt((look**2).mean())
    is_broken = rest / loud > _CLICK
    begins = np.arange(len(windows)) * (size // 2)
    chirp, margin = _CHIRP * LOOK_RATE, 2 * size
    for place in where:
        is_broken &= ~((begins > place - margin) & (begins < place + chirp + margin))
    broken = begins[is_broken]
    # What is a window apart is one place; the edges of what was heard are none.
    broken = broken[(broken > LOOK_RATE // 4) & (broken < len(look) - LOOK_RATE // 4)]
    return int(len(broken) and 1 + np.count_nonzero(np.diff(broken) > 4 * size))


def _look_at(timeline: Timeline, start: int) -> Floats:
    samples = timeline.samples(start).astype(float)
    step = timeline.rate // LOOK_RATE
    seen: Floats = samples[: len(samples) // step * step].reshape(-1, step).mean(axis=1)
    return seen
