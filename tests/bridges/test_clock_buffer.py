"""The buffer between two clocks, without any clock: pushes and pulls in a computed order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from telnyx_trio.bridges._clock_buffer import ClockBuffer

RATE = 48000
BLOCK = 960
MAX_LEVEL = 0.2


def tone(frequency: float, n: int, peak: float = 8000) -> NDArray[np.int16]:
    samples: NDArray[np.int16] = np.rint(
        peak * np.sin(2 * np.pi * frequency * np.arange(n) / RATE)
    ).astype(np.int16)
    return samples


def run(
    buffer: ClockBuffer,
    says: NDArray[np.int16],
    *,
    speed: float = 1.0,
    jitter: float = 0.0,
    stalls: dict[float, float] | None = None,
    begin: float = 0.0,
) -> tuple[NDArray[np.float32], list[float]]:
    """Push ``says`` by a clock that runs at ``speed``, pull by ours; return blocks and levels."""
    rng = np.random.default_rng(1)
    n = len(says) // BLOCK
    arrivals = np.arange(n) * 0.02 / speed + rng.uniform(0, jitter, n) + 0.007
    for start, end in (stalls or {}).items():
        arrivals[(arrivals >= start) & (arrivals < end)] = end
    arrivals = np.maximum.accumulate(arrivals)
    heard, levels, sent = [], [], 0
    for tick in range(round(arrivals[-1] / 0.02)):
        now = tick * 0.02
        while sent < n and arrivals[sent] <= now:
            buffer.push(says[sent * BLOCK : (sent + 1) * BLOCK], begin + arrivals[sent])
            sent += 1
        block = buffer.pull(BLOCK, begin + now)
        heard.append(np.zeros(BLOCK, np.float32) if block is None else block)
        levels.append(buffer.statistics().level)
    return np.concatenate(heard), levels


def clicks(heard: NDArray[np.float32], frequency: float) -> float:
    """Return the largest jump of the slope, against what the tone itself has; 1.0 is no click."""
    own = 8000 * (2 * np.pi * frequency / RATE) ** 2
    return float(np.abs(np.diff(heard, 2)).max() / own)


def test_even_clocks_pass_audio_bit_for_bit() -> None:
    """Once it has faded in, what comes out is what went in, and stays as late as it was."""
    says = np.random.default_rng(1).integers(-9000, 9000, RATE * 2, np.int16)
    buffer = ClockBuffer(RATE, MAX_LEVEL)
    heard, _ = run(buffer, says)
    heard = heard[10 * BLOCK :]
    [start] = [at for at in np.flatnonzero(says == heard[0]) if says[at + 1] == heard[1]]
    assert np.array_equal(heard, says[start : start + len(heard)])
    assert 10 * BLOCK - start < 0.05 * RATE
    assert buffer.statistics().gaps == 0
    assert buffer.statistics().dropped == 0


@pytest.mark.parametrize("ppm", [-3000, -300, -20, 0, 20, 300, 3000])
def test_drift_is_followed_without_a_click(ppm: int) -> None:
    """For a minute, whichever clock is faster, the level stays and the tone has no kink."""
    buffer = ClockBuffer(RATE, MAX_LEVEL)
    heard, levels = run(buffer, tone(440, RATE * 60), speed=1 + ppm / 1e6, jitter=0.004)
    statistics = buffer.statistics()
    assert statistics.gaps == 0
    assert statistics.dropped == 0
    assert max(levels[250:]) < 0.06
    assert clicks(heard[RATE : len(heard) - RATE], 440) < 1.5
    expected = 60 * ppm / 1e6
    assert statistics.corrected == pytest.approx(expected, abs=0.035)


def test_drift_leaves_the_tone_clean() -> None:
    """In each block, what following another clock adds to a tone lies 60 dB below it."""
    buffer = ClockBuffer(RATE, MAX_LEVEL)
    heard, _ = run(buffer, tone(1000, RATE * 12), speed=1.002)
    times = np.arange(BLOCK) / RATE
    worst = 0.0
    for start in range(RATE * 2, RATE * 11, BLOCK):
        block = heard[start : start + BLOCK].astype(float)
        pitches = 1000 * (1 + np.arange(-5, 6) / BLOCK)
        worst = max(worst, min(_residue(block, times, pitch) for pitch in pitches))
    assert buffer.statistics().corrected > 0
    assert 20 * np.log10(worst / 8000) < -60


def _residue(part: NDArray[np.float64], times: NDArray[np.float64], frequency: float) -> float:
    basis = np.stack((np.sin(2 * np.pi * frequency * times), np.cos(2 * np.pi * frequency * times)))
    fit, *_ = np.linalg.lstsq(basis.T, part, rcond=None)
    return float(np.sqrt(2) * np.std(part - basis.T @ fit))


def test_a_burst_is_cut_to_the_bound() -> None:
    """A second that comes at once after a stall is not a second of delay from then on."""
    buffer = ClockBuffer(RATE, MAX_LEVEL)
    heard, levels = run(buffer, tone(440, RATE * 10), stalls={3.0: 4.0})
    assert max(levels) <= MAX_LEVEL
    assert max(levels[-150:]) < 0.08
    statistics = buffer.statistics()
    assert statistics.dropped > 0.8
    assert statistics.gaps == 1
    assert clicks(heard, 440) < 12  # fades of 5 ms; a cut without one is beyond 100


def test_what_proves_useless_is_gone_in_seconds() -> None:
    """Delay that was added while nobody pulled is cut out once it was too much for 4 s."""
    buffer = ClockBuffer(RATE, MAX_LEVEL)
    run(buffer, tone(440, RATE * 2))
    buffer.push(tone(440, RATE // 8), 2.0)
    heard, levels = run(buffer, tone(440, RATE * 10), begin=2.0)
    assert max(levels[:10]) > 0.12
    assert max(levels[-200:]) < 0.08
    assert buffer.statistics().gaps == 0
    assert clicks(heard[BLOCK:], 440) < 12


def test_a_speaker_may_stop_at_any_moment() -> None:
    """Around the cutting out of what is too much, too: there is always a block to be taken."""
    cut = 0
    for stop in range(200, 250):
        buffer = ClockBuffer(RATE, MAX_LEVEL)
        buffer.push(np.ones(BLOCK * 2, np.int16), 0.0)
        for tick in range(stop + 20):
            now = tick * 0.02
            if tick == 5:
                buffer.push(np.ones(BLOCK * 5, np.int16), now)  # a stall's worth
            if tick < stop:
                buffer.push(np.ones(BLOCK, np.int16), now)
            buffer.pull(BLOCK, now + 0.001)
        assert buffer.is_empty
        cut += buffer.statistics().dropped > 0
    assert cut > 0


def test_jitter_makes_the_reserve_grow_and_its_end_shrinks_it() -> None:
    """Audio that is late again and again gets more delay, and less once it is punctual."""
    buffer = ClockBuffer(RATE, MAX_LEVEL)
    says = tone(440, RATE * 30)
    run(buffer, says, jitter=0.05)
    late = buffer.statistics()
    assert late.gaps < 12
    _, levels = run(buffer, tone(440, RATE * 60), jitter=0.001, begin=30)
    assert buffer.statistics().gaps - late.gaps <= 1
    assert max(levels[-50:]) < 0.06


def test_a_pause_is_faded_and_costs_no_delay() -> None:
    """A speaker who stops and starts again is faded out and in, and no later than before."""
    buffer = ClockBuffer(RATE, MAX_LEVEL)
    levels = []
    for round_ in range(5):
        begin = 2.0 * round_
        heard, seen = run(buffer, tone(440, RATE), begin=begin)
        levels.append(max(seen))
        blocks = [buffer.pull(BLOCK, begin + 1 + tick * 0.02) for tick in range(40)]
        assert blocks[-1] is None
        assert clicks(np.concatenate((heard, *(b for b in blocks if b is not None))), 440) < 12
    assert levels[-1] <= levels[0] + 0.005


def test_nothing_is_played_before_there_is_enough() -> None:
    """A first chunk alone waits; as the last one it is played."""
    buffer = ClockBuffer(RATE, MAX_LEVEL)
    assert buffer.pull(BLOCK, 0.0) is None
    buffer.push(tone(440, 480), 0.0)
    assert buffer.pull(BLOCK, 0.0) is None
    block = buffer.pull(BLOCK, 0.02, is_last=True)
    assert block is not None
    assert np.abs(block[:480]).max() > 4000
    assert not block[480:].any()
    assert buffer.pull(BLOCK, 0.04, is_last=True) is None


@given(
    sizes=st.lists(st.integers(0, 20000), max_size=40),
    pulls=st.lists(st.integers(0, 6), max_size=40),
)
def test_whatever_comes_the_bound_holds(sizes: list[int], pulls: list[int]) -> None:
    """Chunks of any size, pulled at any time: blocks are whole, finite, and the level bounded."""
    buffer = ClockBuffer(RATE, MAX_LEVEL)
    now = 0.0
    for size, times in zip(sizes, pulls, strict=False):
        buffer.push(np.full(size, 1000, np.int16), now)
        assert buffer.statistics().level <= MAX_LEVEL
        for _ in range(times):
            now += 0.02
            block = buffer.pull(BLOCK, now)
            if block is not None:
                assert block.shape == (BLOCK,)
                assert np.all((block > -300) & (block < 1301))
