"""Concealment: what is made up goes on with the voice, fades, and does not click."""

from __future__ import annotations

import timeit
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from telnyx_trio.audio import Concealer, PcmData

RATE = 8000
SIZE = 160


def voice(n: int, hertz: float = 125.0, rate: int = RATE) -> NDArray[np.int16]:
    """A steady vowel: a pitch and its harmonics."""
    phase = 2 * np.pi * hertz * np.arange(n) / rate
    waves = [np.sin(h * phase + h) / h for h in range(1, 9)]
    samples: NDArray[np.int16] = np.rint(5000 * np.sum(waves, axis=0)).astype(np.int16)
    return samples


def noise(n: int, seed: int = 1) -> NDArray[np.int16]:
    return np.rint(1000 * np.random.default_rng(seed).standard_normal(n)).astype(np.int16)


def lose(
    samples: NDArray[np.int16], lost: set[int], *, rate: int = RATE, size: int = SIZE
) -> NDArray[np.int16]:
    """Return what is heard of a signal some packets of which are lost; shape as given."""
    concealer = Concealer()
    heard = []
    for number in range(samples.shape[-1] // size):
        packet = samples[..., number * size : (number + 1) * size]
        pcm: PcmData | None
        if number in lost:
            pcm = concealer.conceal()
        else:
            channels = 1 if packet.ndim == 1 else len(packet)
            pcm = concealer.follow(PcmData(rate, samples=packet, channels=channels))
        assert pcm is not None
        heard.append(pcm.samples)
    return np.concatenate(heard, axis=-1).astype(np.int16)


def test_nothing_lost_is_nothing_changed() -> None:
    """What comes is handed on as it is, the same object."""
    concealer = Concealer()
    for packet in voice(10 * SIZE).reshape(10, SIZE):
        pcm = PcmData(RATE, samples=packet)
        assert concealer.follow(pcm) is pcm


def test_nothing_is_made_up_of_nothing() -> None:
    """Before the first packet there is no voice to go on with."""
    assert Concealer().conceal() is None


@pytest.mark.parametrize("hertz", [70.0, 93.0, 125.0, 210.0, 333.0])
def test_a_voice_goes_on(hertz: float) -> None:
    """The first 10 ms are what the vowel would have been, within a tenth of its power."""
    signal = voice(20 * SIZE, hertz)
    heard = lose(signal, {10})
    lost = slice(10 * SIZE, 10 * SIZE + SIZE // 2)
    error = np.square((heard[lost] - signal[lost]).astype(float)).mean()
    assert error < 0.1 * np.square(signal[lost].astype(float)).mean()


def test_it_fades_to_nothing() -> None:
    """Softer from 10 ms on, silent after 60 ms, for as long as nothing comes."""
    heard = lose(voice(30 * SIZE), set(range(10, 20))).astype(float)
    power = np.square(heard.reshape(-1, SIZE // 2)).mean(axis=1)
    fading = power[20:33]
    assert all(after < before for before, after in pairwise(fading) if before)
    assert np.all(heard[10 * SIZE + RATE * 6 // 100 : 20 * SIZE] == 0)


@pytest.mark.parametrize("n_lost", [1, 2, 3, 8])
@pytest.mark.parametrize("hertz", [93.0, 210.0, 333.0])
def test_no_clicks(n_lost: int, hertz: float) -> None:
    """At no place is the step to the next sample much larger than anywhere in the vowel."""
    signal = voice(40 * SIZE, hertz)
    heard = lose(signal, set(range(20, 20 + n_lost)))
    assert np.abs(np.diff(heard)).max() <= 1.2 * np.abs(np.diff(signal)).max()


def test_real_audio_is_cross_faded_for_4_ms() -> None:
    """And is itself from there on."""
    signal = voice(20 * SIZE)
    heard = lose(signal, {10})
    joined = slice(11 * SIZE, 11 * SIZE + 32)
    assert not np.array_equal(heard[joined], signal[joined])
    assert np.array_equal(heard[joined.stop :], signal[joined.stop :])


def test_noise_is_not_made_a_tone() -> None:
    """It has no pitch: what is repeated is as long as it may be, 15 ms."""
    signal = noise(20 * SIZE)
    heard = lose(signal, {10})
    assert np.array_equal(heard[10 * SIZE + 20 : 10 * SIZE + 80], signal[-10 * SIZE - 100 :][:60])


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_rates(rate: int) -> None:
    """Times are times at every rate."""
    size = rate // 50
    heard = lose(voice(20 * size, rate=rate), set(range(10, 15)), rate=rate, size=size)
    assert np.any(heard[10 * size + rate * 5 // 100 : 10 * size + rate * 58 // 1000])
    assert not np.any(heard[10 * size + rate * 6 // 100 : 15 * size])


def test_stereo() -> None:
    """Both channels by one pitch, each with its own sound."""
    signal = np.stack([voice(20 * SIZE), voice(20 * SIZE)[::-1] // 2])
    heard = lose(signal, {10, 11})
    assert heard.shape == signal.shape
    lost = slice(10 * SIZE, 10 * SIZE + SIZE // 2)
    error = np.square((heard[:, lost] - signal[:, lost]).astype(float)).mean(axis=1)
    assert np.all(error < 0.1 * np.square(signal[:, lost].astype(float)).mean(axis=1))


@pytest.mark.parametrize("size", [1, 20, 40, 100, 800])
def test_packets_of_any_length(size: int) -> None:
    """Also those that are too short to tell a pitch from."""
    heard = lose(voice(4000), {3}, size=size)
    assert len(heard) == 4000 // size * size


def test_loudest_audio_does_not_wrap() -> None:
    """What would go beyond the range of int16 stays at its end."""
    signal = np.where(voice(20 * SIZE) > 0, 32767, -32768).astype(np.int16)
    heard = lose(signal, {5, 6, 11})
    assert np.abs(np.diff(heard.astype(int))).max() <= 65535
    assert set(np.sign(heard[11 * SIZE : 11 * SIZE + 40])) >= {-1, 1}


def test_cost() -> None:
    """Next to nothing while all comes. The figures are for ``pytest -rP``."""
    concealer = Concealer()
    pcm = PcmData(RATE, samples=voice(SIZE))
    follow = min(timeit.repeat(lambda: concealer.follow(pcm), number=2000, repeat=5)) / 2000

    def lose_one() -> None:
        concealer.conceal()
        concealer.follow(pcm)

    conceal = min(timeit.repeat(lose_one, number=50, repeat=5)) / 50
    print(f"{1e6 * follow:.2f} us a packet that comes, {1e6 * conceal:.0f} us one that does not")
    assert follow < 5e-6
    assert conceal < 5e-3
