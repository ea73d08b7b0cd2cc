"""What waits at the phone comes back to what is right, and nobody hears that."""

from __future__ import annotations

import numpy as np
import pytest
from marked_audio import Timeline, clicks_in, marked_tone

from telnyx_trio.bridges._mixer import Mixer
from telnyx_trio.bridges._phone_pace import CUSHION, interval_until_next

RATE, BLOCK = 48000, 0.02


@pytest.mark.parametrize("backlog", [0.02, CUSHION, 0.12, 0.25])
def test_what_waits_comes_right(backlog: float) -> None:
    """From any backlog, within a minute, without a gap or a cut of a speaker's audio."""
    mixer, heard = Mixer(RATE, 0.2), Timeline(RATE)
    said = np.tile(marked_tone(RATE), 61)
    now, n_pushed = 0.0, 0
    while now < 60:
        while n_pushed * BLOCK <= now:
            mixer.push("ann", said[960 * n_pushed :][:960], now)
            n_pushed += 1
        interval = BLOCK
        if (block := mixer.mix(960, now)) is not None:
            heard.add(now, block)
            interval = interval_until_next(BLOCK, backlog)
            backlog += BLOCK - interval
        now += interval
    assert backlog == pytest.approx(CUSHION, abs=0.015)
    statistics = mixer.statistics()["ann"]
    assert (statistics.gaps, statistics.dropped) == (0, 0)
    assert clicks_in(heard) == 0


def test_what_is_right_is_left_alone() -> None:
    """Blocks are sent in real time, and corrections are small and have a sign."""
    assert interval_until_next(BLOCK, CUSHION) == BLOCK
    assert BLOCK < interval_until_next(BLOCK, 10) <= BLOCK * 1.005
    assert BLOCK > interval_until_next(BLOCK, 0) >= BLOCK * 0.995
