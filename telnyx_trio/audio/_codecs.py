"""From the payloads of one direction of a stream to samples."""

from __future__ import annotations

from typing import Final

from .._errors import UnsupportedEncoding
from .._types import ByteOrder, Encoding, TelnyxMediaFormat, WireByteOrder
from ._g711 import pcma_decode, pcmu_decode
from ._l16 import ByteOrderDetector, l16_decode
from ._pcm import PcmData

SUPPORTED_ENCODINGS: Final[tuple[Encoding, ...]] = ("PCMU", "PCMA", "L16")
"""What the library encodes and decodes."""


def require_encoding(encoding: str) -> Encoding:
    """Find an encoding by its name, in whatever case.

    Raises:
        UnsupportedEncoding: it is none of ``SUPPORTED_ENCODINGS``.
    """
    for supported in SUPPORTED_ENCODINGS:
        if encoding.upper() == supported:
            return supported
    raise UnsupportedEncoding(encoding, SUPPORTED_ENCODINGS)


class Decoder:
    """Decode the payloads of one stream, in their order. Made by ``open_decoder``.

    A payload may end anywhere: a cut sample, or a cut group of the samples of all channels, is
    completed by the next payload.

    Attributes:
        media_format: what the payloads are, as given to ``open_decoder``.
    """

    __slots__ = ("_detector", "_encoding", "_fixed", "_group_size", "_held", "media_format")

    def __init__(self, media_format: TelnyxMediaFormat, byteorder: WireByteOrder) -> None:
        self.media_format = media_format
        self._encoding = require_encoding(media_format.encoding)
        self._held = b""
        self._fixed: ByteOrder | None = None
        self._detector: ByteOrderDetector | None = None
        self._group_size = media_format.channels
        if self._encoding == "L16":
            self._group_size *= 2
            if byteorder == "auto":
                self._detector = ByteOrderDetector(media_format.sample_rate, media_format.channels)
            else:
                self._fixed = byteorder

    @property
    def byteorder(self) -> ByteOrder | None:
        """Order of L16: fixed, decided, or the best guess so far. None: unknown yet, or G.711."""
        return self._fixed if self._detector is None else self._detector.order

    @property
    def byteorder_locked(self) -> bool:
        """Whether ``byteorder`` will not change any more; of G.711 it is true."""
        return self._detector is None or self._detector.locked

    def decode(self, payload: bytes) -> PcmData:
        """Decode the next payload.

        Returns:
            "s16" in the rate and the channels of the media format; it may hold no samples.
        """
        if self._group_size > 1:
            payload = self._whole_groups(payload)
        if self._encoding == "PCMU":
            samples = pcmu_decode(payload)
        elif self._encoding == "PCMA":
            samples = pcma_decode(payload)
        else:
            samples = l16_decode(payload, self._read_order(payload))
        media_format = self.media_format
        return PcmData(media_format.sample_rate, "s16", samples, channels=media_format.channels)

    def reset(self) -> None:
        """Forget a cut sample, as after lost payloads; the byte order found is kept."""
        self._held = b""

    def _whole_groups(self, payload: bytes) -> bytes:
        if self._held:
            payload = self._held + payload
        n_left = len(payload) % self._group_size
        if not n_left:
            self._held = b""
            return payload
        self._held = payload[-n_left:]
        return payload[:-n_left]

    def _read_order(self, payload: bytes) -> ByteOrder:
        if self._detector is None:
            return self._fixed or "little"
        # Silence reads the same in either order; little is what Telnyx was seen to send.
        return self._detector.observe(payload) or self._detector.order or "little"


def open_decoder(media_format: TelnyxMediaFormat, byteorder: WireByteOrder = "auto") -> Decoder:
    """Make the decoder for one direction of a stream.

    Args:
        media_format: of that direction; encoding in whatever case.
        byteorder: of L16. "auto" reads each packet in its own smoother order until 200 ms of
            voiced audio have decided.

    Raises:
        UnsupportedEncoding: the encoding is none of ``SUPPORTED_ENCODINGS``.
    """
    return Decoder(media_format, byteorder)
