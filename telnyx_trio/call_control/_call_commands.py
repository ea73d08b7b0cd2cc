"""Commands on an answered call, beyond answering and hanging up, as values. Pure.

Source: ``types/calls/action_*_params.py`` of Telnyx's Python SDK 4.189; limits from the same, from
Telnyx's command line client and from its list of error codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, get_args

from .._errors import LocalProtocolError
from .._redact import cut
from .._types import DTMF_DIGITS
from ._commands import RING_TIMEOUT_SECS, Command, action_command

PayloadType: TypeAlias = Literal["text", "ssml"]
"""Of what is to be spoken."""

RecordingFormat: TypeAlias = Literal["wav", "mp3"]

RecordingChannels: TypeAlias = Literal["single", "dual"]
"""Both parties in one channel, or each in its own."""

StopWhich: TypeAlias = Literal["current", "all"]
"""What of a queue of playbacks is stopped."""

_MAX_SPOKEN_CHARACTERS: Final = 5000
"""The larger of two figures of Telnyx's: the SDK says 3000, error 90010 says 5000."""

_MAX_DIGITS: Final = 128
_MAX_RECORDING_SECS: Final = 14_400


def transfer_command(call_control_id: str, to: str, **fields: Any) -> Command:
    """Build ``transfer``; see ``TelnyxClient.transfer`` for the fields.

    Raises:
        LocalProtocolError: a value is one that Telnyx does not take.
    """
    if not to:
        raise LocalProtocolError("transfer: to is empty")
    timeout_secs = fields.get("timeout_secs")
    if timeout_secs is not None and timeout_secs not in RING_TIMEOUT_SECS:
        raise LocalProtocolError(f"transfer: timeout_secs is {timeout_secs}; Telnyx takes 5 to 600")
    return _build(call_control_id, "transfer", {"to": to}, fields)


def bridge_command(call_control_id: str, other: str, **fields: Any) -> Command:
    """Build ``bridge`` with another leg.

    Raises:
        LocalProtocolError: the other leg's id is empty, or is this one's.
    """
    if not other:
        raise LocalProtocolError("bridge: the other leg has no call_control_id")
    if other == call_control_id:
        raise LocalProtocolError("bridge: a leg can't be bridged to itself")
    return _build(call_control_id, "bridge", {"call_control_id": other}, fields)


def speak_command(call_control_id: str, payload: str, *, voice: str, **fields: Any) -> Command:
    """Build ``speak``.

    Raises:
        LocalProtocolError: there is nothing to say or too much, or no voice.
    """
    own = _spoken("speak", payload, voice)
    return _build(call_control_id, "speak", own, fields)


def playback_start_command(
    call_control_id: str,
    *,
    audio_url: str | None = None,
    media_name: str | None = None,
    playback_content: str | None = None,
    **fields: Any,
) -> Command:
    """Build ``playback_start``.

    Raises:
        LocalProtocolError: not exactly one of the three sources is given, or ``loop`` is neither 1
            to 100 nor "infinity".
    """
    own = {
        "audio_url": audio_url,
        "media_name": media_name,
        "playback_content": playback_content,
    }
    _check_one_of("playback_start", own)
    loop = fields.get("loop")
    if loop is not None and loop != "infinity" and not _is_within(loop, 1, 100):
        raise LocalProtocolError('playback_start: loop is 1 to 100 or "infinity"')
    return _build(call_control_id, "playback_start", own, fields)


def playback_stop_command(
    call_control_id: str, *, stop: StopWhich | None = None, **fields: Any
) -> Command:
    """Build ``playback_stop``; it also stops what ``speak`` says.

    Raises:
        LocalProtocolError: ``stop`` is none of its two words.
    """
    _check_choice("playback_stop", "stop", stop, (None, *get_args(StopWhich)))
    return _build(call_control_id, "playback_stop", {"stop": stop}, fields)


def record_start_command(
    call_control_id: str,
    *,
    channels: RecordingChannels,
    format: RecordingFormat,
    **fields: Any,
) -> Command:
    """Build ``record_start``.

    Raises:
        LocalProtocolError: channels, format or ``max_length`` are none of what Telnyx takes.
    """
    _check_choice("record_start", "channels", channels, get_args(RecordingChannels))
    _check_choice("record_start", "format", format, get_args(RecordingFormat))
    max_length = fields.get("max_length")
    if max_length is not None and not _is_within(max_length, 0, _MAX_RECORDING_SECS):
        raise LocalProtocolError("record_start: max_length is 0 to 14400 seconds")
    own = {"channels": channels, "format": format}
    return _build(call_control_id, "record_start", own, fields)


def gather_command(call_control_id: str, **fields: Any) -> Command:
    """Build ``gather``: key presses, collected without a prompt.

    Raises:
        LocalProtocolError: a count, a time or a key is none that Telnyx takes.
    """
    _check_gather("gather", fields)
    return _build(call_control_id, "gather", {}, fields)


def gather_using_speak_command(
    call_control_id: str, payload: str, *, voice: str, **fields: Any
) -> Command:
    """Build ``gather_using_speak``: a text is spoken, key presses are collected.

    Raises:
        LocalProtocolError: as for ``gather_command`` and ``speak_command``.
    """
    _check_gather("gather_using_speak", fields)
    own = _spoken("gather_using_speak", payload, voice)
    return _build(call_control_id, "gather_using_speak", own, fields)


def gather_using_audio_command(
    call_control_id: str,
    *,
    audio_url: str | None = None,
    media_name: str | None = None,
    **fields: Any,
) -> Command:
    """Build ``gather_using_audio``: a file is played, key presses are collected.

    Raises:
        LocalProtocolError: as for ``gather_command``, or not exactly one source is given.
    """
    _check_gather("gather_using_audio", fields)
    own = {"audio_url": audio_url, "media_name": media_name}
    _check_one_of("gather_using_audio", own)
    return _build(call_control_id, "gather_using_audio", own, fields)


def _build(
    call_control_id: str, name: str, own: Mapping[str, object], fields: Mapping[str, Any]
) -> Command:
    rest = dict(fields)
    command_id = rest.pop("command_id")
    client_state = rest.pop("client_state", None)
    return action_command(
        call_control_id,
        name,
        command_id=command_id,
        client_state=client_state,
        fields={**own, **rest},
    )


def _spoken(action: str, payload: str, voice: str) -> dict[str, object]:
    if not 0 < len(payload) <= _MAX_SPOKEN_CHARACTERS:
        raise LocalProtocolError(
            f"{action}: the text has {len(payload)} characters; Telnyx takes 1 to"
            f" {_MAX_SPOKEN_CHARACTERS}"
        )
    if not voice:
        raise LocalProtocolError(f'{action}: voice is empty; one is "AWS.Polly.Joanna"')
    return {"payload": payload, "voice": voice}


def _check_gather(action: str, fields: Mapping[str, Any]) -> None:
    least, most = fields.get("minimum_digits"), fields.get("maximum_digits")
    for name, value in (("minimum_digits", least), ("maximum_digits", most)):
        if value is not None and not _is_within(value, 1, _MAX_DIGITS):
            raise LocalProtocolError(f"{action}: {name} is {value!r}; it may be 1 to {_MAX_DIGITS}")
    if least is not None and most is not None and least > most:
        raise LocalProtocolError(f"{action}: minimum_digits {least} is more than {most}, the most")
    for name in ("timeout_millis", "initial_timeout_millis", "inter_digit_timeout_millis"):
        value = fields.get(name)
        if value is not None and not _is_within(value, 1, 2**31 - 1):
            raise LocalProtocolError(f"{action}: {name} is {value!r}; it is milliseconds, over 0")
    for name in ("valid_digits", "terminating_digit"):
        keys = fields.get(name)
        # The keys themselves are no secret, but they need not be repeated either.
        if keys is not None and not set(str(keys)) <= DTMF_DIGITS:
            raise LocalProtocolError(f"{action}: {name} has keys that no phone has")
    if len(str(fields.get("terminating_digit") or "")) > 1:
        raise LocalProtocolError(f"{action}: terminating_digit is a single key")


def _check_one_of(action: str, sources: Mapping[str, str | None]) -> None:
    if sum(bool(value) for value in sources.values()) != 1:
        raise LocalProtocolError(f"{action}: give one of {', '.join(sources)}")


def _check_choice(action: str, name: str, value: object, choices: tuple[Any, ...]) -> None:
    if value not in choices:
        listed = ", ".join(str(choice) for choice in choices if choice is not None)
        raise LocalProtocolError(f"{action}: {name} is {cut(str(value))!r}; it may be {listed}")


def _is_within(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
