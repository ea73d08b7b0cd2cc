"""When media sockets are read: at once, or together on a clock.

Most of what a packet costs is the waking up: of the process, of a task, of cold caches. With few
calls that does not matter, and each socket is read as soon as there is something. With many, a tick
looks at all of them with one system call and wakes the calls that have something to read, one after
the other. It adds at most itself to the delay.
"""

from __future__ import annotations

import select
import socket
import time
from typing import Final, Literal, Protocol, TypeAlias

import trio

IngestMode: TypeAlias = Literal["adaptive", "immediate"]

TICK: Final = 0.01
"""Seconds. Half a packet: with a whole one, a call would be read a packet late half of the time."""

EAGER_READS: Final = 6
"""Of each socket, that are not held up to a tick: ``connected``, ``start`` and the first media, at
which a call begins to be heard."""

_LOOK_INTERVAL: Final = 0.5
"""Seconds between two looks at the load."""


class IngestPolicy:
    """Decides whether to tick: above so many calls, or so much load; below less of both no more.

    A handful of calls never ticks: their waking up is not what loads the machine.

    Attributes:
        is_ticking: the decision.
    """

    HANDFUL = 8
    MANY_CALLS = 32
    FEW_CALLS = 24
    HIGH_LOAD = 0.3
    LOW_LOAD = 0.2

    def __init__(self) -> None:
        self.is_ticking = False

    def update(self, n_calls: int, load: float) -> bool:
        """Decide.

        Args:
            n_calls: media sockets that are open.
            load: part of its time that the event loop was at work, 0.0 to 1.0.
        """
        if n_calls < self.HANDFUL:
            self.is_ticking = False
        elif self.is_ticking:
            self.is_ticking = n_calls >= self.FEW_CALLS or load >= self.LOW_LOAD
        else:
            self.is_ticking = n_calls >= self.MANY_CALLS or load >= self.HIGH_LOAD
        return self.is_ticking


class Readiness(Protocol):
    """Tells when a socket can be read."""

    def add(self, sock: socket.socket) -> None:
        """Take note of a socket."""

    async def wait_readable(self, sock: socket.socket) -> None:
        """Wait until there may be something to read.

        Raises:
            trio.ClosedResourceError: ``wake`` was called meanwhile.
        """

    def wake(self, sock: socket.socket) -> None:
        """Have whoever waits for a socket find that it is closed."""

    def forget(self, sock: socket.socket) -> None:
        """Forget a socket, which is about to be closed."""


class Immediate:
    """Each socket as soon as it can be read."""

    def add(self, sock: socket.socket) -> None:
        """Nothing is to be noted."""

    async def wait_readable(self, sock: socket.socket) -> None:
        """Wait as Trio does."""
        await trio.lowlevel.wait_readable(sock)

    def wake(self, sock: socket.socket) -> None:
        """Wake as Trio does."""
        trio.lowlevel.notify_closing(sock)

    def forget(self, sock: socket.socket) -> None:
        """Nothing was noted."""


class MediaClock(Immediate):
    """Sockets at once, or on a tick, as ``policy`` decides while ``run`` runs.

    Args:
        policy: decides.
        tick: seconds.
    """

    def __init__(self, policy: IngestPolicy | None = None, tick: float = TICK) -> None:
        self._policy = policy or IngestPolicy()
        self._tick = tick
        # Linux has epoll. Elsewhere sockets are read at once.
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        # By file descriptor, how many more times it is to be read at once.
        self._sockets: dict[int, int] = {}
        self._watched: set[int] = set()
        self._closing: set[int] = set()
        self._waiting: dict[int, trio.lowlevel.Task] = {}
        self._opened = trio.lowlevel.ParkingLot()

    @property
    def is_ticking(self) -> bool:
        """Whether sockets are read on a tick."""
        return self._policy.is_ticking

    def add(self, sock: socket.socket) -> None:
        """Take note of a socket."""
        self._sockets[sock.fileno()] = EAGER_READS
        self._opened.unpark_all()

    async def wait_readable(self, sock: socket.socket) -> None:
        """Wait for the tick that finds something to read, or as Trio does."""
        if self._epoll is None or not self._policy.is_ticking:
            await trio.lowlevel.wait_readable(sock)
            return
        fd = sock.fileno()
        if fd not in self._watched:
            if self._sockets[fd]:
                self._sockets[fd] -= 1
                await trio.lowlevel.wait_readable(sock)
                return
            self._epoll.register(fd, select.EPOLLIN)
            self._watched.add(fd)

        def abort(_: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            del self._waiting[fd]
            return trio.lowlevel.Abort.SUCCEEDED

        self._waiting[fd] = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)
        if fd in self._closing:
            raise trio.ClosedResourceError("the socket was closed")

    def wake(self, sock: socket.socket) -> None:
        """Have whoever waits for a socket find that it is closed."""
        trio.lowlevel.notify_closing(sock)
        self._closing.add(sock.fileno())
        self._reschedule(sock.fileno())

    def forget(self, sock: socket.socket) -> None:
        """Forget a socket: its number may be another's next."""
        fd = sock.fileno()
        self._sockets.pop(fd, None)
        self._closing.discard(fd)
        if fd in self._watched and self._epoll is not None:
            self._watched.discard(fd)
            self._epoll.unregister(fd)

    async def run(self) -> None:
        """Tick, or look from time to time whether to.

        Cancelled: whoever waits for a tick is woken.
        """
        if self._epoll is None:
            await trio.sleep_forever()
        try:
            while True:
                while not self._sockets:
                    await self._opened.park()
                await self._run_busy()
        finally:
            self._policy.is_ticking = False
            self._wake_all()
            self._close()

    async def _run_busy(self) -> None:
        """Run while there are sockets."""
        now = trio.current_time()
        look_at, next_tick = now + _LOOK_INTERVAL, now
        looked_at, worked = time.monotonic(), time.thread_time()
        self._policy.update(len(self._sockets), 0.0)
        while self._sockets:
            if self._policy.is_ticking:
                # On an absolute clock; a tick that is missed is left out.
                now = trio.current_time()
                next_tick = max(next_tick + self._tick, now)
                await trio.sleep_until(next_tick)
                self._wake_readable()
            else:
                await trio.sleep_until(look_at)
            if trio.current_time() >= look_at:
                look_at = trio.current_time() + _LOOK_INTERVAL
                elapsed, work = time.monotonic() - looked_at, time.thread_time() - worked
                looked_at, worked = looked_at + elapsed, worked + work
                if not self._policy.update(len(self._sockets), work / max(elapsed, 1e-3)):
                    self._wake_all()
        self._policy.update(0, 0.0)
        self._wake_all()

    def _wake_readable(self) -> None:
        assert self._epoll is not None
        for fd, _ in self._epoll.poll(0):
            self._reschedule(fd)

    def _wake_all(self) -> None:
        for fd in list(self._waiting):
            self._reschedule(fd)

    def _reschedule(self, fd: int) -> None:
        task = self._waiting.pop(fd, None)
        if task is not None:
            trio.lowlevel.reschedule(task)

    def _close(self) -> None:
        epoll, self._epoll = self._epoll, None
        if epoll is not None:
            epoll.close()
