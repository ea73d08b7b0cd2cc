"""``PcmData``: a stretch of audio as samples, with what is needed to understand them."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from ._resample import resample_whole, to_int16
from ._wav import read_wav, wav_bytes

SampleFormat: TypeAlias = Literal["s16", "f32"]
Samples: TypeAlias = NDArray[np.int16] | NDArray[np.float32]

_FORMATS: Final[dict[str, SampleFormat]] = {
    "s16": "s16",
    "int16": "s16",
    "f32": "f32",
    "float32": "f32",
}
_DTYPES: Final[dict[SampleFormat, np.dtype[Any]]] = {
    "s16": np.dtype(np.int16),
    "f32": np.dtype(np.float32),
}
_HOW_TO_CAST: Final[dict[SampleFormat, str]] = {
    "s16": "pass samples.astype(np.int16) if they are whole numbers up to 32767, or format='f32'",
    "f32": "pass samples.astype(np.float32) if they lie between -1 and 1, or format='s16'",
}
_FULL_SCALE: Final = 32768.0


class PcmData:
    """A stretch of audio. Treat it as a value: its attributes cannot be assigned.

    The keywords are those of getstream's PcmData, as Vision Agents uses it.

    Args:
        sample_rate: in Hz.
        format: "s16" (also "int16") or "f32" (also "float32", full scale is -1.0 to 1.0); a ``str``
            or an enum member that is one.
        samples: int16 for "s16", float32 for "f32". Mono: (n,), (1, n) or (n, 1). More channels:
            (channels, n), (n, channels) where that is not the same, or interleaved of shape
            (n * channels,). Not copied: change the array no more. None is no audio at all.
        channels: how many, >= 1.

    Attributes:
        sample_rate: in Hz.
        format: "s16" or "f32".
        samples: shape (n,) for one channel, (channels, n) for more; int16 or float32 by ``format``.
        channels: how many.

    Raises:
        TypeError: ``samples`` is no array, or of a dtype that ``format`` does not mean.
        ValueError: unknown ``format``, a shape that does not fit ``channels``, or a rate or a
            channel count that is not positive.
    """

    __slots__ = ("channels", "format", "sample_rate", "samples")

    channels: int
    format: SampleFormat
    sample_rate: int
    samples: Samples

    def __init__(
        self,
        sample_rate: int,
        format: str = "s16",
        samples: Samples | None = None,
        *,
        channels: int = 1,
    ) -> None:
        known = _FORMATS.get(format) or _FORMATS.get(str.lower(format))
        if known is None:
            raise ValueError(f"unknown sample format {str(format)[:20]!r}; use 's16' or 'f32'")
        if sample_rate <= 0 or channels <= 0:
            raise ValueError(f"impossible audio: {sample_rate} Hz, {channels} channels")
        dtype = _DTYPES[known]
        if samples is None:
            samples = np.empty(0, dtype)
        elif not isinstance(samples, np.ndarray):
            raise TypeError(f"samples must be a numpy array, not {type(samples).__name__}")
        elif samples.dtype != dtype:
            raise TypeError(
                f"format {known!r} means {dtype} samples, not {samples.dtype};"
                f" {_HOW_TO_CAST[known]}"
            )
        if channels != 1 or samples.ndim != 1:
            samples = _arrange(samples, channels)
        _set_sample_rate(self, int(sample_rate))
        _set_format(self, known)
        _set_samples(self, samples)
        _set_channels(self, int(channels))

    def __setattr__(self, name: str, value: object) -> None:
        if name in PcmData.__slots__:
            raise AttributeError(f"PcmData is a value: its {name!r} cannot be assigned")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if name in PcmData.__slots__:
            raise AttributeError(f"PcmData is a value: its {name!r} cannot be deleted")
        super().__delattr__(name)

    def __reduce__(self) -> tuple[object, ...]:
        values = (self.sample_rate, self.format, self.samples, self.channels)
        return _restore, (type(self), *values), getattr(self, "__dict__", None)

    @classmethod
    def from_bytes(
        cls,
        audio_bytes: bytes,
        sample_rate: int = 16000,
        format: str = "s16",
        channels: int = 1,
    ) -> PcmData:
        """Read raw little-endian samples, interleaved; an incomplete last group is ignored.

        Raises:
            ValueError: as the constructor.
        """
        empty = cls(sample_rate, format, channels=channels)
        dtype = _DTYPES[empty.format]
        n_values = len(audio_bytes) // (dtype.itemsize * channels) * channels
        samples = np.frombuffer(audio_bytes, dtype.newbyteorder("<"), n_values).astype(dtype)
        return cls(sample_rate, format, samples, channels=channels)

    @classmethod
    def from_wav(cls, source: str | PathLike[str] | bytes) -> PcmData:
        """Read a WAV of 16-bit PCM, given as its path or its content.

        A path is read at once, which blocks: in Trio, wrap it in ``trio.to_thread.run_sync`` unless
        the file is small and local.

        Raises:
            InvalidWav: no WAV, cut short, or not 16-bit PCM; it says what to do.
            OSError: the file cannot be read.
        """
        content = source if isinstance(source, bytes) else Path(source).read_bytes()
        samples, sample_rate, channels = read_wav(content)
        return cls(sample_rate, "s16", samples, channels=channels)

    @property
    def n_samples(self) -> int:
        """Samples in each channel."""
        n_samples: int = self.samples.shape[-1]
        return n_samples

    @property
    def duration(self) -> float:
        """In seconds."""
        return self.n_samples / self.sample_rate

    @property
    def duration_ms(self) -> float:
        """In milliseconds."""
        return 1000 * self.n_samples / self.sample_rate

    def __repr__(self) -> str:
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        return f"PcmData({self.duration:.3f} s, {self.sample_rate} Hz, {channels}, {self.format})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PcmData):
            return NotImplemented
        return (
            self.sample_rate == other.sample_rate
            and self.format == other.format
            and self.channels == other.channels
            and np.array_equal(self.samples, other.samples)
        )

    __hash__ = None  # type: ignore[assignment]  # an array has no hash

    def to_s16(self) -> PcmData:
        """The same in "s16"; itself if it is already.

        1.0 becomes 32767 and -1.0 becomes -32768, as does what is beyond; NaN becomes 0.
        """
        if self.format == "s16":
            return self
        scaled = np.multiply(self.samples, _FULL_SCALE, dtype=np.float64)
        return self._with(to_int16(np.nan_to_num(scaled, copy=False, nan=0.0)))

    def to_float32(self) -> PcmData:
        """The same in "f32": samples divided by 32768; itself if it is already."""
        if self.format == "f32":
            return self
        return self._with(np.divide(self.samples, _FULL_SCALE, dtype=np.float32))

    def to_mono(self) -> PcmData:
        """The mean of all channels; itself if there is one."""
        if self.channels == 1:
            return self
        mean = self.samples.mean(axis=0, dtype=np.float64)
        return self._with(to_int16(mean) if self.format == "s16" else mean.astype(np.float32))

    def mono_int16(self) -> NDArray[np.int16]:
        """The samples of ``to_mono().to_s16()``, shape (n,)."""
        samples = self.to_mono().to_s16().samples
        return cast("NDArray[np.int16]", samples)

    def resample(self, target_sample_rate: int, target_channels: int | None = None) -> PcmData:
        """Change the rate, the channels, or both, of this stretch as a whole.

        Nothing is shifted or stretched: round(n * ratio) samples come out, those at the edges as
        if silence lay beyond. For the chunks of a stream use a ``Resampler``, which has no edges
        between them.

        Args:
            target_sample_rate: in Hz.
            target_channels: None leaves them. 1 mixes down; mono can become any number.

        Raises:
            ValueError: the rate is not positive, or the channels are neither kept, mixed down to
                one, nor copied from one.
        """
        pcm = self
        if target_channels is not None and target_channels != self.channels:
            pcm = self._with_channels(target_channels)
        if target_sample_rate == self.sample_rate:
            return pcm
        if target_sample_rate <= 0:
            raise ValueError(f"sample rate must be positive, got {target_sample_rate}")
        rates = (self.sample_rate, target_sample_rate)
        samples = np.stack([_resample_channel(row, *rates) for row in np.atleast_2d(pcm.samples)])
        return PcmData(
            target_sample_rate, self.format, cast("Samples", samples), channels=pcm.channels
        )

    def to_bytes(self) -> bytes:
        """Raw little-endian samples, interleaved."""
        little = self.samples.dtype.newbyteorder("<")
        return self.samples.T.astype(little, copy=False).tobytes()

    def to_wav_bytes(self) -> bytes:
        """Content of a WAV file of 16-bit PCM."""
        return wav_bytes(self.to_s16().to_bytes(), self.sample_rate, self.channels)

    def write_wav(self, path: str | PathLike[str]) -> None:
        """Write a WAV file of 16-bit PCM; blocks, as ``from_wav`` does.

        Raises:
            OSError: the file cannot be written.
        """
        Path(path).write_bytes(self.to_wav_bytes())

    def _with(self, samples: Samples) -> PcmData:
        format = "s16" if samples.dtype == np.int16 else "f32"
        channels = self.channels if samples.ndim == 2 else 1
        return PcmData(self.sample_rate, format, samples, channels=channels)

    def _with_channels(self, channels: int) -> PcmData:
        if channels == 1:
            return self.to_mono()
        if self.channels != 1 or channels < 1:
            raise ValueError(
                f"cannot make {channels} channels of {self.channels}; mix down with to_mono()"
            )
        copies = cast("Samples", np.tile(self.samples, (channels, 1)))
        return PcmData(self.sample_rate, self.format, copies, channels=channels)


# The slots themselves, which can be assigned.
_set_sample_rate: Final = PcmData.__dict__["sample_rate"].__set__
_set_format: Final = PcmData.__dict__["format"].__set__
_set_samples: Final = PcmData.__dict__["samples"].__set__
_set_channels: Final = PcmData.__dict__["channels"].__set__


def mono_pcm(samples: NDArray[np.int16], sample_rate: int) -> PcmData:
    """Make a ``PcmData`` of int16 samples of shape (n,), unchecked: for what was just decoded."""
    pcm = PcmData.__new__(PcmData)
    _set_sample_rate(pcm, sample_rate)
    _set_format(pcm, "s16")
    _set_samples(pcm, samples)
    _set_channels(pcm, 1)
    return pcm


def _restore(
    cls: type[PcmData], sample_rate: int, format: str, samples: Samples, channels: int
) -> PcmData:
    pcm = cls.__new__(cls)  # whatever its constructor takes
    PcmData.__init__(pcm, sample_rate, format, samples, channels=channels)
    return pcm


def _resample_channel(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    if samples.dtype == np.int16:
        return resample_whole(cast("NDArray[np.int16]", samples), from_rate, to_rate)
    # One NaN or infinity would spoil all samples around it.
    finite = np.nan_to_num(samples.astype(np.float32), posinf=1.0, neginf=-1.0)
    return resample_whole(finite, from_rate, to_rate)


def _arrange(samples: Samples, channels: int) -> Samples:
    """Bring any accepted shape to (n,) for mono and (channels, n) for more."""
    shape = samples.shape
    if channels == 1 and samples.ndim == 2 and 1 in shape:
        return samples.reshape(-1)
    if channels > 1 and samples.ndim == 1 and len(samples) % channels == 0:
        return samples.reshape(-1, channels).T
    if channels > 1 and samples.ndim == 2 and channels in shape:
        return samples if shape[0] == channels else samples.T
    raise ValueError(f"samples of shape {shape} are not {channels} channels")
