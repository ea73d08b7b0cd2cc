"""Codecs and resampler, for 20 ms of audio."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from telnyx_trio import PcmData, TelnyxMediaFormat
from telnyx_trio.audio import (
    DtmfDetector,
    PacketEncoder,
    Resampler,
    VoiceGate,
    open_decoder,
    pcm_to_pcma,
    pcm_to_pcmu,
    pcma_to_pcm,
    pcmu_to_pcm,
)

Benchmark = Any
"""pytest-benchmark's fixture."""


def noise(rate: int) -> NDArray[np.int16]:
    return np.random.default_rng(20).integers(-30000, 30000, rate // 50, dtype=np.int16)


@pytest.mark.parametrize(
    ("decode", "encode"),
    [(pcmu_to_pcm, pcm_to_pcmu), (pcma_to_pcm, pcm_to_pcma)],
    ids=["pcmu", "pcma"],
)
def test_g711_there_and_back(
    benchmark: Benchmark,
    decode: Callable[[bytes], PcmData],
    encode: Callable[[PcmData], bytes],
) -> None:
    """A payload to PCM, and PCM to a payload: the public functions."""
    payload = encode(PcmData(8000, "s16", noise(8000)))
    assert benchmark(lambda: encode(decode(payload))) == payload


@pytest.mark.parametrize("encoding", ["PCMU", "PCMA"])
def test_call_there_and_back(benchmark: Benchmark, encoding: str) -> None:
    """The same as a call does it: decoder, and encoder of whole packets."""
    media_format = TelnyxMediaFormat(encoding, 8000, 1)
    decoder, encoder = open_decoder(media_format), PacketEncoder(media_format)
    payload = encoder.push(PcmData(8000, "s16", noise(8000)))[0]
    assert benchmark(lambda: encoder.push_packet(decoder.decode(payload))) == payload


@pytest.mark.parametrize(
    ("from_rate", "to_rate"), [(8000, 16000), (16000, 8000), (24000, 8000), (8000, 48000)]
)
def test_resampler(benchmark: Benchmark, from_rate: int, to_rate: int) -> None:
    """A piece into a stream that goes on."""
    resampler, samples = Resampler(from_rate, to_rate), noise(from_rate)
    resampler.push(samples)
    assert len(benchmark(resampler.push, samples)) == to_rate // 50


def test_voice_gate(benchmark: Benchmark) -> None:
    """What listening for the caller's voice adds to a packet."""
    gate, samples = VoiceGate(8000), noise(8000)
    assert not benchmark(gate.process, samples)


def test_dtmf_detector(benchmark: Benchmark) -> None:
    """What listening for the tones of keys adds to a packet."""
    detector, samples = DtmfDetector(8000), noise(8000)
    assert not benchmark(detector.process, samples)
