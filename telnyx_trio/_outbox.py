"""What leaves next, and when: the send side of a media stream without any I/O.

::

    PcmData ─► queue, as given ─► PacketEncoder ─► 20 ms ─► playout clock ─► SendMedia
    mark    ─► queue           ─► behind all audio before it              ─► SendMark
    clear   ─► drops all of the above                                     ─► SendClear, at once

Audio stays in the queue as it was given and is converted when its turn comes, 100 ms at a time.
So ``clear`` has next to nothing to undo, a minute of PCM costs no more memory than it has already,
and no long conversion holds up other calls.

Fewer than 20 ms are never sent (what Telnyx does with them is not documented, and tails were seen
to get lost): the remainder waits for more audio. It is padded with silence when a mark follows, or
when none came for ``FLUSH_AFTER`` seconds and Telnyx has less than that left to play. A shorter
wait would pad, and so stretch, the stream of a producer whose chunks are no multiple of 20 ms; and
a producer that stalls while there is still much to play can make up for it, without a hole.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Final

from ._playout import Playout
from ._types import PTIME, ByteOrder, TelnyxMediaFormat
from .audio import PacketEncoder, PcmData
from .protocol import SendClear, SendMark, SendMedia

FLUSH_AFTER: Final = 0.1
"""Seconds without new audio after which a remainder is padded, once no more than that is left to
play. Longer than the chunks that speech engines and RTC stacks deliver (10 to 60 ms), and nothing
that a listener would notice."""

_SLICE: Final = 0.1
"""Seconds of queued audio converted in one go."""


class _Audio:
    """Queued PCM and how far it has been converted."""

    __slots__ = ("pcm", "position")

    def __init__(self, pcm: PcmData) -> None:
        self.pcm = pcm
        self.position = 0

    def take(self) -> PcmData:
        """Return the next slice."""
        pcm = self.pcm
        start = self.position
        self.position = min(pcm.n_samples, start + max(1, round(pcm.sample_rate * _SLICE)))
        if start == 0 and self.exhausted:
            return pcm
        return PcmData(
            sample_rate=pcm.sample_rate,
            format=pcm.format,
            samples=pcm.samples[..., start : self.position],
            channels=pcm.channels,
        )

    @property
    def exhausted(self) -> bool:
        return self.position >= self.pcm.n_samples


class Outbox:
    """Orders and paces everything that one stream sends.

    Args:
        media_format: how the audio is to be coded.
        playout: the playback clock.

    Attributes:
        media_format: as given.
        queued: seconds of audio that were given and not yet converted.
        marks_queued: marks that were given and not yet handed out by ``next``.
        packets_sent: payloads handed out by ``next``.
    """

    def __init__(self, media_format: TelnyxMediaFormat, playout: Playout) -> None:
        self.media_format: Final = media_format
        self._encoder = PacketEncoder(media_format)
        self._playout = playout
        self._queue: deque[_Audio | SendMark] = deque()
        self._ready: deque[bytes | SendMark] = deque()
        self._urgent: deque[SendMark | SendClear] = deque()
        self._flush_at = inf
        self.queued = 0.0
        self.marks_queued = 0
        self.packets_sent = 0

    @property
    def byteorder(self) -> ByteOrder:
        """Order of L16 bytes; may change between packets."""
        return self._encoder.byteorder

    @byteorder.setter
    def byteorder(self, byteorder: ByteOrder) -> None:
        self._encoder.byteorder = byteorder

    def put_audio(self, pcm: PcmData) -> None:
        """Queue audio of any rate; it must not change afterwards."""
        self._queue.append(_Audio(pcm))
        self.queued += pcm.duration

    def put_mark(self, name: str) -> None:
        """Queue a mark behind all audio queued before it."""
        self._queue.append(SendMark(name))
        self.marks_queued += 1

    def clear(self, now: float) -> None:
        """Drop all that waits, remainder and filter state too, and have ``clear`` sent next.

        Marks that wait go out before it: so it returns them, as it does those at Telnyx.
        """
        for item in (*self._ready, *self._queue):
            if isinstance(item, SendMark):
                self._playout.mark_sent(item.name)
                self._urgent.append(item)
        if not self._urgent or isinstance(self._urgent[-1], SendMark):
            self._urgent.append(SendClear())
        self._ready.clear()
        self._queue.clear()
        self.queued = 0.0
        self._encoder.clear()
        self._flush_at = inf
        self._playout.clear(now)

    def close(self) -> None:
        """Free what the codec holds, at the end of the stream."""
        self._encoder.close()

    def next(self, now: float) -> SendMedia | SendMark | SendClear | float:
        """Return what to send now, or in how many seconds to ask again (inf: when more is put)."""
        if self._urgent:
            return self._hand_out(self._urgent.popleft())
        wait = self.fill(now)
        if wait > 0:
            return wait
        head = self._ready[0]
        if isinstance(head, SendMark):
            self._ready.popleft()
            self._playout.mark_sent(head.name)
            return self._hand_out(head)
        wait = self._playout.delay(now, PTIME)
        if wait > 0:
            return wait
        self._ready.popleft()
        self._playout.sent(now, PTIME)
        self.packets_sent += 1
        return SendMedia(head)

    def written(self, now: float) -> None:
        """Note that the packet last handed out has been written."""
        self._playout.written(now, PTIME)

    def fill(self, now: float) -> float:
        """Have the next packet or mark ready; return 0.0, or in how many seconds one may be.

        ``next`` does so too. It is worth doing first, because the first audio of a rate takes long,
        a filter being built, and ``next`` paces by the time that it is told.
        """
        while not self._ready:
            if self._queue:
                self._convert_next(now)
                continue
            wait = max(self._flush_at - now, self._playout.ahead(now) - FLUSH_AFTER)
            # Rounded: a wait too small to move the clock would be asked for again and again.
            wait = round(wait, 9)
            if wait > 0:
                return wait
            self._flush()
        return 0.0

    def _hand_out(self, message: SendMark | SendClear) -> SendMark | SendClear:
        if isinstance(message, SendMark):
            self.marks_queued -= 1
        return message

    def _convert_next(self, now: float) -> None:
        item = self._queue[0]
        if isinstance(item, SendMark):
            self._queue.popleft()
            self._flush()
            self._ready.append(item)
            return
        audio = item.take()
        if item.exhausted:
            self._queue.popleft()
        # Exactly 0 in the end, whatever was added up and taken off again.
        self.queued = max(0.0, self.queued - audio.duration) if self._queue else 0.0
        self._ready.extend(self._encoder.push(audio))
        self._flush_at = now + FLUSH_AFTER

    def _flush(self) -> None:
        self._ready.extend(self._encoder.flush())
        self._flush_at = inf
