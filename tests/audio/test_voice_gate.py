"""The voice gate: recorded speech over the noises of a phone line, and what is no speech."""

from __future__ import annotations

import timeit
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from telnyx_trio.audio import PcmData, VoiceGate
from telnyx_trio.testing import CALLER_WAV, GREETING_WAV

RATE: Final = 8000
SPEECH_RMS: Final = 1500.0
"""-27 dBFS, as phone speech is."""

LEAD_IN: Final = 2.0
"""Seconds of noise before the sentence."""

Signal = NDArray[np.float64]


@dataclass(frozen=True)
class Edge:
    """An edge on the clock of the signal: where it is, and when that was known."""

    begins: bool
    at: float
    detected_at: float


def detect(signal: Signal, rate: int = RATE, size: int = 160, **options: Any) -> list[Edge]:
    """Give a gate the signal in packets of ``size`` samples."""
    gate = VoiceGate(rate, **options)
    samples = np.clip(np.rint(signal), -32768, 32767).astype(np.int16)
    edges = []
    for start in range(0, len(samples), size):
        packet = samples[start : start + size]
        now = (start + len(packet)) / rate
        edges += [Edge(edge.begins, now - edge.ago, now) for edge in gate.process(packet)]
    return edges


def starts(edges: list[Edge]) -> list[Edge]:
    return [edge for edge in edges if edge.begins]


def active_windows(signal: Signal, rate: int = RATE) -> NDArray[np.bool_]:
    """Which 20 ms of clean speech are no pause: less than 30 dB below the loudest."""
    power = window_power(signal, rate)
    return np.asarray(power > power.max() / 1000)


def window_power(signal: Signal, rate: int = RATE) -> Signal:
    size = rate // 50
    power = np.square(signal[: len(signal) // size * size].reshape(-1, size)).mean(axis=1)
    return np.asarray(power)


def speech(path: Any, rate: int = RATE) -> tuple[Signal, float, float]:
    """A sentence of SPEECH_RMS, less its pauses; where it begins and ends, in seconds."""
    signal = PcmData.from_wav(path).resample(rate).samples.astype(np.float64)
    active = active_windows(signal, rate)
    size = rate // 50
    voiced = signal[: len(active) * size].reshape(-1, size)[active]
    signal *= SPEECH_RMS / np.sqrt(np.square(voiced).mean())
    where = np.flatnonzero(active)
    return signal, where[0] * 0.02, (where[-1] + 1) * 0.02


def white(n: int, seed: int) -> Signal:
    return np.random.default_rng(seed).standard_normal(n)


@cache
def pink(n: int, seed: int) -> Signal:
    """Falling by 3 dB an octave, from 20 Hz."""
    spectrum = np.fft.rfft(white(n, seed))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.fft.rfftfreq(n, 1 / RATE), 20)), n)
    return np.asarray(noise / noise.std())


@cache
def hum(n: int, seed: int) -> Signal:
    """The mains and its harmonics."""
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, 12)
    time = np.arange(n) / RATE
    waves = [np.sin(2 * np.pi * 50 * h * time + phases[h]) / h for h in range(1, 12)]
    noise = np.sum(waves, axis=0)
    return np.asarray(noise / noise.std())


@cache
def fan(n: int, seed: int) -> Signal:
    """Hum and rush, that swell a little three times a second."""
    swell = 1 + 0.2 * np.sin(2 * np.pi * 3 * np.arange(n) / RATE)
    noise = (pink(n, seed) + 0.5 * hum(n, seed)) * swell
    return np.asarray(noise / noise.std())


NOISES: dict[str, Callable[[int, int], Signal]] = {
    "white": white,
    "pink": pink,
    "hum": hum,
    "fan": fan,
}


def tones(*frequencies: float, on: float, off: float, duration: float = 20.0) -> Signal:
    """A cadence of tones, over a faint hiss."""
    time = np.arange(round(duration * RATE)) / RATE
    signal = np.sum([3000 * np.sin(2 * np.pi * hertz * time) for hertz in frequencies], axis=0)
    return np.asarray(signal * (time % (on + off) < on) + 20 * white(len(time), 5))


# Speech.


@pytest.mark.parametrize("path", [CALLER_WAV, GREETING_WAV], ids=["caller", "greeting"])
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("snr_db", [20, 10, 5])
def test_onset_and_end(path: Any, noise: str, snr_db: int) -> None:
    """It begins within 100 ms of where it rises above the noise, is known soon, and ends there."""
    sentence, begins, ends = speech(path)
    heard = np.flatnonzero(window_power(sentence) > SPEECH_RMS**2 / 10 ** (snr_db / 10))
    begins, ends = max(begins, heard[0] * 0.02), min(ends, heard[-1] * 0.02 + 0.02)
    padded = np.concatenate((np.zeros(round(LEAD_IN * RATE)), sentence, np.zeros(RATE)))
    level = SPEECH_RMS / 10 ** (snr_db / 20)
    edges = detect(padded + level * NOISES[noise](len(padded), 11))
    assert edges[0].begins
    assert edges[0].at == pytest.approx(LEAD_IN + begins, abs=0.1)
    latency = edges[0].detected_at - LEAD_IN - begins
    print(f"{path.stem} {noise} {snr_db} dB: known after {1000 * latency:.0f} ms")
    assert latency <= 0.2
    assert not edges[-1].begins
    assert edges[-1].at == pytest.approx(LEAD_IN + ends, abs=0.2)
    for edge, following in pairwise(edges):
        assert edge.begins is not following.begins
        assert edge.at < following.at


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 24000, 44100, 48000])
def test_rates(rate: int) -> None:
    """It hears the same at every rate."""
    sentence, begins, _ = speech(CALLER_WAV, rate)
    padded = np.concatenate((np.zeros(rate), sentence))
    edges = detect(padded + 20 * white(len(padded), 3), rate, rate // 50)
    assert edges[0].at == pytest.approx(1 + begins, abs=0.1)


@pytest.mark.parametrize("size", [7, 80, 161, 1000, 100_000])
def test_packets_of_any_size(size: int) -> None:
    """What it hears does not depend on how the signal is cut; only when it can say so does."""
    sentence, _, _ = speech(GREETING_WAV)
    signal = np.concatenate((sentence[: 2 * RATE], np.zeros(RATE), sentence))
    usual, other = detect(signal), detect(signal, size=size)
    assert [edge.begins for edge in other] == [edge.begins for edge in usual]
    assert [edge.at for edge in other] == pytest.approx([edge.at for edge in usual])


def test_speech_from_the_first_moment() -> None:
    """A caller who speaks when the media begin is heard."""
    sentence, begins, _ = speech(GREETING_WAV)
    (edge, *_) = detect(sentence + 50 * white(len(sentence), 4))
    assert edge.begins
    assert edge.at == pytest.approx(begins, abs=0.1)


def test_hangover_bridges_pauses() -> None:
    """A pause shorter than the hangover is inside of speech, a longer one is not."""
    sentence, _, _ = speech(GREETING_WAV)
    pause = np.zeros(round(0.3 * RATE))
    signal = np.concatenate((sentence, pause, sentence, np.zeros(RATE)))
    signal += 10 * white(len(signal), 6)
    assert len(starts(detect(signal, hangover=0.9))) == 1
    assert len(starts(detect(signal, hangover=0.3))) >= 2


def test_faint_voices_are_not_meant() -> None:
    """Under min_level_dbfs a voice is none; the bound is the user's."""
    sentence, _, _ = speech(GREETING_WAV)
    echo = sentence / 30
    assert detect(echo) == []
    assert starts(detect(echo, min_level_dbfs=-70))


def test_more_speech_wanted_takes_longer() -> None:
    """min_speech trades speed for certainty."""
    sentence, _, _ = speech(CALLER_WAV)
    quick, sure = (detect(sentence, min_speech=seconds)[0] for seconds in (0.04, 0.12))
    assert quick.detected_at < sure.detected_at
    assert quick.at == pytest.approx(sure.at, abs=0.1)


# What is no speech.


@pytest.mark.parametrize(
    ("noise", "level"), [("white", 1000.0), ("pink", 100.0), ("hum", 10.0), ("fan", 300.0)]
)
def test_a_minute_of_noise(noise: str, level: float) -> None:
    """Not at its beginning either, when nothing is known of it."""
    assert detect(level * NOISES[noise](60 * RATE, 21)) == []


@pytest.mark.parametrize("noise", NOISES)
def test_noise_that_changes_its_level(noise: str) -> None:
    """Sixty jumps, of up to 40 dB, are sixty times nothing."""
    gains = 10 ** (np.random.default_rng(8).choice([-20, -12, -6, 0, 6, 12, 20], 60) / 20)
    assert detect(100 * NOISES[noise](60 * RATE, 21) * np.repeat(gains, RATE)) == []


@pytest.mark.parametrize(
    "signal",
    [
        pytest.param(tones(697, 1209, on=0.1, off=0.1), id="DTMF"),
        pytest.param(tones(941, 1477, on=0.05, off=0.05), id="quick DTMF"),
        pytest.param(tones(440, 480, on=2, off=4), id="ringback"),
        pytest.param(tones(425, on=1, off=4), id="European ringback"),
        pytest.param(tones(350, 440, on=20, off=0), id="dial tone"),
        pytest.param(tones(1000, on=0.5, off=1.5), id="beep"),
        pytest.param(tones(2100, on=3, off=3), id="fax"),
        pytest.param(np.zeros(RATE), id="silence"),
    ],
)
def test_tones_and_silence(signal: Signal) -> None:
    """They are loud, some have a pitch, and nobody speaks."""
    assert detect(signal) == []


def test_speech_after_a_jump_of_the_noise() -> None:
    """Noise that has become louder is learnt, and speech above it heard."""
    sentence, begins, _ = speech(CALLER_WAV)
    padded = np.concatenate((np.zeros(6 * RATE), sentence))
    levels = np.where(np.arange(len(padded)) < 3 * RATE, 10.0, 300.0)
    edges = detect(padded + levels * white(len(padded), 9))
    assert edges[0].at == pytest.approx(6 + begins, abs=0.1)


# What it takes.


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"sample_rate": 4000}, "8000"),
        ({"sample_rate": 8000, "min_speech": 0.0}, "min_speech"),
        ({"sample_rate": 8000, "min_speech": 0.2}, "min_speech"),
        ({"sample_rate": 8000, "hangover": 0.0}, "hangover"),
    ],
)
def test_options_out_of_bounds(options: dict[str, Any], problem: str) -> None:
    """They are refused by name."""
    with pytest.raises(ValueError, match=problem):
        VoiceGate(**options)


def test_cost() -> None:
    """Far less than a thousandth of a core, whatever the rate. The figure is for ``pytest -rP``."""
    for rate in (8000, 16000, 48000):
        sentence, _, _ = speech(GREETING_WAV, rate)
        packets = np.rint(sentence[:rate]).astype(np.int16).reshape(50, -1)
        gate = VoiceGate(rate)

        def listen(gate: VoiceGate = gate, packets: NDArray[np.int16] = packets) -> None:
            for packet in packets:
                gate.process(packet)

        per_packet = min(timeit.repeat(listen, number=4, repeat=5)) / 200
        print(f"{rate} Hz: {1e6 * per_packet:.1f} us for 20 ms")
        assert per_packet < 2e-4
