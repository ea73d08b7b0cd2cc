"""TelnyxClient: what is sent for each method, and what its answer becomes."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from telnyx_trio._errors import (
    AuthenticationFailed,
    CallAlreadyEnded,
    CallControlError,
    CallControlRefused,
    ConfigurationError,
    LocalProtocolError,
    RateLimited,
    ResourceNotFound,
)
from telnyx_trio.call_control import DialReply, StreamOptions, TelnyxClient, open_client

API_KEY = "KEY-SECRET"
BASE_URL = "https://telnyx.example/v2"
STREAM = StreamOptions(stream_url="wss://voice.example.com/telnyx/media/TOKEN", auth_token="AUTH")
ENDED = {"errors": [{"code": "90018", "title": "Call has already ended"}]}
CALL = {"call_control_id": "v3:abc", "call_leg_id": "leg", "call_session_id": "session"}


class FakeTelnyx(httpx.AsyncBaseTransport):
    """Answers with what it was given, the last for ever, and keeps what was asked."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.answers = list(answers) or [ok({"result": "ok"})]
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @property
    def body(self) -> dict[str, Any]:
        body = json.loads(self.requests[-1].content)
        assert isinstance(body, dict)
        return body

    @property
    def path(self) -> str:
        return self.requests[-1].url.raw_path.decode()


def ok(data: object) -> httpx.Response:
    return httpx.Response(200, json={"data": data})


async def hang_up(client: TelnyxClient) -> None:
    await client.hangup("v3:abc")


async def dial(client: TelnyxClient, **changes: Any) -> DialReply:
    arguments = {"to": "+15550100001", "from_": "+15550100002", "connection_id": "7"}
    return await client.dial(**(arguments | changes))


async def test_dial() -> None:
    """Dial posts to /calls with the key, and returns the ids of the new leg."""
    telnyx = FakeTelnyx(ok(CALL))
    async with open_client(API_KEY, base_url=BASE_URL, transport=telnyx) as client:
        reply = await dial(client, stream=STREAM, timeout_secs=20, send_silence_when_idle=True)
    assert reply.call_control_id == "v3:abc"
    assert telnyx.requests[0].method == "POST"
    assert str(telnyx.requests[0].url) == "https://telnyx.example/v2/calls"
    assert telnyx.requests[0].headers["authorization"] == f"Bearer {API_KEY}"
    assert telnyx.body["from"] == "+15550100002"
    assert telnyx.body["stream_auth_token"] == "AUTH"
    assert telnyx.body["send_silence_when_idle"] is True


Act = Callable[[TelnyxClient], Awaitable[object]]
PCMU = StreamOptions(stream_url="wss://voice.example.com/")


@pytest.mark.parametrize(
    ("act", "action", "expected"),
    [
        (lambda c: c.answer("v3:abc"), "answer", {}),
        (
            lambda c: c.answer("v3:abc", stream=PCMU, send_silence_when_idle=True),
            "answer",
            PCMU.fields_for("answer") | {"send_silence_when_idle": True},
        ),
        (lambda c: c.hangup("v3:abc", reason="done"), "hangup", {"reason": "done"}),
        (lambda c: c.reject("v3:abc", "USER_BUSY"), "reject", {"cause": "USER_BUSY"}),
        (
            lambda c: c.streaming_start("v3:abc", STREAM),
            "streaming_start",
            STREAM.fields_for("streaming_start"),
        ),
        (lambda c: c.streaming_stop("v3:abc"), "streaming_stop", {}),
        (lambda c: c.streaming_stop("v3:abc", "s-1"), "streaming_stop", {"stream_id": "s-1"}),
        (
            lambda c: c.send_dtmf("v3:abc", "12#", duration_millis=100),
            "send_dtmf",
            {"digits": "12#", "duration_millis": 100},
        ),
        (
            lambda c: c.command("v3:abc", "transfer", to="+15550100003", from_="+1555"),
            "transfer",
            {"to": "+15550100003", "from": "+1555"},
        ),
    ],
)
async def test_command(act: Act, action: str, expected: dict[str, object]) -> None:
    """Each command goes to its path with its fields and a new command_id."""
    telnyx = FakeTelnyx()
    async with open_client(API_KEY, base_url=BASE_URL, transport=telnyx) as client:
        await act(client)
    assert telnyx.path == f"/v2/calls/v3%3Aabc/actions/{action}"
    body = telnyx.body
    assert uuid.UUID(body.pop("command_id")).version == 4
    assert body == expected


async def test_command_returns_data() -> None:
    """The general command gives what Telnyx replied."""
    async with open_client(API_KEY, base_url=BASE_URL, transport=FakeTelnyx()) as client:
        assert await client.command("v3:abc", "record_stop") == {"result": "ok"}


async def test_command_id_and_client_state_as_given() -> None:
    """Both can be chosen by the caller."""
    telnyx = FakeTelnyx()
    async with open_client(API_KEY, base_url=BASE_URL, transport=telnyx) as client:
        await client.answer("v3:abc", command_id="mine", client_state="aWQ9NDI=")
    assert telnyx.body == {"command_id": "mine", "client_state": "aWQ9NDI="}


async def test_get_call() -> None:
    """The state of a call is read by GET."""
    telnyx = FakeTelnyx(ok(CALL | {"is_alive": True}))
    async with open_client(API_KEY, base_url=BASE_URL, transport=telnyx) as client:
        status = await client.get_call("v3:abc")
    assert status.is_alive
    assert (telnyx.requests[0].method, telnyx.path) == ("GET", "/v2/calls/v3%3Aabc")
    assert telnyx.requests[0].content == b""


async def test_strange_id_stays_one_part_of_the_path() -> None:
    """An id arrives percent-encoded once, whatever it holds."""
    telnyx = FakeTelnyx()
    async with open_client(API_KEY, base_url=BASE_URL, transport=telnyx) as client:
        await client.hangup("v3:a/../b?c#d%20")
    assert telnyx.path == "/v2/calls/v3%3Aa%2F..%2Fb%3Fc%23d%2520/actions/hangup"


@pytest.mark.parametrize(
    "answer", [httpx.Response(422, json=ENDED), httpx.Response(404), httpx.Response(404, json={})]
)
async def test_hangup_of_an_ended_call_succeeds(answer: httpx.Response) -> None:
    """A call that is over already is what a hangup wants."""
    telnyx = FakeTelnyx(answer)
    async with open_client(API_KEY, base_url=BASE_URL, transport=telnyx) as client:
        await client.hangup("v3:abc")
    assert len(telnyx.requests) == 1


async def test_hangup_that_is_refused_for_another_reason() -> None:
    """Other refusals of a hangup are not swallowed."""
    telnyx = FakeTelnyx(httpx.Response(422, json={"errors": [{"code": "90015"}]}))
    async with open_client(API_KEY, base_url=BASE_URL, transport=telnyx) as client:
        with pytest.raises(CallControlRefused, match="90015"):
            await client.hangup("v3:abc")


async def test_other_commands_on_an_ended_call_fail() -> None:
    """Only for a hangup the end of the call is good news."""
    telnyx = FakeTelnyx(httpx.Response(422, json=ENDED))
    async with open_client(API_KEY, base_url=BASE_URL, transport=telnyx) as client:
        with pytest.raises(CallAlreadyEnded):
            await client.answer("v3:abc")


async def test_dial_404_is_no_ended_call() -> None:
    """404 for a dial is about the request, for there is no call yet."""
    telnyx = FakeTelnyx(httpx.Response(404))
    async with open_client(API_KEY, base_url=BASE_URL, transport=telnyx) as client:
        with pytest.raises(CallControlRefused) as caught:
            await dial(client)
    assert type(caught.value) is ResourceNotFound


async def test_nothing_is_sent_for_a_wrong_value() -> None:
    """What Telnyx would refuse or ignore does not leave the house."""
    telnyx = FakeTelnyx()
    async with open_client(API_KEY, base_url=BASE_URL, transport=telnyx) as client:
        with pytest.raises(LocalProtocolError):
            await client.answer("v3:abc", stream=STREAM)
    assert telnyx.requests == []


async def test_same_command_id_when_sent_again(autojump_clock: MockClock) -> None:
    """A repetition carries the id of the first, so that Telnyx can tell."""
    telnyx = FakeTelnyx(httpx.Response(503), httpx.Response(500), ok({"result": "ok"}))
    async with open_client(API_KEY, base_url=BASE_URL, transport=telnyx) as client:
        await client.answer("v3:abc")
    assert len({request.content for request in telnyx.requests}) == 1
    assert len(telnyx.requests) == 3
    assert trio.current_time() == 1.5


async def test_dial_is_not_sent_again_after_a_server_error() -> None:
    """A dial that may have been taken is not repeated: two phones could ring."""
    telnyx = FakeTelnyx(httpx.Response(503))
    async with open_client(API_KEY, base_url=BASE_URL, transport=telnyx) as client:
        with pytest.raises(CallControlRefused, match="503"):
            await dial(client)
    assert len(telnyx.requests) == 1


async def test_dial_is_sent_again_after_429(autojump_clock: MockClock) -> None:
    """A dial that was refused for its rate goes out again when Telnyx says so."""
    limited = httpx.Response(429, headers={"x-ratelimit-reset": "3"})
    telnyx = FakeTelnyx(limited, ok(CALL))
    async with open_client(API_KEY, base_url=BASE_URL, transport=telnyx) as client:
        assert (await dial(client)).call_control_id == "v3:abc"
    assert trio.current_time() == 3.0


async def test_rate_limit_for_ever(autojump_clock: MockClock) -> None:
    """After four attempts the limit is told, with the wait that Telnyx asked for."""
    telnyx = FakeTelnyx(httpx.Response(429, headers={"retry-after": "1"}))
    async with open_client(API_KEY, base_url=BASE_URL, transport=telnyx) as client:
        with pytest.raises(RateLimited) as caught:
            await client.answer("v3:abc")
    assert caught.value.retry_after == 1.0
    assert len(telnyx.requests) == 4


@pytest.mark.parametrize("answer", [httpx.Response(200, text="<html>"), httpx.Response(204)])
async def test_success_that_is_not_json(answer: httpx.Response) -> None:
    """A success that cannot be read is an error of Call Control, not of a parser."""
    async with open_client(API_KEY, base_url=BASE_URL, transport=FakeTelnyx(answer)) as client:
        with pytest.raises(CallControlError, match="not JSON"):
            await client.answer("v3:abc")


async def test_dial_reply_without_id() -> None:
    """A reply that names no call is an error."""
    async with open_client(API_KEY, base_url=BASE_URL, transport=FakeTelnyx(ok({}))) as client:
        with pytest.raises(CallControlError, match="no call_control_id"):
            await dial(client)


async def test_secrets_do_not_come_out(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    """Key and media tokens are in no log, repr or exception, though Telnyx quotes them."""
    caplog.set_level(logging.DEBUG)
    quoted = f"key {API_KEY}, url {STREAM.stream_url}, token AUTH, path /telnyx/media/TOKEN"
    body = {"errors": [{"code": "10009", "title": quoted, "detail": quoted}]}
    telnyx = FakeTelnyx(httpx.Response(500, json=body), httpx.Response(401, json=body))
    async with open_client(API_KEY, base_url=BASE_URL, transport=telnyx) as client:
        with pytest.raises(AuthenticationFailed) as caught:
            await client.streaming_start("v3:abc", STREAM)
    assert "again in" in caplog.text
    shown = [caplog.text, repr(client), str(caught.value), repr(caught.value), caught.value.detail]
    for text in shown:
        for secret in (API_KEY, "AUTH", "TOKEN"):
            assert secret not in text


@pytest.mark.parametrize("act", [hang_up, dial, lambda c: c.get_call("v3:abc")])
async def test_methods_are_checkpoints(act: Act) -> None:
    """Each method gives way to other tasks and can be cancelled, however fast the answer."""
    async with open_client(API_KEY, base_url=BASE_URL, transport=FakeTelnyx(ok(CALL))) as client:
        with trio.testing.assert_checkpoints():
            await act(client)


async def test_cancelled_while_waiting_to_send_again() -> None:
    """A cancelled command is not sent again."""
    telnyx = FakeTelnyx(httpx.Response(503))
    async with open_client(API_KEY, base_url=BASE_URL, transport=telnyx) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hang_up, client)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    assert len(telnyx.requests) == 1


async def test_key_and_url_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments the settings are those of Telnyx's own SDK."""
    monkeypatch.setenv("TELNYX_API_KEY", f"{API_KEY}\n")
    monkeypatch.setenv("TELNYX_BASE_URL", "http://127.0.0.1:8080/v2/")
    telnyx = FakeTelnyx()
    async with open_client(transport=telnyx) as client:
        await client.hangup("v3:abc")
    assert str(telnyx.requests[0].url) == ("http://127.0.0.1:8080/v2/calls/v3%3Aabc/actions/hangup")
    assert telnyx.requests[0].headers["authorization"] == f"Bearer {API_KEY}"


async def test_default_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a setting it is Telnyx itself."""
    monkeypatch.delenv("TELNYX_BASE_URL", raising=False)
    telnyx = FakeTelnyx()
    async with open_client(API_KEY, transport=telnyx) as client:
        await client.hangup("v3:abc")
        assert repr(client) == "<TelnyxClient https://api.telnyx.com/...>"
    assert telnyx.requests[0].url.host == "api.telnyx.com"


async def test_missing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key the error says which setting to make."""
    monkeypatch.delenv("TELNYX_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="set TELNYX_API_KEY"):
        async with open_client():
            pass


@pytest.mark.parametrize("key", ["KEY SECRET", "KEY\nSECRET", "KEY\x00SECRET", "KÉYSECRET"])
async def test_impossible_key(key: str) -> None:
    """A key that no header can carry is refused, and not shown."""
    with pytest.raises(ConfigurationError, match="characters that no key has") as caught:
        async with open_client(key):
            pass
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "telnyx.example/v2",
        "ftp://telnyx.example",
        "https://",
        "https://[x",
        "https://h/v2?a=b",
        "https://h:99999/v2",
    ],
)
async def test_impossible_url(url: str) -> None:
    """A base URL that cannot be one is refused together with whatever else is wrong."""
    with pytest.raises(ConfigurationError, match="TELNYX_BASE_URL") as caught:
        async with open_client("K EY", base_url=url):
            pass
    assert len(caught.value.problems) == 2
