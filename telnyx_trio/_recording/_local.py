"""Recording a media stream into a file of ours, both sides, while it lasts.

How it works. The stream tells of each packet, received or written; that is put on the timeline at
once, which takes some microseconds. One task looks at the clock twice a second and hands what has
become past to a thread. The end is that of the stream, or of the block, whatever comes first.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from os import PathLike
from typing import Final

import trio

from .._audio_tap import NoteKind
from .._errors import LocalProtocolError
from .._media_stream import MediaStream
from .._types import ByteOrder
from ..audio import Decoder, PcmData, open_decoder
from ._lanes import ArrivalLane, PlaybackLane
from ._notes import RecordingNote
from ._picture import draw_recording
from ._timeline import LEFT, RIGHT, StereoTimeline
from ._wav_file import WavFile
from ._writer import Writer

logger = logging.getLogger("telnyx_trio.call")

FLUSH_INTERVAL: Final = 0.5
"""Seconds between two writes. With the time that a write takes, less than one second is lost when
the process is killed."""

_MAX_NOTES: Final = 10_000

_WINDOW: Final = 3.0
"""Seconds that can still be changed: more than the longest stall that is made good."""


class LocalRecording:
    """A recording that this process makes; ``call.record_to()`` gives you one.

    Attributes:
        path: of the file.
        sample_rate: of the file, in Hz.
        notes: what happened to the audio, oldest first; of very many the last 10,000.
    """

    def __init__(self, stream: MediaStream, path: str | PathLike[str], sample_rate: int) -> None:
        self.path: Final = path
        self.sample_rate: Final = sample_rate
        self._stream = stream
        self._began_at = trio.current_time()
        self._ended_at: float | None = None
        self.notes: Final[deque[RecordingNote]] = deque(maxlen=_MAX_NOTES)
        self._timeline = StereoTimeline(sample_rate, _WINDOW)
        self._left = ArrivalLane(self._timeline, LEFT)
        self._right = PlaybackLane(self._timeline, RIGHT)
        self._decoders: dict[ByteOrder, Decoder] = {}
        self._ended = trio.Event()
        self._finished = trio.Event()
        self._writer: Writer | None = None

    def __repr__(self) -> str:
        return f"<LocalRecording {str(self.path)!r}, {self.duration:.1f} s>"

    @property
    def duration(self) -> float:
        """Seconds recorded."""
        until = trio.current_time() if self._ended_at is None else self._ended_at
        return until - self._began_at

    @property
    def error(self) -> OSError | None:
        """Why it could not be written on; None if it can."""
        return None if self._writer is None else self._writer.error

    @property
    def seconds_lost(self) -> float:
        """Audio that is missing in the file, because the disk was a minute behind."""
        return self._timeline.n_lost / self.sample_rate

    async def save_picture(self, path: str | PathLike[str]) -> None:
        """Draw both sides on one time axis, with marks, clears, digits and gaps.

        Args:
            path: of the picture; its ending says of which kind: ".png", ".svg", ".pdf".

        Raises:
            ConfigurationError: matplotlib is not installed; it comes with the extra [cli].
            OSError: the recording cannot be read, or the picture not written.
        Blocks: for a second or so, in a thread.  Cancelled: it is drawn all the same.
        """
        notes = tuple(self.notes)
        await trio.to_thread.run_sync(draw_recording, path, self.path, notes)

    async def stop(self) -> None:
        """End the recording now, and wait until the file is written; leaving does it too.

        Cancelled: it ends all the same.
        """
        self.take_end(trio.current_time())
        await self._finished.wait()

    # What the stream tells.

    def take_received(self, pcm: PcmData, now: float) -> None:
        """Take audio of the far party's."""
        self._left.put(pcm.mono_int16(), pcm.sample_rate, self._position(now))

    def take_sent(self, payload: bytes, start: float, byteorder: ByteOrder) -> None:
        """Take a packet of ours."""
        decoder = self._decoders.get(byteorder)
        if decoder is None:
            decoder = open_decoder(self._stream.send_format, byteorder)
            self._decoders[byteorder] = decoder
        pcm = decoder.decode(payload)
        if pcm.n_samples:
            self._right.put(pcm.mono_int16(), pcm.sample_rate, self._position(start))

    def take_cut(self, at: float) -> None:
        """Take off what will not be heard."""
        self._right.cut(self._position(at))
        self.take_note("clear", at)

    def take_note(self, kind: NoteKind, at: float, text: str = "", duration: float = 0.0) -> None:
        """Keep what happened to the audio."""
        self.notes.append(RecordingNote(kind, at - self._began_at, text, duration))

    def take_end(self, now: float) -> None:
        """Note that the stream has ended."""
        if self._ended_at is None:
            self._ended_at = now
        self._ended.set()

    # Its life.

    async def run(self, task_status: trio.TaskStatus[LocalRecording]) -> None:
        """Record until the stream ends, ``stop`` is called or this is cancelled.

        Raises:
            OSError: the file cannot be opened. What fails later is in ``error``.
        """
        self._began_at = trio.current_time()
        with self._stream.tapped(self):
            file = await trio.to_thread.run_sync(WavFile, self.path, self.sample_rate)
            writer = self._writer = Writer(file)
            task_status.started(self)
            try:
                while not self._ended.is_set() and writer.error is None:
                    with trio.move_on_after(FLUSH_INTERVAL):
                        await self._ended.wait()
                    if writer.is_idle:
                        writer.write(*self._take(trio.current_time()))
            finally:
                self.take_end(trio.current_time())
                await self._finish(writer)

    async def _finish(self, writer: Writer) -> None:
        await writer.finish(*self._take(trio.current_time()))
        for decoder in self._decoders.values():
            decoder.close()
        if writer.error is not None:
            logger.error("recording %s: %s", self.path, writer.error)
        self._finished.set()

    def _take(self, now: float) -> tuple[int, bytes]:
        until = now if self._ended_at is None else min(now, self._ended_at)
        return self._timeline.take(self._position(until))

    def _position(self, moment: float) -> int:
        return round((moment - self._began_at) * self.sample_rate)


@asynccontextmanager
async def open_local_recording(
    stream: MediaStream,
    nursery: trio.Nursery,
    path: str | PathLike[str],
    sample_rate: int | None,
    make_error: Callable[[], Exception],
) -> AsyncIterator[LocalRecording]:
    """Record while the block runs; see ``Call.record_to``."""
    if stream.sends_mp3:
        raise LocalProtocolError(
            "this call sends whole MP3 files, which only Telnyx decodes: use call.recording()"
        )
    if sample_rate is None:
        sample_rate = max(
            stream.media_format.audio_sample_rate, stream.send_format.audio_sample_rate
        )
    if sample_rate <= 0:
        raise ValueError(f"sample rate must be positive, got {sample_rate}")
    recording = LocalRecording(stream, path, sample_rate)
    try:
        await nursery.start(recording.run)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        raise make_error() from None
    try:
        yield recording
    finally:
        with trio.CancelScope(shield=True):
            await recording.stop()
    if recording.error is not None:
        raise recording.error
