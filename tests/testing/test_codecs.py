from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from audio.make_vectors import VECTORS, read_speech

from telnyx_trio._errors import CodecNotInstalled, UnsupportedEncoding
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
    coder = Codec(encoding).open_coder()
    once = coder.pass_through(EVERY_SAMPLE)
    assert coder.pass_through(once) == once


@pytest.mark.parametrize(
    ("encoding", "silence"), [("PCMU", b"\xff"), ("PCMA", b"\xd5"), ("L16", b"\0\0")]
)
def test_silence_has_the_standard_bytes(encoding: Encoding, silence: bytes) -> None:
    """RFC 3551 and ITU-T G.711 fix what silence looks like."""
    assert Codec(encoding).open_coder().encode(b"\0\0") == silence


@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_l16_has_the_chosen_byte_order(byteorder: ByteOrder) -> None:
    """0x0102 goes out as 01 02 or 02 01, and comes back."""
    codec = Codec("L16", 8000, byteorder).open_coder()
    pcm = (0x0102).to_bytes(2, sys.byteorder)
    assert codec.encode(pcm) == (0x0102).to_bytes(2, byteorder)
    assert codec.decode(codec.encode(pcm)) == pcm


def test_l16_drops_half_a_sample() -> None:
    """An odd payload gives its whole samples."""
    assert len(Codec("L16").open_coder().decode(b"\1\2\3")) == 2


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


def test_g722_is_bit_exact() -> None:
    """The bits are those of SpanDSP, both ways, packet by packet."""
    coder = Codec("G722", 16000).open_coder()
    speech, coded = read_speech().tobytes(), b""
    for start in range(0, len(speech), 640):
        coded += coder.encode(speech[start : start + 640])
    with np.load(VECTORS) as vectors:
        assert coded == vectors["g722"].tobytes()
        assert coder.decode(coded) == vectors["g722_decoded"].tobytes()


@pytest.mark.parametrize(("encoding", "rate"), [("G722", 16000), ("OPUS", 48000)])
def test_a_clip_is_carried_in_its_place(encoding: Encoding, rate: int) -> None:
    """What a codec delays is put back, and the length is kept."""
    clip = resample_clip(read_speech(), 16000, rate)[: rate - 7]
    carried = np.frombuffer(Codec(encoding, rate).open_coder().carry_clip(clip.tobytes()), np.int16)
    assert carried.size == clip.size
    error = carried.astype(np.int32) - clip
    assert level(error.astype(np.int16)) < 0.1 * level(clip)


@pytest.mark.parametrize(("encoding", "rate"), [("G722", 16000), ("OPUS", 48000)])
def test_packets_pass_a_line_without_waiting(encoding: Encoding, rate: int) -> None:
    """After the first, which may be short of a resampler's delay, 20 ms in are 20 ms out."""
    line = Codec(encoding, rate).open_coder()
    size = rate // 50 * 2
    lengths = [len(line.pass_through(bytes(n))) for n in (size - 46, size, size, size)]
    assert lengths == [size] * 4
    assert len(line.pass_through(bytes(size // 2))) == 0
    assert len(line.pass_through(bytes(size))) == size


def test_what_is_no_opus_is_refused() -> None:
    """As a ValueError, and the stream goes on."""
    coder = Codec("OPUS", 48000).open_coder()
    with pytest.raises(ValueError, match="no OPUS"):
        coder.decode(b"\xff")
    assert len(coder.decode(coder.encode(bytes(1920)))) == 1920


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names it."""
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(CodecNotInstalled, match=r"telnyx-trio\[codecs\]"):
        Codec.of("OPUS", 8000, "little")
