from __future__ import annotations

import numpy as np
import pytest
from audio.audio_signals import noise

from telnyx_trio.audio._filters import FilterBank, filter_bank


@pytest.mark.parametrize("rates", [(48000, 8000), (8000, 16000), (44100, 8000), (32000, 48000)])
def test_both_ways_to_compute_agree(rates: tuple[int, int]) -> None:
    """The matrix product and the sum by phase give the same float64, bit for bit."""
    bank = FilterBank(*rates)
    samples = noise(2000)
    offset = bank.first_input(0)
    stop = bank.n_ready(len(samples) + offset)
    for start in (0, 1, 17, stop - 1):
        assert np.array_equal(
            bank.produce(samples, start, stop, offset=offset),
            bank._produce_by_phase(samples, start, stop, offset=offset),
        )


@pytest.mark.parametrize("rates", [(48000, 8000), (8000, 16000), (11025, 8000), (8000, 44100)])
def test_ready_outputs_read_no_input_beyond_the_end(rates: tuple[int, int]) -> None:
    """What counts as ready does not change with what comes next."""
    bank = FilterBank(*rates)
    offset = bank.first_input(0)
    samples = noise(700)
    stop = bank.n_ready(len(samples) + offset)
    longer = np.concatenate((samples, noise(300, seed=2)))
    assert np.array_equal(
        bank.produce(samples, 0, stop, offset=offset), bank.produce(longer, 0, stop, offset=offset)
    )


def test_ready_is_as_much_as_possible() -> None:
    """The first output that is not ready does change with what comes next."""
    bank = FilterBank(48000, 8000)
    offset = bank.first_input(0)
    samples = noise(700)
    stop = bank.n_ready(len(samples) + offset) + 1
    longer = np.concatenate((samples, np.full(300, 32767, np.int16)))
    before = bank.produce(samples, 0, stop, offset=offset)
    assert not np.array_equal(before, bank.produce(longer, 0, stop, offset=offset))


def test_unusual_rates_need_no_large_matrix() -> None:
    """8001 to 8000 Hz has 8000 phases; its block matrix would be half a gigabyte."""
    assert FilterBank(8001, 8000)._block is None


def test_stopband_and_passband() -> None:
    """The filter is down 80 dB from 4.6 kHz on, and flat within 0.1 dB up to 3.4 kHz."""
    bank = FilterBank(48000, 8000)
    taps = bank._phases[0]
    response = np.abs(np.fft.rfft(taps, 48000))
    decibels = 20 * np.log10(response + 1e-12)
    assert decibels[4600:].max() <= -80
    assert np.abs(decibels[:3401]).max() <= 0.1


def test_banks_are_shared() -> None:
    """Two calls at the same rates use one bank."""
    assert filter_bank(16000, 8000) is filter_bank(16000, 8000)
