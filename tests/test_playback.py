"""Playback handles over a whole call in memory: what they say against what the caller heard."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
import trio.testing
from playback_line import LEVELS
from scenarios import CALLEE, World, open_memory_world
from stream_peer import mark_text, running_stream
from trio.testing import MockClock

from telnyx_trio import (
    Call,
    CallEnded,
    EndReason,
    InvalidWav,
    LocalProtocolError,
    MarkReturned,
    PcmData,
    Playback,
    PlaybackState,
    RawAudio,
)
from telnyx_trio._sender import MARK_TIMEOUT, MAX_SEND_QUEUE
from telnyx_trio.testing import Leg

RATE = 8000
LEVEL = int(LEVELS[0])


def steady(seconds: float, level: int = LEVEL, rate: int = RATE) -> PcmData:
    """So long the same sample, which the record then shows."""
    return PcmData(rate, samples=np.full(round(seconds * rate), level, np.int16))


def heard_by(leg: Leg, level: int = LEVEL) -> float:
    """Seconds of that sample in what the caller heard."""
    (_, heard), rate = leg.recording()
    return int(np.count_nonzero(heard == level)) / rate


@asynccontextmanager
async def open_line(**options: Any) -> AsyncIterator[tuple[World, Call, Leg]]:
    """Call somebody who listens."""
    async with open_memory_world(**options) as world:
        async with world.server.dial(to=CALLEE) as call:
            (leg,) = world.carrier.legs
            yield world, call, leg
        await world.assert_nothing_left(outbound=1)


# What can be played.


def _chunks(pcm: PcmData, n: int) -> Iterator[PcmData]:
    for part in np.array_split(pcm.mono_int16(), n):
        yield PcmData(pcm.sample_rate, samples=part)


async def _later(pcm: PcmData, n: int) -> AsyncIterator[PcmData]:
    for chunk in _chunks(pcm, n):
        await trio.sleep(0.01)
        yield chunk


async def _bytes_later(content: bytes, n: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), n):
        await trio.sleep(0.001)
        yield content[start : start + n]


SOURCES: dict[str, Callable[[PcmData], Any]] = {
    "PcmData": lambda pcm: pcm,
    "list": lambda pcm: [pcm],
    "generator": lambda pcm: _chunks(pcm, 13),
    "async generator": lambda pcm: _later(pcm, 7),
    "raw bytes": lambda pcm: RawAudio(pcm.to_bytes(), RATE),
    "raw chunks": lambda pcm: RawAudio(_bytes_later(pcm.to_bytes(), 333), RATE),
    "raw list": lambda pcm: RawAudio([pcm.to_bytes()[:1], b"", pcm.to_bytes()[1:]], RATE),
    "raw stereo floats": lambda pcm: RawAudio(
        [np.repeat(pcm.to_float32().samples, 2).astype("<f4").tobytes()], RATE, "f32", channels=2
    ),
}


@pytest.mark.parametrize("kind", SOURCES)
async def test_sources(kind: str, autojump_clock: MockClock) -> None:
    """All of it is heard, sample by sample, from whatever it comes."""
    async with open_line() as (_, call, leg):
        handle = await call.play(SOURCES[kind](steady(0.5)))
        assert await handle.done() is PlaybackState.DONE
        assert handle.heard_ms == pytest.approx(500)
        assert heard_by(leg) == pytest.approx(0.5)


async def test_path_of_a_wav_file(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A path, as text or not; what cannot be read is told at once."""
    steady(0.2).write_wav(tmp_path / "a.wav")
    (tmp_path / "b.wav").write_bytes(b"no audio")
    async with open_line() as (_, call, leg):
        await (await call.play(tmp_path / "a.wav")).done()
        await (await call.play(str(tmp_path / "a.wav"))).done()
        assert heard_by(leg) == pytest.approx(0.4)
        with pytest.raises(InvalidWav):
            await call.play(tmp_path / "b.wav")
        with pytest.raises(FileNotFoundError):
            await call.play(tmp_path / "c.wav")


async def test_rates_that_change_between_chunks(autojump_clock: MockClock) -> None:
    """As speech engines do."""
    rates = (8000, 24000, 48000, 22050)
    async with open_line() as (_, call, leg):
        handle = await call.play([steady(0.25, 8031, rate) for rate in rates])
        await handle.done()
        (_, heard), rate = leg.recording()
        assert np.count_nonzero(heard > 4000) / rate == pytest.approx(1.0, abs=0.005)


@pytest.mark.parametrize("source", [b"\0\0", bytearray(2), 7, None])
async def test_what_cannot_be_played_is_refused(source: Any, autojump_clock: MockClock) -> None:
    """At once, with what to do instead; nothing of it stays in the queue."""
    async with open_line() as (_, call, leg):
        with pytest.raises(TypeError, match="RawAudio"):
            await call.play(source)
        await (await call.play(steady(0.1))).done()
        assert heard_by(leg) == pytest.approx(0.1)


_TEXT: Any = "a"


@pytest.mark.parametrize(
    ("source", "hint"),
    [([b"\0\0"], "RawAudio"), ([_TEXT], "PcmData"), (RawAudio([_TEXT], 8000), "bytes")],
)
async def test_wrong_chunks_fail_the_handle(
    source: Any, hint: str, autojump_clock: MockClock
) -> None:
    """Chunks are looked at when they come."""
    async with open_line() as (_, call, _):
        handle = await call.play(source)
        with pytest.raises(TypeError, match=hint):
            await handle.done()


def test_raw_audio_needs_a_possible_rate() -> None:
    """It is checked when it is made."""
    with pytest.raises(ValueError, match="Hz"):
        RawAudio(b"", 0)
    with pytest.raises(ValueError, match="format"):
        RawAudio(b"", 8000, "s24")


# Its life.


async def test_states(autojump_clock: MockClock) -> None:
    """Queued, playing, done; heard grows from 0 to all."""
    async with open_line() as (_, call, _):
        first, second = [await call.play(steady(0.5)) for _ in range(2)]
        assert (first.state, second.state) == (PlaybackState.QUEUED, PlaybackState.QUEUED)
        await trio.sleep(0.25)
        assert (first.state, second.state) == (PlaybackState.PLAYING, PlaybackState.QUEUED)
        assert first.heard_ms == pytest.approx(250, abs=1)
        assert second.heard_ms == 0
        assert "playing, 250 ms heard" in repr(first)
        assert await first.done() is PlaybackState.DONE
        assert first.state is PlaybackState.DONE
        await trio.sleep(0.1)
        assert second.state is PlaybackState.PLAYING
        assert await second.done() is PlaybackState.DONE
    assert [first.heard_ms, second.heard_ms] == pytest.approx([500, 500])


async def test_play_returns_before_it_is_heard(autojump_clock: MockClock) -> None:
    """However long it is."""
    async with open_line() as (_, call, _):
        began_at = trio.current_time()
        await call.play(steady(60))
        assert trio.current_time() == began_at


async def test_interrupt_the_one_that_plays(autojump_clock: MockClock) -> None:
    """It says what was heard, and all that follows is heard whole."""
    async with open_line() as (_, call, leg):
        levels = [int(level) for level in LEVELS[:4]]
        handles = [await call.play(steady(0.6, level)) for level in levels[:3]]
        await call.send(steady(0.1, levels[3]))
        await trio.sleep(0.4)
        heard_ms = handles[0].interrupt()
        assert heard_ms == handles[0].heard_ms == pytest.approx(400, abs=1)
        assert await handles[0].done() is PlaybackState.INTERRUPTED
        assert await handles[2].done() is PlaybackState.DONE
        await call.drain()
        assert [heard_by(leg, level) for level in levels[1:]] == pytest.approx([0.6, 0.6, 0.1])
        assert heard_by(leg, levels[0]) == pytest.approx(heard_ms / 1000, abs=0.001)
        assert handles[0].interrupt() == heard_ms
        assert handles[1].interrupt() == pytest.approx(600)
        assert handles[1].state is PlaybackState.DONE


async def test_interrupt_before_it_began(autojump_clock: MockClock) -> None:
    """Nothing of it is heard; its neighbours are, and Telnyx is told nothing if it had none."""
    async with open_line() as (_, call, leg):
        levels = [int(level) for level in LEVELS[:3]]
        handles = [await call.play(steady(1, level)) for level in levels]
        await trio.sleep(0.1)
        assert handles[1].interrupt() == 0
        assert handles[1].state is PlaybackState.INTERRUPTED
        await call.drain()
        assert [heard_by(leg, level) for level in levels] == pytest.approx([1, 0, 1])
        assert leg.counters.clears == 0


async def test_clear_interrupts_all(autojump_clock: MockClock) -> None:
    """Marks of the user's come back as cleared; the handles' own are no events."""
    async with open_line() as (_, call, leg):
        handles = [await call.play(steady(2.5)), await call.play(_later(steady(1), 3))]
        await call.send_mark("mine")
        await trio.sleep(1.3)
        await call.clear()
        states = [await handle.done() for handle in handles]
        assert states == [PlaybackState.INTERRUPTED] * 2
        async for event in call.events:
            if isinstance(event, MarkReturned):
                assert event == MarkReturned("mine", cleared=True)
                break
        assert handles[0].heard_ms == pytest.approx(1300, abs=1)
        assert heard_by(leg) == pytest.approx(1.3, abs=0.001)
        assert leg.counters.marks_returned > 1


async def test_source_that_raises(autojump_clock: MockClock) -> None:
    """The handle fails with that error, what came before is heard, and the call goes on."""

    async def speak() -> AsyncIterator[PcmData]:
        yield steady(0.3)
        raise ConnectionError("the speech engine is gone")

    async with open_line() as (_, call, leg):
        failing, next_one = await call.play(speak()), await call.play(steady(0.2, int(LEVELS[1])))
        with pytest.raises(ConnectionError, match="gone"):
            await failing.done()
        assert failing.state is PlaybackState.FAILED
        assert await next_one.done() is PlaybackState.DONE
        assert heard_by(leg) == pytest.approx(0.3)
        assert failing.heard_ms == pytest.approx(300)
        assert failing.state is PlaybackState.FAILED


async def test_failed_one_can_be_interrupted(autojump_clock: MockClock) -> None:
    """What it gave before it failed is dropped then; it stays failed."""

    def speak() -> Iterator[PcmData]:
        yield steady(2)
        raise ConnectionError

    async with open_line() as (_, call, leg):
        handle = await call.play(speak())
        await trio.sleep(0.5)
        assert handle.interrupt() == pytest.approx(500, abs=1)
        await trio.sleep(1)
        assert heard_by(leg) == pytest.approx(0.5, abs=0.001)
        assert handle.state is PlaybackState.FAILED


async def test_generator_is_closed_when_interrupted(autojump_clock: MockClock) -> None:
    """At its await, or where it waits to be read on; one that complains of it is no failure."""
    closed: list[str] = []

    async def wait_for_ever() -> AsyncGenerator[PcmData, None]:
        try:
            yield steady(0.1)
            await trio.sleep_forever()
        finally:
            closed.append("waits")

    async def too_much() -> AsyncGenerator[PcmData, None]:
        try:
            while True:
                yield steady(1)
        finally:
            closed.append("too much")
            raise OSError("cannot close")

    def synchronous() -> Iterator[PcmData]:
        try:
            while True:
                yield steady(1)
        finally:
            closed.append("synchronous")

    async with open_line() as (_, call, _):
        handles = [await call.play(s()) for s in (wait_for_ever, too_much, synchronous)]
        await trio.sleep(0.5)
        for handle in handles:
            handle.interrupt()
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(closed) == ["synchronous", "too much", "waits"]
        assert call.nursery.child_tasks == set()
        assert {handle.state for handle in handles} == {PlaybackState.INTERRUPTED}


async def test_channel_is_left_open(autojump_clock: MockClock) -> None:
    """Another playback may go on reading it."""
    send_channel, receive_channel = trio.open_memory_channel[PcmData](10)
    async with open_line() as (_, call, leg):
        handle = await call.play(receive_channel)
        send_channel.send_nowait(steady(0.1))
        await trio.sleep(0.5)
        handle.interrupt()
        again = await call.play(receive_channel)
        send_channel.send_nowait(steady(0.1))
        send_channel.close()
        await again.done()
        assert heard_by(leg) == pytest.approx(0.2)
    receive_channel.close()


async def test_source_is_read_no_further_than_needed(autojump_clock: MockClock) -> None:
    """Two seconds and what is on its way, also while it waits for its turn."""
    read = [0.0, 0.0]

    def count(number: int) -> Iterator[PcmData]:
        while True:
            read[number] += 0.1
            yield steady(0.1)

    async with open_line() as (_, call, _):
        first, second = [await call.play(count(number)) for number in (0, 1)]
        await trio.sleep(5)
        assert read[0] == pytest.approx(5 + 0.4 + MAX_SEND_QUEUE, abs=0.3)
        assert read[1] == pytest.approx(MAX_SEND_QUEUE, abs=0.2)
        first.interrupt()
        second.interrupt()


async def test_far_party_hangs_up(autojump_clock: MockClock) -> None:
    """The handles fail with CallEnded, and keep what was heard."""
    async with open_memory_world() as world:
        async with world.server.dial(to=CALLEE) as call:
            handles = [await call.play(steady(5)), await call.play(_later(steady(5), 9))]
            await trio.sleep(0.5)
            (leg,) = world.carrier.legs
            await leg.hang_up()
            for handle in handles:
                with pytest.raises(CallEnded):
                    await handle.done()
                assert handle.state is PlaybackState.FAILED
            for use in (call.play(steady(1)), call.drain()):
                with pytest.raises(CallEnded):
                    await use
            await call.hangup(after_playback=True)
        assert 1000 * heard_by(leg) == pytest.approx(handles[0].heard_ms, abs=40)
        assert handles[1].interrupt() == 0


async def test_left_with_the_call(autojump_clock: MockClock) -> None:
    """Leaving does not wait for it."""
    async with open_line() as (_, call, _):
        handle = await call.play(steady(60))
        await trio.sleep(0.5)
    assert handle.state is PlaybackState.INTERRUPTED
    assert handle.heard_ms == pytest.approx(500, abs=1)


async def test_plays_before_the_media_start(autojump_clock: MockClock) -> None:
    """What is played before ``start`` waits for it."""
    async with running_stream(started=False) as (stream, peer), trio.open_nursery() as nursery:
        handle = await stream.play(steady(0.1), nursery)
        gone = await stream.play(steady(0.1), nursery)
        await trio.sleep(1)
        assert (handle.state, handle.heard_ms) == (PlaybackState.QUEUED, 0)
        gone.interrupt()
        await peer.send('{"event":"start","start":{"media_format":{"encoding":"PCMU"}}}')
        await trio.sleep(0.2)
        assert peer.events == ["media"] * 5 + ["mark"]
        await peer.send(mark_text(peer.received[-1][1]["mark"]["name"]))
        assert await handle.done() is PlaybackState.DONE


# The end.


async def test_marks_that_never_come(autojump_clock: MockClock) -> None:
    """The end counts as heard some time after the clock says so, and that is counted."""
    async with running_stream() as (stream, _), trio.open_nursery() as nursery:
        began_at = trio.current_time()
        handle = await stream.play(steady(1.0), nursery)
        assert await handle.done() is PlaybackState.DONE
        assert trio.current_time() - began_at == pytest.approx(1 + MARK_TIMEOUT, abs=0.01)
        assert stream.statistics().marks_missing == 1
        await stream.drain()
        assert trio.current_time() - began_at == pytest.approx(1 + 2 * MARK_TIMEOUT, abs=0.01)


async def test_drain_waits_for_all(autojump_clock: MockClock) -> None:
    """For what was sent and played, and not for what comes later or is dropped."""
    async with open_line() as (_, call, leg):
        await call.drain()
        began_at = trio.current_time()
        await call.send(steady(0.3))
        handle = await call.play(steady(0.4))
        await call.drain()
        assert trio.current_time() - began_at == pytest.approx(0.7, abs=0.01)
        assert handle.state is PlaybackState.DONE
        assert heard_by(leg) == pytest.approx(0.7)
        handle = await call.play(steady(30))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call.drain)
            await trio.sleep(0.5)
            handle.interrupt()
        assert trio.current_time() - began_at == pytest.approx(1.2, abs=0.01)


async def test_hangup_after_playback(autojump_clock: MockClock) -> None:
    """The last words are heard."""
    async with open_memory_world() as world:
        async with world.server.dial(to=CALLEE) as call:
            (leg,) = world.carrier.legs
            await call.play(_later(steady(1.5), 20))
            await call.hangup(after_playback=True)
            assert heard_by(leg) == pytest.approx(1.5)
        assert call.outcome is not None
        assert (call.outcome.ended_by, call.outcome.reason) == ("us", EndReason.HANGUP)
        assert leg.hangup is not None
        assert leg.hangup.source == "caller"


async def test_cancelled_waits_change_nothing(autojump_clock: MockClock) -> None:
    """Cancelled in done, in drain and in hangup(after_playback), it plays on."""
    async with open_line() as (_, call, leg):
        handle = await call.play(steady(1))
        for wait in (handle.done, call.drain, lambda: call.hangup(after_playback=True)):
            with trio.move_on_after(0.1) as scope:
                await wait()
            assert scope.cancelled_caught
        assert call.outcome is None
        assert await handle.done() is PlaybackState.DONE
        await call.drain()
        assert heard_by(leg) == pytest.approx(1)
        assert leg.counters.clears == 0


async def test_cancelled_play_plays_nothing(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Also while a file is read."""
    steady(1).write_wav(tmp_path / "a.wav")
    async with open_line() as (_, call, leg):
        for source in (steady(1), str(tmp_path / "a.wav")):
            with trio.CancelScope() as scope:
                scope.cancel()
                await call.play(source)
            assert scope.cancelled_caught
        await call.drain()
        assert heard_by(leg) == 0


async def test_reserved_names_of_marks(autojump_clock: MockClock) -> None:
    """The library's own."""
    async with open_line() as (_, call, _):
        with pytest.raises(LocalProtocolError, match="reserved"):
            await call.send_mark("telnyx-trio:1:end")


async def test_checkpoints(autojump_clock: MockClock) -> None:
    """Each waits, or lets others run."""
    async with open_line() as (_, call, _):
        with trio.testing.assert_checkpoints():
            handle = await call.play(steady(0.1))
        await handle.done()
        with trio.testing.assert_checkpoints():
            await handle.done()
        with trio.testing.assert_checkpoints():
            await call.drain()


async def test_idle_audio_is_an_option_of_calls(autojump_clock: MockClock) -> None:
    """Packets flow from the start, and speech goes over them."""
    async with open_line(call={"idle_audio": "noise"}) as (_, call, leg):
        await trio.sleep(1)
        assert leg.counters.packets_received == pytest.approx(50, abs=3)
        await (await call.play(steady(0.3))).done()
        assert heard_by(leg) == pytest.approx(0.3)
        assert leg.audio.player.underruns == 0


async def test_a_hundred_interruptions(autojump_clock: MockClock) -> None:
    """At random moments, in queues of random lengths: heard_ms is what was heard, within 40 ms."""
    random_ = random.Random(4)
    async with open_line() as (_, call, leg):
        for _ in range(100):
            before = {level: heard_by(leg, level) for level in map(int, LEVELS[:4])}
            handles: dict[int, Playback] = {}
            for level in map(int, LEVELS[: random_.randint(1, 4)]):
                source = steady(random_.uniform(0.02, 0.9), level)
                handles[level] = await call.play(
                    source if random_.random() < 0.7 else _later(source, 5)
                )
            await trio.sleep(random_.uniform(0, 1.0))
            for handle in random_.sample(list(handles.values()), random_.randint(1, len(handles))):
                handle.interrupt()
            await call.drain()
            for level, handle in handles.items():
                heard_ms = 1000 * (heard_by(leg, level) - before[level])
                assert handle.heard_ms == pytest.approx(heard_ms, abs=2)
                await handle.done()
        assert call.statistics().marks_missing == 0
