"""When media sockets are read: the decision, and the clock on real sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from telnyx_trio._websocket._media_clock import EAGER_READS, IngestPolicy, MediaClock


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


class Ticking(IngestPolicy):
    """Ticks with a single socket."""

    HANDFUL = 1
    MANY_CALLS = 1
    FEW_CALLS = 1


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


async def wait_ticking(clock: MediaClock) -> None:
    await trio.testing.wait_all_tasks_blocked()
    assert clock.is_ticking


async def read_eagerly(
    clock: MediaClock, ours: socket.socket, theirs: socket.socket, n_reads: int = EAGER_READS
) -> None:
    """Read as often as a new socket is read at once."""
    for _ in range(n_reads):
        theirs.send(b"e")
        with trio.fail_after(1):
            await clock.wait_readable(ours)
        assert ours.recv(10) == b"e"


async def test_new_socket_is_read_at_once(
    pair: tuple[socket.socket, socket.socket], nursery: trio.Nursery
) -> None:
    """With a tick that never comes: a call's first words do not wait for it."""
    ours, theirs = pair
    clock = MediaClock(Ticking(), tick=1000.0)
    clock.add(ours)
    nursery.start_soon(clock.run)
    await wait_ticking(clock)
    await read_eagerly(clock, ours, theirs)
    theirs.send(b"x")
    with trio.move_on_after(0.05) as scope:
        await clock.wait_readable(ours)
    assert scope.cancelled_caught
    nursery.cancel_scope.cancel()


async def test_reader_is_woken_when_there_is_something(
    pair: tuple[socket.socket, socket.socket], nursery: trio.Nursery
) -> None:
    """Not before, and within a tick or two."""
    ours, theirs = pair
    clock = MediaClock(Ticking())
    clock.add(ours)
    nursery.start_soon(clock.run)
    await wait_ticking(clock)
    await read_eagerly(clock, ours, theirs)
    with trio.move_on_after(0.05) as scope:
        await clock.wait_readable(ours)
    assert scope.cancelled_caught
    for _ in range(3):
        theirs.send(b"x")
        with trio.fail_after(1):
            await clock.wait_readable(ours)
        assert ours.recv(10) == b"x"


async def test_closing_wakes_the_reader(
    pair: tuple[socket.socket, socket.socket], nursery: trio.Nursery
) -> None:
    """As Trio's own waiting does; and the number of the socket can be another's then."""
    ours, theirs = pair
    clock = MediaClock(Ticking())
    clock.add(ours)
    nursery.start_soon(clock.run)
    await wait_ticking(clock)
    await read_eagerly(clock, ours, theirs)
    async with trio.open_nursery() as readers:

        async def read() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await clock.wait_readable(ours)

        readers.start_soon(read)
        await trio.testing.wait_all_tasks_blocked(0.001)
        clock.wake(ours)
    clock.forget(ours)
    number = ours.fileno()
    ours.close()
    again, peer = socket.socketpair()
    with again, peer:
        assert number in (again.fileno(), peer.fileno())
        reused, other = (again, peer) if again.fileno() == number else (peer, again)
        reused.setblocking(False)
        clock.add(reused)
        await wait_ticking(clock)
        await read_eagerly(clock, reused, other)
        other.send(b"y")
        with trio.fail_after(1):
            await clock.wait_readable(reused)
        clock.forget(reused)


async def test_end_of_the_clock_wakes_all(pair: tuple[socket.socket, socket.socket]) -> None:
    """They look for themselves; from then on sockets are read at once."""
    ours, theirs = pair
    clock = MediaClock(Ticking())
    clock.add(ours)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(clock.run)
        await wait_ticking(clock)
        await read_eagerly(clock, ours, theirs)
        async with trio.open_nursery() as readers:
            readers.start_soon(clock.wait_readable, ours)
            await trio.testing.wait_all_tasks_blocked(0.001)
            nursery.cancel_scope.cancel()
    assert not clock.is_ticking
    theirs.send(b"z")
    with trio.fail_after(1):
        await clock.wait_readable(ours)
