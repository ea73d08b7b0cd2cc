"""The send side without I/O: order, packets, pace."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_peer import pcm_of, silence

from telnyx_trio._errors import UnsupportedEncoding
from telnyx_trio._events import MarkReturned
from telnyx_trio._outbox import FLUSH_AFTER, Outbox
from telnyx_trio._playout import Playout
from telnyx_trio._types import TelnyxMediaFormat
from telnyx_trio.audio import PcmData, pcm_to_l16, pcm_to_pcmu, pcmu_to_pcm
from telnyx_trio.protocol import SendClear, SendMark, SendMedia

PCMU = TelnyxMediaFormat()
RAMP = np.arange(-4000, 4000, dtype=np.int16)

Sent = tuple[float, SendMedia | SendMark | SendClear]


def make_outbox(media_format: TelnyxMediaFormat = PCMU, lead: float = 1000.0) -> Outbox:
    """An outbox that, but for a lead that is named, never waits for the playback clock."""
    return Outbox(media_format, Playout(lead))


def drain(outbox: Outbox, now: float = 0.0, until: float = math.inf) -> list[Sent]:
    """Do what the outbox says, letting time pass as it asks, until it wants more."""
    sent: list[Sent] = []
    while True:
        step = outbox.next(now)
        if not isinstance(step, float):
            sent.append((now, step))
        elif step == math.inf or now + step > until:
            return sent
        else:
            now += step


def payloads(sent: list[Sent]) -> list[bytes]:
    """Just the audio."""
    return [message.payload for _, message in sent if isinstance(message, SendMedia)]


@pytest.mark.parametrize("chunk", [33, 80, 160, 333, 8000])
def test_chunks_of_any_size_make_whole_packets(chunk: int) -> None:
    """Remainders are carried: the samples come out in order, only the last packet is padded."""
    samples = RAMP[:5000]
    outbox = make_outbox()
    sent: list[bytes] = []
    for start in range(0, len(samples), chunk):
        outbox.put_audio(pcm_of(samples[start : start + chunk]))
        sent += payloads(drain(outbox, until=0.0))
    assert {len(payload) for payload in sent} == {160}
    assert b"".join(sent) == pcm_to_pcmu(pcm_of(samples[: 160 * 31]))
    rest = payloads(drain(outbox))
    assert rest == [pcm_to_pcmu(pcm_of(samples[160 * 31 :])).ljust(160, b"\xff")]


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 700), max_size=12),
    rate=st.sampled_from([8000, 16000, 24000, 48000]),
    channels=st.sampled_from([1, 2]),
)
def test_whatever_is_put_leaves_in_packets_of_20_ms(
    sizes: list[int], rate: int, channels: int
) -> None:
    """Nothing empty, nothing short, and as long as what was given, rounded up to a packet."""
    outbox = make_outbox()
    for size in sizes:
        if size:
            samples = np.ones(size * channels, np.int16)
            outbox.put_audio(PcmData(rate, "s16", samples, channels=channels))
    sent = payloads(drain(outbox))
    assert all(len(payload) == 160 for payload in sent)
    assert len(sent) == math.ceil(round(sum(sizes) * 8000 / rate) / 160)
    assert outbox.queued == 0


def test_remainder_waits_100_ms_then_is_padded() -> None:
    """A short tail leaves 100 ms after it was given, filled up with silence of the codec."""
    outbox = make_outbox()
    outbox.put_audio(pcm_of(RAMP[:80]))
    assert outbox.next(5.0) == pytest.approx(FLUSH_AFTER)
    ((time, message),) = drain(outbox, now=5.0)
    assert time == pytest.approx(5.0 + FLUSH_AFTER)
    assert isinstance(message, SendMedia)
    assert message.payload == pcm_to_pcmu(pcm_of(RAMP[:80])) + b"\xff" * 80


def test_remainder_waits_while_telnyx_has_enough_to_play() -> None:
    """A tail is padded when 100 ms are left to play, so that a producer's hiccup leaves no hole."""
    outbox = make_outbox(lead=0.4)
    outbox.put_audio(pcm_of(RAMP[: 160 * 20 + 80]))
    sent = drain(outbox)
    assert [time for time, _ in sent] == pytest.approx([0.0] * 20 + [0.3])
    outbox.put_audio(pcm_of(RAMP[: 160 * 20 + 80]))
    drain(outbox, now=1.0, until=1.25)
    outbox.put_audio(pcm_of(RAMP[:80]))
    assert len(payloads(drain(outbox, now=1.25, until=1.25))) == 1


def test_wait_is_never_too_small_for_the_clock() -> None:
    """However the times add up, asking again after the wait makes progress."""
    outbox = make_outbox(lead=0.4)
    now = 987654.321
    for n in range(200):
        outbox.put_audio(pcm_of(RAMP[: 160 * (n % 30) + n % 7 + 1]))
        while (step := outbox.next(now)) != math.inf:
            if isinstance(step, float):
                assert now + step > now
                now += step


def test_each_codec_pads_with_its_own_silence() -> None:
    """0xFF, 0xD5 and zeros."""
    for encoding, rate, expected in (
        ("PCMU", 8000, b"\xff" * 160),
        ("PCMA", 8000, b"\xd5" * 160),
        ("L16", 16000, bytes(640)),
    ):
        outbox = make_outbox(TelnyxMediaFormat(encoding, rate))
        outbox.put_audio(silence(0.01, rate))
        assert payloads(drain(outbox)) == [expected]


def test_mark_follows_the_audio_before_it() -> None:
    """The remainder before a mark leaves at once, padded; audio after it starts a new packet."""
    outbox = make_outbox()
    outbox.put_audio(pcm_of(RAMP[:200]))
    outbox.put_mark("one")
    outbox.put_audio(pcm_of(RAMP[:160]))
    outbox.put_mark("two")
    sent = [message for _, message in drain(outbox, until=0.0)]
    assert [type(message) for message in sent] == [
        SendMedia,
        SendMedia,
        SendMark,
        SendMedia,
        SendMark,
    ]
    assert [message.name for message in sent if isinstance(message, SendMark)] == ["one", "two"]


def test_mark_waits_for_the_pace_of_its_audio() -> None:
    """A mark does not overtake audio that is held back."""
    outbox = make_outbox(lead=0.1)
    outbox.put_audio(silence(0.2))
    outbox.put_mark("end")
    time, message = drain(outbox)[-1]
    assert message == SendMark("end")
    assert time == pytest.approx(0.1)


def test_clear_drops_queue_remainder_and_filter_state() -> None:
    """After a clear what leaves is as from a new outbox, bit for bit."""
    fresh, used = make_outbox(), make_outbox()
    used.put_audio(pcm_of(np.full(700, 20000, np.int16), 24000))
    drain(used, until=0.0)
    used.put_audio(pcm_of(np.full(24000, 20000, np.int16), 24000))
    used.clear(0.0)
    assert [message for _, message in drain(used, until=10.0)] == [SendClear()]
    for outbox in (fresh, used):
        outbox.put_audio(pcm_of(RAMP, 24000))
    assert payloads(drain(used)) == payloads(drain(fresh))


def test_clear_overtakes_audio_that_is_held_back() -> None:
    """It leaves at once, however much waits, and the lead is free again."""
    outbox = make_outbox(lead=0.1)
    outbox.put_audio(silence(60.0))
    drain(outbox, until=1.0)
    outbox.clear(1.0)
    assert outbox.next(1.0) == SendClear()
    assert outbox.next(1.0) == math.inf
    outbox.put_audio(silence(0.1))
    assert [time for time, _ in drain(outbox, now=1.0)] == [1.0] * 5


def test_clear_sends_waiting_marks_before_itself() -> None:
    """So Telnyx returns them; they count as cleared."""
    outbox = make_outbox(lead=0.02)
    for name in ("a", "b"):
        outbox.put_audio(silence(1.0))
        outbox.put_mark(name)
    drain(outbox, until=0.5)
    outbox.clear(0.5)
    sent = [message for _, message in drain(outbox, now=0.5)]
    assert sent == [SendMark("a"), SendMark("b"), SendClear()]
    assert outbox.mark_returned("a", 0.5) == MarkReturned("a", cleared=True)
    assert outbox.mark_returned("b", 0.5) == MarkReturned("b", cleared=True)


def test_clears_that_wait_are_one() -> None:
    """A peer that does not read makes no pile of them."""
    outbox = make_outbox()
    for _ in range(5):
        outbox.clear(0.0)
    assert drain(outbox) == [(0.0, SendClear())]


def test_waiting_marks_are_counted_until_they_leave() -> None:
    """Also those that a clear has put in front."""
    outbox = make_outbox()
    outbox.put_mark("a")
    outbox.put_mark("b")
    outbox.clear(0.0)
    outbox.put_mark("c")
    assert outbox.marks_queued == 3
    drain(outbox)
    assert outbox.marks_queued == 0


def test_queued_counts_what_is_not_converted() -> None:
    """Long audio is converted 100 ms at a time, as it is needed."""
    outbox = make_outbox(lead=0.4)
    outbox.put_audio(silence(5.0))
    assert outbox.queued == pytest.approx(5.0)
    drain(outbox, until=0.0)
    assert outbox.queued == pytest.approx(4.5)
    assert outbox.packets_sent == 20


def test_slices_of_long_audio_join_without_a_seam() -> None:
    """Audio converted in slices is what it is when converted in one go."""
    samples = np.random.default_rng(7).integers(-9000, 9000, 24000 * 2).astype(np.int16)
    outbox = make_outbox()
    outbox.put_audio(pcm_of(samples, 24000))
    whole = pcm_to_pcmu(pcm_of(samples, 24000))
    assert b"".join(payloads(drain(outbox))) == whole


def test_stereo_float_audio_is_mixed_down() -> None:
    """Slices keep the channels of what they are cut from."""
    left = np.full(4000, 0.5, np.float32)
    stereo = PcmData(8000, "f32", np.stack([left, np.zeros_like(left)]), channels=2)
    outbox = make_outbox()
    outbox.put_audio(stereo)
    samples = np.concatenate([pcmu_to_pcm(p).samples for p in payloads(drain(outbox))])
    assert len(samples) == 4000
    assert np.all(np.abs(samples.astype(int) - 8192) < 300)


def test_byteorder_holds_from_the_next_audio_on() -> None:
    """L16 leaves in the order that is set when it is converted."""
    outbox = make_outbox(TelnyxMediaFormat("L16", 16000))
    pcm = pcm_of(RAMP[:320], 16000)
    outbox.put_audio(pcm)
    little = payloads(drain(outbox))
    outbox.byteorder = "big"
    outbox.put_audio(pcm)
    assert little == [pcm_to_l16(pcm, byteorder="little")]
    assert payloads(drain(outbox)) == [pcm_to_l16(pcm, byteorder="big")]


def test_unsupported_encoding_is_refused() -> None:
    """When it is made, not with the first packet."""
    with pytest.raises(UnsupportedEncoding):
        make_outbox(TelnyxMediaFormat("AMR-WB", 16000))
