"""What of one playback waits to be sent, and what of it has been heard.

A stream sends one segment after the other: each playback is one, and so is the audio that is sent
without one, between two playbacks. Packets never mix segments, so that one of them can be taken
out of the queue and leave the others whole.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterable
from math import inf
from typing import Final

from ._playout import Spans
from ._types import PTIME
from .audio import PcmData
from .protocol import SendMark

OWN_MARK: Final = "telnyx-trio:"
"""What the names of the library's own marks begin with."""

PROGRESS_PACKETS: Final = 50
"""Packets between two marks that tell how far a playback has come: one second. The clock knows that
to some milliseconds while all goes well; marks tell when it does not, and are 2 % of messages."""

_END: Final = "end"

_SLICE: Final = 0.1
"""Seconds of queued audio converted in one go."""


class SegmentEnd(enum.Enum):
    """What became of a playback's audio."""

    PLAYED = "played"
    CLEARED = "cleared"
    LOST = "lost"
    """The stream ended before the last of it was heard."""


class QueuedAudio:
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
        """Whether all of it was taken."""
        return self.position >= self.pcm.n_samples


class Segment:
    """One playback, or the audio between two.

    Args:
        number: grows from segment to segment of a stream.
        on_over: called once, when a playback is over; None for the audio between playbacks.

    Attributes:
        number: as given.
        is_playback: whether ``on_over`` was given.
        closed: whether no more will be put.
        end: what became of it; None before.
        queue: audio, payloads and marks, as given.
        ready: payloads and marks, to be sent as they are.
        queued: seconds of audio in ``queue``.
        starts_at: when Telnyx comes to the first of it; inf before something was sent.
        end_due: when Telnyx has played the last of it; inf before all was sent.
    """

    __slots__ = (
        "_given",
        "_heard",
        "_n_audio",
        "_n_packets",
        "_on_over",
        "_spans",
        "closed",
        "end",
        "end_due",
        "is_playback",
        "number",
        "queue",
        "queued",
        "ready",
        "starts_at",
    )

    def __init__(self, number: int, on_over: Callable[[SegmentEnd], None] | None = None) -> None:
        self.number: Final = number
        self.is_playback: Final = on_over is not None
        self.closed = False
        self.end: SegmentEnd | None = None
        self.queue: Final[deque[QueuedAudio | bytes | SendMark]] = deque()
        self.ready: Final[deque[bytes | SendMark]] = deque()
        self.queued = 0.0
        self.starts_at = inf
        self.end_due = inf
        self._on_over = on_over
        self._given = 0.0
        self._n_audio = 0
        self._n_packets = 0
        self._heard = 0.0
        self._spans = Spans()

    @property
    def has_packets(self) -> bool:
        """Whether Telnyx was sent audio of this playback."""
        return self._n_packets > 0

    @property
    def is_open_end(self) -> bool:
        """Whether it takes what is sent without a playback."""
        return not self.is_playback and not self.closed

    def put_audio(self, pcm: PcmData) -> None:
        """Queue audio."""
        self.queue.append(QueuedAudio(pcm))
        self._n_audio += 1
        self.queued += pcm.duration
        self._given += pcm.duration

    def put_packet(self, payload: bytes) -> None:
        """Queue a payload that is to be sent as it is."""
        self.queue.append(payload)
        self._n_audio += 1
        self.queued += PTIME
        self._given += PTIME

    def take_packet(self) -> None:
        """Have the payload at the head of the queue ready."""
        head = self.queue.popleft()
        assert isinstance(head, bytes)
        self.ready.append(head)
        self._note_taken(PTIME, is_all=True)

    def close(self) -> None:
        """Say that no more will be put; a playback's last mark is queued."""
        if not self.closed:
            self.closed = True
            if self.is_playback:
                self.queue.append(SendMark(self._mark_name(_END)))

    def take_audio(self) -> PcmData:
        """Take the next slice off the queue, the head of which is audio."""
        head = self.queue[0]
        assert isinstance(head, QueuedAudio)
        pcm = head.take()
        if head.exhausted:
            self.queue.popleft()
        self._note_taken(pcm.duration, is_all=head.exhausted)
        return pcm

    def packet_sent(self, start: float) -> bool:
        """Note a packet that Telnyx plays from ``start`` on.

        Returns:
            Whether there is a gap before it that this playback did not want.
        """
        if start < self.starts_at:
            self.starts_at = start
        if not self.is_playback:
            return False
        self._n_packets += 1
        if self._n_packets % PROGRESS_PACKETS == 0:
            self.ready.appendleft(SendMark(self._mark_name(str(self._n_packets))))
        return self._spans.add(start, PTIME)

    def packet_delayed(self, start: float) -> bool:
        """Note that the last packet is played from ``start`` on; return as ``packet_sent``."""
        if not self.is_playback:
            return False
        made_gap = self._spans.move_last(start, PTIME)
        self.starts_at = self._spans.start
        return made_gap

    def mark_sent(self, name: str, due: float) -> None:
        """Note a mark that Telnyx comes to at ``due``."""
        self.starts_at = min(self.starts_at, due)
        if self.closed and name == self._mark_name(_END):
            self.end_due = due

    def mark_played(self, what: str) -> None:
        """Note that a mark of this playback's came back, having been played."""
        if what == _END:
            self.finish(SegmentEnd.PLAYED, inf)
        elif what.isdecimal():
            self._raise_heard(int(what) * PTIME)

    def take_back(self, items: Iterable[bytes | SendMark]) -> None:
        """Put what was sent, and is thrown away unheard, to the front again."""
        again = [item for item in (*items, *self.ready) if not self._is_progress(item)]
        self.ready.clear()
        self.ready.extend(again)
        self.starts_at = self.end_due = inf
        self._n_packets = 0
        self._spans = Spans()

    def heard(self, now: float) -> float:
        """Return how many seconds of what was given have been heard."""
        if self.end is None:
            self._raise_heard(self._spans.played(now))
        return self._heard

    def finish(self, end: SegmentEnd, now: float) -> None:
        """Note that it is over: all of it was heard, or what was heard until now."""
        if self.end is None:
            self._heard = self._given if end is SegmentEnd.PLAYED else self.heard(now)
            self.end = end
            self.queue.clear()
            self.ready.clear()
            self.queued = 0.0
            if self._on_over is not None:
                self._on_over(end)

    def _note_taken(self, duration: float, *, is_all: bool) -> None:
        self.queued = max(0.0, self.queued - duration)
        self._n_audio -= is_all
        if not self._n_audio:
            # Exactly, whatever was added up and taken off again.
            self.queued = 0.0

    def _raise_heard(self, seconds: float) -> None:
        # The last packet may be padded, but never is more heard than was given or sent.
        self._heard = max(self._heard, min(seconds, self._given, self._spans.total))

    def _is_progress(self, item: bytes | SendMark) -> bool:
        # Of the library's own marks a segment holds none but its own.
        if not isinstance(item, SendMark) or not item.name.startswith(OWN_MARK):
            return False
        return item.name != self._mark_name(_END)

    def _mark_name(self, what: str) -> str:
        return f"{OWN_MARK}{self.number}:{what}"
