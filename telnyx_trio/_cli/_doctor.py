"""``telnyx-trio doctor``: what keeps a phone from ringing here, all of it in one run."""

from __future__ import annotations

import argparse
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import trio

from .. import (
    ConfigurationError,
    Finding,
    FindingStatus,
    PublicUrlUnreachable,
    ServerConfig,
)
from ..provisioning import check_credentials, check_public_key
from ..servers import check_running_server, open_server
from ..testing import open_carrier
from ._connection import add_account_flags, look_at_account
from ._findings_table import print_findings
from ._loopback import check_loopback
from ._progress import show_progress
from ._settings import Settings, read_settings

_DESCRIPTION = """\
Check all that a phone call needs: the keys and the clock, the application, the number and its
routing, the outbound voice profile, whether the public address leads to this machine, and a call
on this machine itself. Nothing is changed. Where no server runs, one listens at --port for the
moment of the check; one that runs is left alone.
"""

_EPILOG = """\
examples:
  telnyx-trio doctor
      with the settings of the environment, and ngrok's tunnel if one runs
  telnyx-trio doctor --public-url https://phone.example.com --port 8000
  telnyx-trio doctor --offline
      only what needs no network: the form of the public key, and the call on this machine
  telnyx-trio doctor --json | jq -r '.findings[] | select(.status == "fail") | .remedy'

status: 0 all is well, 1 something fails, 2 settings are missing and nothing else is wrong
TELNYX_API_KEY and TELNYX_PUBLIC_KEY are read from the environment or a .env file; they are never
shown.
"""

_API_KEY: Final = "API key"
_PUBLIC_KEY: Final = "public key"
_ADDRESS: Final = "public address"
_REACHABILITY: Final = "webhook reachability"
_ACCOUNT: Final = "account"
_SETTINGS: Final = "settings"

_ACCOUNT_TIMEOUT: Final = 40.0
_REACHABILITY_TIMEOUT: Final = 45.0
"""Seconds. A single request may take 30 s, and is given up by itself before."""

_Section: TypeAlias = Callable[[], Awaitable[list[Finding]]]


def fill_doctor_parser(parser: argparse.ArgumentParser) -> None:
    """Make this command's parser of an empty one."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    add_account_flags(parser)
    parser.add_argument("--offline", action="store_true", help="check what needs no network, only")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON, only")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    findings = trio.run(_examine, options)
    status = exit_status(findings, offline=options.offline)
    if options.json:
        listed = [{**vars(finding), "status": finding.status.value} for finding in findings]
        print(json.dumps({"status": status, "findings": listed}, indent=2))
    else:
        print_findings(findings)
    return status


def exit_status(findings: Sequence[Finding], *, offline: bool) -> int:
    """Return 1 if something fails, else 2 if settings are missing that were wanted, else 0."""
    if any(finding.status is FindingStatus.FAIL for finding in findings):
        return 1
    # What is skipped and can be mended is missing; the rest waits for that, or for nothing.
    is_missing = any(
        finding.status is FindingStatus.SKIPPED and finding.remedy for finding in findings
    )
    return 2 if is_missing and not offline else 0


async def _examine(options: argparse.Namespace) -> list[Finding]:
    """Run every section at once, and return what they found in their order."""
    settings = read_settings(options)
    sections: dict[str, _Section] = {}
    results: dict[str, list[Finding]] = {}

    async def run(name: str) -> None:
        results[name] = await sections[name]()

    def describe() -> str:
        pending = [name for name in sections if name not in results]
        return f"checking {', '.join(pending or ['the settings'])}"

    async with show_progress(describe, quiet=options.json):
        address = [] if options.offline else await find_address(settings)
        public_url = next((one.found for one in address if one.status is FindingStatus.PASS), None)
        sections = {
            "the account": lambda: check_account(settings, options, public_url),
            "the public address": lambda: _check_address(settings, options, address, public_url),
            "a call on this machine": check_loopback,
        }
        async with trio.open_nursery() as nursery:
            for name in sections:
                nursery.start_soon(run, name)
    wrong = [_failed(_SETTINGS, "settings that can be", text, "") for text in settings.problems]
    return wrong + [finding for name in sections for finding in results[name]]


async def check_account(
    settings: Settings, options: argparse.Namespace, public_url: str | None
) -> list[Finding]:
    """Check keys and clock, then what the account holds."""
    if options.offline:
        return [_skipped(_API_KEY, "--offline"), *_check_public_key(settings)]
    if settings["api_key"] is None:
        return [
            _missing(_API_KEY, "TELNYX_API_KEY: portal, API Keys; without it, use --offline"),
            *_check_public_key(settings),
            _skipped(_ACCOUNT, "there is no API key"),
        ]
    findings: list[Finding] = []
    with trio.move_on_after(_ACCOUNT_TIMEOUT) as scope:
        try:
            async with settings.open_client() as client:
                findings += await check_credentials(client.account)
                findings += _check_public_key(settings)
                if client.account.clock_skew is None:
                    findings.append(_skipped(_ACCOUNT, "Telnyx's API did not answer"))
                else:
                    findings += await look_at_account(client.account, settings, options, public_url)
        except ConfigurationError as error:
            found = "; ".join(error.problems)
            findings.append(_failed(_API_KEY, "settings that lead to Telnyx", found, ""))
    if scope.cancelled_caught:
        found = f"no answer within {_ACCOUNT_TIMEOUT:g} s"
        findings.append(_failed(_ACCOUNT, "answers of Telnyx's API", found, "Try again"))
    return list(dict.fromkeys(findings))


def _check_public_key(settings: Settings) -> list[Finding]:
    if settings["public_key"] is None:
        return [_missing(_PUBLIC_KEY, "TELNYX_PUBLIC_KEY: portal, API Keys, Public Key")]
    finding = check_public_key(settings["public_key"])
    if finding.status is FindingStatus.PASS:
        return [finding]
    return [replace(finding, found=f"{finding.found} (from {settings.sources['public_key']})")]


async def find_address(settings: Settings) -> list[Finding]:
    """Look for the public address; it is what a finding that passes has found."""
    try:
        found = await settings.find_public_url()
    except ConfigurationError as error:
        remedy = "; ".join(error.problems)
        if settings["public_url"]:
            return [_failed(_ADDRESS, "https://host", "something else", remedy)]
        return [
            Finding(name=_ADDRESS, status=FindingStatus.SKIPPED, found="not set", remedy=remedy)
        ]
    return [Finding(name=_ADDRESS, status=FindingStatus.PASS, expected="an address", found=found)]


async def _check_address(
    settings: Settings,
    options: argparse.Namespace,
    address: list[Finding],
    public_url: str | None,
) -> list[Finding]:
    """Check that the public address leads to the server on this machine."""
    if options.offline:
        return [_skipped(_REACHABILITY, "--offline")]
    if public_url is None:
        return [*address, _skipped(_REACHABILITY, "the public address is not known")]
    expected = f"{public_url} leads to port {settings['port']} of this machine"
    with trio.move_on_after(_REACHABILITY_TIMEOUT):
        return [*address, await check_reachability(public_url, settings["port"], expected)]
    found = f"no answer within {_REACHABILITY_TIMEOUT:g} s"
    return [*address, _failed(_REACHABILITY, expected, found, "Try again")]


async def check_reachability(public_url: str, port: int, expected: str) -> Finding:
    """Check that an address leads to a port of this machine, with or without a server there."""
    local_url = f"http://127.0.0.1:{port}"
    by = "the server that runs there"
    try:
        try:
            await check_running_server(public_url, local_url)
        except PublicUrlUnreachable as error:
            if error.url != local_url or error.hop != "TCP":
                raise
            by = "a server that ran there for this check"
            await _check_with_own_server(public_url, port)
    except PublicUrlUnreachable as error:
        remedy = (
            "Start the tunnel or proxy, and have it lead to that port; or set NGROK_URL anew"
            if error.url == public_url
            else f"Something else listens at port {port}: end it, or give the server's --port"
        )
        return _failed(_REACHABILITY, expected, f"{error.problem} (at {error.hop})", remedy)
    except ConfigurationError as error:
        return _failed(_REACHABILITY, expected, "; ".join(error.problems), "")
    except OSError as error:
        return _failed(_REACHABILITY, expected, str(error), "Give another --port")
    return Finding(
        name=_REACHABILITY, status=FindingStatus.PASS, expected=expected, found=f"reached {by}"
    )


async def _check_with_own_server(public_url: str, port: int) -> None:
    """Run a server for as long as the check takes.

    Its keys are a simulator's, so that a call that comes in this very moment is refused, as it
    would have been without a server, and not taken by a handler that is none.
    """

    async def never(_call: object) -> None:
        raise AssertionError("nobody can call with these keys")

    async with open_carrier() as carrier:
        config = ServerConfig(
            api_key=carrier.api_key,
            public_key=carrier.public_key,
            base_url=carrier.base_url,
            public_url=public_url,
            port=port,
        )
        async with open_server(config, never) as server:
            await server.check_public_url()


def _missing(name: str, variable: str) -> Finding:
    return Finding(
        name=name, status=FindingStatus.SKIPPED, found="not set", remedy=f"Set {variable}"
    )


def _skipped(name: str, reason: str) -> Finding:
    return Finding(name=name, status=FindingStatus.SKIPPED, found=f"not checked: {reason}")


def _failed(name: str, expected: str, found: str, remedy: str) -> Finding:
    return Finding(
        name=name, status=FindingStatus.FAIL, expected=expected, found=found, remedy=remedy
    )
