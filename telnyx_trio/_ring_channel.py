"""A bounded channel whose sender never waits: when it is full, the oldest value goes.

Trio's memory channel makes the sender wait, or refuses the newest. For audio from the phone and for
events, both are wrong: the socket must be read on, and what is newest matters most.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar, cast

import outcome
import trio

T = TypeVar("T")

_NOTHING: Final = object()
"""What a receiver is woken with when there is nothing for it."""


@dataclass(frozen=True)
class RingChannelStatistics:
    """What a ring channel holds and has lost.

    Attributes:
        buffered: values that wait to be received.
        buffered_size: their sizes added up, in the channel's unit.
        dropped: values that were pushed out by newer ones, ever.
    """

    buffered: int
    buffered_size: float
    dropped: int


class RingChannel(trio.abc.ReceiveChannel[T]):
    """The receiving side of a drop-oldest channel; the owner feeds it with ``put``.

    Several tasks may receive; each value goes to one of them.

    Args:
        max_size: the sizes of the buffered values add up to at most this; a single value that is
            larger is kept alone.
    """

    __slots__ = ("_closed", "_dropped", "_ended", "_max_size", "_size", "_values", "_waiting")

    def __init__(self, max_size: float) -> None:
        self._max_size = max_size
        self._values: deque[tuple[T, float]] = deque()
        self._size = 0.0
        self._dropped = 0
        self._ended = False
        self._closed = False
        # Tasks in ``receive``, hardly ever more than one. Not a ParkingLot: this is passed once a
        # packet. Nor a deque, which takes more memory.
        self._waiting: list[trio.lowlevel.Task] = []

    @property
    def is_closed(self) -> bool:
        """Whether the receiving side was closed."""
        return self._closed

    def put(self, value: T, size: float = 1.0) -> None:
        """Add a value, at the cost of the oldest if need be. Ignored after ``end`` or closing."""
        if self._ended or self._closed:
            return
        if self._waiting:
            # Nothing is buffered while somebody waits.
            trio.lowlevel.reschedule(self._waiting.pop(0), outcome.Value(value))
            return
        self._values.append((value, size))
        self._size += size
        while self._size > self._max_size and len(self._values) > 1:
            _, lost_size = self._values.popleft()
            self._size -= lost_size
            self._dropped += 1

    def end(self) -> None:
        """Say that no value will follow; receivers get what is buffered, then EndOfChannel."""
        self._ended = True
        self._wake_all()

    def receive_nowait(self) -> T:
        """Return the oldest value.

        Raises:
            trio.WouldBlock: nothing is there yet.
            trio.EndOfChannel: nothing is there, and nothing will follow.
            trio.ClosedResourceError: you closed this channel.
        """
        if self._closed:
            raise trio.ClosedResourceError
        if not self._values:
            raise trio.EndOfChannel if self._ended else trio.WouldBlock
        value, size = self._values.popleft()
        self._size = self._size - size if self._values else 0.0
        return value

    async def receive(self) -> T:
        """Return the oldest value, waiting for one if need be.

        Raises:
            trio.EndOfChannel: nothing is there, and nothing will follow.
            trio.ClosedResourceError: you closed this channel, before or during this call.
        Blocks: until a value is there.  Cancelled: no value was taken.
        """
        if self._values or self._ended or self._closed:
            await trio.lowlevel.checkpoint_if_cancelled()
            value = self.receive_nowait()
            await trio.lowlevel.cancel_shielded_checkpoint()
            return value
        given = await trio.lowlevel.wait_task_rescheduled(self._wait_here())
        return self._unwrap(given)

    async def __anext__(self) -> T:
        # As Trio's, but ``receive`` is left out where it would wait: a coroutine less per packet.
        try:
            if self._values or self._ended or self._closed:
                return await self.receive()
            given = await trio.lowlevel.wait_task_rescheduled(self._wait_here())
            return self._unwrap(given)
        except trio.EndOfChannel:
            raise StopAsyncIteration from None

    def _wait_here(self) -> Callable[[trio.lowlevel.RaiseCancelT], trio.lowlevel.Abort]:
        """Have this task, which is about to sleep, woken; return what cancels that."""
        task = trio.lowlevel.current_task()
        self._waiting.append(task)
        return partial(_give_up, self._waiting, task)

    def _unwrap(self, given: object) -> T:
        if given is _NOTHING:
            return self.receive_nowait()  # it has ended, or was closed
        return cast("T", given)

    def _wake_all(self) -> None:
        while self._waiting:
            trio.lowlevel.reschedule(self._waiting.pop(0), outcome.Value(_NOTHING))

    async def aclose(self) -> None:
        """Close the receiving side: what is buffered is gone, later values are ignored."""
        self._closed = True
        self._values.clear()
        self._size = 0.0
        self._wake_all()
        await trio.lowlevel.checkpoint()

    def statistics(self) -> RingChannelStatistics:
        """Return what is buffered now and what was dropped so far."""
        return RingChannelStatistics(len(self._values), self._size, self._dropped)


def _give_up(
    waiting: list[trio.lowlevel.Task], task: trio.lowlevel.Task, _: trio.lowlevel.RaiseCancelT
) -> trio.lowlevel.Abort:
    waiting.remove(task)
    return trio.lowlevel.Abort.SUCCEEDED
