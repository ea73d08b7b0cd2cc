"""Both voices of a leg at the carrier: what the caller says, what the caller hears.

What the caller hears is a sum: of what the media socket sends, of what the carrier plays by command
and of the voice at the other end of a bridge. Telnyx does not say what a playback does to a media
stream; adding them loses nothing, so a test hears whatever was sent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._audioop import audioop
from ._codecs import Codec, Resampler, Samples, resample_clip
from ._player import Player, Timeline

_WIDTH = 2  # bytes of an int16 sample


@dataclass
class Clip:
    """A sound that the carrier plays to a caller.

    Attributes:
        start: position of its first sample.
        pcm: native int16.
    """

    start: int
    pcm: bytes

    @property
    def end(self) -> int:
        """Position behind its last sample."""
        return self.start + len(self.pcm) // _WIDTH

    def cut(self, position: int) -> None:
        """Stop playing at a position, if it lasts that long."""
        self.pcm = self.pcm[: max(0, position - self.start) * _WIDTH]


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
        self.far_voice = Timeline()
        self._clips: list[Clip] = []
        self._line: _Line | None = None
        self._unspoken: list[bytes] = []
        self._started_at: float | None = None
        # One second that repeats: faint, and only there so that the line is not dead.
        n_samples = codec.sample_rate if noise else 0
        steps = np.random.default_rng(seed).integers(
            -noise, noise, n_samples, np.int16, endpoint=True
        )
        self._noise = steps.tobytes() * 2
        self._noisy_line = codec.open_coder()
        self._socket_line = codec.open_coder()

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
        pcm = self.carry_clip(samples, sample_rate)
        if self._started_at is None:
            self._unspoken.append(pcm)
        else:
            self.voice.append(pcm, self.position(now))

    def carry(self, pcm: bytes) -> bytes:
        """Return what the leg leaves of the sound of a media socket, native int16 PCM."""
        return self._socket_line.pass_through(pcm)

    def carry_clip(self, samples: Samples, sample_rate: int) -> bytes:
        """Return what the leg leaves of a whole sound, as native int16 PCM at its rate."""
        clip = resample_clip(samples, sample_rate, self.sample_rate)
        return self.codec.open_coder().carry_clip(clip.tobytes())

    def play(self, samples: Samples, sample_rate: int, now: float) -> Clip:
        """Play a sound of the carrier's to the caller, from now on.

        Args:
            samples: int16, shape (n,), mono. Copied.
            sample_rate: of the samples, in Hz.
            now: in seconds, not before the media have started.
        """
        clip = Clip(self.position(now), self.carry_clip(samples, sample_rate))
        self._clips.append(clip)
        return clip

    def join(self, other: LegAudio, now: float) -> None:
        """Let the caller hear the voice of another leg from now on.

        The media of both have started, and no other leg is heard.
        """
        self._line = _Line(other, self, now)

    def part(self, now: float) -> None:
        """Let the caller hear that voice no more."""
        if self._line is not None:
            self._line.carry(self.position(now))
            self._line = None

    def position(self, now: float) -> int:
        """Return the index of the sample that is spoken and played at this moment."""
        return self.player.position(self.elapsed(now))

    def speak(self, start: int, stop: int) -> bytes:
        """Return the caller's sound between two positions, noise included."""
        pcm = self.voice.read(start, stop)
        if self._noise:
            at = start % self.sample_rate * _WIDTH
            mixed = audioop.add(pcm, self._noise[at : at + len(pcm)], _WIDTH)
            pcm = self._noisy_line.pass_through(mixed)
            self.voice.replace(pcm, start)
        return pcm

    def heard(self, start: int, stop: int) -> bytes:
        """Return what the caller hears between two positions, the later one not after now."""
        if self._line is not None:
            self._line.carry(stop)
        pcm = audioop.add(
            self.player.timeline.read(start, stop), self.far_voice.read(start, stop), _WIDTH
        )
        for clip in self._clips:
            first, last = max(start, clip.start), min(stop, clip.end)
            if first < last:
                part = clip.pcm[(first - clip.start) * _WIDTH : (last - clip.start) * _WIDTH]
                before, behind = bytes((first - start) * _WIDTH), bytes((stop - last) * _WIDTH)
                pcm = audioop.add(pcm, before + part + behind, _WIDTH)
        return pcm

    def sides(self, start: int, stop: int) -> Samples:
        """Return int16 of shape (2, n) between two positions, the later one not after now.

        Row 0 is the caller's voice, row 1 what the caller heard.
        """
        sides = (self.voice.read(start, stop), self.heard(start, stop))
        return np.stack([np.frombuffer(side, np.int16) for side in sides])

    def recording(self, now: float) -> Samples:
        """Return both sides from the start of the media until now, as ``sides`` does.

        What is queued but not played yet is left out.
        """
        return self.sides(0, self.position(now))


class _Line:
    """Carries the voice of one leg to the ear of another, each with its own rate and codec."""

    def __init__(self, source: LegAudio, target: LegAudio, now: float) -> None:
        self._source = source
        self._target = target
        self._source_start = self._source_next = source.position(now)
        self._target_start = target.position(now)
        self._coder = target.codec.open_coder()
        rates = source.sample_rate, target.sample_rate
        self._resampler = None if rates[0] == rates[1] else Resampler(*rates)

    def carry(self, stop: int) -> None:
        """Carry what is said up to a position of the target."""
        n_target = max(0, stop - self._target_start)
        n_source = n_target * self._source.sample_rate // self._target.sample_rate
        source_stop = self._source_start + n_source
        if source_stop <= self._source_next:
            return
        pcm = self._source.voice.read(self._source_next, source_stop)
        if self._resampler is not None:
            pcm = self._resampler.convert(pcm)
        self._source_next = source_stop
        self._target.far_voice.append(self._coder.pass_through(pcm), self._target_start)
