"""What leaves next, and when: the send side of a media stream without any I/O.

::

    PcmData ─► queue, as given ─► PacketEncoder ─► 20 ms ─► playout clock ─► SendMedia
    mark    ─► queue           ─► behind all audio before it              ─► SendMark
    clear   ─► drops all of the above                                     ─► SendClear, at once

Audio stays in the queue as it was given and is converted when its turn comes, 100 ms at a time.
So ``clear`` has next to nothing to undo, a minute of PCM costs no more memory than it has already,
and no long conversion holds up other calls.

Fewer than 20 ms are never sent (what Telnyx does with them is not documented, and tails were seen
to get lost): the remainder waits for more audio. It is padded with silence when a mark or a
playback follows, or when none came for ``FLUSH_AFTER`` seconds and Telnyx has less than that left
to play. A shorter wait would pad, and so stretch, the stream of a producer whose chunks are no
multiple of 20 ms; and a producer that stalls while there is still much to play can make up for it,
without a hole.

The queue is a row of segments: each playback is one, and so is what was sent between two of them.
One is sent to its end before the next begins, and the lead runs on across the border, so that
playbacks join without a gap. To cut one short, Telnyx's queue must be cleared, and that throws
away what of later segments was sent ahead. So that is kept until its segment begins to be heard,
and is put to the front again. Nor may the cut hit what comes before: while a segment waits its turn
at Telnyx, its ``clear`` waits until the one before it has been played, and so does all else.

Where it is asked for, silence or a faint noise is sent while nothing else is. It runs ahead by no
more than its one packet, so that what follows is not held up by it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import Final

from ._audio_tap import AudioTap
from ._errors import LocalProtocolError
from ._events import MarkReturned
from ._idle_audio import open_idle_audio
from ._playout import MarkFate, Playout
from ._segment import OWN_MARK, Segment, SegmentEnd
from ._types import PTIME, ByteOrder, IdleAudio, TelnyxMediaFormat
from .audio import PacketEncoder, PcmData
from .protocol import SendClear, SendMark, SendMedia

FLUSH_AFTER: Final = 0.1
"""Seconds without new audio after which a remainder is padded, once no more than that is left to
play. Longer than the chunks that speech engines and RTC stacks deliver (10 to 60 ms), and nothing
that a listener would notice."""


class Outbox:
    """Orders and paces everything that one stream sends.

    Args:
        media_format: how the audio is to be coded.
        playout: the playback clock.
        idle_audio: what to send while there is nothing else.

    Attributes:
        media_format: as given.
        taps: told of what is written and what is cut.
        marks_queued: marks that were given and not yet handed out by ``next``.
        n_taken: slices of audio, and marks, that made room in the queue.
        packets_sent: payloads handed out by ``next``.
        underruns: gaps inside of playbacks.
        marks_missing: playbacks the last mark of which was given up.
    """

    __slots__ = (
        "_ahead",
        "_clear_at",
        "_encoder",
        "_flush_at",
        "_heard_number",
        "_idle",
        "_idle_audio",
        "_in_encoder",
        "_n_segments",
        "_playbacks",
        "_playout",
        "_segments",
        "_unwritten",
        "_urgent",
        "marks_missing",
        "marks_queued",
        "media_format",
        "n_taken",
        "packets_sent",
        "taps",
        "underruns",
    )

    def __init__(
        self,
        media_format: TelnyxMediaFormat,
        playout: Playout,
        idle_audio: IdleAudio = "none",
    ) -> None:
        self.media_format: Final = media_format
        self.taps: Final[list[AudioTap]] = []
        self._encoder = PacketEncoder(media_format)
        self._idle_audio = open_idle_audio(idle_audio, self._encoder.sample_rate)
        # Stands for what idle packets belong to.
        self._idle = Segment(0)
        self._playout = playout
        self._n_segments = 0
        # Those that are not sent to their end; at the back of it what is sent without a playback.
        self._segments: list[Segment] = []
        # Playbacks that are not over, by number, as their marks spell it.
        self._playbacks: dict[str, Segment] = {}
        # Whose audio the encoder holds.
        self._in_encoder: Segment | None = None
        # What Telnyx has of segments that nothing was heard of yet.
        self._ahead: deque[tuple[Segment, bytes | SendMark]] = deque()
        # The last segment known to be heard.
        self._heard_number = 0
        # The packet being written: whose it is, its payload, when it is heard.
        self._unwritten: tuple[Segment, bytes, float] | None = None
        self._urgent: deque[SendMark | SendClear] = deque()
        self._clear_at = inf
        self._flush_at = inf
        self.marks_queued = 0
        self.n_taken = 0
        self.packets_sent = 0
        self.underruns = 0
        self.marks_missing = 0

    @property
    def byteorder(self) -> ByteOrder:
        """Order of L16 bytes; may change between packets."""
        return self._encoder.byteorder

    @byteorder.setter
    def byteorder(self, byteorder: ByteOrder) -> None:
        self._encoder.byteorder = byteorder

    @property
    def packet_size_bytes(self) -> int | None:
        """Size of each payload; None of a codec whose packets are of any size."""
        return self._encoder.packet_size_bytes

    @property
    def queued(self) -> float:
        """Seconds of audio that were given and not yet converted."""
        return sum(segment.queued for segment in self._segments)

    @property
    def ends_at(self) -> float:
        """When Telnyx will have played all that was sent and is not cut: too late for more."""
        return self._playout.ends_at

    # What is given.

    def put_audio(self, pcm: PcmData, playback: Segment | None = None) -> None:
        """Queue audio of any rate; it must not change afterwards.

        Args:
            pcm: the audio.
            playback: the playback that it belongs to; None puts it behind all that was given.
        """
        (playback or self._open_end()).put_audio(pcm)

    def next_live(self, audio: PcmData | bytes, now: float) -> SendMedia | None:
        """Return what to send now for audio that is given now, if it need not be queued.

        So it is with a live source: nothing waits, this is one packet in the format that is sent,
        and the lead lets it leave. None, and it was not taken, if anything is otherwise: put it.

        Args:
            audio: as for ``put_audio`` or ``put_packet``.
            now: when.
        """
        segments = self._segments
        if not segments or self._urgent or self._clear_at < inf:
            return None
        segment = segments[0]
        if segment.queue or segment.ready or not segment.is_open_end:
            return None
        if self._playout.delay(now, PTIME) > 0:
            return None
        if isinstance(audio, PcmData):
            payload = self._encoder.push_packet(audio)
        elif self._in_encoder is None and len(audio) == self._encoder.packet_size_bytes:
            payload = audio
        else:
            payload = None
        return None if payload is None else self._send(segment, payload, now)

    def put_packet(self, payload: bytes) -> None:
        """Queue a payload of 20 ms that is to be sent as it is, behind all that was given.

        Raises:
            LocalProtocolError: it has not the size of one.
        """
        size = self._encoder.packet_size_bytes
        if not payload or size not in (None, len(payload)):
            raise LocalProtocolError(
                f"a packet of {self.media_format.encoding} has"
                f" {size or 'some'} bytes, not {len(payload)}"
            )
        self._open_end().put_packet(payload)

    def put_mark(self, name: str) -> None:
        """Queue a mark behind all that was given before it."""
        self._open_end().queue.append(SendMark(name))
        self.marks_queued += 1

    def open_playback(self, on_over: Callable[[SegmentEnd], None]) -> Segment:
        """Queue a playback behind all that was given; its audio may come later."""
        if self._segments and self._segments[-1].is_open_end:
            self._segments[-1].close()
        playback = self._append(on_over)
        self._playbacks[str(playback.number)] = playback
        return playback

    # What is taken back.

    def clear(self, now: float) -> None:
        """Drop all that waits, remainder and filter state too, and have ``clear`` sent next.

        Marks that wait go out before it: so it returns them, as it does those at Telnyx.
        """
        self._forget_begun(now)
        for playback in list(self._playbacks.values()):
            self._drop(playback, now)
        for segment in self._segments:
            for item in (*segment.ready, *segment.queue):
                if isinstance(item, SendMark) and _is_given_mark(item):
                    self._playout.mark_sent(item.name, now)
                    self._urgent.append(item)
        if not self._urgent or isinstance(self._urgent[-1], SendMark):
            self._urgent.append(SendClear())
        self._segments.clear()
        self._ahead.clear()
        self._clear_encoder()
        self.count_as_written()
        self._clear_at = inf
        self._playout.clear(now)
        for tap in self.taps:
            tap.take_cut(now)

    def cut(self, playback: Segment, now: float) -> None:
        """Drop one playback, here and at Telnyx, and leave the others whole."""
        if playback.end is not None:
            return
        self._forget_begun(now)
        self._drop(playback, now)
        if playback in self._segments:
            self._segments.remove(playback)
        if self._in_encoder is playback:
            self._clear_encoder()
        self.n_taken += 1
        if playback.end is SegmentEnd.CLEARED and playback.has_packets:
            at = max(now, playback.starts_at)
            self._take_back_behind(playback)
            self._playout.recall(at)
            self._clear_at = min(self._clear_at, at)
            for tap in self.taps:
                tap.take_cut(at)

    def give_up(self, playback: Segment) -> None:
        """Take a playback, all of which was sent, for heard: its mark did not come back."""
        self.marks_missing += 1
        self._finish(playback, SegmentEnd.PLAYED, inf)

    def abandon(self, now: float) -> None:
        """Note that the stream has ended: what was not heard will not be."""
        for playback in list(self._playbacks.values()):
            self._finish(playback, SegmentEnd.LOST, now)

    def close(self) -> None:
        """Free what the codec holds, at the end of the stream."""
        self._encoder.close()

    # What leaves, and what comes back.

    def next(self, now: float) -> SendMedia | SendMark | SendClear | float:
        """Return what to send now, or in how many seconds to ask again (inf: when more is put)."""
        if self._urgent:
            return self._hand_out(self._urgent.popleft())
        if self._clear_at < inf:
            wait = round(self._clear_at - now, 9)
            if wait > 0:
                return wait
            self._clear_at = inf
            return SendClear()
        wait = self.fill(now)
        if wait > 0:
            return self._next_idle(now, wait)
        segment = self._segments[0]
        item = segment.ready[0]
        if isinstance(item, SendMark):
            segment.ready.popleft()
            self._playout.mark_sent(item.name, now)
            segment.mark_sent(item.name, max(now, self._playout.ends_at))
            self._keep(segment, item, now)
            return self._hand_out(item)
        wait = self._playout.delay(now, PTIME)
        if wait > 0:
            return wait
        segment.ready.popleft()
        return self._send(segment, item, now)

    def _send(self, segment: Segment, payload: bytes, now: float) -> SendMedia:
        start = self._playout.sent(now, PTIME)
        if segment.packet_sent(start):
            self._note_underrun(start)
        self._keep(segment, payload, now)
        self._unwritten = segment, payload, start
        self.packets_sent += 1
        return SendMedia(payload)

    def _next_idle(self, now: float, wait: float) -> SendMedia | float:
        # While the encoder holds a remainder, that is what comes next.
        if self._idle_audio is None or self._in_encoder is not None:
            return wait
        delay = round(self._playout.ahead(now), 9)
        if delay > 0:
            return min(wait, delay)
        [payload] = self._encoder.push(next(self._idle_audio))
        self._unwritten = self._idle, payload, self._playout.sent(now, PTIME)
        self.packets_sent += 1
        return SendMedia(payload)

    def written(self, now: float) -> None:
        """Note that the packet last handed out has been written."""
        if self._unwritten is None:
            # A clear has overtaken it.
            return
        segment, payload, start = self._unwritten
        if self._playout.written(now, PTIME):
            start = now
            if segment.packet_delayed(now):
                self._note_underrun(now)
        self._unwritten = None
        self._tell_sent(payload, start)

    def count_as_written(self) -> None:
        """Have a packet that is being written count as written at the time when it was handed out.

        It was not held up; or it is cut, and its beginning may be written.
        """
        unwritten, self._unwritten = self._unwritten, None
        if unwritten is not None and self.taps:
            _, payload, start = unwritten
            self._tell_sent(payload, start)

    def fill(self, now: float) -> float:
        """Have the next packet or mark ready; return 0.0, or in how many seconds one may be.

        ``next`` does so too. It is worth doing first, because the first audio of a rate takes long,
        a filter being built, and ``next`` paces by the time that it is told.
        """
        while self._segments:
            segment = self._segments[0]
            if segment.ready:
                return 0.0
            if segment.queue:
                self._convert_next(segment, now)
            elif self._in_encoder is segment:
                wait = 0.0 if segment.closed else self._flush_wait(now)
                if wait > 0:
                    return wait
                self._flush(segment)
            elif segment.closed:
                self._segments.pop(0)
            else:
                break
        return inf

    def heard(self, playback: Segment, now: float) -> float:
        """Return how many seconds of a playback have been heard."""
        return playback.heard(now - self._playout.lateness)

    def mark_returned(self, name: str, now: float) -> MarkReturned | None:
        """Take a mark that came back; return the event that it is, None for one of our own."""
        fate = self._playout.mark_returned(name, now)
        if not name.startswith(OWN_MARK):
            if fate is MarkFate.RECALLED:
                return None
            is_cleared = fate is MarkFate.CLEARED
            for tap in self.taps:
                tap.take_note("cleared mark" if is_cleared else "mark", now, name)
            return MarkReturned(name, is_cleared)
        number, _, what = name.removeprefix(OWN_MARK).partition(":")
        playback = self._playbacks.get(number)
        if playback is not None and fate is MarkFate.PLAYED:
            playback.mark_played(what)
            if playback.end is not None:
                del self._playbacks[number]
        return None

    # Inside.

    def _append(self, on_over: Callable[[SegmentEnd], None] | None = None) -> Segment:
        self._n_segments += 1
        segment = Segment(self._n_segments, on_over)
        self._segments.append(segment)
        return segment

    def _open_end(self) -> Segment:
        """Return the segment, behind all playbacks, of what is sent without one."""
        last = self._segments[-1] if self._segments else None
        return last if last is not None and last.is_open_end else self._append()

    def _note_underrun(self, at: float) -> None:
        self.underruns += 1
        for tap in self.taps:
            tap.take_note("underrun", at)

    def _drop(self, playback: Segment, now: float) -> None:
        if playback.number < self._heard_number:
            # What follows it is being heard: no more than its mark is to come.
            self._finish(playback, SegmentEnd.PLAYED, inf)
        else:
            self._finish(playback, SegmentEnd.CLEARED, now)

    def _finish(self, playback: Segment, end: SegmentEnd, now: float) -> None:
        del self._playbacks[str(playback.number)]
        playback.finish(end, now - self._playout.lateness)

    def _keep(self, segment: Segment, item: bytes | SendMark, now: float) -> None:
        """Keep what Telnyx was sent until its segment begins to be heard."""
        if segment.starts_at > now:
            self._ahead.append((segment, item))
        else:
            self._heard_number = segment.number
            self._ahead.clear()

    def _forget_begun(self, now: float) -> None:
        while self._ahead and self._ahead[0][0].starts_at <= now:
            self._heard_number = self._ahead.popleft()[0].number

    def _take_back_behind(self, playback: Segment) -> None:
        later: dict[Segment, list[bytes | SendMark]] = {}
        kept = self._ahead
        self._ahead = deque()
        for segment, item in kept:
            if segment.number < playback.number:
                self._ahead.append((segment, item))
            elif segment is not playback:
                later.setdefault(segment, []).append(item)
        for segment, items in reversed(later.items()):
            segment.take_back(items)
            self.marks_queued += sum(_is_given_mark(item) for item in items)
            if segment not in self._segments:
                self._segments.insert(0, segment)
        if self._unwritten is not None and self._unwritten[0].number >= playback.number:
            self.count_as_written()

    def _tell_sent(self, payload: bytes, start: float) -> None:
        for tap in self.taps:
            tap.take_sent(payload, start, self._encoder.byteorder)

    def _hand_out(self, message: SendMark | SendClear) -> SendMark | SendClear:
        if _is_given_mark(message):
            self.marks_queued -= 1
            self.n_taken += 1
        return message

    def _convert_next(self, segment: Segment, now: float) -> None:
        head = segment.queue[0]
        if isinstance(head, SendMark):
            if self._in_encoder is segment:
                self._flush(segment)
            segment.queue.popleft()
            segment.ready.append(head)
            return
        self.n_taken += 1
        if isinstance(head, bytes):
            if self._in_encoder is segment:
                self._flush(segment)
            segment.take_packet()
            return
        audio = segment.take_audio()
        segment.ready.extend(self._encoder.push(audio))
        # Whole packets leave nothing to be flushed, and nobody has to wake up for it.
        self._in_encoder = segment if self._encoder.pending else None
        self._flush_at = now + FLUSH_AFTER

    def _flush_wait(self, now: float) -> float:
        # Rounded: a wait too small to move the clock would be asked for again and again.
        return round(max(self._flush_at - now, self._playout.ahead(now) - FLUSH_AFTER), 9)

    def _flush(self, segment: Segment) -> None:
        segment.ready.extend(self._encoder.flush())
        self._in_encoder = None
        self._flush_at = inf

    def _clear_encoder(self) -> None:
        self._encoder.clear()
        self._in_encoder = None
        self._flush_at = inf


def _is_given_mark(item: object) -> bool:
    """Whether this is a mark that the user of the stream has sent."""
    return isinstance(item, SendMark) and not item.name.startswith(OWN_MARK)
