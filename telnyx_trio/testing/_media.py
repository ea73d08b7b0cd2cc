"""The carrier's end of one media socket.

One task writes, one reads. The writer sleeps until the next packet or the next mark is due; who has
something to say puts it into the outbox and wakes the writer by moving its deadline. All sending
times are on one absolute clock, so a late packet does not make the next one late.
"""

from __future__ import annotations

import json
import math
from binascii import a2b_base64
from collections import deque
from enum import Enum, auto
from typing import Any, Final, Literal, Protocol, TypeAlias

import trio

from .._types import PTIME, PTIME_MS, STREAMING_AUTH_HEADER
from .._websocket import WebSocket
from ._codecs import Resampler
from ._impairments import ImpairedWay
from ._leg_audio import LegAudio
from ._media_messages import ERROR_TITLES, MediaMessages, connected
from ._mp3 import decode_mp3
from ._phone import Phone
from ._stream_values import LegCounters, StreamRequest
from ._transports import Headers, Link, MediaRefused

Message: TypeAlias = tuple[str, str, dict[str, Any], dict[str, str]]
"""The arguments of ``MediaMessages.make``."""

HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds to open a media socket. Field reports tell of a limit; what it is, is unknown."""

STOP_TIMEOUT: Final = 1.0
"""Seconds that a peer has to take what is left once the stream is to stop."""

MAX_OUTBOX_MESSAGES: Final = 1000
"""Messages that wait for a peer that does not read; more are dropped and counted."""

MP3_INTERVAL: Final = 1.0
"""Seconds between two MP3 files; more are answered with error 100005 (the same page)."""

_WIDTH: Final = 2  # bytes of an int16 sample

MAX_PAYLOAD: Final = 30.0
"""Seconds of audio in one message (developers.telnyx.com, "Media streaming over WebSockets")."""


class StreamEnd(Enum):
    """Why a media socket is over."""

    FAILED = auto()  # it never opened
    STOPPED = auto()  # by a command, or with the call
    PEER_CLOSED = auto()
    VANISHED = auto()  # cut on purpose, without a word


class StreamOwner(Protocol):
    """What a stream needs of its leg."""

    audio: LegAudio
    counters: LegCounters
    phone: Phone

    def stream_opened(self, stream: LegStream) -> None:
        """The handshake is done."""

    def stream_started(self) -> None:
        """``start`` is about to be sent."""

    def start_fields(self) -> dict[str, Any]:
        """Return the fields of ``start`` that tell of the call."""

    def note(self, kind: str, detail: str = "") -> None:
        """Write into the leg's diary."""


class LegStream:
    """One media socket of a leg, from its handshake to its close.

    Args:
        owner: the leg.
        request: what was asked for.
        stream_id: as told to the server.
    """

    def __init__(self, owner: StreamOwner, request: StreamRequest, stream_id: str) -> None:
        self.request = request
        self.stream_id = stream_id
        self.failure_reason = ""
        self._owner = owner
        self._audio = owner.audio
        self._counters = owner.counters
        self._stage: Literal["waiting", "started", "stopped"] = "waiting"
        self._may_start = False
        self._stopping = False
        self._end = StreamEnd.FAILED
        self._scope = trio.CancelScope()
        self._nap = trio.CancelScope()
        self._outbox: deque[Message] = deque()
        impairments = owner.phone.impairments
        self._way = None if impairments is None else ImpairedWay(impairments, owner.counters)
        self._messages = MediaMessages(stream_id, request.tracks)
        self._next_file_at = -math.inf
        self._packet = 0  # packets sent of each track
        self._started_at = 0.0
        self._origin = 0  # position on the leg's sample clock where this stream starts
        rate, leg_rate = request.receive_codec.sample_rate, self._audio.sample_rate
        self._encoders = {track: request.receive_codec.open_coder() for track in request.tracks}
        self._decoder = request.send_codec.open_coder() if request.send_codec else None
        self._to_server = {
            track: None if rate == leg_rate else Resampler(leg_rate, rate)
            for track in request.tracks
        }
        send_rate = request.send_codec.sample_rate if request.send_codec else leg_rate
        self._to_leg = None if send_rate == leg_rate else Resampler(send_rate, leg_rate)

    async def run(self, link: Link) -> StreamEnd:
        """Open the socket and serve it until it is over; it is closed then.

        Cancelled: the socket is freed without a close handshake.
        """
        headers: Headers = []
        if self.request.auth_token is not None:
            token = self.request.auth_token.encode("latin-1", "replace")
            headers.append((STREAMING_AUTH_HEADER.encode("ascii"), token))
        try:
            with self._scope:
                self._scope.deadline = trio.current_time() + HANDSHAKE_TIMEOUT
                async with link.open_media(self.request.url, headers) as websocket:
                    self._end = StreamEnd.STOPPED
                    self._scope.deadline = math.inf
                    self._owner.stream_opened(self)
                    try:
                        await self._converse(websocket)
                    finally:
                        if self._end is StreamEnd.VANISHED:
                            with trio.CancelScope(shield=True):
                                await link.cut(websocket)
        except MediaRefused as error:
            self.failure_reason = str(error)
        if self._end is StreamEnd.FAILED and not self.failure_reason:
            if self._stopping:
                self._end = StreamEnd.STOPPED
            else:
                self.failure_reason = "connection_failed: timeout"
        return self._end

    def allow_start(self) -> None:
        """The call is answered: ``start`` and media may go out."""
        self._may_start = True
        self._wake()

    def stop(self) -> None:
        """End the stream: what is due, ``stop``, close. A handshake under way is given up."""
        self._stopping = True
        if self._end is StreamEnd.FAILED:
            self._scope.cancel()
        else:
            self._scope.deadline = trio.current_time() + STOP_TIMEOUT
        self._wake()

    def vanish(self) -> None:
        """Lose the socket without ``stop`` and without a close frame."""
        self._end = StreamEnd.VANISHED
        self._scope.cancel()

    def send_digit(self, digit: str, occurred_at: str) -> None:
        """Tell the server of a key that was pressed."""
        self._put(("dtmf", "dtmf", {"digit": digit}, {"occurred_at": occurred_at}))

    def send_error(self, code: int, detail: str) -> None:
        """Complain to the server."""
        self._counters.errors_sent += 1
        self._owner.note("error", f"{code} {detail}")
        title = ERROR_TITLES.get(code, "unknown_error")
        payload = {"code": code, "title": title, "detail": detail}
        self._put(("error", "payload", payload, {}))

    async def _converse(self, websocket: WebSocket) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._receive, websocket, nursery.cancel_scope)
            try:
                await self._send(websocket)
            except trio.BrokenResourceError:
                self._end = StreamEnd.PEER_CLOSED
            nursery.cancel_scope.cancel()
        await websocket.aclose(1000)

    async def _receive(self, websocket: WebSocket, stream_scope: trio.CancelScope) -> None:
        try:
            while True:
                self._take(await websocket.receive_text(), trio.current_time())
        except (trio.EndOfChannel, trio.BrokenResourceError):
            if not self._stopping:
                self._end = StreamEnd.PEER_CLOSED
            stream_scope.cancel()

    async def _send(self, websocket: WebSocket) -> None:
        await websocket.send_text(connected(self.request.auth_token))
        while self._stage != "stopped":
            for text in self._due(trio.current_time()):
                await websocket.send_text(text)
            with trio.CancelScope(deadline=self._next_time()) as self._nap:
                await trio.sleep_forever()

    def _wake(self) -> None:
        self._nap.deadline = -math.inf

    def _put(self, message: Message) -> None:
        if len(self._outbox) >= MAX_OUTBOX_MESSAGES:
            self._counters.dropped_messages += 1
            return
        self._outbox.append(message)
        self._wake()

    def _next_time(self) -> float:
        """When there is something to send again."""
        if self._stage == "stopped" or self._stopping or self._outbox:
            return -math.inf
        if self._stage == "waiting":
            return -math.inf if self._may_start else math.inf
        packet_time = self._started_at + (self._packet + 1) * PTIME
        if self._way is not None:
            packet_time = min(packet_time, self._way.next_due())
        mark_time = self._audio.player.next_due()
        if mark_time is None:
            return packet_time
        return min(packet_time, mark_time + (self._audio.started_at or 0.0))

    def _due(self, now: float) -> list[str]:
        """Return the messages to send now, in order."""
        texts = []
        if self._stage == "waiting" and self._may_start:
            texts.append(self._start(now))
        if self._stage == "started":
            # A packet is on its way when its last sample has been spoken.
            while (due := self._started_at + (self._packet + 1) * PTIME) <= now + 1e-9:
                packets = self._media()
                self._counters.late_packets += len(packets) if now - due > PTIME else 0
                if self._way is None:
                    texts.extend(packets)
                else:
                    self._way.put(packets, due)
            if self._way is not None:
                texts.extend(self._way.take(math.inf if self._stopping else now))
            for name in self._audio.player.take_due_marks(self._audio.elapsed(now)):
                self._counters.marks_returned += 1
                self._owner.note("mark", name)
                texts.append(self._messages.make("mark", "mark", {"name": name}))
        while self._outbox:
            event, key, value, further = self._outbox.popleft()
            texts.append(self._messages.make(event, key, value, **further))
        if self._stopping:
            if self._stage == "started":
                call = self._owner.start_fields()
                stop = {key: call[key] for key in ("user_id", "call_control_id")}
                texts.append(self._messages.make("stop", "stop", stop))
                self._owner.note("stop")
            self._stage = "stopped"
        return texts

    def _start(self, now: float) -> str:
        self._stage = "started"
        self._started_at = now
        self._audio.start(now)
        self._origin = self._audio.player.position(self._audio.elapsed(now))
        self._owner.stream_started()
        codec = self.request.receive_codec
        start = self._owner.start_fields() | {
            "custom_parameters": dict(self.request.custom_parameters),
            "media_format": {
                "encoding": codec.encoding,
                "sample_rate": codec.clock_rate,
                "channels": 1,
            },
        }
        return self._messages.make("start", "start", start)

    def _media(self) -> list[str]:
        """Make the next packet of each track."""
        size = self._audio.codec.packet_samples
        first = self._origin + self._packet * size
        timestamp_ms = self._packet * PTIME_MS
        self._packet += 1
        texts = []
        for track, resampler in self._to_server.items():
            if track == "inbound":
                pcm = self._audio.speak(first, first + size)
            else:
                pcm = self._audio.heard(first, first + size)
            if resampler is not None:
                pcm = resampler.convert(pcm)
            payload = self._encoders[track].encode(pcm)
            self._counters.packets_sent += 1
            texts.append(self._messages.media(track, self._packet, timestamp_ms, payload))
        return texts

    def _take(self, text: str, now: float) -> None:
        """Act on one message of the server."""
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self.send_error(100003, "message is not a JSON object")
            return
        match message.get("event"):
            case "media":
                media = message.get("media")
                payload = media.get("payload") if isinstance(media, dict) else None
                self._take_payload(payload, self._audio.elapsed(now))
            case "mark":
                mark = message.get("mark")
                name = mark.get("name") if isinstance(mark, dict) else None
                self._take_mark(name, self._audio.elapsed(now))
            case "clear":
                self._counters.clears += 1
                self._owner.note("clear")
                self._audio.player.clear(self._audio.elapsed(now))
                self._wake()
            case _:
                self.send_error(100003, "unknown event")

    def _take_mark(self, name: object, now: float) -> None:
        if not isinstance(name, str):
            self.send_error(100003, "mark without a name")
        elif self._audio.player.mark(name, now):
            self._counters.marks_received += 1
            self._wake()
        else:
            self._counters.dropped_messages += 1

    def _take_payload(self, encoded: object, now: float) -> None:
        codec = self.request.send_codec
        if not isinstance(encoded, str):
            self._refuse("media without a payload")
            return
        try:
            payload = a2b_base64(encoded, strict_mode=True)
        except ValueError:
            self._refuse("payload is not base64")
            return
        if self._stage == "stopped":
            return  # sent before the peer knew
        if self._stage != "started":
            self._counters.refused_packets += 1
            return
        if codec is None or self._decoder is None:
            self._take_file(payload, now)
            return
        try:
            pcm = self._decoder.decode(payload)
        except ValueError as error:
            self._refuse(str(error))
            return
        n_samples = len(pcm) // _WIDTH
        if n_samples > MAX_PAYLOAD * codec.sample_rate:
            self._refuse("payload is longer than 30 s")
            return
        if self._to_leg is not None:
            pcm = self._to_leg.convert(pcm)
        if codec.encoding != self._audio.codec.encoding:
            pcm = self._audio.carry(pcm)
        if not self._audio.player.play(pcm, now):
            self._counters.refused_packets += 1
            return
        self._counters.packets_received += 1
        self._counters.short_packets += n_samples < codec.packet_samples
        self._counters.odd_payloads += codec.n_odd_bytes(payload)
        self._counters.arrivals.append(now)

    def _take_file(self, content: bytes, now: float) -> None:
        """Play an MP3 file behind what is queued.

        What is none is ignored (Telnyx's page says "rejected or ignored"), and noted in the diary.
        """
        try:
            samples, sample_rate = decode_mp3(content)
        except ValueError as error:
            self._counters.refused_packets += 1
            self._owner.note("mp3", f"not played: {error}")
            return
        if now < self._next_file_at:
            self._counters.refused_packets += 1
            self.send_error(100005, "more than one MP3 file a second")
            return
        self._next_file_at = now + MP3_INTERVAL
        if not self._audio.player.play(self._audio.carry_clip(samples, sample_rate), now):
            self._counters.refused_packets += 1
            return
        self._counters.files_received += 1

    def _refuse(self, problem: str) -> None:
        self._counters.refused_packets += 1
        self.send_error(100004, problem)
