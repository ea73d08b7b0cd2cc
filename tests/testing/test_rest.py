from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import trio
from testing.echo_server import RTP, EchoServer, open_pair
from trio.testing import MockClock

from telnyx_trio.testing import Carrier, Leg, Phone

NUMBERS = {"to": "+15550100003", "from": "+15550100002"}


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["errors"][0]["code"]


async def dial(carrier: Carrier, server: EchoServer, **fields: Any) -> httpx.Response:
    body = {"connection_id": carrier.connection_id, **NUMBERS, **fields}
    return await server.post("calls", **body)


async def ring(carrier: Carrier, server: EchoServer) -> Leg:
    """Place an inbound call that the server leaves alone."""
    server.answer_fields = None
    return await carrier.call_in(to="+15550100002")


async def test_dial_reply_has_the_shape_of_a_call(autojump_clock: MockClock) -> None:
    """The three ids, record_type, and is_alive false because dialling goes on."""
    async with open_pair() as (carrier, server):
        response = await dial(carrier, server, client_state="aWQ9NDI=")
        data = response.json()["data"]
        (leg,) = carrier.legs
    assert response.status_code == 200
    assert data["call_control_id"] == leg.names.call_control_id
    assert data["record_type"] == "call"
    assert data["is_alive"] is False
    assert data["client_state"] == "aWQ9NDI="


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"to": None}, "10004"),
        ({"from": None}, "10004"),
        ({"connection_id": None}, "10004"),
        ({"connection_id": "1"}, "10015"),
        ({"to": "5550100"}, "10016"),
        ({"to": "+1 555"}, "10016"),
        ({"stream_bidirectional_codec": "ulaw"}, "10032"),
        ({"stream_bidirectional_mode": "RTP"}, "10032"),
        ({"stream_track": "inbound"}, "10032"),
        ({"stream_bidirectional_sampling_rate": 11025}, "10032"),
        ({"stream_bidirectional_target_legs": "me"}, "10032"),
        ({"stream_url": "https://example.com"}, "10003"),
        ({"stream_url": "wss://h", **RTP, "stream_bidirectional_codec": "AMR-WB"}, "10032"),
        ({"stream_url": "wss://h", "stream_auth_token": "x" * 4001}, "10033"),
        ({"client_state": "not base64!"}, "90017"),
        ({"timeout_secs": 1}, "90028"),
        ({"time_limit_secs": 20000}, "90029"),
    ],
)
async def test_dial_refuses_what_telnyx_refuses(
    autojump_clock: MockClock, fields: dict[str, Any], expected: str
) -> None:
    """A wrong field is 422 with Telnyx's code, and no call is placed."""
    async with open_pair() as (carrier, server):
        response = await dial(carrier, server, **fields)
        assert code(response) == (422, expected)
        assert not carrier.legs


async def test_error_body_points_at_the_field(autojump_clock: MockClock) -> None:
    """Code, title, detail, and the pointer to what is wrong."""
    async with open_pair() as (carrier, server):
        (error,) = (await dial(carrier, server, to=None)).json()["errors"]
    assert error["source"] == {"pointer": "/to"}
    assert error["title"]
    assert "'to'" in error["detail"]


async def test_unknown_fields_are_dropped(autojump_clock: MockClock) -> None:
    """As Telnyx does: no error."""
    async with open_pair() as (carrier, server):
        assert (await dial(carrier, server, no_such_field=1)).status_code == 200


async def test_sip_uri_can_be_dialled(autojump_clock: MockClock) -> None:
    """With its media encryption suffix, and answered by the phone of the bare URI."""
    async with open_pair() as (carrier, server):
        carrier.phones["sip:bob@example.com"] = Phone(outcome="busy")
        await dial(carrier, server, to="sip:bob@example.com;secure=srtp")
        assert (await carrier.legs[0].wait_ended()).cause == "user_busy"


@pytest.mark.parametrize("key", ["Bearer wrong", "KEY-simulated", ""])
async def test_wrong_key_is_refused(autojump_clock: MockClock, key: str) -> None:
    """401 with 10009."""
    async with open_pair() as (carrier, _):
        headers = [(b"authorization", key.encode())]
        response = await carrier.handle_request("POST", "/v2/calls", headers, b"{}")
    assert response.status == 401
    assert json.loads(response.body)["errors"][0]["code"] == "10009"


async def test_body_that_is_no_json_object_is_refused(autojump_clock: MockClock) -> None:
    """400 with 10015."""
    async with open_pair() as (carrier, _):
        headers = [(b"authorization", f"Bearer {carrier.api_key}".encode())]
        for body in (b"[]", b"{", b"\xff", b"[" * 100_000):
            response = await carrier.handle_request("POST", "/v2/calls", headers, body)
            assert response.status == 400


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("calls/v3:unknown/actions/hangup", (404, "10005")),
        ("calls/nonsense/actions/hangup", (422, "90015")),
        ("calls/v3:unknown/actions/fly", (404, "10005")),
        ("numbers", (404, "10005")),
    ],
)
async def test_unknown_things(
    autojump_clock: MockClock, path: str, expected: tuple[int, str]
) -> None:
    """Unknown call and resource 404, malformed id 90015."""
    async with open_pair() as (_, server):
        assert code(await server.post(path)) == expected


async def test_command_on_an_ended_call_is_refused(autojump_clock: MockClock) -> None:
    """422 with 90018, whatever the command."""
    async with open_pair() as (carrier, server):
        leg = await ring(carrier, server)
        await leg.hang_up()
        for action in ("answer", "hangup", "streaming_start", "send_dtmf", "reject"):
            response = await server.act(leg.names.call_control_id, action)
            assert code(response) == (422, "90018")


async def test_streaming_and_digits_need_an_answer(autojump_clock: MockClock) -> None:
    """422 with 90034 while it rings."""
    async with open_pair() as (carrier, server):
        leg = await ring(carrier, server)
        for action in ("streaming_start", "streaming_stop", "send_dtmf"):
            response = await server.act(leg.names.call_control_id, action, stream_url="ws://h")
            assert code(response) == (422, "90034")


async def test_outbound_call_cannot_be_answered(autojump_clock: MockClock) -> None:
    """422 with 90102."""
    async with open_pair() as (carrier, server):
        carrier.default_phone = Phone(answer_after=5)
        await dial(carrier, server)
        response = await server.act(carrier.legs[0].names.call_control_id, "answer")
        assert code(response) == (422, "90102")


async def test_second_stream_is_refused(autojump_clock: MockClock) -> None:
    """422 with 90045 while one runs; after streaming_stop there may be another."""
    async with open_pair() as (carrier, server):
        leg = await carrier.call_in(to="+15550100002")
        await server.wait_for_message("start")
        call_id = leg.names.call_control_id
        fields = {"stream_url": server.stream_url}
        again = await server.act(call_id, "streaming_start", **fields)
        assert code(again) == (422, "90045")
        await server.act(call_id, "streaming_stop")
        await server.wait_for_event("streaming.stopped")
        assert (await server.act(call_id, "streaming_start", **fields)).status_code == 200


@pytest.mark.parametrize(
    ("cause", "hangup_cause", "sip"),
    [
        ("CALL_REJECTED", "call_rejected", "603"),
        ("NOT_FOUND", "not_found", "404"),
        ("TEMPORARILY_UNAVAILABLE", "unspecified", "480"),
        ("USER_BUSY", "user_busy", "486"),
    ],
)
async def test_reject_tells_the_caller_why(
    autojump_clock: MockClock, cause: str, hangup_cause: str, sip: str
) -> None:
    """Each cause has its SIP status."""
    async with open_pair() as (carrier, server):
        leg = await ring(carrier, server)
        response = await server.act(leg.names.call_control_id, "reject", cause=cause)
        hangup = await leg.wait_ended()
    assert response.json() == {"data": {"result": "ok"}}
    assert (hangup.cause, hangup.sip_cause) == (hangup_cause, sip)


@pytest.mark.parametrize(("cause", "expected"), [(None, "10004"), ("BUSY", "10032")])
async def test_reject_needs_a_listed_cause(
    autojump_clock: MockClock, cause: str | None, expected: str
) -> None:
    """422 without or with another one."""
    async with open_pair() as (carrier, server):
        leg = await ring(carrier, server)
        response = await server.act(leg.names.call_control_id, "reject", cause=cause)
        assert code(response) == (422, expected)


async def test_digits_reach_the_phone(autojump_clock: MockClock) -> None:
    """send_dtmf plays digits; pauses are not digits; others are refused."""
    async with open_pair() as (carrier, server):
        leg = await carrier.call_in(to="+15550100002")
        await leg.wait_answered()
        await server.act(leg.names.call_control_id, "send_dtmf", digits="1w2W#")
        wrong = await server.act(leg.names.call_control_id, "send_dtmf", digits="x")
    assert leg.digits_received == "12#"
    assert code(wrong) == (422, "10032")


async def test_repeated_command_id_is_ignored(autojump_clock: MockClock) -> None:
    """The second is answered with ok, does nothing and is counted; a minute later it counts."""
    async with open_pair() as (carrier, server):
        leg = await ring(carrier, server)
        call_id = leg.names.call_control_id
        first = await server.act(call_id, "hangup", command_id="c1")
        second = await server.act(call_id, "hangup", command_id="c1")
        assert (first.status_code, second.status_code) == (200, 200)
        assert leg.repeated_commands == 1
        await trio.sleep(61)
        assert code(await server.act(call_id, "hangup", command_id="c1")) == (422, "90018")


async def test_client_state_of_a_command_is_echoed_from_then_on(autojump_clock: MockClock) -> None:
    """Later webhooks carry it."""
    async with open_pair() as (carrier, server):
        leg = await ring(carrier, server)
        await server.act(leg.names.call_control_id, "answer", client_state="Yg==")
        assert (await server.wait_for_event("call.answered"))["client_state"] == "Yg=="


async def test_status_of_a_call(autojump_clock: MockClock) -> None:
    """Alive, then ended with a duration and a date, then forgotten after ten minutes."""
    async with open_pair() as (carrier, _):
        leg = await carrier.call_in(to="+15550100002", phone=Phone(hang_up_at=7))
        target = f"/v2/calls/{leg.names.call_control_id}"
        headers = [(b"Authorization", f"Bearer {carrier.api_key}".encode())]

        async def ask() -> Any:
            return await carrier.handle_request("GET", target, headers)

        await leg.wait_answered()
        alive = json.loads((await ask()).body)["data"]
        await leg.wait_ended()
        ended = json.loads((await ask()).body)["data"]
        await trio.sleep(601)
        assert (await ask()).status == 404
    assert alive["is_alive"] is True
    assert "end_time" not in alive
    assert ended["is_alive"] is False
    assert ended["call_duration"] == 7
    assert ended["end_time"] > ended["start_time"]


async def test_delayed_reply_comes_after_the_effect(autojump_clock: MockClock) -> None:
    """The call is placed at once, the reply comes 2 s later."""
    async with open_pair() as (carrier, server):
        carrier.faults.delay_reply("/calls", 2)
        started_at = trio.current_time()
        assert (await dial(carrier, server)).status_code == 200
        assert trio.current_time() - started_at == pytest.approx(2)
        assert carrier.legs[0].began_at == started_at


async def test_lost_reply_never_comes(autojump_clock: MockClock) -> None:
    """The call is placed, and the client waits in vain."""
    async with open_pair() as (carrier, server):
        carrier.faults.lose_reply("/calls", nth=2)
        await dial(carrier, server)
        with pytest.raises(httpx.ReadTimeout):
            await dial(carrier, server)
        assert len(carrier.legs) == 2


@pytest.mark.parametrize(("after_effect", "n_legs"), [(False, 0), (True, 1)])
async def test_dropped_connection(
    autojump_clock: MockClock, after_effect: bool, n_legs: int
) -> None:
    """The connection breaks before or after the call was placed."""
    async with open_pair() as (carrier, server):
        carrier.faults.drop_connection("/calls", after_effect=after_effect)
        with pytest.raises(httpx.RemoteProtocolError):
            await dial(carrier, server)
        assert len(carrier.legs) == n_legs


async def test_request_takes_effect_although_its_client_has_gone(
    autojump_clock: MockClock,
) -> None:
    """As on a network, cancelling a request does not call it back."""
    async with open_pair() as (carrier, server):
        carrier.rest_latency = 1.0
        with trio.move_on_after(0.1):
            await dial(carrier, server)
        await trio.sleep(1)
        assert len(carrier.legs) == 1


async def test_rate_limit_names_its_reset(autojump_clock: MockClock) -> None:
    """429 with 10011 and x-ratelimit-reset, as often as said, then service."""
    async with open_pair() as (carrier, server):
        carrier.faults.rate_limit("/calls", reset=3)
        response = await dial(carrier, server)
        assert code(response) == (429, "10011")
        assert response.headers["x-ratelimit-reset"] == "3"
        assert (await dial(carrier, server)).status_code == 200


async def test_server_error(autojump_clock: MockClock) -> None:
    """500 as often as said."""
    async with open_pair() as (carrier, server):
        carrier.faults.fail("/calls", times=2)
        statuses = [(await dial(carrier, server)).status_code for _ in range(3)]
    assert statuses == [500, 500, 200]


async def test_requests_are_kept_without_showing_secrets(autojump_clock: MockClock) -> None:
    """Path, status and body are there; the repr leaves out the body."""
    async with open_pair() as (carrier, server):
        await dial(carrier, server, stream_url="wss://h/secret", stream_auth_token="secret")
        (request,) = carrier.requests
    assert (request.method, request.path, request.status) == ("POST", "/v2/calls", 200)
    assert request.body["stream_auth_token"] == "secret"
    assert "secret" not in repr(request)
