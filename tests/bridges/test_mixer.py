"""Several speakers as one voice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from stream_world import RATE, loudness, tone

from telnyx_trio.bridges._mixer import Mixer

BLOCK = 960


def mix(
    mixer: Mixer, voices: dict[str, NDArray[np.int16]], begin: float = 0.0
) -> NDArray[np.int16]:
    """Push all voices block by block, and return what is heard."""
    heard = []
    for start in range(0, len(next(iter(voices.values()))), BLOCK):
        now = begin + start / RATE
        for speaker, samples in voices.items():
            mixer.push(speaker, samples[start : start + BLOCK], now)
        block = mixer.mix(BLOCK, now)
        if block is not None:
            heard.append(block)
    return np.concatenate(heard)


def test_two_are_heard_together() -> None:
    """Each at its own pitch and loudness."""
    heard = mix(
        Mixer(RATE, 0.2),
        {"ann": tone(440, seconds=2, peak=6000), "bob": tone(1000, seconds=2, peak=3000)},
    )
    middle = heard[RATE // 2 : RATE]
    assert abs(loudness(middle, 440) - 6000) < 100
    assert abs(loudness(middle, 1000) - 3000) < 100


def test_loud_voices_are_softened_and_not_cut_off() -> None:
    """Three at full scale fit, and the sum keeps its shape."""
    voices = {name: tone(f, peak=30000) for name, f in (("a", 440), ("b", 650), ("c", 880))}
    heard = mix(Mixer(RATE, 0.2), voices)
    middle = heard[RATE // 2 : RATE // 2 + 24000]
    assert np.abs(middle).max() < 32767
    ratio = loudness(middle, 440) / loudness(middle, 880)
    assert 0.9 < ratio < 1.1
    # A cut-off sum would have a third harmonic of some per cent.
    assert loudness(middle, 1320) < 0.02 * loudness(middle, 440)


def test_the_gain_comes_back() -> None:
    """After a shout a voice is as loud as it was."""
    mixer = Mixer(RATE, 0.2)
    mix(mixer, {"a": tone(440, peak=30000), "b": tone(440, peak=30000)})
    mixer.remove("b")
    heard = mix(mixer, {"a": tone(440, seconds=3, peak=8000)}, begin=1.0)
    assert abs(loudness(heard[-24000:], 440) - 8000) < 100


def test_nobody_says_nothing() -> None:
    """Without speakers there is no audio, and neither before there is enough of one."""
    mixer = Mixer(RATE, 0.2)
    assert mixer.mix(BLOCK, 0.0) is None
    mixer.push("ann", tone(440, seconds=0.01, peak=8000), 0.0)
    assert mixer.mix(BLOCK, 0.0) is None


def test_one_who_is_late_does_not_disturb_the_other() -> None:
    """A speaker whose audio stalls falls silent alone."""
    mixer = Mixer(RATE, 0.2)
    mix(mixer, {"ann": tone(440, peak=6000), "bob": tone(1000, peak=6000)})
    heard = mix(mixer, {"ann": tone(440, peak=6000)}, begin=1.0)
    assert loudness(heard[-24000:], 1000) < 50
    assert abs(loudness(heard[-24000:], 440) - 6000) < 100
    assert mixer.statistics()["bob"].gaps == 1
    assert mixer.statistics()["ann"].gaps == 0


def test_who_leaves_is_played_to_the_end_and_forgotten() -> None:
    """What was said before leaving is heard."""
    mixer = Mixer(RATE, 0.2)
    mixer.push("ann", tone(440, seconds=0.015, peak=8000), 0.0)
    mixer.remove("ann")
    mixer.remove("nobody")
    block = mixer.mix(BLOCK, 0.0)
    assert block is not None
    assert np.abs(block).max() > 4000
    assert mixer.mix(BLOCK, 0.0) is None
    assert mixer.statistics() == {}
