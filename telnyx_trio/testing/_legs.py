"""One leg of a call at the carrier: its states, its phone, its media streams."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import trio

from .._errors import LocalProtocolError
from ._announcer import Announcer
from ._audio_files import key_tone
from ._bridging import Bridging
from ._codecs import Samples, write_wav
from ._fields import Record
from ._gathering import Gathering
from ._leg_audio import LegAudio
from ._leg_values import (
    NEXT_STATES,
    Hangup,
    LegEvent,
    LegNames,
    LegOptions,
    LegServices,
    LegState,
)
from ._machine import detect_machine
from ._media import LegStream, StreamEnd
from ._phone import Phone
from ._phone_life import hang_up_after_first_ring, limit_time, perform, ring_callee
from ._recorder import Recorder
from ._stream_values import LegCounters, StreamRequest
from ._webhooks import webhook_target


class Leg:
    """One leg of a call, seen from the carrier and from the phone at its end.

    Made by ``Carrier.call_in`` and by ``POST /calls``, never directly.

    Attributes:
        names: ids and numbers.
        options: client_state, limits and so on, as the last command left them.
        phone: who is at the other end.
        state: ringing, answered or ended.
        hangup: how it ended, None until then.
        audio: both voices.
        counters: of the media sockets.
        events: the diary, oldest first.
        digits_received: what ``send_dtmf`` played to the phone.
        repeated_commands: commands ignored because their ``command_id`` was seen already.
        announcer, gathering, recorder: what commands make the carrier do with the leg.
        bridging: whom it is connected with.
        start_time, end_time: ISO 8601 dates; end_time is None until the end.
    """

    def __init__(
        self,
        names: LegNames,
        options: LegOptions,
        phone: Phone,
        audio: LegAudio,
        services: LegServices,
        application: Record | None,
    ) -> None:
        self.names = names
        self.options = options
        self.phone = phone
        self.audio = audio
        self.state = LegState.RINGING
        self.hangup: Hangup | None = None
        self.counters = LegCounters()
        self.events: list[LegEvent] = []
        self.digits_received = ""
        self.repeated_commands = 0
        self.start_time = services.clock.iso()
        self.end_time: str | None = None
        self.began_at = trio.current_time()
        self.answered_at: float | None = None
        self.ended_at: float | None = None
        self.seen_commands: dict[str, float] = {}  # command_id to time; the REST side's
        self.bridging: Bridging = Bridging(self)
        self.announcer = Announcer(self, self.bridging.ears, services.nursery)
        self.gathering = Gathering(self, self.announcer, services.nursery)
        self.recorder = Recorder(
            self, services.shelf, services.clock, services.new_id, services.nursery
        )
        self._services = services
        self._application = application
        self._scope = trio.CancelScope()
        self._stream: LegStream | None = None
        self._answered = trio.Event()
        self._media_started = trio.Event()
        self._ended = trio.Event()
        self._streams_closed = trio.Event()
        self._streams_closed.set()

    # --- the phone's side: for tests and demos

    async def wait_answered(self) -> bool:
        """Wait until the call is answered or over; returns whether it was answered."""
        await self._answered.wait()
        return self.answered_at is not None

    async def wait_media_started(self) -> None:
        """Wait until the media start, time 0 of the recording.

        They start with the first ``start`` on a media socket, or with the first command that plays,
        records, gathers or bridges.
        """
        await self._media_started.wait()

    async def wait_ended(self) -> Hangup:
        """Wait until the call is over and its media socket closed; returns how it ended."""
        await self._ended.wait()
        await self._streams_closed.wait()
        assert self.hangup is not None
        return self.hangup

    async def hang_up(self, cause: str = "normal_clearing") -> None:
        """Put the phone down, and wait until the media socket is closed.

        Blocks: at most a second for a server that does not read.  Cancelled: it is down all the
        same.
        """
        self.put_down(cause)
        await self.wait_ended()

    def put_down(self, cause: str = "normal_clearing") -> None:
        """Put the phone down, without waiting; nothing happens when the leg has ended."""
        if self.state is LegState.ENDED:
            return
        incoming = self.names.direction == "incoming"
        if self.state is LegState.RINGING and incoming:
            self.end(Hangup("originator_cancel", "caller", "487"))
        elif self.state is LegState.RINGING:
            self.end(Hangup("call_rejected", "callee", "603"))
        else:
            self.end(Hangup(cause, "caller" if incoming else "callee", "200"))

    def press(self, digits: str) -> None:
        """Press keys; Telnyx tells of each as ``phone.dtmf_report`` says. Not before the answer."""
        if self.state is not LegState.ANSWERED:
            return
        for digit in digits:
            self.note("dtmf", digit)
            report = self.phone.dtmf_report
            if report == "in_band":
                self.audio.say(*key_tone(digit), trio.current_time())
                continue
            if self._stream is not None and report != "webhook":
                self._stream.send_digit(digit, self._services.clock.iso())
            if report != "media":
                self.post("call.dtmf.received", {"digit": digit})
            self.gathering.press(digit)

    def say(self, samples: Samples, sample_rate: int) -> None:
        """Speak: from now on, or behind what is being said.

        Args:
            samples: int16, shape (n,), mono. Copied.
            sample_rate: in Hz.
        """
        self.note("says", f"{samples.size / sample_rate:.2f} s")
        self.audio.say(samples, sample_rate, trio.current_time())

    def drop_socket(self) -> None:
        """Lose the media socket without a word; the leg stays up."""
        if self._stream is not None:
            self.note("socket lost")
            self._stream.vanish()

    def send_error(self, code: int, detail: str = "simulated") -> None:
        """Send an ``error`` message on the media socket, if there is one."""
        if self._stream is not None:
            self._stream.send_error(code, detail)

    def recording(self) -> tuple[Samples, int]:
        """Return what was said and heard, on one sample clock from the start of the media.

        Returns:
            int16 of shape (2, n): row 0 is the caller's voice, row 1 what the caller heard, up to
            now or to the end of the call, gaps as zeros; and the sample rate in Hz.
        """
        until = self.ended_at if self.ended_at is not None else trio.current_time()
        return self.audio.recording(until), self.audio.sample_rate

    def write_wav(self, path: str | os.PathLike[str]) -> None:
        """Write the recording as a stereo 16-bit WAV file."""
        write_wav(path, *self.recording())

    @property
    def is_alive(self) -> bool:
        """Whether the leg has not ended."""
        return self.state is not LegState.ENDED

    @property
    def has_stream(self) -> bool:
        """Whether a media socket is open or being opened."""
        return self._stream is not None

    # --- the network's side: decided synchronously, done by tasks of the carrier

    async def live(self) -> None:
        """Do what the phone does by itself, until the leg ends. The carrier starts this task."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                if self.phone.hang_up_after is not None:
                    delay = self.phone.hang_up_after
                    nursery.start_soon(hang_up_after_first_ring, self, delay)
                if self.names.direction == "outgoing":
                    await ring_callee(self)
                else:
                    with trio.move_on_after(self.options.ring_timeout):
                        await self._answered.wait()
                    if self.state is LegState.RINGING:
                        self.put_down()
                nursery.start_soon(limit_time, self)
                if self.options.machine_detection != "disabled":
                    mode = self.options.machine_detection
                    nursery.start_soon(detect_machine, self, mode)
                await self._media_started.wait()
                await perform(self)
                await trio.sleep_forever()

    def ring(self) -> None:
        """Announce the leg, and open its media socket if that is wanted before the answer."""
        incoming = self.names.direction == "incoming"
        self.note("initiated", self.names.direction)
        self.post(
            "call.initiated",
            {
                "direction": self.names.direction,
                "state": "parked" if incoming else "bridging",
                "start_time": self.start_time,
                "caller_id_name": self.names.from_,
                "connection_codecs": "PCMU,PCMA",
                "offered_codecs": self.audio.codec.encoding,
                "custom_headers": [],
                "sip_headers": [],
                "tags": [],
            },
        )
        stream = self.options.stream
        if stream is not None and stream.before_answer:
            self.start_stream(stream)

    def answer(self) -> None:
        """Take the call; its stream starts if it has one."""
        self._move_to(LegState.ANSWERED)
        self.answered_at = trio.current_time()
        self.note("answered")
        self.post("call.answered", {"state": "answered", "start_time": self.start_time, "tags": []})
        self._answered.set()
        if self._stream is not None:
            self._stream.allow_start()
        elif self.options.stream is not None:
            self.start_stream(self.options.stream)
        if self.options.recording is not None:
            self.recorder.start(self.options.recording)
        if self.bridging.origin is not None:
            self.bridging.origin.bridging.join(self)

    def start_media(self) -> None:
        """Start the sample clock, if it does not run: a stream or a command needs it."""
        if self._media_started.is_set():
            return
        self.audio.start(trio.current_time())
        voice = self.phone.voice()
        if voice is not None and self.phone.speak_at <= 0:
            self.say(*voice)
        self._media_started.set()

    def release(self) -> None:
        """Hang up on this side of the network, as the command ``hangup`` does."""
        incoming = self.names.direction == "incoming"
        if self.state is LegState.ANSWERED:
            self.end(Hangup("normal_clearing", "callee" if incoming else "caller", "200"))
        elif incoming:
            self.end(Hangup("call_rejected", "callee", "603"))
        else:
            self.end(Hangup("originator_cancel", "caller", "487"))

    def end(self, hangup: Hangup) -> None:
        """End the leg, from any state but ended."""
        self._move_to(LegState.ENDED)
        self.hangup = hangup
        self.ended_at = trio.current_time()
        self.end_time = self._services.clock.iso()
        self.note("ended", f"{hangup.cause} by {hangup.source}")
        if self._stream is not None:
            self._stream.stop()
        self.gathering.stop("call_hangup")
        self.announcer.end()
        self.post(
            "call.hangup",
            {
                "state": "hangup",
                "hangup_cause": hangup.cause,
                "hangup_source": hangup.source,
                "sip_hangup_cause": hangup.sip_cause,
                "start_time": self.start_time,
                "end_time": self.end_time,
                "tags": [],
            },
        )
        self.recorder.stop()
        self._ended.set()
        self._answered.set()
        self._media_started.set()
        self._scope.cancel()
        self.bridging.part()
        self.bridging.give_up_target()
        self.bridging.forget_origin()

    def start_stream(self, request: StreamRequest) -> None:
        """Open a media socket; ``start`` follows once the leg is answered."""
        self._stream = LegStream(self, request, self._services.new_id())
        if self.state is LegState.ANSWERED:
            self._stream.allow_start()
        self._streams_closed = trio.Event()
        self._services.nursery.start_soon(self._run_stream, self._stream)

    def stop_stream(self) -> None:
        """Stop the media stream, if there is one; the leg stays up."""
        if self._stream is not None:
            self._stream.stop()

    def post(self, event_type: str, payload: Mapping[str, Any]) -> None:
        """Send a webhook about this leg; to nobody if no application has to do with it."""
        if self._application is None:
            return
        names = self.names
        common = {
            "call_control_id": names.call_control_id,
            "call_leg_id": names.call_leg_id,
            "call_session_id": names.call_session_id,
            "connection_id": names.connection_id,
            "client_state": self.options.client_state,
            "from": names.from_,
            "to": names.to,
        }
        target = webhook_target(self._application, self.options.webhook_url)
        self._services.post(event_type, common | dict(payload), target)

    def note(self, kind: str, detail: str = "") -> None:
        """Write into the diary."""
        self.events.append(LegEvent(self._services.clock.elapsed(), kind, detail))

    def start_fields(self) -> dict[str, Any]:
        """Return the fields of ``start`` that tell of the call."""
        return {
            "user_id": f"user-{self.names.connection_id}",
            "call_control_id": self.names.call_control_id,
            "call_session_id": self.names.call_session_id,
            "from": self.names.from_,
            "to": self.names.to,
            "tags": [],
            "client_state": self.options.client_state,
        }

    def stream_opened(self, stream: LegStream) -> None:
        """The handshake of the media socket is done."""
        self.note("socket opened")
        self.post("streaming.started", {"stream_url": stream.request.url})

    def stream_started(self) -> None:
        """``start`` is about to be sent."""
        self.note("start")
        self.start_media()

    def _move_to(self, state: LegState) -> None:
        if state not in NEXT_STATES[self.state]:
            raise LocalProtocolError(f"a leg cannot go from {self.state.name} to {state.name}")
        self.state = state

    async def _run_stream(self, stream: LegStream) -> None:
        closed = self._streams_closed
        try:
            end = await stream.run(self._services.link)
        finally:
            closed.set()
            if self._stream is stream:
                self._stream = None
        self.note("socket closed", end.name.lower())
        url = stream.request.url
        if end is StreamEnd.FAILED:
            self.post(
                "streaming.failed",
                {
                    "failure_reason": stream.failure_reason,
                    "stream_id": stream.stream_id,
                    "stream_params": {
                        "stream_url": url,
                        "track": "both_tracks"
                        if len(stream.request.tracks) > 1
                        else f"{stream.request.tracks[0]}_track",
                    },
                    "stream_type": "websocket",
                },
            )
        elif end is not StreamEnd.VANISHED:
            self.post("streaming.stopped", {"stream_url": url})
