"""Who speaks: events, waiting, and playbacks that give way."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import pytest
import trio
from numpy.typing import NDArray
from playback_line import LEVELS
from scenarios import CALLEE, open_memory_world, open_socket_world
from test_playback import heard_by, open_line, steady
from test_playback_sockets import ATTEMPTS, Watch
from trio.testing import MockClock

from telnyx_trio import (
    Call,
    CallEnded,
    ConfigurationError,
    LocalProtocolError,
    MediaStream,
    PcmData,
    PlaybackState,
    ServerConfig,
    SpeechEdge,
    SpeechEnded,
    SpeechStarted,
    VoiceGate,
)
from telnyx_trio._speech import SpeechWatch
from telnyx_trio.testing import CALLER_WAV, GREETING_WAV, Leg, Phone, memory_websocket_pair

LEVEL: Final = int(LEVELS[0])
OTHER_LEVEL: Final = int(LEVELS[1])

SENTENCE: Final = PcmData.from_wav(GREETING_WAV)


def say(leg: Leg) -> None:
    """The far party speaks for two seconds and a half."""
    leg.say(SENTENCE.mono_int16(), SENTENCE.sample_rate)


class ScriptedDetector:
    """Says what it is told to, at the packets that it is told.

    Args:
        script: edges by the number of the packet.
    """

    def __init__(self, script: dict[int, Sequence[SpeechEdge]]) -> None:
        self.script = script
        self.n_packets = 0
        self.n_samples = 0

    def process(self, samples: NDArray[np.int16]) -> Sequence[SpeechEdge]:
        self.n_packets += 1
        self.n_samples += len(samples)
        return self.script.get(self.n_packets, ())


# Without a call.


def make_watch(script: dict[int, Sequence[SpeechEdge]]) -> tuple[SpeechWatch, list[Any]]:
    events: list[Any] = []
    watch = SpeechWatch(lambda rate: ScriptedDetector(script), events.append, can_hear=True)
    return watch, events


def test_edges_become_events_on_the_receive_clock() -> None:
    """An edge is as long ago as the detector says; the first one not before the beginning."""
    began, ended = SpeechEdge(True, 0.05), SpeechEdge(False, 0.03)
    watch, events = make_watch({2: [began], 5: [ended, SpeechEdge(True, 0.01)]})
    speaking = []
    for number in range(1, 6):
        watch.hear(steady(0.02), number * 0.02)
        speaking.append(watch.speaking)
    assert speaking == [False, True, True, True, True]
    assert [type(event) for event in events] == [SpeechStarted, SpeechEnded, SpeechStarted]
    assert [event.at for event in events] == pytest.approx([0.0, 0.07, 0.09])
    assert [event.detected_at for event in events] == pytest.approx([0.04, 0.1, 0.1])


def test_listeners_are_told_of_beginnings_alone() -> None:
    """In the order in which they came, and until they are removed; one may remove itself."""
    watch, _ = make_watch({n: [SpeechEdge(n % 2 == 1, 0.0)] for n in range(1, 7)})
    told = []

    def once(started: SpeechStarted) -> None:
        told.append("once")
        watch.remove_listener(once)

    watch.add_listener(once)
    watch.add_listener(lambda started: told.append(f"{started.at:.2f}"))
    for number in range(1, 7):
        watch.hear(steady(0.02), number * 0.02)
    assert told == ["once", "0.02", "0.06", "0.10"]


def test_nothing_listens_unless_it_is_needed() -> None:
    """The voice gate takes over when there is need."""
    watch = SpeechWatch(None, lambda event: None, can_hear=True)
    speaking = []
    for _ in range(2):
        for start in range(0, SENTENCE.n_samples, 320):
            packet = PcmData(16000, samples=SENTENCE.mono_int16()[start : start + 320])
            watch.hear(packet, start / 16000)
        speaking.append(watch.speaking)
        watch.need()
    assert speaking == [False, True]


def test_voice_activity_must_make_a_detector() -> None:
    """True, or a detector of one call for all, is refused where it is given."""
    with pytest.raises(TypeError, match="VoiceGate"):
        MediaStream(memory_websocket_pair()[0], voice_activity=True)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="VoiceGate"):
        ServerConfig("key", "", call={"voice_activity": True})  # type: ignore[typeddict-item]


# In a call.


async def test_events_and_waiting(autojump_clock: MockClock) -> None:
    """The far party speaks once: events say from when to when, and waiters are let go."""
    async with open_line(call={"voice_activity": VoiceGate}) as (_, call, leg):
        assert not call.is_speaking
        await call.wait_speech_ended()  # at once: nobody has begun
        await trio.sleep(1)
        began = call.stream.statistics().packets_received * 0.02
        say(leg)
        await call.wait_speech_started()
        assert call.is_speaking
        await call.wait_speech_started()  # at once
        await call.wait_speech_ended()
        assert not call.is_speaking
        started, ended = [await _next_speech_event(call) for _ in range(2)]
        assert isinstance(started, SpeechStarted)
        assert started.at == pytest.approx(began, abs=0.12)
        assert started.detected_at - started.at < 0.3
        assert isinstance(ended, SpeechEnded)
        assert ended.at == pytest.approx(began + SENTENCE.duration, abs=0.4)


async def _next_speech_event(call: Call) -> SpeechStarted | SpeechEnded:
    async for event in call.events:
        if isinstance(event, (SpeechStarted, SpeechEnded)):
            return event
    raise AssertionError("the call has ended")


async def test_waiting_ends_with_the_call(autojump_clock: MockClock) -> None:
    """Who waits for somebody who has hung up is told so."""
    async with open_line() as (_, call, leg):
        call.nursery.start_soon(leg.hang_up)
        with pytest.raises(CallEnded):
            await call.wait_speech_started()
        with pytest.raises(CallEnded):
            await call.wait_speech_started()


async def test_barge_in(autojump_clock: MockClock) -> None:
    """A playback gives way within 60 ms of the detection, and says what was heard of it."""
    async with open_line() as (_, call, leg):
        handle = await call.play(steady(10), barge_in=True)
        following = await call.play(steady(10, OTHER_LEVEL), barge_in=True)
        await trio.sleep(1)
        say(leg)
        await call.wait_speech_started()
        before = heard_by(leg)
        assert await handle.done() is PlaybackState.INTERRUPTED
        assert await following.done() is PlaybackState.INTERRUPTED
        await trio.sleep(1)
        after = heard_by(leg)
        assert 1.0 < before <= after <= before + 0.06
        assert handle.heard_ms == pytest.approx(1000 * after, abs=40)
        assert heard_by(leg, OTHER_LEVEL) == following.heard_ms == 0
        assert handle.barged_in is not None
        assert handle.barged_in == following.barged_in
        assert handle.barged_in.detected_at - handle.barged_in.at < 0.3


@pytest.mark.parametrize("seed", range(3))
async def test_barge_in_at_any_time(seed: int, autojump_clock: MockClock) -> None:
    """Over a line with noise, however loud and whenever the far party speaks."""
    random_ = random.Random(seed)
    sentence = PcmData.from_wav(random_.choice([GREETING_WAV, CALLER_WAV]))
    samples = np.rint(sentence.mono_int16() * random_.uniform(0.2, 1)).astype(np.int16)
    phone = Phone(noise=random_.choice([0, 50, 300]))
    async with open_memory_world() as world:
        world.carrier.phones[CALLEE] = phone
        async with world.server.dial(to=CALLEE) as call:
            (leg,) = world.carrier.legs
            await trio.sleep(random_.uniform(0, 1))
            handle = await call.play(steady(10), barge_in=True)
            await trio.sleep(random_.uniform(0.05, 2))
            assert not call.is_speaking
            leg.say(samples, sentence.sample_rate)
            await call.wait_speech_started()
            before = heard_by(leg)
            assert await handle.done() is PlaybackState.INTERRUPTED
            await trio.sleep(1)
            assert heard_by(leg) <= before + 0.06
            assert handle.heard_ms == pytest.approx(1000 * heard_by(leg), abs=40)
            assert handle.barged_in is not None
            assert handle.barged_in.detected_at - handle.barged_in.at <= 0.3


async def test_other_playbacks_do_not_give_way(autojump_clock: MockClock) -> None:
    """What was played without barge_in is heard to its end, and so is what nobody interrupts."""
    async with open_line() as (_, call, leg):
        plain = await call.play(steady(3))
        polite = await call.play(steady(3, OTHER_LEVEL), barge_in=True)
        say(leg)
        assert await plain.done() is PlaybackState.DONE
        assert await polite.done() is PlaybackState.INTERRUPTED
        await call.wait_speech_ended()
        undisturbed = await call.play(steady(0.5, OTHER_LEVEL), barge_in=True)
        assert await undisturbed.done() is PlaybackState.DONE
        say(leg)
        await call.wait_speech_started()
        assert plain.barged_in is undisturbed.barged_in is None
        assert heard_by(leg) == pytest.approx(3)
        assert heard_by(leg, OTHER_LEVEL) == pytest.approx(0.5)


async def test_what_is_being_said_interrupts_nothing_new(autojump_clock: MockClock) -> None:
    """A playback that starts while the far party speaks gives way to the next that is said."""
    async with open_line() as (_, call, leg):
        say(leg)
        await call.wait_speech_started()
        handle = await call.play(steady(1), barge_in=True)
        assert await handle.done() is PlaybackState.DONE


async def test_far_party_must_be_on_the_track(autojump_clock: MockClock) -> None:
    """Where only our own voice is received, nobody can be waited for; it says what to do."""
    async with open_line(call={"track": "outbound"}) as (_, call, _):
        with pytest.raises(LocalProtocolError, match="both"):
            await call.play(steady(1), barge_in=True)
        with pytest.raises(LocalProtocolError, match="both"):
            await call.wait_speech_started()


async def test_a_detector_of_the_users(autojump_clock: MockClock) -> None:
    """A factory is given the rate, once a call; its detector gets all of the audio."""
    made = []

    def make(rate: int) -> ScriptedDetector:
        made.append((rate, ScriptedDetector({10: [SpeechEdge(True, 0.1)]})))
        return made[-1][1]

    async with open_line(call={"voice_activity": make}) as (_, call, _):
        await call.wait_speech_started()
        ((rate, detector),) = made
        assert rate == 8000
        assert detector.n_samples == 10 * 160
        assert call.stream.statistics().packets_received == 10


async def test_an_error_of_a_detector_ends_the_call(autojump_clock: MockClock) -> None:
    """As an error of the handler's would; nothing is left."""

    def make(rate: int) -> VoiceGate:
        raise RuntimeError("no model")

    async with open_memory_world(call={"voice_activity": make}) as world:
        with pytest.raises(RuntimeError, match="no model"):
            async with world.server.dial(to=CALLEE) as call:
                await call.wait_ended()
        assert world.carrier.live_legs() == []


# Over sockets.


async def _barge_in(call: Call, leg: Leg) -> None:
    handle = await call.play(steady(10), barge_in=True)
    await trio.sleep(0.3)
    say(leg)
    await call.wait_speech_started()
    before = heard_by(leg)
    assert await handle.done() is PlaybackState.INTERRUPTED
    heard_ms = handle.heard_ms
    await trio.sleep(0.1)
    after = heard_by(leg)
    assert after - before <= 0.06
    assert heard_ms == pytest.approx(1000 * after, abs=40)


async def test_barge_in_over_sockets() -> None:
    """In real time: the simulated caller speaks, and the record says what was heard."""
    gate = partial(VoiceGate, min_speech=0.04)
    async with open_socket_world(call={"voice_activity": gate}) as world:
        for _ in range(ATTEMPTS):
            async with world.server.dial(to=CALLEE) as call:
                leg = world.carrier.legs[-1]
                watch = Watch()
                call.nursery.start_soon(watch.run)
                try:
                    await _barge_in(call, leg)
                except AssertionError:
                    if watch.longest < 0.02:
                        raise
                else:
                    return
    pytest.fail("the machine is too busy for any call in real time")
