"""Whether the account is ready for calls, asked without changing anything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

import trio

from .._errors import (
    AuthenticationFailed,
    CallControlError,
    LocalProtocolError,
    PreflightFailed,
    ResourceNotFound,
)
from .._findings import Finding, FindingStatus
from .._types import EVENTS_PATH
from ..call_control import AccountClient, CallControlApplication, PhoneNumber
from ._credentials import key_refused
from ._numbers import find_number
from ._records import NAME_PREFIX

Direction: TypeAlias = Literal["inbound", "outbound"]

APPLICATION: Final = "Call Control application"
IS_ACTIVE: Final = "application is active"
WEBHOOK_URL: Final = "webhook URL"
WEBHOOK_VERSION: Final = "webhook API version"
NUMBER: Final = "phone number"
ROUTING: Final = "number's routing"
PROFILE: Final = "outbound voice profile"
DESTINATION: Final = "destination is verified"

_WITH_SETUP: Final = "or let --setup-telnyx make a temporary one"

_Check: TypeAlias = Callable[[], Awaitable[list[Finding]]]


async def preflight(
    account: AccountClient,
    *,
    connection_id: str | None,
    public_url: str | None = None,
    phone_number: str | None = None,
    phone_number_id: str | None = None,
    to: str | None = None,
    directions: Collection[Direction] = ("inbound", "outbound"),
    check_verified_destination: bool = True,
) -> list[Finding]:
    """Check all that an account needs for calls, at once, and return every finding.

    A program that wants to go on only if all is well::

        require_ready(await preflight(server.client.account, connection_id=..., public_url=...))

    A table for people takes the findings as they are: one row each, in this order, whose status is
    PASS, FAIL, WARNING or SKIPPED.

    Args:
        account: ``client.account``.
        connection_id: id of the Call Control application.
        public_url: of the server, to which the application's webhooks must go; None skips that.
        phone_number: E.164 number of the account, to be called or to call from.
        phone_number_id: its id, where the number is not known; or as well.
        to: E.164 number that will be dialled.
        directions: "inbound" wants the number routed to the application, "outbound" an enabled
            outbound voice profile.
        check_verified_destination: whether ``to`` must be verified, as for restricted accounts.
            That an account is restricted can't be seen.

    Blocks: until all is checked; several requests run at once.  Cancelled: nothing has changed.
    """
    checks: list[_Check] = [
        partial(_check_application, account, connection_id, public_url, directions),
        partial(_check_number, account, phone_number, phone_number_id, connection_id, directions),
    ]
    if "outbound" in directions:
        checks.append(partial(_check_destination, account, to, check_verified_destination))
    results: dict[int, list[Finding]] = {}

    async def run(place: int, check: _Check) -> None:
        results[place] = await check()

    async with trio.open_nursery() as nursery:
        for place, check in enumerate(checks):
            nursery.start_soon(run, place, check)
    listed = [finding for place in sorted(results) for finding in results[place]]
    # A key that is refused is refused to each of them, and told once.
    return list(dict.fromkeys(listed))


def require_ready(findings: Sequence[Finding]) -> None:
    """Return if nothing failed.

    Raises:
        PreflightFailed: names every failure, what was expected, what was found, what mends it.
    """
    failures = [finding for finding in findings if finding.status is FindingStatus.FAIL]
    if failures:
        raise PreflightFailed(failures)


async def check_destination(account: AccountClient, to: str) -> Finding:
    """Check whether a number may be dialled from a restricted account: whether it is verified.

    Args:
        account: ``client.account``.
        to: E.164 number; for anything else, such as a SIP URI, the finding is SKIPPED.

    Blocks: until Telnyx has answered.  Cancelled: nothing has changed.
    """
    if not to.startswith("+"):
        return _skipped(DESTINATION, "only numbers can be verified")
    expected = f"{to} among the account's verified numbers"
    try:
        is_verified = await account.is_verified_number(to)
    except (CallControlError, LocalProtocolError) as error:
        return _failed_request(DESTINATION, expected, error)
    if is_verified:
        return _passed(DESTINATION, expected, "verified")
    remedy = (
        "Restricted accounts call verified numbers only: verify it in the portal under Numbers,"
        " Verified Numbers; if yours is not restricted, use --skip-verified-destination-check"
    )
    return _failed(DESTINATION, expected, "not verified", remedy)


async def _check_destination(
    account: AccountClient, to: str | None, check_verified_destination: bool
) -> list[Finding]:
    if to is None:
        return [_skipped(DESTINATION, "no number to dial was given")]
    if not check_verified_destination:
        return [_skipped(DESTINATION, "as told")]
    return [await check_destination(account, to)]


async def _check_application(
    account: AccountClient,
    connection_id: str | None,
    public_url: str | None,
    directions: Collection[Direction],
) -> list[Finding]:
    names = [IS_ACTIVE, WEBHOOK_URL, WEBHOOK_VERSION]
    if "outbound" in directions:
        names.append(PROFILE)
    unknown = [_skipped(name, "the application is not known") for name in names]
    expected = f"an application with the id {connection_id}"
    if not connection_id:
        remedy = f"Set TELNYX_CALL_CONTROL_APP_ID, {_WITH_SETUP}"
        return [_failed(APPLICATION, "the id of one", "none", remedy), *unknown]
    try:
        application = await account.get_application(connection_id)
    except ResourceNotFound:
        remedy = (
            "Look the id up in the portal under Voice, Programmable Voice; the id of a SIP"
            f" connection is none; {_WITH_SETUP}"
        )
        return [_failed(APPLICATION, expected, "no such application", remedy), *unknown]
    except (CallControlError, LocalProtocolError) as error:
        return [_failed_request(APPLICATION, expected, error), *unknown]
    findings = [
        _passed(APPLICATION, expected, application.name or connection_id),
        *_judge_application(application, public_url),
    ]
    if "outbound" in directions:
        findings.append(await _check_profile(account, application))
    return findings


def _judge_application(
    application: CallControlApplication, public_url: str | None
) -> list[Finding]:
    where = f"of application {application.id} in the portal"
    findings = [
        _judged(
            IS_ACTIVE,
            "active",
            "active" if application.active else "inactive",
            f"Activate it {where}",
        )
    ]
    if public_url is None:
        findings.append(_skipped(WEBHOOK_URL, "the public address is not known"))
    else:
        wanted, found = f"{public_url}{EVENTS_PATH}", application.webhook_url or "none"
        is_same = _comparable(wanted) == _comparable(found)
        finding = _judged(
            WEBHOOK_URL, wanted, wanted if is_same else found, f"Set the webhook URL {where}"
        )
        findings.append(finding)
    findings.append(
        _judged(
            WEBHOOK_VERSION,
            "2",
            application.webhook_api_version or "none",
            f"Set the webhook API version {where}",
        )
    )
    return findings


async def _check_profile(account: AccountClient, application: CallControlApplication) -> Finding:
    profile_id, expected = application.outbound_voice_profile_id, "an enabled one, to dial with"
    if profile_id is None:
        remedy = f"Choose one under Outbound of application {application.id} in the portal"
        return _failed(PROFILE, expected, "none", remedy)
    try:
        profile = await account.get_outbound_voice_profile(profile_id)
    except CallControlError as error:
        return _failed_request(PROFILE, expected, error)
    if profile.enabled:
        return _passed(PROFILE, expected, profile.name or profile.id)
    remedy = "Enable it in the portal under Voice, Outbound Voice Profiles"
    return _failed(PROFILE, expected, f"{profile.name or profile.id}, disabled", remedy)


async def _check_number(
    account: AccountClient,
    phone_number: str | None,
    phone_number_id: str | None,
    connection_id: str | None,
    directions: Collection[Direction],
) -> list[Finding]:
    unknown = [_skipped(ROUTING, "the number is not known")] if "inbound" in directions else []
    expected = f"{phone_number or f'the number with the id {phone_number_id}'} in this account"
    if not (phone_number or phone_number_id):
        remedy = "Set TELNYX_PHONE_NUMBER, or TELNYX_PHONE_NUMBER_ID"
        return [_failed(NUMBER, "a number of this account", "none", remedy), *unknown]
    try:
        number = await find_number(account, phone_number, phone_number_id)
    except (CallControlError, LocalProtocolError) as error:
        return [_failed_request(NUMBER, expected, error), *unknown]
    remedy = "Look it up in the portal under Numbers, My Numbers"
    if number is None and not phone_number_id and "inbound" not in directions:
        remedy = "Calls can come from a number of another's only if it is verified"
        return [_warning(NUMBER, expected, "no such number", remedy)]
    if number is None or (phone_number and number.phone_number != phone_number):
        found = "no such number" if number is None else f"{number.phone_number} by that id"
        return [_failed(NUMBER, expected, found, remedy), *unknown]
    findings = [_passed(NUMBER, expected, number.phone_number)]
    if "inbound" in directions:
        findings.append(_judge_routing(number, connection_id))
    return findings


def _judge_routing(number: PhoneNumber, connection_id: str | None) -> Finding:
    if not connection_id:
        return _skipped(ROUTING, "the application is not known")
    expected = f"to application {connection_id}"
    if number.connection_id == connection_id:
        return _passed(ROUTING, expected, expected)
    name = number.connection_name or ""
    remedy = (
        f"Choose the application for {number.phone_number} in the portal under Numbers,"
        " or let --setup-telnyx route it for as long as the program runs"
    )
    if name.startswith(NAME_PREFIX):
        remedy = (
            "A run that was killed may have left it so; if no other runs: telnyx-trio setup undo"
        )
    found = f"to {number.connection_id or 'no connection'}{f' ({name})' if name else ''}"
    return _failed(ROUTING, expected, found, remedy)


def _comparable(url: str) -> tuple[str, str, str]:
    """Take apart a URL; scheme and host are the same in any case."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower(), parts.path


def _judged(name: str, expected: str, found: str, remedy: str) -> Finding:
    if found == expected:
        return _passed(name, expected, found)
    return _failed(name, expected, found, remedy)


def _passed(name: str, expected: str, found: str) -> Finding:
    return Finding(name=name, status=FindingStatus.PASS, expected=expected, found=found)


def _failed(name: str, expected: str, found: str, remedy: str) -> Finding:
    return Finding(
        name=name, status=FindingStatus.FAIL, expected=expected, found=found, remedy=remedy
    )


def _warning(name: str, expected: str, found: str, remedy: str) -> Finding:
    return Finding(
        name=name, status=FindingStatus.WARNING, expected=expected, found=found, remedy=remedy
    )


def _skipped(name: str, reason: str) -> Finding:
    return Finding(name=name, status=FindingStatus.SKIPPED, found=f"not checked: {reason}")


def _failed_request(name: str, expected: str, error: Exception) -> Finding:
    if isinstance(error, AuthenticationFailed):
        return key_refused(error)
    remedy = "Try again" if isinstance(error, CallControlError) else "Correct the setting"
    return _failed(name, expected, str(error), remedy)
