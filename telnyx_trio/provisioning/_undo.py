"""Putting an account back as it was before a temporary set-up, by its record.

The same steps serve a run that ends, one that failed half-way, and the next start after one that
was killed: each looks how things are before it does anything, so that it can be repeated, and
touches nothing that is not the run's own any more.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio

from .._errors import ResourceNotFound, TelnyxError
from ..call_control import AccountClient, CallControlApplication
from ._journal import Journal, JournalEntry, RunJournal
from ._records import Routing, SetupRecord

logger = logging.getLogger("telnyx_trio.setup")

UNDO_TIMEOUT: Final = 20.0
"""Seconds for one run's set-up. What is not done by then stays in the journal."""

LOOK_AGAIN_PAUSES: Final = (0.0, 1.0, 2.0)
"""Seconds before each look for an application whose creation has an unknown fate. A request whose
reply was lost may still be at work when it is looked for."""

_LATER: Final = "then, or to try again: telnyx-trio setup undo"


@dataclass
class UndoReport:
    """What came of undoing one run; each entry is a sentence for people.

    Attributes:
        name: of the run's application.
        done: what was put back.
        left: what is left as it is, because it is not the run's any more.
        failed: what could not be put back, why, and how to mend it by hand.
    """

    name: str
    done: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return all of it, each sentence with what it is about in front."""
        return [
            *(f"put back: {sentence}" for sentence in self.done),
            *(f"left as it is: {sentence}" for sentence in self.left),
            *(f"not put back: {sentence}" for sentence in self.failed),
        ]


async def undo(account: AccountClient, record: SetupRecord) -> UndoReport:
    """Route the number back and delete the application, as far as they are still the run's.

    Blocks: at most 20 s.  Cancelled: some of it may be done; the record holds on.
    """
    report = UndoReport(record.application_name)
    with trio.move_on_after(UNDO_TIMEOUT) as scope:
        if record.routing is None or await _route_back(account, record, record.routing, report):
            await _delete(account, record, report)
        else:
            report.failed.append(f"the application {_describe(record)} stays for that long")
    if scope.cancelled_caught:
        report.failed.append(
            f"undoing took more than {UNDO_TIMEOUT:g} s; what may stay: {_describe_all(record)};"
            f" {_LATER}"
        )
    return report


async def undo_dead_runs(
    account: AccountClient, *, state_dir: str | Path | None = None
) -> list[UndoReport]:
    """Put back what runs on this machine left that were killed.

    Runs that live are left alone. What was made with another API key is reported as left, a file
    that can't be read as failed; both files stay.

    Args:
        account: ``client.account``.
        state_dir: of the undo journal; None is the user's own.

    Raises:
        SetupError: the journal can't be opened.
    Blocks: at most 20 s a run.  Cancelled: the rest stays for the next time.
    """
    journal = Journal(state_dir)
    reports = []
    for entry in journal.entries():
        with journal.take_over(entry) as taken:
            if taken is not None:
                reports.append(await _undo_entry(account, *taken))
    return reports


async def _undo_entry(account: AccountClient, entry: JournalEntry, run: RunJournal) -> UndoReport:
    report = UndoReport(entry.application_name)
    if entry.record is None:
        report.failed.append(
            f"{entry.path} can't be read ({entry.problem}): look in the portal for the application"
            f" {entry.application_name} and for numbers that are routed to it; then remove the file"
        )
    elif entry.record.account != account.fingerprint:
        report.left.append(
            f"{_describe_all(entry.record)} at {entry.record.api} belongs to another API key;"
            " undo it with that one"
        )
    else:
        report = await undo(account, entry.record)
        if not report.failed:
            run.discard()
    return report


async def find_application(account: AccountClient, name: str) -> CallControlApplication | None:
    """Look for an application by its name, more than once, as its creation may be under way."""
    for pause in LOOK_AGAIN_PAUSES:
        await trio.sleep(pause)
        for application in await account.find_applications(name):
            if application.name == name:
                return application
    return None


async def _route_back(
    account: AccountClient, record: SetupRecord, routing: Routing, report: UndoReport
) -> bool:
    """Return whether the number leads to the temporary application no more."""
    number = routing.phone_number
    before = routing.previous_connection_id
    try:
        found = await account.get_phone_number(routing.phone_number_id)
        if found.connection_id == before:
            pass
        elif found.connection_id != record.application_id:
            report.left.append(
                f"{number} was routed to {found.connection_id or 'no connection'} by somebody else"
                f" meanwhile, and stays so; before it led to {before or 'no connection'}"
            )
        else:
            await account.route_phone_number(found.id, before)
            report.done.append(f"{number} is routed to {before or 'no connection'} again")
    except ResourceNotFound as error:
        if error.action == "get_phone_number":
            report.left.append(f"{number} is not in the account any more")
            return True
        _fail_to_route(report, record, routing, error)
        return False
    except TelnyxError as error:
        _fail_to_route(report, record, routing, error)
        return False
    return True


def _fail_to_route(
    report: UndoReport, record: SetupRecord, routing: Routing, error: Exception
) -> None:
    before = routing.previous_connection_id or "no connection"
    report.failed.append(
        f"{routing.phone_number} may still be routed to {_describe(record)} ({error}). By hand:"
        f" portal, Numbers, {routing.phone_number}: choose {before}; {_LATER}"
    )


async def _delete(account: AccountClient, record: SetupRecord, report: UndoReport) -> None:
    name = record.application_name
    try:
        if record.application_id is None:
            application = await find_application(account, name)
        else:
            application = await account.get_application(record.application_id)
        if application is None:
            return
        if application.name != name:
            # Somebody has made it his own; or the file is not what we wrote.
            report.left.append(f"the application {application.id} is not called {name} any more")
            return
        await account.delete_application(application.id)
        report.done.append(f"the application {name} is deleted")
    except ResourceNotFound:
        return
    except TelnyxError as error:
        report.failed.append(
            f"the application {_describe(record)} may still be there ({error}). By hand: delete it"
            f" in the portal under Voice, Programmable Voice; {_LATER}"
        )


def _describe(record: SetupRecord) -> str:
    known = f" ({record.application_id})" if record.application_id else ""
    return f"{record.application_name}{known}"


def _describe_all(record: SetupRecord) -> str:
    text = f"the application {_describe(record)}"
    if record.routing is not None:
        before = record.routing.previous_connection_id or "no connection"
        text += f", and the routing of {record.routing.phone_number}, which led to {before} before"
    return text


def log_report(report: UndoReport) -> None:
    """Tell in the log what came of undoing a run."""
    level = logging.INFO
    if report.left:
        level = logging.WARNING
    if report.failed:
        level = logging.ERROR
    for line in report.lines():
        logger.log(level, "%s", line)
