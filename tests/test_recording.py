"""Recording in this process, over a whole call in memory: against the simulator's own record."""

from __future__ import annotations

import random
import resource
import signal
import subprocess
import sys
import textwrap
import wave
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
from numpy.typing import NDArray
from scenarios import CALLEE, open_memory_world
from stream_peer import media_text, running_stream
from trio.testing import MockClock

from telnyx_trio import (
    Call,
    CallEnded,
    LocalProtocolError,
    LocalRecording,
    PcmData,
    pcm_to_pcmu,
)
from telnyx_trio._recording import open_local_recording
from telnyx_trio._recording._wav_file import WavFile
from telnyx_trio.testing import CarrierSettings, Leg, Phone

RATE = 8000
MINUTES = 3


class PatientClock(trio.abc.Instrument):
    """Holds a jumping clock while a thread is at work: a disk would seem to hang otherwise."""

    def __init__(self, clock: MockClock) -> None:
        self.recording: LocalRecording | None = None
        self._clock = clock
        self._limiter = trio.to_thread.current_default_thread_limiter()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        threshold = inf if self._limiter.borrowed_tokens else 0
        if self._clock.autojump_threshold != threshold:
            self._clock.autojump_threshold = threshold

    def before_io_wait(self, timeout: float) -> None:
        # Nobody is woken when a write is done.
        if self.recording is not None and self.recording._writer is not None:
            self.recording._writer._idle.wait()


@asynccontextmanager
async def patiently(
    manager: AbstractAsyncContextManager[LocalRecording],
) -> AsyncIterator[LocalRecording]:
    """Record under a jumping clock."""
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock)
    patience = PatientClock(clock)
    trio.lowlevel.add_instrument(patience)
    try:
        async with manager as patience.recording:
            yield patience.recording
    finally:
        trio.lowlevel.remove_instrument(patience)


def read(path: Path) -> tuple[NDArray[np.int16], int]:
    """Left and right, shape (2, n), and the rate."""
    pcm = PcmData.from_wav(path)
    assert pcm.channels == 2
    samples: Any = pcm.samples
    return samples, pcm.sample_rate


def offset(recorded: NDArray[np.int16], true: NDArray[np.int16], rate: int) -> float:
    """By how many seconds the one is later than the other, and that it is the same sound."""
    a, b = recorded.astype(float), true.astype(float)
    size = len(a) + len(b)
    products = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)
    lag = int(np.argmax(products))
    assert products[lag] > 0.9 * np.sqrt((a @ a) * (b @ b))
    return (lag if lag < size // 2 else lag - size) / rate


def noise(seconds: float, seed: int, rate: int = RATE) -> PcmData:
    rng = np.random.default_rng(seed)
    return PcmData(rate, samples=rng.integers(-9000, 9000, round(seconds * rate), np.int16))


async def _talk(call: Call, until: float, rng: random.Random) -> None:
    """Speak in turns of any length, with pauses; some turns are cut short, some cleared."""
    seed = 0
    while trio.current_time() < until:
        seed += 1
        handle = await call.play(noise(rng.uniform(0.05, 8.0), seed))
        with trio.move_on_after(rng.uniform(0.02, 9.0)):
            await handle.done()
        if rng.random() < 0.3:
            await call.clear()
        handle.interrupt()
        await trio.sleep(rng.choice((0.0, 0.013, 0.7)))


async def _speak(leg: Leg, until: float, rng: random.Random) -> None:
    seed = 10_000
    while trio.current_time() < until:
        seed += 1
        spoken = rng.uniform(0.1, 6.0)
        leg.say(noise(spoken, seed).mono_int16(), RATE)
        await trio.sleep(spoken + rng.choice((0.0, 0.3, 5.0)))


async def test_minutes_of_interruptions(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Both channels are those of the carrier, to the packet, after minutes as at the start."""
    path = tmp_path / "call.wav"
    rng = random.Random(4)
    async with open_memory_world() as world, world.server.dial(to=CALLEE) as call:
        (leg,) = world.carrier.legs
        began_at = trio.current_time()
        until = began_at + 60 * MINUTES
        async with patiently(call.record_to(path)) as recording, trio.open_nursery() as nursery:
            nursery.start_soon(_talk, call, until, rng)
            nursery.start_soon(_speak, leg, until, random.Random(5))
        assert leg.audio.started_at is not None
        before = round((began_at - leg.audio.started_at) * RATE)
        duration = recording.duration
        true, _ = leg.recording()
    samples, rate = read(path)
    assert rate == RATE
    assert samples.shape[1] / rate == pytest.approx(duration, abs=0.001)
    assert duration > 60 * MINUTES
    for side, name in enumerate(("caller", "agent")):
        for start in (0, 60, 60 * MINUTES - 20):
            window = slice(start * RATE, (start + 20) * RATE)
            late = offset(samples[side, window], true[side, before:][window], rate)
            print(f"{name} at {start} s: {1000 * late:+.2f} ms")
            assert abs(late) < 0.02
    n = min(samples.shape[1], true.shape[1] - before)
    # What we say is on one clock with the carrier: to the sample, cuts included.
    differs = samples[1, :n] != true[1, before : before + n]
    print(f"samples of the agent's side that differ: {differs.mean():.2%}")
    assert differs.mean() < 0.002


async def test_codecs_and_rates_meet_on_one_clock(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Received at 16 kHz, sent at 8: the file has the higher rate, or the one asked for."""
    settings = CarrierSettings(leg_encoding="L16", leg_sample_rate=16000, byteorder="little")
    for sample_rate, expected in ((None, 16000), (24000, 24000)):
        path = tmp_path / f"{sample_rate}.wav"
        async with open_memory_world(settings=settings) as world:
            async with world.server.dial(to=CALLEE) as call:
                (leg,) = world.carrier.legs
                async with patiently(call.record_to(path, sample_rate=sample_rate)):
                    leg.say(noise(1.0, 1, 16000).resample(16000).mono_int16(), 16000)
                    handle = await call.play(noise(1.0, 2))
                    await handle.done()
                    await trio.sleep(1.0)
        samples, rate = read(path)
        assert rate == expected
        for side, pcm in enumerate((noise(1.0, 1, 16000), noise(1.0, 2))):
            spoken = pcm.resample(rate).mono_int16()
            assert offset(samples[side], spoken, rate) < 0.1


async def test_stalls_leave_it_whole_and_losses_are_silence(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """A burst behind a stall is laid end to end; what is lost for good is as long a silence."""
    path = tmp_path / "call.wav"
    rng = np.random.default_rng(1)
    spoken = rng.integers(-9000, 9000, RATE * 20).astype(np.int16)
    async with running_stream() as (stream, telnyx):
        async with trio.open_nursery() as nursery:
            recording = open_local_recording(stream, nursery, path, None, AssertionError)
            async with patiently(recording):
                begun = trio.current_time()
                for n in range(1000):
                    if 300 <= n < 340 or (500 <= n < 800 and rng.random() < 0.02):
                        continue  # lost: one long gap, then single packets
                    late = 0.8 if 100 <= n < 140 else rng.uniform(0, 0.015)
                    at = max(trio.current_time(), begun + 0.02 * (n + 1) + late)
                    if 140 <= n < 180:
                        at = trio.current_time()
                    await trio.sleep_until(at)
                    payload = pcm_to_pcmu(PcmData(RATE, samples=spoken[n * 160 : (n + 1) * 160]))
                    await telnyx.send(media_text(payload, chunk=n + 1))
                await trio.sleep(1)
    (left, _), rate = read(path)
    for start in (0, 2.5, 8.0, 18.0):
        window = slice(round(start * rate), round((start + 1.5) * rate))
        assert abs(offset(left[window], spoken[window], rate)) < 0.02, start
    gap = left[round(6.1 * rate) : round(6.7 * rate)]
    assert not gap.any()


async def test_file_can_be_read_at_any_time(tmp_path: Path, autojump_clock: MockClock) -> None:
    """While it is written it lacks less than a second, and its header is right."""
    path = tmp_path / "call.wav"
    async with open_memory_world() as world, world.server.dial(to=CALLEE) as call:
        async with patiently(call.record_to(path)) as recording:
            for _ in range(12):
                await trio.sleep(0.37)
                with wave.open(str(path)) as file:
                    assert recording.duration - file.getnframes() / RATE < 1.0
                    assert path.stat().st_size == 44 + 4 * file.getnframes()
            assert recording.error is None
            assert recording.seconds_lost == 0


KILLED = """
    import sys
    import trio
    from telnyx_trio import PcmData
    from telnyx_trio.testing import CALLER_WAV, open_fake_call

    async def main():
        async with open_fake_call() as fake:
            async with fake.call.record_to(sys.argv[1]):
                fake.say(PcmData.from_wav(CALLER_WAV))
                await trio.sleep(1.1)
                print(flush=True)
                await trio.sleep_forever()

    trio.run(main)
"""


def test_killed_process_leaves_a_file_that_can_be_read(tmp_path: Path) -> None:
    """With all but the last second."""
    path = tmp_path / "call.wav"
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    samples, rate = read(path)
    assert samples.shape[1] / rate > 0.1
    assert samples[0].any()
    assert not samples[1].any()


async def test_file_that_cannot_be_opened(tmp_path: Path, autojump_clock: MockClock) -> None:
    """It is told at once, and the call goes on."""
    async with open_memory_world() as world, world.server.dial(to=CALLEE) as call:
        with pytest.raises(FileNotFoundError):
            async with patiently(call.record_to(tmp_path / "nowhere" / "call.wav")):
                pytest.fail("entered")
        with pytest.raises(OSError, match="No space left"):
            async with patiently(call.record_to("/dev/full")):
                pytest.fail("entered")
        with pytest.raises(ValueError, match="sample rate"):
            async with patiently(call.record_to(tmp_path / "call.wav", sample_rate=0)):
                pytest.fail("entered")
        await (await call.play(noise(0.1, 1))).done()


async def test_disk_that_becomes_full(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The call goes on, the error is told, logged once, and raised on leaving."""
    path = tmp_path / "call.wav"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with open_memory_world() as world, world.server.dial(to=CALLEE) as call:
        with pytest.raises(OSError, match="File too large"):
            async with patiently(call.record_to(path)) as recording:
                resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
                try:
                    await trio.sleep(5)
                finally:
                    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
                assert isinstance(recording.error, OSError)
                await (await call.play(noise(0.1, 1))).done()
        assert call.outcome is None
    assert caplog.text.count("File too large") == 1
    samples, rate = read(path)
    assert samples.shape[1] / rate > 1.9


@pytest.mark.parametrize("end", ["left", "cancelled", "far party", "hangup"])
async def test_however_it_ends(end: str, tmp_path: Path, autojump_clock: MockClock) -> None:
    """The file is whole and closed, and as long as it was recorded."""
    path = tmp_path / "call.wav"
    async with open_memory_world() as world:
        world.carrier.default_phone = Phone(hang_up_at=1.3 if end == "far party" else None)
        with trio.move_on_after(1.3) if end == "cancelled" else trio.CancelScope():
            async with world.server.dial(to=CALLEE) as call:
                async with patiently(call.record_to(path)) as recording:
                    await call.play(noise(5.0, 1))
                    await trio.sleep(1.3 if end in ("left", "hangup") else 3.0)
                    if end == "hangup":
                        await call.hangup()
                if end == "hangup":
                    with pytest.raises(CallEnded):
                        async with call.record_to(path):
                            pytest.fail("entered")
        await world.assert_nothing_left(outbound=1)
    assert recording.duration == pytest.approx(1.3, abs=0.1)
    samples, rate = read(path)
    assert samples.shape[1] / rate == pytest.approx(recording.duration, abs=0.001)
    assert samples[1].any()
    with pytest.raises(ValueError, match="closed"):
        recording._writer._file._file.tell()  # type: ignore[union-attr]


async def test_calls_of_mp3_files_have_nothing_to_record(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """What the far party hears is known to Telnyx alone."""
    async with open_memory_world(send_mode="mp3") as world, world.server.dial(to=CALLEE) as call:
        with pytest.raises(LocalProtocolError, match="recording"):
            async with call.record_to(tmp_path / "call.wav"):
                pytest.fail("entered")


def test_wav_file_of_more_than_a_wav_can_hold(tmp_path: Path) -> None:
    """It is refused, and what is there stays readable."""
    path = tmp_path / "call.wav"
    file = WavFile(path, RATE)
    file.write(0, bytes(400))
    with pytest.raises(OSError, match="4 GiB"):
        file.write(2**30, bytes(4))
    file.close()
    assert read(path)[0].shape == (2, 100)
