"""Hops between two tasks: 1000 packets a round, each awaited before the next is put."""

from __future__ import annotations

import math
from typing import Any

import pytest
import trio
import trio.testing

from telnyx_trio._ring_channel import RingChannel

Benchmark = Any
"""pytest-benchmark's fixture."""

N = 1000


async def through_ring_channel() -> int:
    """Put each when the reader waits: what a received packet goes through."""
    channel: RingChannel[int] = RingChannel(100)
    n_received = 0

    async def read() -> None:
        nonlocal n_received
        async for _ in channel:
            n_received += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        for n in range(N):
            await trio.lowlevel.checkpoint()
            channel.put(n)
        await trio.testing.wait_all_tasks_blocked()
        channel.end()
    return n_received


async def through_memory_channel() -> int:
    """The same with Trio's channel."""
    send, receive = trio.open_memory_channel[int](math.inf)
    n_received = 0

    async def read() -> None:
        nonlocal n_received
        async for _ in receive:
            n_received += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        for n in range(N):
            await send.send(n)
        send.close()
    return n_received


@pytest.mark.parametrize("hops", [through_ring_channel, through_memory_channel])
def test_hops(benchmark: Benchmark, hops: Any) -> None:
    """No packet is lost on the way, and each wakes its reader."""
    assert benchmark(trio.run, hops) == N
