"""A live call as its user sees it: audio, events, commands, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import trio

from .._events import StreamEvent
from .._media_stream import MAX_EVENTS, AudioTrack, MediaStream, MediaStreamStatistics
from .._registry import TelnyxCall
from .._ring_channel import RingChannel
from ..webhooks import WebhookEvent
from ._ending import CallOutcome, Ending, EndReason
from ._hold import Hold, Holding

if TYPE_CHECKING:
    from ..audio import PcmData

CallEvent: TypeAlias = StreamEvent | WebhookEvent

_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


class Call:
    """A live call. ``open_call``, a server's handler or ``server.dial`` give you one.

    Attributes:
        info: the registry's entry of this call: numbers, ids, times.
        events: key presses, marks, complaints of Telnyx about the stream, and the call's webhooks.
            Holds 256 and drops the oldest. It ends with the call, at most a second later if the
            hangup webhook is awaited.
        stream: the media stream underneath.
        nursery: for your own tasks; they are cancelled on leaving, before anything is closed.
    """

    info: TelnyxCall
    nursery: trio.Nursery

    def __init__(self, stream: MediaStream, ending: Ending, hold: Hold) -> None:
        self.stream: Final = stream
        self.events: Final[RingChannel[CallEvent]] = RingChannel(MAX_EVENTS)
        self._ending = ending
        self._hold = hold

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
        Blocks: while 2 s or more of earlier audio wait.  Cancelled: nothing of ``pcm`` was queued.
        """
        try:
            await self.stream.send_audio(pcm)
        except _GONE:
            raise self._ending.error(self.call_control_id) from None

    async def send_mark(self, name: str) -> None:
        """Queue a mark; ``events`` has a ``MarkReturned`` when all audio before it was heard.

        Raises:
            CallEnded: the call has ended.
            LocalProtocolError: ``name`` is empty.
        """
        try:
            await self.stream.send_mark(name)
        except _GONE:
            raise self._ending.error(self.call_control_id) from None

    async def clear(self) -> None:
        """Stop playback at once, here and at Telnyx; marks under way come back as cleared.

        Raises:
            CallEnded: the call has ended.
        Cancelled: it takes effect all the same.
        """
        try:
            await self.stream.clear()
        except _GONE:
            raise self._ending.error(self.call_control_id) from None

    async def hangup(self) -> None:
        """Hang up now. ``received`` ends, and the body has ``end_grace`` seconds to finish.

        Without a REST client only the media socket is closed: the leg stays up at Telnyx.

        Raises:
            CallControlError: Telnyx could not be told; leaving the call tries once more.
        Cancelled: leaving the call hangs up.
        """
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
        return await self._hold.command(self.call_control_id, name, body)

    def detach(self) -> None:
        """End our part without hanging up: streaming stops, the leg stays up at Telnyx.

        The body has ``end_grace`` seconds to finish.
        """
        self._hold.hand_over()
        self._ending.begin("us", EndReason.DETACHED)
