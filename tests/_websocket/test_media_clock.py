"""When media sockets are read: the decision, and the clock on real sockets."""

from __future__ import annotations

import asyncio
import base64
import contextvars
import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing

import pytest
import trio
import trio.testing
from _websocket.websocket_peers import AlwaysTicks, open_socket
from stream_peer import pcm_of, start_text

from telnyx_trio import MediaStream
from telnyx_trio._websocket._media_clock import EAGER_READS, IngestPolicy, MediaClock
from telnyx_trio.audio import pcmu_to_pcm

NEVER = 1000.0
"""A tick, in seconds, that does not come."""


def test_many_calls_tick() -> None:
    """From 32 on; and until there are fewer than 24, so that it does not go to and fro."""
    policy = IngestPolicy()
    decisions = [policy.update(n, 0.0) for n in (1, 31, 32, 31, 24, 23, 31, 32, 0)]
    assert decisions == [False, False, True, True, True, False, False, True, False]


def test_load_ticks() -> None:
    """From 30 % on, until it is below 20 %; with more than a handful of calls."""
    policy = IngestPolicy()
    assert not policy.update(7, 1.0)
    decisions = [policy.update(8, load) for load in (0.29, 0.3, 0.25, 0.2, 0.19, 0.29)]
    assert decisions == [False, True, True, True, False, False]


def test_immediate_never_ticks() -> None:
    """However many calls, however much load."""
    policy = IngestPolicy("immediate")
    assert not policy.update(10_000, 1.0)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


class Reader:
    """Reads a socket as the clock says, one byte at a time, and shows what."""

    def __init__(self, sock: socket.socket, *, on_read: Callable[[bytes], object] = len) -> None:
        self.sock = sock
        self._on_read = on_read
        self._send, self._receive = trio.open_memory_channel[bytes](100)

    async def run(self, clock: MediaClock) -> None:
        """Read until there is "."."""
        await clock.read_each(self.sock, self._read)

    def _read(self, now: float) -> bool:
        assert trio.current_time() - 1 < now <= trio.current_time()
        data = self.sock.recv(1)
        self._on_read(data)
        self._send.send_nowait(data)
        return data == b"."

    async def expect(self, data: bytes) -> None:
        """Wait until this was read, not longer than a second."""
        with trio.fail_after(1):
            for number in data:
                assert await self._receive.receive() == bytes([number])

    async def expect_nothing(self) -> None:
        """See that nothing is read for some ticks."""
        with trio.move_on_after(0.05) as scope:
            await self._receive.receive()
        assert scope.cancelled_caught


async def start_reading(nursery: trio.Nursery, clock: MediaClock, reader: Reader) -> None:
    """Have the clock run, and a reader read on it."""
    nursery.start_soon(clock.run)
    nursery.start_soon(reader.run, clock)
    await trio.testing.wait_all_tasks_blocked()


async def test_new_socket_is_read_at_once(
    pair: tuple[socket.socket, socket.socket], nursery: trio.Nursery
) -> None:
    """With a tick that never comes: a call's first words do not wait for it."""
    ours, theirs = pair
    reader = Reader(ours)
    await start_reading(nursery, MediaClock(AlwaysTicks(), tick=NEVER), reader)
    for _ in range(EAGER_READS):
        theirs.send(b"e")
        await reader.expect(b"e")
    theirs.send(b"x")
    await reader.expect_nothing()
    nursery.cancel_scope.cancel()


async def test_it_is_read_on_the_tick(
    pair: tuple[socket.socket, socket.socket], nursery: trio.Nursery
) -> None:
    """Not when there is nothing, and within a tick or two; ``read_each`` returns when told so."""
    ours, theirs = pair
    clock, reader = MediaClock(AlwaysTicks(), eager_reads=0), Reader(ours)
    nursery.start_soon(clock.run)
    async with trio.open_nursery() as readers:
        readers.start_soon(reader.run, clock)
        await trio.testing.wait_all_tasks_blocked()
        await reader.expect_nothing()
        for data in (b"x", b"yz", b"."):
            theirs.send(data)
            await reader.expect(data)
    nursery.cancel_scope.cancel()


async def test_who_no_longer_ticks_reads_at_once(
    pair: tuple[socket.socket, socket.socket], nursery: trio.Nursery
) -> None:
    """Sockets that were read on ticks, too, and they tick again when there is need to."""

    class Told(AlwaysTicks):
        def __init__(self) -> None:
            super().__init__()
            self.wanted = True
            self.has_ticked = trio.Event()

        def update(self, n_calls: int, load: float) -> bool:
            if self.wanted and not self.is_ticking:
                self.has_ticked.set()
            self.is_ticking = self.wanted
            return self.is_ticking

    ours, theirs = pair
    policy, reader = Told(), Reader(ours)
    clock = MediaClock(policy, tick=0.6, eager_reads=1)
    await start_reading(nursery, clock, reader)
    theirs.send(b"ab")
    await reader.expect(b"a")
    await reader.expect_nothing()
    policy.wanted = False
    await reader.expect(b"b")
    assert not clock.is_ticking
    for _ in range(3):
        theirs.send(b"c")
        await reader.expect(b"c")
    policy.wanted = True
    with trio.fail_after(2):
        await policy.has_ticked.wait()
    theirs.send(b"d.")
    await reader.expect(b"d")
    await reader.expect_nothing()
    nursery.cancel_scope.cancel()


async def test_closing_wakes_the_reader(
    pair: tuple[socket.socket, socket.socket], nursery: trio.Nursery
) -> None:
    """As Trio's own waiting does; and the number of the socket can be another's then."""
    ours, _ = pair
    clock = MediaClock(AlwaysTicks(), eager_reads=0)
    nursery.start_soon(clock.run)
    async with trio.open_nursery() as readers:

        async def read() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await Reader(ours).run(clock)

        readers.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        clock.wake(ours)
    number = ours.fileno()
    ours.close()
    again, peer = socket.socketpair()
    with again, peer:
        assert number in (again.fileno(), peer.fileno())
        reused, other = (again, peer) if again.fileno() == number else (peer, again)
        reused.setblocking(False)
        reader = Reader(reused)
        async with trio.open_nursery() as readers:
            readers.start_soon(reader.run, clock)
            other.send(b"y.")
            await reader.expect(b"y.")
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("eager_reads", [0, 10])
@pytest.mark.parametrize("kind", [ZeroDivisionError, asyncio.CancelledError])
async def test_error_is_the_readers(
    pair: tuple[socket.socket, socket.socket],
    nursery: trio.Nursery,
    eager_reads: int,
    kind: type[BaseException],
) -> None:
    """What ``read`` raises leaves ``read_each``; the clock and the others go on.

    Also what is no Exception, as a panic of a library in Rust.
    """

    def fail(data: bytes) -> None:
        raise kind(data)

    ours, theirs = pair
    other_ours, other_theirs = socket.socketpair()
    other_ours.setblocking(False)
    with closing(other_ours), closing(other_theirs):
        clock, other = MediaClock(AlwaysTicks(), eager_reads=eager_reads), Reader(other_ours)
        await start_reading(nursery, clock, other)
        theirs.send(b"x")
        other_theirs.send(b"x")
        with trio.fail_after(1), pytest.raises(kind):
            await Reader(ours, on_read=fail).run(clock)
        other_theirs.send(b".")
        await other.expect(b"x.")
        nursery.cancel_scope.cancel()


async def test_it_reads_in_the_context_of_who_waits(
    pair: tuple[socket.socket, socket.socket], nursery: trio.Nursery
) -> None:
    """So that logs which name the call name the right one."""
    name = contextvars.ContextVar("name", default="nobody's")
    names: list[str] = []
    ours, theirs = pair
    clock = MediaClock(AlwaysTicks(), eager_reads=0)
    nursery.start_soon(clock.run)
    await trio.testing.wait_all_tasks_blocked()
    name.set("the reader's")
    theirs.send(b".")
    with trio.fail_after(1):
        await Reader(ours, on_read=lambda _: names.append(name.get())).run(clock)
    assert names == ["the reader's"]
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("eager_reads", [0, 1])
async def test_cancelled_reader_reads_no_more(
    pair: tuple[socket.socket, socket.socket], nursery: trio.Nursery, eager_reads: int
) -> None:
    """Cancelled by what it reads, in the middle of that; the next one can wait for the socket."""
    ours, theirs = pair
    clock = MediaClock(AlwaysTicks(), eager_reads=eager_reads)
    nursery.start_soon(clock.run)
    theirs.send(b"xy.")
    with trio.CancelScope() as scope:
        await Reader(ours, on_read=lambda _: scope.cancel()).run(clock)
    assert scope.cancelled_caught
    await trio.sleep(0.03)
    reader = Reader(ours)
    with trio.fail_after(1):
        await reader.run(clock)
    await reader.expect(b"y.")
    nursery.cancel_scope.cancel()


async def test_readers_outlive_the_clock(pair: tuple[socket.socket, socket.socket]) -> None:
    """They go on by themselves, and so do those that come later."""
    ours, theirs = pair
    clock, reader = MediaClock(AlwaysTicks(), tick=NEVER, eager_reads=0), Reader(ours)
    async with trio.open_nursery() as readers:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(clock.run)
            readers.start_soon(reader.run, clock)
            await trio.testing.wait_all_tasks_blocked()
            theirs.send(b"a")
            await reader.expect_nothing()
            nursery.cancel_scope.cancel()
        assert not clock.is_ticking
        await reader.expect(b"a")
        theirs.send(b".")
    theirs.send(b"z.")
    with trio.fail_after(1):
        await reader.run(clock)
    await reader.expect(b".z.")


async def test_the_clock_ends_as_a_socket_is_closed(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """Who is released by the end looks once more, before waiting beside who closes."""
    ours, _ = pair
    clock, is_closing = MediaClock(), False
    async with trio.open_nursery() as readers:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(clock.run)
            readers.start_soon(clock.read_each, ours, lambda _: is_closing)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
            is_closing = True
        with trio.move_on_after(0.02) as scope:
            await trio.lowlevel.wait_readable(ours)
        assert scope.cancelled_caught
        assert not readers.child_tasks


class Calls:
    """What the clock called, with what, and when."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, float]] = []
        self.last = trio.Event()

    def note(self, when: float) -> None:
        self.calls.append((when, trio.current_time()))

    def note_last(self, when: float) -> None:
        self.note(when)
        self.last.set()

    @property
    def times(self) -> list[float]:
        return [when for when, _ in self.calls]


async def test_a_tick_calls_what_is_due(
    pair: tuple[socket.socket, socket.socket], nursery: trio.Nursery
) -> None:
    """Not before its time, once, in the order of the times."""
    calls, clock = Calls(), MediaClock(AlwaysTicks())
    await start_reading(nursery, clock, Reader(pair[0]))
    now = trio.current_time()
    times = [now + 0.03, now + 0.01, now + 0.02]
    assert all(clock.call_between(when, now + 9, calls.note) for when in times)
    assert clock.call_between(now + 0.06, now + 9, calls.note_last)
    with trio.fail_after(5):
        await calls.last.wait()
    assert calls.times == [*sorted(times), now + 0.06]
    assert all(called_at >= when for when, called_at in calls.calls)
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("policy", [IngestPolicy(), AlwaysTicks()])
async def test_what_no_tick_can_call_in_time_is_refused(
    pair: tuple[socket.socket, socket.socket], policy: IngestPolicy
) -> None:
    """Without a tick, with too little time for one, and after the end."""
    calls, clock = Calls(), MediaClock(policy, tick=1.0)
    async with trio.open_nursery() as nursery:
        await start_reading(nursery, clock, Reader(pair[0]))
        now = trio.current_time()
        assert not clock.call_between(now + 9, now + 10.9, calls.note)
        assert clock.call_between(now + 9, now + 11.1, calls.note) is policy.is_ticking
        nursery.cancel_scope.cancel()
    assert not clock.call_between(now + 9, now + 99, calls.note)


async def test_what_waits_for_a_tick_is_called_at_the_end(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """Before its time, and cannot be left to the clock again."""
    calls, clock = Calls(), MediaClock(AlwaysTicks(), tick=NEVER)
    again: list[bool] = []

    def call(when: float) -> None:
        calls.note(when)
        again.append(clock.call_between(when, when + 9 * NEVER, call))

    async with trio.open_nursery() as nursery:
        await start_reading(nursery, clock, Reader(pair[0]))
        now = trio.current_time()
        assert clock.call_between(now + 2, now + 9 * NEVER, call)
        assert clock.call_between(now + 1, now + 9 * NEVER, call)
        nursery.cancel_scope.cancel()
    assert calls.times == [now + 1, now + 2]
    assert again == [False, False]


class FewCalls(IngestPolicy):
    """Ticks until it looks at the load."""

    def __init__(self) -> None:
        super().__init__()
        self.is_ticking = True

    def update(self, n_calls: int, load: float) -> bool:
        self.is_ticking = self.is_ticking and not load
        return self.is_ticking


async def test_what_waits_is_called_when_it_ticks_no_more(
    pair: tuple[socket.socket, socket.socket], nursery: trio.Nursery
) -> None:
    """As there are fewer calls."""
    calls, clock = Calls(), MediaClock(FewCalls())
    await start_reading(nursery, clock, Reader(pair[0]))
    when = trio.current_time() + 1000
    assert clock.call_between(when, when + 9, calls.note_last)
    with trio.fail_after(5):
        await calls.last.wait()
    assert not clock.is_ticking
    assert calls.times == [when]
    nursery.cancel_scope.cancel()


async def test_playback_leaves_on_the_tick() -> None:
    """Whole, in order, and no more than the lead ahead of its time; the tick's end does no harm."""
    lead, clock = 0.2, MediaClock(AlwaysTicks(), eager_reads=0)
    levels = pcmu_to_pcm(bytes(range(0x80, 0x80 + 50))).mono_int16()
    async with trio.open_nursery() as outer, trio.open_nursery() as nursery:
        clock_scope = await outer.start(run_in_scope, clock.run)
        async with open_socket(clock) as ends:
            stream = MediaStream(ends.ours, lead=lead)
            nursery.start_soon(stream.run)
            await ends.peer.send(start_text())
            with trio.fail_after(5):
                await stream.wait_started()
                await stream.send_audio(pcm_of(levels.repeat(160)))
                received = []
                for n in range(50):
                    received.append(json.loads(await ends.peer.receive())["media"]["payload"])
                    if n == 0:
                        began_at = trio.current_time()
                    assert trio.current_time() - began_at > n * 0.02 - lead - 0.01
                    if n == 25:
                        clock_scope.cancel()
            await stream.close()
    expected = [base64.b64encode(bytes([0x80 + n]) * 160).decode() for n in range(50)]
    assert received == expected


async def run_in_scope(
    run: Callable[[], Awaitable[None]], task_status: trio.TaskStatus[trio.CancelScope]
) -> None:
    """Run what can be cancelled by itself."""
    with trio.CancelScope() as scope:
        task_status.started(scope)
        await run()
