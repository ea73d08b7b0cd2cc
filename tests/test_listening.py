"""No gaps and no clicks: the listener, and what it hears in calls of all kinds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import numpy as np
import pytest
import trio
from listening import find_clicks, listen
from numpy.typing import NDArray
from scenarios import CALLEE, open_memory_world
from test_recording import patiently
from trio.testing import MockClock

from telnyx_trio import PcmData, RawAudio
from telnyx_trio.testing import CALLER_WAV, CarrierSettings

RATES = (8000, 16000, 22050, 24000, 48000)


def tone(seconds: float, rate: int, *, frequency: float = 313.0) -> NDArray[np.int16]:
    times = np.arange(round(seconds * rate)) / rate
    fade = np.minimum(1, np.minimum(times, times[::-1]) / 0.01)
    samples: NDArray[np.int16] = (9000 * fade * np.sin(2 * np.pi * frequency * times)).astype(
        np.int16
    )
    return samples


def test_listener_hears_what_is_wrong() -> None:
    """A step, a missing piece, a piece of silence; and nothing in a voice or a tone."""
    good = tone(2.0, 8000)
    assert listen(good, 8000) == []
    voice = PcmData.from_wav(CALLER_WAV).resample(8000).mono_int16()
    assert find_clicks(voice, 8000) == []
    stepped = good.copy()
    peak = 8000 + int(np.argmax(good[8000:8030]))
    stepped[peak:] = -good[peak:]
    [click] = listen(stepped, 8000)
    assert (click.kind, round(click.at, 2)) == ("click", 1.0)
    silent = good.copy()
    silent[8000:8160] = 0
    gaps = [flaw for flaw in listen(silent, 8000) if flaw.kind == "gap"]
    [gap] = gaps
    assert gap.at == pytest.approx(1.0, abs=0.001)
    assert gap.duration == pytest.approx(0.02, abs=0.001)
    missing = np.concatenate((good[:peak], good[peak + 13 + 5 * 128 :]))
    assert [flaw.kind for flaw in listen(missing, 8000)] == ["click"]


@pytest.mark.parametrize("seed", range(4))
async def test_speech_engines_of_any_kind(
    seed: int, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Chunks of any size and rate, late ones too: one tone, in both records of it."""
    rng = Random(seed)
    rate = rng.choice(RATES)
    said = tone(4.0, rate).tobytes()

    async def chunks() -> AsyncIterator[bytes]:
        position = 0
        began_at = trio.current_time()
        while position < len(said):
            size = rng.choice((1, 333, 960, 4801, 20_000))
            yield said[position : position + size]
            position += size
            ahead = position / 2 / rate - (trio.current_time() - began_at)
            if rng.random() < 0.2:
                await trio.sleep(rng.uniform(0, max(0, min(ahead - 0.1, 0.35))))  # within the lead

    async with open_memory_world() as world, world.server.dial(to=CALLEE) as call:
        (leg,) = world.carrier.legs
        async with patiently(call.record_to(tmp_path / "call.wav")):
            handle = await call.play(RawAudio(chunks(), sample_rate=rate))
            await handle.done()
            assert call.statistics().underruns == 0
        (_, heard), heard_rate = leg.recording()
    recorded = PcmData.from_wav(tmp_path / "call.wav")
    for samples, sample_rate in (
        (heard, heard_rate),
        (np.asarray(recorded.samples[1], np.int16), recorded.sample_rate),
    ):
        assert np.count_nonzero(samples) > 3.9 * sample_rate
        assert listen(samples, sample_rate) == []


@pytest.mark.parametrize("encoding", ["PCMU", "PCMA", "L16", "G722"])
async def test_echo_of_every_codec(encoding: str, autojump_clock: MockClock) -> None:
    """What comes back of a tone is one tone."""
    settings = CarrierSettings(leg_encoding="PCMU" if encoding == "PCMU" else "PCMA")
    async with open_memory_world(settings=settings, send_encoding=encoding) as world:
        async with world.server.dial(to=CALLEE) as call, trio.open_nursery() as nursery:
            (leg,) = world.carrier.legs

            async def echo() -> None:
                async for pcm in call.received:
                    await call.send(pcm)

            nursery.start_soon(echo)
            await trio.sleep(0.1)
            leg.say(tone(3.0, 8000), 8000)
            await trio.sleep(4.0)
            nursery.cancel_scope.cancel()
        (_, heard), rate = leg.recording()
    assert np.count_nonzero(abs(heard) > 100) > 2.5 * rate
    assert listen(heard, rate) == []


async def test_interruptions_click_once(autojump_clock: MockClock) -> None:
    """Where something is cut off there is one edge, and no gap in what follows."""
    async with open_memory_world() as world, world.server.dial(to=CALLEE) as call:
        (leg,) = world.carrier.legs
        rng = Random(7)
        for _ in range(10):
            first = await call.play(PcmData(8000, samples=tone(2.0, 8000)))
            second = await call.play(PcmData(8000, samples=tone(0.5, 8000)))
            await trio.sleep(rng.uniform(0.05, 1.9))
            first.interrupt()
            await second.done()
            await trio.sleep(0.1)
        (_, heard), rate = leg.recording()
    flaws = listen(heard, rate)
    assert sum(flaw.kind == "click" for flaw in flaws) <= 10
    # Silence is where it was asked for, between two turns.
    assert all(flaw.duration > 0.09 for flaw in flaws if flaw.kind == "gap")
