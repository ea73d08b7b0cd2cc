"""Wide-band calls, measured at both ends: what the agent got, and what the caller heard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from audio.audio_signals import align, log_spectral_distance_db
from audio.make_vectors import read_speech
from scenarios import OUR_NUMBER, open_memory_world
from trio.testing import MockClock

from telnyx_trio import Call, PcmData
from telnyx_trio.testing import CarrierSettings, Phone

WIDE = (100.0, 7000.0)

SPEECH = PcmData(16000, "s16", read_speech())


class Agent:
    """Says the speech, and keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[PcmData] = []

    async def __call__(self, call: Call) -> None:
        await call.send(SPEECH)
        async for pcm in call.received:
            self.heard.append(pcm)


def distance(heard: PcmData) -> float:
    """From the speech, in dB."""
    samples = align(SPEECH.mono_int16(), heard.resample(16000).mono_int16())
    return log_spectral_distance_db(SPEECH.mono_int16(), samples, 16000, WIDE)


@pytest.mark.parametrize(
    ("leg", "options", "rate", "at_most"),
    [
        ("L16", {"send_encoding": "L16"}, 16000, 0.05),
        ("G722", {"send_encoding": "G722"}, 16000, 1.2),
        ("OPUS", {"send_encoding": "OPUS"}, 48000, 0.7),
        ("G722", {"send_encoding": "L16", "receive_encoding": "L16"}, 16000, 0.9),
        ("OPUS", {"send_encoding": "G722", "receive_encoding": "G722"}, 16000, 1.0),
        ("L16", {"send_encoding": "OPUS", "receive_encoding": "OPUS"}, 48000, 0.5),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else None,
)
async def test_hd_call(
    autojump_clock: MockClock, leg: Any, options: dict[str, Any], rate: int, at_most: float
) -> None:
    """All of the band up to 7 kHz comes through, both ways."""
    agent = Agent()
    phone = Phone(says=(SPEECH.mono_int16(), 16000), speak_at=0.1, hang_up_at=1.8)
    settings = CarrierSettings(leg_encoding=leg, leg_sample_rate=16000)
    async with open_memory_world(agent, settings=settings, **options) as world:
        call = await world.carrier.call_in(to=OUR_NUMBER, phone=phone)
        await call.wait_ended()
        await world.assert_nothing_left(inbound=1)
    received = PcmData(rate, "s16", np.concatenate([pcm.samples for pcm in agent.heard]))
    assert {(pcm.sample_rate, pcm.duration) for pcm in agent.heard} == {(rate, 0.02)}
    (_, heard), leg_rate = call.recording()
    inwards, outwards = distance(received), distance(PcmData(leg_rate, "s16", heard))
    print(f"{leg} {options}: {inwards:.2f} dB in, {outwards:.2f} dB out")
    assert inwards < at_most
    assert outwards < at_most


async def test_narrow_call_is_not_hd(autojump_clock: MockClock) -> None:
    """The measure tells them apart."""
    agent = Agent()
    phone = Phone(says=(SPEECH.mono_int16(), 16000), speak_at=0.1, hang_up_at=1.8)
    async with open_memory_world(agent) as world:
        call = await world.carrier.call_in(to=OUR_NUMBER, phone=phone)
        await call.wait_ended()
    (_, heard), leg_rate = call.recording()
    assert distance(PcmData(leg_rate, "s16", heard)) > 1.8
