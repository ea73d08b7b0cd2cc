"""Whether the keys and the clock are right, before anything is asked that needs them."""

from __future__ import annotations

from typing import Final

from .._errors import AuthenticationFailed, CallControlError, ConfigurationError
from .._findings import Finding, FindingStatus
from ..call_control import AccountClient
from ..webhooks import DEFAULT_TOLERANCE, WebhookVerifier

API_KEY: Final = "API key"
CLOCK: Final = "clock"
PUBLIC_KEY: Final = "public key"

_KEY_EXPECTED: Final = "a key of this account"
_CLOCK_WARNING: Final = 30.0
"""Seconds. A clock that is set by the network is right to less than one."""


async def check_credentials(account: AccountClient) -> list[Finding]:
    """Check that the API key is taken, and that both clocks agree.

    Returns:
        Two findings, "API key" and "clock"; the second is known also when the key is refused.

    Blocks: as every request of the client.  Cancelled: nothing has changed.
    """
    try:
        await account.check_key()
    except CallControlError as error:
        finding = key_refused(error)
    else:
        finding = Finding(
            name=API_KEY, status=FindingStatus.PASS, expected=_KEY_EXPECTED, found="taken"
        )
    return [finding, judge_clock(account.clock_skew)]


def key_refused(error: CallControlError) -> Finding:
    """Return what it means that a request of the account failed."""
    if isinstance(error, AuthenticationFailed):
        found = f"HTTP {error.status}"
        remedy = "Take a key of this account from the portal, API Keys, and set TELNYX_API_KEY"
    else:
        found, remedy = str(error), "Is TELNYX_BASE_URL right, and the network there? Try again"
    return Finding(
        name=API_KEY, status=FindingStatus.FAIL, expected=_KEY_EXPECTED, found=found, remedy=remedy
    )


def judge_clock(skew: float | None) -> Finding:
    """Return what it means that Telnyx's clock is ahead of ours by these seconds."""
    if skew is None:
        return Finding(
            name=CLOCK, status=FindingStatus.SKIPPED, found="not checked: there was no dated reply"
        )
    direction = "behind" if skew > 0 else "ahead of"
    status = (
        FindingStatus.PASS
        if abs(skew) <= _CLOCK_WARNING
        else FindingStatus.WARNING
        if abs(skew) <= DEFAULT_TOLERANCE
        else FindingStatus.FAIL
    )
    return Finding(
        name=CLOCK,
        status=status,
        expected=f"within {DEFAULT_TOLERANCE:g} s of Telnyx's, or webhooks are refused as stale",
        found=f"{abs(skew):.0f} s {direction} Telnyx's",
        remedy="" if status is FindingStatus.PASS else "Set this machine's clock by NTP",
    )


def check_public_key(public_key: str) -> Finding:
    """Check the form of the key that webhooks are verified with.

    Whether it is the account's own shows with the first webhook: Telnyx's API does not tell.
    """
    expected = "base64 of 32 bytes"
    try:
        WebhookVerifier(public_key)
    except ConfigurationError as error:
        # Its problems tell the form and the length, never the key.
        return Finding(
            name=PUBLIC_KEY,
            status=FindingStatus.FAIL,
            expected=expected,
            found="; ".join(error.problems),
            remedy="Set TELNYX_PUBLIC_KEY",
        )
    return Finding(
        name=PUBLIC_KEY, status=FindingStatus.PASS, expected=expected, found="well-formed"
    )
