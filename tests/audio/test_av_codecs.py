"""G722, OPUS and AMR-WB: against other implementations, and by what they leave of a sound."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from audio.audio_signals import Int16Array, level_db, noise, rms, sinad_db, tone
from audio.make_vectors import VECTORS, read_speech
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from telnyx_trio._errors import CodecNotInstalled, LocalProtocolError, RemoteProtocolError
from telnyx_trio._types import TelnyxMediaFormat
from telnyx_trio.audio import Decoder, PacketEncoder, PcmData, load_codecs, open_decoder

G722 = TelnyxMediaFormat("G722", 8000)
OPUS = TelnyxMediaFormat("OPUS", 16000)
OPUS_48 = TelnyxMediaFormat("OPUS", 48000, 2)
AMR_WB = TelnyxMediaFormat("AMR-WB", 16000)

DELAY = {"G722": 22 / 16000, "OPUS": 0.0065}
"""Seconds from an encoder's input to a decoder's output, as told in _av_codecs."""


def load(name: str) -> NDArray[np.generic]:
    """One of the vectors that other libraries made."""
    with np.load(VECTORS) as vectors:
        vector: NDArray[np.generic] = vectors[name]
    return vector


def opus_packets() -> list[bytes]:
    ends = np.cumsum(load("opus_sizes"))
    return [part.tobytes() for part in np.split(load("opus"), ends[:-1])]


def encode(media_format: TelnyxMediaFormat, samples: Int16Array, rate: int = 16000) -> list[bytes]:
    encoder = PacketEncoder(media_format)
    return encoder.push(PcmData(rate, "s16", samples)) + encoder.flush()


def decode(decoder: Decoder, payloads: list[bytes]) -> Int16Array:
    return np.concatenate([decoder.decode(payload).samples for payload in payloads])


def through(media_format: TelnyxMediaFormat, samples: Int16Array, rate: int = 16000) -> PcmData:
    """What comes out at the other end."""
    decoder = open_decoder(media_format)
    samples = decode(decoder, encode(media_format, samples, rate))
    return PcmData(media_format.audio_sample_rate, "s16", samples)


def snr_db(reference: Int16Array, samples: Int16Array) -> float:
    n_samples = min(len(reference), len(samples))
    expected = reference[:n_samples].astype(float)
    error = samples[:n_samples] - expected
    return float(10 * np.log10(np.sum(expected**2) / (np.sum(error**2) + 1e-9)))


# Against other implementations.


def test_g722_is_bit_exact() -> None:
    """Encoder and decoder give, bit for bit, what SpanDSP gives for a second of speech."""
    assert b"".join(encode(G722, read_speech())) == load("g722").tobytes()
    decoded = open_decoder(G722).decode(load("g722").tobytes())
    assert decoded.sample_rate == 16000
    assert np.array_equal(decoded.samples, load("g722_decoded"))


def test_opus_is_decoded_as_libopus_does() -> None:
    """Packets of another build of libopus give the samples that it gives itself."""
    decoded = decode(open_decoder(OPUS), opus_packets())
    assert snr_db(load("opus_decoded").astype(np.int16), decoded) > 60


@pytest.mark.parametrize("aligned", [True, False])
def test_amr_wb_is_decoded(aligned: bool) -> None:
    """Frames of another library's encoder are the speech that it was given."""
    payloads = []
    for frame in load("amr_wb"):
        stored = frame.tobytes()
        value = 15 << 6 | stored[0] >> 2
        packed = (value << 477 | int.from_bytes(stored[1:], "big") >> 3) << 1
        payloads.append(b"\xf0" + stored if aligned else packed.to_bytes(61, "big"))
    decoded = decode(open_decoder(AMR_WB), payloads)
    speech = read_speech()
    assert len(decoded) == len(speech)
    assert snr_db(speech[:-95], decoded[95:]) > 9


@pytest.mark.parametrize("header", [b"\x4c" + bytes(range(5)), b"\x74", b"\x7c"])
def test_amr_wb_pauses_are_silence(header: bytes) -> None:
    """Comfort noise, a lost frame and nothing are 20 ms each, and the speech goes on."""
    decoder = open_decoder(AMR_WB)
    frames = [b"\xf0" + frame.tobytes() for frame in load("amr_wb")]
    decode(decoder, frames[:10])
    for _ in range(10):
        assert not decoder.decode(b"\xf0" + header).samples.any()
    assert decoder.decode(b"\xf0" + header).n_samples == 320
    assert rms(decode(decoder, frames[10:])) > 500


# Rates, delays and what is left of a sound.


@pytest.mark.parametrize("sample_rate", [8000, 16000])
def test_g722_has_16000_hz_whatever_clock_is_named(sample_rate: int) -> None:
    """160 bytes are 320 samples."""
    media_format = TelnyxMediaFormat("g722", sample_rate)
    payloads = encode(media_format, tone(3000, 16000))
    assert {len(payload) for payload in payloads} == {160}
    decoded = open_decoder(media_format).decode(payloads[0])
    assert (decoded.sample_rate, decoded.channels, decoded.n_samples) == (16000, 1, 320)


@pytest.mark.parametrize("media_format", [OPUS, OPUS_48, TelnyxMediaFormat("OPUS", 8000)])
def test_opus_is_decoded_at_48000_hz_mono(media_format: TelnyxMediaFormat) -> None:
    """Whatever rate and channels are named; each packet is 20 ms."""
    payloads = encode(media_format, tone(3000, 16000))
    assert len(payloads) == 50
    decoder = open_decoder(media_format)
    for payload in payloads:
        decoded = decoder.decode(payload)
        assert (decoded.sample_rate, decoded.channels, decoded.n_samples) == (48000, 1, 960)


@pytest.mark.parametrize("media_format", [G722, OPUS, OPUS_48], ids=lambda f: f.encoding)
def test_delay_is_as_documented(media_format: TelnyxMediaFormat) -> None:
    """Found by correlation, to half a millisecond."""
    speech = PcmData(16000, "s16", read_speech()).resample(media_format.audio_sample_rate)
    before = speech.samples.astype(float)
    after = through(media_format, read_speech()).samples.astype(float)
    size = 2 * len(before)
    product = np.fft.rfft(after, size) * np.conj(np.fft.rfft(before, size))
    lag = int(np.argmax(np.fft.irfft(product, size)[: size // 2]))
    assert lag / speech.sample_rate == pytest.approx(DELAY[media_format.encoding], abs=0.0005)


@pytest.mark.parametrize(
    ("media_format", "frequency", "at_least"),
    [
        (G722, 440, 55),
        (G722, 1000, 45),
        (G722, 3000, 38),
        (G722, 6000, 25),
        (OPUS, 440, 35),
        (OPUS, 1000, 35),
        (OPUS, 3000, 33),
        (OPUS, 6000, 35),
        (OPUS_48, 1000, 38),
    ],
)
def test_sinad_of_a_tone(
    media_format: TelnyxMediaFormat, frequency: float, at_least: float
) -> None:
    """Tone over noise and distortion, in dB, after encoder and decoder."""
    after = through(media_format, tone(frequency, 16000, 2.0))
    measured = sinad_db(after.mono_int16()[after.sample_rate :], frequency, after.sample_rate)
    print(f"{media_format.encoding} {media_format.sample_rate} {frequency}: {measured:.1f} dB")
    assert measured > at_least


@pytest.mark.parametrize("frequency", [9000, 10_000, 11_500])
@pytest.mark.parametrize("media_format", [G722, OPUS], ids=lambda f: f.encoding)
def test_no_alias_of_what_does_not_fit(media_format: TelnyxMediaFormat, frequency: float) -> None:
    """A tone at 24 kHz above the band of the codec is gone, and nowhere else."""
    source = tone(frequency, 24000, 1.0)
    after = through(media_format, source, 24000)
    measured = level_db(after.mono_int16(), rms(source))
    print(f"{media_format.encoding} {frequency}: {measured:.1f} dB")
    assert measured < -68


# Framing.


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 900), max_size=10),
    rate=st.sampled_from([8000, 16000, 24000]),
    media_format=st.sampled_from([G722, OPUS]),
)
def test_cuts_do_not_matter(lengths: list[int], rate: int, media_format: TelnyxMediaFormat) -> None:
    """However the audio is cut, the same packets come out, each of 20 ms."""
    samples = noise(sum(lengths)) // 4
    expected = encode(media_format, samples, rate)
    encoder, packets, position = PacketEncoder(media_format), [], 0
    for length in lengths:
        packets += encoder.push(PcmData(rate, "s16", samples[position : position + length]))
        position += length
    packets += encoder.flush()
    assert packets == expected
    decoder = open_decoder(media_format)
    assert {decoder.decode(packet).duration for packet in packets} <= {0.02}


@pytest.mark.parametrize("media_format", [G722, OPUS], ids=lambda f: f.encoding)
def test_padding_is_silence_of_the_running_codec(media_format: TelnyxMediaFormat) -> None:
    """What fills up the last packet, and a packet of silence, do not click: they fade."""
    encoder = PacketEncoder(media_format)
    voice = (tone(440, 16000, 0.5)[:-100] * np.linspace(1, 0, 7900)).astype(np.int16)
    packets = encoder.push(PcmData(16000, "s16", voice)) + encoder.flush()
    packets += [encoder.silence_payload() for _ in range(25)]
    decoded = decode(open_decoder(media_format), packets).astype(float)
    tail = decoded[int(0.45 * media_format.audio_sample_rate) :]
    assert np.abs(np.diff(tail)).max() < 0.2 * np.abs(np.diff(voice.astype(float))).max()
    assert np.abs(tail[len(tail) // 2 :]).max() < 30


def test_opus_of_any_length_is_one_packet() -> None:
    """60 ms in one packet, as some senders make them, are decoded whole."""
    three = opus_packets()[10:13]
    toc = three[0][0]
    assert {packet[0] for packet in three} == {toc}
    sizes = [len(packet) - 1 for packet in three[:2]]
    merged = bytes([toc | 3, 0x83, *sizes]) + b"".join(packet[1:] for packet in three)
    assert open_decoder(OPUS).decode(merged).n_samples == 3 * 960


# What goes wrong.


@pytest.mark.parametrize(
    ("media_format", "malformed"),
    [(OPUS, b"\xff"), (OPUS, b"\x02\xff"), (AMR_WB, b"\xf0\x44\0"), (AMR_WB, b"\0")],
)
def test_a_malformed_packet_is_its_own_error(
    media_format: TelnyxMediaFormat, malformed: bytes
) -> None:
    """It raises, and what follows is decoded as if it had not come."""
    if media_format is OPUS:
        payloads = opus_packets()
    else:
        payloads = [b"\xf0" + frame.tobytes() for frame in load("amr_wb")]
    decoder = open_decoder(media_format)
    expected = decode(open_decoder(media_format), payloads)
    first = decode(decoder, payloads[:20])
    with pytest.raises(RemoteProtocolError, match=f"no {media_format.encoding}"):
        decoder.decode(malformed)
    assert np.array_equal(np.concatenate((first, decode(decoder, payloads[20:]))), expected)


@settings(max_examples=200, deadline=None)
@given(
    garbage=st.lists(st.binary(max_size=80), max_size=5),
    media_format=st.sampled_from([G722, OPUS, AMR_WB]),
)
def test_garbage_does_no_harm(garbage: list[bytes], media_format: TelnyxMediaFormat) -> None:
    """Any bytes are samples or an error, and nothing worse."""
    decoder = open_decoder(media_format)
    for payload in garbage:
        try:
            decoded = decoder.decode(payload)
        except RemoteProtocolError:
            continue
        assert decoded.channels == 1
        assert decoded.n_samples > 0 or not payload


def test_opus_recovers_from_garbage() -> None:
    """A tenth of a second of it, and then the speech is as if it had not come."""
    decoder, packets = open_decoder(OPUS), opus_packets()
    for payload in np.split(noise(5 * 40).astype(np.uint8), 5):
        try:
            decoder.decode(b"\x48" + payload.tobytes())
        except RemoteProtocolError:
            pytest.fail("these are valid packets")
    after = decode(decoder, packets)
    expected = load("opus_decoded").astype(np.int16)
    assert snr_db(expected[24000:], after[24000:]) > 40


def test_opus_conceals_a_lost_packet() -> None:
    """The guess is as long as a packet, sounds like what went before, and fades."""
    decoder = open_decoder(OPUS)
    assert decoder.conceal() is None
    levels = [rms(decoder.decode(packet).mono_int16()) for packet in opus_packets()]
    loudest = int(np.argmax(levels))
    decoder = open_decoder(OPUS)
    decode(decoder, opus_packets()[: loudest + 1])
    guesses = []
    for _ in range(25):
        guess = decoder.conceal()
        assert guess is not None
        assert guess.duration == pytest.approx(0.02)
        guesses.append(rms(guess.mono_int16()))
    assert guesses[0] > levels[loudest] / 2
    assert guesses[-1] < guesses[0] / 10


def test_other_codecs_conceal_nothing() -> None:
    """They have no guess of their own that is worth hearing."""
    for media_format in (G722, AMR_WB, TelnyxMediaFormat("PCMU"), TelnyxMediaFormat("L16", 16000)):
        decoder = open_decoder(media_format)
        payload = b"\xf0" + load("amr_wb")[0].tobytes()
        decoder.decode(payload)
        assert decoder.conceal() is None


@pytest.mark.parametrize("sample_rate", [22050, 44100, 11025])
def test_opus_has_its_own_rates(sample_rate: int) -> None:
    """At others it cannot be sent."""
    with pytest.raises(LocalProtocolError, match="8000, 12000, 16000, 24000, 48000"):
        PacketEncoder(TelnyxMediaFormat("OPUS", sample_rate))


def test_a_closed_codec_is_refused() -> None:
    """Both ways; what has no memory does not mind."""
    for media_format in (G722, OPUS):
        decoder, encoder = open_decoder(media_format), PacketEncoder(media_format)
        decoder.close()
        encoder.close()
        with pytest.raises(LocalProtocolError, match="closed"):
            decoder.decode(bytes(160))
        with pytest.raises(LocalProtocolError, match="closed"):
            encoder.silence_payload()


@pytest.mark.parametrize("encoding", ["G722", "OPUS", "AMR-WB"])
def test_without_the_extra(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install; the codecs of the core do not care."""
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(CodecNotInstalled, match=r"pip install 'telnyx-trio\[codecs\]'"):
        open_decoder(TelnyxMediaFormat(encoding))
    with pytest.raises(CodecNotInstalled):
        load_codecs(encoding)
    load_codecs("PCMU")
    assert open_decoder(TelnyxMediaFormat("PCMU")).decode(b"\xff").n_samples == 1
