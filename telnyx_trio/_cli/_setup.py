"""``telnyx-trio setup``: whether an account is ready, and what killed runs left in it."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import trio

from .. import (
    ConfigurationError,
    Finding,
    FindingStatus,
    TelnyxError,
    undo_dead_runs,
)
from ..provisioning import Journal, JournalEntry
from ._connection import add_account_flags, look_at_account
from ._findings_table import print_findings
from ._settings import read_settings
from ._settings_table import add_settings
from ._table import print_table

_DESCRIPTION = """\
Check whether a Telnyx account is ready for calls, and put back what a program with --setup-telnyx
could not, because it was killed.

Whatever such a program changes it first writes to an undo journal, in the user's state folder or
in TELNYX_TRIO_STATE_DIR. The next program puts it back; so does "undo".
"""

_EPILOG = """\
examples:
  telnyx-trio setup check --public-url https://abc.ngrok-free.app
      application, webhook URL, number, routing and outbound voice profile; changes nothing
  telnyx-trio setup check --to +15557654321
      also whether that number is verified, as restricted accounts need
  telnyx-trio setup show
      what temporary set-ups there are on this machine, and which of them are running
  telnyx-trio setup undo
      put back what dead ones left; status 1 if something remains

TELNYX_API_KEY is needed for check and undo.
"""


def fill_setup_parser(parser: argparse.ArgumentParser) -> None:
    """Make this command's parser of an empty one."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="whether the account is ready; changes nothing")
    add_account_flags(check)
    check.set_defaults(run=_run_check)
    undo = actions.add_parser("undo", help="put back what killed runs left")
    add_settings(undo, ["base_url"])
    undo.set_defaults(run=_run_undo)
    show = actions.add_parser("show", help="show the undo journal")
    show.set_defaults(run=_run_show)


def _run_check(options: argparse.Namespace) -> int:
    return _run(_check, options)


def _run_undo(options: argparse.Namespace) -> int:
    return _run(_undo, options)


def _run(act: Any, options: argparse.Namespace) -> int:
    try:
        status: int = trio.run(act, options)
    except ConfigurationError:
        raise  # the command line tells each of its problems
    except TelnyxError as error:
        print(f"telnyx-trio: {error}", file=sys.stderr)
        return 1
    return status


async def _check(options: argparse.Namespace) -> int:
    settings = read_settings(options)
    findings = []
    public_url = None
    try:
        public_url = await settings.find_public_url()
    except ConfigurationError as error:
        findings.append(
            Finding(
                name="public address",
                status=FindingStatus.FAIL,
                expected="where Telnyx reaches the server",
                found="none",
                remedy=str(error),
            )
        )
    async with settings.open_client() as client:
        findings += await look_at_account(client.account, settings, options, public_url)
    print_findings(findings)
    return int(any(finding.status is FindingStatus.FAIL for finding in findings))


async def _undo(options: argparse.Namespace) -> int:
    async with read_settings(options).open_client() as client:
        reports = await undo_dead_runs(client.account)
    for report in reports:
        print(report.name)
        for line in report.lines():
            print(f"  {line}")
    remaining = [entry for entry in Journal().entries() if not entry.is_live]
    if not reports:
        print("there is nothing to put back")
    elif remaining:
        print(f"{len(remaining)} of {len(reports)} remain; the journal is in {Journal().folder}")
    return int(bool(remaining))


def _run_show(options: argparse.Namespace) -> int:
    try:
        journal = Journal()
    except TelnyxError as error:
        print(f"telnyx-trio: {error}", file=sys.stderr)
        return 1
    entries = journal.entries()
    print(f"{len(entries)} temporary set-ups in {journal.folder}")
    for entry in entries:
        print_table(_describe(entry))
    return 0


def _describe(entry: JournalEntry) -> list[tuple[str, str]]:
    rows = [("application", entry.application_name)]
    record = entry.record
    if record is None:
        return [*rows, ("state", f"the file can't be read: {entry.problem}")]
    state = "running" if entry.is_live else "dead; telnyx-trio setup undo puts it back"
    rows += [
        ("id", record.application_id or "not known"),
        ("state", state),
        ("started", f"{record.started_at}, process {record.pid}"),
        ("at", record.api),
    ]
    if record.routing is not None:
        before = record.routing.previous_connection_id or "no connection"
        rows.append(("number", f"{record.routing.phone_number}, which led to {before} before"))
    return rows
