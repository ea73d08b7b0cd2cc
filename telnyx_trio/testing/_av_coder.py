"""The simulator's G722 and OPUS: PyAV, which comes with the extra [codecs].

Written without a look at the library's own, with one coder for both ways and another idea of
framing; that FFmpeg is right about the bits themselves, the tests hold against other libraries.
"""

from __future__ import annotations

from typing import Any, Final

from .._errors import CodecNotInstalled

_WIDTH: Final = 2  # bytes of an int16 sample

AV_RATES: Final = {"G722": 16000, "OPUS": 48000}
"""Rate of the samples of each codec, in Hz."""

_FFMPEG_NAMES: Final = {"G722": "g722", "OPUS": "libopus"}

_DELAYS: Final = {"G722": 22, "OPUS": 312}
"""Samples by which a passage is late: the two filter banks of G722 (ITU-T G.722), the look-ahead of
libopus (6.5 ms)."""


def require_av(encoding: str) -> None:
    """Refuse a codec that PyAV is needed for and not there.

    Raises:
        CodecNotInstalled: it is not installed, or lacks the codec.
    """
    try:
        import av
    except ImportError:
        raise CodecNotInstalled(encoding) from None
    if _FFMPEG_NAMES[encoding] not in av.codecs_available:
        raise CodecNotInstalled(encoding)


class AvCoder:
    """Both ways of one stream of G722 or OPUS, native int16 PCM in bytes.

    Args:
        encoding: "G722" or "OPUS".
    """

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._rate = AV_RATES[encoding]
        self._frame_size = self._rate // 50 * _WIDTH
        self._encoder: Any = None
        self._decoder: Any = None
        self._held: bytes | None = None

    def encode(self, pcm: bytes) -> bytes:
        """Code 20 ms into a payload."""
        import av

        if self._encoder is None:
            self._encoder = av.CodecContext.create(_FFMPEG_NAMES[self._encoding], "w")
            self._encoder.sample_rate = self._rate
            self._encoder.format, self._encoder.layout = "s16", "mono"
            if self._encoding == "OPUS":
                # True to what it is given, so that what a recording lacks is not its doing.
                self._encoder.options = {"application": "audio"}
                self._encoder.bit_rate = 64_000
        frame = av.AudioFrame("s16", "mono", len(pcm) // _WIDTH)
        frame.planes[0].update(pcm)
        frame.sample_rate = self._rate
        return b"".join(bytes(packet) for packet in self._encoder.encode(frame))

    def decode(self, payload: bytes) -> bytes:
        """Decode one packet.

        Raises:
            ValueError: it is none.
        """
        import av

        if not payload:
            return b""
        if self._decoder is None:
            self._decoder = av.CodecContext.create(_FFMPEG_NAMES[self._encoding], "r")
            self._decoder.sample_rate, self._decoder.layout = self._rate, "mono"
        try:
            frames = self._decoder.decode(av.Packet(payload))
        except av.FFmpegError as error:
            raise ValueError(f"payload is no {self._encoding}") from error
        return b"".join(bytes(frame.planes[0])[: frame.samples * _WIDTH] for frame in frames)

    def pass_through(self, pcm: bytes) -> bytes:
        """Return what is left of PCM after a leg with this codec has carried it.

        Less than 20 ms wait for more. So that packets of 20 ms do not, what comes first is filled
        up at its front.
        """
        if self._held is None:
            self._held = bytes(-len(pcm) % self._frame_size)
        self._held += pcm
        n_whole = len(self._held) // self._frame_size * self._frame_size
        whole, self._held = self._held[:n_whole], self._held[n_whole:]
        starts = range(0, n_whole, self._frame_size)
        coded = [self.encode(whole[start : start + self._frame_size]) for start in starts]
        return b"".join(map(self.decode, coded))

    def carry_clip(self, pcm: bytes) -> bytes:
        """Pass a whole clip through, and put it back to its place in time."""
        delay_size = _DELAYS[self._encoding] * _WIDTH
        padding = bytes(delay_size + -(len(pcm) + delay_size) % self._frame_size)
        carried = self.pass_through(pcm + padding)
        return carried[delay_size : delay_size + len(pcm)]
