"""Recordings by command: what a leg said and heard, as files that can be downloaded for a while."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

import numpy as np
import trio

from ._audio_files import tone
from ._clock import SimulatedClock
from ._codecs import Samples, to_int16, write_wav
from ._leg_audio import LegAudio
from ._mp3 import encode_mp3
from ._refusals import Refusal, Response

URL_LIFETIME: Final = 600.0
"""Seconds that a recording can be downloaded (Telnyx's SDK, types/call_recording_saved.py)."""

RECORDINGS_PATH: Final = "/recordings/"

_BEEP: Final = (1000.0, 0.3)
"""Hz and seconds of ``play_beep``; Telnyx does not say."""


class RecordingShelf:
    """The files of a carrier's recordings. Their URLs need no key, as Telnyx's do not.

    Attributes:
        origin: of the URLs, scheme to port.
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._files: dict[str, tuple[float, str, bytes]] = {}

    def put(self, name: str, media_type: str, content: bytes) -> str:
        """Keep a file; returns its URL."""
        self._files[RECORDINGS_PATH + name] = (trio.current_time(), media_type, content)
        return f"{self.origin}{RECORDINGS_PATH}{name}"

    def fetch(self, path: str) -> Response:
        """Answer a download: 404 for what never was, 403 for what is too old."""
        kept = self._files.get(path)
        if kept is None:
            return Refusal(404, "10005", "there is no such recording").response()
        put_at, media_type, content = kept
        if trio.current_time() - put_at > URL_LIFETIME:
            return Refusal(403, "10010", "the URL of the recording has expired").response()
        return Response(200, [(b"content-type", media_type.encode("ascii"))], content)


@dataclass(frozen=True)
class RecordRequest:
    """What a command asked for.

    Attributes:
        channels: one that mixes the sides, or one for each.
        format: of the file.
        track: the caller's voice (inbound), what the caller hears (outbound), or both.
        max_length: seconds after which it stops by itself; infinite for never.
        play_beep: to the caller, when it starts.
    """

    channels: Literal["single", "dual"] = "single"
    format: Literal["wav", "mp3"] = "wav"
    track: Literal["both", "inbound", "outbound"] = "both"
    max_length: float = float("inf")
    play_beep: bool = False


class RecordedLeg(Protocol):
    """What recording needs of its leg."""

    audio: LegAudio

    def start_media(self) -> None:
        """Start the sample clock, if it does not run yet."""

    def post(self, event_type: str, payload: Mapping[str, Any]) -> None:
        """Send a webhook."""

    def note(self, kind: str, detail: str = "") -> None:
        """Write into the leg's diary."""


@dataclass
class _Recording:
    recording_id: str
    request: RecordRequest
    started_at: str
    from_position: int | None  # None while paused
    segments: list[Samples] = field(default_factory=list)


class Recorder:
    """Records a leg, one recording at a time.

    Args:
        leg: whose.
        shelf: where the files go.
        clock: of the dates.
        new_id: makes ids of recordings.
        nursery: of the carrier.
    """

    def __init__(
        self,
        leg: RecordedLeg,
        shelf: RecordingShelf,
        clock: SimulatedClock,
        new_id: Callable[[], str],
        nursery: trio.Nursery,
    ) -> None:
        self._leg = leg
        self._shelf = shelf
        self._clock = clock
        self._new_id = new_id
        self._nursery = nursery
        self._recording: _Recording | None = None

    @property
    def is_running(self) -> bool:
        """Whether a recording has been started and not stopped."""
        return self._recording is not None

    def start(self, request: RecordRequest) -> str:
        """Record from now on; returns the recording's id."""
        self._leg.start_media()
        now = trio.current_time()
        audio = self._leg.audio
        recording = _Recording(self._new_id(), request, self._clock.iso(), audio.position(now))
        self._recording = recording
        self._leg.note("recording started")
        if request.play_beep:
            audio.play(*tone(*_BEEP), now)
        if request.max_length < float("inf"):
            self._nursery.start_soon(self._stop_later, recording)
        return recording.recording_id

    def pause(self) -> None:
        """Leave out what follows."""
        if self._recording is not None and self._recording.from_position is not None:
            self._take_segment(self._recording)

    def resume(self) -> None:
        """Record again."""
        if self._recording is not None and self._recording.from_position is None:
            self._recording.from_position = self._leg.audio.position(trio.current_time())

    def stop(self, recording_id: str | None = None) -> None:
        """Stop, keep the file and tell where it is; nothing happens without a recording.

        Args:
            recording_id: of the recording that is meant; None for whichever there is.
        """
        recording = self._recording
        if recording is None or recording_id not in (None, recording.recording_id):
            return
        self.pause()
        self._recording = None
        request = recording.request
        sides = np.concatenate([np.zeros((2, 0), np.int16), *recording.segments], axis=1)
        url = self._keep(recording.recording_id, request, _channels(sides, request))
        self._leg.note("recording saved")
        self._leg.post(
            "call.recording.saved",
            {
                "recording_id": recording.recording_id,
                "channels": request.channels,
                "recording_started_at": recording.started_at,
                "recording_ended_at": self._clock.iso(),
                "recording_urls": {request.format: url},
                "public_recording_urls": {},
            },
        )

    def _take_segment(self, recording: _Recording) -> None:
        assert recording.from_position is not None
        audio = self._leg.audio
        stop = audio.position(trio.current_time())
        recording.segments.append(audio.sides(recording.from_position, stop))
        recording.from_position = None

    def _keep(self, recording_id: str, request: RecordRequest, samples: Samples) -> str:
        sample_rate = self._leg.audio.sample_rate
        name = f"{recording_id}.{request.format}"
        if request.format == "mp3":
            return self._shelf.put(name, "audio/mpeg", encode_mp3(samples, sample_rate))
        file = io.BytesIO()
        write_wav(file, samples, sample_rate)
        return self._shelf.put(name, "audio/wav", file.getvalue())

    async def _stop_later(self, recording: _Recording) -> None:
        await trio.sleep(recording.request.max_length)
        if self._recording is recording:
            self.stop()


def _channels(sides: Samples, request: RecordRequest) -> Samples:
    """Return the channels of the file, shape (1 or 2, n)."""
    if request.track == "inbound":
        sides = sides[:1]
    elif request.track == "outbound":
        sides = sides[1:]
    if request.channels == "dual" or sides.shape[0] == 1:
        return sides
    return to_int16(sides.astype(np.float64).sum(axis=0, keepdims=True))
