from __future__ import annotations

import numpy as np
import pytest
from audio.audio_signals import Int16Array, level_db, noise, rms, sinad_db, tone

from telnyx_trio.audio import Resampler
from telnyx_trio.audio._resample import resample_whole

CALL_PAIRS = [(8000, 16000), (16000, 8000), (24000, 8000), (48000, 8000), (8000, 48000)]
OTHER_PAIRS = [
    (44100, 8000),
    (22050, 8000),
    (11025, 8000),
    (12000, 8000),
    (32000, 8000),
    (8000, 44100),
    (8000, 22050),
    (8000, 11025),
    (8000, 12000),
    (8000, 32000),
    (8000, 24000),
    (44100, 16000),
    (44100, 48000),
    (24000, 16000),
    (16000, 48000),
    (8000, 8001),
]


def stream(samples: Int16Array, from_rate: int, to_rate: int) -> Int16Array:
    """Resample as a call does: in chunks of 20 ms, then flush."""
    resampler = Resampler(from_rate, to_rate)
    step = from_rate // 50
    parts = [resampler.push(samples[i : i + step]) for i in range(0, len(samples), step)]
    return np.concatenate([*parts, resampler.flush()])


@pytest.mark.parametrize(("from_rate", "to_rate"), CALL_PAIRS + OTHER_PAIRS)
def test_chunks_are_inaudible(from_rate: int, to_rate: int) -> None:
    """Any way to cut the stream gives what one push gives, bit for bit."""
    samples = noise(from_rate // 4)
    whole = Resampler(from_rate, to_rate)
    expected = np.concatenate((whole.push(samples), whole.flush()))
    rng = np.random.default_rng(2)
    for longest in (3, 50, 2000):
        resampler = Resampler(from_rate, to_rate)
        parts, position = [], 0
        while position < len(samples):
            length = int(rng.integers(0, longest))
            parts.append(resampler.push(samples[position : position + length]))
            position += length
        assert np.array_equal(np.concatenate([*parts, resampler.flush()]), expected)


@pytest.mark.parametrize(("from_rate", "to_rate"), CALL_PAIRS + OTHER_PAIRS)
def test_delay_is_at_most_5_ms(from_rate: int, to_rate: int) -> None:
    """After each chunk of 20 ms all but the last 5 ms are out."""
    resampler = Resampler(from_rate, to_rate)
    chunk = np.ones(from_rate // 50, np.int16)
    n_in = n_out = 0
    for _ in range(50):
        n_in += len(chunk)
        n_out += len(resampler.push(chunk))
        assert n_out / to_rate >= n_in / from_rate - 0.005
        assert resampler.held == pytest.approx(n_in / from_rate - n_out / to_rate)


@pytest.mark.parametrize(("from_rate", "to_rate"), CALL_PAIRS + OTHER_PAIRS)
def test_nothing_is_shifted(from_rate: int, to_rate: int) -> None:
    """A 1 kHz tone comes out as the same tone, sample by sample, at 70 dB or better."""
    out = stream(tone(1000, from_rate), from_rate, to_rate)
    expected = tone(1000, to_rate)
    middle = slice(to_rate // 20, -to_rate // 20)
    error = (out[middle].astype(np.int32) - expected[middle]).astype(np.int16)
    assert rms(error) <= rms(expected) * 10 ** (-70 / 20)


@pytest.mark.parametrize(("from_rate", "to_rate"), CALL_PAIRS)
@pytest.mark.parametrize("frequency", [300, 997, 1000, 3000])
def test_sinad(from_rate: int, to_rate: int, frequency: int) -> None:
    """Tones of the telephone band keep 70 dB over all that is not the tone."""
    out = stream(tone(frequency, from_rate), from_rate, to_rate)
    assert sinad_db(out, frequency, to_rate) >= 70


@pytest.mark.parametrize("from_rate", [16000, 24000, 44100, 48000])
@pytest.mark.parametrize("frequency", [4600, 5000, 7000])
def test_what_8_khz_cannot_carry_is_removed(from_rate: int, frequency: int) -> None:
    """Tones above 4.6 kHz come out at -60 dB or less."""
    samples = tone(frequency, from_rate)
    assert level_db(stream(samples, from_rate, 8000), rms(samples)) <= -60


@pytest.mark.parametrize(("from_rate", "to_rate"), CALL_PAIRS)
def test_telephone_band_passes(from_rate: int, to_rate: int) -> None:
    """At 3.4 kHz no more than 1.5 dB are lost, nor gained."""
    samples = tone(3400, from_rate)
    assert abs(level_db(stream(samples, from_rate, to_rate), rms(samples))) <= 1.5


@pytest.mark.parametrize("to_rate", [16000, 48000])
def test_upsampling_adds_no_images(to_rate: int) -> None:
    """A 3.4 kHz tone has no image at 4.6 kHz above -60 dB."""
    out = stream(tone(3400, 8000), 8000, to_rate)
    spectrum = np.abs(np.fft.rfft(out * np.blackman(len(out))))
    per_hertz = len(out) / to_rate
    above = spectrum[round(4500 * per_hertz) :].max()
    assert 20 * np.log10(above / spectrum.max()) <= -60


@pytest.mark.parametrize(("from_rate", "to_rate"), [(8000, 16000), (48000, 8000)])
def test_phase_is_linear(from_rate: int, to_rate: int) -> None:
    """The answer to an impulse is symmetric about its position."""
    samples = np.zeros(from_rate // 10, np.int16)
    middle = len(samples) // 2
    samples[middle] = 32767
    out = stream(samples, from_rate, to_rate)
    centre = middle * to_rate // from_rate
    reach = len(out) // 3
    assert out[centre] > 1000
    after, before = out[centre : centre + reach], out[centre : centre - reach : -1]
    assert np.array_equal(after, before)


@pytest.mark.parametrize(("from_rate", "to_rate"), CALL_PAIRS + OTHER_PAIRS)
@pytest.mark.parametrize("n_samples", [0, 1, 2, 79, 160, 441, 1001])
def test_flush_completes_the_length(from_rate: int, to_rate: int, n_samples: int) -> None:
    """In all, round(n * ratio) samples come out."""
    out = stream(np.ones(n_samples, np.int16), from_rate, to_rate)
    assert len(out) == round(n_samples * to_rate / from_rate)


def test_flush_starts_afresh() -> None:
    """After a flush the next stream comes out as the first did."""
    resampler = Resampler(16000, 8000)
    samples = noise(777)
    first = np.concatenate((resampler.push(samples), resampler.flush()))
    second = np.concatenate((resampler.push(samples), resampler.flush()))
    assert np.array_equal(first, second)


def test_flush_of_nothing_is_empty() -> None:
    """Without a push nothing is held."""
    assert len(Resampler(8000, 48000).flush()) == 0


def test_reset_forgets() -> None:
    """After a reset nothing of the stream before is left."""
    resampler = Resampler(48000, 8000)
    resampler.push(noise(5000))
    resampler.reset()
    assert resampler.held == 0
    assert not resampler.push(np.zeros(5000, np.int16)).any()


def test_equal_rates_pass_through() -> None:
    """The very array comes back, at once."""
    resampler = Resampler(8000, 8000)
    samples = noise(160)
    assert resampler.push(samples) is samples
    assert resampler.held == 0
    assert len(resampler.flush()) == 0


def test_a_constant_stays_constant() -> None:
    """Full scale neither ripples nor wraps around."""
    for level in (-32768, 32767):
        out = stream(np.full(4410, level, np.int16), 44100, 8000)
        assert (out[50:-50] == level).all()


def test_overshoot_is_clipped() -> None:
    """A full-scale square wave, which overshoots, never changes sign."""
    samples = np.repeat(np.array([32767, -32768] * 50, np.int16), 100)
    out = resample_whole(samples, 16000, 8000)
    assert (out[10:40] > 30000).all()
    assert (out[60:90] < -30000).all()


def test_whole_equals_stream() -> None:
    """A recording resampled at once, in pieces inside, is what the stream gives."""
    for from_rate, to_rate in ((16000, 8000), (11025, 8000), (8000, 48000)):
        samples = noise(3 * from_rate)
        assert np.array_equal(
            resample_whole(samples, from_rate, to_rate), stream(samples, from_rate, to_rate)
        )


def test_push_keeps_no_reference() -> None:
    """The caller may write over an array that was pushed."""
    samples = noise(960)
    copy, reused = Resampler(48000, 8000), Resampler(48000, 8000)
    copy.push(samples.copy())
    reused.push(samples)
    samples[:] = 0
    assert np.array_equal(copy.flush(), reused.flush())


@pytest.mark.parametrize("rates", [(0, 8000), (8000, 0), (-8000, 8000)])
def test_rates_must_be_positive(rates: tuple[int, int]) -> None:
    """A rate of zero or less is refused."""
    with pytest.raises(ValueError, match="positive"):
        Resampler(*rates)


@pytest.mark.parametrize("samples", [np.zeros(4, np.float32), np.zeros((1, 4), np.int16)])
def test_push_takes_int16_mono_only(samples: Int16Array) -> None:
    """Another dtype or shape is refused rather than misread."""
    with pytest.raises(ValueError, match="int16"):
        Resampler(16000, 8000).push(samples)


def test_repr_names_the_rates() -> None:
    """A log line tells resamplers apart."""
    assert repr(Resampler(16000, 8000)) == "Resampler(16000 Hz -> 8000 Hz)"
