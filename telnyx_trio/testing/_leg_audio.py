"""Both voices of a leg at the carrier: what the caller says, what the caller hears."""

from __future__ import annotations

from random import Random

import numpy as np

from ._audioop import audioop
from ._codecs import Codec, Samples, resample_clip
from ._player import Player, Timeline

_WIDTH = 2  # bytes of an int16 sample


class LegAudio:
    """The two timelines of a leg and the codec that carries them.

    Positions count samples of the leg from the start of the media.

    Args:
        codec: of the leg; every sound passes through it once.
        noise: peak of the background noise, in int16 steps.
        seed: of the noise.
    """

    def __init__(self, codec: Codec, *, noise: int = 0, seed: int = 0) -> None:
        self.codec = codec
        self.voice = Timeline()
        self.player = Player(codec.sample_rate)
        self._unspoken: list[bytes] = []
        self._started_at: float | None = None
        # One second that repeats: faint, and only there so that the line is not dead.
        random = Random(seed)
        steps = [random.randint(-noise, noise) for _ in range(codec.sample_rate if noise else 0)]
        self._noise = np.array(steps, np.int16).tobytes() * 2

    @property
    def sample_rate(self) -> int:
        """Of the leg, in Hz."""
        return self.codec.sample_rate

    @property
    def started_at(self) -> float | None:
        """When the media started, on the clock of ``now``; None before."""
        return self._started_at

    def start(self, now: float) -> None:
        """Start the sample clock; later calls change nothing."""
        if self._started_at is None:
            self._started_at = now
            for pcm in self._unspoken:
                self.voice.append(pcm, 0)
            self._unspoken.clear()

    def elapsed(self, now: float) -> float:
        """Return the seconds since the media started, 0 before."""
        return 0.0 if self._started_at is None else now - self._started_at

    def say(self, samples: Samples, sample_rate: int, now: float) -> None:
        """Speak from now on, or behind what is being said; before the media, from its start.

        Args:
            samples: int16, shape (n,), mono. Copied.
            sample_rate: of the samples, in Hz.
            now: in seconds.
        """
        clip = resample_clip(samples, sample_rate, self.sample_rate)
        pcm = self.codec.pass_through(clip.tobytes())
        if self._started_at is None:
            self._unspoken.append(pcm)
        else:
            self.voice.append(pcm, self.player.position(self.elapsed(now)))

    def speak(self, start: int, stop: int) -> bytes:
        """Return the caller's sound between two positions, noise included."""
        pcm = self.voice.read(start, stop)
        if self._noise:
            at = start % self.sample_rate * _WIDTH
            mixed = audioop.add(pcm, self._noise[at : at + len(pcm)], _WIDTH)
            pcm = self.codec.pass_through(mixed)
            self.voice.replace(pcm, start)
        return pcm

    def recording(self, now: float) -> Samples:
        """Return int16 of shape (2, n): row 0 is the caller's voice, row 1 what the caller heard.

        Both start with the media and end now; what is queued but not played yet is left out.
        """
        stop = self.player.position(self.elapsed(now))
        sides = (self.voice.read(0, stop), self.player.timeline.read(0, stop))
        return np.stack([np.frombuffer(side, np.int16) for side in sides])
