from __future__ import annotations

import numpy as np
import pytest
from audio.audio_signals import reference_audioop

from telnyx_trio.audio._g711 import pcma_decode, pcma_encode, pcmu_decode, pcmu_encode

EVERY_SAMPLE = np.arange(-32768, 32768, dtype=np.int16)
EVERY_CODE = bytes(range(256))


def test_pcmu_encodes_every_sample_as_audioop() -> None:
    """All 65,536 samples become the code that CPython's audioop gives."""
    expected = reference_audioop().lin2ulaw(EVERY_SAMPLE.tobytes(), 2)
    assert pcmu_encode(EVERY_SAMPLE) == expected


def test_pcma_encodes_every_sample_as_audioop() -> None:
    """All 65,536 samples become the code that CPython's audioop gives."""
    expected = reference_audioop().lin2alaw(EVERY_SAMPLE.tobytes(), 2)
    assert pcma_encode(EVERY_SAMPLE) == expected


def test_pcmu_decodes_every_code_as_audioop() -> None:
    """All 256 codes become the sample that CPython's audioop gives."""
    assert pcmu_decode(EVERY_CODE).tobytes() == reference_audioop().ulaw2lin(EVERY_CODE, 2)


def test_pcma_decodes_every_code_as_audioop() -> None:
    """All 256 codes become the sample that CPython's audioop gives."""
    assert pcma_decode(EVERY_CODE).tobytes() == reference_audioop().alaw2lin(EVERY_CODE, 2)


def test_pcmu_codes_survive_a_round_trip_but_for_negative_zero() -> None:
    """Decoding and encoding gives the code back; 0x7F, a second zero, becomes the first, 0xFF."""
    assert pcmu_encode(pcmu_decode(EVERY_CODE)) == EVERY_CODE.replace(b"\x7f", b"\xff")


def test_pcma_codes_survive_a_round_trip() -> None:
    """Decoding and encoding gives every code back."""
    assert pcma_encode(pcma_decode(EVERY_CODE)) == EVERY_CODE


def test_zero_is_the_silence_byte() -> None:
    """Sample 0 is 0xFF in PCMU and 0xD5 in PCMA."""
    zero = np.zeros(1, np.int16)
    assert (pcmu_encode(zero), pcma_encode(zero)) == (b"\xff", b"\xd5")


def test_samples_need_not_be_contiguous() -> None:
    """One channel of an interleaved pair is encoded as its copy is."""
    left = np.stack((EVERY_SAMPLE, EVERY_SAMPLE[::-1]), axis=1)[:, 0]
    assert pcmu_encode(left) == pcmu_encode(EVERY_SAMPLE)


@pytest.mark.parametrize("decode", [pcmu_decode, pcma_decode])
def test_decoded_samples_can_be_written(decode: object) -> None:
    """What is decoded is int16 of its own, not a view of a table."""
    assert callable(decode)
    decode(b"\x00")[0] = 1
    assert decode(b"\x00")[0] != 1
