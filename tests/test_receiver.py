"""The receive side without I/O: what becomes of each message."""

from __future__ import annotations

import json
import logging
from math import inf
from pathlib import Path

import numpy as np
import pytest
from stream_peer import (
    SILENT_PACKET,
    STOP,
    dtmf_text,
    error_text,
    mark_text,
    media_text,
    start_text,
)

import telnyx_trio.testing
from telnyx_trio._errors import UnsupportedEncoding
from telnyx_trio._events import DtmfReceived, MarkReturned, StreamErrorReceived, StreamEvent
from telnyx_trio._outbox import Outbox
from telnyx_trio._playout import Playout
from telnyx_trio._receiver import MAX_EVENTS, MAX_RECEIVE_BUFFER, AudioTrack, Receiver
from telnyx_trio._types import (
    ByteOrder,
    MissingAudio,
    TelnyxMediaFormat,
    TrackSelection,
    WireByteOrder,
)
from telnyx_trio.audio import PacketEncoder, PcmData, pcm_to_l16, pcm_to_pcma
from telnyx_trio.protocol import SendClear, SendMark, Start, Stop

SPEECH = Path(telnyx_trio.testing.__file__).parent / "speech" / "caller.wav"


def make_outbox() -> Outbox:
    """What knows of the marks that were sent."""
    return Outbox(TelnyxMediaFormat(), Playout())


def make_receiver(
    track: TrackSelection = "inbound",
    byteorder: WireByteOrder = "auto",
    start: str | None = None,
    outbox: Outbox | None = None,
) -> Receiver:
    """A receiver that has got this ``start``, PCMU if none is given."""
    receiver = Receiver(
        track, TelnyxMediaFormat(), byteorder, (outbox or make_outbox()).mark_returned
    )
    receiver.receive(start or start_text(), 0.0)
    return receiver


def read(track: AudioTrack) -> list[PcmData]:
    """What a track holds."""
    return [track.receive_nowait() for _ in range(track.statistics().buffered)]


def read_events(receiver: Receiver) -> list[StreamEvent]:
    """What the event channel holds."""
    channel = receiver.events
    return [channel.receive_nowait() for _ in range(channel.statistics().buffered)]


def packet(number: int) -> bytes:
    """A packet that can be told from others."""
    return bytes([128 + number]) * 160


# Audio.


def test_media_is_decoded_as_start_says() -> None:
    """A PCMA leg is read as PCMA, whatever was expected."""
    receiver = make_receiver(start=start_text("PCMA"))
    pcm = PcmData(8000, "s16", np.array([8, -8, 1008, -1008], np.int16))
    receiver.receive(media_text(pcm_to_pcma(pcm)), 0.0)
    (got,) = read(receiver.audio_track)
    assert got == pcm


@pytest.mark.parametrize(
    ("start", "rate"),
    [
        (start_text("G722", 8000), 16000),
        (start_text("G722", 16000), 16000),
        (start_text("OPUS", 48000, 2), 48000),
        (start_text("OPUS", 16000), 48000),
        (start_text("AMR-WB", 16000), 16000),
    ],
)
def test_the_track_tells_the_rate_of_the_audio(start: str, rate: int) -> None:
    """Not that of the RTP clock, and mono."""
    receiver = make_receiver(start=start)
    assert (receiver.audio_track.sample_rate, receiver.audio_track.channels) == (rate, 1)


def test_a_packet_that_cannot_be_decoded_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """It is made up, is logged once a stream, and the next ones are decoded."""
    receiver = make_receiver(start=start_text("OPUS", 48000))
    silence = PacketEncoder(TelnyxMediaFormat("OPUS", 48000)).silence_payload()
    for payload in (silence, b"\xff", silence, b"\xff", silence):
        receiver.receive(media_text(payload), 1.0)
    assert [pcm.n_samples for pcm in read(receiver.audio_track)] == [960] * 5
    assert receiver.made_up == 2
    assert (receiver.packets, receiver.undecodable, receiver.last_media) == (5, 2, 1.0)
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "media stream: media message: 1 bytes are no OPUS"
    ]


def test_start_and_stop_are_returned() -> None:
    """They change the life of the stream; nothing else does."""
    receiver = Receiver("inbound", TelnyxMediaFormat(), "auto", make_outbox().mark_returned)
    connected = json.dumps({"event": "connected", "version": "1.0.0"})
    assert receiver.receive(connected, 0.0) is None
    assert isinstance(receiver.receive(start_text(), 0.0), Start)
    assert receiver.receive(media_text(), 0.0) is None
    assert isinstance(receiver.receive(STOP, 0.0), Stop)


def test_second_start_is_refused() -> None:
    """It is counted, and neither format nor decoder change under the reader."""
    receiver = make_receiver()
    assert receiver.receive(start_text("L16", 16000), 0.0) is None
    receiver.receive(media_text(), 0.0)
    assert receiver.connection.counters.refused == 1
    assert receiver.audio_track.sample_rate == 8000
    assert [pcm.n_samples for pcm in read(receiver.audio_track)] == [160]


def test_media_before_start_is_refused() -> None:
    """Its format is not known yet."""
    receiver = Receiver("inbound", TelnyxMediaFormat(), "auto", make_outbox().mark_returned)
    assert receiver.receive(media_text(), 0.0) is None
    assert receiver.connection.counters.refused == 1
    assert receiver.packets == 0


def test_codec_that_we_do_not_speak_is_an_error() -> None:
    """At `start`, not at the first packet."""
    receiver = Receiver("inbound", TelnyxMediaFormat(), "auto", make_outbox().mark_returned)
    with pytest.raises(UnsupportedEncoding, match=r"SPEEX.*PCMU, PCMA, L16"):
        receiver.receive(start_text("SPEEX", 16000), 0.0)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("inbound", {"inbound": 1}),
        ("outbound", {"outbound": 2}),
        ("both", {"inbound": 1, "outbound": 2}),
    ],
)
def test_tracks_are_delivered_apart(selection: TrackSelection, expected: dict[str, int]) -> None:
    """Each track asked for has its own audio, and the other is left out."""
    receiver = make_receiver(selection)
    for number in range(1, 4):
        receiver.receive(media_text(packet(1), track="inbound_track", chunk=number), 0.0)
        receiver.receive(media_text(packet(2), track="outbound", chunk=number), 0.0)
    got = {name: read(track) for name, track in receiver.audio_tracks.items()}
    values = {name: receiver_values(pcms) for name, pcms in got.items()}
    assert values == {name: [value_of(number)] * 3 for name, number in expected.items()}
    assert receiver.packets == 3 * len(expected)
    first = next(iter(expected))
    assert receiver.audio_track is receiver.audio_tracks[first]  # type: ignore[index]  # a Track


def receiver_values(pcms: list[PcmData]) -> list[int]:
    """The one value of each packet."""
    return [int(pcm.samples[0]) for pcm in pcms]


def value_of(number: int) -> int:
    """What ``packet(number)`` decodes to."""
    receiver = make_receiver()
    receiver.receive(media_text(packet(number)), 0.0)
    return receiver_values(read(receiver.audio_track))[0]


def test_reordered_and_repeated_media_are_put_right() -> None:
    """By `chunk`; what never came is counted once it is given up, and made up."""
    receiver = make_receiver()
    for chunk in (1, 3, 2, 2, 5):
        receiver.receive(media_text(packet(chunk), chunk=chunk), 0.0)
    receiver.end()
    got = read(receiver.audio_track)
    assert [pcm.n_samples for pcm in got] == [160] * 5
    assert receiver_values(got[:3]) == [value_of(number) for number in (1, 2, 3)]
    assert got[4].samples[-1] == value_of(5)
    counters = receiver.connection.counters
    assert (counters.duplicates, counters.missing, receiver.made_up) == (1, 1, 1)


@pytest.mark.parametrize("missing_audio", ["conceal", "silence"])
def test_missing_packets_take_their_time(missing_audio: MissingAudio) -> None:
    """What is handed out lasts as long as the call; speech and tones are listened for in it."""
    heard: list[float] = []
    receiver = Receiver(
        "inbound",
        TelnyxMediaFormat(),
        "auto",
        make_outbox().mark_returned,
        missing_audio=missing_audio,
    )
    receiver.receive(start_text(), 0.0)
    waits = []
    for chunk in range(1, 51):
        now = chunk * 0.02
        if receiver.due <= now:
            waits.append(receiver.audio_held)
            receiver.expire(now)
        if chunk not in (10, 20, 21, 22, 40):
            receiver.receive(media_text(packet(1), chunk=chunk), now)
        heard += [pcm.duration for pcm in read(receiver.audio_track)]
    assert heard == [0.02] * 50
    assert (receiver.packets, receiver.made_up) == (45, 5)
    assert waits == pytest.approx([0.1, 0.08, 0.08], abs=0.021)


def test_who_waits_is_told_once_something_is_missing() -> None:
    """`on_wait` is where a timer is started; in-order media call it never."""
    calls = []
    receiver = Receiver(
        "inbound",
        TelnyxMediaFormat(),
        "auto",
        make_outbox().mark_returned,
        on_wait=lambda: calls.append(receiver.due),
    )
    receiver.receive(start_text(), 0.0)
    for chunk in (1, 2, 3):
        receiver.receive(media_text(chunk=chunk), 1.0)
    assert calls == []
    receiver.receive(media_text(chunk=5), 1.0)
    assert calls == [1.0 + receiver.connection.reorder_patience]
    receiver.receive(media_text(chunk=4), 1.0)
    assert receiver.due == inf


def test_ten_seconds_are_kept_then_the_oldest_goes() -> None:
    """Of 12 s that nobody reads the last 10 s are there, and the rest is counted."""
    receiver = make_receiver()
    for chunk in range(1, 601):
        receiver.receive(media_text(packet(chunk % 100), chunk=chunk), 0.0)
    statistics = receiver.audio_track.statistics()
    assert statistics.buffered_size == pytest.approx(MAX_RECEIVE_BUFFER)
    assert (statistics.buffered, statistics.dropped) == (500, 100)
    assert receiver_values(read(receiver.audio_track))[0] == value_of(1)


def test_odd_bytes_of_l16_are_carried() -> None:
    """A sample cut in two by the packets is one sample."""
    pcm = PcmData(16000, "s16", np.arange(0, 3200, 10, dtype=np.int16))
    payload = pcm_to_l16(pcm, byteorder="little")
    receiver = make_receiver(byteorder="little", start=start_text("L16", 16000))
    for part in (payload[:101], payload[101:102], payload[102:]):
        receiver.receive(media_text(part), 0.0)
    samples = np.concatenate([got.samples for got in read(receiver.audio_track)])
    assert np.array_equal(samples, pcm.samples)


def test_empty_payload_is_no_audio() -> None:
    """But a sign of life."""
    receiver = make_receiver()
    receiver.receive(media_text(b""), 7.0)
    assert read(receiver.audio_track) == []
    assert receiver.last_media == 7.0


def test_every_media_message_is_a_sign_of_life() -> None:
    """Also one of another track, one that waits for an earlier one, and a duplicate."""
    receiver = make_receiver()
    receiver.receive(media_text(chunk=1), 1.0)
    for now, text in (
        (2.0, media_text(track="outbound")),
        (3.0, media_text(chunk=3)),
        (4.0, media_text(chunk=1)),
    ):
        receiver.receive(text, now)
        assert receiver.last_media == now
    for text in (mark_text("m"), dtmf_text("1"), error_text(100003), "{"):
        receiver.receive(text, 9.0)
    assert receiver.last_media == 4.0


# L16 byte order.


def speech_payloads(byteorder: ByteOrder) -> tuple[PcmData, list[bytes]]:
    """Recorded speech at 16 kHz and its packets."""
    speech = PcmData.from_wav(SPEECH)
    payload = pcm_to_l16(speech, byteorder=byteorder)
    return speech, [payload[start : start + 640] for start in range(0, len(payload), 640)]


@pytest.mark.parametrize("order", ["big", "little"])
def test_auto_reads_speech_of_either_order(order: ByteOrder) -> None:
    """From the first packet on it is the speech, no noise; the order is found and locked."""
    speech, payloads = speech_payloads(order)
    receiver = make_receiver(start=start_text("L16", 16000))
    got: list[PcmData] = []
    for payload in payloads:
        receiver.receive(media_text(payload), 0.0)
        got += read(receiver.audio_track)
    samples = np.concatenate([pcm.samples for pcm in got])
    wrong = np.flatnonzero(samples != speech.samples)
    # What is near silence may be misread until the first voiced 200 ms; it stays as quiet.
    assert len(wrong) < 0.02 * len(samples)
    assert np.abs(samples.astype(int) - speech.samples).max() < 2000
    assert (receiver.byteorder, receiver.byteorder_locked) == (order, True)


@pytest.mark.parametrize("order", ["big", "little"])
def test_fixed_order_is_obeyed(order: ByteOrder) -> None:
    """Bit for bit from the first packet on, whatever it sounds like."""
    speech, payloads = speech_payloads(order)
    receiver = make_receiver(byteorder=order, start=start_text("L16", 16000))
    assert (receiver.byteorder, receiver.byteorder_locked) == (order, True)
    for payload in payloads[:100]:
        receiver.receive(media_text(payload), 0.0)
    samples = np.concatenate([pcm.samples for pcm in read(receiver.audio_track)])
    assert np.array_equal(samples, speech.samples[:32000])


def test_byteorder_is_none_without_l16() -> None:
    """G.711 has none; before `start` nothing is locked."""
    receiver = Receiver("inbound", TelnyxMediaFormat(), "auto", make_outbox().mark_returned)
    assert (receiver.byteorder, receiver.byteorder_locked) == (None, False)
    receiver.receive(start_text(), 0.0)
    assert receiver.byteorder is None


# Events.


def test_keys_marks_and_complaints_are_events() -> None:
    """In the order in which they come, and none of them is an end."""
    outbox = make_outbox()
    receiver = make_receiver(outbox=outbox)
    outbox.put_mark("cleared")
    outbox.clear(0.0)
    outbox.put_mark("played")
    assert [outbox.next(0.0) for _ in range(3)] == [
        SendMark("cleared"),
        SendClear(),
        SendMark("played"),
    ]
    texts = [dtmf_text("#"), mark_text("cleared"), mark_text("played")]
    texts += [error_text(code) for code in (100003, 100004, 100005)]
    for text in texts:
        assert receiver.receive(text, 0.0) is None
    dtmf, cleared, played, *errors = read_events(receiver)
    assert dtmf == DtmfReceived("#")
    assert (cleared, played) == (MarkReturned("cleared", True), MarkReturned("played"))
    codes = [event.error.code for event in errors if isinstance(event, StreamErrorReceived)]
    assert codes == [100003, 100004, 100005]


def test_events_that_nobody_reads_drop_the_oldest() -> None:
    """256 are kept, the rest is counted, and audio goes on."""
    receiver = make_receiver()
    for n in range(300):
        receiver.receive(mark_text(str(n)), 0.0)
    receiver.receive(media_text(), 0.0)
    statistics = receiver.events.statistics()
    assert (statistics.buffered, statistics.dropped) == (MAX_EVENTS, 44)
    assert read_events(receiver)[0] == MarkReturned("44")
    assert len(read(receiver.audio_track)) == 1


def test_unknown_events_pass() -> None:
    """They are neither errors nor events of ours."""
    receiver = make_receiver()
    assert receiver.receive('{"event":"weather","rain":true}', 0.0) is None
    assert read_events(receiver) == []
    assert receiver.connection.counters.malformed == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "null",
        '{"no":"event"}',
        '{"event":null}',
        '{"event":"media"}',
        '{"event":"media","media":null}',
        '{"event":"media","media":{"payload":null}}',
        '{"event":"media","media":{"payload":"!!!"}}',
        '{"event":"media","media":{"payload":"AAA"}}',
        '{"event":"dtmf","dtmf":{}}',
    ],
)
def test_malformed_message_is_counted_and_survived(text: str) -> None:
    """The next packet is decoded as if nothing had been."""
    receiver = make_receiver()
    assert receiver.receive(text, 0.0) is None
    receiver.receive(media_text(), 0.0)
    assert receiver.connection.counters.malformed == 1
    assert receiver.connection.counters.messages == 2
    assert len(read(receiver.audio_track)) == 1


def test_rubbish_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """One warning a stream, without what was sent."""
    receiver = make_receiver()
    with caplog.at_level(logging.INFO, "telnyx_trio"):
        for _ in range(100):
            receiver.receive('{"event":"media","media":"a secret"}', 0.0)
    assert len(caplog.records) == 1
    assert "secret" not in caplog.text


def test_connected_message_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It may hold the authentication token."""
    receiver = Receiver("inbound", TelnyxMediaFormat(), "auto", make_outbox().mark_returned)
    with caplog.at_level(logging.DEBUG, "telnyx_trio"):
        token = {"x-telnyx-streaming-auth-token": "s3cret"}
        receiver.receive(json.dumps({"event": "connected", "connected": token}), 0.0)
        receiver.receive(json.dumps({"event": "connected", "version": [], "t": "s3cret"}), 0.0)
    assert "s3cret" not in caplog.text


def test_long_complaint_is_cut_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The event has all of it."""
    receiver = make_receiver()
    payload = {"code": 100002, "title": "t", "detail": "x\n" * 5000}
    receiver.receive(json.dumps({"event": "error", "payload": payload}), 0.0)
    assert max(len(record.getMessage()) for record in caplog.records) < 400
    (event,) = read_events(receiver)
    assert isinstance(event, StreamErrorReceived)
    assert len(event.error.detail) == 10_000


# The end.


async def test_end_hands_out_what_waits_and_ends_the_channels() -> None:
    """Audio that waited for an earlier packet is not lost, then iteration stops."""
    receiver = make_receiver("both")
    receiver.receive(media_text(chunk=1), 0.0)
    receiver.receive(media_text(SILENT_PACKET * 2, chunk=3), 0.0)
    receiver.end()
    assert [pcm.n_samples async for pcm in receiver.audio_track] == [160, 160, 320]
    assert [pcm async for pcm in receiver.audio_tracks["outbound"]] == []
    assert [event async for event in receiver.events] == []


def test_track_tells_the_format_expected_then_that_of_start() -> None:
    """One object, never stale."""
    expected = TelnyxMediaFormat("L16", 16000, 1)
    receiver = Receiver("inbound", expected, "auto", make_outbox().mark_returned)
    track = receiver.audio_track
    assert (track.sample_rate, track.channels, track.format) == (16000, 1, "s16")
    receiver.receive(start_text("L16", 24000, 2), 0.0)
    assert (track.sample_rate, track.channels) == (24000, 2)
    receiver.receive(media_text(b"\x01\x02" * 960), 0.0)
    pcm = track.receive_nowait()
    assert (pcm.sample_rate, pcm.channels, pcm.n_samples) == (24000, 2, 480)
