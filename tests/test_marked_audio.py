"""Marks are found where they are, and breaks where there are some."""

from __future__ import annotations

import numpy as np
import pytest
from marked_audio import Timeline, clicks_in, delays_of, marked_tone, marks_of
from numpy.typing import NDArray

from telnyx_trio import PcmData, pcmu_to_pcm
from telnyx_trio.audio import pcm_to_pcmu


def timeline_of(samples: NDArray[np.int16], rate: int) -> Timeline:
    timeline = Timeline(rate)
    for start in range(0, len(samples), rate // 50):
        timeline.add(100 + start / rate, samples[start : start + rate // 50])
    return timeline


@pytest.mark.parametrize("rate", [8000, 48000])
def test_marks(rate: int) -> None:
    """Each is found within a millisecond, also after PCMU, and none of them is a click."""
    said = np.tile(marked_tone(rate), 10)
    if rate == 8000:
        said = pcmu_to_pcm(pcm_to_pcmu(PcmData(rate, samples=said))).mono_int16()
    timeline = timeline_of(said, rate)
    marks, _ = marks_of(timeline)
    assert marks == pytest.approx(100.5 + np.arange(10), abs=0.001)
    assert clicks_in(timeline) == 0
    assert delays_of(marks, marks + 0.3) == pytest.approx(np.full(10, 0.3))
    later, _ = marks_of(timeline, 100)
    assert later == pytest.approx(marks[2:], abs=0.001)


@pytest.mark.parametrize("rate", [8000, 48000])
@pytest.mark.parametrize("what", ["cut", "gap", "step"])
def test_clicks(rate: int, what: str) -> None:
    """Samples that are left out, silence for a moment, a jump: each is one click."""
    said = np.tile(marked_tone(rate), 10)
    place, size = round(4.2 * rate), round(0.003 * rate)
    if what == "cut":
        said = np.delete(said, np.arange(place, place + size + size // 3))
    elif what == "gap":
        said[place : place + 2 * size] = 0
    else:
        said[place : place + size] += 12000
    assert clicks_in(timeline_of(said, rate)) == 1
