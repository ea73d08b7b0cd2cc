from __future__ import annotations

import base64
import time
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import trio
from testing.echo_server import RTP, EchoServer, Kind, media, open_pair
from trio.testing import MockClock

from telnyx_trio._errors import LocalProtocolError
from telnyx_trio._types import ByteOrder, Encoding
from telnyx_trio.testing import (
    Carrier,
    CarrierSettings,
    LegState,
    MemoryTransport,
    Phone,
    open_carrier,
    read_wav,
    write_wav,
)


def speech(duration: float, rate: int = 16000) -> tuple[np.ndarray[Any, np.dtype[np.int16]], int]:
    """Something with the band of speech that correlates with nothing but itself."""
    noise = np.random.default_rng(1).normal(size=int(duration * rate))
    smooth = np.convolve(noise, np.hanning(16), "same")
    return (smooth / np.abs(smooth).max() * 12_000).astype(np.int16), rate


def best_correlation(
    said: np.ndarray[Any, np.dtype[np.int16]], heard: np.ndarray[Any, np.dtype[np.int16]]
) -> tuple[int, float]:
    """Lag in samples and correlation there."""
    size = 2 * said.size
    a, b = np.fft.rfft(said.astype(float), size), np.fft.rfft(heard.astype(float), size)
    lags = np.fft.irfft(b * np.conj(a), size)[: said.size // 2]
    lag = int(np.argmax(lags))
    return lag, float(np.corrcoef(said[: said.size - lag], heard[lag:])[0, 1])


async def check_inbound(
    kind: Kind, settings: CarrierSettings, answer: dict[str, Any], lead_packets: int = 0
) -> int:
    """Somebody calls in, is echoed and hangs up; returns the lag of the echo in ms."""
    async with open_pair(kind, settings) as (carrier, server):

        def echo_with_lead(message: dict[str, Any]) -> list[str]:
            # Without a lead an echo stutters wherever a timer of the machine is late.
            silence = media(base64.b64encode(b"\xff" * 160).decode())
            if message["event"] == "start":
                return [silence] * lead_packets
            return server.echo(message)

        server.on_message = echo_with_lead
        server.answer_fields = {**RTP, **answer}
        phone = Phone(says=speech(0.6), digits=[(0.2, "5")], hang_up_at=0.8)
        leg = await carrier.call_in(to="+15550100002", phone=phone)
        hangup = await leg.wait_ended()
        await server.wait_for_event("call.hangup")
        digit = await server.wait_for_message("dtmf")
        assert (await server.wait_for_event("call.dtmf.received"))["digit"] == "5"
        assert not carrier.live_legs()
    assert (hangup.cause, hangup.source) == ("normal_clearing", "caller")
    assert digit["dtmf"] == {"digit": "5"}
    assert "streaming.started" in server.event_types
    (said, heard), rate = leg.recording()
    assert said.size / rate == pytest.approx(0.8, abs=0.1)
    lag, correlation = best_correlation(said, heard)
    assert correlation > 0.95
    return lag * 1000 // rate


@pytest.mark.parametrize(
    ("leg_encoding", "byteorder", "answer"),
    [
        ("PCMU", "little", {}),
        ("PCMA", "little", {"stream_codec": "PCMU"}),
        ("L16", "little", {"stream_bidirectional_codec": "L16"}),
        ("L16", "big", {"stream_bidirectional_codec": "L16"}),
    ],
)
async def test_inbound_call_is_echoed_in_memory(
    autojump_clock: MockClock, leg_encoding: Encoding, byteorder: ByteOrder, answer: dict[str, Any]
) -> None:
    """The caller hears the own voice 20 ms later, through whatever codecs."""
    settings = CarrierSettings(leg_encoding=leg_encoding, byteorder=byteorder)
    assert await check_inbound("memory", settings, answer) in (20, 21)


async def test_inbound_call_is_echoed_on_sockets() -> None:
    """The same over loopback."""
    assert 300 <= await check_inbound("sockets", CarrierSettings(), {}, lead_packets=15) < 400


async def check_outbound(kind: Kind) -> None:
    """The server dials, the callee answers and speaks, the server hangs up."""
    async with open_pair(kind) as (carrier, server):
        carrier.phones["+15550100003"] = Phone(answer_after=0.1, says=speech(0.2))
        response = await server.post(
            "calls",
            connection_id=carrier.connection_id,
            to="+15550100003",
            from_="+15550100002",
            stream_url=server.stream_url,
            client_state="aWQ9NDI=",
            **{"from": "+15550100002"},
            **RTP,
        )
        call_id = response.json()["data"]["call_control_id"]
        await server.wait_for_message("start")
        await trio.sleep(0.3)
        (leg,) = carrier.live_legs()
        await server.act(call_id, "hangup")
        hangup = await leg.wait_ended()
        payload = await server.wait_for_event("call.hangup")
    assert (hangup.cause, hangup.source) == ("normal_clearing", "caller")
    assert payload["client_state"] == "aWQ9NDI="
    assert payload["state"] == "hangup"
    assert leg.counters.packets_received > 5
    assert server.media_end == "closed"


async def test_outbound_call_in_memory(autojump_clock: MockClock) -> None:
    """Dial, answer, media, hangup."""
    await check_outbound("memory")


async def test_outbound_call_on_sockets() -> None:
    """The same over loopback."""
    await check_outbound("sockets")


async def dial(carrier: Carrier, server: EchoServer, **fields: Any) -> httpx.Response:
    numbers = {"to": "+15550100003", "from": "+15550100002"}
    return await server.post("calls", connection_id=carrier.connection_id, **numbers, **fields)


@pytest.mark.parametrize(
    ("phone", "fields", "cause", "sip", "after"),
    [
        (Phone(outcome="busy", answer_after=1), {}, "user_busy", "486", 1),
        (Phone(outcome="rejected", answer_after=2), {}, "call_rejected", "603", 2),
        (Phone(outcome="no_answer"), {}, "timeout", "487", 30),
        (Phone(outcome="no_answer"), {"timeout_secs": 7}, "timeout", "487", 7),
        (Phone(outcome="no_answer"), {"retry_on_timeout": False}, "no_answer", "487", 30),
        (Phone(answer_after=60), {}, "timeout", "487", 30),
        (Phone(answer_after=60, hang_up_after=3), {}, "call_rejected", "603", 3),
    ],
)
async def test_outbound_call_that_nobody_takes(
    autojump_clock: MockClock,
    phone: Phone,
    fields: dict[str, Any],
    cause: str,
    sip: str,
    after: float,
) -> None:
    """Busy, refused, no answer: each with its cause and its time, and no answer event."""
    async with open_pair() as (carrier, server):
        carrier.default_phone = phone
        await dial(carrier, server, stream_url=server.stream_url, **fields)
        (leg,) = carrier.legs
        assert not await leg.wait_answered()
        payload = await server.wait_for_event("call.hangup")
    assert (payload["hangup_cause"], payload["sip_hangup_cause"]) == (cause, sip)
    assert leg.ended_at == pytest.approx(leg.began_at + after)
    assert "call.answered" not in server.event_types
    assert not server.messages


async def test_hangup_while_it_rings_cancels_the_call(autojump_clock: MockClock) -> None:
    """Our own hangup before the answer is an originator_cancel."""
    async with open_pair() as (carrier, server):
        carrier.default_phone = Phone(answer_after=10)
        response = await dial(carrier, server)
        await server.act(response.json()["data"]["call_control_id"], "hangup")
        hangup = await carrier.legs[0].wait_ended()
    assert (hangup.cause, hangup.source) == ("originator_cancel", "caller")


async def test_caller_gives_up(autojump_clock: MockClock) -> None:
    """An inbound call that nobody answers ends after 30 s."""
    async with open_pair() as (carrier, server):
        server.answer_fields = None
        leg = await carrier.call_in(to="+15550100002")
        hangup = await leg.wait_ended()
    assert (hangup.cause, hangup.source) == ("originator_cancel", "caller")
    assert leg.ended_at == pytest.approx(leg.began_at + 30)


async def test_time_limit_ends_a_call(autojump_clock: MockClock) -> None:
    """time_limit_secs counts from the answer."""
    async with open_pair() as (carrier, server):
        carrier.default_phone = Phone(answer_after=1)
        await dial(carrier, server, time_limit_secs=60)
        (leg,) = carrier.legs
        assert (await leg.wait_ended()).cause == "time_limit"
        assert leg.ended_at == pytest.approx(leg.began_at + 61)


@pytest.mark.parametrize(
    ("report", "by_media", "by_webhook"),
    [("media", ["1", "2"], []), ("webhook", [], ["1", "2"]), ("both", ["1", "2"], ["1", "2"])],
)
async def test_keys_are_reported_as_the_phone_says(
    autojump_clock: MockClock, report: Any, by_media: list[str], by_webhook: list[str]
) -> None:
    """On the media socket, by webhook, or both."""
    async with open_pair() as (carrier, server):
        phone = Phone(dtmf_report=report, digits=[(0.1, "1")], hang_up_at=1)
        leg = await carrier.call_in(to="+15550100002", phone=phone)
        await leg.wait_media_started()
        await trio.sleep(0.5)
        leg.press("2")
        await leg.wait_ended()
        await server.wait_for_event("call.hangup")
    digits = [message["dtmf"]["digit"] for message in server.messages if "dtmf" in message]
    assert digits == by_media
    events = [payload["digit"] for kind, payload in server.events if kind == "call.dtmf.received"]
    assert events == by_webhook


@pytest.mark.parametrize("kind", ["memory", "sockets"])
async def test_lost_socket_is_no_hangup(kind: Kind) -> None:
    """The server sees the socket vanish without a close frame; the leg stays up."""
    async with open_pair(kind) as (carrier, server):
        leg = await carrier.call_in(to="+15550100002", phone=Phone(vanish_at=0.05))
        with trio.fail_after(5):
            assert await server.wait_for_media_end() == "lost"
        assert leg.is_alive
        assert "stop" not in [message["event"] for message in server.messages]


async def test_remote_hangup_in_speech(autojump_clock: MockClock) -> None:
    """What was queued and not yet played is not in the recording."""
    async with open_pair() as (carrier, _):
        leg = await carrier.call_in(to="+15550100002", phone=Phone(says=speech(5)))
        await leg.wait_media_started()
        await trio.sleep(1)
        await leg.hang_up()
    recording, rate = leg.recording()
    assert recording.shape == (2, rate)
    assert leg.state is LegState.ENDED


async def test_phone_speaks_a_wav_file(autojump_clock: MockClock, tmp_path: Path) -> None:
    """A path is read when the call is placed; a missing one is the caller's error."""
    samples, rate = speech(0.2)
    write_wav(tmp_path / "voice.wav", samples[None, :], rate)
    async with open_pair() as (carrier, _):
        phone = Phone(says=tmp_path / "voice.wav", speak_at=0.1, hang_up_at=0.5)
        leg = await carrier.call_in(to="+15550100002", phone=phone)
        await leg.wait_ended()
        with pytest.raises(FileNotFoundError):
            await carrier.call_in(to="+15550100002", phone=Phone(says=tmp_path / "none.wav"))
        assert carrier.legs == (leg,)
    (said, _), leg_rate = leg.recording()
    voiced = np.flatnonzero(said) / leg_rate
    assert voiced[0] == pytest.approx(0.1, abs=0.002)
    assert voiced[-1] == pytest.approx(0.3, abs=0.002)
    leg.write_wav(tmp_path / "call.wav")
    assert read_wav(tmp_path / "call.wav")[1] == leg_rate


async def test_two_legs_do_not_mix(autojump_clock: MockClock) -> None:
    """Each has its ids, its recording and its counters."""
    async with open_pair() as (carrier, _):
        phone = Phone(says=speech(0.5), hang_up_at=0.6)
        loud = await carrier.call_in(to="+15550100002", phone=phone)
        quiet = await carrier.call_in(to="+15550100002", phone=Phone(hang_up_at=0.6))
        await loud.wait_ended()
        await quiet.wait_ended()
    assert loud.names.call_control_id != quiet.names.call_control_id
    assert loud.recording()[0][1].any()
    assert not quiet.recording()[0][1].any()


async def test_carrier_with_a_seed_is_the_same_each_time(autojump_clock: MockClock) -> None:
    """Key, application id and call ids repeat."""
    seen = []
    for _ in range(2):
        async with open_pair() as (carrier, _server):
            leg = await carrier.call_in(to="+15550100002")
            seen.append((carrier.public_key, carrier.connection_id, leg.names.call_control_id))
    assert seen[0] == seen[1]


async def test_secrets_are_in_no_repr(autojump_clock: MockClock) -> None:
    """stream_url stays out of what is printed."""
    async with open_pair() as (carrier, server):
        server.stream_url = "ws://server.invalid/secret"
        leg = await carrier.call_in(to="+15550100002")
        await server.wait_for_event("streaming.started")
        shown = repr((leg.options, leg.events, carrier.requests, carrier.webhook_deliveries))
    assert "secret" not in shown


async def test_error_of_a_memory_server_ends_the_carrier(autojump_clock: MockClock) -> None:
    """A bug of the server under test is not swallowed."""

    async def handle_webhook(headers: object, body: bytes) -> int:
        raise RuntimeError("bug")

    async def handle_media(*arguments: object) -> None:
        raise AssertionError("never called")

    transport = MemoryTransport(handle_webhook, handle_media)
    with pytest.raises(RuntimeError, match="bug"):
        async with open_carrier(transport=transport) as carrier:
            await carrier.call_in(to="+15550100002")
            await trio.sleep(1)


async def test_error_of_the_block_leaves_as_itself(autojump_clock: MockClock) -> None:
    """No group round a test's own assertion."""
    server = EchoServer()
    transport = MemoryTransport(server.handle_webhook, server.handle_media)
    with pytest.raises(LookupError):
        async with open_carrier(transport=transport):
            raise LookupError


async def test_cancelling_the_block_ends_it_at_once(autojump_clock: MockClock) -> None:
    """A running call does not hold the carrier open."""
    with trio.move_on_after(1) as scope:
        async with open_pair() as (carrier, _):
            await carrier.call_in(to="+15550100002", phone=Phone(says=speech(5)))
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(1)


async def test_nothing_is_left_of_a_carrier_on_sockets() -> None:
    """Leaving the block amid a call frees the port and every task."""
    before = trio.lowlevel.current_statistics().tasks_living
    async with open_pair("sockets") as (carrier, server):
        await carrier.call_in(to="+15550100002")
        await server.wait_for_message("start")
        port = int(carrier.base_url.rpartition(":")[2].partition("/")[0])
    with pytest.raises(OSError, match="connect"):
        await trio.open_tcp_stream("127.0.0.1", port)
    assert trio.lowlevel.current_statistics().tasks_living == before


async def test_minute_of_echo_is_cheap(autojump_clock: MockClock) -> None:
    """3,000 packets each way, in memory, with the server's share: far below real time."""
    started_at = time.perf_counter()
    async with open_pair() as (carrier, _):
        leg = await carrier.call_in(to="+15550100002", phone=Phone(hang_up_at=60))
        await leg.wait_ended()
    assert leg.counters.packets_sent == 3000
    assert leg.counters.packets_received >= 2999
    assert leg.counters.arrivals == sorted(leg.counters.arrivals)
    # 0.4 s where it was written; the bound is for slower machines under load.
    assert time.perf_counter() - started_at < 10


async def test_many_hangups_at_once(autojump_clock: MockClock) -> None:
    """Fifty calls hang up together behind a slow API, and each is told."""
    async with open_pair() as (carrier, server):
        carrier.rest_latency = 0.25
        for _ in range(50):
            await dial(carrier, server)
        async with trio.open_nursery() as nursery:
            for leg in carrier.legs:
                nursery.start_soon(partial(server.act, leg.names.call_control_id, "hangup"))
        assert not carrier.live_legs()


async def test_ended_legs_can_be_forgotten() -> None:
    """Not before their end; afterwards the carrier does not know them."""
    async with open_carrier() as carrier:
        leg = await carrier.call_in(to="+15550100000", phone=Phone())
        with pytest.raises(LocalProtocolError, match="has not ended"):
            carrier.forget(leg)
        await leg.hang_up()
        carrier.forget(leg)
        carrier.forget(leg)
        assert carrier.legs == ()


async def test_signing_key_can_be_given() -> None:
    """The public key follows from it, whatever the ids are."""
    keys = []
    for seed in (1, 2):
        async with open_carrier(seed=seed, signing_key=bytes(range(32))) as carrier:
            keys.append(carrier.public_key)
    assert keys[0] == keys[1]
    with pytest.raises(ValueError, match="32"):
        async with open_carrier(signing_key=b"short"):
            pass
