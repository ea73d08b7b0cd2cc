"""Audio on its way from one clock to another: bounded, and never drifting.

Who fills the buffer and who empties it count seconds differently, by some millionths or, after a
stall, by a whole second. How it is kept level:

- What is left after a block was taken, just before the next chunk comes, is the reserve. Its lowest
  value of the last seconds is what the buffer has too much, or too little: the average would be the
  jitter's, not ours. As chunks come at their own times, it is told by the clock and not by the
  samples alone, which would show a slow drift when it has become a whole chunk, and a gap.
- A block of n samples is made from n + d of the buffer's, with d a few samples at most, read at
  d/n more or less than normal speed. Every block begins exactly where the one before ended, so
  nothing clicks, and a tone is off by 0.5 % at worst, which takes a trained ear.
- What is beyond the bound is cut out, and the ends faded into each other; so is what has been far
  too much for all of these seconds, as after a stall, which small steps would take half a minute
  to bring down.
- When it runs dry the last samples are faded out, and it starts again, faded in, once there is
  enough. Each time that this was for audio which was late, and not for a speaker who has stopped,
  the reserve grows; it shrinks again by and by.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float32]

RESERVE: Final = 0.01
"""Seconds that are to be left at the worst moment of the last seconds."""

_MAX_RESERVE: Final = 0.06
_RESERVE_STEP: Final = 0.01
"""Seconds by which the reserve grows when audio was late, and shrinks in half a minute without."""

_LATE: Final = 0.3
"""Seconds: audio that comes back within them was late; after them somebody began to speak anew."""

_SURPLUS_STEP: Final = 0.005
_SHORTAGE_STEP: Final = 0.002
"""Seconds that the reserve is too much or too little, for each sample of a block that is left out
or added. Too much is a little delay, too little is soon a gap."""

_MAX_STRETCH: Final = 1 / 200
"""Of a block's samples: 9 cents, half a tenth of a semitone more than is heard in speech."""

_WINDOWS: Final = 8
_WINDOW: Final = 0.5
"""Seconds of each window whose lowest reserve is kept; together they span 4 s."""

_FAR_TOO_MUCH: Final = 0.05
"""Seconds of surplus that are cut out at once, if they were there all the time."""

_FADE: Final = 0.005
"""Seconds: short enough not to be heard as a fade, long enough not to be heard as a click."""


@dataclass(frozen=True)
class ClockBufferStatistics:
    """What a buffer between two clocks holds, and what it had to do.

    Attributes:
        level: seconds in it now.
        lowest: seconds that were left at the worst moment of the last 4 s.
        gaps: how often it ran dry: audio was late, or the speaker paused.
        dropped: seconds cut out to keep within the bound.
        corrected: seconds left out (positive) or added to follow the other clock, all in all.
    """

    level: float
    lowest: float
    gaps: int
    dropped: float
    corrected: float


class ClockBuffer:
    """Holds audio that is pushed by one clock and pulled by another.

    Args:
        sample_rate: of both, in Hz, each by its own clock.
        max_level: seconds that it holds at most, 0.1 or more.
    """

    def __init__(self, sample_rate: int, max_level: float) -> None:
        self._rate = sample_rate
        self._max = round(sample_rate * max_level)
        self._fade = round(sample_rate * _FADE)
        self._kept: Samples = np.empty(0, np.float32)
        self._chunk = 0
        self._pushed_at = 0.0
        # The sample before the first one kept, which interpolation needs.
        self._before = np.float32(0)
        self._reserve = RESERVE
        self._is_playing = False
        self._since_gap = np.inf
        self._window: list[float] = [np.inf, 0.0]  # lowest reserve, seconds so far
        self._windows: deque[float] = deque(maxlen=_WINDOWS)
        self._gaps = 0
        self._dropped = 0
        self._corrected = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to be pulled."""
        return not len(self._kept)

    @property
    def is_playing(self) -> bool:
        """Whether the last pull was given audio, to its end."""
        return self._is_playing

    def statistics(self) -> ClockBufferStatistics:
        """Return the counters as they stand."""
        lowest = min((*self._windows, self._window[0]))
        level = len(self._kept) / self._rate
        return ClockBufferStatistics(
            level=level,
            lowest=lowest / self._rate if np.isfinite(lowest) else level,
            gaps=self._gaps,
            dropped=self._dropped / self._rate,
            corrected=self._corrected / self._rate,
        )

    def push(self, samples: NDArray[np.int16], now: float) -> None:
        """Add the next samples; what is too much is cut out.

        Args:
            samples: int16, shape (n,). Not kept.
            now: by the clock of who pulls.
        """
        self._chunk = min(len(samples), self._max // 2)
        self._pushed_at = now
        kept = np.concatenate((self._kept, samples), dtype=np.float32)
        if len(kept) > self._max:
            # Far below the bound, or the next burst would be cut again.
            surplus = len(kept) - self._max // 3
            self._dropped += surplus
            kept = _cut_out(kept, surplus, self._fade)
        self._kept = kept

    def pull(self, count: int, now: float, *, is_last: bool = False) -> Samples | None:
        """Take the next block.

        Args:
            count: samples of the block: always the same, 10 to 20 ms.
            now: by the clock of who pulls.
            is_last: nothing more will be pushed: what is there is played to its end.

        Returns:
            Shape (count,), in the range of int16; None while there is nothing to play.
        """
        self._since_gap += count / self._rate
        if not self._is_playing:
            surplus = self._spare(now) - count - round(self._rate * self._reserve)
            if self.is_empty or (surplus < 0 and not is_last):
                return None
            return self._start(count, max(0, surplus))
        if len(self._kept) < count:
            return self._run_dry(count)
        self._cut_surplus(count)
        surplus = self._surplus(count)
        size = count + surplus
        if not surplus or len(self._kept) < size + 2:
            size = count
            block = self._kept[:count]
        else:
            block = _stretch(self._before, self._kept, size, count)
        self._take(size)
        self._corrected += size - count
        self._note_reserve(count, now)
        return block

    def _spare(self, now: float) -> int:
        """Return the samples that would be left when the next chunk comes, were it on time."""
        since = round(self._rate * (now - self._pushed_at))
        return len(self._kept) - self._chunk + min(since, self._chunk)

    def _take(self, size: int) -> None:
        self._before = self._kept[size - 1]
        self._kept = self._kept[size:]

    def _start(self, count: int, surplus: int) -> Samples:
        """Play the first block, faded in. What there is too much is not worth its delay."""
        if self._since_gap < _LATE:
            self._reserve = min(self._reserve + _RESERVE_STEP, _MAX_RESERVE)
        self._is_playing = True
        self._windows.clear()
        self._window = [np.inf, 0.0]
        self._kept = self._kept[surplus:]
        if len(self._kept) < count:
            return self._run_dry(count)
        block = self._kept[:count].copy()
        self._take(count)
        fade = min(self._fade, count)
        block[:fade] *= _ramp(fade)
        return block

    def _run_dry(self, count: int) -> Samples:
        """Fade out what is left."""
        block = np.zeros(count, np.float32)
        rest = self._kept
        fade = min(self._fade, len(rest))
        block[: len(rest)] = rest
        if fade:
            block[len(rest) - fade : len(rest)] *= _ramp(fade)[::-1]
        else:
            # Nothing is left to fade: what was last heard falls to zero from where it was.
            block[: self._fade] = self._before * _ramp(self._fade)[::-1][:count]
        self._kept = np.empty(0, np.float32)
        self._before = np.float32(0)
        self._is_playing = False
        self._since_gap = 0.0
        self._gaps += 1
        return block

    def _note_reserve(self, count: int, now: float) -> None:
        self._window[0] = min(self._window[0], self._spare(now))
        self._window[1] += count / self._rate
        if self._window[1] >= _WINDOW:
            self._windows.append(self._window[0])
            self._window = [np.inf, 0.0]
            self._reserve = max(RESERVE, self._reserve - _RESERVE_STEP * _WINDOW / 30)

    def _cut_surplus(self, count: int) -> None:
        """Cut out what has been far too much for long; a block is left, and what fades over."""
        surplus = self._too_much()
        if len(self._windows) == _WINDOWS and surplus > _FAR_TOO_MUCH:
            size = min(round(self._rate * surplus), len(self._kept) - count - 2 * self._fade)
            if size > 0:
                self._kept = _cut_out(self._kept, size, self._fade)
                self._dropped += size
            self._windows.clear()

    def _too_much(self) -> float:
        """Return the seconds that were more than the reserve all the time; negative if less."""
        return min((*self._windows, self._window[0])) / self._rate - self._reserve

    def _surplus(self, count: int) -> int:
        """Return how many samples more than ``count`` the next block is to use up."""
        if not self._windows:
            return 0
        surplus = self._too_much()
        most = int(count * _MAX_STRETCH)
        step = _SURPLUS_STEP if surplus > 0 else _SHORTAGE_STEP
        return max(-most, min(most, int(surplus / step)))


@lru_cache(maxsize=8)
def _ramp(size: int) -> Samples:
    """Return a rise from 0 to 1 with soft ends."""
    rise: Samples = np.sin(np.linspace(0, np.pi / 2, size, dtype=np.float32)) ** 2
    return rise


def _cut_out(samples: Samples, surplus: int, fade: int) -> Samples:
    """Leave out ``surplus`` samples behind the first ones, fading over."""
    kept = samples[surplus:].copy()
    fade = min(fade, len(kept))
    rise = _ramp(fade)
    kept[:fade] = samples[:fade] * (1 - rise) + kept[:fade] * rise
    return kept


@lru_cache(maxsize=32)
def _weights(size: int, count: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return, for each sample of a block, where it lies among ``size``, and four weights.

    Cubic convolution (Keys 1981, a = -1/2): at 48 kHz, what it does to a tone of 4 kHz lies 60 dB
    below it.
    """
    where = np.arange(count) * (size / count)
    index = where.astype(np.intp)
    t = where - index
    weights = np.stack(
        (
            t * (-0.5 + t * (1 - 0.5 * t)),
            1 + t * t * (-2.5 + 1.5 * t),
            t * (0.5 + t * (2 - 1.5 * t)),
            t * t * (-0.5 + 0.5 * t),
        )
    )
    return index, weights.astype(np.float32)


def _stretch(before: np.float32, samples: Samples, size: int, count: int) -> Samples:
    """Return ``size`` samples as ``count``; needs one before them and two behind."""
    index, weights = _weights(size, count)
    around = np.concatenate(([before], samples[: size + 2]), dtype=np.float32)
    block: Samples = weights[0] * around[index]
    for shift in (1, 2, 3):
        block += weights[shift] * around[index + shift]
    return block
