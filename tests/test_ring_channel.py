"""The ring channel: a ReceiveChannel whose sender never waits."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from telnyx_trio._ring_channel import RingChannel


async def test_receives_in_order_then_ends() -> None:
    """What was put comes in order; after `end` iteration stops once it is empty."""
    channel = RingChannel[int](10)
    for value in range(3):
        channel.put(value)
    channel.end()
    assert [value async for value in channel] == [0, 1, 2]
    with pytest.raises(trio.EndOfChannel):
        await channel.receive()


async def test_receive_waits_for_put() -> None:
    """A receiver that came first gets the value."""
    channel = RingChannel[str](10)
    got: list[str] = []

    async def receive() -> None:
        got.append(await channel.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        channel.put("value")
    assert got == ["value"]


def test_full_channel_drops_oldest_and_counts() -> None:
    """The newest values stay; what they pushed out is counted."""
    channel = RingChannel[int](3)
    for value in range(5):
        channel.put(value)
    assert [channel.receive_nowait() for _ in range(3)] == [2, 3, 4]
    assert channel.statistics().dropped == 2


def test_bound_is_the_sum_of_sizes() -> None:
    """Sizes count, not values: as many old ones go as a big one needs."""
    channel = RingChannel[str](1.0)
    for name in "abcd":
        channel.put(name, 0.25)
    channel.put("big", 0.6)
    statistics = channel.statistics()
    assert (statistics.buffered, statistics.dropped) == (2, 3)
    assert statistics.buffered_size == pytest.approx(0.85)


def test_value_larger_than_the_bound_is_kept_alone() -> None:
    """One oversized value replaces all and can be received."""
    channel = RingChannel[str](1.0)
    channel.put("small", 0.1)
    channel.put("huge", 30.0)
    assert channel.statistics().buffered == 1
    assert channel.receive_nowait() == "huge"
    assert channel.statistics().buffered_size == 0


async def test_receive_nowait_tells_empty_ended_and_closed_apart() -> None:
    """WouldBlock, EndOfChannel and ClosedResourceError, as Trio's channels have them."""
    channel = RingChannel[int](1)
    with pytest.raises(trio.WouldBlock):
        channel.receive_nowait()
    channel.end()
    with pytest.raises(trio.EndOfChannel):
        channel.receive_nowait()
    await channel.aclose()
    with pytest.raises(trio.ClosedResourceError):
        channel.receive_nowait()


async def test_each_value_goes_to_one_of_several_receivers() -> None:
    """Receivers share; none misses its turn and all see the end."""
    channel = RingChannel[int](100)
    got: list[int] = []

    async def receive_all() -> None:
        async for value in channel:
            got.append(value)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(receive_all)
        await trio.testing.wait_all_tasks_blocked()
        for value in range(10):
            channel.put(value)
        await trio.testing.wait_all_tasks_blocked()
        channel.put(10)
        channel.end()
    assert sorted(got) == list(range(11))


async def test_what_waiting_receivers_are_given_pushes_nothing_out() -> None:
    """A value is a receiver's as soon as it is put: it takes no room, and nobody else gets it."""
    channel = RingChannel[int](1)
    got: list[int] = []

    async def receive() -> None:
        got.append(await channel.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        channel.put(1)
        channel.put(2)
        with pytest.raises(trio.WouldBlock):
            channel.receive_nowait()
        channel.put(3)
        channel.put(4)
    assert sorted(got) == [1, 2]
    assert channel.statistics().dropped == 1
    assert channel.receive_nowait() == 4


async def test_value_given_before_the_closing_is_received() -> None:
    """Whoever was given one has it, whatever comes in the same turn; the others see the closing."""
    channel = RingChannel[int](10)
    got: list[int | str] = []

    async def receive() -> None:
        try:
            got.append(await channel.receive())
        except trio.ClosedResourceError:
            got.append("closed")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        channel.put(1)
        await channel.aclose()
    assert sorted(got, key=str) == [1, "closed"]


async def test_cancelled_receive_takes_nothing() -> None:
    """Cancelled before or while it waits, a receive leaves the value for the next one."""
    channel = RingChannel[int](10)
    channel.put(1)
    with trio.CancelScope() as scope:
        scope.cancel()
        await channel.receive()
    assert scope.cancelled_caught
    assert channel.receive_nowait() == 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(channel.receive)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    channel.put(2)
    assert channel.receive_nowait() == 2


async def test_value_put_in_the_moment_of_cancellation_is_not_lost() -> None:
    """A receiver that is woken and cancelled in one turn either has the value or leaves it."""
    for put_first in (True, False):
        channel = RingChannel[int](10)
        got: list[int] = []

        async def receive(channel: RingChannel[int] = channel, got: list[int] = got) -> None:
            got.append(await channel.receive())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await trio.testing.wait_all_tasks_blocked()
            if put_first:
                channel.put(1)
                nursery.cancel_scope.cancel()
            else:
                nursery.cancel_scope.cancel()
                channel.put(1)
        left = channel.statistics().buffered
        assert len(got) + left == 1


async def test_receive_is_a_checkpoint() -> None:
    """Also when a value is there."""
    channel = RingChannel[int](10)
    channel.put(1)
    with trio.testing.assert_checkpoints():
        await channel.receive()


async def test_aclose_wakes_receivers_and_drops_all() -> None:
    """A receiver at wait learns that its own side closed; nothing is kept or counted later."""
    channel = RingChannel[int](10)

    async def receive() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await channel.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        with trio.testing.assert_checkpoints():
            await channel.aclose()
    channel.put(1)
    assert channel.statistics().buffered == 0
    with pytest.raises(trio.ClosedResourceError):
        await channel.receive()


async def test_aclose_closes_also_when_cancelled() -> None:
    """As an AsyncResource must."""
    channel = RingChannel[int](10)
    with trio.CancelScope() as scope:
        scope.cancel()
        await channel.aclose()
    with pytest.raises(trio.ClosedResourceError):
        channel.receive_nowait()


def test_put_after_end_is_ignored() -> None:
    """The end is the end."""
    channel = RingChannel[int](10)
    channel.end()
    channel.put(1)
    with pytest.raises(trio.EndOfChannel):
        channel.receive_nowait()
