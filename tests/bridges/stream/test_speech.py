"""Speech on both ways through a Stream call is heard as it was said, and as loud."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import trio
from numpy.typing import NDArray
from scenarios import open_socket_world
from stream_bridge_world import guest_in, stream_call_of, wait_until
from stream_standin import Standin

from telnyx_trio import Call, PcmData, open_stream_bridge
from telnyx_trio.testing import Phone
from telnyx_trio.testing._speech import CALLER_WAV, GREETING_WAV

RATE = 48000
"""At which is compared: a sample of 8000 Hz is too long to tell how well two waves fit."""

STRETCH = RATE // 4
"""A quarter of a second: by then a clock that is followed has moved a little."""

MONO_SOFTER = 3.0 if find_spec("getstream_rtc") is None else 0.0
"""dB by which a participant's mono is softer: aiortc's doing, which getstream 7 does without."""


def speech(path: Path) -> NDArray[np.int16]:
    """Read speech of a phone; silence behind it, so that it may be said over and over."""
    samples = PcmData.from_wav(path).resample(8000).resample(RATE).mono_int16()
    return np.concatenate((samples, np.zeros(RATE // 4, np.int16)))


def find(stretch: NDArray[np.float64], heard: NDArray[np.float64]) -> tuple[float, float]:
    """Look for a stretch where it fits best; return how well, 1.0 at most, and how loud, in dB."""
    n = len(heard) + len(stretch)
    products = np.fft.irfft(np.fft.rfft(heard, n) * np.conj(np.fft.rfft(stretch, n)), n)
    products = products[: len(heard) - len(stretch) + 1]
    sums = np.cumsum(np.concatenate(([0.0], heard**2)))
    energies = np.maximum(sums[len(stretch) :] - sums[: -len(stretch)], 1e6)
    fits = products / np.sqrt(energies * (stretch @ stretch))
    best = int(np.argmax(fits))
    return float(fits[best]), float(10 * np.log10(energies[best] / (stretch @ stretch)))


def compare(said: NDArray[np.int16], heard: NDArray[np.int16]) -> tuple[float, float]:
    """Return how well what was said is found in what was heard, and how loud, both as medians."""
    wave, there = said.astype(np.float64), heard.astype(np.float64)
    stretches = [wave[at : at + STRETCH] for at in range(0, len(wave) - STRETCH, STRETCH)]
    found = [find(part, there) for part in stretches if np.std(part) > 500]
    assert len(found) >= 5
    fit, level = np.median(found, axis=0)
    return float(fit), float(level)


async def test_speech_is_heard_as_it_was_said(standin: Standin) -> None:
    """The caller's voice at the participant, and the participant's at the phone."""
    voice, greeting = speech(CALLER_WAV), speech(GREETING_WAV)
    seconds = 2 * max(len(voice), len(greeting)) / RATE
    says = PcmData(RATE, samples=voice).resample(8000).mono_int16()
    phone = Phone(says=(np.tile(says, 12), 8000))

    async def agent(call: Call) -> None:
        async with open_stream_bridge(call, stream_call_of(standin, "speech")) as bridge:
            await bridge.wait_ended()

    async with (
        open_socket_world(agent) as world,
        guest_in(standin, "speech", "ann", says=greeting) as ann,
    ):
        with trio.fail_after(60):
            leg = await world.carrier.call_in(to="+15550100000", phone=phone)
            await wait_until(ann, lambda: ann.heard_for("phone-user") > 2 + seconds, timeout=40)
            (_, by_phone), rate = leg.recording()
            await leg.hang_up()
        await world.assert_nothing_left(inbound=1)
    size = round(seconds * RATE)
    by_ann = ann.samples("phone-user")[-size:]
    by_phone = PcmData(rate, samples=by_phone).resample(RATE).mono_int16()[-size:]
    for said, heard, other, softer in (
        (voice, by_ann, by_phone, 0.0),
        (greeting, by_phone, by_ann, MONO_SOFTER),
    ):
        fit, level = compare(said, heard)
        fit_of_other, _ = compare(said, other)
        print(f"fit {fit:.3f}, of the other voice {fit_of_other:.3f}; {level:+.2f} dB")
        assert fit > 0.8
        assert fit_of_other < 0.6
        assert abs(level + softer) < 1
