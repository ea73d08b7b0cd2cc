"""Whether keys and clock are right, and what is said if they are not."""

from __future__ import annotations

import httpx
import pytest
from trio.testing import MockClock

from telnyx_trio import Finding, FindingStatus, open_client
from telnyx_trio.provisioning import check_credentials, check_public_key
from telnyx_trio.testing import CarrierSettings, open_carrier

PUBLIC_KEY = "exatCRz0h5yCEKF9VDEsRrKKC1Zr3FiYzuRFrhUkFCo="


async def check(skew: float = 0.0, key: str | None = None) -> list[Finding]:
    """Check against the simulator, in memory."""
    async with open_carrier(settings=CarrierSettings(clock_skew=skew)) as carrier:
        transport = carrier.http_transport()
        async with open_client(key or carrier.api_key, transport=transport) as client:
            return await check_credentials(client.account)


@pytest.mark.parametrize(
    ("skew", "status", "words"),
    [
        (0, FindingStatus.PASS, ""),
        (100, FindingStatus.WARNING, "behind Telnyx's"),
        (-100, FindingStatus.WARNING, "ahead of Telnyx's"),
        (400, FindingStatus.FAIL, "behind Telnyx's"),
        (-400, FindingStatus.FAIL, "ahead of Telnyx's"),
    ],
)
async def test_clock(skew: float, status: FindingStatus, words: str) -> None:
    """Up to 30 s are well, up to 300 s a warning; beyond, webhooks would be refused."""
    key, clock = await check(skew)
    assert key.status is FindingStatus.PASS
    assert clock.status is status
    assert words in clock.found
    assert bool(clock.remedy) == (status is not FindingStatus.PASS)


async def test_refused_key_is_told_and_the_clock_all_the_same() -> None:
    """A 401 has a date too; the key is in neither finding."""
    key, clock = await check(400, key="KEY-of-another-account")
    assert key.status is clock.status is FindingStatus.FAIL
    assert key.found == "HTTP 401"
    assert "KEY-of-another-account" not in f"{key}{clock}"


async def test_api_that_does_not_answer(autojump_clock: MockClock) -> None:
    """Nothing is known of the clock then."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    async with open_client("KEY", transport=httpx.MockTransport(refuse)) as client:
        key, clock = await check_credentials(client.account)
        assert client.account.clock_skew is None
    assert key.status is FindingStatus.FAIL
    assert "TELNYX_BASE_URL" in key.remedy
    assert clock.status is FindingStatus.SKIPPED


@pytest.mark.parametrize("date", ["yesterday", "", "Thu, 99 Nov 2026 10:00:00 GMT"])
async def test_date_that_is_none(date: str) -> None:
    """A reply without a date that can be read tells nothing of the clock."""

    def reply(request: httpx.Request) -> httpx.Response:
        page = {"data": [], "meta": {"total_pages": 1}}
        return httpx.Response(200, json=page, headers={"date": date})

    async with open_client("KEY", transport=httpx.MockTransport(reply)) as client:
        key, clock = await check_credentials(client.account)
    assert key.status is FindingStatus.PASS
    assert clock.status is FindingStatus.SKIPPED


@pytest.mark.parametrize(
    ("public_key", "words"), [("not base64!", "not base64"), (PUBLIC_KEY[:20], "bytes, not 32")]
)
def test_public_key_of_another_form(public_key: str, words: str) -> None:
    """Its form is told; the key itself is not."""
    finding = check_public_key(public_key)
    assert finding.status is FindingStatus.FAIL
    assert words in finding.found
    assert public_key not in str(finding)
    assert "TELNYX_PUBLIC_KEY" in finding.remedy


def test_public_key() -> None:
    """A key of the right form passes."""
    assert check_public_key(f" {PUBLIC_KEY}\n").status is FindingStatus.PASS
