from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from server_world import World, listen_to_end, open_world
from trio.testing import MockClock

from telnyx_trio import ConfigurationError, ServerConfig, open_server
from telnyx_trio.testing import Phone

Headers = list[tuple[bytes, bytes]]

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()


def sign(body: bytes, at: float | None = None) -> Headers:
    timestamp = str(int(time.time() if at is None else at)).encode()
    signature = base64.b64encode(KEY.sign(timestamp + b"|" + body))
    return [(b"telnyx-timestamp", timestamp), (b"telnyx-signature-ed25519", signature)]


def initiated(call_control_id: Any = "v3:x", **fields: Any) -> bytes:
    payload = {"call_control_id": call_control_id, "direction": "incoming", **fields}
    return json.dumps(
        {"data": {"event_type": "call.initiated", "id": "e", "payload": payload}}
    ).encode()


async def assert_refused(world: World, headers: Headers, body: bytes, status: int) -> None:
    assert await world.server.handle_webhook(headers, body) == status
    await trio.sleep(1)
    assert world.carrier.requests == []
    assert world.server.statistics().refused_webhooks == 1
    assert world.server.statistics().inbound_calls == 0


async def test_forged_signature_is_refused(autojump_clock: MockClock) -> None:
    """A webhook that Telnyx did not sign is 403, and nothing is started."""
    async with open_world(listen_to_end) as world:
        await assert_refused(world, sign(initiated()), initiated(), 403)


async def test_no_signature_is_refused(autojump_clock: MockClock) -> None:
    """A webhook without signature is 403."""
    async with open_world(listen_to_end, public_key=PUBLIC_KEY) as world:
        await assert_refused(world, [], initiated(), 403)


async def test_old_signature_is_refused(autojump_clock: MockClock) -> None:
    """A webhook recorded ten minutes ago is 403."""
    async with open_world(listen_to_end, public_key=PUBLIC_KEY) as world:
        headers = sign(initiated(), time.time() - 600)
        await assert_refused(world, headers, initiated(), 403)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"data": null}', b"\xff", b"[" * 5000])
async def test_signed_nonsense_is_refused(autojump_clock: MockClock, body: bytes) -> None:
    """A signed body that is no event is 400."""
    async with open_world(listen_to_end, public_key=PUBLIC_KEY) as world:
        await assert_refused(world, sign(body), body, 400)


async def test_large_body_is_refused_unread(autojump_clock: MockClock) -> None:
    """A body over 1 MiB is 413, whoever signed it."""
    async with open_world(listen_to_end, public_key=PUBLIC_KEY) as world:
        body = b"x" * (1024 * 1024 + 1)
        await assert_refused(world, sign(body), body, 413)


@pytest.mark.parametrize("call_control_id", [None, "", {"a": 1}])
async def test_call_without_a_name_is_ignored(
    autojump_clock: MockClock, call_control_id: Any
) -> None:
    """A call that can't be named in commands can't be answered; the server lives on."""
    async with open_world(listen_to_end, public_key=PUBLIC_KEY) as world:
        body = initiated(call_control_id)
        assert await world.server.handle_webhook(sign(body), body) in (200, 400)
        await trio.sleep(1)
        assert world.carrier.requests == []


async def test_acknowledged_before_acted_on(autojump_clock: MockClock) -> None:
    """200 comes at once, whatever the handling of the call takes."""
    async with open_world(listen_to_end) as world:
        world.carrier.settings.rest_latency = 5
        await world.call_in(phone=Phone(hang_up_at=1))
        await trio.sleep(0.01)
        delivery = world.carrier.webhook_deliveries[0]
        assert (delivery.event_type, delivery.status, delivery.attempt) == (
            "call.initiated",
            200,
            1,
        )


async def test_bad_public_key_fails_at_start(autojump_clock: MockClock) -> None:
    """A public key that is none is told when the server opens, not with each webhook."""
    with pytest.raises(ConfigurationError):
        async with open_server(ServerConfig(api_key="KEY", public_key="not a key", port=0)):
            pytest.fail("entered")  # pragma: no cover


async def test_closed_server_acts_on_nothing(autojump_clock: MockClock) -> None:
    """Webhooks that come after the end are 503, so that Telnyx tries again elsewhere."""
    async with open_world(listen_to_end, public_key=PUBLIC_KEY) as world:
        server = world.server
    assert await server.handle_webhook(sign(initiated()), initiated()) == 503
