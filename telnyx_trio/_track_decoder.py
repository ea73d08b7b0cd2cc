"""One received track from payloads to audio, without holes: what is missing is made up.

So the samples that are handed out are the time that has passed: what counts them, such as a
recording, speech recognition or the clock of speech events, does not drift from the call.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from ._types import PTIME, ByteOrder, MissingAudio, TelnyxMediaFormat, WireByteOrder
from .audio import Concealer, PcmData, open_decoder

_MAX_AHEAD: Final = 0.5
"""Seconds that made-up audio may bring the track ahead of real time: a burst after a stall of the
network, and the drift of two clocks in an hour. What a counter that jumps says to be missing was
not lost if there was no time for it."""


class TrackDecoder:
    """Decodes the payloads of one track, in their order.

    Args:
        media_format: as named by ``start``.
        byteorder: of L16 on the wire.
        missing_audio: what takes the place of missing packets.

    Attributes:
        received: seconds of audio handed out.
        made_up: packets among it that were made up.
        packet_duration: seconds of the last packet; 0.0 before one came.

    Raises:
        UnsupportedEncoding: a codec that we do not speak.
        CodecNotInstalled: one that needs the extra [codecs].
    """

    __slots__ = (
        "_concealer",
        "_decoder",
        "_last",
        "_started_at",
        "made_up",
        "packet_duration",
        "received",
    )

    def __init__(
        self,
        media_format: TelnyxMediaFormat,
        byteorder: WireByteOrder,
        missing_audio: MissingAudio,
    ) -> None:
        self.received = 0.0
        self.made_up = 0
        self.packet_duration = 0.0
        self._decoder = open_decoder(media_format, byteorder)
        self._concealer = Concealer() if missing_audio == "conceal" else None
        self._last: PcmData | None = None
        self._started_at = 0.0

    @property
    def byteorder(self) -> ByteOrder | None:
        """Order in which L16 is read; None for other codecs, and while nothing tells."""
        return self._decoder.byteorder

    @property
    def byteorder_locked(self) -> bool:
        """Whether ``byteorder`` will not change any more."""
        return self._decoder.byteorder_locked

    def decode(self, payload: bytes, now: float) -> PcmData | None:
        """Return the audio of the next payload that came; None if it completes no sample.

        Raises:
            RemoteProtocolError: this payload cannot be decoded; the next ones can.
        """
        pcm = self._decoder.decode(payload)
        duration = pcm.samples.size / (pcm.channels * pcm.sample_rate)
        if not duration:
            return None
        if not self.received:
            self._started_at = now
        if self._concealer is not None:
            pcm = self._concealer.follow(pcm)
        self._last = pcm
        self.packet_duration = duration
        self.received += duration
        return pcm

    def skip(self, now: float) -> None:
        """Note a payload that nobody wants to hear."""
        if not self.received:
            self._started_at = now
        self.received += self.packet_duration or PTIME

    def make_up(self, n_packets: int, now: float) -> Iterator[PcmData]:
        """Yield the audio that takes the place of packets that did not come.

        It is as many packets, of the length of the last, but no more than fit into the time.
        """
        self._decoder.reset()
        last = self._last
        if last is None:
            return
        room = now - self._started_at + _MAX_AHEAD - self.received
        # A little more, as sums of seconds are not exact.
        n_made = max(0, min(n_packets, int(room / self.packet_duration + 1e-6)))
        for _ in range(n_made):
            self.made_up += 1
            self.received += self.packet_duration
            yield self._make(last)

    def close(self) -> None:
        """Free what the codec holds."""
        self._decoder.close()

    def _make(self, last: PcmData) -> PcmData:
        guess = None
        if self._concealer is not None:
            guess = self._ask_codec(last) or self._concealer.conceal()
        if guess is None:
            silence = np.zeros_like(last.samples)
            guess = PcmData(last.sample_rate, last.format, silence, channels=last.channels)
        return guess

    def _ask_codec(self, last: PcmData) -> PcmData | None:
        """Return the codec's own guess at a packet, if it makes one."""
        parts = []
        n_missing = last.n_samples
        while n_missing > 0:
            part = self._decoder.conceal()
            if part is None or not part.n_samples:
                return None
            # A packet may be of several frames, and a guess is of one.
            parts.append(part.samples[..., :n_missing])
            n_missing -= part.n_samples
        samples = np.concatenate(parts, axis=-1).astype(np.int16, copy=False)
        return PcmData(last.sample_rate, "s16", samples, channels=last.channels)
