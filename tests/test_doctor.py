"""``telnyx-trio doctor``: each row fails in turn, against the simulator's account."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import trio
from ports import reserved_port
from small_http import Answer, open_http

from telnyx_trio import Call, Finding, FindingStatus, PcmData, ServerConfig, serve_calls
from telnyx_trio._cli import _doctor, main
from telnyx_trio._cli._findings_table import print_findings
from telnyx_trio._cli._loopback import LoopbackCall, check_loopback, judge_loopback
from telnyx_trio._cli._settings import Settings, read_settings
from telnyx_trio.testing import Carrier, open_carrier

NUMBER = "+15550001111"
FRIEND = "+15550002222"
PUBLIC_URL = "https://voice.example"
LOOPBACK = [
    "loopback call",
    "codec",
    "byte order",
    "round-trip delay",
    "clipping",
    "lost packets",
]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "PUBLIC_KEY", "BASE_URL", "CALL_CONTROL_APP_ID", "PHONE_NUMBER_ID"):
        monkeypatch.delenv(f"TELNYX_{name}", raising=False)
    for name in ("TELNYX_PHONE_NUMBER", "NGROK_URL", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@asynccontextmanager
async def open_account(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Carrier]:
    """A carrier over sockets with all that calls need, to which the environment leads."""
    async with open_carrier() as carrier:
        carrier.webhook_url = f"{PUBLIC_URL}/telnyx/events"
        carrier.account.add_number(NUMBER, connection_id=carrier.connection_id)
        carrier.account.add_verified_number(FRIEND)
        monkeypatch.setenv("TELNYX_API_KEY", carrier.api_key)
        monkeypatch.setenv("TELNYX_PUBLIC_KEY", carrier.public_key)
        monkeypatch.setenv("TELNYX_BASE_URL", carrier.base_url)
        monkeypatch.setenv("TELNYX_CALL_CONTROL_APP_ID", carrier.connection_id)
        monkeypatch.setenv("TELNYX_PHONE_NUMBER", NUMBER)
        yield carrier


async def run(*arguments: str) -> int:
    """Run the command as the shell does, beside the carrier; returns its exit status."""

    def run_here() -> int:
        with pytest.raises(SystemExit) as caught:
            main(["doctor", *arguments])
        assert isinstance(caught.value.code, int)
        return caught.value.code

    return await trio.to_thread.run_sync(run_here)


def read(options: argparse.Namespace) -> Settings:
    """Read settings as the command does; without a .env file."""
    return read_settings(argparse.Namespace(env_file=None, **vars(options)))


async def check_account(carrier: Carrier, **changes: Any) -> dict[str, Finding]:
    """Check the account alone."""
    fields = {
        "offline": False,
        "connection_id": carrier.connection_id,
        "phone_number": NUMBER,
        "phone_number_id": None,
        "to": FRIEND,
        "skip_verified_destination_check": False,
        **changes,
    }
    options = argparse.Namespace(**fields)
    findings = await _doctor.check_account(read(options), options, PUBLIC_URL)
    return {finding.name: finding for finding in findings}


def names(findings: dict[str, Finding], status: FindingStatus) -> set[str]:
    return {finding.name for finding in findings.values() if finding.status is status}


async def test_all_is_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every row passes, beside a server that runs and goes on running; status 0, as JSON."""
    async with open_account(monkeypatch) as carrier, trio.open_nursery() as nursery:
        config = replace(ServerConfig.from_environment(public_url="http://127.0.0.1"), port=0)
        server = await nursery.start(serve_calls, _echo, replace(config, public_url=None))
        port = server.url.rpartition(":")[2]
        carrier.webhook_url = f"{server.url}/telnyx/events"
        arguments = ["--public-url", server.url, "--port", port, "--to", FRIEND, "--json"]
        status = await run(*arguments)
        printed = capsys.readouterr().out
        report = json.loads(printed)
        assert {row["name"]: row["status"] for row in report["findings"]} == dict.fromkeys(
            [
                "API key",
                "clock",
                "public key",
                "Call Control application",
                "application is active",
                "webhook URL",
                "webhook API version",
                "outbound voice profile",
                "phone number",
                "number's routing",
                "destination is verified",
                "public address",
                "webhook reachability",
                *LOOPBACK,
            ],
            "pass",
        ), printed
        assert status == report["status"] == 0
        assert carrier.api_key not in printed
        assert carrier.public_key not in printed
        nursery.cancel_scope.cancel()


async def test_proxy_that_can_not_be_used_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both rows that would need it fail; none of the others is lost."""
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://x")
    monkeypatch.setenv("TELNYX_API_KEY", "KEY-x")
    options = argparse.Namespace(offline=False)
    findings = await _doctor.check_account(read(options), options, PUBLIC_URL)
    key = next(finding for finding in findings if finding.name == "API key")
    assert key.status is FindingStatus.FAIL
    assert "HTTPS_PROXY" in key.found
    with reserved_port() as port:
        finding = await _doctor.check_reachability(PUBLIC_URL, port, "it leads here")
    assert finding.status is FindingStatus.FAIL
    assert "HTTPS_PROXY" in finding.found


async def test_every_failure_is_a_row_of_one_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1, each row with what was expected, found, and what mends it."""
    with reserved_port() as port, reserved_port() as nobodys:
        url = f"http://127.0.0.1:{nobodys}"
        async with open_account(monkeypatch) as carrier:
            _spoil(carrier)
            monkeypatch.setenv("TELNYX_PUBLIC_KEY", "c2hvcnQ=")
            assert await run("--public-url", url, "--port", str(port), "--to", "+15550009999") == 1
            printed = capsys.readouterr().out
    assert carrier.api_key not in printed
    failing = set(re.findall(r"^FAIL +(.+?)  ", printed, re.M))
    # How the call on this machine went depends on what else the machine does.
    assert failing - set(LOOPBACK) == {
        "clock",
        "public key",
        "application is active",
        "webhook URL",
        "outbound voice profile",
        "number's routing",
        "destination is verified",
        "webhook reachability",
    }, printed
    assert printed.count("expected") == printed.count(" found ") >= 8
    assert "checking" in printed
    assert printed.isascii()


def _spoil(carrier: Carrier) -> None:
    """Make everything wrong that can be wrong at once."""
    carrier.settings.clock_skew = 400
    account = carrier.account
    application = account.applications[carrier.connection_id]
    application["active"] = False
    profile_id = application["outbound"]["outbound_voice_profile_id"]
    account.profiles[profile_id]["enabled"] = False
    for number in account.numbers.values():
        number["connection_id"] = "1293384261075731499"


async def test_account_rows_fail_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong thing makes its own row fail; what depends on it is skipped with the reason."""
    async with open_account(monkeypatch) as carrier:
        assert names(await check_account(carrier), FindingStatus.FAIL) == set()

        rows = await check_account(carrier, connection_id="999")
        assert "Call Control application" in names(rows, FindingStatus.FAIL)
        assert "webhook URL" in names(rows, FindingStatus.SKIPPED)

        rows = await check_account(carrier, phone_number="+15550003333")
        assert names(rows, FindingStatus.FAIL) == {"phone number"}

        with monkeypatch.context() as unset:
            unset.delenv("TELNYX_CALL_CONTROL_APP_ID")
            unset.delenv("TELNYX_PHONE_NUMBER")
            rows = await check_account(carrier, connection_id=None, phone_number=None)
        assert names(rows, FindingStatus.FAIL) == {"Call Control application", "phone number"}

        monkeypatch.setenv("TELNYX_API_KEY", "KEY-of-somebody-else")
        rows = await check_account(carrier)
        assert "API key" in names(rows, FindingStatus.FAIL)
        assert {"clock", "public key"} <= names(rows, FindingStatus.PASS)
        assert "KEY-of-somebody-else" not in str(rows)

        monkeypatch.setenv("TELNYX_BASE_URL", "telnyx")
        rows = await check_account(carrier)
        assert "API key" in names(rows, FindingStatus.FAIL)


async def test_without_a_key_the_account_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing is a row with a remedy, and makes status 2 unless it was meant."""
    async with open_account(monkeypatch) as carrier:
        monkeypatch.delenv("TELNYX_API_KEY")
        rows = await check_account(carrier)
        assert rows["account"].status is FindingStatus.SKIPPED
        assert "TELNYX_API_KEY" in rows["API key"].remedy
        assert _doctor.exit_status(list(rows.values()), offline=False) == 2
        assert _doctor.exit_status(list(rows.values()), offline=True) == 0
        assert not carrier.requests


async def test_public_address_that_is_none() -> None:
    """None at all is missing; one that is no address fails."""
    options = argparse.Namespace(public_url="ftp://voice.example", port="8000")
    (finding,) = await _doctor.find_address(read(options))
    assert finding.status is FindingStatus.FAIL
    (finding,) = await _doctor.find_address(read(argparse.Namespace(public_url=None, port="1")))
    assert finding.status is FindingStatus.SKIPPED
    assert "--public-url" in finding.remedy


async def test_reachability_without_a_server() -> None:
    """Nobody listens: a server does for the check, and the port is free again afterwards."""
    with reserved_port() as port:
        for _ in range(2):
            finding = await _doctor.check_reachability(f"http://127.0.0.1:{port}", port, "")
            assert finding.status is FindingStatus.PASS, finding
            assert "a server that ran there" in finding.found


async def test_reachability_past_another_program() -> None:
    """Something else at the port, or at the public address, is told apart."""

    async def answer(*_: object) -> Answer:
        return 200, [("server", "nginx")], b"hello"

    async with open_http(answer) as url:
        port = int(url.rpartition(":")[2])
        finding = await _doctor.check_reachability(PUBLIC_URL, port, "expected")
        assert finding.status is FindingStatus.FAIL
        assert f"Something else listens at port {port}" in finding.remedy
        with reserved_port() as free:
            finding = await _doctor.check_reachability(url, free, "expected")
        assert finding.status is FindingStatus.FAIL
        assert "by nginx" in finding.found
        assert "tunnel or proxy" in finding.remedy


async def _echo(call: Call) -> None:
    async for pcm in call.received:
        await call.send(pcm)


async def _shout(call: Call) -> None:
    async for pcm in call.received:
        loud = np.clip(pcm.mono_int16().astype(int) * 2, -32768, 32767).astype(np.int16)
        await call.send(PcmData(sample_rate=pcm.sample_rate, format="s16", samples=loud))


async def _mangle(call: Call) -> None:
    async for pcm in call.received:
        swapped = pcm.mono_int16().byteswap()
        await call.send(PcmData(sample_rate=pcm.sample_rate, format="s16", samples=swapped))


async def test_loopback_finds_what_a_faulty_path_does() -> None:
    """Twice as loud clips, swapped bytes are no speech; the other rows stand."""
    findings: dict[str, dict[str, Finding]] = {}

    async def check(handler: Any) -> None:
        rows = await check_loopback(handler)
        assert [row.name for row in rows] == LOOPBACK
        findings[handler.__name__] = {row.name: row for row in rows}

    async with trio.open_nursery() as nursery:
        for handler in (_shout, _mangle):
            nursery.start_soon(check, handler)
    assert "clipping" in names(findings["_shout"], FindingStatus.FAIL)
    assert "codec" in names(findings["_mangle"], FindingStatus.FAIL)
    for rows in findings.values():
        assert {"loopback call", "byte order"} <= names(rows, FindingStatus.PASS)


GOOD = LoopbackCall("L16 big-endian", True, "big", "big", correlation=0.999, delay=0.05)


@pytest.mark.parametrize(
    ("call", "name", "status"),
    [
        (replace(GOOD, correlation=0.5), "codec", FindingStatus.FAIL),
        (replace(GOOD, found_byteorder="little"), "byte order", FindingStatus.FAIL),
        (replace(GOOD, delay=0.4), "round-trip delay", FindingStatus.WARNING),
        (replace(GOOD, delay=1.4), "round-trip delay", FindingStatus.FAIL),
        (replace(GOOD, clipped=1), "clipping", FindingStatus.FAIL),
        (replace(GOOD, lost=1), "lost packets", FindingStatus.FAIL),
    ],
)
def test_one_bad_figure_makes_one_row_fail(
    call: LoopbackCall, name: str, status: FindingStatus
) -> None:
    """The row of the figure, with a remedy; the other rows pass."""
    findings = {finding.name: finding for finding in judge_loopback([GOOD, call])}
    assert list(findings) == LOOPBACK
    assert findings[name].status is status
    assert findings[name].remedy
    assert names(findings, FindingStatus.PASS) == set(LOOPBACK) - {name}


def test_a_call_that_is_not_up_leaves_nothing_to_measure() -> None:
    """The call fails, the rest is skipped."""
    findings = {row.name: row for row in judge_loopback([GOOD, LoopbackCall("PCMU", False)])}
    assert names(findings, FindingStatus.FAIL) == {"loopback call"}
    assert names(findings, FindingStatus.SKIPPED) == set(LOOPBACK[1:])


@pytest.fixture
def findings() -> list[Finding]:
    return [
        Finding(name="one", status=FindingStatus.PASS, expected="1", found="one [b]"),
        Finding(name="two", status=FindingStatus.FAIL, expected="2", found="3", remedy="Count"),
        Finding(name="three", status=FindingStatus.SKIPPED, found="not checked: why"),
        Finding(name="four", status=FindingStatus.WARNING, expected="4", found="4.1"),
    ]


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1", "NO_COLOR": "1"}])
def test_table_in_ascii(
    variables: dict[str, str],
    findings: list[Finding],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No terminal, or one without colours."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    print_findings(findings)
    assert capsys.readouterr().out.splitlines() == [
        "ok       one    one [b]",
        "FAIL     two    expected 2",
        "                found 3",
        "                Count",
        "-        three  not checked: why",
        "warning  four   expected 4",
        "                found 4.1",
    ]


def test_table_on_a_terminal(
    findings: list[Finding], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With marks; what was found is not read as markup."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_findings(findings)
    printed = capsys.readouterr().out
    for text in ("✓", "✗", "one [b]", "Count"):
        assert text in printed
