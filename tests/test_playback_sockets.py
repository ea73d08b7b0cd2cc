"""Playback over real sockets and in real time, against the simulator's own record."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest
import trio
from playback_line import LEVELS
from scenarios import CALLEE, open_socket_world

from telnyx_trio import Call, PcmData, PlaybackState
from telnyx_trio.testing import Leg

RATE = 8000

ATTEMPTS = 5
"""Calls that a busy machine may spoil: what is promised holds while this process gets to run."""

LEAD = 0.4
MARGIN = 0.05
"""Seconds of the lead that the loop's own work, and the simulator's, may use up."""


def steady(seconds: float, level: int) -> PcmData:
    return PcmData(RATE, samples=np.full(round(seconds * RATE), level, np.int16))


class Watch:
    """Notes the longest time for which the event loop did not turn."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        before = trio.current_time()
        while True:
            await trio.sleep(0.005)
            now = trio.current_time()
            self.longest = max(self.longest, now - before - 0.005)
            before = now


def heard_by(leg: Leg, level: int) -> float:
    """Seconds of that sample in what the caller heard."""
    (_, heard), rate = leg.recording()
    return int(np.count_nonzero(heard == level)) / rate


def gaps(leg: Leg, level: int) -> int:
    """Samples missing between the first and the last of that level."""
    (_, heard), _ = leg.recording()
    voiced = np.flatnonzero(heard == level)
    return int(voiced[-1] + 1 - voiced[0] - len(voiced))


async def _speak(pcm: PcmData) -> AsyncIterator[PcmData]:
    """Speak as an engine does: in chunks of odd sizes, quicker than real time."""
    for start in range(0, pcm.n_samples, 777):
        yield PcmData(RATE, samples=pcm.mono_int16()[start : start + 777])
        await trio.sleep(0.02)


async def test_stall_of_the_event_loop_is_not_heard() -> None:
    """The loop is blocked for 300 ms, and the record has no gap."""
    for _ in range(ATTEMPTS):
        watch = Watch()
        async with open_socket_world() as world, world.server.dial(to=CALLEE) as call:
            (leg,) = world.carrier.legs
            call.nursery.start_soon(watch.run)
            level = int(LEVELS[0])
            handle = await call.play(_speak(steady(1.3, level)))
            await trio.sleep(0.6)
            time.sleep(0.3)  # noqa: ASYNC251 - this is the stall
            assert await handle.done() is PlaybackState.DONE
            assert watch.longest >= 0.29
            if watch.longest < LEAD - MARGIN:
                assert gaps(leg, level) == 0
                assert call.statistics().underruns == 0
                assert heard_by(leg, level) == pytest.approx(1.3)
                return
    pytest.fail("the machine is too busy for any call in real time")


async def test_interruptions() -> None:
    """Each is heard within 60 ms, and heard_ms is within 40 ms of the record."""
    random_ = random.Random(9)
    n_good = 0
    async with open_socket_world() as world, world.server.dial(to=CALLEE) as call:
        (leg,) = world.carrier.legs
        for number in range(3 * ATTEMPTS):
            watch = Watch()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch.run)
                await _interrupt_one(call, leg, number, random_, watch)
                nursery.cancel_scope.cancel()
            n_good += watch.longest < 0.02
            if n_good == ATTEMPTS:
                return
    pytest.fail("the machine is too busy for any call in real time")


async def _interrupt_one(
    call: Call, leg: Leg, number: int, random_: random.Random, watch: Watch
) -> None:
    level, next_level = int(LEVELS[2 * number]), int(LEVELS[2 * number + 1])
    handle = await call.play(_speak(steady(2.0, level)))
    following = await call.play(steady(0.06, next_level))
    await trio.sleep(random_.uniform(0.05, 0.45))
    # The record runs on by itself; what of this voice it gets from here on is too much.
    before = heard_by(leg, level)
    heard_ms = handle.interrupt()
    assert await following.done() is PlaybackState.DONE
    after = heard_by(leg, level)
    assert heard_by(leg, next_level) == pytest.approx(0.06)
    if watch.longest < 0.02:
        assert after - before <= 0.06
        assert heard_ms == pytest.approx(1000 * after, abs=40)
