"""What an account holds, as values: what is sent to change it, what replies say of it. Pure.

Source: ``types/call_control_application*.py``, ``types/phone_number*.py``,
``types/outbound_voice_profile.py`` and ``types/shared/phone_number*.py`` of Telnyx's Python SDK
4.189.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from .._errors import CallControlError, LocalProtocolError
from .._json_fields import read_text, read_time
from .._redact import cut

APPLICATIONS: Final = "/call_control_applications"
PHONE_NUMBERS: Final = "/phone_numbers"
VERIFIED_NUMBERS: Final = "/verified_numbers"
OUTBOUND_VOICE_PROFILES: Final = "/outbound_voice_profiles"

WEBHOOK_API_VERSION: Final = "2"
"""The form of webhooks that this library reads. Telnyx's own default is "1"."""

_E164: Final = re.compile(r"\+[1-9]\d{6,14}")
_NOT_A_DIGIT: Final = re.compile(r"\D")


@dataclass(frozen=True, kw_only=True)
class CallControlApplication:
    """Where Telnyx sends a call's webhooks.

    Attributes:
        id: what ``dial`` and phone numbers call ``connection_id``.
        name: as the account's owner calls it.
        active: whether it can be used.
        webhook_url: where webhooks go.
        webhook_api_version: "1" or "2".
        outbound_voice_profile_id: None if it cannot dial.
        created_at: aware, in UTC.
    """

    id: str
    name: str = ""
    active: bool = True
    webhook_url: str | None = None
    webhook_api_version: str | None = None
    outbound_voice_profile_id: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class PhoneNumber:
    """A number of the account.

    Attributes:
        id: names it in paths; not the number itself.
        phone_number: E.164.
        connection_id: the application, or other connection, that its calls go to; None for none.
        connection_name: name of that.
        status: such as "active".
    """

    id: str
    phone_number: str
    connection_id: str | None = None
    connection_name: str | None = None
    status: str | None = None


@dataclass(frozen=True, kw_only=True)
class OutboundVoiceProfile:
    """What calls that the account places may do: where to, how many, at which price.

    Attributes:
        id: names it.
        name: as the account's owner calls it.
        enabled: false blocks all calls of the applications that use it.
    """

    id: str
    name: str = ""
    enabled: bool = True


def application_body(
    name: str,
    webhook_url: str,
    *,
    outbound_voice_profile_id: str | None,
    fields: Mapping[str, object],
) -> dict[str, object]:
    """Return the body that makes or changes an application.

    Raises:
        LocalProtocolError: name or URL is empty, or ``fields`` gives a field a second time.
    """
    if not name:
        raise LocalProtocolError("application: name is empty")
    if not webhook_url.startswith(("https://", "http://")):
        raise LocalProtocolError(f"application: {cut(webhook_url)!r} is no address for webhooks")
    body: dict[str, object] = {
        "application_name": name,
        "webhook_event_url": webhook_url,
        "webhook_api_version": WEBHOOK_API_VERSION,
    }
    if outbound_voice_profile_id is not None:
        body["outbound"] = {"outbound_voice_profile_id": outbound_voice_profile_id}
    for field, value in fields.items():
        if field in body and field != "webhook_api_version":
            raise LocalProtocolError(f"application: {field} is given twice")
        if value is not None:
            body[field] = value
    return body


def number_filters(phone_number: str) -> list[str]:
    """Return the values of ``filter[phone_number]`` to try, in this order.

    Telnyx's SDK says that other characters than digits find nothing; examples of Telnyx's and of
    others send the plus sign. Whoever asks must compare what comes back: the filter finds parts.

    Raises:
        LocalProtocolError: that is no number in E.164 form.
    """
    check_number(phone_number)
    return [phone_number, _NOT_A_DIGIT.sub("", phone_number)]


def check_number(phone_number: str) -> None:
    """Check the form of a number, before it becomes part of a path.

    Raises:
        LocalProtocolError: that is no number in E.164 form.
    """
    if not _E164.fullmatch(phone_number):
        raise LocalProtocolError(
            f"{cut(phone_number)!r} is no number in E.164 form, such as +15551234567"
        )


def resource_path(collection: str, resource_id: str) -> str:
    """Return the path of one thing, its id percent-encoded.

    Raises:
        LocalProtocolError: the id is empty, or would lead to another path.
    """
    if resource_id in ("", ".", ".."):
        raise LocalProtocolError(f"{resource_id!r} is not an id of {collection[1:]}")
    return f"{collection}/{quote(resource_id, safe='')}"


def read_application(data: Mapping[str, Any]) -> CallControlApplication:
    """Read an application.

    Raises:
        CallControlError: it has no id.
    """
    outbound = data.get("outbound")
    profile = outbound.get("outbound_voice_profile_id") if isinstance(outbound, dict) else None
    return CallControlApplication(
        id=_read_id(data, "Call Control application"),
        name=read_text(data.get("application_name")) or "",
        active=data.get("active") is not False,
        webhook_url=read_text(data.get("webhook_event_url")),
        webhook_api_version=read_text(data.get("webhook_api_version")),
        outbound_voice_profile_id=read_text(profile),
        created_at=read_time(data.get("created_at")),
    )


def read_phone_number(data: Mapping[str, Any]) -> PhoneNumber:
    """Read a phone number.

    Raises:
        CallControlError: it has no id.
    """
    return PhoneNumber(
        id=_read_id(data, "phone number"),
        phone_number=read_text(data.get("phone_number")) or "",
        connection_id=read_text(data.get("connection_id")),
        connection_name=read_text(data.get("connection_name")),
        status=read_text(data.get("status")),
    )


def read_outbound_voice_profile(data: Mapping[str, Any]) -> OutboundVoiceProfile:
    """Read an outbound voice profile.

    Raises:
        CallControlError: it has no id.
    """
    return OutboundVoiceProfile(
        id=_read_id(data, "outbound voice profile"),
        name=read_text(data.get("name")) or "",
        enabled=data.get("enabled") is not False,
    )


def _read_id(data: Mapping[str, Any], kind: str) -> str:
    found = read_text(data.get("id"))
    if found is None:
        raise CallControlError(f"the reply names no id of the {kind}")
    return found
