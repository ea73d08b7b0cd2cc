"""Keys as tones: what is made is heard, whatever a line does to it, and nothing else is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from telnyx_trio import LocalProtocolError, PcmData, pcm_to_pcmu, pcmu_to_pcm
from telnyx_trio.audio import DtmfDetector, dtmf_tones
from telnyx_trio.testing import CALLER_WAV, GREETING_WAV

KEYS = "0123456789ABCD*#"
LOW = dict(zip("123A456B789C*0#D", np.repeat([697, 770, 852, 941], 4), strict=True))
HIGH = dict(zip("123A456B789C*0#D", [1209, 1336, 1477, 1633] * 4, strict=True))


def listen(samples: NDArray[np.int16], rate: int = 8000, size: int = 160) -> str:
    detector = DtmfDetector(rate)
    pieces = [samples[start : start + size] for start in range(0, samples.size, size)]
    return "".join(tone.digit for piece in pieces for tone in detector.process(piece))


def line(
    digits: str,
    rng: np.random.Generator,
    *,
    rate: int = 8000,
    tone: float = 0.04,
    pause: float = 0.04,
    off: float = 0.0,
    twist_db: float = 0.0,
    level: float = 8000.0,
    snr_db: float | None = None,
) -> NDArray[np.int16]:
    """Tones of any length and quality, from any phase, after a start at any sample."""
    times = np.arange(round(tone * rate)) / rate
    pieces = [np.zeros(rng.integers(100, 400))]
    for digit in digits:
        low = 2 * np.pi * LOW[digit] * (1 + off) * times + rng.uniform(0, 6)
        high = 2 * np.pi * HIGH[digit] * (1 + off) * times + rng.uniform(0, 6)
        part = 10 ** (twist_db / 40)
        pieces.append(level * (np.sin(low) / part + np.sin(high) * part))
        pieces.append(np.zeros(round(pause * rate) + rng.integers(0, 30)))
    samples = np.concatenate([*pieces, np.zeros(rate // 10)])
    if snr_db is not None:
        samples += rng.normal(0, level * 10 ** (-snr_db / 20), samples.size)
    clipped: NDArray[np.int16] = np.clip(samples, -32768, 32767).astype(np.int16)
    return clipped


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
def test_made_tones_are_heard(rate: int) -> None:
    """Every key, with pauses between, at every rate."""
    tones = dtmf_tones(KEYS + "w1W1", rate, duration=0.1)
    assert listen(tones.mono_int16(), rate, rate // 50) == KEYS + "11"
    assert tones.duration == pytest.approx(18 * 0.2 + 1.5)


def test_made_tones_have_their_frequencies() -> None:
    """As ITU-T Q.23 has them; faded in and out, so that they do not click."""
    for key in KEYS:
        samples = dtmf_tones(key, 8000, duration=1.0).mono_int16()[:8000].astype(float)
        spectrum = abs(np.fft.rfft(samples))
        assert set(np.argsort(spectrum)[-2:]) == {LOW[key], HIGH[key]}
        assert abs(samples[0]) + abs(samples[-1]) < 200
        assert abs(samples).max() < 18_100


QUALITIES: dict[str, dict[str, Any]] = {
    "shortest": {},
    "noisy": {"snr_db": 15.0},
    "1.5 % high": {"off": 0.015, "snr_db": 20.0},
    "1.5 % low": {"off": -0.015, "snr_db": 20.0},
    "low group louder": {"twist_db": -6.0},
    "high group louder": {"twist_db": 6.0},
    "faint": {"level": 160.0},
    "loud": {"level": 16000.0},
    "wide band": {"rate": 16000, "snr_db": 15.0},
}


@pytest.mark.parametrize("name", QUALITIES)
def test_digits_are_heard_through_a_bad_line(name: str) -> None:
    """Tones and pauses of 40 ms, the shortest of ITU-T Q.24, and all that a line does to them."""
    rng = np.random.default_rng(24)
    options = QUALITIES[name]
    rate = options.get("rate", 8000)
    for _ in range(12):
        digits = "".join(rng.choice(list(KEYS), 10))
        assert listen(line(digits, rng, **options), rate, int(rng.integers(40, 400))) == digits


def test_digits_are_heard_through_pcmu() -> None:
    """As they come from a phone line."""
    rng = np.random.default_rng(1)
    digits = "".join(rng.choice(list(KEYS), 100))
    samples = line(digits, rng, level=3000.0)
    decoded = pcmu_to_pcm(pcm_to_pcmu(PcmData(8000, samples=samples)))
    assert listen(decoded.mono_int16()) == digits


REFUSED: dict[str, dict[str, Any]] = {
    "too short": {"tone": 0.02},
    "3.5 % off": {"off": 0.035},
    "one tone far louder": {"twist_db": 12.0},
    "too faint": {"level": 50.0},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_key_is_not_heard(name: str) -> None:
    """What ITU-T Q.24 has refused."""
    rng = np.random.default_rng(7)
    assert listen(line(KEYS, rng, **REFUSED[name])) == ""


def test_interruption_is_no_second_press() -> None:
    """10 ms of silence in a tone; 40 ms are a new press."""
    tone = dtmf_tones("5", 8000, duration=0.1).mono_int16()[40:760]
    for gap, expected in ((0.01, "5"), (0.04, "55")):
        silence = np.zeros(round(8000 * gap), np.int16)
        assert listen(np.concatenate((tone, silence, tone, np.zeros(800, np.int16)))) == expected


@pytest.mark.parametrize("path", [CALLER_WAV, GREETING_WAV])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_voices_press_no_key(path: str, rate: int) -> None:
    """Nor do they when they speak faster or slower than they did."""
    voice = PcmData.from_wav(path).to_mono()
    for speed in (0.8, 1.0, 1.25):
        spoken = PcmData(round(voice.sample_rate * speed), samples=voice.samples)
        assert listen(spoken.resample(rate).mono_int16(), rate) == ""


def test_noise_presses_no_key() -> None:
    """A minute of it; nor does a single tone."""
    rng = np.random.default_rng(3)
    assert listen(rng.normal(0, 3000, 8000 * 60).astype(np.int16)) == ""
    times = np.arange(8000) / 8000
    for frequency in (440, 697, 1209, 1633, 2100):
        assert listen((9000 * np.sin(2 * np.pi * frequency * times)).astype(np.int16)) == ""


def test_onset_is_known() -> None:
    """To about 10 ms, counted in all the audio so far."""
    detector = DtmfDetector(8000)
    samples = np.concatenate(
        (np.zeros(8000, np.int16), dtmf_tones("7", 8000, duration=0.1).mono_int16())
    )
    heard = [
        tone for n in range(0, samples.size, 160) for tone in detector.process(samples[n : n + 160])
    ]
    assert [tone.digit for tone in heard] == ["7"]
    assert heard[0].at == pytest.approx(1.0, abs=0.012)


@pytest.mark.parametrize(
    ("digits", "duration"), [("", 0.1), ("12x", 0.1), ("1", 0.01), ("1", float("nan"))]
)
def test_wrong_arguments(digits: str, duration: float) -> None:
    """They are refused."""
    with pytest.raises(LocalProtocolError):
        dtmf_tones(digits, 8000, duration=duration)
