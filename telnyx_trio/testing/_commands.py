"""Reading the bodies of commands as Telnyx does: known fields checked, unknown ones dropped."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from .._errors import CodecNotInstalled
from .._types import ByteOrder, Encoding, Track
from ._codecs import SUPPORTED, Codec
from ._leg_values import Hangup, LegOptions
from ._machine import MODES
from ._refusals import Refusal
from ._stream_values import StreamRequest

Body = Mapping[str, Any]

_CODECS: Final = ("PCMU", "PCMA", "G722", "OPUS", "AMR-WB", "L16")
_STREAM_VALUES: Final[Mapping[str, tuple[Any, ...]]] = {
    "stream_track": ("inbound_track", "outbound_track", "both_tracks"),
    "stream_codec": (*_CODECS, "default"),
    "stream_bidirectional_mode": ("mp3", "rtp"),
    "stream_bidirectional_codec": _CODECS,
    "stream_bidirectional_target_legs": ("both", "self", "opposite"),
}
"""Telnyx's SDK 4.189.0, types/call_dial_params.py."""

_RATES: Final = (8000, 16000, 22050, 24000, 48000)

_ONLY_SOME_COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "stream_bidirectional_sampling_rate": ("dial", "streaming_start"),
    "stream_auth_token": ("dial", "streaming_start"),
    "custom_parameters": ("streaming_start",),
    "stream_establish_before_call_originate": ("dial",),
}
"""Stream fields that not every command has; elsewhere they are dropped like any unknown field.
Source: the SDK's parameter types of the three commands."""

_TRACKS: Final[Mapping[str, tuple[Track, ...]]] = {
    "inbound_track": ("inbound",),
    "outbound_track": ("outbound",),
    "both_tracks": ("inbound", "outbound"),
}

_NUMBER: Final = re.compile(r"\+[1-9]\d{6,14}|sips?:[^@\s]+@[^@\s]+")
_DIGITS: Final = re.compile(r"[0-9A-Da-d*#wW]+")

REJECT_CAUSES: Final[Mapping[str, Hangup]] = {
    "CALL_REJECTED": Hangup("call_rejected", "callee", "603"),
    "NOT_FOUND": Hangup("not_found", "callee", "404"),
    "TEMPORARILY_UNAVAILABLE": Hangup("unspecified", "callee", "480"),
    "USER_BUSY": Hangup("user_busy", "callee", "486"),
}
"""The causes of ``reject``, with the SIP status that the caller gets."""


def require(body: Body, *names: str) -> None:
    """Refuse a body that lacks a field.

    Raises:
        Refusal: 422, 10004.
    """
    for name in names:
        if body.get(name) in (None, "", []):
            raise Refusal(422, "10004", f"the '{name}' parameter is required", name)


def read_text(body: Body, name: str) -> str | None:
    """Return a text field, None when it is absent.

    Raises:
        Refusal: it is no text; 422, 10015.
    """
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise Refusal(422, "10015", f"'{name}' must be a string", name)
    return value


def read_number(body: Body, name: str) -> str:
    """Return a phone number or SIP URI; of several, the first.

    Raises:
        Refusal: it is neither; 422, 10016.
    """
    value = body[name]
    number = value[0] if isinstance(value, list) else value
    if not isinstance(number, str) or not _NUMBER.fullmatch(number):
        raise Refusal(422, "10016", f"'{name}' must be in +E.164 format or a SIP URI", name)
    return number


def read_choice(body: Body, name: str, choices: tuple[Any, ...]) -> Any:
    """Return a field with listed values, None when it is absent.

    Raises:
        Refusal: it has another value; 422, 10032.
    """
    value = body.get(name)
    # bool is an int in Python, but true is no sampling rate.
    if value is not None and (isinstance(value, bool) or value not in choices):
        listed = ", ".join(str(choice) for choice in choices)
        raise Refusal(422, "10032", f"'{name}' must be one of: {listed}", name)
    return value


def read_digits(body: Body) -> str:
    """Return the digits of ``send_dtmf``.

    Raises:
        Refusal: absent (10004) or none that a phone has (10032).
    """
    require(body, "digits")
    digits = read_text(body, "digits") or ""
    if not _DIGITS.fullmatch(digits):
        raise Refusal(422, "10032", "'digits' must be of 0-9, A-D, *, #, w and W", "digits")
    return digits


def check_url(url: str, name: str, schemes: tuple[str, ...]) -> None:
    """Refuse a URL of another scheme, without a host, or too long.

    Raises:
        Refusal: 422, 10003.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and bool(parts.hostname) and len(url) <= 2000
    except ValueError:
        usable = False
    if not usable:
        listed = " or ".join(f"{scheme}://" for scheme in schemes)
        raise Refusal(422, "10003", f"'{name}' must be a URL of {listed}", name)


def read_options(body: Body, options: LegOptions) -> None:
    """Take over the fields that every command, or dial, answer and transfer, can carry.

    Raises:
        Refusal: client_state is not base64 (90017), a limit is out of range (90028, 90029), or
            another field has a value that will not do.
    """
    client_state = read_text(body, "client_state")
    webhook_url = read_text(body, "webhook_url")
    ring_timeout = _read_seconds(body, "timeout_secs", 5, 600, "90028")
    time_limit = _read_seconds(body, "time_limit_secs", 60, 14400, "90029")
    detection = read_choice(body, "answering_machine_detection", MODES)
    if client_state is not None:
        try:
            b64decode(client_state, validate=True)
        except ValueError:
            detail = "'client_state' must be valid base64"
            raise Refusal(422, "90017", detail, "client_state") from None
        options.client_state = client_state
    if webhook_url:
        check_url(webhook_url, "webhook_url", ("http", "https"))
        options.webhook_url = webhook_url
    if ring_timeout is not None:
        options.ring_timeout = ring_timeout
    if time_limit is not None:
        options.time_limit = time_limit
    if detection is not None:
        options.machine_detection = detection
    if isinstance(body.get("retry_on_timeout"), bool):
        options.retry_on_timeout = body["retry_on_timeout"]


def read_stream(
    body: Body, command: str, leg_codec: Codec, byteorder: ByteOrder, *, early: bool = False
) -> StreamRequest | None:
    """Return the media stream that a command asks for, None when it has no ``stream_url``.

    Args:
        body: of the request.
        command: "dial", "answer" or "streaming_start".
        leg_codec: of the leg; received when nothing else is asked for, or cannot be done.
        byteorder: of L16 on this carrier's media sockets.
        early: open the socket before the answer, even when the command does not ask for it.

    Raises:
        Refusal: a field has a value that Telnyx does not list (10032), or one of its codecs that
            the simulator does not speak (10032, saying so); or the URL is none (10003).
    """
    known = {
        name: value
        for name, value in body.items()
        if command in _ONLY_SOME_COMMANDS.get(name, (command,))
    }
    chosen = {name: read_choice(known, name, values) for name, values in _STREAM_VALUES.items()}
    rate = read_choice(known, "stream_bidirectional_sampling_rate", _RATES) or 8000
    token = read_text(known, "stream_auth_token")
    url = read_text(known, "stream_url")
    if not url:
        return None
    check_url(url, "stream_url", ("ws", "wss"))
    if token is not None and len(token) > 4000:
        detail = "'stream_auth_token' must have at most 4000 characters"
        raise Refusal(422, "10033", detail, "stream_auth_token")
    send_codec = None
    if chosen["stream_bidirectional_mode"] == "rtp":
        name = chosen["stream_bidirectional_codec"] or "PCMU"
        encoding = _spoken(name, "stream_bidirectional_codec")
        send_codec = _open_codec(encoding, rate, byteorder, "stream_bidirectional_codec")
    receive_codec = leg_codec
    wanted = chosen["stream_codec"]
    if wanted in SUPPORTED and wanted != leg_codec.encoding:
        # Reported from the field: L16 comes at 8 kHz unless the bidirectional rate says otherwise.
        receive_codec = _open_codec(wanted, rate, byteorder, "stream_codec")
    parameters = known.get("custom_parameters") or []
    return StreamRequest(
        url=url,
        tracks=_TRACKS[chosen["stream_track"] or "inbound_track"],
        receive_codec=receive_codec,
        send_codec=send_codec,
        auth_token=token,
        custom_parameters=_read_parameters(parameters),
        before_answer=early or known.get("stream_establish_before_call_originate") is True,
    )


def _read_parameters(parameters: object) -> dict[str, str]:
    try:
        return {str(entry["name"]): str(entry["value"]) for entry in _as_list(parameters)}
    except (KeyError, TypeError):
        detail = "'custom_parameters' must be a list of objects with name and value"
        raise Refusal(422, "10015", detail, "custom_parameters") from None


def _as_list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _read_seconds(body: Body, name: str, least: int, most: int, code: str) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Refusal(422, code, f"'{name}' must be between {least} and {most}", name)
    return float(value)


def _open_codec(encoding: Encoding, rate: int, byteorder: ByteOrder, field_name: str) -> Codec:
    try:
        return Codec.of(encoding, rate, byteorder)
    except CodecNotInstalled as error:
        raise Refusal(422, "10032", f"the simulator: {error}", field_name) from None


def _spoken(name: str, field_name: str) -> Encoding:
    for encoding in SUPPORTED:
        if name == encoding:
            return encoding
    raise Refusal(422, "10032", f"the simulator does not speak {name}", field_name)
