from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from audio.audio_signals import speech_like, tone
from hypothesis import given, settings
from hypothesis import strategies as st

from telnyx_trio._errors import UnsupportedEncoding
from telnyx_trio._types import ByteOrder, TelnyxMediaFormat
from telnyx_trio.audio import (
    RECEIVED_ENCODINGS,
    Decoder,
    open_decoder,
    pcm_to_pcma,
    pcm_to_pcmu,
    pcma_to_pcm,
    pcmu_to_pcm,
)
from telnyx_trio.audio._l16 import l16_encode

EVERY_CODE = bytes(range(256))


def decode_all(decoder: Decoder, payloads: list[bytes]) -> list[int]:
    parts = [decoder.decode(payload).samples for payload in payloads]
    return [int(sample) for part in parts for sample in part]


@pytest.mark.parametrize("name", ["PCMU", "pcmu", "Pcmu"])
def test_pcmu_is_decoded_by_the_table(name: str) -> None:
    """The decoder gives what the conversion function gives; case does not matter."""
    assert open_decoder(TelnyxMediaFormat(name)).decode(EVERY_CODE) == pcmu_to_pcm(EVERY_CODE)


def test_pcma_is_decoded_by_the_table() -> None:
    """The decoder gives what the conversion function gives."""
    assert open_decoder(TelnyxMediaFormat("PCMA")).decode(EVERY_CODE) == pcma_to_pcm(EVERY_CODE)


def test_rate_and_channels_are_those_of_the_media_format() -> None:
    """Interleaved stereo comes out as (2, n), in the rate that was named."""
    pcm = open_decoder(TelnyxMediaFormat("L16", 24000, 2), "big").decode(b"\0\1\0\2\0\3\0\4")
    assert (pcm.sample_rate, pcm.channels) == (24000, 2)
    assert pcm.samples.tolist() == [[1, 3], [2, 4]]


def test_stereo_g711_is_taken_apart() -> None:
    """One byte is one sample; a half group waits for the next payload."""
    decoder = open_decoder(TelnyxMediaFormat("PCMU", 8000, 2))
    first, second = decoder.decode(EVERY_CODE[:3]), decoder.decode(EVERY_CODE[3:4])
    expected = pcmu_to_pcm(EVERY_CODE[:4]).samples
    assert first.samples.tolist() == [[expected[0]], [expected[1]]]
    assert second.samples.tolist() == [[expected[2]], [expected[3]]]


def test_an_odd_byte_is_carried() -> None:
    """A sample cut in two is put together again."""
    decoder = open_decoder(TelnyxMediaFormat("L16", 16000), "big")
    payloads = [b"\x01", b"\x02\x03", b"", b"\x04\x05\x06"]
    assert decode_all(decoder, payloads) == [0x0102, 0x0304, 0x0506]


def test_a_half_stereo_group_is_carried() -> None:
    """Left waits for right, so that the channels never swap."""
    decoder = open_decoder(TelnyxMediaFormat("L16", 16000, 2), "big")
    left = [
        decoder.decode(payload).samples[0].tolist()
        for payload in (b"\0\1\0\2\0\1\0", b"\2\0\1", b"\0\2")
    ]
    assert left == [[1], [1], [1]]


@settings(max_examples=60, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 1200), max_size=8),
    order=st.sampled_from(["big", "little"]),
    channels=st.sampled_from([1, 2]),
)
def test_cuts_do_not_matter(cuts: list[int], order: ByteOrder, channels: int) -> None:
    """However a stream is cut into payloads, the same samples come out."""
    samples = np.arange(-300, 300, dtype=np.int16)
    raw = l16_encode(samples, order)
    decoder = open_decoder(TelnyxMediaFormat("L16", 16000, channels), order)
    edges = [0, *sorted(cuts), len(raw)]
    parts = [decoder.decode(raw[a:b]).to_bytes() for a, b in pairwise(edges)]
    assert b"".join(parts) == samples.tobytes()


def test_reset_drops_the_cut_sample() -> None:
    """After lost payloads the next one is read from its first byte."""
    decoder = open_decoder(TelnyxMediaFormat("L16", 16000), "big")
    decoder.decode(b"\x01")
    decoder.reset()
    assert decode_all(decoder, [b"\x02\x03"]) == [0x0203]


@pytest.mark.parametrize("order", ["big", "little"])
@pytest.mark.parametrize("size", [640, 641, 333])
def test_auto_never_plays_noise(order: ByteOrder, size: int) -> None:
    """Speech in either order, cut at odd places too, is right from the first sample on."""
    samples = speech_like(np.random.default_rng(4), 16000, 0.5)
    raw = l16_encode(samples, order)
    decoder = open_decoder(TelnyxMediaFormat("L16", 16000))
    decoded = decode_all(decoder, [raw[i : i + size] for i in range(0, len(raw), size)])
    assert decoded == samples.tolist()
    assert (decoder.byteorder, decoder.byteorder_locked) == (order, True)


def test_auto_reports_what_it_knows() -> None:
    """Unknown at first, guessed after one packet, locked after 200 ms of voice."""
    decoder = open_decoder(TelnyxMediaFormat("L16", 16000))
    raw = l16_encode(tone(440, 16000, 0.2), "big")
    reports = [(decoder.byteorder, decoder.byteorder_locked)]
    for start in range(0, len(raw), 640):
        decoder.decode(raw[start : start + 640])
        reports.append((decoder.byteorder, decoder.byteorder_locked))
    assert reports == [(None, False), *[("big", False)] * 9, ("big", True)]


def test_auto_reads_silence_by_what_it_knows() -> None:
    """A constant that tells nothing is read in the order found, before that as little."""
    decoder = open_decoder(TelnyxMediaFormat("L16", 16000))
    assert decode_all(decoder, [b"\x08\x00" * 20]) == [8] * 20
    decoder.decode(l16_encode(tone(440, 16000, 0.02), "big"))
    assert decode_all(decoder, [b"\x00\x08" * 20]) == [8] * 20


def test_reset_keeps_the_byte_order() -> None:
    """A gap in the stream does not change how it is coded."""
    decoder = open_decoder(TelnyxMediaFormat("L16", 16000))
    decoder.decode(l16_encode(tone(440, 16000), "big"))
    decoder.reset()
    assert (decoder.byteorder, decoder.byteorder_locked) == ("big", True)


@pytest.mark.parametrize("order", ["big", "little"])
def test_a_fixed_order_is_kept_whatever_comes(order: ByteOrder) -> None:
    """The caller's choice is not second-guessed."""
    decoder = open_decoder(TelnyxMediaFormat("L16", 16000), order)
    raw = l16_encode(tone(440, 16000), "little")
    assert (
        decoder.decode(raw).to_bytes()
        == np.frombuffer(raw, "<i2" if order == "little" else ">i2").astype("<i2").tobytes()
    )
    assert (decoder.byteorder, decoder.byteorder_locked) == (order, True)


def test_g711_has_no_byte_order() -> None:
    """None, and nothing left to find out."""
    decoder = open_decoder(TelnyxMediaFormat("PCMU"))
    assert (decoder.byteorder, decoder.byteorder_locked) == (None, True)


@pytest.mark.parametrize("encoding", ["SPEEX", "AMR", "", "L16 "])
def test_other_encodings_are_refused_with_the_supported_ones(encoding: str) -> None:
    """At open, before the first payload, and every supported name is told."""
    with pytest.raises(UnsupportedEncoding) as caught:
        open_decoder(TelnyxMediaFormat(encoding))
    assert all(name in str(caught.value) for name in RECEIVED_ENCODINGS)


def test_decoding_inverts_encoding() -> None:
    """What the encoders give comes back, but for the steps of the law."""
    samples = pcmu_to_pcm(EVERY_CODE)
    assert open_decoder(TelnyxMediaFormat("PCMU")).decode(pcm_to_pcmu(samples)) == samples
    samples = pcma_to_pcm(EVERY_CODE)
    assert open_decoder(TelnyxMediaFormat("PCMA")).decode(pcm_to_pcma(samples)) == samples
