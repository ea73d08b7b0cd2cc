from __future__ import annotations

import numpy as np
import pytest
from audio.audio_signals import Int16Array, noise, sinad_db, tone
from hypothesis import given, settings
from hypothesis import strategies as st

from telnyx_trio._errors import LocalProtocolError, UnsupportedEncoding
from telnyx_trio._types import ByteOrder, TelnyxMediaFormat
from telnyx_trio.audio import (
    PacketEncoder,
    PcmData,
    pcm_to_l16,
    pcm_to_pcma,
    pcm_to_pcmu,
    pcmu_to_pcm,
)
from telnyx_trio.audio._l16 import l16_decode

L16 = TelnyxMediaFormat("L16", 16000)
SIZES = [("PCMU", 8000, 160), ("PCMA", 8000, 160), ("L16", 8000, 320), ("L16", 16000, 640)]


def pcm(samples: Int16Array, sample_rate: int = 8000) -> PcmData:
    return PcmData(sample_rate, "s16", samples)


def push_in_chunks(encoder: PacketEncoder, audio: PcmData, n_samples: int) -> list[bytes]:
    samples = audio.mono_int16()
    packets = []
    for start in range(0, len(samples), n_samples):
        packets += encoder.push(pcm(samples[start : start + n_samples], audio.sample_rate))
    return packets + encoder.flush()


@pytest.mark.parametrize(("encoding", "sample_rate", "size"), SIZES)
def test_packets_are_20_ms(encoding: str, sample_rate: int, size: int) -> None:
    """Every payload has the same size."""
    encoder = PacketEncoder(TelnyxMediaFormat(encoding, sample_rate))
    packets = encoder.push(pcm(noise(sample_rate), sample_rate))
    assert [len(packet) for packet in packets] == [size] * 50


def test_payloads_are_what_the_conversion_functions_give() -> None:
    """Same bytes, cut into packets."""
    audio = pcm(noise(800))
    for encoding, convert in (("PCMU", pcm_to_pcmu), ("pcma", pcm_to_pcma)):
        assert b"".join(PacketEncoder(TelnyxMediaFormat(encoding)).push(audio)) == convert(audio)
    encoder = PacketEncoder(TelnyxMediaFormat("L16", 8000))
    assert b"".join(encoder.push(audio)) == pcm_to_l16(audio, 8000, byteorder="little")


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(0, 700), max_size=12), rate=st.sampled_from([8000, 24000]))
def test_cuts_do_not_matter(lengths: list[int], rate: int) -> None:
    """However the audio is cut, the same packets come out, none short."""
    samples = noise(sum(lengths))
    whole, cut = (PacketEncoder(TelnyxMediaFormat()) for _ in range(2))
    expected = whole.push(pcm(samples, rate)) + whole.flush()
    packets, position = [], 0
    for length in lengths:
        packets += cut.push(pcm(samples[position : position + length], rate))
        position += length
    packets += cut.flush()
    assert packets == expected
    assert {len(packet) for packet in packets} <= {160}


def test_remainder_is_carried() -> None:
    """100 samples are no packet yet; 60 more make it one."""
    encoder = PacketEncoder(TelnyxMediaFormat())
    samples = noise(160)
    assert encoder.push(pcm(samples[:100])) == []
    assert encoder.pending == pytest.approx(0.0125)
    assert encoder.push(pcm(samples[100:])) == [pcm_to_pcmu(pcm(samples))]
    assert encoder.pending == 0


def test_remainder_is_a_copy() -> None:
    """The caller may write over an array that was pushed."""
    encoder = PacketEncoder(TelnyxMediaFormat("L16", 8000))
    samples = np.full(100, 5, np.int16)
    encoder.push(pcm(samples))
    samples[:] = 9
    assert set(l16_decode(encoder.flush()[0], "little")[:100]) == {5}


@pytest.mark.parametrize(
    ("encoding", "sample_rate", "silence"),
    [("PCMU", 8000, b"\xff"), ("PCMA", 8000, b"\xd5"), ("L16", 16000, b"\0\0")],
)
def test_the_last_packet_is_filled_with_silence(
    encoding: str, sample_rate: int, silence: bytes
) -> None:
    """In the codec's own silence, to the full size."""
    encoder = PacketEncoder(TelnyxMediaFormat(encoding, sample_rate))
    encoder.push(pcm(np.full(100, 1000, np.int16), sample_rate))
    (packet,) = encoder.flush()
    n_filled = sample_rate // 50 - 100
    assert len(packet) == len(silence) * (sample_rate // 50)
    assert packet.endswith(silence * n_filled)
    assert not packet.endswith(silence * (n_filled + 1))
    assert encoder.silence_payload() == silence * (sample_rate // 50)


def test_flush_of_nothing_is_no_packet() -> None:
    """Neither at first, nor after whole packets, nor twice."""
    encoder = PacketEncoder(TelnyxMediaFormat())
    assert encoder.flush() == []
    encoder.push(pcm(noise(320)))
    assert encoder.flush() == []
    encoder.push(pcm(noise(10)))
    assert len(encoder.flush()) == 1
    assert encoder.flush() == []


def test_empty_audio_is_no_packet() -> None:
    """Nothing empty is ever sent."""
    encoder = PacketEncoder(TelnyxMediaFormat())
    assert encoder.push(PcmData(48000)) == []
    assert encoder.flush() == []


@pytest.mark.parametrize("sample_rate", [8000, 16000, 24000, 44100, 48000])
@pytest.mark.parametrize("chunk", [0.01, 0.02, 0.5])
def test_chunks_are_inaudible(sample_rate: int, chunk: float) -> None:
    """A tone pushed in chunks of any length keeps 70 dB, all of its seconds, and no more."""
    encoder = PacketEncoder(TelnyxMediaFormat("L16", 8000))
    audio = pcm(tone(1000, sample_rate), sample_rate)
    packets = push_in_chunks(encoder, audio, round(chunk * sample_rate))
    assert len(packets) == 50
    assert sinad_db(l16_decode(b"".join(packets), "little"), 1000, 8000) >= 70


def test_at_most_5_ms_are_held_by_the_resampler() -> None:
    """After each 20 ms at 48 kHz less than one packet and 5 ms are pending."""
    encoder = PacketEncoder(TelnyxMediaFormat())
    n_packets = 0
    for n_pushed in range(1, 51):
        n_packets += len(encoder.push(pcm(noise(960), 48000)))
        assert encoder.pending <= 0.025
        assert encoder.pending == pytest.approx(0.02 * (n_pushed - n_packets))


def test_a_change_of_rate_loses_nothing() -> None:
    """The old rate's tail comes before the new rate's head."""
    encoder = PacketEncoder(TelnyxMediaFormat("L16", 8000))
    constant = np.full(4800, 1000, np.int16)
    packets = encoder.push(pcm(constant, 48000)) + encoder.push(pcm(constant, 16000))
    packets += encoder.push(pcm(constant, 8000)) + encoder.flush()
    samples = l16_decode(b"".join(packets), "little")
    assert len(samples) == 800 + 2400 + 4800
    assert (samples[100:700] == 1000).all()
    assert (samples[900:3100] == 1000).all()
    assert (samples[3200:] == 1000).all()


def test_single_packet_comes_behind_what_the_resampler_holds() -> None:
    """Also when the remainder is none."""
    encoder = PacketEncoder(TelnyxMediaFormat("L16", 8000))
    packet = pcm(np.full(160, 1000, np.int16), 8000)
    assert encoder.push_packet(packet) is not None
    while not encoder.push(pcm(np.full(2, 1000, np.int16), 16000)):
        pass  # one sample comes out of two: the packet is just full
    assert encoder.pending > 0
    assert encoder.push_packet(packet) is None
    encoder.push(packet)
    encoder.flush()
    assert encoder.push_packet(packet) is not None


def test_stereo_float_is_taken() -> None:
    """Mixed down and scaled."""
    samples = tone(440, 8000)
    both = np.stack((samples, samples))
    stereo = PcmData(8000, "f32", (both / 32768).astype(np.float32), channels=2)
    mono, mixed = PacketEncoder(TelnyxMediaFormat()), PacketEncoder(TelnyxMediaFormat())
    assert mixed.push(stereo) == mono.push(pcm(samples))


def test_clear_drops_remainder_and_resampler_state() -> None:
    """What follows is as if nothing had been before."""
    encoder = PacketEncoder(TelnyxMediaFormat())
    encoder.push(pcm(noise(1000), 48000))
    encoder.clear()
    assert encoder.pending == 0
    assert encoder.flush() == []
    encoder.push(pcm(noise(1000), 48000))
    encoder.clear()
    audio = pcm(np.zeros(960 * 2, np.int16), 48000)
    assert encoder.push(audio) + encoder.flush() == [encoder.silence_payload()] * 2


@pytest.mark.parametrize("order", ["big", "little"])
def test_byte_order(order: ByteOrder) -> None:
    """As asked for at first; little when nothing is said."""
    audio = pcm(noise(320), 16000)
    assert PacketEncoder(L16, order).push(audio) == [pcm_to_l16(audio, byteorder=order)]
    assert PacketEncoder(L16).byteorder == "little"


def test_byte_order_can_change() -> None:
    """From the next packet on, its carried beginning included."""
    encoder = PacketEncoder(L16, "little")
    samples = noise(320)
    encoder.push(pcm(samples[:100], 16000))
    encoder.byteorder = "big"
    assert encoder.push(pcm(samples[100:], 16000)) == [pcm_to_l16(pcm(samples, 16000))]


def test_g711_over_a_whole_second() -> None:
    """Decoding the packets gives the audio back, within the steps of the law."""
    samples = tone(440, 8000)
    packets = PacketEncoder(TelnyxMediaFormat()).push(pcm(samples))
    decoded = pcmu_to_pcm(b"".join(packets)).mono_int16()
    assert np.abs(decoded.astype(np.int32) - samples).max() <= 512


@pytest.mark.parametrize(
    "media_format",
    [
        TelnyxMediaFormat("PCMU", 8000, 2),
        TelnyxMediaFormat("L16", 11025),
        TelnyxMediaFormat("L16", 0),
    ],
)
def test_formats_that_cannot_be_sent(media_format: TelnyxMediaFormat) -> None:
    """Stereo, and rates at which 20 ms are no whole number of samples."""
    with pytest.raises(LocalProtocolError):
        PacketEncoder(media_format)


def test_unsupported_encodings_name_the_supported() -> None:
    """At construction, before any audio; AMR-WB is for receiving."""
    with pytest.raises(UnsupportedEncoding, match="PCMU, PCMA, L16"):
        PacketEncoder(TelnyxMediaFormat("AMR-WB"))
