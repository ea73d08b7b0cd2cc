"""A live call as its user sees it: audio, events, commands, and how it ended."""

from __future__ import annotations

import base64
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import trio

from .._digit_gather import DigitRules, GatheredDigits
from .._errors import CallEnded, LocalProtocolError
from .._events import StreamEvent
from .._media_stream import (
    MAX_EVENTS,
    AudioTrack,
    MediaStream,
    MediaStreamStatistics,
    PacketTrack,
)
from .._play_source import AudioSource
from .._playback import Playback
from .._recording import LocalRecording, open_local_recording
from .._registry import TelnyxCall
from .._ring_channel import RingChannel
from ..audio import PcmData, dtmf_tones
from ..call_control import split_client_state, tag_client_state
from ..webhooks import MachineDetectionEnded, MachineGreetingEnded, WebhookEvent
from ._carrier_recording import CarrierRecording, open_carrier_recording
from ._ending import CallOutcome, Ending, EndReason
from ._hold import Hold, Holding
from ._keypad import Keypad
from ._listeners import Listeners
from ._machine import MachineDetection, MachineGreeting
from ._outcomes import GatherResult, OutcomeCommands, TransferredLeg

if TYPE_CHECKING:
    from ..call_control import RecordingChannels, RecordingFormat, TelnyxClient

CallEvent: TypeAlias = StreamEvent | WebhookEvent

_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


class Call:
    """A live call. ``open_call``, a server's handler or ``server.dial`` give you one.

    Attributes:
        info: the registry's entry of this call: numbers, ids, times.
        events: key presses, marks, complaints of Telnyx about the stream, the beginnings and ends
            of speech (with ``voice_activity``), and the call's webhooks. Holds 256 and drops the
            oldest. It ends with the call, at most a second later if the hangup webhook is awaited.
        stream: the media stream underneath.
        keypad: the keys of the far party that wait to be gathered, see ``gather_digits``.
        nursery: for your own tasks; they are cancelled on leaving, before anything is closed.
        machine_detection: who answered, once Telnyx has found out; None before, and for a call
            that was not dialled with ``answering_machine_detection``.
        machine_greeting: how an answering machine's greeting ended; None before.
    """

    info: TelnyxCall
    nursery: trio.Nursery

    def __init__(
        self,
        stream: MediaStream,
        ending: Ending,
        hold: Hold,
        listeners: Listeners,
        commands: OutcomeCommands,
    ) -> None:
        self.stream: Final = stream
        self.machine_detection: MachineDetection | None = None
        self.machine_greeting: MachineGreeting | None = None
        self.events: Final[RingChannel[CallEvent]] = RingChannel(MAX_EVENTS)
        self.keypad: Final = Keypad(self._ended_error)
        # It is given audio without a layer in between.
        self._sender = stream.sender
        self._ending = ending
        self._hold = hold
        self._listeners = listeners
        self._commands = commands
        # What Telnyx echoes: a tag of the server's, by which it knows the leg, and the user's part.
        self._tag, self._client_state = b"", b""

    def __repr__(self) -> str:
        outcome = self.outcome
        state = "live" if outcome is None else outcome.reason.value
        return f"<Call {state} {self.call_control_id!r}>"

    @property
    def call_control_id(self) -> str:
        """Telnyx's name of this call for its REST API."""
        return self.info.call_control_id

    @property
    def received(self) -> AudioTrack:
        """Audio from the far party, an async-iterable of PcmData.

        It ends, after what is buffered, when the call does.
        """
        return self.stream.audio_track

    @property
    def received_packets(self) -> PacketTrack:
        """Payloads from the far party as they came, undecoded: an async-iterable of bytes.

        For who speaks the call's own codec, ``stream.media_format``. From when this is first used,
        until it is closed by ``aclose``, ``received`` gets nothing.
        """
        return self.stream.received_packets

    @property
    def outcome(self) -> CallOutcome | None:
        """Who ended the call, why, and after how long; None while it lives.

        Filled in as more is known: whether the far party hung up is told by its webhook, which may
        come up to a second after the end.
        """
        if self.stream.has_started and not self.stream.is_connected:
            # The stream tells why it ended when its socket is closed; readers know before.
            self._ending.note_media_ended()
        return self._ending.outcome(handed_over=self._hold.holding is Holding.HANDED_OVER)

    def statistics(self) -> MediaStreamStatistics:
        """Return the counters of the media stream."""
        return self.stream.statistics()

    async def wait_ended(self) -> None:
        """Wait until the call has ended, by whomever."""
        await self._ending.began.wait()

    async def send(self, pcm: PcmData) -> None:
        """Queue audio to be played to the far party.

        Args:
            pcm: of any rate, mono or stereo (mixed down), "s16" or "f32". Copied.

        Raises:
            CallEnded: the call has ended.
            LocalProtocolError: the call sends MP3 files (``send_mode="mp3"``).
        Blocks: while 2 s or more of earlier audio wait.  Cancelled: nothing of ``pcm`` was queued.
        """
        try:
            await self._sender.send(pcm)
        except _GONE:
            raise self._ended_error() from None

    def send_nowait(self, pcm: PcmData) -> None:
        """Queue audio as ``send`` does, or not at all if it would have to wait.

        The quickest way for a live source, which keeps the pace of the call: no other task gets a
        turn in between.

        Args:
            pcm: as for ``send``.

        Raises:
            trio.WouldBlock: 2 s or more of earlier audio wait, or a ``send`` does.
            CallEnded: the call has ended.
            LocalProtocolError: the call sends MP3 files (``send_mode="mp3"``).
        """
        try:
            self._sender.send_nowait(pcm)
        except _GONE:
            raise self._ended_error() from None

    async def send_packet(self, payload: bytes) -> None:
        """Queue a packet that is coded already, in order with ``send`` and ``play``.

        Args:
            payload: 20 ms in ``stream.send_format``, as RTP would carry them: 160 bytes of PCMU.

        Raises:
            CallEnded: the call has ended.
            LocalProtocolError: it has not the size of 20 ms; or the call sends MP3 files.
        Blocks: while 2 s or more of earlier audio wait.  Cancelled: it was not queued.
        """
        try:
            await self._sender.send(payload)
        except _GONE:
            raise self._ended_error() from None

    def send_packet_nowait(self, payload: bytes) -> None:
        """Queue a packet as ``send_packet`` does, or not at all if it would have to wait.

        Args:
            payload: as for ``send_packet``.

        Raises:
            trio.WouldBlock: 2 s or more of earlier audio wait, or a ``send_packet`` does.
            CallEnded, LocalProtocolError: as ``send_packet``.
        """
        try:
            self._sender.send_nowait(payload)
        except _GONE:
            raise self._ended_error() from None

    async def send_mp3(self, source: bytes | str | PathLike[str]) -> None:
        """Queue a whole MP3 file to be played to the far party, behind those sent before.

        Only in a call that sends files all its life, ``ServerConfig(send_mode="mp3")``. At most one
        leaves in 1.1 s, since Telnyx takes one a second. Marks and ``clear`` are as for ``send``.

        Args:
            source: the file's content, or its path.

        Raises:
            InvalidMp3: it is no MP3 file.
            OSError: it cannot be read.
            LocalProtocolError: the call sends audio in real time.
            CallEnded: the call has ended.
        Blocks: while 16 files and marks wait.  Cancelled: it was not queued.
        """
        content = source if isinstance(source, bytes) else await trio.Path(source).read_bytes()
        try:
            await self.stream.send_mp3(content)
        except _GONE:
            raise self._ended_error() from None

    async def send_mark(self, name: str) -> None:
        """Queue a mark; ``events`` has a ``MarkReturned`` when all audio before it was heard.

        Raises:
            CallEnded: the call has ended.
            LocalProtocolError: ``name`` is empty.
        """
        try:
            await self.stream.send_mark(name)
        except _GONE:
            raise self._ended_error() from None

    async def clear(self) -> None:
        """Stop playback at once, here and at Telnyx; marks under way come back as cleared.

        Raises:
            CallEnded: the call has ended.
        Cancelled: it takes effect all the same.
        """
        try:
            await self.stream.clear()
        except _GONE:
            raise self._ended_error() from None

    async def play(self, source: AudioSource, *, barge_in: bool = False) -> Playback:
        """Play audio to the far party; returns as soon as it is queued.

        It follows all that was sent and played before; what is sent later follows it. Playbacks
        join without a gap: each source is read up to 2 s ahead, also while others play. The task
        that reads it lives in ``nursery``.

        Args:
            source: the path of a WAV file of 16-bit PCM; PcmData, or an iterator of it that is
                synchronous (and must not block) or asynchronous, of any rates and sizes; or bytes
                that are PCM, as ``RawAudio(chunks, sample_rate=24000)``.
            barge_in: have it interrupted as soon as the far party begins to speak, also while it
                waits for its turn. Then ``handle.barged_in`` says so. If no ``voice_activity`` was
                chosen, ``VoiceGate`` listens from now on.

        Returns:
            The handle: ``await handle.done()``, ``handle.heard_ms``, ``handle.interrupt()``.

        Raises:
            CallEnded: the call has ended.
            InvalidWav: the file is no WAV of 16-bit PCM.
            OSError: it cannot be read.
            TypeError: ``source`` is nothing that can be played.
            LocalProtocolError: the call sends MP3 files (``send_mode="mp3"``); or ``barge_in``
                with ``track="outbound"``, where the far party is not heard.
        Cancelled: nothing is played.
        """
        try:
            return await self.stream.play(
                source, self.nursery, barge_in=barge_in, make_error=self._ended_error
            )
        except _GONE:
            raise self._ended_error() from None

    @property
    def is_speaking(self) -> bool:
        """Whether the far party speaks now; False while nothing listens for it."""
        return self.stream.is_speaking

    async def wait_speech_started(self) -> None:
        """Wait until the far party speaks; returns at once if it does.

        If no ``voice_activity`` was chosen, ``VoiceGate`` listens from now on. When it began is
        told by ``SpeechStarted`` in ``events``.

        Raises:
            CallEnded: the call ended before.
            LocalProtocolError: ``track="outbound"`` does not carry the far party's voice.
        """
        try:
            await self.stream.wait_speech_started()
        except _GONE:
            raise self._ended_error() from None

    async def wait_speech_ended(self) -> None:
        """Wait until the far party does not speak; returns at once if it does not.

        Raises:
            As ``wait_speech_started``.
        """
        try:
            await self.stream.wait_speech_ended()
        except _GONE:
            raise self._ended_error() from None

    async def drain(self) -> None:
        """Wait until the far party has heard all that was sent and played so far.

        What ``clear`` or an interruption drops is not waited for.

        Raises:
            CallEnded: the call ended before.
            LocalProtocolError: the call sends MP3 files (``send_mode="mp3"``).
        Blocks: for as long as it plays.  Cancelled: it plays on.
        """
        try:
            await self.stream.drain()
        except _GONE:
            raise self._ended_error() from None

    # Keys.

    async def gather_digits(
        self,
        count: int | None = None,
        *,
        terminator: str = "#",
        first_timeout: float = 10.0,
        digit_timeout: float = 5.0,
        prompt: AudioSource | None = None,
        type_ahead: bool = True,
    ) -> GatheredDigits:
        """Gather the keys that the far party presses: a PIN, a choice from a menu.

        It works on what comes over the media socket, by webhook and, with the option
        ``in_band_dtmf``, as tones. ``events`` has the same keys. One gathering is under way at a
        time; a second one waits for its turn.

        Args:
            count: as many are enough; None for any number.
            terminator: any of these keys ends it; "" for none.
            first_timeout: seconds until the first key, from the end of the prompt.
            digit_timeout: seconds from one key to the next.
            prompt: played first, as ``play`` does; the first key interrupts it.
            type_ahead: take keys that were pressed before, too, since the last gathering or the
                beginning of the call. If there are any, the prompt is not played. A terminator
                right behind the last of ``count`` digits is not kept.

        Returns:
            The digits, and what ended it; that nobody pressed a key in time is no error.

        Raises:
            CallEnded: the call ended before.
            LocalProtocolError: a value is none of what it may be.
            InvalidWav, OSError, TypeError: the prompt cannot be played.
            Exception: what the prompt's source raised.
        Cancelled: the prompt is interrupted; keys pressed so far wait for the next gathering.
        """
        rules = DigitRules(count, terminator, first_timeout, digit_timeout)
        play_prompt = None if prompt is None else partial(self.play, prompt)
        return await self.keypad.gather(rules, play_prompt, type_ahead=type_ahead)

    async def send_dtmf(
        self, digits: str, *, duration: float = 0.25, in_band: bool = False
    ) -> None:
        """Press keys for the far party, say for a menu that answered; returns before they sound.

        Args:
            digits: of ``0-9 A-D * #``; ``w`` is a pause of 0.5 s, ``W`` of 1 s.
            duration: seconds of each key, 0.1 to 0.5.
            in_band: send them as tones in the audio, behind what was sent and played before;
                ``drain`` waits until they were heard. Otherwise Telnyx is told to press them, as
                its network does it best, whatever is being played.

        Raises:
            LocalProtocolError: digits or duration are none that can be sent; or ``in_band`` in a
                call that sends MP3 files.
            CallEnded: the call has ended.
            CallControlError: Telnyx refused, or could not be reached.
            RuntimeError: not ``in_band``, and the call was opened without a REST client.
        Cancelled: they may or may not be pressed.
        """
        if not 0.1 <= duration <= 0.5:
            raise LocalProtocolError(f"send_dtmf: duration is {duration!r}; it is 0.1 to 0.5 s")
        if in_band:
            rate = self.stream.send_format.sample_rate
            await self.play(dtmf_tones(digits, rate, duration=duration))
            return
        await self._hold.client.send_dtmf(
            self.call_control_id, digits, duration_millis=round(1000 * duration)
        )

    async def hangup(self, *, after_playback: bool = False) -> None:
        """Hang up. ``received`` ends, and the body has ``end_grace`` seconds to finish.

        Without a REST client only the media socket is closed: the leg stays up at Telnyx.

        Args:
            after_playback: first have the far party hear all that was sent and played so far.

        Raises:
            CallControlError: Telnyx could not be told; leaving the call tries once more.
            LocalProtocolError: ``after_playback`` in a call that sends MP3 files.
        Cancelled: leaving the call hangs up.
        """
        if after_playback:
            # Should it end meanwhile, it need not be hung up less.
            with suppress(CallEnded):
                await self.drain()
        self._ending.begin("us", EndReason.HANGUP)
        await self._hold.hang_up(self.call_control_id)

    async def command(self, name: str, **body: Any) -> dict[str, Any]:
        """Give Telnyx any Call Control command for this call, such as "transfer" or "speak".

        After ``transfer``, ``bridge``, ``refer`` or ``enqueue`` was accepted, leaving the call does
        not hang up, and the stream's end is a normal one.

        Returns:
            ``data`` of the reply.

        Raises:
            CallControlError: Telnyx refused, or could not be reached.
            RuntimeError: the call was opened without a REST client.
        Cancelled: the command may or may not be carried out. The four above wait up to 5 s more for
        their reply, because it decides whether the leg is still to be hung up.
        """
        send = partial(self._hold.client.command, self.call_control_id, name, **body)
        return await self._hold.give(name, send)

    # Commands that wait for their outcome.

    async def transfer(
        self,
        to: str,
        *,
        from_: str | None = None,
        timeout_secs: int | None = None,
        **fields: Any,
    ) -> TransferredLeg:
        """Have Telnyx ring ``to`` and connect the call to it; wait until it is connected.

        From then on the leg is no longer ours: leaving the call does not hang up. When ``to`` does
        not take the call, it is ours as before.

        Args:
            to: E.164 number or SIP URI.
            from_: number to show; Telnyx takes the call's own.
            timeout_secs: how long it may ring, 5 to 600; Telnyx's default is 30.
            fields: further JSON fields of Telnyx's transfer; ``target_leg_client_state`` is text
                or bytes here.

        Raises:
            CallBusy, CallNoAnswer, CallRejected, CallNotAnswered: ``to`` did not take the call.
                Told only where webhooks of all legs come to one inbox, as in our servers.
            CallEnded: the call ended before.
            CallControlError: Telnyx refused, or could not be reached.
            RuntimeError: the call was opened without a REST client.
        Cancelled: the transfer goes on if Telnyx has taken it, and leaving does not hang up.
        """
        given = {"from_": from_, "timeout_secs": timeout_secs, **fields}
        return await self._commands.transfer(self.call_control_id, to, given)

    async def bridge(self, other: Call | str, **fields: Any) -> None:
        """Connect the call to another one at Telnyx, and wait until it is.

        From then on neither leg is ours: leaving does not hang up. Telnyx carries the audio between
        them; it does not come through this process.

        Args:
            other: a call of ours, or the ``call_control_id`` of one.
            fields: further JSON fields of Telnyx's bridge.

        Raises:
            CallEnded: the call ended before.
            CallControlError: Telnyx refused, or could not be reached.
            RuntimeError: the call was opened without a REST client.
        Cancelled: they may or may not be connected.
        """
        other_id = other.call_control_id if isinstance(other, Call) else other

        def accepted() -> None:
            if isinstance(other, Call):
                other._hold.hand_over()

        await self._commands.bridge(self.call_control_id, other_id, accepted, fields)

    async def speak(self, text: str, *, voice: str, **fields: Any) -> str:
        """Have Telnyx speak a text, and wait until it has.

        One playback of ``speak`` or ``playback`` is under way at a time; a second one waits for its
        turn. What is sent with ``send`` is another thing: Telnyx plays both.

        Args:
            text: up to 5000 characters; SSML with ``payload_type="ssml"``.
            voice: such as "AWS.Polly.Joanna".
            fields: further JSON fields of Telnyx's speak, such as ``language="en-US"``.

        Returns:
            The status: "completed", or that it was cancelled by somebody.

        Raises:
            CallEnded: the call ended before the end of the text.
            PlaybackFailed: Telnyx could not speak it.
            CallControlError: Telnyx refused, or could not be reached.
            RuntimeError: the call was opened without a REST client.
        Cancelled: Telnyx is told to stop, within 2 s, shielded.
        """
        return await self._commands.speak(self.call_control_id, text, {"voice": voice, **fields})

    async def playback(
        self,
        audio_url: str | None = None,
        *,
        media_name: str | None = None,
        content: bytes | None = None,
        **fields: Any,
    ) -> str:
        """Have Telnyx play a file, and wait until it has; one at a time, as for ``speak``.

        Args:
            audio_url: of a WAV or MP3 that Telnyx can fetch.
            media_name: of a file that was uploaded to Telnyx.
            content: a whole WAV or MP3 file; one of the three must be given.
            fields: further JSON fields of Telnyx's playback_start, such as ``loop=3``.

        Returns:
            The status: "completed", or that it was cancelled by somebody.

        Raises:
            CallEnded: the call ended before the end of the file.
            PlaybackFailed: Telnyx could not fetch or play it.
            LocalProtocolError: not exactly one source is given.
            CallControlError: Telnyx refused, or could not be reached.
            RuntimeError: the call was opened without a REST client.
        Cancelled: Telnyx is told to stop, within 2 s, shielded.
        """
        given = {
            "audio_url": audio_url,
            "media_name": media_name,
            "playback_content": None if content is None else base64.b64encode(content).decode(),
            **fields,
        }
        return await self._commands.playback(self.call_control_id, given)

    async def gather(
        self,
        *,
        say: str | None = None,
        voice: str | None = None,
        audio_url: str | None = None,
        media_name: str | None = None,
        **fields: Any,
    ) -> GatherResult:
        """Have Telnyx collect key presses, and wait for them; one gather is under way at a time.

        Args:
            say: a text to speak meanwhile, with ``voice``.
            voice: such as "AWS.Polly.Joanna".
            audio_url: of a file to play meanwhile.
            media_name: of an uploaded file to play meanwhile.
            fields: further JSON fields of Telnyx's gather: ``minimum_digits``, ``maximum_digits``,
                ``terminating_digit``, ``valid_digits``, ``timeout_millis``,
                ``inter_digit_timeout_millis``, and without a prompt ``initial_timeout_millis``.

        Returns:
            Digits and status; that nobody pressed a key in time is a status, not an error.

        Raises:
            CallEnded: the call ended before.
            LocalProtocolError: a value is one that Telnyx does not take.
            CallControlError: Telnyx refused, or could not be reached.
            RuntimeError: the call was opened without a REST client.
        Cancelled: Telnyx is told to stop, within 2 s, shielded.
        """
        call_id = self.call_control_id

        async def send(client: TelnyxClient) -> None:
            if say is not None:
                await client.gather_using_speak(call_id, say, voice=voice or "", **fields)
            elif audio_url is not None or media_name is not None:
                await client.gather_using_audio(
                    call_id, audio_url=audio_url, media_name=media_name, **fields
                )
            else:
                await client.gather(call_id, **fields)

        return await self._commands.gather(call_id, send)

    def recording(
        self,
        *,
        channels: RecordingChannels = "dual",
        format: RecordingFormat = "wav",
        **fields: Any,
    ) -> AbstractAsyncContextManager[CarrierRecording]:
        """Have Telnyx record while the block runs: ``async with call.recording() as recording``.

        Afterwards ``await recording.wait_saved()`` tells where it can be fetched. Telnyx records
        what it carries, also what does not come through this process, such as ``call.speak``, a
        transferred or bridged leg, and it goes on if we die. ``record_to`` records here: a file of
        ours at once, without a command, and with nothing leaving this machine.

        Args:
            channels: both parties in one channel, or each in its own.
            format: of the file.
            fields: further JSON fields of Telnyx's record_start, such as ``max_length=600``.

        Raises:
            CallControlError: Telnyx refused, or could not be reached.
            RuntimeError: the call was opened without a REST client.
        Cancelled: the recording is ended, within 5 s, shielded.
        """
        given = {"channels": channels, "format": format, **fields}
        return open_carrier_recording(
            self.call_control_id, self._hold.client, self._ending, self._listeners, given
        )

    def record_to(
        self, path: str | PathLike[str], *, sample_rate: int | None = None
    ) -> AbstractAsyncContextManager[LocalRecording]:
        """Record both sides in this process, into a WAV file, while the block runs.

        Left is the far party as it was received, right what it heard of us, as the playback clock
        has it: what ``clear`` or an interruption took away is not in it. Both are on one clock, and
        silence is where nothing was said. It ends with the block, or with the call. The file can be
        read at any time, and when the process is killed: its header is brought up to date with each
        write, and at most one second is missing.

        ``recording`` has Telnyx do it: that file has everything that the leg carried, also what did
        not come through this process, and is fetched afterwards.

        Args:
            path: of the file, which is written over.
            sample_rate: of the file, in Hz; None is that of the call, the higher of what is
                received and sent.

        Raises:
            OSError: the file cannot be opened, or could not be written on: then the call went on,
                ``LocalRecording.error`` told, and this is raised on leaving.
            CallEnded: the call has ended.
            LocalProtocolError: the call sends MP3 files (``send_mode="mp3"``).
            ValueError: ``sample_rate`` is not positive.
        Cancelled: the file is complete until now. A disk that hangs is waited for 2 s on leaving.
        """
        return open_local_recording(self.stream, self.nursery, path, sample_rate, self._ended_error)

    # Answering machine detection.

    async def wait_machine_detection(self) -> MachineDetection:
        """Wait until Telnyx has found out who answered.

        For a call that was dialled with ``answering_machine_detection``; otherwise it waits for the
        end of the call.

        Raises:
            CallEnded: the call ended before.
        """
        with self._listeners.listen() as events:
            await trio.lowlevel.checkpoint()
            if self.machine_detection is None:
                async for _ in events:
                    if self.machine_detection is not None:
                        break
        if self.machine_detection is None:
            raise self._ending.error(self.call_control_id)
        return self.machine_detection

    async def wait_machine_greeting(self) -> MachineGreeting:
        """Wait until the greeting of an answering machine has ended: now a message can be left.

        It never does for a human, so look at ``wait_machine_detection`` first.

        Raises:
            CallEnded: the call ended before.
        """
        with self._listeners.listen() as events:
            await trio.lowlevel.checkpoint()
            if self.machine_greeting is None:
                async for _ in events:
                    if self.machine_greeting is not None:
                        break
        if self.machine_greeting is None:
            raise self._ending.error(self.call_control_id)
        return self.machine_greeting

    # Client state.

    @property
    def client_state(self) -> bytes:
        """What was last given as ``client_state`` for this call, at dial or later; else empty."""
        return self._client_state

    async def update_client_state(self, state: str | bytes) -> None:
        """Have later webhooks of the call carry ``state``; text is sent as UTF-8.

        Raises:
            CallControlError: Telnyx refused, or could not be reached.
            RuntimeError: the call was opened without a REST client.
        Cancelled: it may or may not be set.
        """
        wire = tag_client_state(self._tag, state)
        await self._hold.client.client_state_update(self.call_control_id, wire)
        self._client_state = split_client_state(wire)[1]

    def take_client_state(self, client_state: str | None) -> None:
        """Note what Telnyx echoed in ``start``; for ``open_call``."""
        self._tag, self._client_state = split_client_state(client_state)

    def take_webhook(self, event: WebhookEvent) -> None:
        """Note what a webhook of the call tells; for ``open_call``."""
        if isinstance(event, MachineDetectionEnded):
            self.machine_detection = MachineDetection.from_event(event)
        elif isinstance(event, MachineGreetingEnded):
            self.machine_greeting = MachineGreeting.from_event(event)
        self._listeners.put(event)

    def _ended_error(self) -> CallEnded:
        return self._ending.error(self.call_control_id)

    def detach(self) -> None:
        """End our part without hanging up: streaming stops, the leg stays up at Telnyx.

        The body has ``end_grace`` seconds to finish.
        """
        self._hold.hand_over()
        self._ending.begin("us", EndReason.DETACHED)
