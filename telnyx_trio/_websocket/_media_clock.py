"""When media sockets are read: at once, or together on a clock.

Most of what a packet costs is the waking up: of the process, of a task, of cold caches. So one task
reads all media sockets, and who waits for what comes sleeps on until there is something for it to
do. With few calls that task is woken as soon as there is something to read. With many, a tick looks
at all sockets with one system call. It adds at most itself to the delay. And it calls what is due
and has time for that: so packets of a playback leave without waking the tasks that write them.
"""

from __future__ import annotations

import heapq
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final, Literal, Protocol, TypeAlias

import trio

IngestMode: TypeAlias = Literal["adaptive", "immediate"]

TICK: Final = 0.01
"""Seconds. Half a packet: with a whole one, a call would be read a packet late half of the time."""

EAGER_READS: Final = 6
"""Of each reader, that are not held up to a tick: ``connected``, ``start`` and the first media, at
which a call begins to be heard."""

_TICKS_TO_CALL: Final = 2
"""Within which something is called for sure, but for a stall of the whole process."""

_LOOK_INTERVAL: Final = 0.5
"""Seconds between two looks at the load."""


class IngestPolicy:
    """Decides whether to tick: above so many calls, or so much load; below less of both no more.

    A handful of calls never ticks: their waking up is not what loads the machine.

    Args:
        mode: "immediate" never ticks.

    Attributes:
        is_ticking: the decision.
    """

    HANDFUL = 8
    MANY_CALLS = 32
    FEW_CALLS = 24
    HIGH_LOAD = 0.3
    LOW_LOAD = 0.2

    def __init__(self, mode: IngestMode = "adaptive") -> None:
        self.is_ticking = False
        self._mode = mode

    def update(self, n_calls: int, load: float) -> bool:
        """Decide.

        Args:
            n_calls: media sockets that are open.
            load: part of its time that the event loop was at work, 0.0 to 1.0.
        """
        if n_calls < self.HANDFUL or self._mode == "immediate":
            self.is_ticking = False
        elif self.is_ticking:
            self.is_ticking = n_calls >= self.FEW_CALLS or load >= self.LOW_LOAD
        else:
            self.is_ticking = n_calls >= self.MANY_CALLS or load >= self.HIGH_LOAD
        return self.is_ticking


class Readiness(Protocol):
    """Tells when a socket can be read, and when it is time."""

    async def read_each(self, sock: socket.socket, read: Callable[[float], bool]) -> None:
        """Call ``read`` with the time whenever there may be something, until it returns True.

        It may be called from another task, in the context of this one; what it raises is raised
        here. One task of each socket may be in here.

        Raises:
            trio.ClosedResourceError: ``wake`` was called meanwhile.
        Cancelled: it is called no more.
        """

    def call_between(self, earliest: float, latest: float, call: Callable[[float], None]) -> bool:
        """Have ``call`` called once in this time, with ``earliest``, unless no tick would do so.

        It may be called before, if the ticking ends. It is called from another task and must not
        raise.

        Returns:
            Whether it will be.
        """

    def wake(self, sock: socket.socket) -> None:
        """Have whoever waits for a socket, which is about to be closed, find that."""


class Immediate:
    """Each socket as soon as it can be read, by the task that waits for it; and no tick."""

    async def read_each(self, sock: socket.socket, read: Callable[[float], bool]) -> None:
        """Read as Trio does; see ``Readiness``."""
        while True:
            await trio.lowlevel.wait_readable(sock)
            if read(trio.current_time()):
                return

    def call_between(self, earliest: float, latest: float, call: Callable[[float], None]) -> bool:
        """Call nothing; see ``Readiness``."""
        return False

    def wake(self, sock: socket.socket) -> None:
        """Wake as Trio does."""
        trio.lowlevel.notify_closing(sock)


@dataclass(slots=True, eq=False)
class _Reader:
    """A task that has a socket read.

    Attributes:
        read: as given to ``read_each``.
        task: it.
        eager_reads: how many more there are that are not held up to a tick.
        is_ticked: whether the socket is looked at on ticks.
        is_over: whether ``read`` has returned True.
        error: for the task to raise.
    """

    read: Callable[[float], bool]
    task: trio.lowlevel.Task
    eager_reads: int
    is_ticked: bool = False
    is_over: bool = False
    error: BaseException | None = None


class MediaClock(Immediate):
    """Sockets at once, or on a tick, as ``policy`` decides while ``run`` runs.

    Args:
        policy: decides.
        tick: seconds.
        eager_reads: of each reader, that are not held up to a tick.
    """

    def __init__(
        self,
        policy: IngestPolicy | None = None,
        tick: float = TICK,
        eager_reads: int = EAGER_READS,
    ) -> None:
        self._policy = policy or IngestPolicy()
        self._tick = tick
        self._eager_reads = eager_reads
        # Linux has epoll. Elsewhere each task reads for itself, at once.
        self._is_open = hasattr(select, "epoll")
        if self._is_open:
            self._at_once = select.epoll()
            self._ticked = select.epoll()
        self._readers: dict[int, _Reader] = {}
        # A heap of when and what to call; the number keeps the order of those of the same time.
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = count()
        self._opened = trio.lowlevel.ParkingLot()

    @property
    def is_ticking(self) -> bool:
        """Whether sockets are read on a tick."""
        return self._policy.is_ticking

    async def read_each(self, sock: socket.socket, read: Callable[[float], bool]) -> None:
        """Have the clock read, as long as it runs; see ``Readiness``."""
        if self._is_open:
            fd = sock.fileno()
            reader = _Reader(read, trio.lowlevel.current_task(), self._eager_reads)
            reader.is_ticked = self._policy.is_ticking and not reader.eager_reads
            self._epoll_of(reader).register(fd, select.EPOLLIN)
            self._readers[fd] = reader
            self._opened.unpark_all()

            def abort(_: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
                self._remove(fd)
                return trio.lowlevel.Abort.SUCCEEDED

            await trio.lowlevel.wait_task_rescheduled(abort)
            if reader.error is not None:
                raise reader.error
            # The clock has ended, perhaps when there was something to read.
            if reader.is_over or read(trio.current_time()):
                return
        await super().read_each(sock, read)

    def call_between(self, earliest: float, latest: float, call: Callable[[float], None]) -> bool:
        """Call it on a tick; not if there are none, or the time is too short for one."""
        if not self._policy.is_ticking or latest - earliest < _TICKS_TO_CALL * self._tick:
            return False
        heapq.heappush(self._due, (earliest, next(self._numbers), call))
        return True

    def wake(self, sock: socket.socket) -> None:
        """Have whoever waits for a socket find that it is closed."""
        super().wake(sock)
        self._release(sock.fileno(), trio.ClosedResourceError("the socket was closed"))

    async def run(self) -> None:
        """Read, and tick or look from time to time whether to.

        Cancelled: who waits goes on by itself, at once.
        """
        if not self._is_open:
            await trio.sleep_forever()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read_at_once)
                while True:
                    while not self._readers:
                        await self._opened.park()
                    await self._run_busy()
        finally:
            self._policy.is_ticking = False
            self._is_open = False
            self._call_all()
            for fd in list(self._readers):
                self._release(fd)
            self._at_once.close()
            self._ticked.close()

    async def _read_at_once(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._at_once.fileno())
            self._read_ready(self._at_once)

    async def _run_busy(self) -> None:
        """Run while there are readers."""
        now = trio.current_time()
        look_at, next_tick = now + _LOOK_INTERVAL, now
        looked_at, worked = time.monotonic(), time.thread_time()
        self._policy.update(len(self._readers), 0.0)
        while self._readers:
            if self._policy.is_ticking:
                # On an absolute clock; a tick that is missed is left out.
                now = trio.current_time()
                next_tick = max(next_tick + self._tick, now)
                await trio.sleep_until(next_tick)
                self._read_ready(self._ticked)
                self._call_due(trio.current_time())
            else:
                await trio.sleep_until(look_at)
            if trio.current_time() >= look_at:
                look_at = trio.current_time() + _LOOK_INTERVAL
                elapsed, work = time.monotonic() - looked_at, time.thread_time() - worked
                looked_at, worked = looked_at + elapsed, worked + work
                if not self._policy.update(len(self._readers), work / max(elapsed, 1e-3)):
                    self._tick_no_more()
        self._policy.update(0, 0.0)
        self._tick_no_more()

    def _read_ready(self, ready: select.epoll) -> None:
        is_ticking = self._policy.is_ticking
        now = trio.current_time()
        for fd, _ in ready.poll(0):
            reader = self._readers.get(fd)
            if reader is None:
                continue  # it was released by one before it
            try:
                reader.is_over = reader.task.context.run(reader.read, now)
            except BaseException as error:  # whatever it is, it is that call's
                self._release(fd, error)
                continue
            if reader.is_over:
                self._release(fd)
            elif is_ticking and not reader.is_ticked:
                reader.eager_reads -= 1
                if reader.eager_reads <= 0 and fd in self._readers:
                    self._move(fd, reader)

    def _call_due(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            when, _, call = heapq.heappop(self._due)
            call(when)

    def _call_all(self) -> None:
        """Call what no tick will."""
        due, self._due = sorted(self._due), []
        for when, _, call in due:
            call(when)

    def _tick_no_more(self) -> None:
        self._call_all()
        for fd, reader in self._readers.items():
            if reader.is_ticked:
                self._move(fd, reader)

    def _move(self, fd: int, reader: _Reader) -> None:
        """Have a socket looked at on ticks from now on, or no more."""
        self._epoll_of(reader).unregister(fd)
        reader.is_ticked = not reader.is_ticked
        self._epoll_of(reader).register(fd, select.EPOLLIN)

    def _release(self, fd: int, error: BaseException | None = None) -> None:
        """Let a task go on, if it waits."""
        if fd in self._readers:
            reader = self._remove(fd)
            reader.error = error
            trio.lowlevel.reschedule(reader.task)

    def _remove(self, fd: int) -> _Reader:
        reader = self._readers.pop(fd)
        self._epoll_of(reader).unregister(fd)
        return reader

    def _epoll_of(self, reader: _Reader) -> select.epoll:
        return self._ticked if reader.is_ticked else self._at_once
