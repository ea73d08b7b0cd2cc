from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from telnyx_trio._errors import UnsupportedEncoding
from telnyx_trio._types import ByteOrder, Encoding
from telnyx_trio.testing import read_wav, write_wav
from telnyx_trio.testing._codecs import Codec, Resampler, Samples, resample_clip

EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16).tobytes()


def tone(frequency: float, rate: int, duration: float = 0.5) -> Samples:
    time = np.arange(int(rate * duration)) / rate
    return (10_000 * np.sin(2 * np.pi * frequency * time)).astype(np.int16)


def level(samples: Samples) -> float:
    middle = samples[samples.size // 4 : -samples.size // 4].astype(np.float64)
    return float(np.sqrt((middle**2).mean()))


@pytest.mark.parametrize("encoding", ["PCMU", "PCMA"])
def test_g711_survives_a_second_passage(encoding: Encoding) -> None:
    """What a leg has carried once, a second leg of the same kind carries unchanged."""
    codec = Codec(encoding)
    once = codec.pass_through(EVERY_SAMPLE)
    assert codec.pass_through(once) == once


@pytest.mark.parametrize(
    ("encoding", "silence"), [("PCMU", b"\xff"), ("PCMA", b"\xd5"), ("L16", b"\0\0")]
)
def test_silence_has_the_standard_bytes(encoding: Encoding, silence: bytes) -> None:
    """RFC 3551 and ITU-T G.711 fix what silence looks like."""
    assert Codec(encoding).encode(b"\0\0") == silence


@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_l16_has_the_chosen_byte_order(byteorder: ByteOrder) -> None:
    """0x0102 goes out as 01 02 or 02 01, and comes back."""
    codec = Codec("L16", 8000, byteorder)
    pcm = (0x0102).to_bytes(2, sys.byteorder)
    assert codec.encode(pcm) == (0x0102).to_bytes(2, byteorder)
    assert codec.decode(codec.encode(pcm)) == pcm


def test_l16_drops_half_a_sample() -> None:
    """An odd payload gives its whole samples."""
    assert len(Codec("L16").decode(b"\1\2\3")) == 2


def test_unknown_codec_is_refused() -> None:
    """The simulator names what it speaks."""
    with pytest.raises(UnsupportedEncoding, match="PCMU, PCMA, L16"):
        Codec("GSM")  # type: ignore[arg-type]


@pytest.mark.parametrize(("from_rate", "to_rate"), [(8000, 16000), (16000, 8000), (24000, 8000)])
def test_resampler_keeps_the_length_of_packets(from_rate: int, to_rate: int) -> None:
    """20 ms in are 20 ms out, each time."""
    resampler = Resampler(from_rate, to_rate)
    packet = bytes(from_rate // 50 * 2)
    assert {len(resampler.convert(packet)) for _ in range(10)} == {to_rate // 50 * 2}


def test_resampler_does_not_depend_on_how_the_stream_is_cut() -> None:
    """State is kept between runs of any length."""
    pcm = tone(1000, 22050, 0.2).tobytes()
    whole = Resampler(22050, 8000).convert(pcm)
    resampler = Resampler(22050, 8000)
    pieces = [resampler.convert(pcm[start : start + 74]) for start in range(0, len(pcm), 74)]
    assert b"".join(pieces) == whole


@pytest.mark.parametrize(("from_rate", "to_rate"), [(8000, 16000), (16000, 8000), (22050, 8000)])
def test_resample_clip_has_no_delay(from_rate: int, to_rate: int) -> None:
    """A clip comes out as the same sound at the other rate, in place."""
    output = resample_clip(tone(1000, from_rate), from_rate, to_rate)
    expected = tone(1000, to_rate)
    error = output[: expected.size].astype(np.int32) - expected[: output.size]
    assert level(error.astype(np.int16)) < 0.02 * level(expected)


def test_resample_clip_keeps_out_aliases() -> None:
    """A tone above half of the new rate is gone."""
    assert level(resample_clip(tone(5000, 16000), 16000, 8000)) < 10


def test_wav_round_trip(tmp_path: Path) -> None:
    """Stereo is written as it is and read as the mean."""
    path = tmp_path / "call.wav"
    write_wav(path, np.array([[100, 200, 300], [300, 200, 100]], np.int16), 8000)
    samples, rate = read_wav(path)
    assert samples.tolist() == [200, 200, 200]
    assert rate == 8000
