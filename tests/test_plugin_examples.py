"""What users of the Vision Agents plugin know from its examples, and from its page.

First the tests of its examples' helpers, one for one, with a simulated account in place of a client
that remembers what it was told. Then the command lines, the settings and the names on its page.
"""

from __future__ import annotations

import base64
import inspect
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from example_world import FRIEND, OUR_NUMBER, environment, local, path_of
from forked_programs import run_program
from ports import reserved_port
from stream_peer import STOP, media_text, start_text
from trio.testing import MockClock

import telnyx_trio as telnyx
from telnyx_trio import (
    ConfigurationError,
    InvalidSignature,
    PreflightFailed,
    ServerConfig,
    TelnyxClient,
    open_client,
    open_temporary_setup,
    preflight,
    require_ready,
)
from telnyx_trio.provisioning import NGROK_API_URL
from telnyx_trio.testing import Carrier, Phone, memory_websocket_pair, open_carrier
from telnyx_trio.webhooks import WebhookVerifier

PRIVATE_KEY = Ed25519PrivateKey.generate()
PUBLIC_KEY = base64.b64encode(PRIVATE_KEY.public_key().public_bytes_raw()).decode()

SETTINGS = {
    "TELNYX_API_KEY": "key",
    "TELNYX_PUBLIC_KEY": PUBLIC_KEY,
    "TELNYX_CALL_CONTROL_APP_ID": "app-id",
    "TELNYX_PHONE_NUMBER": OUR_NUMBER,
    "NGROK_URL": "example.ngrok-free.app",
}
PUBLIC_URL = "https://example.ngrok-free.app"
EVENTS_URL = f"{PUBLIC_URL}/telnyx/events"


@asynccontextmanager
async def open_account() -> AsyncIterator[tuple[Carrier, TelnyxClient]]:
    """Open a carrier with a number of ours that is led elsewhere, and the client of its account."""
    async with open_carrier() as carrier:
        elsewhere = carrier.account.add_sip_connection("forward-only")
        carrier.account.add_number(OUR_NUMBER, connection_id=elsewhere)
        async with open_client(carrier.api_key, base_url=carrier.base_url) as client:
            yield carrier, client


async def check(client: TelnyxClient, carrier: Carrier, **changes: Any) -> None:
    """Check as the examples do before they go on."""
    arguments = {
        "connection_id": carrier.connection_id,
        "public_url": PUBLIC_URL,
        "phone_number": OUR_NUMBER,
        **changes,
    }
    require_ready(await preflight(client.account, **arguments))


# The helpers of its examples.


@pytest.mark.parametrize("scheme", ["", "https://", "http://"])
def test_urls_from_a_host_with_scheme_and_slash(scheme: str) -> None:
    """A tunnel is reached by https and wss, however its host was given."""
    environment = {**SETTINGS, "NGROK_URL": f"{scheme}example.ngrok-free.app/"}
    config = ServerConfig.from_environment(environment)
    assert config.public_url == PUBLIC_URL
    options = config.stream_options("token-1")
    assert options.stream_url == "wss://example.ngrok-free.app/telnyx/media/token-1"


def test_missing_settings_are_named() -> None:
    """One by one, as in the plugin, and all at once, as there."""
    with pytest.raises(ConfigurationError, match="TELNYX_API_KEY"):
        ServerConfig.from_environment({**SETTINGS, "TELNYX_API_KEY": ""})
    with pytest.raises(ConfigurationError) as caught:
        ServerConfig.from_environment({}, needed=["connection_id", "phone_number"])
    for name in SETTINGS:
        assert name in str(caught.value)


def test_settings_are_read_from_a_mapping() -> None:
    """The variables that the plugin reads, under the same names."""
    config = ServerConfig.from_environment(SETTINGS)
    assert config.api_key == "key"
    assert config.connection_id == "app-id"
    assert config.phone_number == OUR_NUMBER
    assert config.public_url == PUBLIC_URL


async def test_application_with_another_webhook_url() -> None:
    """It is told what was expected and what is there."""
    async with open_account() as (carrier, client):
        carrier.webhook_url = "https://old.example/telnyx/events"
        with pytest.raises(PreflightFailed, match="webhook URL") as caught:
            await check(client, carrier)
    assert EVENTS_URL in str(caught.value)
    assert "https://old.example/telnyx/events" in str(caught.value)


async def test_application_that_is_inactive() -> None:
    """No call comes to such an application."""
    async with open_account() as (carrier, client):
        carrier.account.applications[carrier.connection_id]["active"] = False
        with pytest.raises(PreflightFailed, match="inactive"):
            await check(client, carrier)


async def test_number_that_only_forwards() -> None:
    """A connection that is no Call Control application is not enough to be called."""
    async with open_account() as (carrier, client):
        carrier.webhook_url = EVENTS_URL
        with pytest.raises(PreflightFailed) as caught:
            await check(client, carrier, directions=["inbound"])
    (failure,) = caught.value.failures
    assert failure.name == "number's routing"
    assert failure.expected == f"to application {carrier.connection_id}"
    assert "forward-only" in failure.found


async def test_forwarding_connection_is_no_application() -> None:
    """Nor can its id stand for that of an application."""
    async with open_account() as (carrier, client):
        (elsewhere,) = carrier.account.sip_connections
        with pytest.raises(PreflightFailed, match="the id of a SIP connection is none"):
            await check(client, carrier, connection_id=elsewhere)


async def test_outbound_call_to_a_verified_number() -> None:
    """An application that fits and a verified destination are all that dialling takes."""
    async with open_account() as (carrier, client):
        carrier.webhook_url = EVENTS_URL
        outbound = {"to": FRIEND, "directions": ["outbound"]}
        with pytest.raises(PreflightFailed, match="not verified"):
            await check(client, carrier, **outbound)
        await check(client, carrier, **outbound, check_verified_destination=False)
        carrier.account.add_verified_number(FRIEND)
        await check(client, carrier, **outbound)


def sign(body: bytes, timestamp: str) -> dict[str, str]:
    signature = PRIVATE_KEY.sign(timestamp.encode() + b"|" + body)
    return {
        "Telnyx-Signature-Ed25519": base64.b64encode(signature).decode(),
        "Telnyx-Timestamp": timestamp,
    }


def test_webhooks_are_verified() -> None:
    """A fresh signature passes; none, a false one and a timestamp that is none do not."""
    verifier, now = WebhookVerifier(PUBLIC_KEY), time.time()
    body = b'{"data":{"event_type":"call.initiated"}}'
    signed = sign(body, str(int(now)))
    verifier.verify(signed, body, now=now)
    for changes in (
        {"Telnyx-Signature-Ed25519": "invalid"},
        {"Telnyx-Timestamp": "not-a-timestamp"},
        {"Telnyx-Timestamp": str(int(now) - 1)},
    ):
        with pytest.raises(InvalidSignature):
            verifier.verify({**signed, **changes}, body, now=now)
    with pytest.raises(InvalidSignature, match="missing"):
        verifier.verify({}, body, now=now)
    with pytest.raises(InvalidSignature, match="old"):
        verifier.verify(signed, body, now=now + 302)


@pytest.mark.parametrize("name", ["inbound_call", "outbound_call"])
async def test_an_application_or_the_flag_is_needed(name: str) -> None:
    """Without TELNYX_CALL_CONTROL_APP_ID, the way out is told."""
    settings = {**environment(), **SETTINGS, "TELNYX_CALL_CONTROL_APP_ID": ""}
    status, _, err = await run_program(path_of(name), environment=settings)
    assert status == 1
    assert b"TELNYX_CALL_CONTROL_APP_ID" in err
    assert b"--setup-telnyx" in err


async def test_temporary_application_to_dial_with() -> None:
    """It has our webhook URL and a profile; the number stays where it is; in the end it is gone."""
    async with open_account() as (carrier, client):
        applications = carrier.account.applications
        (number,) = carrier.account.numbers.values()
        before = number["connection_id"]
        async with open_temporary_setup(client, public_url=PUBLIC_URL) as setup:
            made = applications[setup.connection_id]
            assert made["webhook_event_url"] == EVENTS_URL
            assert made["outbound"]["outbound_voice_profile_id"] in carrier.account.profiles
            assert number["connection_id"] == before
        assert list(applications) == [carrier.connection_id]


async def test_number_is_routed_and_restored() -> None:
    """To be called, the number leads to the temporary application for that long."""
    async with open_account() as (carrier, client):
        (number,) = carrier.account.numbers.values()
        before = number["connection_id"]
        async with open_temporary_setup(
            client, public_url=PUBLIC_URL, phone_number=OUR_NUMBER
        ) as setup:
            assert number["connection_id"] == setup.connection_id
            await check(client, carrier, connection_id=setup.connection_id)
        assert number["connection_id"] == before
        assert list(carrier.account.applications) == [carrier.connection_id]


# Its page.


async def test_outbound_command_of_the_page() -> None:
    """The line of the page, with a local address for the tunnel."""
    async with open_carrier() as carrier:
        carrier.account.add_number("+15551234567")
        carrier.account.add_verified_number("+15557654321")
        carrier.phones["+15557654321"] = Phone(hang_up_at=0.3)
        flags = ["--setup-telnyx", "--from", "+15551234567", "--to", "+15557654321"]
        settings = environment(carrier)
        del settings["TELNYX_PHONE_NUMBER"], settings["TELNYX_CALL_CONTROL_APP_ID"]
        with reserved_port() as port:
            status, out, err = await run_program(
                path_of("outbound_call"), *flags, *local(port), environment=settings
            )
        assert status == 0, (out, err)
        (leg,) = carrier.legs
        (dialled,) = [request for request in carrier.requests if request.path == "/v2/calls"]
        assert (dialled.body["from"], dialled.body["to"]) == ("+15551234567", "+15557654321")
        assert leg.counters.packets_received > 0
        assert list(carrier.account.applications) == [carrier.connection_id]


async def test_flags_of_its_examples() -> None:
    """What its examples take, ours take; only --debug is asyncio's alone."""
    flags = """
        --setup-telnyx --call-control-app-id --ngrok-url --host --port --log-level --phone-number
        --phone-number-id --from --to --skip-verified-destination-check
    """
    status, out, _ = await run_program(path_of("outbound_call"), "--help")
    assert status == 0
    for flag in flags.split():
        assert flag in out.decode()


def test_ngrok_is_asked_where_the_plugin_asks() -> None:
    """At the address that ngrok's agent has unless told otherwise."""
    assert NGROK_API_URL == "http://127.0.0.1:4040/api/tunnels"


def test_fields_of_a_call() -> None:
    """The fields and properties that the page lists, to be read and, where it matters, set."""
    call = telnyx.CallRegistry().create("v2:abc123", webhook_data={"data": {"payload": {}}})
    fields = """
        call_control_id token webhook_data telnyx_stream stream_call started_at ended_at
        from_number to_number call_status
    """
    assert all(hasattr(call, name) for name in fields.split())
    call.stream_call = stream_call = object()
    assert call.stream_call is stream_call


def test_registry_of_the_page() -> None:
    """Every line of its block."""
    registry = telnyx.CallRegistry()
    webhook_data = {"data": {"payload": {"from": "+15551234567"}}}
    call = registry.create("v2:abc123", webhook_data=webhook_data)
    assert registry.get("v2:abc123") is registry.require("v2:abc123") is call
    with pytest.raises(ValueError, match="unknown call_control_id"):
        registry.require("v2:other")
    with pytest.raises(ValueError, match="wrong"):
        registry.validate("v2:abc123", "another token")
    assert registry.validate("v2:abc123", call.token) is call
    assert registry.list_active() == [call]
    assert registry.remove("v2:abc123") is call
    assert call.ended_at is not None
    assert registry.list_active() == []
    assert registry.remove("v2:abc123") is None


def test_signatures_of_the_audio_functions() -> None:
    """The encoders and decoders take what the plugin's take."""
    assert (telnyx.TELNYX_DEFAULT_SAMPLE_RATE, telnyx.TELNYX_L16_SAMPLE_RATE) == (8000, 16000)
    for encoding, sample_rate in (("PCMU", 8000), ("PCMA", 8000), ("L16", 16000)):
        pcm = telnyx.telnyx_payload_to_pcm(bytes(320), encoding, sample_rate=sample_rate)
        assert pcm.sample_rate == sample_rate
        payload = telnyx.pcm_to_telnyx_payload(pcm, encoding, sample_rate=sample_rate)
        assert payload == bytes(320)


# The media endpoint of its inbound example.


async def test_media_endpoint_of_its_example(autojump_clock: MockClock) -> None:
    """Registered under an id of one's own, prepared while it is answered, admitted by its token."""

    async def prepare_call() -> str:
        await trio.sleep(0.5)
        return "agent"

    heard = []
    async with telnyx.CallRegistry() as registry:
        call_id = "b6f1c4a2"
        call = registry.create(call_id, webhook_data={}, prepare=prepare_call)
        far_end, websocket = memory_websocket_pair()

        async def media_stream(token: str) -> None:
            admitted = registry.validate(call_id, token)
            stream = telnyx.TelnyxMediaStream(websocket)
            await stream.accept()
            admitted.telnyx_stream = stream
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.run)
                heard.append(await admitted.await_prepare())
                with trio.fail_after(10):
                    await stream.wait_started()
                heard.extend([pcm.duration async for pcm in stream.audio_track])
            registry.remove(call_id)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(media_stream, call.token)
            await far_end.send_text(start_text())
            await far_end.send_text(media_text())
            await trio.sleep(1)
            await far_end.send_text(STOP)
        assert heard == ["agent", 0.02]
        assert len(registry) == 0


async def test_stream_that_does_not_start(autojump_clock: MockClock) -> None:
    """Its example waits 10 s for ``start`` by itself; here the stream gives up in the same time."""
    assert inspect.signature(telnyx.MediaStream).parameters["start_timeout"].default == 10
    _, websocket = memory_websocket_pair()
    stream = telnyx.MediaStream(websocket)
    await stream.accept()
    started = trio.current_time()
    with pytest.raises(telnyx.MediaTimeout):
        await stream.run()
    assert trio.current_time() - started == pytest.approx(10)
