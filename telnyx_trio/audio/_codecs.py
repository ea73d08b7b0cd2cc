"""From the payloads of one direction of a stream to samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from .._errors import LocalProtocolError, UnsupportedEncoding
from .._types import ByteOrder, Encoding, ReceivedEncoding, TelnyxMediaFormat, WireByteOrder
from ._av_codecs import AV_ENCODINGS, StatefulDecoder, open_stateful_decoder
from ._g711 import pcma_decode, pcmu_decode
from ._l16 import ByteOrderDetector, l16_decode
from ._pcm import PcmData, mono_pcm

_Name = TypeVar("_Name", bound=str)

SENT_ENCODINGS: Final[tuple[Encoding, ...]] = get_args(Encoding)
"""What the library encodes."""

RECEIVED_ENCODINGS: Final[tuple[ReceivedEncoding, ...]] = get_args(ReceivedEncoding)
"""What the library decodes."""


def require_encoding(encoding: str, supported: Sequence[_Name]) -> _Name:
    """Find an encoding by its name, in whatever case.

    Raises:
        UnsupportedEncoding: it is none of ``supported``.
    """
    for name in supported:
        if encoding.upper() == name:
            return name
    raise UnsupportedEncoding(encoding, supported)


class Decoder:
    """Decode the payloads of one stream, in their order. Made by ``open_decoder``.

    A payload of PCMU, PCMA or L16 may end anywhere: a cut sample, or a cut group of the samples of
    all channels, is completed by the next payload. One of G722, OPUS or AMR-WB is whole packets.

    Attributes:
        media_format: what the payloads are, as given to ``open_decoder``.
    """

    __slots__ = (
        "_detector",
        "_encoding",
        "_fixed",
        "_group_size",
        "_held",
        "_n_channels",
        "_sample_rate",
        "_stateful",
        "media_format",
    )

    def __init__(self, media_format: TelnyxMediaFormat, byteorder: WireByteOrder) -> None:
        self.media_format = media_format
        self._encoding = require_encoding(media_format.encoding, RECEIVED_ENCODINGS)
        self._stateful: StatefulDecoder | None = None
        if self._encoding in AV_ENCODINGS:
            self._stateful = open_stateful_decoder(self._encoding)
        self._held = b""
        self._fixed: ByteOrder | None = None
        self._detector: ByteOrderDetector | None = None
        self._sample_rate = media_format.audio_sample_rate
        self._n_channels = self._group_size = media_format.audio_channels
        if self._encoding == "L16":
            self._group_size *= 2
            if byteorder == "auto":
                self._detector = ByteOrderDetector(media_format.sample_rate, media_format.channels)
            else:
                self._fixed = byteorder

    @property
    def byteorder(self) -> ByteOrder | None:
        """Order of L16: fixed, decided, or the best guess so far. None: unknown, or no L16."""
        return self._fixed if self._detector is None else self._detector.order

    @property
    def byteorder_locked(self) -> bool:
        """Whether ``byteorder`` will not change any more; of other codecs it is true."""
        return self._detector is None or self._detector.locked

    def decode(self, payload: bytes) -> PcmData:
        """Decode the next payload.

        Returns:
            "s16" in ``audio_sample_rate`` and ``audio_channels`` of the media format; it may hold
            no samples.

        Raises:
            RemoteProtocolError: this payload cannot be decoded; the next ones can.
        """
        if self._group_size > 1:
            payload = self._whole_groups(payload)
        if self._encoding == "PCMU":
            return self._to_pcm(pcmu_decode(payload))
        if self._encoding == "PCMA":
            return self._to_pcm(pcma_decode(payload))
        if self._encoding == "L16":
            return self._to_pcm(l16_decode(payload, self._read_order(payload)))
        if self._stateful is None:
            raise LocalProtocolError("the decoder is closed")
        return self._to_pcm(self._stateful.decode(payload))

    def conceal(self) -> PcmData | None:
        """Return the codec's own guess at a payload that is missing, as long as a usual one.

        It goes on from what was decoded last, and fades if it is asked for again. OPUS has one.
        None: the codec has none (that of AMR-WB is next to silence), or nothing was decoded yet.
        """
        samples = None if self._stateful is None else self._stateful.conceal()
        return None if samples is None else self._to_pcm(samples)

    def reset(self) -> None:
        """Forget a cut sample, as after lost payloads; the byte order found is kept."""
        self._held = b""

    def close(self) -> None:
        """Free what the codec holds; it decodes no more."""
        self._stateful = None

    def _to_pcm(self, samples: NDArray[np.int16]) -> PcmData:
        if self._n_channels == 1:
            return mono_pcm(samples, self._sample_rate)
        return PcmData(self._sample_rate, "s16", samples, channels=self._n_channels)

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
        UnsupportedEncoding: the encoding is none of ``RECEIVED_ENCODINGS``.
        CodecNotInstalled: it needs the extra [codecs].
    """
    return Decoder(media_format, byteorder)
