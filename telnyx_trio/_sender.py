"""The send side of a media stream: many tasks give, one task writes.

Givers wait here for room; ``run`` asks the outbox what leaves next and when, and writes it. Nothing
but the end of the stream cancels that task: half a WebSocket message on the wire spoils all that
follow.

Where the WebSocket can send at once, what may leave now leaves from the task that gives it, and the
writing task sleeps on: a live echo costs no wake-up on this side. What is to leave later is sent by
the tick of the media clock, if there is one and no harm in a few milliseconds. The writing task
takes over where something else has to be waited for: the very time of a packet, or a socket that is
full.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

import trio

from ._errors import LocalProtocolError
from ._outbox import Outbox
from ._playout import MAX_MARKS
from ._segment import OWN_MARK, Segment, SegmentEnd
from ._stream_wire import StreamWire
from ._types import ByteOrder
from .audio import PcmData
from .protocol import Command, SendMark, SendMedia

MAX_SEND_QUEUE: Final = 2.0
"""Seconds of audio that may wait to be converted before ``send_audio`` waits; of each playback,
before its source is read on."""

MARK_TIMEOUT: Final = 2.0
"""Seconds after which a mark that should have come back is given up. Longer than any way to Telnyx
and back, with a retransmission; and a caller would not wait longer for the end of a call."""

_ROUNDING: Final = 1e-6
"""Seconds by which the same time may differ when it is worked out again."""


class Sender:
    """Takes what is to be sent, keeps it within bounds, and writes it.

    Args:
        outbox: orders and paces it.
        make_error: makes what all who give get; None lets them give, until ``end``.
    """

    __slots__ = (
        "_choose_byteorder",
        "_error",
        "_held",
        "_is_leaving",
        "_make_error",
        "_mark_left",
        "_more",
        "_n_clears",
        "_n_taken",
        "_outbox",
        "_room",
        "_sleeps_until",
        "_turn",
        "_wire",
    )

    def __init__(self, outbox: Outbox, make_error: Callable[[], Exception] | None = None) -> None:
        self._outbox = outbox
        self._make_error = make_error
        self._n_clears = 0
        # Trio shuffles tasks that wake together; audio must keep the order in which it was given.
        self._turn = trio.StrictFIFOLock()
        self._room = trio.lowlevel.ParkingLot()
        self._more = trio.lowlevel.ParkingLot()
        self._mark_left = trio.lowlevel.ParkingLot()
        self._n_taken = 0
        # The writing task's: where to, and until when it sleeps; None while it is at work, or has
        # been woken for that.
        self._wire: StreamWire | None = None
        self._choose_byteorder: Callable[[], ByteOrder] | None = None
        self._sleeps_until: float | None = None
        # What others have begun and the writing task has to finish, or to raise.
        self._held: Command | None = None
        self._error: BaseException | None = None
        self._is_leaving = False

    def send_nowait(self, audio: PcmData | bytes) -> None:
        """Queue audio, or a payload as it is; see ``MediaStream.send_audio_nowait``."""
        self._check_open()
        if self._send_live(audio):
            return
        if self._turn.locked() or self._outbox.queued >= MAX_SEND_QUEUE:
            raise trio.WouldBlock
        self._put(audio)

    async def send(self, audio: PcmData | bytes) -> None:
        """Queue audio, or a payload as it is; see ``MediaStream.send_audio``."""
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            self.send_nowait(audio)
        except trio.WouldBlock:
            await self._send_in_turn(audio)
        else:
            await trio.lowlevel.cancel_shielded_checkpoint()

    async def _send_in_turn(self, audio: PcmData | bytes) -> None:
        n_clears = self._n_clears
        async with self._turn:
            await self._wait_room()
            if n_clears == self._n_clears:
                self._put(audio)

    def _put(self, audio: PcmData | bytes) -> None:
        if isinstance(audio, bytes):
            self._outbox.put_packet(audio)
        elif audio.n_samples:
            self._outbox.put_audio(_copy(audio))
        else:
            return
        self._wake_writer()

    def _check_open(self) -> None:
        if self._make_error is not None:
            raise self._make_error()

    async def _wait_room(self) -> None:
        """Wait until the queue has room; no checkpoint if it has."""
        self._check_open()
        while self._outbox.queued >= MAX_SEND_QUEUE:
            await self._room.park()
            self._check_open()

    async def send_mark(self, name: str) -> None:
        """Queue a mark; see ``MediaStream.send_mark``."""
        await trio.lowlevel.checkpoint()
        self._check_open()
        check_mark_name(name)
        while self._outbox.marks_queued >= MAX_MARKS:
            await self._room.park()
            self._check_open()
        self._outbox.put_mark(name)
        self._wake_writer()

    async def clear(self) -> None:
        """Drop what waits and stop playback; see ``MediaStream.clear``."""
        self._check_open()
        self._outbox.clear(trio.current_time())
        self._n_clears += 1
        self.wake_givers()
        self._look_again()
        await trio.lowlevel.checkpoint()

    # Playbacks.

    def open_playback(self, on_over: Callable[[SegmentEnd], None]) -> Segment:
        """Queue a playback behind all that was given; raises when the stream has ended."""
        self._check_open()
        return self._outbox.open_playback(on_over)

    async def put(self, playback: Segment, pcm: PcmData) -> None:
        """Queue audio of a playback; does nothing once that is over.

        Blocks: while 2 s or more of it wait.  Cancelled: nothing of ``pcm`` was queued.
        """
        while playback.queued >= MAX_SEND_QUEUE:
            await self._room.park()
        if playback.end is not None:
            # Who reads a source without an end is to hear that it is over.
            await trio.lowlevel.checkpoint()
        elif pcm.n_samples:
            self._outbox.put_audio(_copy(pcm), playback)
            self._wake_writer()

    def close_playback(self, playback: Segment) -> None:
        """Say that a playback gets no more audio."""
        if playback.end is None:
            playback.close()
            self._wake_writer()

    def cut(self, playback: Segment) -> None:
        """Drop a playback, here and at Telnyx; does nothing once it is over."""
        if playback.end is None:
            self._outbox.cut(playback, trio.current_time())
            self._look_again()

    def heard(self, playback: Segment) -> float:
        """Return how many seconds of a playback have been heard."""
        now = trio.current_time() if playback.end is None else inf
        return self._outbox.heard(playback, now)

    async def wait_heard(self, playback: Segment) -> None:
        """Wait until a playback is over; its last mark is given up in time."""
        while playback.end is None:
            deadline = playback.end_due + MARK_TIMEOUT
            if deadline <= trio.current_time():
                self._outbox.give_up(playback)
                break
            with trio.move_on_at(deadline):
                await self._mark_left.park()

    def end(self, make_error: Callable[[], Exception]) -> None:
        """Note that the stream has ended: nothing waits any longer.

        Args:
            make_error: makes what all who give get from now on.
        """
        self._make_error = make_error
        self._outbox.abandon(trio.current_time())
        self.wake_givers()

    def wake_givers(self) -> None:
        """Have all who wait for room look again: there is some, or the stream has ended."""
        if self._room:
            self._room.unpark_all()

    async def run(self, wire: StreamWire, choose_byteorder: Callable[[], ByteOrder] | None) -> None:
        """Write until cancelled.

        Args:
            wire: where messages go.
            choose_byteorder: says in which order L16 is to leave now; None if that stays as it is.
        """
        self._wire = wire
        self._choose_byteorder = choose_byteorder
        while True:
            if self._error is not None:
                raise self._error
            if self._held is not None:
                command, self._held = self._held, None
                await wire.send(command)
                self._note_written(command)
            elif wire.has_unsent or self._is_leaving:
                await wire.flush()
                self._note_left()
            else:
                wait = self._send_inline(wire)
                if wait is not None:
                    await self._sleep(wait)

    async def _sleep(self, wait: float) -> None:
        """Sleep so many seconds, or until there is more to do."""
        self._sleeps_until = until = trio.current_time() + wait
        try:
            with trio.move_on_at(inf if self._leaves_to_tick(until) else until):
                await self._more.park()
        finally:
            self._sleeps_until = None

    def _leaves_to_tick(self, until: float) -> bool:
        """Have a tick send what may leave at this time; return False if it would be too late."""
        if until == inf:
            return True  # nothing is to leave
        assert self._wire is not None
        return self._wire.call_between(until, self._outbox.ends_at, self._send_due)

    def _send_due(self, until: float) -> None:
        """Write what may leave now, on a tick, if the writing task still sleeps until this time."""
        wire = self._wire
        if wire is None or until != self._sleeps_until:
            return
        try:
            wait = self._send_inline(wire)
            if wait is not None:
                self._sleep_on(wait)
        except BaseException as error:  # whatever it is, it is this stream's
            self._error = error
            self._wake()

    def _sleep_on(self, wait: float) -> None:
        """Have the writing task, which sleeps, do so for so long; it is woken if it must be."""
        self._sleeps_until = until = trio.current_time() + wait
        if not self._leaves_to_tick(until):
            self._wake()

    def _next(self) -> Command | float:
        outbox = self._outbox
        if self._choose_byteorder is not None:
            outbox.byteorder = self._choose_byteorder()
        outbox.fill(trio.current_time())
        step = outbox.next(trio.current_time())
        if self._n_taken != outbox.n_taken:
            self._n_taken = outbox.n_taken
            self.wake_givers()
        return step

    def _note_written(self, command: Command) -> None:
        if isinstance(command, SendMedia):
            self._outbox.written(trio.current_time())
        elif isinstance(command, SendMark):
            self._mark_left.unpark_all()

    def _note_left(self) -> None:
        if self._is_leaving:
            self._is_leaving = False
            self._outbox.written(trio.current_time())

    def _send_live(self, audio: PcmData | bytes) -> bool:
        """Write audio that need not be queued; return False, having done nothing, if it must be."""
        wire = self._wire
        if wire is None or self._sleeps_until is None or self._turn.locked():
            return False
        if self._choose_byteorder is not None:
            self._outbox.byteorder = self._choose_byteorder()
        step = self._outbox.next_live(audio, trio.current_time())
        if step is None:
            return False
        self._write_inline(wire, step)
        return True

    def _wake_writer(self) -> None:
        """Have what may leave now leave; the rest is the writing task's."""
        wire = self._wire
        if wire is None or self._sleeps_until is None:
            return  # the writing task will look again
        step = self._send_inline(wire)
        if step is not None and trio.current_time() + step < self._sleeps_until - _ROUNDING:
            self._sleep_on(step)

    def _look_again(self) -> None:
        """As ``_wake_writer``, when Telnyx has less to play: a tick may be too late now."""
        self._wake_writer()
        if self._sleeps_until is not None:
            self._wake()

    def _send_inline(self, wire: StreamWire) -> float | None:
        """Write what may leave now; return for how long the writing task may sleep on.

        None if it was woken.
        """
        while True:
            step = self._next()
            if isinstance(step, float):
                return step
            if not self._write_inline(wire, step):
                return None

    def _write_inline(self, wire: StreamWire, step: Command) -> bool:
        """Write; return whether it has left. If not, the writing task is woken for the rest."""
        n_unsent = wire.send_nowait(step)
        if n_unsent is None:
            self._held = step
        elif isinstance(step, SendMedia):
            if not n_unsent:
                self._outbox.count_as_written()
                return True
            self._is_leaving = True
        else:
            if isinstance(step, SendMark):
                self._mark_left.unpark_all()
            if not n_unsent:
                return True
        self._wake()
        return False

    def _wake(self) -> None:
        """Have the writing task go on; it is taken to be at work from now on."""
        self._sleeps_until = None
        self._more.unpark()


def _copy(pcm: PcmData) -> PcmData:
    return PcmData(
        sample_rate=pcm.sample_rate,
        format=pcm.format,
        samples=pcm.samples.copy(),
        channels=pcm.channels,
    )


def check_mark_name(name: str) -> None:
    """Refuse a name that no message can carry.

    Raises:
        LocalProtocolError: it is empty, cannot be written as UTF-8, or is reserved.
    """
    if not name or name != name.encode("utf-8", "replace").decode():
        raise LocalProtocolError("a mark needs a name that can be written as UTF-8")
    if name.startswith(OWN_MARK):
        raise LocalProtocolError(f"names of marks that begin with {OWN_MARK!r} are reserved")
