"""From stretches of PCM of any kind to payloads of exactly one ptime."""

from __future__ import annotations

from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from .._errors import LocalProtocolError
from .._types import PTIME_MS, ByteOrder, TelnyxMediaFormat
from ._av_codecs import AV_ENCODINGS, StatefulEncoder
from ._codecs import SENT_ENCODINGS, require_encoding
from ._g711 import pcma_encode, pcmu_encode
from ._l16 import l16_encode
from ._pcm import PcmData
from ._resample import Resampler

_NO_SAMPLES: Final = np.empty(0, np.int16)


class PacketEncoder:
    """Cut a stream of ``PcmData`` into encoded packets of 20 ms.

    What does not fill a packet is carried to the next ``push``; so is the resampler's state, as
    long as the source keeps its rate.

    Args:
        media_format: what to send; encoding in whatever case, one channel (or two of OPUS, which is
            called so whatever it holds).
        byteorder: of L16; can be set later, for what has not become a packet yet.

    Attributes:
        media_format: as given.
        byteorder: as given or set.
        packet_size_bytes: size of each payload; None of OPUS, whose packets are of any size.

    Raises:
        UnsupportedEncoding: the encoding is none of ``SENT_ENCODINGS``.
        CodecNotInstalled: it needs the extra [codecs].
        LocalProtocolError: more than one channel (Telnyx takes mono), a rate at which 20 ms are no
            whole number of samples, or one that OPUS has not.
    """

    __slots__ = (
        "_encoding",
        "_packet_samples",
        "_remainder",
        "_resampler",
        "_sample_rate",
        "_stateful",
        "byteorder",
        "media_format",
        "packet_size_bytes",
    )

    _remainder: NDArray[np.int16]  # `_NO_SAMPLES` if there is none
    _resampler: Resampler | None  # None while the source has the rate of the format

    def __init__(self, media_format: TelnyxMediaFormat, byteorder: ByteOrder = "little") -> None:
        self._encoding = require_encoding(media_format.encoding, SENT_ENCODINGS)
        if media_format.audio_channels != 1:
            raise LocalProtocolError(
                f"Telnyx takes mono audio, not {media_format.channels} channels"
            )
        self._stateful: StatefulEncoder | None = None
        self._sample_rate = media_format.sample_rate
        if self._encoding in AV_ENCODINGS:
            self._stateful = StatefulEncoder(media_format)
            self._sample_rate = self._stateful.sample_rate
        self._packet_samples, rest = divmod(self._sample_rate * PTIME_MS, 1000)
        if rest or self._packet_samples <= 0:
            raise LocalProtocolError(
                f"{PTIME_MS} ms at {media_format.sample_rate} Hz are no whole number of samples"
            )
        sizes = {"OPUS": None, "L16": 2 * self._packet_samples, "G722": self._packet_samples // 2}
        self.packet_size_bytes = sizes.get(self._encoding, self._packet_samples)
        self.media_format = media_format
        self.byteorder: ByteOrder = byteorder
        self.clear()

    @property
    def sample_rate(self) -> int:
        """Of the samples that it encodes, in Hz."""
        return self._sample_rate

    @property
    def pending(self) -> float:
        """Audio that was pushed and is in no packet yet, in seconds; at most about 25 ms."""
        held = 0.0 if self._resampler is None else self._resampler.held
        return held + len(self._remainder) / self._sample_rate

    def push(self, pcm: PcmData) -> list[bytes]:
        """Take audio of any rate, channels and format; return the packets that it completes."""
        samples = pcm.mono_int16()
        ended: NDArray[np.int16] | None = None
        resampler = self._resampler
        if pcm.sample_rate != (self._sample_rate if resampler is None else resampler.from_rate):
            if resampler is not None:
                ended = resampler.flush()
            resampler = None
            if pcm.sample_rate != self._sample_rate:
                resampler = Resampler(pcm.sample_rate, self._sample_rate)
            self._resampler = resampler
        return self._cut(ended, samples if resampler is None else resampler.push(samples))

    def push_packet(self, pcm: PcmData) -> bytes | None:
        """Take audio that is just the next packet; return that.

        The quick way for a source that keeps the pace of the call. None, and nothing was taken, if
        it is not: another length, rate, format or number of channels, or it follows on audio that
        is held.
        """
        samples = pcm.samples
        if (
            self._resampler is not None
            or self._remainder is not _NO_SAMPLES
            or pcm.sample_rate != self._sample_rate
            or samples.ndim != 1
            or len(samples) != self._packet_samples
            or pcm.format != "s16"
        ):
            return None
        return self._code(cast("NDArray[np.int16]", samples))

    def flush(self) -> list[bytes]:
        """End the stream: return what is held, the last packet filled up with silence.

        The next ``push`` starts afresh. Nothing held gives no packet.
        """
        tail = None if self._resampler is None else self._resampler.flush()
        packets = self._cut(tail)
        if len(self._remainder):
            missing = self._packet_samples - len(self._remainder)
            packets += self._cut(np.zeros(missing, np.int16))
        return packets

    def clear(self) -> None:
        """Drop what is held, the resampler's state too.

        The codec's state stays: it follows what was sent, and so does the decoder at Telnyx.
        """
        self._remainder = _NO_SAMPLES
        self._resampler = None

    def silence_payload(self) -> bytes:
        """Encode one packet of silence; of a codec with a memory it is the next to be sent."""
        return self._code(np.zeros(self._packet_samples, np.int16))

    def close(self) -> None:
        """Drop what is held and free what the codec holds; it encodes no more."""
        self.clear()
        self._stateful = None

    def _cut(self, *parts: NDArray[np.int16] | None) -> list[bytes]:
        """Append to the remainder and take whole packets off its front."""
        filled = [part for part in (self._remainder, *parts) if part is not None and len(part)]
        if not filled:
            return []
        samples = filled[0] if len(filled) == 1 else np.concatenate(filled)
        n_whole = len(samples) - len(samples) % self._packet_samples
        # A copy: the caller may reuse its array, and a view would keep a long one alive.
        self._remainder = samples[n_whole:].copy() if n_whole < len(samples) else _NO_SAMPLES
        if not n_whole:
            return []
        return self._encode(samples[:n_whole])

    def _encode(self, samples: NDArray[np.int16]) -> list[bytes]:
        """Encode whole packets."""
        n_packets = len(samples) // self._packet_samples
        if self._encoding in AV_ENCODINGS:
            # One by one: where a packet of OPUS ends cannot be told from its bytes.
            return [self._code(part) for part in np.split(samples, n_packets)]
        coded = self._code(samples)
        size = len(coded) // n_packets
        return [coded[start : start + size] for start in range(0, len(coded), size)]

    def _code(self, samples: NDArray[np.int16]) -> bytes:
        """Encode one packet; of codecs without a memory, any number of them."""
        if self._encoding == "PCMU":
            return pcmu_encode(samples)
        if self._encoding == "PCMA":
            return pcma_encode(samples)
        if self._encoding == "L16":
            return l16_encode(samples, self.byteorder)
        if self._stateful is None:
            raise LocalProtocolError("the encoder is closed")
        return self._stateful.encode(samples)
