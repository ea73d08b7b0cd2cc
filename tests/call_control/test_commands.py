"""Commands as values."""

from __future__ import annotations

import typing
from collections.abc import Callable

import pytest
from telnyx.types.call_dial_params import CallDialParams
from telnyx.types.calls.action_answer_params import ActionAnswerParams
from telnyx.types.calls.action_hangup_params import ActionHangupParams
from telnyx.types.calls.action_reject_params import ActionRejectParams
from telnyx.types.calls.action_send_dtmf_params import ActionSendDtmfParams
from telnyx.types.calls.action_start_streaming_params import ActionStartStreamingParams
from telnyx.types.calls.action_stop_streaming_params import ActionStopStreamingParams

from telnyx_trio._errors import LocalProtocolError
from telnyx_trio.call_control import RejectCause, StreamOptions
from telnyx_trio.call_control._commands import (
    Command,
    action_command,
    answer_command,
    call_path,
    client_state_update_command,
    dial_command,
    reject_command,
    send_dtmf_command,
    streaming_start_command,
)

STREAM = StreamOptions(stream_url="wss://voice.example.com/telnyx/media/SECRET")
FULL_STREAM = StreamOptions(
    stream_url="wss://voice.example.com/telnyx/media/SECRET",
    stream_codec="L16",
    bidirectional_codec="L16",
    auth_token="TOKEN",
)


def dial(**changes: typing.Any) -> Command:
    arguments = {
        "to": "+15550100001",
        "from_": "+15550100002",
        "connection_id": "7",
        "command_id": "c-1",
    }
    return dial_command(**(arguments | changes))


def test_dial() -> None:
    """Dial posts Telnyx's names, and nothing that was not asked for."""
    command = dial()
    assert command.path == "/calls"
    assert command.body == {
        "to": "+15550100001",
        "from": "+15550100002",
        "connection_id": "7",
        "command_id": "c-1",
    }


def test_dial_with_everything() -> None:
    """Stream, state, timeout and further fields all find their place."""
    command = dial(
        stream=STREAM,
        client_state="aWQ9NDI=",
        timeout_secs=20,
        fields={"time_limit_secs": 600, "record": None},
    )
    assert command.body["stream_url"] == STREAM.stream_url
    assert command.body["client_state"] == "aWQ9NDI="
    assert command.body["timeout_secs"] == 20
    assert command.body["time_limit_secs"] == 600
    assert "record" not in command.body


def test_dial_several() -> None:
    """Several callees go as a list."""
    assert dial(to=("+15550100001", "sip:a@example.com")).body["to"] == [
        "+15550100001",
        "sip:a@example.com",
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"to": ""}, "to is empty"),
        ({"to": []}, "to is empty"),
        ({"to": ["+15550100001", ""]}, "to is empty"),
        ({"from_": ""}, "from_ is empty"),
        ({"connection_id": ""}, "connection_id is empty"),
        ({"timeout_secs": 4}, "timeout_secs is 4"),
        ({"timeout_secs": 601}, "timeout_secs is 601"),
        ({"client_state": "not base64"}, "client_state is not base64"),
        ({"fields": {"to": "+1"}}, "to is given twice"),
        ({"fields": {"custom_parameters": []}}, "dial has no field custom_parameters"),
        ({"stream": STREAM, "fields": {"stream_url": "wss://b"}}, "stream_url is given twice"),
    ],
)
def test_dial_refused(changes: dict[str, object], problem: str) -> None:
    """What Telnyx would not take, or would ignore, is refused here."""
    with pytest.raises(LocalProtocolError, match=problem):
        dial(**changes)


def test_answer() -> None:
    """Answer goes to the call's path with its stream."""
    command = answer_command("v3:abc", command_id="c-1", stream=STREAM)
    assert command.path == "/calls/v3%3Aabc/actions/answer"
    assert command.body["stream_bidirectional_mode"] == "rtp"
    assert command.body["command_id"] == "c-1"


def test_answer_refuses_a_field_that_it_lacks() -> None:
    """Fields given by hand are checked like those of a stream."""
    with pytest.raises(LocalProtocolError, match="answer has no field stream_auth_token"):
        answer_command("v3:abc", command_id="c-1", fields={"stream_auth_token": "TOKEN"})


def test_answer_refuses_a_stream_beyond_it() -> None:
    """A stream that answer cannot ask for is not asked for by half."""
    with pytest.raises(LocalProtocolError, match="streaming_start can"):
        answer_command("v3:abc", command_id="c-1", stream=FULL_STREAM)


@pytest.mark.parametrize("cause", typing.get_args(RejectCause))
def test_reject(cause: RejectCause) -> None:
    """Each of Telnyx's four causes can be given."""
    assert reject_command("v3:abc", cause, command_id="c-1").body["cause"] == cause


def test_reject_with_another_cause() -> None:
    """Another cause is refused, and the four are named."""
    with pytest.raises(LocalProtocolError, match="USER_BUSY"):
        reject_command("v3:abc", "BORED", command_id="c-1")  # type: ignore[arg-type]


def test_send_dtmf() -> None:
    """All keys and both pauses pass."""
    command = send_dtmf_command("v3:abc", "0189ADwW*#", command_id="c-1", duration_millis=100)
    assert command.body == {"digits": "0189ADwW*#", "duration_millis": 100, "command_id": "c-1"}


@pytest.mark.parametrize("digits", ["", "12 3", "E", "a", "1\n", "\uff11"])
def test_send_dtmf_with_another_key(digits: str) -> None:
    """What is no key is refused, and the digits, maybe a PIN, are not repeated."""
    with pytest.raises(LocalProtocolError, match="digits are") as caught:
        send_dtmf_command("v3:abc", f"4711{digits}4711" if digits else "", command_id="c-1")
    assert "4711" not in str(caught.value)


@pytest.mark.parametrize("duration", [99, 501])
def test_send_dtmf_with_another_duration(duration: int) -> None:
    """A key sounds 100 to 500 ms."""
    with pytest.raises(LocalProtocolError, match="100 to 500"):
        send_dtmf_command("v3:abc", "1", command_id="c-1", duration_millis=duration)


def test_any_command() -> None:
    """Commands without a builder go by their name; from_ stands for from."""
    command = action_command(
        "v3:abc", "transfer", command_id="c-1", fields={"to": "+15550100003", "from_": "+1555"}
    )
    assert command.path == "/calls/v3%3Aabc/actions/transfer"
    assert command.body == {"to": "+15550100003", "from": "+1555", "command_id": "c-1"}


@pytest.mark.parametrize("name", ["", "../hangup", "Hangup", "hang up", "hangup/", "hangup\n"])
def test_name_that_is_no_command(name: str) -> None:
    """A name cannot lead to another path."""
    with pytest.raises(LocalProtocolError, match="not the name of a command"):
        action_command("v3:abc", name, command_id="c-1")


@pytest.mark.parametrize("call_control_id", ["", ".", ".."])
def test_id_that_leads_elsewhere(call_control_id: str) -> None:
    """An id that would make another path of it is refused."""
    with pytest.raises(LocalProtocolError, match="not a call_control_id"):
        call_path(call_control_id)


def test_id_is_percent_encoded() -> None:
    """Whatever an id holds, it stays one part of the path."""
    assert call_path("v3:a/b?c#d%20é ..") == "/calls/v3%3Aa%2Fb%3Fc%23d%2520%C3%A9%20.."


def test_repr_shows_no_field() -> None:
    """Tokens in a body cannot reach a log through the repr."""
    assert repr(dial(stream=STREAM)) == "Command(action='dial', path='/calls')"


def test_client_state_update() -> None:
    """It alone is a PUT, and has no field but one."""
    command = client_state_update_command("v3:a", "aWQ9NDI=")
    assert command.method == "PUT"
    assert command.path == "/calls/v3%3Aa/actions/client_state_update"
    assert command.body == {"client_state": "aWQ9NDI="}
    with pytest.raises(LocalProtocolError, match="not base64"):
        client_state_update_command("v3:a", "id=42")


Build = Callable[[], Command]


@pytest.mark.parametrize(
    ("build", "params"),
    [
        (
            lambda: dial(stream=FULL_STREAM, client_state="aWQ9NDI=", timeout_secs=30),
            CallDialParams,
        ),
        (
            lambda: answer_command("v3:a", command_id="c", stream=STREAM, client_state="aWQ9NDI="),
            ActionAnswerParams,
        ),
        (
            lambda: action_command("v3:a", "hangup", command_id="c", fields={"reason": "done"}),
            ActionHangupParams,
        ),
        (
            lambda: reject_command("v3:a", "USER_BUSY", command_id="c", client_state="aWQ9NDI="),
            ActionRejectParams,
        ),
        (
            lambda: streaming_start_command(
                "v3:a", FULL_STREAM, command_id="c", client_state="aWQ9NDI="
            ),
            ActionStartStreamingParams,
        ),
        (
            lambda: action_command(
                "v3:a", "streaming_stop", command_id="c", fields={"stream_id": "s"}
            ),
            ActionStopStreamingParams,
        ),
        (
            lambda: send_dtmf_command("v3:a", "1", command_id="c", duration_millis=250),
            ActionSendDtmfParams,
        ),
    ],
)
def test_bodies_fit_the_official_sdk(build: Build, params: type) -> None:
    """Each field is one of the command in Telnyx's own types, and none that is required lacks."""
    names = {"from" if name == "from_" else name for name in params.__annotations__}
    required = {
        "from" if name == "from_" else name
        for name, kind in params.__annotations__.items()
        if "Required[" in str(getattr(kind, "__forward_arg__", kind))
    }
    body = build().body
    assert set(body) <= names
    assert required <= set(body)
