"""MediaStream: one Telnyx media socket as PCM in, PCM out and events.

How it works: three tasks share a nursery for as long as ``run`` runs.

- The receive loop alone reads the WebSocket. It turns text into messages, puts audio into ring
  channels and events into another. It never waits for who reads these: when a ring is full, the
  oldest goes and is counted.
- The send loop alone writes messages. It asks the outbox what leaves next and when. It is cancelled
  only when the stream ends, because half a WebSocket message on the wire spoils all that follow.
- The watchdog alone watches the deadlines, and pings a peer that has fallen silent.

Two formats are kept apart: what Telnyx sends is told by its ``start`` message; what it expects from
us is what was asked of it with ``stream_bidirectional_codec``, whatever the leg speaks.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import trio

from ._errors import LocalProtocolError, MediaTimeout, RemoteProtocolError, StreamError
from ._events import DtmfReceived, MarkReturned, StreamErrorReceived, StreamEvent
from ._lone_error import unwrap_lone_error
from ._outbox import Outbox
from ._playout import DEFAULT_LEAD, Playout
from ._ring_channel import RingChannel
from ._types import ByteOrder, TelnyxMediaFormat, Track, TrackSelection, WireByteOrder
from ._websocket import CLOSE_TIMEOUT, WebSocket, as_websocket
from .audio import Decoder, PcmData, open_decoder
from .protocol import Dtmf, Error, Mark, Media, MediaConnection, Message, Start, Stop

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger("telnyx_trio.media")

MAX_SEND_QUEUE: Final = 2.0
"""Seconds of audio that may wait to be converted before ``send_audio`` waits."""

MAX_RECEIVE_BUFFER: Final = 10.0
"""Seconds of received audio kept for a reader that is behind: time to load a model, not more."""

MAX_EVENTS: Final = 256

START_TIMEOUT: Final = 10.0
SILENCE_TIMEOUT: Final = 30.0

PING_BEFORE_SILENCE: Final = 5.0
"""Seconds before the silence deadline at which the peer is pinged."""

_FORCED_CLOSE_TIMEOUT: Final = 0.03
"""Seconds that a cancelled stream gives the peer to answer its close frame."""

_CALLBACK_TIMEOUT: Final = 5.0
"""Seconds that all cleanup callbacks together get once the stream is over."""

Callback = Callable[[], Awaitable[Any]]


class StreamEnd(enum.Enum):
    """How ``MediaStream.run`` came to a normal end."""

    STOPPED = "stopped"
    """Telnyx sent ``stop``: the call ended, or streaming was stopped."""
    CLOSED = "closed"
    """``close`` was called."""


class _Phase(enum.Enum):
    NEW = "new"
    ACCEPTED = "accepted"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True)
class MediaStreamStatistics:
    """Counters of one media stream, from its start to now.

    Attributes:
        messages_received: WebSocket messages, of whatever kind.
        packets_received: media messages of the tracks asked for, duplicates and late ones excluded.
        packets_sent: media messages sent, each of 20 ms.
        late: media messages that came after their place had been given up.
        duplicates: media messages that came again.
        missing: media messages that never came in time.
        malformed: messages that could not be read.
        refused: messages that were out of place, such as a second ``start``.
        audio_dropped: received packets that nobody read in time.
        events_dropped: events that nobody read in time.
        audio_buffered: seconds of received audio that wait to be read.
        audio_queued: seconds of audio given to ``send_audio`` that are not converted yet.
        playout_ahead: seconds of sent audio that Telnyx has yet to play.
        receive_byteorder: order in which L16 is read; None for other codecs, or not known yet.
        receive_byteorder_locked: whether that is final.
        send_byteorder: order in which L16 is sent; None for other codecs.
    """

    messages_received: int
    packets_received: int
    packets_sent: int
    late: int
    duplicates: int
    missing: int
    malformed: int
    refused: int
    audio_dropped: int
    events_dropped: int
    audio_buffered: float
    audio_queued: float
    playout_ahead: float
    receive_byteorder: ByteOrder | None
    receive_byteorder_locked: bool
    send_byteorder: ByteOrder | None


class AudioTrack(RingChannel[PcmData]):
    """Received audio of one track: an async-iterable of PcmData that lasts as long as its stream.

    Iteration ends after the last audio of the stream. Holds 10 s; a reader that is further behind
    loses the oldest, which ``MediaStream.statistics`` counts.
    """

    def __init__(self, media_format: TelnyxMediaFormat) -> None:
        super().__init__(MAX_RECEIVE_BUFFER)
        self._media_format = media_format

    @property
    def sample_rate(self) -> int:
        """In Hz; before ``start`` that of the format expected."""
        return self._media_format.sample_rate

    @property
    def channels(self) -> int:
        """1 or 2; before ``start`` that of the format expected."""
        return self._media_format.channels

    @property
    def format(self) -> str:
        """Always "s16": samples are int16."""
        return "s16"

    def set_format(self, media_format: TelnyxMediaFormat) -> None:
        """Note the format named by ``start``."""
        self._media_format = media_format


class MediaStream:
    """One Telnyx media stream over one WebSocket.

    Args:
        websocket: a trio-websocket connection or request, an ASGI ``(scope, receive, send)``, a
            Starlette or FastAPI WebSocket, or anything with the methods of ``WebSocket``.
        track: which ``media.track`` becomes ``audio_track``; "both" delivers them apart, the
            outbound one in ``audio_tracks["outbound"]``.
        media_format: format to expect from Telnyx until ``start`` names it.
        send_format: format that Telnyx was asked to take, by ``stream_bidirectional_codec`` and
            ``stream_bidirectional_sampling_rate``. Its default is Telnyx's own: PCMU at 8000 Hz.
        byteorder: order of L16 bytes on the wire, or "auto": found out from the first 200 ms of
            voice, sending as receiving when both are L16, else little-endian.
        lead: seconds that sent audio may run ahead of real time.
        start_timeout: seconds to ``start`` from acceptance, or from ``answered`` if that is later.
        silence_timeout: seconds without any media message after which the stream is given up.
        answered: set when the call is answered; pass it when the socket may open while it rings.

    Raises:
        UnsupportedEncoding: ``send_format`` names a codec that is not PCMU, PCMA or L16.
        TypeError: ``websocket`` is nothing of the above.
    """

    def __init__(
        self,
        websocket: object,
        *,
        track: TrackSelection = "inbound",
        media_format: TelnyxMediaFormat | None = None,
        send_format: TelnyxMediaFormat | None = None,
        byteorder: WireByteOrder = "auto",
        lead: float = DEFAULT_LEAD,
        start_timeout: float = START_TIMEOUT,
        silence_timeout: float = SILENCE_TIMEOUT,
        answered: trio.Event | None = None,
    ) -> None:
        if track not in ("inbound", "outbound", "both"):
            raise ValueError(f'track must be "inbound", "outbound" or "both", not {track!r}')
        self.websocket = websocket
        self.track: TrackSelection = track
        self.stream_id: str | None = None
        self.call_control_id: str | None = None
        self.start: Start | None = None
        self.media_format = media_format or TelnyxMediaFormat()
        self.send_format = send_format or TelnyxMediaFormat()
        self._websocket: WebSocket = as_websocket(websocket)
        self._byteorder: WireByteOrder = byteorder
        self._start_timeout = start_timeout
        self._silence_timeout = silence_timeout
        self._answered = answered
        self._connection = MediaConnection()
        self._playout = Playout(lead)
        self._outbox = Outbox(self.send_format, self._playout)
        self._decoders: dict[Track, Decoder] = {}
        primary: Track = "outbound" if track == "outbound" else "inbound"
        self.audio_track: Final = AudioTrack(self.media_format)
        tracks: dict[Track, AudioTrack] = {primary: self.audio_track}
        if track == "both":
            tracks["outbound"] = AudioTrack(self.media_format)
        self.audio_tracks: Final[Mapping[Track, AudioTrack]] = MappingProxyType(tracks)
        self.events: Final[RingChannel[StreamEvent]] = RingChannel(MAX_EVENTS)
        self._phase = _Phase.NEW
        self._close_requested = False
        self._nursery: trio.Nursery | None = None
        self._started = trio.Event()
        self._finished = trio.Event()
        self._start_callbacks: list[Callback] = []
        self._cleanup_callbacks: list[Callback] = []
        self._more_to_send = trio.lowlevel.ParkingLot()
        # Woken when the stream starts, when it ends, and when there is room to send.
        self._changed = trio.lowlevel.ParkingLot()
        self._messages_received = 0
        self._packets_received = 0
        self._last_media = -inf

    def __repr__(self) -> str:
        return (
            f"<MediaStream {self._phase.value} stream_id={self.stream_id!r}"
            f" call_control_id={self.call_control_id!r}>"
        )

    # What it is, and how far it has come.

    @property
    def is_connected(self) -> bool:
        """Whether the socket is accepted and the stream has not ended."""
        return self._phase in (_Phase.ACCEPTED, _Phase.RUNNING)

    @property
    def has_started(self) -> bool:
        """Whether ``start`` has come; stays True after the end."""
        return self._started.is_set()

    async def wait_started(self) -> None:
        """Wait until Telnyx has sent ``start``.

        Raises:
            trio.BrokenResourceError: the stream ended without it.
            trio.ClosedResourceError: you closed the stream before.
        """
        while not self.has_started:
            self._check_open()
            await self._changed.park()
        await trio.lowlevel.checkpoint()

    def statistics(self) -> MediaStreamStatistics:
        """Return the counters as they stand."""
        counters = self._connection.counters
        decoder = next(iter(self._decoders.values()), None)
        tracks = [track.statistics() for track in self.audio_tracks.values()]
        return MediaStreamStatistics(
            messages_received=self._messages_received,
            packets_received=self._packets_received,
            packets_sent=self._outbox.packets_sent,
            late=counters.late,
            duplicates=counters.duplicates,
            missing=counters.missing,
            malformed=counters.malformed,
            refused=counters.refused,
            audio_dropped=sum(track.dropped for track in tracks),
            events_dropped=self.events.statistics().dropped,
            audio_buffered=sum(track.buffered_size for track in tracks),
            audio_queued=self._outbox.queued,
            playout_ahead=self._playout.ahead(_now()),
            receive_byteorder=decoder.byteorder if decoder else None,
            receive_byteorder_locked=decoder.byteorder_locked if decoder else False,
            send_byteorder=self._outbox.byteorder if self.send_format.encoding == "L16" else None,
        )

    # The life of the stream.

    async def accept(self) -> None:
        """Accept the WebSocket handshake; does nothing if that is done.

        Raises:
            trio.BrokenResourceError: the peer went away.
            trio.ClosedResourceError: you closed the stream.
        Cancelled: the handshake may have been answered or not; ``close`` frees the socket.
        """
        if self._phase is not _Phase.NEW:
            self._check_open()
            await trio.lowlevel.checkpoint()
            return
        await self._websocket.accept()
        self._phase = _Phase.ACCEPTED

    async def run(self) -> StreamEnd:
        """Carry audio and events until the stream ends; then close the socket.

        Accepts the WebSocket if ``accept`` was not called.

        Returns:
            How it ended, when it ended normally.

        Raises:
            trio.BrokenResourceError: the socket was lost, or closed without a ``stop``.
            MediaTimeout: no ``start``, or no media message at all, came in time.
            UnsupportedEncoding: Telnyx sends a codec that we do not speak.
            trio.BusyResourceError: it runs already.
            trio.ClosedResourceError: it has ended before.
            Exception: whatever a start callback raised, as itself if it was the only error.
        Blocks: for as long as the call has media.  Cancelled: the socket is closed, the cleanup
        callbacks run (shielded, at most 5 s), and receivers see the end of their channels.
        """
        if self._phase is _Phase.RUNNING:
            raise trio.BusyResourceError("run() is running already")
        if self._phase is _Phase.ENDED:
            raise trio.ClosedResourceError("the stream has ended")
        end = StreamEnd.CLOSED
        try:
            await self.accept()
            self._phase = _Phase.RUNNING
            with unwrap_lone_error():
                async with trio.open_nursery() as nursery:
                    self._nursery = nursery
                    nursery.start_soon(self._watch)
                    nursery.start_soon(self._send_loop)
                    if self._close_requested:
                        nursery.cancel_scope.cancel()
                    end = await self._receive_loop()
                    nursery.cancel_scope.cancel()
        finally:
            await self._end()
        return end

    async def close(self) -> None:
        """End the stream: close the socket, run the cleanup callbacks. Idempotent.

        Received audio and events that are buffered can still be read.

        Blocks: at most 1 s for the peer's close frame, and 5 s for the callbacks.  Cancelled: the
        socket is freed all the same.
        """
        self._close_requested = True
        if self._phase is _Phase.RUNNING:
            if self._nursery is not None:
                self._nursery.cancel_scope.cancel()
            await self._finished.wait()
        elif self._phase is _Phase.ENDED:
            await trio.lowlevel.checkpoint()
        else:
            await self._end()

    async def _end(self) -> None:
        if self._phase is _Phase.ENDED:
            return
        self._phase = _Phase.ENDED
        self._nursery = None
        for message in self._connection.flush():
            self._handle(message)
        for track in self.audio_tracks.values():
            track.end()
        self.events.end()
        self._changed.unpark_all()
        cancelled = trio.current_effective_deadline() <= trio.current_time()
        close_timeout = _FORCED_CLOSE_TIMEOUT if cancelled else CLOSE_TIMEOUT
        try:
            with trio.move_on_after(close_timeout, shield=True):
                await self._websocket.aclose()
        finally:
            with trio.move_on_after(_CALLBACK_TIMEOUT, shield=True):
                async with trio.open_nursery() as nursery:
                    for callback in self._cleanup_callbacks:
                        nursery.start_soon(_run_cleanup, callback)
            self._finished.set()

    def _check_open(self) -> None:
        if self._phase is _Phase.ENDED:
            if self._close_requested:
                raise trio.ClosedResourceError("the media stream is closed")
            raise trio.BrokenResourceError("the media stream has ended")

    # Callbacks, as the plugin has them.

    def add_start_callback(self, callback: Callback) -> None:
        """Have ``callback`` run, as a task of ``run``, when ``start`` comes; at once if it has.

        An error of the callback ends the stream and leaves ``run``. After the end it is ignored.
        """
        if not self.has_started:
            self._start_callbacks.append(callback)
        elif self._nursery is not None:
            self._nursery.start_soon(callback)

    def add_cleanup_callback(self, callback: Callback) -> None:
        """Have ``callback`` run when the stream ends; at once if it has ended.

        Its errors are logged. Callbacks run side by side, shielded from cancellation, for at most
        5 s. One that is added after the end has no nursery left to live in and runs as a system
        task of Trio, under the same rules.

        Raises:
            RuntimeError: the stream has ended, and this is not called from Trio.
        """
        if self._phase is not _Phase.ENDED:
            self._cleanup_callbacks.append(callback)
        else:
            trio.lowlevel.spawn_system_task(_run_late_cleanup, callback)

    # Sending.

    async def send_audio(self, pcm: PcmData) -> None:
        """Queue audio to be played to the caller, in the order of the calls.

        It is brought to the send format and leaves in packets of 20 ms, at most ``lead`` seconds
        ahead of real time. Audio given before ``start`` waits for it.

        Args:
            pcm: of any rate, mono or stereo (mixed down), "s16" or "f32". Copied.

        Raises:
            trio.BrokenResourceError: the stream has ended.
            trio.ClosedResourceError: you closed it.
        Blocks: while 2 s or more of earlier audio wait.  Cancelled: nothing of ``pcm`` was queued.
        """
        await trio.lowlevel.checkpoint()
        self._check_open()
        while self._outbox.queued >= MAX_SEND_QUEUE:
            await self._changed.park()
            self._check_open()
        if pcm.n_samples:
            self._outbox.put_audio(_copy(pcm))
            self._more_to_send.unpark()

    async def send_mark(self, name: str) -> None:
        """Queue a mark behind the audio sent so far; it comes back as a ``MarkReturned`` event.

        Audio of less than a packet before it is padded with silence.

        Raises:
            LocalProtocolError: ``name`` is empty.
            trio.BrokenResourceError: the stream has ended.
            trio.ClosedResourceError: you closed it.
        """
        await trio.lowlevel.checkpoint()
        self._check_open()
        if not name:
            raise LocalProtocolError("a mark needs a name")
        self._outbox.put_mark(name)
        self._more_to_send.unpark()

    async def clear(self) -> None:
        """Stop playback: drop all audio that waits here, and have Telnyx drop what it has.

        All marks under way come back as cleared.

        Raises:
            trio.BrokenResourceError: the stream has ended.
            trio.ClosedResourceError: you closed it.
        Cancelled: it takes effect all the same.
        """
        self._check_open()
        self._outbox.clear(_now())
        self._changed.unpark_all()
        self._more_to_send.unpark()
        await trio.lowlevel.checkpoint()

    async def _send_loop(self) -> None:
        await self._started.wait()
        while True:
            self._choose_send_byteorder()
            step = self._outbox.next(trio.current_time())
            if self._outbox.queued < MAX_SEND_QUEUE:
                self._changed.unpark_all()
            if not isinstance(step, float):
                await self._websocket.send_text(self._connection.send(step))
            elif step == inf:
                await self._more_to_send.park()
            else:
                with trio.move_on_after(step):
                    await self._more_to_send.park()

    def _choose_send_byteorder(self) -> None:
        if self.send_format.encoding != "L16":
            return
        if self._byteorder != "auto":
            self._outbox.byteorder = self._byteorder
            return
        decoder = next(iter(self._decoders.values()), None)
        self._outbox.byteorder = (decoder.byteorder if decoder else None) or "little"

    # Receiving.

    async def _receive_loop(self) -> StreamEnd:
        while True:
            try:
                text = await self._websocket.receive_text()
            except trio.EndOfChannel as error:
                raise trio.BrokenResourceError("media socket closed without a stop") from error
            self._messages_received += 1
            try:
                messages = self._connection.receive(text)
            except RemoteProtocolError as error:
                logger.warning("media stream %s: %s", self.stream_id, error)
                continue
            for message in messages:
                if isinstance(message, Stop):
                    return StreamEnd.STOPPED
                self._handle(message)

    def _handle(self, message: Message) -> None:
        match message:
            case Media():
                self._handle_media(message)
            case Start():
                self._handle_start(message)
            case Dtmf(digit=digit, occurred_at=occurred_at):
                self.events.put(DtmfReceived(digit, occurred_at))
            case Mark(name=name):
                self.events.put(MarkReturned(name, self._playout.mark_returned(name)))
            case Error(code=code, title=title, detail=detail):
                error = StreamError(code, title, detail)
                logger.warning("media stream %s: Telnyx reports %s", self.stream_id, error)
                self.events.put(StreamErrorReceived(error))
            case _:
                pass

    def _handle_start(self, start: Start) -> None:
        self.start = start
        self.stream_id = start.stream_id
        self.call_control_id = start.call_control_id
        self.media_format = start.media_format
        for name, track in self.audio_tracks.items():
            track.set_format(start.media_format)
            self._decoders[name] = open_decoder(start.media_format, self._byteorder)
        self._last_media = trio.current_time()
        self._started.set()
        self._changed.unpark_all()
        callbacks, self._start_callbacks = self._start_callbacks, []
        assert self._nursery is not None
        for callback in callbacks:
            self._nursery.start_soon(callback)

    def _handle_media(self, media: Media) -> None:
        self._last_media = _now()
        track = self.audio_tracks.get(media.track)
        if track is None or not media.payload:
            return
        self._packets_received += 1
        pcm = self._decoders[media.track].decode(media.payload)
        if pcm.n_samples:
            track.put(pcm, pcm.duration)

    # Deadlines.

    async def _watch(self) -> None:
        if self._answered is not None:
            await self._answered.wait()
        with trio.move_on_after(self._start_timeout):
            await self._started.wait()
        if not self.has_started:
            raise MediaTimeout("start", self._start_timeout)
        ping_after = max(self._silence_timeout - PING_BEFORE_SILENCE, self._silence_timeout / 2)
        while True:
            heard_at = self._last_media
            await trio.sleep_until(heard_at + ping_after)
            if self._last_media != heard_at:
                continue
            peer_answers = False
            with trio.move_on_at(heard_at + self._silence_timeout):
                await self._websocket.ping()
                peer_answers = True
                await trio.sleep_forever()
            if self._last_media == heard_at:
                raise MediaTimeout("media", self._silence_timeout, peer_answers=peer_answers)


TelnyxMediaStream = MediaStream
"""The plugin's long name of it."""


def _now() -> float:
    """Return Trio's clock, also where ``statistics`` is read after the run: then nothing plays."""
    try:
        return trio.current_time()
    except RuntimeError:
        return inf


def _copy(pcm: PcmData) -> PcmData:
    return PcmData(
        sample_rate=pcm.sample_rate,
        format=pcm.format,
        samples=pcm.samples.copy(),
        channels=pcm.channels,
    )


async def _run_cleanup(callback: Callback) -> None:
    try:
        await callback()
    except Exception:
        logger.exception("media stream: a cleanup callback failed")


async def _run_late_cleanup(callback: Callback) -> None:
    with trio.move_on_after(_CALLBACK_TIMEOUT, shield=True):
        await _run_cleanup(callback)
