"""The simulator's bad ways: what they do to messages, and what the library makes of them."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scenarios import open_memory_world
from trio.testing import MockClock

from telnyx_trio import Call, ConfigurationError, PcmData, ServerConfig
from telnyx_trio.testing import CALLER_WAV, LegCounters, MediaImpairments, Phone
from telnyx_trio.testing._impairments import ImpairedWay

PTIME = 0.02


def send(impairments: MediaImpairments, n_packets: int = 5000) -> tuple[LegCounters, list[int]]:
    """Send numbered packets, one in 20 ms; return what is counted, and what arrives."""
    counters = LegCounters()
    way = ImpairedWay(impairments, counters)
    arrived: list[str] = []
    for number in range(n_packets):
        while (due := way.next_due()) <= number * PTIME:
            arrived += way.take(due)
        way.put([str(number)], number * PTIME)
    arrived += way.take(math.inf)
    assert way.next_due() == math.inf
    return counters, [int(text) for text in arrived]


def test_loss() -> None:
    """About as many as were asked for; the others come as they were sent."""
    counters, arrived = send(MediaImpairments(loss=0.1))
    assert counters.packets_lost == 5000 - len(arrived)
    assert counters.packets_lost == pytest.approx(500, abs=80)
    assert arrived == sorted(set(arrived))


def test_repeats() -> None:
    """Some come twice, at once."""
    counters, arrived = send(MediaImpairments(repeats=0.1))
    assert counters.packets_repeated == len(arrived) - 5000
    assert counters.packets_repeated == pytest.approx(500, abs=80)
    assert arrived == sorted(arrived)


def test_delay() -> None:
    """What is held up is overtaken, by no more than fit into the time."""
    counters, arrived = send(MediaImpairments(delayed=0.1, max_delay=0.1))
    assert counters.packets_delayed == pytest.approx(500, abs=80)
    assert sorted(arrived) == list(range(5000))
    steps = [after - before for before, after in pairwise(arrived)]
    assert -5 <= min(steps) < 0


def test_impossible_ways() -> None:
    """They are refused by name."""
    impossible: list[dict[str, Any]] = [
        {"loss": 1.5},
        {"repeats": -0.1},
        {"delayed": math.nan},
        {"max_delay": -1.0},
    ]
    for wrong in impossible:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            MediaImpairments(**wrong)


# What the library makes of them.


async def hear(impairments: MediaImpairments, **options: Any) -> tuple[Call, PcmData, LegCounters]:
    """Take a call of somebody who speaks, over a bad way, and listen to its end."""
    heard: list[PcmData] = []
    calls: list[Call] = []

    async def listen(call: Call) -> None:
        calls.append(call)
        heard.extend([pcm async for pcm in call.received])

    async with open_memory_world(listen, call=options) as world:
        phone = Phone(says=CALLER_WAV, hang_up_at=6.0, impairments=impairments)
        leg = await world.carrier.call_in(to="+15550000009", phone=phone)
        await leg.wait_ended()
        await world.assert_nothing_left(inbound=1)
    samples = np.concatenate([pcm.mono_int16() for pcm in heard])
    return calls[0], PcmData(heard[0].sample_rate, samples=samples), leg.counters


@pytest.mark.parametrize("missing_audio", ["conceal", "silence"])
@pytest.mark.parametrize("seed", range(3))
async def test_received_audio_keeps_the_time(
    seed: int, missing_audio: str, autojump_clock: MockClock
) -> None:
    """Whatever is lost, repeated or overtaken: each sample is there once, in its place."""
    _, whole, _ = await hear(MediaImpairments())
    way = MediaImpairments(loss=0.03, repeats=0.03, delayed=0.1, max_delay=0.08, seed=seed)
    call, heard, counters = await hear(way, missing_audio=missing_audio)
    statistics = call.statistics()
    assert statistics.missing == statistics.concealed
    assert statistics.missing - statistics.late <= counters.packets_lost <= statistics.missing
    assert statistics.duplicates + statistics.late >= counters.packets_repeated
    assert statistics.audio_held == 0
    assert statistics.audio_dropped == 0
    # All but what was lost at the very end, which nothing tells of.
    assert whole.n_samples - heard.n_samples in (0, 160, 320)
    assert 0.04 <= statistics.reorder_patience <= 0.2
    packets = [pcm.mono_int16()[: heard.n_samples].reshape(-1, 160) for pcm in (whole, heard)]
    same = np.all(packets[0] == packets[1], axis=1)
    assert np.count_nonzero(~same) <= 2 * statistics.missing


async def test_a_good_way_costs_nothing(autojump_clock: MockClock) -> None:
    """In order, all of it is there and nothing is counted."""
    call, _, counters = await hear(MediaImpairments())
    statistics = call.statistics()
    assert statistics.packets_received == counters.packets_sent
    assert (statistics.missing, statistics.concealed, statistics.duplicates) == (0, 0, 0)


def test_missing_audio_is_checked() -> None:
    """In a server's settings, with all that it may be."""
    with pytest.raises(ConfigurationError, match="conceal, silence"):
        ServerConfig("key", "", call={"missing_audio": "gap"})  # type: ignore[typeddict-item]
