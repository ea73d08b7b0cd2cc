"""A stream's send side and Telnyx's player with a way between them, both pure: no event loop.

The player is the simulator's, and what it has played is the record that everything is held against.
Each playback is one constant sample, so that the record tells which of them was heard, and for how
long.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from telnyx_trio._events import MarkReturned
from telnyx_trio._outbox import Outbox
from telnyx_trio._playout import Playout
from telnyx_trio._segment import Segment, SegmentEnd
from telnyx_trio._types import IdleAudio, TelnyxMediaFormat
from telnyx_trio.audio import PcmData, pcmu_to_pcm
from telnyx_trio.protocol import SendClear, SendMark, SendMedia
from telnyx_trio.testing._player import Player

RATE = 8000
LEVELS = pcmu_to_pcm(bytes(range(0x80, 0x80 + 100))).samples
"""Samples that PCMU carries unchanged, each another one, none of them silence."""


@dataclass
class Voice:
    """A playback, or audio sent without one, by the sample that it is made of.

    Attributes:
        level: the sample.
        given: seconds that were put.
        playback: its segment, None without one.
        ends: what its segment said, once.
    """

    level: int
    given: float = 0.0
    playback: Segment | None = None
    ends: list[SegmentEnd] = field(default_factory=list)

    def audio(self, seconds: float) -> PcmData:
        """Make more of it."""
        samples = np.full(round(seconds * RATE), self.level, np.int16)
        self.given += len(samples) / RATE
        return PcmData(RATE, samples=samples)


class Line:
    """An outbox at one end, a player at the other.

    Args:
        lead: of the outbox.
        way: seconds that a message takes, in either direction.
        returns_marks: whether Telnyx does.
        idle_audio: of the outbox.
    """

    def __init__(
        self,
        lead: float = 0.4,
        way: float = 0.0,
        *,
        returns_marks: bool = True,
        idle_audio: IdleAudio = "none",
    ) -> None:
        self.now = 0.0
        self.way = way
        self.returns_marks = returns_marks
        self.playout = Playout(lead)
        self.outbox = Outbox(TelnyxMediaFormat(), self.playout, idle_audio)
        self.player = Player(RATE)
        self.voices: list[Voice] = []
        self.events: list[MarkReturned] = []
        self.sent: list[tuple[float, SendMedia | SendMark | SendClear]] = []
        self._out: deque[tuple[float, SendMedia | SendMark | SendClear]] = deque()
        self._back: deque[tuple[float, str]] = deque()

    def voice(self) -> Voice:
        """Have another sample to speak with."""
        voice = Voice(int(LEVELS[len(self.voices)]))
        self.voices.append(voice)
        return voice

    def play(self, seconds: float = 0.0, *, close: bool = True) -> Voice:
        """Start a playback."""
        voice = self.voice()
        voice.playback = self.outbox.open_playback(voice.ends.append)
        if seconds:
            self.outbox.put_audio(voice.audio(seconds), voice.playback)
        if close:
            voice.playback.close()
        return voice

    def send(self, seconds: float) -> Voice:
        """Send audio without a playback."""
        voice = self.voice()
        self.outbox.put_audio(voice.audio(seconds))
        return voice

    def cut(self, voice: Voice) -> None:
        """Interrupt a playback."""
        assert voice.playback is not None
        self.outbox.cut(voice.playback, self.now)

    def run(self, seconds: float, *, stalled: bool = False) -> None:
        """Let time pass; a stalled process of ours neither sends nor reads."""
        until = self.now + seconds
        while True:
            at = until if stalled else self._take_step(until)
            events = [self._out[0][0] if self._out else math.inf, self.player.next_due()]
            if self._back and not stalled:
                events.append(self._back[0][0])
            at = min(at, *(event for event in events if event is not None))
            self.now = max(self.now, min(at, until))
            self._let_player_act()
            if not stalled:
                self._let_marks_in()
            if at >= until:
                if not stalled:
                    self._take_step(until)
                return

    def heard(self, voice: Voice) -> float:
        """Seconds that the library says were heard."""
        assert voice.playback is not None
        return self.outbox.heard(voice.playback, self.now)

    @property
    def record(self) -> NDArray[np.int16]:
        """What the player has played up to now."""
        stop = self.player.position(self.now)
        return np.frombuffer(self.player.timeline.read(0, stop), np.int16)

    def on_record(self, voice: Voice) -> float:
        """Seconds that were heard in truth."""
        return int(np.count_nonzero(self.record == voice.level)) / RATE

    def order(self) -> list[int]:
        """The samples of the record, each run of one of them once, silence left out."""
        record = self.record[self.record != 0]
        changes = np.flatnonzero(np.diff(record, prepend=0))
        return [int(level) for level in record[changes]]

    def _take_step(self, until: float) -> float:
        """Send what is due; return when to ask again."""
        while True:
            step = self.outbox.next(self.now)
            if isinstance(step, float):
                return min(until, self.now + step)
            if isinstance(step, SendMedia):
                self.outbox.written(self.now)
            self.sent.append((self.now, step))
            self._out.append((self.now + self.way, step))

    def _let_player_act(self) -> None:
        # Marks that were due before what comes now are on their way.
        self._return_marks()
        while self._out and self._out[0][0] <= self.now:
            _, message = self._out.popleft()
            if isinstance(message, SendMedia):
                pcm = pcmu_to_pcm(message.payload)
                assert self.player.play(pcm.to_bytes(), self.now)
            elif isinstance(message, SendMark):
                self.player.mark(message.name, self.now)
            else:
                self.player.clear(self.now)
            self._return_marks()

    def _return_marks(self) -> None:
        for name in self.player.take_due_marks(self.now + 1e-9):
            if self.returns_marks:
                self._back.append((self.now + self.way, name))

    def _let_marks_in(self) -> None:
        while self._back and self._back[0][0] <= self.now:
            _, name = self._back.popleft()
            event = self.outbox.mark_returned(name, self.now)
            if event is not None:
                self.events.append(event)
