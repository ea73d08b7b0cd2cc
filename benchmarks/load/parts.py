"""What can be measured, each a coroutine that returns its figures."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import time
from argparse import Namespace
from dataclasses import dataclass
from typing import Any

from benchmarks.load.media import MediaCall, Stats
from benchmarks.load.process import cpu_seconds, memory_bytes, waiting_seconds
from benchmarks.load.world import World

SETTLE = 1.0
"""Seconds for what is under way to come to its end."""

WARM_WAVES = 5
"""Hundreds of calls with which a process grows to its size."""


@dataclass(frozen=True)
class Usage:
    """Seconds: that have passed, that server and load have run, that they waited for their core."""

    elapsed: float
    server: float
    server_waited: float
    own: float
    own_waited: float

    def shares(self) -> dict[str, Any]:
        """Return what of its core each had, and what of its time others took it away."""
        return {
            "server_load": round(self.server / self.elapsed, 3),
            "load_load": round(self.own / self.elapsed, 3),
            "server_waited": round(self.server_waited / self.elapsed, 3),
            "load_waited": round(self.own_waited / self.elapsed, 3),
        }


class Meter:
    """Processor time of the server and of the load, from its making on."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._began = self._now()

    def _now(self) -> tuple[float, ...]:
        own, pid = os.getpid(), self._pid
        return (
            time.perf_counter(),
            cpu_seconds(pid),
            waiting_seconds(pid),
            time.process_time(),
            waiting_seconds(own),
        )

    def read(self) -> Usage:
        """Return what there was since."""
        return Usage(*(now - then for now, then in zip(self._now(), self._began, strict=True)))


def milliseconds(seconds: list[float], percent: float) -> float | None:
    """Return a percentile in milliseconds."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    return round(1000 * ordered[min(len(ordered) - 1, int(percent / 100 * len(ordered)))], 2)


def delays(stats: Stats) -> dict[str, Any]:
    """Return what the delays were."""
    return {f"p{percent}_ms": milliseconds(stats.delays, percent) for percent in (50, 99)} | {
        "max_ms": milliseconds(stats.delays, 100)
    }


def integrity(calls: list[MediaCall]) -> dict[str, Any]:
    """Return whether all came back, and as it was said."""
    return {
        "lost": sum(call.n_sent - call.n_echoed for call in calls),
        "wrong": sum(call.wrong for call in calls),
        "broken": sum(call.broken for call in calls),
    }


async def paced(world: World, options: Namespace) -> dict[str, Any]:
    """Calls that speak for some seconds: cost, delay, memory."""
    pid, stats = options.server_pid, Stats()
    few = min(5, options.calls)
    await world.open(few, stats)
    await asyncio.sleep(SETTLE / 2)
    before = memory_bytes(pid)
    await world.open(options.calls - few, stats)
    await asyncio.sleep(options.warm_up)
    sizes = [(time.perf_counter(), memory_bytes(pid))]
    stats.counts = True
    meter = Meter(pid)
    while (rest := options.seconds - meter.read().elapsed) > 0:
        await asyncio.sleep(min(1.0, rest))
        sizes.append((time.perf_counter(), memory_bytes(pid)))
    usage = meter.read()
    stats.counts = False
    world.pacer.finish(options.multiple)
    await asyncio.sleep(SETTLE)
    # In its first seconds a process still grows to its size.
    later = sizes[len(sizes) // 4 :]
    slope = statistics.linear_regression(*zip(*later, strict=True)).slope
    more_calls = options.calls - few
    return {
        "calls": options.calls,
        "seconds": round(usage.elapsed, 2),
        "echoed_per_second": round(stats.echoed / usage.elapsed, 1),
        "us_per_packet": round(1e6 * usage.server / stats.echoed, 1) if stats.echoed else None,
        **usage.shares(),
        "late_sends": round(stats.late_sends / max(1, stats.sent), 4),
        **delays(stats),
        **integrity(world.calls),
        "bytes_per_call": (sizes[-1][1] - before) // more_calls if more_calls else None,
        "bytes_per_call_and_minute": round(60 * slope / options.calls),
    }


async def joining(world: World, options: Namespace) -> dict[str, Any]:
    """Further calls while others speak, one after the other, or all at once."""
    running, joined = Stats(), Stats()
    await world.open(options.calls, running)
    await asyncio.sleep(options.warm_up)
    running.counts = True
    meter = Meter(options.server_pid)
    if options.every:
        async with asyncio.TaskGroup() as group:
            for _ in range(options.joining):
                group.create_task(world.open_one(joined))
                await asyncio.sleep(options.every)
    else:
        await world.open(options.joining, joined, at_once=options.joining)
    opened_in = meter.read().elapsed
    new = world.calls[options.calls :]
    async with asyncio.timeout(30):
        for call in new:
            await call.heard.wait()
    usage = meter.read()
    running.counts = False
    world.pacer.finish(options.multiple)
    await asyncio.sleep(SETTLE)
    first = [call.first_echo for call in new if call.first_echo is not None]
    return {
        "calls": options.calls,
        "joining": options.joining,
        "opened_in_s": round(opened_in, 3),
        "first_packet_p50_ms": milliseconds(first, 50),
        "first_packet_p99_ms": milliseconds(first, 99),
        **{f"running_{name}": value for name, value in delays(running).items()},
        **usage.shares(),
        "late_sends": round(running.late_sends / max(1, running.sent), 4),
        **integrity(world.calls),
    }


async def rest(world: World, options: Namespace) -> dict[str, Any]:
    """Calls that are open and say nothing."""
    pid = options.server_pid
    few = min(5, options.calls)
    if few:
        await world.open(few, Stats(), speaks=False)
    await asyncio.sleep(SETTLE)
    before, more_calls = memory_bytes(pid), options.calls - few
    if more_calls:
        await world.open(more_calls, Stats(), speaks=False)
    await asyncio.sleep(SETTLE)
    meter = Meter(pid)
    await asyncio.sleep(options.seconds)
    usage = meter.read()
    return {
        "calls": options.calls,
        "us_per_second": round(1e6 * usage.server / usage.elapsed, 1),
        "bytes_per_call": (memory_bytes(pid) - before) // more_calls if more_calls else None,
        "broken": sum(call.broken for call in world.calls),
    }


async def webhooks(world: World, options: Namespace) -> dict[str, Any]:
    """Webhooks for calls that are open and say nothing."""
    assert world.telnyx is not None
    await world.open(options.calls, Stats(), speaks=False)
    await asyncio.sleep(SETTLE)
    costs = []
    for _ in range(3):
        requests = [
            world.telnyx.post(
                "call.dtmf.received", world.calls[n * 7919 % options.calls].call_id, digit="5"
            )
            for n in range(options.n)
        ]
        meter = Meter(options.server_pid)
        for request in requests:
            await request
        costs.append(meter.read().server / options.n)
    return {"calls": options.calls, "us_per_webhook": round(1e6 * statistics.median(costs), 1)}


async def dials(world: World, options: Namespace) -> dict[str, Any]:
    """Dials, each up to its media and its end, while other calls are open and say nothing.

    The server dials so many calls, one after the other, whenever it gets SIGUSR1.
    """
    telnyx = world.telnyx
    assert telnyx is not None
    sockets: list[MediaCall] = []

    async def dialled(call_id: str, url: str) -> None:
        call = MediaCall(len(sockets), call_id, Stats())
        sockets.append(call)
        await call.connect(url)

    telnyx.dialled = dialled
    await world.open(options.calls, Stats(), speaks=False)
    await asyncio.sleep(SETTLE)
    costs = []
    for _ in range(3):
        meter = Meter(options.server_pid)
        os.kill(options.server_pid, signal.SIGUSR1)
        async with asyncio.timeout(60):
            for _ in range(options.n):
                await telnyx.hangups.acquire()
        costs.append(meter.read().server / options.n)
    return {"calls": options.calls, "us_per_dial": round(1e6 * statistics.median(costs), 1)}


async def turnover(world: World, options: Namespace) -> dict[str, Any]:
    """Calls that come, speak, and go, a hundred at a time: what stays of them."""
    pid, stats = options.server_pid, Stats()
    wave = min(100, options.calls)
    sizes = []
    for _ in range(WARM_WAVES + options.calls // wave):
        await world.open(wave, stats)
        await asyncio.sleep(options.hold)
        await world.close(world.calls)
        await asyncio.sleep(0.2)
        sizes.append(memory_bytes(pid))
    return {
        "calls": options.calls,
        "bytes_kept_per_call": round(
            (sizes[-1] - sizes[WARM_WAVES - 1]) / (wave * (len(sizes) - WARM_WAVES))
        ),
        "kilobytes_after_each_hundred": [size // 1000 for size in sizes],
    }
