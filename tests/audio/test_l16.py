from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from audio.audio_signals import Int16Array, noise, reference_audioop, speech_like, tone

from telnyx_trio._types import ByteOrder
from telnyx_trio.audio import ByteOrderDetector
from telnyx_trio.audio._l16 import l16_decode, l16_encode

ORDERS: tuple[ByteOrder, ...] = get_args(ByteOrder)
RATES = (8000, 16000)


def packets(samples: Int16Array, order: ByteOrder, sample_rate: int) -> list[bytes]:
    """Cut into whole packets of 20 ms."""
    size = sample_rate // 50 * 2
    raw = l16_encode(samples, order)
    return [raw[i : i + size] for i in range(0, len(raw) - size + 1, size)]


def line_noise(n_samples: int, seed: int, peak: int = 8) -> Int16Array:
    return np.random.default_rng(seed).integers(-peak, peak + 1, n_samples).astype(np.int16)


def through_leg(samples: Int16Array, law: str) -> Int16Array:
    """What L16 holds when the leg is G.711."""
    audioop = reference_audioop()
    coded = getattr(audioop, f"lin2{law}")(samples.tobytes(), 2)
    return np.frombuffer(getattr(audioop, f"{law}2lin")(coded, 2), np.int16)


@pytest.mark.parametrize("order", ORDERS)
def test_l16_round_trip_of_every_sample(order: ByteOrder) -> None:
    """All 65,536 samples come back."""
    every = np.arange(-32768, 32768, dtype=np.int16)
    assert np.array_equal(l16_decode(l16_encode(every, order), order), every)


def test_l16_byte_order_on_the_wire() -> None:
    """Big puts the high byte first, little the low one."""
    samples = np.array([0x0102], np.int16)
    assert l16_encode(samples, "big") == b"\x01\x02"
    assert l16_encode(samples, "little") == b"\x02\x01"


def test_l16_decode_ignores_a_last_odd_byte() -> None:
    """Half a sample is none."""
    assert l16_decode(b"\x01\x02\x03", "big").tolist() == [0x0102]
    assert l16_decode(b"\x01", "big").tolist() == []


@pytest.mark.parametrize("order", ORDERS)
def test_l16_decode_gives_native_samples_to_write(order: ByteOrder) -> None:
    """Whatever the wire order, the array is plain int16 of its own."""
    samples = l16_decode(b"\x01\x02", order)
    samples[0] = 5
    assert samples.dtype == np.int16


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("leg", ["linear", "ulaw", "alaw"])
def test_speech_is_read_right_from_the_first_packet(
    sample_rate: int, order: ByteOrder, leg: str
) -> None:
    """Of 40 voices at levels from -30 to 0 dB no packet is misread and every lock is right."""
    rng = np.random.default_rng(3)
    for _ in range(40):
        samples = speech_like(rng, sample_rate, 0.3)
        if leg != "linear":
            samples = through_leg(samples, leg)
        detector = ByteOrderDetector(sample_rate)
        answers = {detector.observe(packet) for packet in packets(samples, order, sample_rate)}
        assert answers == {order}
        assert (detector.order, detector.locked) == (order, True)


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("frequency", [100, 440, 941, 1633, 2100, 2600, 3400, 3800])
@pytest.mark.parametrize("level", [1.0, 0.3, 0.02])
def test_tones_are_read_right(
    sample_rate: int, order: ByteOrder, frequency: int, level: float
) -> None:
    """So are tones, also loud ones near half the sample rate, which look rough."""
    detector = ByteOrderDetector(sample_rate)
    samples = tone(frequency, sample_rate, 0.22, level)
    answers = {detector.observe(packet) for packet in packets(samples, order, sample_rate)}
    assert answers == {order}
    assert (detector.order, detector.locked) == (order, True)


@pytest.mark.parametrize("order", ORDERS)
def test_eight_bit_audio_is_read_right(order: ByteOrder) -> None:
    """Samples whose low byte is always zero do not look smoother as their own high byte."""
    samples = (tone(440, 8000) // 256 * 256).astype(np.int16)
    detector = ByteOrderDetector(8000)
    assert {detector.observe(packet) for packet in packets(samples, order, 8000)} == {order}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("peak", [1, 3, 8, 100])
def test_line_noise_is_read_right_and_decides_nothing(order: ByteOrder, peak: int) -> None:
    """Quiet noise gives a guess, so that it is not played at full scale, but never a lock."""
    detector = ByteOrderDetector(16000)
    for seed in range(50):
        samples = line_noise(320, seed, peak)
        assert detector.observe(l16_encode(samples, order)) == order
    assert (detector.order, detector.locked) == (order, False)


@pytest.mark.parametrize("value", [0, 8, -8, 256, 32767])
@pytest.mark.parametrize("order", ORDERS)
def test_constants_tell_nothing(value: int, order: ByteOrder) -> None:
    """Digital silence, of any law, is no evidence."""
    detector = ByteOrderDetector(8000)
    for _ in range(20):
        assert detector.observe(l16_encode(np.full(160, value, np.int16), order)) is None
    assert (detector.order, detector.locked) == (None, False)


@pytest.mark.parametrize("payload", [b"", b"\x00\x01", b"\x00\x01\x02\x03\x04\x05"])
def test_tiny_packets_tell_nothing(payload: bytes) -> None:
    """A few samples cannot be told smooth or rough."""
    detector = ByteOrderDetector(8000)
    assert detector.observe(payload) is None
    assert detector.order is None


@pytest.mark.parametrize("position", [0, 80, 159])
def test_a_lone_click_misleads_nobody(position: int) -> None:
    """One sample that differs from silence is either read right or tells nothing."""
    samples = np.zeros(160, np.int16)
    samples[position] = 3
    for order in ORDERS:
        assert ByteOrderDetector(8000).observe(l16_encode(samples, order)) in (None, order)


@pytest.mark.parametrize("n_bytes", [319, 317, 318])
def test_a_cut_last_group_is_ignored(n_bytes: int) -> None:
    """Half a sample, or one channel of two, neither misleads nor breaks."""
    raw = l16_encode(tone(440, 8000), "big")[:n_bytes]
    assert ByteOrderDetector(8000).observe(raw) == "big"
    assert ByteOrderDetector(8000, channels=2).observe(raw) == "big"


def test_a_long_packet_counts_by_its_beginning() -> None:
    """Thirty seconds in one packet lock at once, by what comes first."""
    samples = np.concatenate((tone(440, 8000, 1), noise(29 * 8000)))
    detector = ByteOrderDetector(8000)
    assert detector.observe(l16_encode(samples, "big")) == "big"
    assert detector.locked


def test_full_scale_noise_never_locks() -> None:
    """What is equally rough either way decides nothing, however long it lasts."""
    detector = ByteOrderDetector(8000)
    for packet in packets(noise(80000), "little", 8000):
        detector.observe(packet)
    assert not detector.locked


def test_lock_comes_with_the_200th_millisecond_of_voice() -> None:
    """Nine voiced packets of 20 ms do not lock, ten do; quiet ones between do not count."""
    detector = ByteOrderDetector(16000)
    voiced = packets(tone(440, 16000), "big", 16000)[0]
    quiet = l16_encode(line_noise(320, 1), "big")
    for _ in range(9):
        detector.observe(voiced)
        detector.observe(quiet)
    assert not detector.locked
    detector.observe(voiced)
    assert detector.locked


def test_voice_outweighs_any_amount_of_quiet() -> None:
    """The guess follows the one voiced packet against a hundred quiet ones."""
    detector = ByteOrderDetector(8000)
    for seed in range(100):
        detector.observe(l16_encode(line_noise(160, seed), "big"))
    guesses = [detector.order]
    detector.observe(packets(tone(440, 8000), "little", 8000)[0])
    guesses.append(detector.order)
    assert guesses == ["big", "little"]


def test_locked_means_for_good() -> None:
    """After the lock a packet of the other order is read in the order decided."""
    detector = ByteOrderDetector(8000)
    for packet in packets(tone(440, 8000), "little", 8000):
        detector.observe(packet)
    assert detector.observe(packets(tone(440, 8000), "big", 8000)[0]) == "little"
    assert detector.order == "little"


def test_reset_forgets_the_decision() -> None:
    """After a reset the other order can be found."""
    detector = ByteOrderDetector(8000)
    for packet in packets(tone(440, 8000), "little", 8000):
        detector.observe(packet)
    detector.reset()
    assert (detector.order, detector.locked) == (None, False)
    assert detector.observe(packets(tone(440, 8000), "big", 8000)[0]) == "big"


@pytest.mark.parametrize("order", ORDERS)
def test_stereo_is_judged_channel_by_channel(order: ByteOrder) -> None:
    """Two tones side by side, rough as one stream, are smooth each."""
    both = np.stack((tone(300, 8000), -tone(500, 8000)), axis=1).reshape(-1)
    raw = l16_encode(both, order)
    detector = ByteOrderDetector(8000, channels=2)
    answers = {detector.observe(raw[i : i + 640]) for i in range(0, len(raw), 640)}
    assert answers == {order}
    assert detector.locked
