from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
import trio
from testing.echo_server import RTP, EchoServer, media, open_pair
from trio.testing import MockClock

from telnyx_trio.testing import Carrier, CarrierSettings, Leg, Phone
from telnyx_trio.testing._mp3 import encode_mp3

SILENCE_20_MS = base64.b64encode(b"\xff" * 160).decode()
LOUD_20_MS = base64.b64encode(b"\x10" * 160).decode()


def mark(name: str) -> str:
    return json.dumps({"event": "mark", "mark": {"name": name}})


CLEAR = json.dumps({"event": "clear"})


def after_start(*texts: str) -> Any:
    """A server that sends these once, on ``start``."""
    return lambda message: list(texts) if message["event"] == "start" else []


@asynccontextmanager
async def open_call(
    answer: dict[str, Any],
    *texts: str,
    phone: Phone | None = None,
    settings: CarrierSettings | None = None,
) -> AsyncIterator[tuple[Carrier, EchoServer, Leg]]:
    """An answered call whose server sends ``texts`` on ``start``."""
    async with open_pair(settings=settings) as (carrier, server):
        server.answer_fields = answer
        server.on_message = after_start(*texts)
        leg = await carrier.call_in(to="+15550100002", phone=phone)
        yield carrier, server, leg


def of(server: EchoServer, event: str) -> list[dict[str, Any]]:
    return [message for message in server.messages if message["event"] == event]


async def test_order_of_messages(autojump_clock: MockClock) -> None:
    """Connected, start, media, stop, and then a close frame."""
    async with open_call(RTP, phone=Phone(hang_up_at=0.1)) as (_, server, leg):
        await leg.wait_ended()
        await trio.testing.wait_all_tasks_blocked()
    events = [message["event"] for message in server.messages]
    assert events == ["connected", "start", *["media"] * 5, "stop"]
    assert server.media_end == "closed"


async def test_counters_are_strings_and_count(autojump_clock: MockClock) -> None:
    """sequence_number counts all from "1" at start, chunk the packets, timestamp their ms."""
    async with open_call(RTP, phone=Phone(hang_up_at=0.06)) as (_, server, leg):
        await leg.wait_ended()
    numbered = [message for message in server.messages if message["event"] != "connected"]
    assert [message["sequence_number"] for message in numbered] == ["1", "2", "3", "4", "5"]
    packets = [message["media"] for message in of(server, "media")]
    assert [packet["chunk"] for packet in packets] == ["1", "2", "3"]
    assert [packet["timestamp"] for packet in packets] == ["0", "20", "40"]
    assert "sequence_number" not in server.messages[0]


async def test_start_tells_of_the_call(autojump_clock: MockClock) -> None:
    """Ids, numbers, client_state and the format of what the server receives."""
    answer = {**RTP, "client_state": "aWQ9NDI="}
    async with open_call(answer) as (_, server, leg):
        start = (await server.wait_for_message("start"))["start"]
    assert start["call_control_id"] == leg.names.call_control_id
    assert start["call_session_id"] == leg.names.call_session_id
    assert (start["from"], start["to"]) == ("+15550100001", "+15550100002")
    assert start["client_state"] == "aWQ9NDI="
    assert start["media_format"] == {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}


async def test_packets_come_every_20_ms(autojump_clock: MockClock) -> None:
    """On one absolute clock, the first when its last sample was spoken."""
    async with open_call(RTP) as (_, server, leg):
        await leg.wait_media_started()
        started_at = trio.current_time()
        await trio.sleep_until(started_at + 10.001)
        assert len(of(server, "media")) == 500


async def test_auth_token_is_in_header_and_connected(autojump_clock: MockClock) -> None:
    """streaming_start with stream_auth_token and parameters; answer has neither field."""
    token = {"stream_auth_token": "secret", "custom_parameters": [{"name": "room", "value": "1"}]}
    async with open_pair() as (carrier, server):
        server.answer_fields = {"stream_url": None}
        leg = await carrier.call_in(to="+15550100002")
        await leg.wait_answered()
        call_id = leg.names.call_control_id
        await server.act(call_id, "streaming_start", stream_url=server.stream_url, **token)
        start = (await server.wait_for_message("start"))["start"]
        assert dict(server.media_headers)[b"x-telnyx-streaming-auth-token"] == b"secret"
    assert server.messages[0]["connected"] == {"x-telnyx-streaming-auth-token": "secret"}
    assert start["custom_parameters"] == {"room": "1"}
    assert server.media_path == "/media?token=t"

    async with open_call({**RTP, **token}) as (_, server, leg):
        start = (await server.wait_for_message("start"))["start"]
    assert "connected" not in server.messages[0]
    assert start["custom_parameters"] == {}


async def test_without_rtp_mode_the_caller_hears_nothing(autojump_clock: MockClock) -> None:
    """The default mode is mp3: packets are refused and counted."""
    async with open_call({}, media(LOUD_20_MS), phone=Phone(hang_up_at=0.5)) as (_, _server, leg):
        await leg.wait_ended()
    assert not leg.recording()[0][1].any()
    assert leg.counters.refused_packets == 1


async def test_one_mp3_file_a_second(autojump_clock: MockClock) -> None:
    """A file is played; one that follows within the second is answered with 100005."""
    file = encode_mp3(np.full((1, 1600), 1000, np.int16), 16000)
    text = media(base64.b64encode(file).decode())
    async with open_call({}, text, text, phone=Phone(hang_up_at=0.5)) as (_, server, leg):
        await leg.wait_ended()
    assert [message["payload"]["code"] for message in of(server, "error")] == [100005]
    assert (leg.counters.files_received, leg.counters.refused_packets) == (1, 1)
    assert leg.recording()[0][1].any()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (media("no base64!"), 100004),
        (media("AAA"), 100004),
        (json.dumps({"event": "media"}), 100004),
        (json.dumps({"event": "media", "media": {"payload": 7}}), 100004),
        (media(base64.b64encode(bytes(8000 * 31)).decode()), 100004),
        ("{", 100003),
        ("[]", 100003),
        ("[" * 100_000, 100003),
        (json.dumps({"event": "dance"}), 100003),
        (json.dumps({"event": "mark"}), 100003),
    ],
)
async def test_bad_message_gets_an_error(
    autojump_clock: MockClock, text: str, expected: int
) -> None:
    """The error says which kind; the stream goes on."""
    async with open_call(RTP, text, mark("after")) as (_, server, leg):
        error = await server.wait_for_message("error")
        await server.wait_for_message("mark")
    assert error["payload"]["code"] == expected
    assert error["payload"]["title"] in ("malformed_frame", "invalid_media")
    assert leg.counters.errors_sent == 1


async def test_short_packet_is_counted_and_played(autojump_clock: MockClock) -> None:
    """Telnyx's floor is 20 ms; what it does below is not known, so the simulator tells."""
    short = base64.b64encode(b"\x10" * 80).decode()
    async with open_call(RTP, media(short), phone=Phone(hang_up_at=0.5)) as (_, _server, leg):
        await leg.wait_ended()
    assert leg.counters.short_packets == 1
    assert np.count_nonzero(leg.recording()[0][1]) == 80


async def test_half_a_sample_is_counted(autojump_clock: MockClock) -> None:
    """L16 with an odd number of bytes."""
    answer = {**RTP, "stream_bidirectional_codec": "L16"}
    odd = base64.b64encode(bytes(321)).decode()
    async with open_call(answer, media(odd), phone=Phone(hang_up_at=0.5)) as (_, _server, leg):
        await leg.wait_ended()
    assert leg.counters.odd_payloads == 1


async def test_mark_returns_when_its_audio_has_played(autojump_clock: MockClock) -> None:
    """To the millisecond, and at once when nothing is queued."""
    packets = [media(SILENCE_20_MS)] * 5
    async with open_call(RTP, mark("first"), *packets, mark("second")) as (_, server, leg):
        await leg.wait_media_started()
        started_at = leg.events[-1].time
        await trio.sleep(1)
        times = {event.detail: event.time for event in leg.events if event.kind == "mark"}
    assert times["first"] == pytest.approx(started_at)
    assert times["second"] == pytest.approx(started_at + 0.1)
    assert [message["mark"]["name"] for message in of(server, "mark")] == ["first", "second"]
    assert (leg.counters.marks_received, leg.counters.marks_returned) == (2, 2)


async def test_clear_empties_the_queue_and_returns_marks(autojump_clock: MockClock) -> None:
    """Barge-in: the rest is never heard, and every pending mark comes back."""
    texts = [media(LOUD_20_MS)] * 50
    async with open_pair() as (carrier, server):

        def on_message(message: dict[str, Any]) -> list[str]:
            if message["event"] == "start":
                return [*texts, mark("a"), *texts, mark("b")]
            if message["event"] == "media" and message["media"]["chunk"] == "10":
                return [CLEAR]
            return []

        server.on_message = on_message
        leg = await carrier.call_in(to="+15550100002", phone=Phone(hang_up_at=1))
        await leg.wait_ended()
        names = [message["mark"]["name"] for message in of(server, "mark")]
    heard, rate = leg.recording()
    assert names == ["a", "b"]
    assert leg.counters.clears == 1
    assert np.count_nonzero(heard[1]) == round(0.2 * rate)


async def test_both_tracks_have_counters_of_their_own(autojump_clock: MockClock) -> None:
    """Each track has its chunks; outbound is what the caller hears."""
    answer = {**RTP, "stream_track": "both_tracks"}
    phone = Phone(hang_up_at=0.1)
    async with open_call(answer, *[media(LOUD_20_MS)] * 2, phone=phone) as (_, server, leg):
        await leg.wait_ended()
    packets = [message["media"] for message in of(server, "media")]
    for track in ("inbound", "outbound"):
        chunks = [packet["chunk"] for packet in packets if packet["track"] == track]
        assert chunks == ["1", "2", "3", "4", "5"]
    outbound = [packet["payload"] for packet in packets if packet["track"] == "outbound"]
    assert outbound == [LOUD_20_MS, LOUD_20_MS, *[SILENCE_20_MS] * 3]


@pytest.mark.parametrize(
    ("answer", "receive", "payload_size"),
    [
        ({}, ("PCMA", 8000), 160),
        ({"stream_codec": "default"}, ("PCMA", 8000), 160),
        ({"stream_codec": "AMR-WB"}, ("PCMA", 8000), 160),
        ({"stream_codec": "G722"}, ("G722", 8000), 160),
        ({"stream_codec": "PCMU"}, ("PCMU", 8000), 160),
        ({"stream_codec": "L16"}, ("L16", 8000), 320),
    ],
)
async def test_receive_format_is_that_of_the_leg_or_of_stream_codec(
    autojump_clock: MockClock,
    answer: dict[str, Any],
    receive: tuple[str, int],
    payload_size: int,
) -> None:
    """stream_codec where the simulator can transcode to it, else the leg's own."""
    phone = Phone(leg_encoding="PCMA", hang_up_at=0.1)
    async with open_call({**RTP, **answer}, phone=phone) as (_, server, leg):
        await leg.wait_ended()
    media_format = of(server, "start")[0]["start"]["media_format"]
    assert (media_format["encoding"], media_format["sample_rate"]) == receive
    assert len(base64.b64decode(of(server, "media")[0]["media"]["payload"])) == payload_size


async def test_send_format_is_independent_of_the_receive_format(autojump_clock: MockClock) -> None:
    """A PCMA leg with PCMU return: what is sent is decoded as PCMU, then carried as PCMA."""
    phone = Phone(leg_encoding="PCMA", hang_up_at=0.5)
    async with open_call(RTP, media(LOUD_20_MS), phone=phone) as (_, _server, leg):
        await leg.wait_ended()
    # 0x10 is -15996 in PCMU (ITU-T G.711); as PCMA it would be 1680. PCMA carries it as -16128.
    assert set(leg.recording()[0][1].tolist()) == {-16128, 0}


async def test_socket_opens_while_it_rings_and_starts_after_the_answer(
    autojump_clock: MockClock,
) -> None:
    """connected comes at once, start with the answer."""
    async with open_pair(settings=CarrierSettings(media_before_answer=True)) as (carrier, server):
        carrier.default_phone = Phone(answer_after=5)
        numbers = {"to": "+15550100003", "from": "+15550100002"}
        fields = {"connection_id": carrier.connection_id, "stream_url": server.stream_url}
        await server.post("calls", **numbers, **fields, **RTP)
        await server.wait_for_message("connected")
        await trio.sleep(4)
        assert [message["event"] for message in server.messages] == ["connected"]
        await server.wait_for_message("start")
        assert trio.current_time() == pytest.approx(carrier.legs[0].began_at + 5)


async def test_refused_socket_is_told_by_webhook(autojump_clock: MockClock) -> None:
    """streaming.failed, and the call stays up."""
    async with open_pair() as (carrier, server):
        server.rejects_media = True
        leg = await carrier.call_in(to="+15550100002")
        failed = await server.wait_for_event("streaming.failed")
        assert failed["failure_reason"] == "connection_failed: HTTP 403"
        assert failed["stream_params"] == {
            "stream_url": server.stream_url,
            "track": "inbound_track",
        }
        assert leg.is_alive


async def test_server_that_closes_ends_the_stream_only(autojump_clock: MockClock) -> None:
    """The call stays up after the server has closed its socket."""
    async with open_pair() as (carrier, server):
        server.leaves_after = 1
        leg = await carrier.call_in(to="+15550100002")
        await server.wait_for_event("streaming.stopped")
        assert leg.is_alive
        assert not leg.has_stream


async def test_media_error_can_be_ordered(autojump_clock: MockClock) -> None:
    """A test can have any error sent."""
    async with open_call(RTP) as (_, server, leg):
        await server.wait_for_message("start")
        leg.send_error(100005, "slow down")
        error = await server.wait_for_message("error")
    assert error["payload"] == {
        "code": 100005,
        "title": "rate_limit_reached",
        "detail": "slow down",
    }
