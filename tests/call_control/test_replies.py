"""What Telnyx's answers mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from telnyx.types.call_dial_response import Data as SdkDialReply
from telnyx.types.call_retrieve_status_response import Data as SdkCallStatus

from telnyx_trio._errors import (
    ApiError,
    AuthenticationFailed,
    CallAlreadyEnded,
    CallControlError,
    CallControlRefused,
    RateLimited,
    ResourceNotFound,
)
from telnyx_trio.call_control import CallStatus, DialReply
from telnyx_trio.call_control._replies import (
    read_call_status,
    read_data,
    read_dial_reply,
    read_refusal,
)


def refusal(
    status: int,
    body: bytes = b"",
    *,
    is_about_call: bool = True,
    headers: Mapping[str, str] | None = None,
) -> CallControlRefused:
    return read_refusal("hangup", status, headers or {}, body, is_about_call=is_about_call)


def errors(*entries: object) -> bytes:
    return json.dumps({"errors": entries}).encode()


def test_dial_reply() -> None:
    """The ids of the new leg are read."""
    data = SdkDialReply(
        call_control_id="v3:abc",
        call_leg_id="leg",
        call_session_id="session",
        is_alive=False,
        record_type="call",
        client_state="aWQ9NDI=",
    ).to_dict()
    assert read_dial_reply(data) == DialReply(
        call_control_id="v3:abc",
        call_leg_id="leg",
        call_session_id="session",
        is_alive=False,
        client_state="aWQ9NDI=",
    )


def test_call_status() -> None:
    """The state of a call is read, its times aware."""
    data = SdkCallStatus(
        call_control_id="v3:abc",
        call_leg_id="leg",
        call_session_id="session",
        is_alive=True,
        record_type="call",
        call_duration=7,
        start_time="2026-01-01T00:00:00.000000Z",
    ).to_dict()
    assert read_call_status(data) == CallStatus(
        call_control_id="v3:abc",
        call_leg_id="leg",
        call_session_id="session",
        is_alive=True,
        call_duration=7.0,
        start_time=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize("data", [{}, {"call_control_id": None}, {"call_control_id": 5}])
def test_reply_that_names_no_call(data: dict[str, object]) -> None:
    """Without an id there is nothing to hold on to."""
    with pytest.raises(CallControlError, match="no call_control_id"):
        read_dial_reply(data)


def test_null_fields_of_a_reply() -> None:
    """All but the id may be null."""
    names = ["call_leg_id", "call_session_id", "is_alive", "client_state", "recording_id"]
    data = {"call_control_id": "v3:abc"} | dict.fromkeys(names)
    assert read_dial_reply(data) == DialReply(call_control_id="v3:abc")


@pytest.mark.parametrize("body", [b'{"data":{}}', b'{"data":null}', b"{}"])
def test_empty_data(body: bytes) -> None:
    """A reply that says nothing is an empty one."""
    assert read_data("hangup", 200, body) == {}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "not JSON"),
        (b"<html>SECRET", "not JSON"),
        (b'"\xff"', "not JSON"),
        (b"[]", "no data object"),
        (b'{"data":[]}', "no data object"),
    ],
)
def test_success_that_cannot_be_read(body: bytes, problem: str) -> None:
    """A success in another shape is an error, and is not quoted."""
    with pytest.raises(CallControlError, match=f"hangup: the HTTP 200 reply .*{problem}") as caught:
        read_data("hangup", 200, body)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "10009", AuthenticationFailed),
        (403, "10010", AuthenticationFailed),
        (404, "10005", CallAlreadyEnded),
        (422, "90018", CallAlreadyEnded),
        (422, "90034", CallControlRefused),
        (429, "10011", RateLimited),
        (500, "10007", CallControlRefused),
        (302, "", CallControlRefused),
    ],
)
def test_class_of_refusal(status: int, code: str, error: type[CallControlRefused]) -> None:
    """Refusals that need another reaction have a class of their own."""
    refused = refusal(status, errors({"code": code, "title": "T", "detail": "D"}))
    assert type(refused) is error
    assert refused.status == status
    assert (refused.code, refused.title, refused.detail) == (code, "T", "D")


def test_404_without_a_call() -> None:
    """404 for something that names no call does not say that a call has ended."""
    assert type(refusal(404, is_about_call=False)) is ResourceNotFound


def test_ended_code_among_others() -> None:
    """90018 counts wherever it stands, and as a number."""
    assert isinstance(refusal(422, errors({"code": "1"}, {"code": 90018})), CallAlreadyEnded)


@pytest.mark.parametrize("source", [{"pointer": "/to"}, {"parameter": "/to"}])
def test_place_of_an_error(source: dict[str, str]) -> None:
    """The field that an error is about is kept."""
    refused = refusal(422, errors({"code": "10015", "source": source}))
    assert refused.errors == (ApiError("10015", pointer="/to"),)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"errors":null}', b'{"errors":[null,5]}', b"[" * 99_999],
)
def test_refusal_in_another_shape(body: bytes) -> None:
    """An error body that is not Telnyx's leaves the status to tell."""
    refused = refusal(502, body)
    assert refused.errors == ()
    assert str(refused) == "hangup refused with HTTP 502"


def test_secrets_are_cut_out() -> None:
    """What Telnyx quotes of our request loses its secrets."""
    refused = read_refusal(
        "dial",
        422,
        {},
        errors({"code": "1", "title": "bad /m/SECRET", "detail": "wss://h/m/SECRET of KEY"}),
        is_about_call=False,
        secrets=["/m/SECRET", "wss://h/m/SECRET", "KEY"],
    )
    assert refused.title == "bad ..."
    assert refused.detail == "... of ..."


def test_errors_are_bounded() -> None:
    """A flood of errors is cut in number and length."""
    refused = refusal(422, errors(*[{"code": "1", "detail": "x" * 10_000}] * 1000))
    assert len(refused.errors) == 10
    assert len(refused.detail) == 500


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"x-ratelimit-reset": "1.5"}, 1.5),
        ({"retry-after": "2", "x-ratelimit-reset": "9"}, 2.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT", "x-ratelimit-reset": "9"}, 9.0),
        ({"x-ratelimit-reset": "-1"}, None),
        ({"x-ratelimit-reset": "nan"}, None),
        ({"x-ratelimit-reset": "inf"}, None),
    ],
)
def test_wait_asked_for(headers: dict[str, str], expected: float | None) -> None:
    """The wait is read from either header; what is no wait is ignored."""
    refused = refusal(429, headers=headers)
    assert isinstance(refused, RateLimited)
    assert refused.retry_after == expected
