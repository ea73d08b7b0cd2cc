"""The commands of Call Control as values: what is posted where. Pure.

Source: ``types/call_dial_params.py`` and ``types/calls/action_*_params.py`` of Telnyx's Python SDK
4.189.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args
from urllib.parse import quote

from .._errors import LocalProtocolError, RemoteProtocolError
from .._redact import cut
from ._client_state import decode_client_state
from ._stream_options import StreamOptions, check_stream_fields

RejectCause: TypeAlias = Literal[
    "CALL_REJECTED", "NOT_FOUND", "TEMPORARILY_UNAVAILABLE", "USER_BUSY"
]
"""What the caller is told: SIP 603, 404, 480 or 486."""

_ACTION_NAME: Final = re.compile(r"[a-z][a-z_]*")
_DIGITS: Final = re.compile(r"[0-9A-D*#wW]+")
RING_TIMEOUT_SECS: Final = range(5, 601)
"""Of ``timeout_secs``."""

_DTMF_DURATION_MILLIS: Final = range(100, 501)


@dataclass(frozen=True)
class Command:
    """One command, ready to be posted.

    Attributes:
        action: its name, such as "hangup"; for people and for ``CallControlError``.
        path: below the base URL.
        body: JSON fields. The repr does not show them: there may be tokens among them.
        method: of HTTP.
    """

    action: str
    path: str
    body: Mapping[str, object] = field(repr=False, hash=False)
    method: Literal["POST", "PUT"] = field(default="POST", repr=False)


def dial_command(
    *,
    to: str | Sequence[str],
    from_: str,
    connection_id: str,
    command_id: str,
    stream: StreamOptions | None = None,
    client_state: str | None = None,
    timeout_secs: int | None = None,
    fields: Mapping[str, object] | None = None,
) -> Command:
    """Build ``POST /calls``; see ``TelnyxClient.dial`` for the arguments.

    Raises:
        LocalProtocolError: a value is one that Telnyx does not take, or ``fields`` names a field
            that the command does not have or that is given already.
    """
    callees = [to] if isinstance(to, str) else list(to)
    if not callees or not all(callees):
        raise LocalProtocolError("dial: to is empty")
    if not from_:
        raise LocalProtocolError("dial: from_ is empty")
    if not connection_id:
        raise LocalProtocolError("dial: connection_id is empty")
    if timeout_secs is not None and timeout_secs not in RING_TIMEOUT_SECS:
        raise LocalProtocolError(f"dial: timeout_secs is {timeout_secs}; Telnyx takes 5 to 600")
    own: dict[str, object] = {
        "to": to if isinstance(to, str) else callees,
        "from": from_,
        "connection_id": connection_id,
        "timeout_secs": timeout_secs,
    }
    if stream is not None:
        own |= stream.fields_for("dial")
    return Command("dial", "/calls", _body("dial", own, fields, client_state, command_id))


def answer_command(
    call_control_id: str,
    *,
    command_id: str,
    stream: StreamOptions | None = None,
    client_state: str | None = None,
    fields: Mapping[str, object] | None = None,
) -> Command:
    """Build ``answer``.

    Raises:
        LocalProtocolError: ``answer`` cannot ask for this stream (``needs_streaming_start``), or
            as for ``dial_command``.
    """
    own = stream.fields_for("answer") if stream is not None else {}
    return _action(call_control_id, "answer", own, fields, client_state, command_id)


def reject_command(
    call_control_id: str,
    cause: RejectCause,
    *,
    command_id: str,
    client_state: str | None = None,
) -> Command:
    """Build ``reject``.

    Raises:
        LocalProtocolError: the cause is not one of the four.
    """
    if cause not in get_args(RejectCause):
        raise LocalProtocolError(
            f"reject: cause is {cut(cause)!r}; Telnyx takes {', '.join(get_args(RejectCause))}"
        )
    return _action(call_control_id, "reject", {"cause": cause}, None, client_state, command_id)


def streaming_start_command(
    call_control_id: str,
    stream: StreamOptions,
    *,
    command_id: str,
    client_state: str | None = None,
    fields: Mapping[str, object] | None = None,
) -> Command:
    """Build ``streaming_start``; Telnyx takes it after the answer only (else error 90034)."""
    own = stream.fields_for("streaming_start")
    return _action(call_control_id, "streaming_start", own, fields, client_state, command_id)


def send_dtmf_command(
    call_control_id: str,
    digits: str,
    *,
    command_id: str,
    duration_millis: int | None = None,
    client_state: str | None = None,
) -> Command:
    """Build ``send_dtmf``.

    Raises:
        LocalProtocolError: a digit is none of ``0-9 A-D * # w W``, or the duration is not 100 to
            500 ms.
    """
    if not _DIGITS.fullmatch(digits):
        # The digits may be a PIN, so they are not quoted.
        raise LocalProtocolError("send_dtmf: digits are 0-9 A-D * # and the pauses w and W")
    if duration_millis is not None and duration_millis not in _DTMF_DURATION_MILLIS:
        raise LocalProtocolError(
            f"send_dtmf: duration_millis is {duration_millis}; Telnyx takes 100 to 500"
        )
    own = {"digits": digits, "duration_millis": duration_millis}
    return _action(call_control_id, "send_dtmf", own, None, client_state, command_id)


def action_command(
    call_control_id: str,
    name: str,
    *,
    command_id: str,
    client_state: str | None = None,
    fields: Mapping[str, object] | None = None,
) -> Command:
    """Build any command on a call, by its name in the path (``playback_start``, ``transfer``).

    Raises:
        LocalProtocolError: that is no name of a command, or as for ``dial_command``.
    """
    if not _ACTION_NAME.fullmatch(name):
        raise LocalProtocolError(f"{cut(name)!r} is not the name of a command")
    return _action(call_control_id, name, {}, fields, client_state, command_id)


def client_state_update_command(call_control_id: str, client_state: str) -> Command:
    """Build ``client_state_update``, the one command that is a PUT and has no ``command_id``.

    Raises:
        LocalProtocolError: ``client_state`` is not base64.
    """
    name = "client_state_update"
    _check_client_state(name, client_state)
    path = f"{call_path(call_control_id)}/actions/{name}"
    return Command(name, path, {"client_state": client_state}, "PUT")


def call_path(call_control_id: str) -> str:
    """Return the path of a call, its id percent-encoded (ids hold ``:`` and may hold more).

    Raises:
        LocalProtocolError: the id is empty, or would lead to another path.
    """
    if call_control_id in ("", ".", ".."):
        raise LocalProtocolError(f"{call_control_id!r} is not a call_control_id")
    return f"/calls/{quote(call_control_id, safe='')}"


def _action(
    call_control_id: str,
    name: str,
    own: Mapping[str, object],
    fields: Mapping[str, object] | None,
    client_state: str | None,
    command_id: str,
) -> Command:
    body = _body(name, own, fields, client_state, command_id)
    return Command(name, f"{call_path(call_control_id)}/actions/{name}", body)


def _body(
    action: str,
    own: Mapping[str, object],
    extra: Mapping[str, object] | None,
    client_state: str | None,
    command_id: str,
) -> dict[str, object]:
    """Join the fields that we know with those that the caller adds; None means left out."""
    body = {name: value for name, value in own.items() if value is not None}
    for name, value in (extra or {}).items():
        # `from` is a keyword of Python.
        wire_name = "from" if name == "from_" else name
        if wire_name in body:
            raise LocalProtocolError(f"{action}: {wire_name} is given twice")
        if value is not None:
            body[wire_name] = value
    check_stream_fields(action, body)
    if client_state is not None:
        _check_client_state(action, client_state)
        body["client_state"] = client_state
    body["command_id"] = command_id
    return body


def _check_client_state(action: str, client_state: str) -> None:
    try:
        decode_client_state(client_state)
    except RemoteProtocolError:
        raise LocalProtocolError(
            f"{action}: client_state is not base64; encode_client_state makes it so"
        ) from None
