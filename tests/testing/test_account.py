"""The account at the carrier: what it refuses, where it routes, what it tells."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
import trio
import trio.lowlevel
from testing.echo_server import EchoServer, open_pair
from trio.testing import MockClock

from telnyx_trio.testing import (
    Carrier,
    CarrierSettings,
    Fault,
    MemoryTransport,
    Response,
    open_carrier,
)

NUMBER = "+15550100002"
URL = "https://server.invalid/events"


async def ask(
    carrier: Carrier, method: str, path: str, body: object = None, key: str | None = None
) -> tuple[int, dict[str, Any]]:
    headers = [(b"authorization", f"Bearer {key or carrier.api_key}".encode())]
    content = b"" if body is None else json.dumps(body).encode()
    response = await carrier.handle_request(method, f"/v2/{path}", headers, content)
    reply: dict[str, Any] = json.loads(response.body)
    return response.status, reply


async def refused(
    carrier: Carrier, method: str, path: str, body: object = None
) -> tuple[int, str, dict[str, str] | None]:
    status, reply = await ask(carrier, method, path, body)
    (error,) = reply["errors"]
    return status, error["code"], error.get("source")


async def test_application_has_telnyx_defaults(autojump_clock: MockClock) -> None:
    """Two fields make one; the webhooks' version is 1 unless told otherwise."""
    async with open_pair() as (carrier, _):
        body = {"application_name": "robot", "webhook_event_url": URL, "no_such_field": 1}
        status, reply = await ask(carrier, "POST", "call_control_applications", body)
        made = reply["data"]
        path = f"call_control_applications/{made['id']}"
        assert (await ask(carrier, "GET", path))[1] == reply
    assert status == 201
    assert made["record_type"] == "call_control_application"
    assert made["active"] is True
    assert made["webhook_api_version"] == "1"
    assert made["webhook_event_failover_url"] == ""
    assert made["first_command_timeout_secs"] == 30
    assert made["outbound"] == {"channel_limit": None, "outbound_voice_profile_id": None}
    assert made["created_at"] == made["updated_at"]
    assert "no_such_field" not in made


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"application_name": ""}, "10004", "application_name"),
        ({"webhook_event_url": None}, "10004", "webhook_event_url"),
        ({"webhook_event_url": "server.invalid"}, "10003", "webhook_event_url"),
        ({"webhook_event_url": "http://[::1"}, "10003", "webhook_event_url"),
        ({"webhook_event_failover_url": "ftp://h"}, "10003", "webhook_event_failover_url"),
        ({"active": "yes"}, "10015", "active"),
        ({"dtmf_type": "rfc 2833"}, "10032", "dtmf_type"),
        ({"webhook_api_version": 2}, "10032", "webhook_api_version"),
        ({"webhook_timeout_secs": 31}, "10033", "webhook_timeout_secs"),
        ({"webhook_timeout_secs": True}, "10033", "webhook_timeout_secs"),
        ({"tags": "a"}, "10015", "tags"),
        ({"outbound": "profile"}, "10015", "outbound"),
        ({"inbound": {"channel_limit": -1}}, "10033", "inbound/channel_limit"),
        (
            {"outbound": {"outbound_voice_profile_id": "1"}},
            "10017",
            "outbound/outbound_voice_profile_id",
        ),
    ],
)
async def test_application_field_that_will_not_do(
    autojump_clock: MockClock, fields: dict[str, Any], code: str, pointer: str
) -> None:
    """422 with Telnyx's code and a pointer, on creation and on change; nothing is stored."""
    async with open_pair() as (carrier, _):
        body = {"application_name": "robot", "webhook_event_url": URL} | fields
        path = "call_control_applications"
        expected = (422, code, {"pointer": f"/{pointer}"})
        before = carrier.account.show(carrier.account.applications[carrier.connection_id])
        assert await refused(carrier, "POST", path, body) == expected
        assert await refused(carrier, "PATCH", f"{path}/{carrier.connection_id}", body) == expected
        assert list(carrier.account.applications.values()) == [before]


async def test_change_keeps_what_it_does_not_name(autojump_clock: MockClock) -> None:
    """Also inside of an object; the date of the change moves on."""
    async with open_pair() as (carrier, _):
        await trio.sleep(60)
        body = {
            "application_name": "renamed",
            "webhook_event_url": URL,
            "outbound": {"channel_limit": 2},
            "webhook_timeout_secs": None,
        }
        path = f"call_control_applications/{carrier.connection_id}"
        _, reply = await ask(carrier, "PATCH", path, body)
    changed = reply["data"]
    assert changed["application_name"] == "renamed"
    assert changed["webhook_api_version"] == "2"
    assert changed["outbound"]["channel_limit"] == 2
    assert changed["outbound"]["outbound_voice_profile_id"] is not None
    assert changed["updated_at"] > changed["created_at"]
    assert carrier.webhook_url == URL


async def test_deletion_answers_the_object_and_waits_for_its_numbers(
    autojump_clock: MockClock,
) -> None:
    """An application that a number is routed to, a profile that one uses: in use, 10021."""
    async with open_pair() as (carrier, _):
        path = f"call_control_applications/{carrier.connection_id}"
        number = carrier.account.add_number(NUMBER, connection_id=carrier.connection_id)
        assert await refused(carrier, "DELETE", path) == (422, "10021", None)
        (profile_id,) = carrier.account.profiles
        profile = f"outbound_voice_profiles/{profile_id}"
        assert await refused(carrier, "DELETE", profile) == (422, "10021", None)
        await ask(carrier, "PATCH", f"phone_numbers/{number['id']}", {"connection_id": ""})
        status, reply = await ask(carrier, "DELETE", path)
        assert (status, reply["data"]["id"]) == (200, carrier.connection_id)
        assert await refused(carrier, "DELETE", path) == (404, "10005", None)
        assert (await ask(carrier, "DELETE", profile))[0] == 200


async def test_live_leg_outlives_its_application(autojump_clock: MockClock) -> None:
    """It goes on, and its webhooks still go where the application had them."""
    async with open_pair() as (carrier, server):
        leg = await carrier.call_in(to=NUMBER)
        await leg.wait_answered()
        path = f"call_control_applications/{carrier.connection_id}"
        assert (await ask(carrier, "DELETE", path))[0] == 200
        assert leg.is_alive
        await leg.hang_up()
        assert await server.wait_for_event("call.hangup")


@pytest.mark.parametrize("value", [None, ""])
async def test_number_is_routed_and_put_back_to_nothing(
    autojump_clock: MockClock, value: str | None
) -> None:
    """Both spellings of no connection read as None afterwards."""
    async with open_pair() as (carrier, _):
        number = carrier.account.add_number(NUMBER)
        path = f"phone_numbers/{number['id']}"
        body = {"connection_id": carrier.connection_id}
        _, reply = await ask(carrier, "PATCH", path, body)
        assert reply["data"]["connection_id"] == carrier.connection_id
        assert reply["data"]["connection_name"] == "ready-made"
        await ask(carrier, "PATCH", path, {"connection_id": value})
        _, reply = await ask(carrier, "GET", path)
        assert reply["data"]["connection_id"] is None
        assert reply["data"]["connection_name"] is None
        wrong = await refused(carrier, "PATCH", path, {"connection_id": "77"})
        assert wrong == (422, "10017", {"pointer": "/connection_id"})
        assert await refused(carrier, "GET", "phone_numbers/1") == (404, "10005", None)
        assert await refused(carrier, "DELETE", path) == (404, "10005", None)


async def test_call_follows_the_routing_of_its_number(autojump_clock: MockClock) -> None:
    """The number's application gets the webhooks; without one the call fails unheard."""
    async with open_pair() as (carrier, server):
        server.answer_fields = None
        account = carrier.account
        other = account.add_application(
            "other", webhook_event_url="http://other.invalid/events", webhook_api_version="2"
        )
        number = account.add_number(NUMBER, connection_id=other["id"])
        leg = await carrier.call_in(to=NUMBER)
        await trio.lowlevel.checkpoint()
        assert (await server.wait_for_event("call.initiated"))["connection_id"] == other["id"]
        assert leg.names.connection_id == other["id"]
        await leg.hang_up()
        await trio.sleep(1)
        assert {delivery.url for delivery in carrier.webhook_deliveries} == {
            "http://other.invalid/events"
        }
        heard = len(carrier.webhook_deliveries)
        for connection_id in (None, account.add_sip_connection("desk phones")):
            number["connection_id"] = connection_id
            unheard = await carrier.call_in(to=NUMBER)
            assert (await unheard.wait_ended()).cause == "not_found"
        number["connection_id"] = other["id"]
        other["active"] = False
        assert (await (await carrier.call_in(to=NUMBER)).wait_ended()).cause == "not_found"
        await trio.sleep(1)
        assert len(carrier.webhook_deliveries) == heard
        unknown = await carrier.call_in(to="+15550199999")
        assert unknown.names.connection_id == carrier.connection_id


async def test_failover_url_comes_after_the_primary(autojump_clock: MockClock) -> None:
    """When its attempts are used up; a call's own webhook_url takes the place of both."""
    async with open_pair() as (carrier, server):
        server.answer_fields = None
        server.webhook_status = 500
        application = carrier.account.applications[carrier.connection_id]
        application["webhook_event_failover_url"] = "http://failover.invalid"
        leg = await carrier.call_in(to=NUMBER)
        await trio.sleep(20)
        urls = [delivery.url for delivery in carrier.webhook_deliveries]
        assert urls == [carrier.webhook_url] * 3 + ["http://failover.invalid"] * 3
        await leg.hang_up()
        await trio.sleep(20)
        so_far = len(carrier.webhook_deliveries)
        numbers = {"to": "+15550100003", "from": NUMBER, "webhook_url": "http://own.invalid"}
        await server.post("calls", connection_id=carrier.connection_id, **numbers)
        await trio.sleep(20)
        urls = [delivery.url for delivery in carrier.webhook_deliveries[so_far:]]
        assert set(urls) == {"http://own.invalid"}


async def test_application_says_how_long_its_server_may_take(autojump_clock: MockClock) -> None:
    """webhook_timeout_secs goes before the carrier's setting."""
    async with open_pair() as (carrier, server):
        server.answer_fields = None
        server.webhook_delay = 5
        application = carrier.account.applications[carrier.connection_id]
        application["webhook_timeout_secs"] = 10
        await carrier.call_in(to=NUMBER)
        await trio.sleep(20)
        application["webhook_timeout_secs"] = None
        await carrier.legs[0].hang_up()
        await trio.sleep(20)
    assert [delivery.status for delivery in carrier.webhook_deliveries] == [200, None, None, None]


async def test_application_of_version_1_sends_the_old_envelope(autojump_clock: MockClock) -> None:
    """No "data", underscores in the name: what a set-up that forgets version 2 gets."""
    bodies: list[bytes] = []

    async def handle_webhook(headers: object, body: bytes) -> int:
        bodies.append(body)
        return 200

    async def handle_media(*arguments: object) -> None:
        raise AssertionError("never called")

    transport = MemoryTransport(handle_webhook, handle_media)
    async with open_carrier(transport=transport) as carrier:
        carrier.account.applications[carrier.connection_id]["webhook_api_version"] = "1"
        await carrier.call_in(to=NUMBER)
        await trio.sleep(1)
    event = json.loads(bodies[0])
    assert event["event_type"] == "call_initiated"
    assert event["payload"]["to"] == NUMBER
    assert "data" not in event


async def dial(carrier: Carrier, server: EchoServer, **fields: Any) -> httpx.Response:
    body = {"to": "+15550100003", "from": NUMBER, "connection_id": carrier.connection_id}
    return await server.post("calls", **(body | fields))


async def test_dial_needs_an_application_a_profile_and_a_verified_number(
    autojump_clock: MockClock,
) -> None:
    """Each is refused with its own code, and no call is placed."""
    async with open_pair() as (carrier, server):
        account = carrier.account
        application = account.applications[carrier.connection_id]
        (profile,) = account.profiles.values()

        async def code(**fields: Any) -> tuple[int, str]:
            response = await dial(carrier, server, **fields)
            return response.status_code, response.json()["errors"][0]["code"]

        sip_connection = account.add_sip_connection("desk phones")
        assert await code(connection_id=sip_connection) == (422, "10015")
        application["active"] = False
        assert await code() == (422, "10015")
        application["active"] = True
        profile["enabled"] = False
        assert await code() == (403, "10010")
        profile["enabled"] = True
        application["outbound"]["outbound_voice_profile_id"] = None
        assert await code() == (403, "10010")
        application["outbound"]["outbound_voice_profile_id"] = profile["id"]
        carrier.settings.restricted_account = True
        assert await code() == (403, "10039")
        assert not carrier.legs
        account.add_verified_number("+15550100003")
        assert (await dial(carrier, server)).status_code == 200


@pytest.mark.parametrize(
    ("plus", "wanted", "n_found"),
    [
        ("ignored", "%2B15550100002", 1),
        ("ignored", "15550100002", 1),
        ("ignored", "+15550100002", 0),  # a plus sign that nobody encoded is a space
        ("finds_nothing", "%2B15550100002", 0),
        ("finds_nothing", "15550100002", 1),
        ("ignored", "555", 3),
        ("ignored", "abc", 0),
    ],
)
async def test_numbers_are_found_by_digits(
    autojump_clock: MockClock, plus: Any, wanted: str, n_found: int
) -> None:
    """Any part of the number will do; what a plus sign does is a setting."""
    settings = CarrierSettings(plus_in_number_filter=plus)
    async with open_pair(settings=settings) as (carrier, _):
        for last in "123":
            carrier.account.add_number(f"+1555010000{last}")
        _, reply = await ask(carrier, "GET", f"phone_numbers?filter[phone_number]={wanted}")
        assert reply["meta"]["total_results"] == n_found
        short = await refused(carrier, "GET", "phone_numbers?filter[phone_number]=55")
        assert short == (422, "10015", {"parameter": "filter[phone_number]"})


async def test_numbers_are_filtered_sorted_and_paged(autojump_clock: MockClock) -> None:
    """The newest first unless told otherwise; a page past the end is empty."""
    async with open_pair() as (carrier, _):
        for last in "3142":
            connection_id = carrier.connection_id if last in "12" else None
            status = "active" if last != "4" else "port-pending"
            carrier.account.add_number(
                f"+1555010000{last}", connection_id=connection_id, status=status, tags=[last]
            )

        async def lasts(query: str) -> str:
            _, reply = await ask(carrier, "GET", f"phone_numbers?{query}")
            return "".join(number["phone_number"][-1] for number in reply["data"])

        assert await lasts("") == "2413"
        assert await lasts("sort=phone_number") == "1234"
        assert await lasts("sort=-phone_number") == "4321"
        assert await lasts(f"filter[connection_id]={carrier.connection_id}") == "21"
        assert await lasts("filter[status]=port-pending") == "4"
        assert await lasts("filter[tag]=3") == "3"
        assert await lasts("filter[voice.connection_name][contains]=ready") == "21"
        assert await lasts("filter[unknown]=1") == "2413"
        assert await lasts("page[number]=2&page[size]=3") == "3"
        assert await lasts("page[number]=9") == ""
        _, reply = await ask(carrier, "GET", "phone_numbers?page[number]=2&page[size]=3")
    assert reply["meta"] == {
        "page_number": 2,
        "page_size": 3,
        "total_pages": 2,
        "total_results": 4,
    }


@pytest.mark.parametrize(
    ("query", "code", "parameter"),
    [
        ("sort=colour", "10032", "sort"),
        ("page[number]=0", "10033", "page[number]"),
        ("page[size]=251", "10033", "page[size]"),
        ("page[size]=x", "10033", "page[size]"),
    ],
)
async def test_list_that_cannot_be_made(
    autojump_clock: MockClock, query: str, code: str, parameter: str
) -> None:
    """422, and the source names the parameter."""
    async with open_pair() as (carrier, _):
        error = await refused(carrier, "GET", f"call_control_applications?{query}")
    assert error == (422, code, {"parameter": parameter})


async def test_faults_hit_the_account_too(autojump_clock: MockClock) -> None:
    """By method and path: refused, lost before, lost after it took effect, late."""
    async with open_pair() as (carrier, _):
        number = carrier.account.add_number(NUMBER)
        path = f"/phone_numbers/{number['id']}"
        faults = carrier.faults
        faults.fail(path, method="PATCH")
        faults.drop_connection(path, method="PATCH")
        faults.drop_connection(path, method="PATCH", after_effect=True)
        faults.delay_reply(path, 2, method="GET")
        faults.add(Fault("/v2/phone_numbers", "GET", response=Response(502, [], b"bad gateway")))
        transport = carrier.http_transport()
        headers = {"authorization": f"Bearer {carrier.api_key}"}
        async with httpx.AsyncClient(
            base_url=carrier.base_url, headers=headers, transport=transport
        ) as client:
            body = {"connection_id": carrier.connection_id}
            assert (await client.patch(path, json=body)).status_code == 500
            with pytest.raises(httpx.RemoteProtocolError):
                await client.patch(path, json=body)
            assert number["connection_id"] is None
            with pytest.raises(httpx.RemoteProtocolError):
                await client.patch(path, json=body)
            assert number["connection_id"] == carrier.connection_id
            before = trio.current_time()
            await client.get(path)
            assert trio.current_time() == pytest.approx(before + 2)
            assert (await client.get("/phone_numbers")).status_code == 502
        assert [request.status for request in carrier.requests] == [500, None, 200, 200, 502]


async def test_clock_that_is_wrong_shows_in_dates_and_signatures(
    autojump_clock: MockClock,
) -> None:
    """Replies and webhooks are of the same clock."""
    async with open_pair(settings=CarrierSettings(clock_skew=400)) as (carrier, server):
        application = await server.post("call_control_applications")
        await carrier.call_in(to=NUMBER)
        await server.wait_for_event("call.initiated")
        carrier.settings.clock_skew = 0
        true = parsedate_to_datetime((await server.post("calls")).headers["date"])
    told = parsedate_to_datetime(application.headers["date"])
    assert 395 <= (told - true).total_seconds() <= 400
    signed = int(dict(server.webhooks[0][0])[b"telnyx-timestamp"])
    assert abs(signed - told.timestamp()) <= 5


async def test_wrong_key_is_let_in_nowhere(autojump_clock: MockClock) -> None:
    """401 with 10009, before anything else is looked at."""
    async with open_pair() as (carrier, _):
        for path in ("phone_numbers", "verified_numbers/%2B1", "no_such_thing"):
            status, reply = await ask(carrier, "GET", path, key="KEY-wrong")
            assert (status, reply["errors"][0]["code"]) == (401, "10009")


async def test_live_calls_of_an_application(autojump_clock: MockClock) -> None:
    """Only its own, only while they live."""
    async with open_pair() as (carrier, server):
        server.answer_fields = None
        leg = await carrier.call_in(to=NUMBER)
        path = f"connections/{carrier.connection_id}/active_calls"
        _, reply = await ask(carrier, "GET", path)
        assert [call["call_control_id"] for call in reply["data"]] == [leg.names.call_control_id]
        await leg.hang_up()
        assert (await ask(carrier, "GET", path))[1]["data"] == []
        assert await refused(carrier, "GET", "connections/1/active_calls") == (404, "10005", None)
