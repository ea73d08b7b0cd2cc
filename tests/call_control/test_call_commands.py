"""Commands on an answered call as values, held against the types of Telnyx's own SDK."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from telnyx.types.calls.action_bridge_params import ActionBridgeParams
from telnyx.types.calls.action_gather_params import ActionGatherParams
from telnyx.types.calls.action_gather_using_audio_params import ActionGatherUsingAudioParams
from telnyx.types.calls.action_gather_using_speak_params import ActionGatherUsingSpeakParams
from telnyx.types.calls.action_speak_params import ActionSpeakParams
from telnyx.types.calls.action_start_playback_params import ActionStartPlaybackParams
from telnyx.types.calls.action_start_recording_params import ActionStartRecordingParams
from telnyx.types.calls.action_stop_playback_params import ActionStopPlaybackParams
from telnyx.types.calls.action_transfer_params import ActionTransferParams

from telnyx_trio._errors import LocalProtocolError
from telnyx_trio.call_control._call_commands import (
    bridge_command,
    gather_command,
    gather_using_audio_command,
    gather_using_speak_command,
    playback_start_command,
    playback_stop_command,
    record_start_command,
    speak_command,
    transfer_command,
)
from telnyx_trio.call_control._commands import Command

ID: dict[str, Any] = {"command_id": "c-1"}
STOP: dict[str, Any] = {"stop": "some"}
RECORD: dict[str, Any] = {"channels": "dual", "format": "wav"}
GATHER: dict[str, Any] = {
    "minimum_digits": 1,
    "maximum_digits": 4,
    "terminating_digit": "#",
    "valid_digits": "0123456789",
    "timeout_millis": 5000,
    "inter_digit_timeout_millis": 2000,
}

COMMANDS: list[tuple[str, Callable[[], Command], type]] = [
    (
        "transfer",
        lambda: transfer_command(
            "v3:a",
            "+15550100003",
            from_="+15550100001",
            timeout_secs=20,
            target_leg_client_state="aWQ=",
            **ID,
        ),
        ActionTransferParams,
    ),
    ("bridge", lambda: bridge_command("v3:a", "v3:b", **ID), ActionBridgeParams),
    (
        "speak",
        lambda: speak_command(
            "v3:a", "hello", voice="AWS.Polly.Joanna", payload_type="text", language="en-US", **ID
        ),
        ActionSpeakParams,
    ),
    (
        "playback_start",
        lambda: playback_start_command("v3:a", audio_url="https://x/a.wav", loop=2, **ID),
        ActionStartPlaybackParams,
    ),
    (
        "playback_stop",
        lambda: playback_stop_command("v3:a", stop="all", **ID),
        ActionStopPlaybackParams,
    ),
    (
        "record_start",
        lambda: record_start_command(
            "v3:a", channels="dual", format="wav", max_length=60, play_beep=True, **ID
        ),
        ActionStartRecordingParams,
    ),
    (
        "gather",
        lambda: gather_command("v3:a", **GATHER, initial_timeout_millis=3000, **ID),
        ActionGatherParams,
    ),
    (
        "gather_using_speak",
        lambda: gather_using_speak_command(
            "v3:a", "your pin", voice="AWS.Polly.Amy", **GATHER, **ID
        ),
        ActionGatherUsingSpeakParams,
    ),
    (
        "gather_using_audio",
        lambda: gather_using_audio_command("v3:a", audio_url="https://x/a.wav", **GATHER, **ID),
        ActionGatherUsingAudioParams,
    ),
]


@pytest.mark.parametrize(("name", "build", "params"), COMMANDS, ids=[row[0] for row in COMMANDS])
def test_bodies_fit_the_official_sdk(name: str, build: Callable[[], Command], params: type) -> None:
    """Each field is one of the command in Telnyx's own types; none that is required lacks."""
    kinds: dict[str, Any] = dict(params.__annotations__)
    aliases = {"from_": "from", "call_control_id_to_bridge_with": "call_control_id"}
    names = {aliases.get(field, field): str(kind) for field, kind in kinds.items()}
    command = build()
    assert command.action == name
    assert command.path == f"/calls/v3%3Aa/actions/{name}"
    assert set(command.body) <= names.keys()
    assert {field for field, kind in names.items() if "Required[" in kind} <= set(command.body)
    assert command.body["command_id"] == "c-1"


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (lambda: transfer_command("v3:a", "", **ID), "to is empty"),
        (lambda: transfer_command("v3:a", "+1", timeout_secs=4, **ID), "5 to 600"),
        (lambda: bridge_command("v3:a", "", **ID), "no call_control_id"),
        (lambda: bridge_command("v3:a", "v3:a", **ID), "to itself"),
        (lambda: speak_command("v3:a", "", voice="v", **ID), "0 characters"),
        (lambda: speak_command("v3:a", "x" * 5001, voice="v", **ID), "5001 characters"),
        (lambda: speak_command("v3:a", "x", voice="", **ID), "voice is empty"),
        (lambda: playback_start_command("v3:a", **ID), "give one of"),
        (
            lambda: playback_start_command("v3:a", audio_url="u", media_name="n", **ID),
            "give one of",
        ),
        (lambda: playback_start_command("v3:a", audio_url="u", loop=0, **ID), "loop"),
        (lambda: playback_start_command("v3:a", audio_url="u", loop=True, **ID), "loop"),
        (lambda: playback_stop_command("v3:a", **STOP, **ID), "current, all"),
        (
            lambda: record_start_command("v3:a", **RECORD | {"channels": "stereo"}, **ID),
            "single, dual",
        ),
        (lambda: record_start_command("v3:a", **RECORD | {"format": "ogg"}, **ID), "wav, mp3"),
        (
            lambda: record_start_command(
                "v3:a", channels="dual", format="wav", max_length=-1, **ID
            ),
            "max_length",
        ),
        (lambda: gather_command("v3:a", minimum_digits=0, **ID), "minimum_digits is 0"),
        (lambda: gather_command("v3:a", maximum_digits=129, **ID), "maximum_digits is 129"),
        (
            lambda: gather_command("v3:a", minimum_digits=5, maximum_digits=4, **ID),
            "more than 4",
        ),
        (lambda: gather_command("v3:a", timeout_millis=0, **ID), "timeout_millis is 0"),
        (lambda: gather_command("v3:a", valid_digits="12x", **ID), "valid_digits"),
        (lambda: gather_command("v3:a", terminating_digit="##", **ID), "a single key"),
        (
            lambda: gather_using_speak_command("v3:a", "pin", voice="v", maximum_digits=0, **ID),
            "maximum_digits",
        ),
        (lambda: gather_using_audio_command("v3:a", **ID), "give one of"),
    ],
)
def test_what_telnyx_does_not_take(build: Callable[[], Command], problem: str) -> None:
    """A wrong value is told before anything is sent."""
    with pytest.raises(LocalProtocolError, match=problem):
        build()


def test_loop_for_ever() -> None:
    """A file may be played until it is stopped."""
    command = playback_start_command("v3:a", media_name="hold", loop="infinity", **ID)
    assert command.body == {"media_name": "hold", "loop": "infinity", "command_id": "c-1"}


def test_a_field_given_twice_is_refused() -> None:
    """A wire name can't be set behind the argument's back."""
    with pytest.raises(LocalProtocolError, match="from is given twice"):
        transfer_command("v3:a", "+1", from_="+2", **{"from": "+3"}, **ID)
