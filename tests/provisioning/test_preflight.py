"""What the preflight finds, all in one run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from account_fake import (
    API_KEY,
    BASE_URL,
    EARLIER_CONNECTION_ID,
    OUR_NUMBER,
    OUR_NUMBER_ID,
    PROFILE_ID,
    Asked,
    FakeAccount,
    Fault,
)
from trio.testing import MockClock

from telnyx_trio import Finding, FindingStatus, PreflightFailed, preflight, require_ready
from telnyx_trio.call_control import open_client

FRIEND = "+15550100002"
PUBLIC_URL = "https://shop.example"

NAMES = [
    "Call Control application",
    "application is active",
    "webhook URL",
    "webhook API version",
    "outbound voice profile",
    "phone number",
    "number's routing",
    "destination is verified",
]


async def check(account: FakeAccount, key: str = API_KEY, **changes: Any) -> dict[str, Finding]:
    arguments = {
        "connection_id": EARLIER_CONNECTION_ID,
        "public_url": PUBLIC_URL,
        "phone_number": OUR_NUMBER,
        "to": FRIEND,
        **changes,
    }
    async with open_client(key, base_url=BASE_URL, transport=account.transport()) as client:
        findings = await preflight(client.account, **arguments)
    return {finding.name: finding for finding in findings}


def ready(**settings: Any) -> FakeAccount:
    return FakeAccount.furnished(verified={FRIEND}, **settings)


def statuses(findings: dict[str, Finding]) -> set[FindingStatus]:
    return {finding.status for finding in findings.values()}


async def test_account_that_is_ready() -> None:
    """Everything passes, in the order of a call's way; nothing is changed."""
    account = ready()
    before = account.state
    findings = await check(account)
    assert list(findings) == NAMES
    assert statuses(findings) == {FindingStatus.PASS}
    require_ready(list(findings.values()))
    assert account.state == before
    assert {asked.method for asked in account.asked} == {"GET"}


async def test_number_by_its_id_and_host_in_capitals() -> None:
    """The id alone is enough, and a host is the same in any case."""
    findings = await check(
        ready(), phone_number=None, phone_number_id=OUR_NUMBER_ID, public_url="https://SHOP.example"
    )
    assert statuses(findings) == {FindingStatus.PASS}


Break = Callable[[FakeAccount], object]


def application(account: FakeAccount) -> dict[str, Any]:
    return account.applications[EARLIER_CONNECTION_ID]


@pytest.mark.parametrize(
    ("spoil", "name", "found"),
    [
        (lambda a: a.applications.clear(), "Call Control application", "no such application"),
        (lambda a: application(a).update(active=False), "application is active", "inactive"),
        (
            lambda a: application(a).update(webhook_event_url="https://old.example/telnyx/events"),
            "webhook URL",
            "https://old.example/telnyx/events",
        ),
        (
            lambda a: application(a).update(webhook_event_url="https://shop.example"),
            "webhook URL",
            "https://shop.example",
        ),
        (lambda a: application(a).update(webhook_api_version="1"), "webhook API version", "1"),
        (lambda a: application(a).update(outbound={}), "outbound voice profile", "none"),
        (
            lambda a: a.profiles[PROFILE_ID].update(enabled=False),
            "outbound voice profile",
            "Default, disabled",
        ),
        (lambda a: a.numbers.clear(), "phone number", "no such number"),
        (
            lambda a: a.numbers[OUR_NUMBER_ID].update(connection_id=None),
            "number's routing",
            "to no connection",
        ),
        (
            lambda a: a.numbers[OUR_NUMBER_ID].update(connection_id="77", connection_name="fax"),
            "number's routing",
            "to 77 (fax)",
        ),
        (lambda a: a.verified.clear(), "destination is verified", "not verified"),
    ],
)
async def test_one_thing_that_is_wrong(spoil: Break, name: str, found: str) -> None:
    """Each fault is found alone, with what was expected and what mends it."""
    account = ready()
    spoil(account)
    findings = await check(account)
    failed = [f for f in findings.values() if f.status is FindingStatus.FAIL]
    assert [f.name for f in failed] == [name]
    assert failed[0].found == found
    assert failed[0].expected
    assert failed[0].remedy


async def test_all_that_is_wrong_is_told_at_once() -> None:
    """One error names every failure; what can't be checked any more is skipped."""
    account = ready()
    account.applications.clear()
    account.numbers.clear()
    account.verified.clear()
    findings = await check(account)
    skipped = [f.name for f in findings.values() if f.status is FindingStatus.SKIPPED]
    assert skipped == [*NAMES[1:5], "number's routing"]
    with pytest.raises(PreflightFailed) as caught:
        require_ready(list(findings.values()))
    assert [f.name for f in caught.value.failures] == [NAMES[0], "phone number", NAMES[-1]]
    for failure in caught.value.failures:
        for text in (failure.expected, failure.found, failure.remedy):
            assert text in str(caught.value)


async def test_nothing_is_set() -> None:
    """Without settings, what is missing is named with its variable."""
    findings = await check(ready(), connection_id=None, phone_number=None, public_url=None, to=None)
    failed = {n: f.remedy for n, f in findings.items() if f.status is FindingStatus.FAIL}
    assert set(failed) == {"Call Control application", "phone number"}
    assert "TELNYX_CALL_CONTROL_APP_ID" in failed["Call Control application"]
    assert "TELNYX_PHONE_NUMBER" in failed["phone number"]


async def test_number_of_another_to_call_from() -> None:
    """It may be verified, which is for Telnyx to judge: a warning, and no reason not to try."""
    findings = await check(ready(), phone_number=FRIEND, directions=["outbound"])
    assert findings["phone number"].status is FindingStatus.WARNING
    require_ready(list(findings.values()))


async def test_number_that_a_killed_run_has_left() -> None:
    """The temporary application that it leads to is known by its name."""
    account = ready()
    name = "telnyx-trio-temporary-20260401T100000Z-00000000"
    account.numbers[OUR_NUMBER_ID].update(connection_id="77", connection_name=name)
    findings = await check(account)
    assert "telnyx-trio setup undo" in findings["number's routing"].remedy


async def test_directions_choose_what_is_checked() -> None:
    """To be called takes routing, to call takes a profile; nobody pays for what he does not use."""
    account = FakeAccount.furnished()
    application(account)["outbound"] = {}
    inbound = await check(account, directions=["inbound"])
    assert statuses(inbound) == {FindingStatus.PASS}
    account = ready()
    account.numbers[OUR_NUMBER_ID]["connection_id"] = None
    outbound = await check(account, directions=["outbound"])
    assert statuses(outbound) == {FindingStatus.PASS}


@pytest.mark.parametrize("to", [FRIEND, "sip:friend@example.com"])
async def test_destination_that_need_not_be_verified(to: str) -> None:
    """The check is left out when told so, and for what can't be verified."""
    account = FakeAccount.furnished()
    findings = await check(account, to=to, check_verified_destination=to != FRIEND)
    assert findings["destination is verified"].status is FindingStatus.SKIPPED


async def test_number_and_id_that_do_not_belong_together() -> None:
    """An id of another number is found out."""
    findings = await check(ready(), phone_number=FRIEND, phone_number_id=OUR_NUMBER_ID)
    assert findings["phone number"].found == f"{OUR_NUMBER} by that id"


async def test_wrong_key_is_told_once() -> None:
    """A refused key is one failure, not one for each thing that could not be asked."""
    findings = await check(ready(), key="KEY-wrong")
    failed = [f for f in findings.values() if f.status is FindingStatus.FAIL]
    assert [(f.name, f.found) for f in failed] == [("API key", "HTTP 401")]
    assert "KEY-wrong" not in str(failed)


async def test_telnyx_that_does_not_answer(autojump_clock: MockClock) -> None:
    """An outage is a finding of each check that met it; the others come out as they are."""

    def out(number: int, asked: Asked, moment: str) -> Fault | None:
        return Fault.SILENT_BEFORE if asked.path.startswith("/phone_numbers") else None

    findings = await check(ready(watch=out))
    failed = [f for f in findings.values() if f.status is FindingStatus.FAIL]
    assert [f.name for f in failed] == ["phone number"]
    assert "gave no reply" in failed[0].found
