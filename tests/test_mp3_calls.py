"""Calls that send whole MP3 files, against the simulator, which plays them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trio
from audio.audio_signals import tone
from numpy.typing import NDArray
from scenarios import OUR_NUMBER, open_memory_world, open_socket_world
from trio.testing import MockClock

from telnyx_trio import (
    Call,
    CallEnded,
    InvalidMp3,
    LocalProtocolError,
    MarkReturned,
    PcmData,
)
from telnyx_trio.testing import Leg, Phone
from telnyx_trio.testing._mp3 import encode_mp3


def make_mp3(frequency: float, seconds: float) -> bytes:
    return encode_mp3(tone(frequency, 16000, seconds)[np.newaxis], 16000)


def heard_tones(leg: Leg, frequencies: tuple[float, ...]) -> list[NDArray[np.int64]]:
    """For each frequency the tenths of a second, from the start, in which it was heard."""
    (_, heard), rate = leg.recording()
    parts = heard[: len(heard) // (rate // 10) * (rate // 10)].reshape(-1, rate // 10)
    spectrum = np.abs(np.fft.rfft(parts, axis=1)) / (rate // 20)
    return [np.flatnonzero(spectrum[:, round(f / 10)] > 5000) for f in frequencies]


async def wait_mark(call: Call, name: str) -> bool:
    """Return whether it was cleared."""
    async for event in call.events:
        if isinstance(event, MarkReturned) and event.name == name:
            return event.cleared
    raise AssertionError("no such mark")


async def test_files_are_played_one_after_the_other(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """Given at once, sent one a second, heard without a gap where each is longer than that."""
    path = tmp_path / "second.mp3"
    path.write_bytes(make_mp3(900, 1.0))
    times: list[float] = []

    async def agent(call: Call) -> None:
        times.append(trio.current_time())
        await call.send_mp3(make_mp3(500, 1.5))
        await call.send_mp3(path)
        await call.send_mark("said")
        assert await wait_mark(call, "said") is False
        times.append(trio.current_time())
        assert call.statistics().files_sent == 2

    async with open_memory_world(agent, send_mode="mp3") as world:
        leg = await world.carrier.call_in(to=OUR_NUMBER, phone=Phone())
        await leg.wait_ended()
        await world.assert_nothing_left(inbound=1)
    first, second = heard_tones(leg, (500, 900))
    assert times[1] - times[0] == pytest.approx(2.5, abs=0.15)
    assert set(range(1, 14)) <= set(first.tolist()) <= set(range(16))
    assert set(range(16, 24)) <= set(second.tolist()) <= set(range(15, 27))
    assert leg.counters.files_received == 2
    assert (leg.counters.refused_packets, leg.counters.errors_sent) == (0, 0)


async def test_clear_stops_the_file_and_drops_the_next(autojump_clock: MockClock) -> None:
    """Here and at the carrier; the marks come back as cleared."""

    async def agent(call: Call) -> None:
        await call.send_mp3(make_mp3(500, 3.0))
        await call.send_mark("one")
        await call.send_mp3(make_mp3(900, 1.0))
        await call.send_mark("two")
        await trio.sleep(0.5)
        await call.clear()
        assert await wait_mark(call, "one") is True
        assert await wait_mark(call, "two") is True
        await call.send_mp3(make_mp3(700, 0.3))
        await call.send_mark("three")
        assert await wait_mark(call, "three") is False

    async with open_memory_world(agent, send_mode="mp3") as world:
        leg = await world.carrier.call_in(to=OUR_NUMBER, phone=Phone())
        await leg.wait_ended()
        await world.assert_nothing_left(inbound=1)
    first, dropped, third = heard_tones(leg, (500, 900, 700))
    assert first.max() <= 5
    assert not dropped.size
    assert third.size
    assert leg.counters.errors_sent == 0


async def test_over_sockets() -> None:
    """The same messages over loopback, from the path of one command."""

    async def agent(call: Call) -> None:
        await call.send_mp3(make_mp3(500, 0.3))
        await call.send_mark("said")
        await wait_mark(call, "said")

    async with open_socket_world(agent, send_mode="mp3") as world:
        leg = await world.carrier.call_in(to=OUR_NUMBER, phone=Phone())
        await leg.wait_ended()
        await world.assert_nothing_left(inbound=1)
    assert heard_tones(leg, (500,))[0].size >= 2


async def test_the_wrong_kind_is_refused(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Audio in mp3 mode, files in rtp mode, and what is no file: each says what to do."""
    pcm = PcmData(8000, "s16", np.zeros(160, np.int16))
    seen = []

    async def files(call: Call) -> None:
        with pytest.raises(LocalProtocolError, match=r"send_mp3.*rtp"):
            await call.send(pcm)
        with pytest.raises(InvalidMp3):
            await call.send_mp3(b"RIFF")
        with pytest.raises(FileNotFoundError):
            await call.send_mp3(tmp_path / "nothing.mp3")
        with pytest.raises(LocalProtocolError, match="mark"):
            await call.send_mark("")
        seen.append("files")

    async def audio(call: Call) -> None:
        with pytest.raises(LocalProtocolError, match=r"send_audio.*mp3"):
            await call.send_mp3(make_mp3(500, 0.1))
        seen.append("audio")

    for handler, mode in ((files, "mp3"), (audio, "rtp")):
        async with open_memory_world(handler, send_mode=mode) as world:
            leg = await world.carrier.call_in(to=OUR_NUMBER, phone=Phone())
            await leg.wait_ended()
            await world.assert_nothing_left(inbound=1)
    assert seen == ["files", "audio"]


async def test_a_full_queue_waits_and_ends_with_the_call(autojump_clock: MockClock) -> None:
    """The giver of the seventeenth file waits; a clear or the end of the call wakes it."""
    steps: list[object] = []
    content = make_mp3(500, 0.1)

    async def agent(call: Call) -> None:
        for _ in range(17):
            await call.send_mp3(content)
        with trio.move_on_after(0.5) as scope:
            await call.send_mp3(content)
        steps.append(scope.cancelled_caught)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call.send_mp3, content)
            await trio.testing.wait_all_tasks_blocked()
            await call.clear()
        steps.append("cleared")
        with pytest.raises(CallEnded):
            while True:
                await call.send_mp3(content)
        steps.append("ended")

    async with open_memory_world(agent, send_mode="mp3") as world:
        leg = await world.carrier.call_in(to=OUR_NUMBER, phone=Phone(hang_up_at=3.0))
        await leg.wait_ended()
        await world.assert_nothing_left(inbound=1)
    assert steps == [True, "cleared", "ended"]
    assert leg.counters.files_received <= 4
