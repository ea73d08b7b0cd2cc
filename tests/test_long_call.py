"""Ten minutes of a call in some seconds: nothing is lost, nothing drifts, nothing piles up."""

from __future__ import annotations

import sys
import time
from typing import Final

import numpy as np
import pytest
import trio
from scenarios import OUR_NUMBER, Agent, open_memory_world
from trio.testing import MockClock

from telnyx_trio import EndReason, PcmData
from telnyx_trio.testing import Phone

N_PACKETS: Final = 30_000
MINUTES: Final = 10

LONGEST: Final = 20.0
"""Seconds of real time that the call may take."""


async def test_ten_minutes_of_echo(
    autojump_clock: MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    """30,000 packets come, are decoded, echoed, and heard by the caller without a gap."""
    agent = Agent(speech=PcmData(8000))
    caller = Phone(noise=3000, hang_up_at=MINUTES * 60 + 0.01)
    began_at, simulated_from = time.perf_counter(), trio.current_time()
    async with open_memory_world(agent) as world:
        leg = await world.carrier.call_in(to=OUR_NUMBER, phone=caller)
        await leg.wait_ended()
        await world.assert_nothing_left(inbound=1)
    took, simulated = time.perf_counter() - began_at, trio.current_time() - simulated_from
    with capsys.disabled():
        sys.stdout.write(f"\nten-minute call: {simulated:.0f} s of it in {took:.1f} s ")

    assert leg.counters.packets_sent == N_PACKETS
    assert leg.counters.packets_received == N_PACKETS
    assert leg.counters.short_packets == leg.counters.refused_packets == 0
    assert agent.statistics is not None
    assert agent.statistics.packets_received == N_PACKETS
    assert agent.statistics.packets_sent == N_PACKETS
    agent.assert_all_packets_came()
    assert agent.outcome.reason is EndReason.HANGUP

    assert leg.audio.player.underruns == 0
    (said, heard), sample_rate = leg.recording()
    packet = sample_rate // 50
    assert np.array_equal(heard[packet : sample_rate * 600], said[: sample_rate * 600 - packet])
    assert took < LONGEST
