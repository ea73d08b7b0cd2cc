from __future__ import annotations

import base64
import json
import time

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from testing.echo_server import open_pair
from trio.testing import MockClock

from telnyx_trio.testing import CarrierSettings, Phone
from telnyx_trio.testing._settings import StreamingEventStyle


async def test_envelope_is_telnyx_own(autojump_clock: MockClock) -> None:
    """Data with record_type, id, type, date and payload; meta with attempt and target."""
    async with open_pair() as (carrier, server):
        leg = await carrier.call_in(to="+15550100002")
        await leg.wait_answered()
        body = json.loads(server.webhooks[0][1])
    assert set(body["data"]) == {"record_type", "event_type", "id", "occurred_at", "payload"}
    assert body["data"]["record_type"] == "event"
    assert body["meta"] == {"attempt": 1, "delivered_to": carrier.webhook_url}
    payload = body["data"]["payload"]
    assert payload["call_control_id"] == leg.names.call_control_id
    assert payload["direction"] == "incoming"
    assert (payload["from"], payload["to"]) == ("+15550100001", "+15550100002")


async def test_signature_covers_timestamp_and_raw_body(autojump_clock: MockClock) -> None:
    """Ed25519 over timestamp, a bar and the bytes; the timestamp is the wall clock's."""
    async with open_pair() as (carrier, server):
        await carrier.call_in(to="+15550100002")
        await server.wait_for_event("call.initiated")
        raw_headers, body = server.webhooks[0]
    headers = dict(raw_headers)
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(carrier.public_key))
    timestamp = headers[b"telnyx-timestamp"]
    signature = base64.b64decode(headers[b"telnyx-signature-ed25519"])
    key.verify(signature, timestamp + b"|" + body)
    assert abs(int(timestamp) - time.time()) < 5
    assert headers[b"user-agent"] == b"telnyx-webhooks"


async def test_unacknowledged_webhook_is_retried(autojump_clock: MockClock) -> None:
    """The same event id comes again with the next attempt number, three times in all."""
    async with open_pair() as (carrier, server):
        server.webhook_status = 500
        await carrier.call_in(to="+15550100002")
        await trio.sleep(10)
        tries = [try_ for try_ in carrier.webhook_deliveries if try_.event_type == "call.initiated"]
        bodies = [json.loads(body) for _, body in server.webhooks]
    assert [try_.attempt for try_ in tries] == [1, 2, 3]
    assert len({try_.event_id for try_ in tries}) == 1
    assert {1, 2, 3} <= {body["meta"]["attempt"] for body in bodies}


async def test_slow_acknowledgement_counts_as_none(autojump_clock: MockClock) -> None:
    """Two seconds without an answer bring a retry."""
    async with open_pair() as (carrier, server):
        server.answer_fields = None
        server.webhook_delay = 3
        await carrier.call_in(to="+15550100002")
        await trio.sleep(2.6)
        server.webhook_delay = 0
        await trio.sleep(5)
        statuses = [delivery.status for delivery in carrier.webhook_deliveries]
    assert statuses == [None, None, 200]


async def test_events_do_not_wait_for_one_another(autojump_clock: MockClock) -> None:
    """Deliveries run at the same time, so a slow server may get the hangup before it is done."""
    async with open_pair() as (carrier, server):
        server.answer_fields = None
        server.webhook_delay = 1
        await carrier.call_in(to="+15550100002", phone=Phone(hang_up_after=0.1))
        await trio.sleep(0.2)
        assert server.event_types == ["call.initiated", "call.hangup"]


async def test_copies_have_the_same_id(autojump_clock: MockClock) -> None:
    """A duplicated event is the same event."""
    async with open_pair(settings=CarrierSettings(webhook_copies=2)) as (carrier, server):
        server.answer_fields = None
        await carrier.call_in(to="+15550100002")
        await trio.sleep(1)
        ids = [json.loads(body)["data"]["id"] for _, body in server.webhooks]
    assert len(ids) == 2
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    "style", ["streaming.started", "call.streaming.started", "streaming_started"]
)
async def test_streaming_events_are_spelled_as_set(
    autojump_clock: MockClock, style: StreamingEventStyle
) -> None:
    """All three spellings from the field can be had."""
    settings = CarrierSettings(streaming_event_style=style)
    async with open_pair(settings=settings) as (carrier, server):
        await carrier.call_in(to="+15550100002")
        payload = await server.wait_for_event(style)
    assert payload["stream_url"] == server.stream_url


async def test_webhook_can_come_before_the_reply(autojump_clock: MockClock) -> None:
    """A dial's call.initiated is delivered before the dial is answered."""
    settings = CarrierSettings(webhook_before_reply=True)
    async with open_pair(settings=settings) as (carrier, server):
        fields = {"to": "+15550100003", "from": "+15550100002"}
        await server.post("calls", connection_id=carrier.connection_id, **fields)
        assert "call.initiated" in server.event_types


async def test_dial_can_name_its_own_webhook_url(autojump_clock: MockClock) -> None:
    """webhook_url of a command holds for its leg."""
    async with open_pair() as (carrier, server):
        url = "http://elsewhere.invalid/hook"
        fields = {"to": "+15550100003", "from": "+15550100002", "webhook_url": url}
        await server.post("calls", connection_id=carrier.connection_id, **fields)
        await server.wait_for_event("call.answered")
        targets = {json.loads(body)["meta"]["delivered_to"] for _, body in server.webhooks}
    assert targets == {url}
