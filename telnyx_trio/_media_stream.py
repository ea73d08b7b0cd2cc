"""MediaStream: one Telnyx media socket as PCM in, PCM out and events.

How it works: three tasks share a nursery for as long as ``run`` runs.

- The receive loop alone receives from the WebSocket, in whichever task that reads. What comes is
  sorted by the receiver there and then, which never waits for who takes it.
- The send loop sees to it that each message leaves when it is due: at once from whoever gives it,
  on a tick of the server's media clock, or from the loop itself. It is cancelled only when the
  stream ends.
- The watchdog alone watches the deadlines, and pings a peer that has fallen silent.

A fourth one comes and goes: while received media wait for a packet that is missing, it gives that
up in time.

Two formats are kept apart: what Telnyx sends is told by its ``start`` message; what it expects from
us is what was asked of it with ``stream_bidirectional_codec``, whatever the leg speaks.
"""

from __future__ import annotations

import enum
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, Final

import trio

from ._audio_tap import AudioTap
from ._cleanup import Callback, CleanupCallbacks
from ._errors import LocalProtocolError
from ._events import StreamEvent
from ._instant import Instant
from ._lone_error import unwrap_lone_error
from ._mp3_sender import Mp3Sender
from ._outbox import Outbox
from ._play_source import AudioSource, load
from ._playback import Playback
from ._playout import DEFAULT_LEAD, Playout
from ._receiver import MAX_EVENTS as MAX_EVENTS
from ._receiver import AudioTrack as AudioTrack
from ._receiver import PacketTrack as PacketTrack
from ._receiver import Receiver
from ._ring_channel import RingChannel
from ._sender import Sender
from ._stream_values import MediaStreamStatistics as MediaStreamStatistics
from ._stream_values import StreamEnd as StreamEnd
from ._stream_values import take_statistics
from ._stream_wire import StreamWire
from ._types import (
    ByteOrder,
    IdleAudio,
    MissingAudio,
    SendMode,
    TelnyxMediaFormat,
    Track,
    TrackSelection,
    WireByteOrder,
)
from ._watchdog import SILENCE_TIMEOUT, START_TIMEOUT, watch_silence, watch_start
from ._websocket import CLOSE_TIMEOUT, WebSocket, as_websocket, receive_each
from .audio import PcmData, VoiceActivity
from .protocol import Start, Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

BYTEORDER_PATIENCE: Final = 0.2
"""Seconds that the first L16 audio waits for a sign of the byte order, which the faint noise of a
line is: a greeting in the wrong order would be noise at full scale."""

_FORCED_CLOSE_TIMEOUT: Final = 0.03
"""Seconds that a cancelled stream gives the peer to answer its close frame."""


class _Phase(enum.Enum):
    NEW = "new"
    ACCEPTED = "accepted"
    ENDED = "ended"


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
        send_mode: "mp3" when Telnyx was asked for ``stream_bidirectional_mode: mp3``: then
            ``send_mp3`` takes the place of ``send_audio``.
        byteorder: order of L16 bytes on the wire, or "auto": found out from the first 200 ms of
            voice, sending as receiving when both are L16, else little-endian.
        lead: seconds that sent audio may run ahead of real time.
        idle_audio: what is sent while there is nothing else: "none", "silence", or "noise", which
            is faint. Audio that follows is held up by at most 20 ms.
        missing_audio: what takes the place of received packets that never came: "conceal", the last
            of the voice that fades, or "silence".
        voice_activity: makes the detector that tells when the far party speaks, given the sample
            rate, as the class ``VoiceGate`` does; None for none, until something needs one.
        in_band_dtmf: whether key presses are also listened for as tones in the caller's audio, for
            callers whose lines tell of them in no other way. About 25 us per 20 ms.
        start_timeout: seconds to ``start`` from acceptance or, given ``answered``, from when that
            is set or seen by ``run`` to be set.
        silence_timeout: seconds without any media message after which the stream is given up.
        answered: set when the call is answered; pass it when the socket may open while it rings.

    Attributes:
        websocket: as given.
        track: as given.
        stream_id: named by ``start``; None before, as the next two.
        call_control_id: named by ``start``.
        start: the ``start`` message, with numbers, ``client_state`` and custom parameters.
        media_format: what Telnyx sends.
        send_format: what we send.
        audio_track: received audio, one object from before ``start`` to after the end.
        audio_tracks: the same by track name; both of them when ``track`` is "both".
        events: key presses, returned marks, complaints of Telnyx's about what we sent, and the
            beginnings and ends of speech. Holds 256 and drops the oldest, which ``statistics``
            counts.

    Raises:
        UnsupportedEncoding: ``send_format`` names a codec that we do not encode.
        CodecNotInstalled: it names one that needs the extra [codecs].
        LocalProtocolError: ``send_format`` is not mono, its rate has no whole packets of 20 ms, or
            OPUS has no such rate.
        ValueError: ``track``, ``send_mode``, ``byteorder``, ``lead``, ``idle_audio`` or
            ``missing_audio`` is none of what they may be.
        TypeError: ``websocket`` is nothing of the above, or ``voice_activity`` cannot be called.
    """

    def __init__(
        self,
        websocket: object,
        *,
        track: TrackSelection = "inbound",
        media_format: TelnyxMediaFormat | None = None,
        send_format: TelnyxMediaFormat | None = None,
        send_mode: SendMode = "rtp",
        byteorder: WireByteOrder = "auto",
        lead: float = DEFAULT_LEAD,
        idle_audio: IdleAudio = "none",
        missing_audio: MissingAudio = "conceal",
        voice_activity: VoiceActivity | None = None,
        in_band_dtmf: bool = False,
        start_timeout: float = START_TIMEOUT,
        silence_timeout: float = SILENCE_TIMEOUT,
        answered: trio.Event | None = None,
    ) -> None:
        if track not in ("inbound", "outbound", "both"):
            raise ValueError(f'track must be "inbound", "outbound" or "both", not {track!r}')
        if byteorder not in ("auto", "big", "little"):
            raise ValueError(f'byteorder must be "auto", "big" or "little", not {byteorder!r}')
        if send_mode not in ("rtp", "mp3"):
            raise ValueError(f'send_mode must be "rtp" or "mp3", not {send_mode!r}')
        if idle_audio not in ("none", "silence", "noise"):
            raise ValueError(f'idle_audio must be "none", "silence" or "noise", not {idle_audio!r}')
        if missing_audio not in ("conceal", "silence"):
            raise ValueError(f'missing_audio must be "conceal" or "silence", not {missing_audio!r}')
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
        self._playout = Playout(lead)
        self._outbox = Outbox(self.send_format, self._playout, idle_audio)
        if byteorder != "auto":
            self._outbox.byteorder = byteorder
        take_mark = self._outbox.mark_returned
        self._receiver = Receiver(
            track,
            self.media_format,
            byteorder,
            take_mark,
            missing_audio=missing_audio,
            on_wait=self._start_giving_up,
            voice_activity=voice_activity,
            in_band_dtmf=in_band_dtmf,
        )
        self.audio_track: Final[AudioTrack] = self._receiver.audio_track
        self.audio_tracks: Final[Mapping[Track, AudioTrack]] = self._receiver.audio_tracks
        self.events: Final[RingChannel[StreamEvent]] = self._receiver.events
        self._phase = _Phase.NEW
        self._accepted_at = Instant.now()
        self._close_requested = False
        # Around all of `run`, and only that; None before.
        self._run_scope: trio.CancelScope | None = None
        # Where start callbacks live; only while messages are received.
        self._nursery: trio.Nursery | None = None
        self._is_giving_up = False
        self._started = trio.Event()
        self._started_or_ended = trio.Event()
        self._finished = trio.Event()
        self._start_callbacks: list[Callback] = []
        self._cleanup_callbacks = CleanupCallbacks()
        self._wire = StreamWire(self._websocket, self._receiver.connection)
        self._mp3_sender = (
            Mp3Sender(self._playout, self._check_open) if send_mode == "mp3" else None
        )
        # Not for users: a call gives it audio without a layer in between.
        self.sender: Final = Sender(self._outbox, _real_time_error if self.sends_mp3 else None)

    def __repr__(self) -> str:
        return (
            f"<MediaStream {self._phase.value} stream_id={self.stream_id!r}"
            f" call_control_id={self.call_control_id!r}>"
        )

    # What it is, and how far it has come.

    @property
    def is_connected(self) -> bool:
        """Whether the socket is accepted and the stream has not ended."""
        return self._phase is _Phase.ACCEPTED

    @property
    def has_started(self) -> bool:
        """Whether ``start`` has come; stays True after the end."""
        return self._started.is_set()

    @property
    def has_ended(self) -> bool:
        """Whether it is over, or about to be: nothing can be sent, and nothing more comes."""
        return self._phase is _Phase.ENDED

    async def wait_started(self) -> None:
        """Wait until Telnyx has sent ``start``.

        Raises:
            trio.BrokenResourceError: the stream ended without it.
            trio.ClosedResourceError: you closed the stream before.
        """
        await self._started_or_ended.wait()
        if not self.has_started:
            self._check_open()

    def statistics(self) -> MediaStreamStatistics:
        """Return the counters as they stand."""
        files_sent = self._mp3_sender.files_sent if self._mp3_sender is not None else 0
        return take_statistics(self._receiver, self._outbox, self._playout, files_sent)

    @property
    def received_packets(self) -> PacketTrack:
        """Payloads of received packets, as they came; see ``Call.received_packets``."""
        packets = self._receiver.open_packets()
        if self._phase is _Phase.ENDED:
            packets.end()
        return packets

    @property
    def packet_size_bytes(self) -> int | None:
        """Size of each packet for ``send_packet``; None of a codec with packets of any size."""
        return self._outbox.packet_size_bytes

    @property
    def backlog(self) -> float:
        """Seconds until what is sent now would be heard."""
        return self._outbox.queued + self._playout.ahead(trio.current_time())

    @property
    def sends_mp3(self) -> bool:
        """Whether it sends whole MP3 files instead of audio in real time."""
        return self._mp3_sender is not None

    def note_digit(self, digit: str) -> None:
        """Tell who listens in that a key was pressed."""
        for tap in self._receiver.taps:
            tap.take_note("digit", trio.current_time(), digit)

    @contextmanager
    def tapped(self, tap: AudioTap) -> Iterator[None]:
        """Have ``tap`` told of all audio, received and sent, while the block runs.

        Audio that was sent before, and is not heard yet, is not told of.

        Raises:
            trio.BrokenResourceError: the stream has ended.
            trio.ClosedResourceError: you closed it.
        """
        self._check_open()
        self._receiver.taps.append(tap)
        self._outbox.taps.append(tap)
        try:
            yield
        finally:
            self._receiver.taps.remove(tap)
            self._outbox.taps.remove(tap)

    # The life of the stream.

    async def accept(self) -> None:
        """Accept the WebSocket handshake; does nothing if that is done.

        Raises:
            trio.BrokenResourceError: the peer went away, or the stream has ended.
            trio.ClosedResourceError: you closed the stream.
        Cancelled: the handshake may have been answered or not; ``close`` frees the socket.
        """
        self._check_open()
        if self._phase is _Phase.ACCEPTED:
            await trio.lowlevel.checkpoint()
            return
        await self._websocket.accept()
        self._check_open()
        self._phase = _Phase.ACCEPTED
        self._accepted_at = Instant.now()

    async def run(self) -> StreamEnd:
        """Carry audio and events until the stream ends; then close the socket.

        Accepts the WebSocket if ``accept`` was not called.

        Returns:
            How it ended, when it ended normally.

        Raises:
            trio.BrokenResourceError: the socket was lost, or closed without a ``stop``.
            MediaTimeout: no ``start``, or no media message at all, came in time.
            UnsupportedEncoding: Telnyx sends a codec that we do not speak.
            CodecNotInstalled: it sends one that needs the extra [codecs].
            trio.BusyResourceError: it runs already.
            trio.ClosedResourceError: it has ended before.
            Exception: whatever a start callback raised, as itself if it was the only error.
        Blocks: for as long as the call has media.  Cancelled: the socket is closed, the cleanup
        callbacks run (shielded, at most 5 s), and receivers see the end of their channels.
        """
        if self._phase is _Phase.ENDED:
            raise trio.ClosedResourceError("the stream has ended")
        if self._run_scope is not None:
            raise trio.BusyResourceError("run() is running already")
        self._run_scope = trio.CancelScope()
        end = StreamEnd.CLOSED
        try:
            with self._run_scope, unwrap_lone_error():
                await self.accept()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._watch)
                    nursery.start_soon(self._send_loop)
                    end = await self._receive_loop(nursery)
                    await self._wire.wait_written()
                    nursery.cancel_scope.cancel()
        finally:
            await self._end()
        return end

    async def close(self) -> None:
        """End the stream: close the socket, run the cleanup callbacks.

        Received audio and events that are buffered can still be read. Once the stream has begun to
        end, by another call or by itself, this returns at once.

        Blocks: at most 1 s for the peer's close frame, and 5 s for the callbacks.  Cancelled: the
        socket is freed all the same.
        """
        self._close_requested = True
        if self._phase is _Phase.ENDED:
            await trio.lowlevel.checkpoint()
        elif self._run_scope is not None:
            await self._wire.wait_written()
            self._run_scope.cancel()
            await self._finished.wait()
        else:
            await self._end()

    async def _end(self) -> None:
        self._phase = _Phase.ENDED
        try:
            self._receiver.end()
        finally:
            await self._end_all_else()

    async def _end_all_else(self) -> None:
        for tap in self._receiver.taps:
            tap.take_end(trio.current_time())
        self._outbox.close()
        self._started_or_ended.set()
        if self._mp3_sender is not None:
            self._mp3_sender.wake_givers()
        self.sender.end(self._end_error)
        cancelled = trio.current_effective_deadline() <= trio.current_time()
        close_timeout = _FORCED_CLOSE_TIMEOUT if cancelled else CLOSE_TIMEOUT
        try:
            with trio.move_on_after(close_timeout, shield=True):
                await self._websocket.aclose()
        finally:
            try:
                await self._cleanup_callbacks.run()
            finally:
                self._finished.set()

    def _check_open(self) -> None:
        if self._phase is _Phase.ENDED:
            raise self._end_error()

    def _end_error(self) -> Exception:
        if self._close_requested:
            return trio.ClosedResourceError("the media stream is closed")
        return trio.BrokenResourceError("the media stream has ended")

    # Callbacks, as the plugin has them.

    def add_start_callback(self, callback: Callback) -> None:
        """Have ``callback`` run, as a task of ``run``, when ``start`` comes; at once if it has.

        An error of the callback ends the stream and leaves ``run``. After the end it is ignored.
        """
        if not self.has_started:
            self._start_callbacks.append(callback)
        elif self._nursery is not None:
            self._nursery.start_soon(_run_callback, callback)

    def add_cleanup_callback(self, callback: Callback) -> None:
        """Have ``callback`` run when the stream ends; at once if it has ended.

        Its errors are logged. Callbacks run side by side, shielded from cancellation, for at most
        5 s. One that is added after the end has no nursery left to live in and runs as a system
        task of Trio, under the same rules.

        Raises:
            RuntimeError: the stream has ended, and this is not called from Trio.
        """
        self._cleanup_callbacks.add(callback)

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
            LocalProtocolError: the stream is in mp3 mode.
        Blocks: while 2 s or more of earlier audio wait. A ``clear`` meanwhile drops ``pcm`` too,
        as it was given before.  Cancelled: nothing of ``pcm`` was queued.
        """
        await self.sender.send(pcm)

    def send_audio_nowait(self, pcm: PcmData) -> None:
        """Queue audio as ``send_audio`` does, or not at all if it would have to wait.

        Args:
            pcm: as for ``send_audio``.

        Raises:
            trio.WouldBlock: 2 s or more of earlier audio wait, or a ``send_audio`` does.
            trio.BrokenResourceError: the stream has ended.
            trio.ClosedResourceError: you closed it.
            LocalProtocolError: the stream is in mp3 mode.
        """
        self.sender.send_nowait(pcm)

    async def send_mp3(self, content: bytes) -> None:
        """Queue a whole MP3 file to be played to the caller, behind those sent before.

        Files leave one in 1.1 s at most, as Telnyx takes one a second; each is played when those
        before it are over. Files given before ``start`` wait for it.

        Args:
            content: the file.

        Raises:
            InvalidMp3: it is none.
            LocalProtocolError: the stream is not in mp3 mode.
            trio.BrokenResourceError: the stream has ended.
            trio.ClosedResourceError: you closed it.
        Blocks: while 16 files and marks wait. A ``clear`` meanwhile drops this one too.
        Cancelled: it was not queued.
        """
        if self._mp3_sender is None:
            raise LocalProtocolError(
                'this stream sends audio in real time: use send_audio, or send_mode="mp3"'
            )
        await self._mp3_sender.send_mp3(content)

    async def send_packet(self, payload: bytes) -> None:
        """Queue a packet that is coded already, behind all that was sent before.

        Args:
            payload: 20 ms in ``send_format``, as RTP would carry them; L16 in the order of bytes
                that ``statistics`` tells as ``send_byteorder``.

        Raises:
            LocalProtocolError: it has not the size of 20 ms; or the stream is in mp3 mode.
            trio.BrokenResourceError: the stream has ended.
            trio.ClosedResourceError: you closed it.
        Blocks: while 2 s or more of earlier audio wait. A ``clear`` meanwhile drops this one too.
        Cancelled: it was not queued.
        """
        await self.sender.send(payload)

    def send_packet_nowait(self, payload: bytes) -> None:
        """Queue a packet as ``send_packet`` does, or not at all if it would have to wait.

        Args:
            payload: as for ``send_packet``.

        Raises:
            trio.WouldBlock: 2 s or more of earlier audio wait, or a ``send_packet`` does.
            LocalProtocolError, trio.BrokenResourceError, trio.ClosedResourceError: as
                ``send_packet``.
        """
        self.sender.send_nowait(payload)

    async def send_mark(self, name: str) -> None:
        """Queue a mark behind the audio queued so far; it comes back as a ``MarkReturned`` event.

        Audio of less than a packet before it is padded with silence.

        Raises:
            LocalProtocolError: ``name`` is empty, or cannot be written as UTF-8.
            trio.BrokenResourceError: the stream has ended.
            trio.ClosedResourceError: you closed it.
        Blocks: while 1000 marks wait to be sent.  Cancelled: the mark was not queued.
        """
        await (self._mp3_sender or self.sender).send_mark(name)

    async def clear(self) -> None:
        """Stop playback: drop all audio that waits here, and have Telnyx drop what it has.

        All marks under way come back as cleared.

        Raises:
            trio.BrokenResourceError: the stream has ended.
            trio.ClosedResourceError: you closed it.
        Cancelled: it takes effect all the same.
        """
        await (self._mp3_sender or self.sender).clear()

    async def play(
        self,
        source: AudioSource,
        nursery: trio.Nursery,
        *,
        barge_in: bool = False,
        make_error: Callable[[], Exception] | None = None,
    ) -> Playback:
        """Play audio to the caller, behind all that was sent and played before; see ``Call.play``.

        Args:
            source: what to play.
            nursery: where the task lives that reads it; cancelled, the playback is interrupted.
            barge_in: have it interrupted when the far party begins to speak.
            make_error: makes what ``done`` raises when the stream ended before; unless given,
                the errors of ``send_audio``.

        Raises:
            trio.BrokenResourceError: the stream has ended.
            trio.ClosedResourceError: you closed it.
            LocalProtocolError: the stream is in mp3 mode; or ``barge_in``, and it does not carry
                the far party's voice.
            InvalidWav, OSError, TypeError: ``source`` cannot be played.
        Cancelled: nothing is played.
        """
        self._check_plays()
        speech = self._receiver.speech if barge_in else None
        if speech is not None:
            speech.need()
        source = await load(source)
        playback = Playback(self.sender, make_error or self._end_error, speech)
        try:
            nursery.start_soon(playback.run, source)
        except BaseException:
            playback.interrupt()
            raise
        return playback

    async def drain(self) -> None:
        """Wait until the caller has heard all that was sent and played so far.

        What a ``clear`` or an interruption drops is not waited for.

        Raises:
            trio.BrokenResourceError: the stream ended before.
            trio.ClosedResourceError: you closed it.
            LocalProtocolError: the stream is in mp3 mode.
        Blocks: for as long as it plays.  Cancelled: it plays on.
        """
        self._check_plays()
        await trio.lowlevel.checkpoint()
        await Playback(self.sender, self._end_error).drain()

    def _check_plays(self) -> None:
        self._check_open()
        if self._mp3_sender is not None:
            raise LocalProtocolError(
                "this stream sends whole MP3 files: use send_mp3, and a mark to learn of the end"
            )

    # Whether the far party speaks.

    @property
    def is_speaking(self) -> bool:
        """Whether the far party speaks now; False while nothing listens for it."""
        return self._receiver.speech.speaking

    async def wait_speech_started(self) -> None:
        """Wait until the far party speaks; see ``Call.wait_speech_started``.

        Raises:
            trio.BrokenResourceError: the stream ended before.
            trio.ClosedResourceError: you closed it.
            LocalProtocolError: the stream does not carry the far party's voice.
        """
        await self._receiver.speech.wait(True, self._check_open)

    async def wait_speech_ended(self) -> None:
        """Wait until the far party does not speak; see ``Call.wait_speech_ended``.

        Raises:
            As ``wait_speech_started``.
        """
        await self._receiver.speech.wait(False, self._check_open)

    async def _send_loop(self) -> None:
        await self._started.wait()
        if self._mp3_sender is not None:
            await self._mp3_sender.run(self._wire.send)
        choose_byteorder = None
        if (
            self._byteorder == "auto"
            and self.media_format.encoding == self.send_format.encoding == "L16"
        ):
            choose_byteorder = self._choose_byteorder
            with trio.move_on_after(BYTEORDER_PATIENCE):
                await self._receiver.byteorder_heard.wait()
        await self.sender.run(self._wire, choose_byteorder)

    def _choose_byteorder(self) -> ByteOrder:
        return self._receiver.byteorder or "little"

    # Receiving.

    async def _receive_loop(self, nursery: trio.Nursery) -> StreamEnd:
        self._nursery = nursery
        try:
            while True:
                turn: Start | Stop = await receive_each(self._websocket, self._receiver.receive)
                if isinstance(turn, Stop):
                    return StreamEnd.STOPPED
                self._begin(turn, nursery)
        except trio.EndOfChannel as error:
            raise trio.BrokenResourceError("media socket closed without a stop") from error
        finally:
            self._nursery = None

    def _start_giving_up(self) -> None:
        # A task only while something is missing: an ordinary call pays nothing.
        if self._nursery is not None and not self._is_giving_up and self._receiver.due < inf:
            self._is_giving_up = True
            self._nursery.start_soon(self._give_up_in_time)

    async def _give_up_in_time(self) -> None:
        """Give up missing media when it is time, as it may be that nothing more comes."""
        while (due := self._receiver.due) < inf:
            await trio.sleep_until(due)
            self._receiver.expire(trio.current_time())
        self._is_giving_up = False

    def _begin(self, start: Start, nursery: trio.Nursery) -> None:
        self.start = start
        self.stream_id = start.stream_id
        self.call_control_id = start.call_control_id
        self.media_format = start.media_format
        self._started.set()
        self._started_or_ended.set()
        callbacks, self._start_callbacks = self._start_callbacks, []
        for callback in callbacks:
            nursery.start_soon(_run_callback, callback)

    # Deadlines.

    async def _watch(self) -> None:
        waited = Instant.now().since(self._accepted_at)
        if self._answered is not None:
            await self._answered.wait()
            waited = 0.0
        await watch_start(self._started, self._start_timeout, waited)
        await watch_silence(self._receiver, self._wire, self._silence_timeout)


TelnyxMediaStream = MediaStream
"""The plugin's long name of it."""


async def _run_callback(callback: Callback) -> None:
    await callback()


def _real_time_error() -> Exception:
    return LocalProtocolError('this stream sends whole MP3 files: use send_mp3, or send_mode="rtp"')
