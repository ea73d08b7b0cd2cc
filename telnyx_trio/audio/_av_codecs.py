"""G722, OPUS and AMR-WB by PyAV, which is the extra [codecs] and is imported here alone.

PyAV's wheels carry FFmpeg with libraries under the GPL, so nothing here runs unless such a codec is
asked for. All of these codecs remember what went before: one object serves one direction of one
stream. An error in one packet is that packet's alone, the object goes on.

Delays, from the first sample given to an encoder to the same sample out of a decoder: G722 22
samples of 16 kHz (1.4 ms: two filter banks), OPUS 6.5 ms (a look-ahead of 4 ms and 2.5 ms of
overlap), AMR-WB 5.9 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from .._errors import CodecNotInstalled, LocalProtocolError, RemoteProtocolError
from .._types import PTIME_MS, TelnyxMediaFormat
from ._amr_wb import AmrWbReader

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext

_LIBRARIES: Final = {"G722": "g722", "OPUS": "libopus", "AMR-WB": "amrwb"}
"""FFmpeg's names. Its own OPUS decoder conceals nothing; of AMR-WB newer wheels have no other."""

AV_ENCODINGS: Final = tuple(_LIBRARIES)

_OPUS_RATES: Final = (8000, 12000, 16000, 24000, 48000)
"""What an OPUS encoder takes (RFC 6716, section 2.1.3)."""

_OPUS_OPTIONS: Final = {
    "application": "audio",
    "frame_duration": str(PTIME_MS),
    "compression_level": "8",
}
_OPUS_BIT_RATE: Final = 64_000
"""Bits a second: what PCMU takes, so that OPUS can be had for the sound alone.

Telnyx codes it anew for the call's leg, so what counts is to be true to the voice, and not to save
bits on a socket that has plenty. Measured on the shipped speech at 16 kHz (log-spectral distance,
microseconds a packet): "voip" at 32 kbit/s 2.7 dB and 240, at 64 kbit/s 1.1 dB and 250; "audio" at
32 kbit/s 2.7 dB and 310, at 64 kbit/s 0.6 dB and 140. "voip" also cuts below 100 Hz. Neither bits
for the repair of losses (a media socket loses nothing) nor pauses in silence (Telnyx plays what
comes, so it must come) are asked for."""


_FIRST_FRAME_WITHOUT_SPEECH: Final = 9
"""Type of AMR-WB frames from which on they hold comfort noise, or nothing."""


class StatefulDecoder(Protocol):
    """Decodes the payloads of one stream, in their order."""

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """Return the samples of the next payload.

        Raises:
            RemoteProtocolError: it cannot be decoded; the next ones can.
        """

    def conceal(self) -> NDArray[np.int16] | None:
        """Return the codec's own guess at the payload that is missing; None if it makes none."""


def load_codecs(encoding: str) -> None:
    """Import what an encoding needs, which takes a tenth of a second the first time.

    Raises:
        CodecNotInstalled: PyAV is not installed, or was built without the codec.
    """
    if encoding not in _LIBRARIES:
        return
    try:
        import av
    except ImportError as error:
        raise CodecNotInstalled(encoding) from error
    if _LIBRARIES[encoding] not in av.codecs_available:
        raise CodecNotInstalled(encoding)


def open_stateful_decoder(encoding: str) -> StatefulDecoder:
    """Make a decoder of one of ``AV_ENCODINGS``.

    Raises:
        CodecNotInstalled: PyAV is not installed, or was built without the codec.
    """
    load_codecs(encoding)
    if encoding == "G722":
        return _Decoder("G722")
    return _OpusDecoder("OPUS") if encoding == "OPUS" else _AmrWbDecoder("AMR-WB")


class StatefulEncoder:
    """Encodes 20 ms at a time of G722 or OPUS.

    Args:
        media_format: what to send.

    Attributes:
        sample_rate: of the samples to give, in Hz.

    Raises:
        CodecNotInstalled: PyAV is not installed, or was built without the codec.
        LocalProtocolError: the rate is none that OPUS has.
    """

    def __init__(self, media_format: TelnyxMediaFormat) -> None:
        encoding = media_format.encoding.upper()
        load_codecs(encoding)
        self.sample_rate = media_format.audio_sample_rate
        options: Mapping[str, str] = {}
        if encoding == "OPUS":
            # The encoder spends its bits on what is in the band that was asked for.
            self.sample_rate = media_format.sample_rate
            options = _OPUS_OPTIONS
            if self.sample_rate not in _OPUS_RATES:
                raise LocalProtocolError(
                    f"OPUS has no {self.sample_rate} Hz; it has {', '.join(map(str, _OPUS_RATES))}"
                )
        self._context = _open_context(encoding, "w", self.sample_rate, options)
        self._n_encoded = 0

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """Return the packet of 20 ms of samples, shape (n,)."""
        import av

        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = self.sample_rate
        frame.pts = self._n_encoded
        self._n_encoded += len(samples)
        return b"".join(map(bytes, self._context.encode(frame)))


class _Decoder:
    """A codec every payload of which is one packet of FFmpeg's."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        rate = TelnyxMediaFormat(encoding).audio_sample_rate
        self._context = _open_context(encoding, "r", rate, {})

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        return self._decode_packet(payload)

    def conceal(self) -> NDArray[np.int16] | None:
        return None

    def _decode_packet(self, payload: bytes) -> NDArray[np.int16]:
        import av

        if not payload:
            return np.empty(0, np.int16)  # to FFmpeg that is the end of the stream
        try:
            frames = self._context.decode(av.Packet(payload))
        except av.FFmpegError as error:
            raise RemoteProtocolError(
                f"{len(payload)} bytes are no {self._encoding}", event="media"
            ) from error
        parts = [_to_int16(frame.to_ndarray()[0]) for frame in frames]
        if not parts:
            return np.empty(0, np.int16)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


class _OpusDecoder(_Decoder):
    """OPUS. A packet is whatever one payload holds: 2.5 to 120 ms, mono or stereo."""

    _toc: int | None = None

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        samples = self._decode_packet(payload)
        if payload:
            self._toc = payload[0]
        return samples

    def conceal(self) -> NDArray[np.int16] | None:
        if self._toc is None:
            return None
        # One frame, of the same mode and length as the last, without data: that says that it was
        # lost (RFC 6716, section 3.2.1).
        return self._decode_packet(bytes([self._toc & 0xFC]))


class _AmrWbDecoder(_Decoder):
    """AMR-WB, in either payload format."""

    def __init__(self, encoding: str) -> None:
        super().__init__(encoding)
        self._reader = AmrWbReader()

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        frames = [
            # FFmpeg decodes neither comfort noise nor other frames without speech. Marked as bad
            # they make silence of their length.
            frame if frame[0] >> 3 < _FIRST_FRAME_WITHOUT_SPEECH else bytes([frame[0] & 0x78])
            for frame in self._reader.read(payload)
        ]
        return np.concatenate([self._decode_packet(frame) for frame in frames])


def _to_int16(samples: NDArray[np.int16] | NDArray[np.float32]) -> NDArray[np.int16]:
    """Convert what a decoder gives: int16, or float of full scale 1.0."""
    if samples.dtype == np.int16:
        return samples.astype(np.int16, copy=False)
    scaled: NDArray[np.float32] = np.clip(np.rint(samples * 32768), -32768, 32767)
    return scaled.astype(np.int16)


def _open_context(
    encoding: str, mode: Any, sample_rate: int, options: Mapping[str, str]
) -> AudioCodecContext:
    from av.audio.codeccontext import AudioCodecContext

    context = AudioCodecContext.create(_LIBRARIES[encoding], mode)
    assert isinstance(context, AudioCodecContext)
    context.sample_rate = sample_rate
    context.layout = "mono"
    if mode == "w":
        context.format = "s16"
        context.options = dict(options)
        if encoding == "OPUS":
            context.bit_rate = _OPUS_BIT_RATE
    return context
