"""The simulator's codecs, resampler and WAV reading: native int16 PCM in bytes, both ways."""

from __future__ import annotations

import os
import sys
import wave
from collections.abc import Callable
from dataclasses import dataclass
from math import gcd
from typing import BinaryIO, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._errors import UnsupportedEncoding
from .._types import PTIME_MS, ByteOrder, Encoding
from ._audioop import audioop
from ._av_coder import AV_RATES, AvCoder, require_av

Samples: TypeAlias = NDArray[np.int16]

SUPPORTED: Final[tuple[Encoding, ...]] = ("PCMU", "PCMA", "L16", "G722", "OPUS")
_WIDTH: Final = 2  # bytes of an int16 sample

_ENCODERS: Final[dict[str, Callable[[bytes, int], bytes]]] = {
    "PCMU": audioop.lin2ulaw,
    "PCMA": audioop.lin2alaw,
}
_DECODERS: Final[dict[str, Callable[[bytes, int], bytes]]] = {
    "PCMU": audioop.ulaw2lin,
    "PCMA": audioop.alaw2lin,
}


class Coder(Protocol):
    """Both ways of one stream, in native int16 PCM."""

    def encode(self, pcm: bytes) -> bytes:
        """Code 20 ms into a payload."""

    def decode(self, payload: bytes) -> bytes:
        """Decode a payload.

        Raises:
            ValueError: it cannot be decoded.
        """

    def pass_through(self, pcm: bytes) -> bytes:
        """Return what is left of PCM after a leg with this codec has carried it."""

    def carry_clip(self, pcm: bytes) -> bytes:
        """Pass a whole clip through, without delay; the coder is spent then."""


@dataclass(frozen=True)
class Codec:
    """One codec at one rate. See ``of``, which knows the rates.

    Attributes:
        encoding: "PCMU", "PCMA", "L16", "G722" or "OPUS".
        sample_rate: of the audio, in Hz.
        byteorder: of L16 samples in a payload; the others have none.

    Raises:
        UnsupportedEncoding: it is another codec.
        CodecNotInstalled: it needs the extra [codecs].
    """

    encoding: Encoding
    sample_rate: int = 8000
    byteorder: ByteOrder = "little"

    def __post_init__(self) -> None:
        if self.encoding not in SUPPORTED:
            raise UnsupportedEncoding(self.encoding, SUPPORTED)
        if self.encoding in AV_RATES:
            require_av(self.encoding)

    @classmethod
    def of(cls, encoding: Encoding, l16_rate: int, byteorder: ByteOrder) -> Codec:
        """Return the codec at its own rate, L16 at ``l16_rate``.

        Raises:
            UnsupportedEncoding, CodecNotInstalled: as the class does.
        """
        rate = l16_rate if encoding == "L16" else AV_RATES.get(encoding, 8000)
        return cls(encoding, rate, byteorder)

    @property
    def clock_rate(self) -> int:
        """The rate that ``start`` names: of G722 8000 Hz, as in RFC 3551."""
        return 8000 if self.encoding == "G722" else self.sample_rate

    @property
    def packet_samples(self) -> int:
        """Samples of one 20 ms packet."""
        return self.sample_rate * PTIME_MS // 1000

    def n_odd_bytes(self, payload: bytes) -> int:
        """Return how many bytes at the end of a payload are no whole sample."""
        return len(payload) % _WIDTH if self.encoding == "L16" else 0

    def open_coder(self) -> Coder:
        """Make what codes one stream."""
        return AvCoder(self.encoding) if self.encoding in AV_RATES else _PlainCoder(self)


class _PlainCoder:
    """G.711 and L16, which remember nothing."""

    def __init__(self, codec: Codec) -> None:
        self._encoder = _ENCODERS.get(codec.encoding)
        self._decoder = _DECODERS.get(codec.encoding)
        self._is_swapped = codec.byteorder != sys.byteorder

    def encode(self, pcm: bytes) -> bytes:
        return self._encoder(pcm, _WIDTH) if self._encoder else self._swap(pcm)

    def decode(self, payload: bytes) -> bytes:
        # Half an L16 sample at the end is dropped.
        decoder = self._decoder
        return decoder(payload, _WIDTH) if decoder else self._swap(payload[: len(payload) & ~1])

    def pass_through(self, pcm: bytes) -> bytes:
        return self.decode(self.encode(pcm)) if self._encoder else pcm

    def carry_clip(self, pcm: bytes) -> bytes:
        return self.pass_through(pcm)

    def _swap(self, pcm: bytes) -> bytes:
        return audioop.byteswap(pcm, _WIDTH) if self._is_swapped else pcm


class Resampler:
    """A streaming windowed-sinc resampler that keeps its state.

    It is late by ``delay_samples`` of its output (12 periods of the lower rate, 1.5 ms at 8 kHz).
    """

    # 12 zero crossings a side and a Kaiser window of 8 leave aliases below -70 dB, which is under
    # the noise of G.711; 0.92 of the band keeps telephone speech (to 3.4 kHz) whole.
    _CROSSINGS: Final = 12
    _KAISER_BETA: Final = 8.0
    _BANDWIDTH: Final = 0.92

    def __init__(self, from_rate: int, to_rate: int) -> None:
        divisor = gcd(from_rate, to_rate)
        self._up, self._down = to_rate // divisor, from_rate // divisor
        widest = max(self._up, self._down)
        half = self._CROSSINGS * widest
        time = np.arange(-half, half + 1) * (self._BANDWIDTH / widest)
        taps = np.sinc(time) * np.kaiser(2 * half + 1, self._KAISER_BETA)
        taps *= self._up / taps.sum()
        n_phase_taps = -(-taps.size // self._up)
        padded = np.zeros(n_phase_taps * self._up)
        padded[: taps.size] = taps
        self._phases = np.ascontiguousarray(padded.reshape(n_phase_taps, self._up).T)
        self._reach = np.arange(n_phase_taps)
        self._buffer = np.zeros(n_phase_taps - 1)
        self._first = 1 - n_phase_taps  # index of buffer[0] in the input
        self._next = 0  # index of the next output sample
        self.delay_samples = round(half / self._down)

    def convert(self, pcm: bytes) -> bytes:
        """Resample one run of native int16 PCM; returns what is complete so far."""
        samples = np.frombuffer(pcm, np.int16)
        self._buffer = np.concatenate((self._buffer, samples))
        stop = ((self._first + self._buffer.size) * self._up - 1) // self._down + 1
        positions = np.arange(self._next, stop) * self._down
        newest = positions // self._up - self._first
        runs = self._buffer[newest[:, None] - self._reach]
        output = np.einsum("ij,ij->i", runs, self._phases[positions % self._up])
        self._next = stop
        spent = stop * self._down // self._up - self._first - self._reach.size + 1
        if spent > 0:
            self._buffer = self._buffer[spent:]
            self._first += spent
        return to_int16(output).tobytes()


def to_int16(samples: NDArray[np.float64]) -> Samples:
    """Round and clip."""
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


def resample_clip(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    """Resample a whole recording, without delay: n samples become n * to_rate / from_rate."""
    if from_rate == to_rate:
        return samples
    resampler = Resampler(from_rate, to_rate)
    n_output = samples.size * to_rate // from_rate
    n_padding = (resampler.delay_samples + 1) * from_rate // to_rate + 1
    padded = np.concatenate((samples, np.zeros(n_padding, np.int16)))
    output = np.frombuffer(resampler.convert(padded.tobytes()), np.int16)
    return output[resampler.delay_samples : resampler.delay_samples + n_output]


def read_wav(file: str | os.PathLike[str] | BinaryIO) -> tuple[Samples, int]:
    """Read a 16-bit WAV file; several channels are averaged.

    Returns:
        int16, shape (n,), mono; and the sample rate in Hz.

    Raises:
        ValueError: the file does not hold 16-bit PCM.
    """
    source = os.fspath(file) if isinstance(file, str | os.PathLike) else file
    name = source if isinstance(source, str) else "audio"
    try:
        with wave.open(source, "rb") as reader:
            width, channels = reader.getsampwidth(), reader.getnchannels()
            rate = reader.getframerate()
            content = reader.readframes(reader.getnframes())
    except wave.Error as error:
        raise ValueError(f"{name}: {error}") from error
    if width != _WIDTH:
        raise ValueError(f"{name}: not a 16-bit WAV file")
    samples = np.frombuffer(content, "<i2").astype(np.int16)
    if channels > 1:
        samples = to_int16(samples.reshape(-1, channels).mean(axis=1))
    return samples, rate


def write_wav(file: str | os.PathLike[str] | BinaryIO, samples: Samples, sample_rate: int) -> None:
    """Write a 16-bit WAV file from int16 of shape (channels, n)."""
    target = os.fspath(file) if isinstance(file, str | os.PathLike) else file
    with wave.open(target, "wb") as writer:
        writer.setnchannels(samples.shape[0])
        writer.setsampwidth(_WIDTH)
        writer.setframerate(sample_rate)
        writer.writeframes(samples.T.astype("<i2").tobytes())
