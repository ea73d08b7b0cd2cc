from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from audio.audio_signals import reference_audioop, rms, sinad_db, tone

from telnyx_trio._errors import UnsupportedEncoding
from telnyx_trio._types import ByteOrder
from telnyx_trio.audio import (
    TELNYX_DEFAULT_SAMPLE_RATE,
    TELNYX_L16_SAMPLE_RATE,
    PcmData,
    l16_to_pcm,
    pcm_to_l16,
    pcm_to_pcma,
    pcm_to_pcmu,
    pcm_to_telnyx_payload,
    pcma_to_pcm,
    pcmu_to_pcm,
    telnyx_payload_to_pcm,
)

EVERY_CODE = bytes(range(256))


def test_constants() -> None:
    """Telephony is 8 kHz, Telnyx's L16 is 16 kHz."""
    assert (TELNYX_DEFAULT_SAMPLE_RATE, TELNYX_L16_SAMPLE_RATE) == (8000, 16000)


@pytest.mark.parametrize(("decode", "law"), [(pcmu_to_pcm, "ulaw2lin"), (pcma_to_pcm, "alaw2lin")])
def test_g711_to_pcm(decode: Callable[[bytes], PcmData], law: str) -> None:
    """8 kHz, mono, int16, the values of audioop."""
    pcm = decode(EVERY_CODE)
    assert (pcm.sample_rate, pcm.channels, pcm.format) == (8000, 1, "s16")
    assert pcm.to_bytes() == getattr(reference_audioop(), law)(EVERY_CODE, 2)


@pytest.mark.parametrize(("encode", "law"), [(pcm_to_pcmu, "lin2ulaw"), (pcm_to_pcma, "lin2alaw")])
def test_pcm_to_g711(encode: Callable[[PcmData], bytes], law: str) -> None:
    """The codes of audioop for every sample."""
    every = np.arange(-32768, 32768, dtype=np.int16)
    expected = getattr(reference_audioop(), law)(every.tobytes(), 2)
    assert encode(PcmData(8000, "s16", every)) == expected


def test_float32_is_scaled_not_silenced() -> None:
    """A half-scale float tone codes as the same tone in int16 does."""
    samples = tone(440, 8000)
    as_float = PcmData(8000, "f32", (samples / 32768).astype(np.float32))
    assert pcm_to_pcmu(as_float) == pcm_to_pcmu(PcmData(8000, "s16", samples))
    assert pcm_to_l16(as_float, 8000) == pcm_to_l16(PcmData(8000, "s16", samples), 8000)


def test_stereo_is_mixed_down() -> None:
    """Both channels are heard, at half level each; opposite ones cancel."""
    left, right = tone(440, 8000), tone(1000, 8000)
    mixed = PcmData(8000, "s16", np.stack((left, right)), channels=2)
    mean = ((left.astype(np.int32) + right) / 2).round().astype(np.int16)
    assert pcm_to_l16(mixed, 8000) == pcm_to_l16(PcmData(8000, "s16", mean), 8000)
    opposite = PcmData(8000, "s16", np.stack((left, -left)), channels=2)
    assert pcm_to_l16(opposite, 8000) == bytes(2 * len(left))


@pytest.mark.parametrize("sample_rate", [16000, 24000, 44100, 48000])
def test_any_rate_is_resampled(sample_rate: int) -> None:
    """One second stays one second, its tone the same, limited by the law (PCMU: about 37 dB)."""
    payload = pcm_to_pcmu(PcmData(sample_rate, "s16", tone(1000, sample_rate)))
    assert len(payload) == 8000
    decoded = np.frombuffer(pcmu_to_pcm(payload).to_bytes(), np.int16)
    assert sinad_db(decoded, 1000, 8000) >= 30
    assert rms(decoded) == pytest.approx(rms(tone(1000, 8000)), rel=0.02)


def test_aliases_are_removed() -> None:
    """A 5 kHz tone at 24 kHz is not heard at 8 kHz."""
    payload = pcm_to_l16(PcmData(24000, "s16", tone(5000, 24000)), 8000)
    decoded = np.frombuffer(payload, ">i2").astype(np.int16)[100:-100]
    assert rms(decoded) <= rms(tone(5000, 24000)) / 1000


def test_l16_is_big_endian_and_16_khz_by_default() -> None:
    """RFC 3551, section 4.5.11: network order."""
    pcm = l16_to_pcm(b"\x01\x02\xff\xfe")
    assert (pcm.sample_rate, pcm.channels, pcm.format) == (16000, 1, "s16")
    assert pcm.samples.tolist() == [0x0102, -2]
    assert pcm_to_l16(pcm) == b"\x01\x02\xff\xfe"


def test_l16_little_endian_on_request() -> None:
    """Both ways."""
    pcm = l16_to_pcm(b"\x02\x01", 8000, byteorder="little")
    assert (pcm.sample_rate, pcm.samples.tolist()) == (8000, [0x0102])
    assert pcm_to_l16(pcm, 8000, byteorder="little") == b"\x02\x01"


def test_l16_ignores_a_last_odd_byte() -> None:
    """A function without state cannot carry it."""
    assert l16_to_pcm(b"\x01\x02\x03").samples.tolist() == [0x0102]


@pytest.mark.parametrize(
    ("encoding", "sample_rate"), [("PCMU", 8000), ("PCMA", 8000), ("L16", 16000), ("l16", 16000)]
)
def test_default_rate_is_that_of_the_encoding(encoding: str, sample_rate: int) -> None:
    """None means 8000 for G.711 and 16000 for L16, both ways."""
    assert telnyx_payload_to_pcm(bytes(320), encoding).sample_rate == sample_rate
    pcm = PcmData(sample_rate, "s16", np.zeros(sample_rate // 50, np.int16))
    expected = 640 if encoding.upper() == "L16" else 160
    assert len(pcm_to_telnyx_payload(pcm, encoding)) == expected


def test_sample_rate_of_l16_can_be_said() -> None:
    """Both ways."""
    pcm = telnyx_payload_to_pcm(bytes(320), "L16", 8000)
    assert (pcm.sample_rate, pcm.n_samples) == (8000, 160)
    assert len(pcm_to_telnyx_payload(pcm, "L16", 24000)) == 960


@pytest.mark.parametrize("byteorder", ["big", "little"])
def test_payload_functions_hand_the_byte_order_on(byteorder: ByteOrder) -> None:
    """Both ways."""
    pcm = telnyx_payload_to_pcm(b"\x01\x02", "L16", byteorder=byteorder)
    assert pcm == l16_to_pcm(b"\x01\x02", byteorder=byteorder)
    assert pcm_to_telnyx_payload(pcm, "L16", byteorder=byteorder) == b"\x01\x02"


@pytest.mark.parametrize("encoding", ["PCMU", "PCMA"])
def test_payload_functions_choose_the_law(encoding: str) -> None:
    """In whatever case."""
    decode, encode = {
        "PCMU": (pcmu_to_pcm, pcm_to_pcmu),
        "PCMA": (pcma_to_pcm, pcm_to_pcma),
    }[encoding]
    for name in (encoding, encoding.lower()):
        pcm = telnyx_payload_to_pcm(EVERY_CODE, name)
        assert pcm == decode(EVERY_CODE)
        assert pcm_to_telnyx_payload(pcm, name) == encode(pcm)


def test_unsupported_encodings_name_the_supported() -> None:
    """Both ways, and old code that catches ValueError still does."""
    with pytest.raises(UnsupportedEncoding, match="PCMU, PCMA, L16"):
        telnyx_payload_to_pcm(b"", "G722")
    with pytest.raises(ValueError, match="PCMU, PCMA, L16"):
        pcm_to_telnyx_payload(PcmData(8000), "OPUS")


def test_nothing_converts_to_nothing() -> None:
    """Empty payloads and empty PCM are no error."""
    for encoding in ("PCMU", "PCMA", "L16"):
        assert telnyx_payload_to_pcm(b"", encoding).n_samples == 0
        assert pcm_to_telnyx_payload(PcmData(48000), encoding) == b""
