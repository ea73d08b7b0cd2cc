"""Playback handles: what was started, how far the far party has heard it, how to cut it short.

How it works. A playback is a segment of the outbox, and a task that fills it from its source. The
task lives in a nursery of the caller's, reads up to 2 s ahead of what is sent, and waits for the
end: for the mark behind the last packet to come back. All that is decided is decided in the outbox;
the segment tells the handle when it is over.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

import trio

from ._events import SpeechStarted
from ._play_source import AudioSource, SourceReader
from ._segment import SegmentEnd
from ._sender import Sender
from ._speech import SpeechWatch

logger = logging.getLogger("telnyx_trio.media")


class PlaybackState(enum.Enum):
    """How far a playback has come."""

    QUEUED = "queued"
    """The far party hears none of it yet."""
    PLAYING = "playing"
    DONE = "done"
    """The far party has heard it to its end."""
    INTERRUPTED = "interrupted"
    """``interrupt`` or ``clear`` cut it short, or it was left with the call."""
    FAILED = "failed"
    """Its source raised, or the call ended."""


_STATE_OF_END: Final = {
    SegmentEnd.PLAYED: PlaybackState.DONE,
    SegmentEnd.CLEARED: PlaybackState.INTERRUPTED,
    SegmentEnd.LOST: PlaybackState.FAILED,
}


class Playback:
    """One playback, made by ``call.play``, never directly.

    Args:
        sender: what sends it.
        make_error: makes the error that is raised when the stream ended under it.
        speech: whose beginning interrupts it; None if nothing that is said does.

    Attributes:
        barged_in: the speech that interrupted it; None if none has.
    """

    def __init__(
        self,
        sender: Sender,
        make_error: Callable[[], Exception],
        speech: SpeechWatch | None = None,
    ) -> None:
        self._sender = sender
        self._make_error = make_error
        self._error: Exception | None = None
        self._scope = trio.CancelScope()
        self._settled = trio.Event()
        self.barged_in: SpeechStarted | None = None
        self._speech = speech
        self._segment = sender.open_playback(self._note_over)
        if speech is not None:
            speech.add_listener(self._give_way)

    def __repr__(self) -> str:
        return f"<Playback {self.state.value}, {self.heard_ms:.0f} ms heard>"

    @property
    def state(self) -> PlaybackState:
        """How far it has come."""
        if self._error is not None:
            return PlaybackState.FAILED
        if self._segment.end is not None:
            return _STATE_OF_END[self._segment.end]
        if self._segment.starts_at <= trio.current_time():
            return PlaybackState.PLAYING
        return PlaybackState.QUEUED

    @property
    def heard_ms(self) -> float:
        """Milliseconds of it that the far party has heard; never less than it was.

        What ``interrupt`` would return now. Silence in a gap does not count.
        """
        return 1000 * self._sender.heard(self._segment)

    async def done(self) -> PlaybackState:
        """Wait until the far party has heard the end, or will not.

        Telnyx tells, by a mark. Should that not come back, the end counts as heard 2 s after it
        should have been, and ``statistics().marks_missing`` counts it.

        Returns:
            ``PlaybackState.DONE`` or ``PlaybackState.INTERRUPTED``.

        Raises:
            CallEnded: the call ended before.
            Exception: what the source raised, as soon as it does. What it gave before is played.
        Blocks: for as long as it plays.  Cancelled: it plays on.
        """
        await self._settled.wait()
        if self._error is not None:
            raise self._error
        if self.state is PlaybackState.FAILED:
            raise self._make_error()
        return self.state

    def interrupt(self) -> float:
        """Cut it short, at once: drop what waits here, and have Telnyx drop what it has.

        Its source is read no more; a generator is closed. Other playbacks, and what was sent before
        and after it, stay whole. One that is over stays what it is.

        Returns:
            Milliseconds of it that were heard, as ``heard_ms``.
        """
        self._sender.cut(self._segment)
        return self.heard_ms

    async def run(self, source: AudioSource) -> None:
        """Play a source: the task of this playback. Cancelled: it is interrupted."""
        try:
            with self._scope:
                await self._feed(source)
                await self._sender.wait_heard(self._segment)
        finally:
            self.interrupt()

    async def drain(self) -> None:
        """Play nothing: wait until all before it was heard. Cancelled: nothing is changed."""
        self._sender.close_playback(self._segment)
        try:
            with self._scope:
                await self._sender.wait_heard(self._segment)
        finally:
            self.interrupt()
        await self.done()

    async def _feed(self, source: AudioSource) -> None:
        try:
            async with aclosing(aiter(SourceReader(source))) as chunks:
                async for pcm in chunks:
                    await self._sender.put(self._segment, pcm)
        except Exception as error:
            if self._segment.end is None:
                self._error = error
                self._settled.set()
            else:
                # It was told to stop; nobody waits for what it says to that.
                logger.warning("playback: its source failed after its end: %r", error)
        self._sender.close_playback(self._segment)

    def _give_way(self, started: SpeechStarted) -> None:
        self.barged_in = started
        self.interrupt()

    def _note_over(self, _: SegmentEnd) -> None:
        if self._speech is not None:
            self._speech.remove_listener(self._give_way)
        self._settled.set()
        self._scope.cancel()
