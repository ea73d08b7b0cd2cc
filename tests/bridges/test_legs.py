"""Two phones that hear each other through this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest
import trio
from numpy.typing import NDArray
from scenarios import World, open_memory_world, open_socket_world
from trio.testing import MockClock

from telnyx_trio import BridgedLegs, Call, LocalProtocolError, PcmData, bridge_legs
from telnyx_trio.testing import Leg, Phone

NUMBERS = ("+15550100001", "+15550100002")
RATE = 8000


def noise(seconds: float, seed: int, rate: int = RATE) -> PcmData:
    rng = np.random.default_rng(seed)
    return PcmData(rate, samples=rng.integers(-9000, 9000, round(seconds * rate), np.int16))


def tone(frequency: float, seconds: float, rate: int) -> NDArray[np.int16]:
    times = np.arange(round(seconds * rate)) / rate
    samples: NDArray[np.int16] = (8000 * np.sin(2 * np.pi * frequency * times)).astype(np.int16)
    return samples


def loudness(samples: NDArray[np.int16], frequency: float, rate: int) -> float:
    times = np.arange(samples.size) / rate
    return float(2 * abs(np.mean(samples * np.exp(-2j * np.pi * frequency * times))))


@asynccontextmanager
async def open_pair(
    phones: tuple[Phone, Phone] = (Phone(), Phone()), **options: Any
) -> AsyncIterator[tuple[World, tuple[Call, Call], tuple[Leg, Leg]]]:
    """Call two phones."""
    async with open_memory_world(**options) as world:
        world.carrier.phones.update(zip(NUMBERS, phones, strict=True))
        async with AsyncExitStack() as stack:
            a, b = [
                await stack.enter_async_context(world.server.dial(to=number)) for number in NUMBERS
            ]
            first, second = world.carrier.legs
            yield world, (a, b), (first, second)
        await world.assert_nothing_left(outbound=2)


def heard_of(said: NDArray[np.int16], heard: NDArray[np.int16]) -> int:
    """Samples of one that are in the other, in one piece, wherever it is; 0 if it is in pieces."""
    start = said[200:600]
    for at in range(heard.size - said.size + 1):
        if np.array_equal(heard[at + 200 : at + 600], start):
            same = said == heard[at : at + said.size]
            return int(np.count_nonzero(same))
    return 0


async def test_same_codec_passes_bit_for_bit(autojump_clock: MockClock) -> None:
    """What PCMU made of a voice arrives as it was, both ways."""
    async with open_pair() as (_, (a, b), (first, second)), trio.open_nursery() as nursery:
        nursery.start_soon(bridge_legs, a, b)
        await trio.sleep(0.1)
        first.say(noise(0.5, 1).mono_int16(), RATE)
        second.say(noise(0.5, 2).mono_int16(), RATE)
        await trio.sleep(1.5)
        nursery.cancel_scope.cancel()
    for speaker, listener in ((first, second), (second, first)):
        (said, _), _ = speaker.recording()
        (_, heard), _ = listener.recording()
        loud = np.flatnonzero(said)
        said = said[loud[0] : loud[-1] + 1]
        assert heard_of(said, heard) == said.size


@pytest.mark.parametrize("sent", ["PCMU", "L16"])
async def test_codecs_that_differ(sent: str, autojump_clock: MockClock) -> None:
    """A tone of each side is heard at the other, at its frequency and loudness."""
    phones = (Phone(leg_encoding="PCMA"), Phone(leg_encoding="L16"))
    results: list[BridgedLegs] = []
    options = {"send_encoding": sent, "send_sample_rate": 16000 if sent == "L16" else None}
    async with open_pair(phones, **options) as (_, (a, b), (first, second)):

        async def join() -> None:
            results.append(await bridge_legs(a, b))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(join)
            await trio.sleep(0.5)
            first.say(tone(440, 2.0, RATE), RATE)
            second.say(tone(1000, 2.0, RATE), RATE)
            await trio.sleep(3.0)
            await first.hang_up()
    for listener, frequency in ((second, 440), (first, 1000)):
        (_, heard), rate = listener.recording()
        middle = heard[round(1.5 * rate) : round(2.0 * rate)]
        assert loudness(middle, frequency, rate) == pytest.approx(8000, rel=0.03)
    [result] = results
    assert result.survivor is None
    assert result.a_to_b.converted > 100
    assert result.a_to_b.dropped == 0


@pytest.mark.parametrize("ended", [0, 1])
@pytest.mark.parametrize("hang_up", [True, False])
async def test_one_ends(ended: int, hang_up: bool, autojump_clock: MockClock) -> None:
    """The other one is hung up, or comes back with its audio."""
    async with open_pair() as (_, calls, legs):
        results = []

        async def join() -> None:
            results.append(await bridge_legs(*calls, hang_up=hang_up))
            assert trio.current_time() - hung_up_at < 0.5

        async with trio.open_nursery() as nursery:
            nursery.start_soon(join)
            await trio.sleep(1.0)
            hung_up_at = trio.current_time()
            await legs[ended].hang_up()
        other, leg = calls[1 - ended], legs[1 - ended]
        if hang_up:
            assert results[0].survivor is None
            assert other.outcome is not None
        else:
            assert results[0].survivor is other
            assert leg.is_alive
            leg.say(noise(1.0, 3).mono_int16(), RATE)
            with trio.fail_after(2):
                async for pcm in other.received:
                    if pcm.samples.any():
                        break
            await (await other.play(noise(0.2, 4))).done()


async def test_cancelled_they_go_on_apart(autojump_clock: MockClock) -> None:
    """Neither is hung up, and both have their audio back."""
    async with open_pair() as (_, (a, b), (first, _second)):
        with trio.move_on_after(1.0):
            await bridge_legs(a, b)
        assert a.outcome is None
        assert b.outcome is None
        first.say(noise(1.0, 3).mono_int16(), RATE)
        with trio.fail_after(2):
            async for pcm in a.received:
                if pcm.samples.any():
                    break


async def test_delay_has_a_bound(autojump_clock: MockClock) -> None:
    """A burst behind a stall of a second is not a second of delay for the rest of the call."""
    async with open_pair() as (_, (a, b), (first, second)):
        results = []

        async def join() -> None:
            results.append(await bridge_legs(a, b, max_delay=0.2))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(join)
            await trio.sleep(0.5)
            await b.stream.send_audio(noise(1.0, 5))  # stands for a second of burst
            await trio.sleep(1.5)
            assert b.stream.backlog <= 0.2 + 0.02
            first.say(noise(0.5, 1).mono_int16(), RATE)
            await trio.sleep(1.0)
            await second.hang_up()
        assert 30 < results[0].a_to_b.dropped < 60
        assert results[0].b_to_a.dropped == 0


async def test_what_was_heard_before_is_not_heard_again(autojump_clock: MockClock) -> None:
    """Audio that nobody read before they were joined stays out."""
    phones = (Phone(leg_encoding="PCMA"), Phone())
    async with open_pair(phones) as (_, (a, b), (first, second)):
        first.say(noise(1.0, 1).mono_int16(), RATE)
        await trio.sleep(2.0)
        with trio.move_on_after(1.0):
            await bridge_legs(a, b)
        (_, heard), _ = second.recording()
        assert np.count_nonzero(abs(heard.astype(int)) > 100) == 0


async def test_what_cannot_be_joined(autojump_clock: MockClock) -> None:
    """It is told, and nothing has happened."""
    async with open_pair() as (_, (a, b), _legs):
        with pytest.raises(LocalProtocolError, match="itself"):
            await bridge_legs(a, a)
        with pytest.raises(LocalProtocolError, match="max_delay"):
            await bridge_legs(a, b, max_delay=0)
        assert a.outcome is None
        await a.hangup()
        result = await bridge_legs(a, b, hang_up=False)
        assert result.survivor is b
    async with open_pair(send_mode="mp3") as (_, (a, b), _legs):
        with pytest.raises(LocalProtocolError, match="MP3"):
            await bridge_legs(a, b)


async def test_a_caller_and_a_callee_over_sockets() -> None:
    """A handler that calls somebody and joins the two."""
    worlds: list[World] = []

    async def agent(call: Call) -> None:
        async with worlds[0].server.dial(to=NUMBERS[1]) as other:
            await bridge_legs(call, other)

    async with open_socket_world(agent) as world:
        worlds.append(world)
        voice = tone(440, 1.5, RATE), RATE
        answer = tone(1000, 1.5, RATE), RATE
        world.carrier.phones[NUMBERS[1]] = Phone(says=answer)
        call_in = partial(world.carrier.call_in, to="+15550100000")
        with trio.fail_after(10):
            caller = await call_in(phone=Phone(says=voice, speak_at=0.2, hang_up_at=1.8))
            await caller.wait_ended()
            _, callee = world.carrier.legs
            await callee.wait_ended()
    for leg, frequency in ((caller, 1000), (callee, 440)):
        (_, heard), rate = leg.recording()
        # Piece by piece: a busy machine puts gaps in between, and moves what follows.
        pieces = np.split(heard[: heard.size // 800 * 800], heard.size // 800)
        assert max(loudness(piece, frequency, rate) for piece in pieces) > 4000
