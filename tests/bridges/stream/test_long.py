"""What shows only with time: drift, and many calls that come and go.

STREAM_CYCLES sets how many calls come and go; 10 without it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
from functools import partial
from importlib.util import find_spec

import numpy as np
import trio
from scenarios import open_socket_world
from stream_bridge_world import guest_in, stream_call_of, wait_until
from stream_standin import Guest, Standin
from stream_world import RATE, loudness, tone

from telnyx_trio import Call, StreamBridge, open_stream_bridge
from telnyx_trio.testing import Phone

CYCLES = int(os.environ.get("STREAM_CYCLES", "10"))


async def test_drift_of_twenty_seconds(standin: Standin) -> None:
    """A guest whose clock is 0.2 % fast: 40 ms more in 20 s, which are not there as delay."""
    bridges: list[StreamBridge] = []
    joined = trio.Event()

    async def agent(call: Call) -> None:
        async with open_stream_bridge(call, stream_call_of(standin, "drift")) as bridge:
            bridges.append(bridge)
            joined.set()
            await bridge.wait_ended()

    phone = Phone(says=(tone(440, rate=8000, seconds=40), 8000))
    async with guest_in(standin, "drift", "ann", says=tone(1000), speed=1.002) as ann:
        async with open_socket_world(agent) as world:
            with trio.fail_after(90):
                leg = await world.carrier.call_in(to="+15550100000", phone=phone)
                await joined.wait()
                levels = []
                await wait_until(ann, lambda: ann.heard_for("phone-user") > 2)
                for second in range(20):
                    await wait_until(ann, partial(has_heard, ann, 3.0 + second))
                    statistics = bridges[0].statistics()
                    [speaker] = statistics.speakers.values()
                    levels.append((statistics.to_stream.level, speaker.level, statistics.backlog))
                [speaker] = bridges[0].statistics().speakers.values()
                (_, heard), rate = leg.recording()
                await leg.hang_up()
            await world.assert_nothing_left(inbound=1)
    if find_spec("getstream_rtc") is None:
        # It followed: what was too much was left out, by samples or, on a busy machine, by a cut.
        # getstream 7 publishes by a clock of its own, so that its guest is not too fast.
        assert speaker.corrected + speaker.dropped > 0.01
    assert np.all(np.max(levels, axis=0) <= (0.2, 0.2, 0.3))
    assert np.all(np.median(levels[-9:], axis=0) < (0.15, 0.15, 0.25))
    assert loudness(heard[-2 * rate :], 1002, rate=rate) > 4000
    assert loudness(ann.samples("phone-user")[-2 * RATE :], 440) > 5000


def has_heard(guest: Guest, seconds: float) -> bool:
    return guest.heard_for("phone-user") > seconds


def count_sockets() -> int:
    gc.collect()
    links = []
    for name in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            pass
    return sum(link.startswith("socket:") for link in links)


async def test_calls_that_come_and_go(standin: Standin) -> None:
    """Each ended at a random moment, by the phone or by a cancellation: nothing is left of them."""
    chance = random.Random(1)

    async def agent(call: Call) -> None:
        if chance.random() < 0.2:
            async with open_stream_bridge(call, stream_call_of(standin, "cycles")) as bridge:
                await bridge.wait_ended()
            return
        with trio.move_on_after(chance.uniform(0, 0.6)):
            async with open_stream_bridge(call, stream_call_of(standin, "cycles")):
                await trio.sleep_forever()

    async with open_socket_world(agent) as world:

        async def call_once() -> None:
            with trio.fail_after(60):
                leg = await world.carrier.call_in(
                    to="+15550100000", phone=Phone(hang_up_at=chance.uniform(0.6, 1.0))
                )
                await leg.wait_ended()

        for _ in range(3):
            await call_once()
        tasks, sockets = trio.lowlevel.current_statistics().tasks_living, count_sockets()
        before = {thread.name for thread in threading.enumerate()}
        for _ in range(CYCLES):
            await call_once()
        await wait_until(standin, lambda: standin.everybody() == [])
        # getstream 4 has a thread that sleeps for ten seconds before it sees that all is over.
        with trio.fail_after(30):
            for thread in threading.enumerate():
                if thread.name not in before and not thread.name.startswith("Trio thread"):
                    await trio.to_thread.run_sync(thread.join)
        assert trio.lowlevel.current_statistics().tasks_living <= tasks
        for _ in range(100):  # getstream 7 closes its sockets a little later
            if count_sockets() <= sockets + 2:
                break
            await trio.sleep(0.1)
        assert count_sockets() <= sockets + 2
        await world.server.stop(drain_timeout=5)
        assert world.server.statistics().failed_calls == 0
    assert standin.run(count_tasks) < 20


async def count_tasks() -> int:
    return len(asyncio.all_tasks())
