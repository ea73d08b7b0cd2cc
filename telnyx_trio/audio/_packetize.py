"""From stretches of PCM of any kind to payloads of exactly one ptime."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._errors import LocalProtocolError
from .._types import PTIME_MS, ByteOrder, TelnyxMediaFormat
from ._codecs import require_encoding
from ._g711 import pcma_encode, pcmu_encode
from ._l16 import l16_encode
from ._pcm import PcmData
from ._resample import Resampler


class PacketEncoder:
    """Cut a stream of ``PcmData`` into encoded packets of 20 ms.

    What does not fill a packet is carried to the next ``push``; so is the resampler's state, as
    long as the source keeps its rate.

    Args:
        media_format: what to send; encoding in whatever case, one channel.
        byteorder: of L16; can be set later, for what has not become a packet yet.

    Attributes:
        media_format: as given.
        byteorder: as given or set.

    Raises:
        UnsupportedEncoding: the encoding is none of ``SUPPORTED_ENCODINGS``.
        LocalProtocolError: more than one channel (Telnyx takes mono), or a rate at which 20 ms are
            no whole number of samples.
    """

    __slots__ = (
        "_encoding",
        "_packet_samples",
        "_remainder",
        "_resampler",
        "byteorder",
        "media_format",
    )

    _remainder: NDArray[np.int16]
    _resampler: Resampler | None

    def __init__(self, media_format: TelnyxMediaFormat, byteorder: ByteOrder = "little") -> None:
        self._encoding = require_encoding(media_format.encoding)
        if media_format.channels != 1:
            raise LocalProtocolError(
                f"Telnyx takes mono audio, not {media_format.channels} channels"
            )
        self._packet_samples, rest = divmod(media_format.sample_rate * PTIME_MS, 1000)
        if rest or self._packet_samples <= 0:
            raise LocalProtocolError(
                f"{PTIME_MS} ms at {media_format.sample_rate} Hz are no whole number of samples"
            )
        self.media_format = media_format
        self.byteorder: ByteOrder = byteorder
        self.clear()

    @property
    def packet_size_bytes(self) -> int:
        """Length of each payload."""
        return self._packet_samples * (2 if self._encoding == "L16" else 1)

    @property
    def pending(self) -> float:
        """Audio that was pushed and is in no packet yet, in seconds; at most about 25 ms."""
        held = 0.0 if self._resampler is None else self._resampler.held
        return held + len(self._remainder) / self.media_format.sample_rate

    def push(self, pcm: PcmData) -> list[bytes]:
        """Take audio of any rate, channels and format; return the packets that it completes."""
        samples = pcm.mono_int16()
        ended: NDArray[np.int16] | None = None
        resampler = self._resampler
        if resampler is None or resampler.from_rate != pcm.sample_rate:
            if resampler is not None:
                ended = resampler.flush()
            resampler = Resampler(pcm.sample_rate, self.media_format.sample_rate)
            self._resampler = resampler
        return self._cut(ended, resampler.push(samples))

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
        """Drop what is held, the resampler's state too."""
        self._remainder = np.empty(0, np.int16)
        self._resampler = None

    def silence_payload(self) -> bytes:
        """One packet of silence."""
        return self._encode(np.zeros(self._packet_samples, np.int16))

    def _cut(self, *parts: NDArray[np.int16] | None) -> list[bytes]:
        """Append to the remainder and take whole packets off its front."""
        filled = [part for part in (self._remainder, *parts) if part is not None and len(part)]
        if not filled:
            return []
        samples = filled[0] if len(filled) == 1 else np.concatenate(filled)
        n_whole = len(samples) - len(samples) % self._packet_samples
        # A copy: the caller may reuse its array, and a view would keep a long one alive.
        self._remainder = samples[n_whole:].copy()
        if not n_whole:
            return []
        encoded = self._encode(samples[:n_whole])
        size = self.packet_size_bytes
        return [encoded[start : start + size] for start in range(0, len(encoded), size)]

    def _encode(self, samples: NDArray[np.int16]) -> bytes:
        if self._encoding == "PCMU":
            return pcmu_encode(samples)
        if self._encoding == "PCMA":
            return pcma_encode(samples)
        return l16_encode(samples, self.byteorder)
