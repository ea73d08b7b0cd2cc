"""What Telnyx's answers mean: replies as values, refusals as errors. Pure.

Source: ``types/call_dial_response.py`` and ``types/call_retrieve_status_response.py`` of Telnyx's
Python SDK 4.189; the shape of errors: Telnyx, "API error codes", "Rate limiting".
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from .._errors import (
    ApiError,
    AuthenticationFailed,
    CallAlreadyEnded,
    CallControlError,
    CallControlRefused,
    RateLimited,
    ResourceNotFound,
)
from .._json_fields import read_text, read_time

CALL_HAS_ENDED_CODE: Final = "90018"

_MAX_ERRORS: Final = 10
_MAX_ERROR_CHARACTERS: Final = 500


@dataclass(frozen=True, kw_only=True)
class DialReply:
    """Telnyx has taken the order to dial; whether anyone answers comes by webhook.

    Attributes:
        call_control_id: names the leg in commands. Later webhooks may use another one for it.
        call_leg_id: names the leg.
        call_session_id: shared by the legs of one call.
        is_alive: false for a leg that is only being dialled.
        client_state: base64, as it was set.
        recording_id: when recording was asked for.
    """

    call_control_id: str
    call_leg_id: str | None = None
    call_session_id: str | None = None
    is_alive: bool = False
    client_state: str | None = None
    recording_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class CallStatus:
    """What Telnyx knows of a leg now, or up to ten minutes after its end.

    Attributes:
        call_control_id: names the leg in commands.
        call_leg_id: names the leg.
        call_session_id: shared by the legs of one call.
        is_alive: whether the leg is up.
        client_state: base64, as it was set.
        call_duration: seconds, None if Telnyx does not say.
        start_time: aware, in UTC.
        end_time: aware, in UTC; None while the leg is up.
    """

    call_control_id: str
    call_leg_id: str | None = None
    call_session_id: str | None = None
    is_alive: bool = False
    client_state: str | None = None
    call_duration: float | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None


@dataclass(frozen=True)
class Page:
    """One page of a list.

    Attributes:
        items: entries that are JSON objects.
        total_pages: how many pages there are; 1 if Telnyx does not say.
    """

    items: list[dict[str, Any]]
    total_pages: int = 1


def read_data(action: str, status: int, body: bytes) -> dict[str, Any]:
    """Return ``data`` of a reply that Telnyx sent with a 2xx status; empty if it is null.

    Raises:
        CallControlError: the reply has not that shape.
    """
    envelope = _read_json(action, status, body)
    data = envelope.get("data", {}) if isinstance(envelope, dict) else None
    if isinstance(envelope, dict) and data is None:
        return {}
    if not isinstance(data, dict):
        raise CallControlError(f"{action}: the HTTP {status} reply has no data object")
    return data


def read_page(action: str, status: int, body: bytes) -> Page:
    """Read one page of a list that Telnyx sent with a 2xx status.

    Raises:
        CallControlError: the reply has not that shape.
    """
    envelope = _read_json(action, status, body)
    data = envelope.get("data") if isinstance(envelope, dict) else None
    if not isinstance(envelope, dict) or not isinstance(data, list):
        raise CallControlError(f"{action}: the HTTP {status} reply has no data list")
    meta = envelope.get("meta")
    total = meta.get("total_pages") if isinstance(meta, dict) else None
    return Page(
        [item for item in data if isinstance(item, dict)],
        total if isinstance(total, int) else 1,
    )


def read_dial_reply(data: Mapping[str, Any]) -> DialReply:
    """Read the reply to ``dial``.

    Raises:
        CallControlError: it names no call. There may be one all the same.
    """
    return DialReply(
        **_read_leg("dial", data),
        recording_id=read_text(data.get("recording_id")),
    )


def read_call_status(data: Mapping[str, Any]) -> CallStatus:
    """Read the reply to ``GET /calls/{id}``.

    Raises:
        CallControlError: it names no call.
    """
    duration = data.get("call_duration")
    return CallStatus(
        **_read_leg("get_call", data),
        call_duration=float(duration) if isinstance(duration, int | float) else None,
        start_time=read_time(data.get("start_time")),
        end_time=read_time(data.get("end_time")),
    )


def read_refusal(
    action: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    is_about_call: bool,
    secrets: Collection[str] = (),
) -> CallControlRefused:
    """Return the error for an answer with a status other than 2xx.

    Args:
        action: what was asked for.
        status: HTTP status code.
        headers: of the answer; looked up in lower case.
        body: of the answer; need not be what Telnyx documents.
        is_about_call: the path named a call, so that 404 means that call.
        secrets: texts to cut out of what Telnyx says: it may quote what it was sent.
    """
    errors = _read_errors(body, secrets)
    if any(error.code == CALL_HAS_ENDED_CODE for error in errors):
        return CallAlreadyEnded(action, status, errors)
    if status == 404:
        gone = CallAlreadyEnded if is_about_call else ResourceNotFound
        return gone(action, status, errors)
    if status in (401, 403):
        return AuthenticationFailed(action, status, errors)
    if status == 429:
        asked = _seconds(headers.get("retry-after"))
        if asked is None:
            asked = _seconds(headers.get("x-ratelimit-reset"))
        return RateLimited(action, status, errors, retry_after=asked)
    return CallControlRefused(action, status, errors)


def _read_json(action: str, status: int, body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        # The cause is dropped: a UnicodeDecodeError holds the whole body.
        raise CallControlError(f"{action}: the HTTP {status} reply is not JSON") from None


def _read_leg(action: str, data: Mapping[str, Any]) -> dict[str, Any]:
    call_control_id = data.get("call_control_id")
    if not isinstance(call_control_id, str) or not call_control_id:
        raise CallControlError(f"{action}: the reply has no call_control_id")
    return {
        "call_control_id": call_control_id,
        "call_leg_id": read_text(data.get("call_leg_id")),
        "call_session_id": read_text(data.get("call_session_id")),
        "is_alive": data.get("is_alive") is True,
        "client_state": read_text(data.get("client_state")),
    }


def _read_errors(body: bytes, secrets: Collection[str]) -> tuple[ApiError, ...]:
    try:
        envelope = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return ()
    listed = envelope.get("errors") if isinstance(envelope, dict) else None
    if not isinstance(listed, list):
        return ()

    def say(value: object) -> str:
        text = str(value) if isinstance(value, str | int) else ""
        # The longest first, so that a part does not spoil the whole.
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, "...")
        return text[:_MAX_ERROR_CHARACTERS]

    errors: list[ApiError] = []
    for entry in listed[:_MAX_ERRORS]:
        if not isinstance(entry, dict):
            continue
        source = entry.get("source")
        place = source.get("pointer") or source.get("parameter") if isinstance(source, dict) else ""
        errors.append(
            ApiError(
                code=say(entry.get("code")),
                title=say(entry.get("title")),
                detail=say(entry.get("detail")),
                pointer=say(place) or None,
            )
        )
    return tuple(errors)


def _seconds(text: str | None) -> float | None:
    """Read a header that holds seconds; ``retry-after`` may hold a date, which is not read."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
