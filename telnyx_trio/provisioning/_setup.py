"""A temporary set-up of an account: made, used, and taken back, whatever happens meanwhile."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import trio

from .._errors import (
    CallControlError,
    CallControlUnreachable,
    ResourceNotFound,
    SetupError,
    UndoFailed,
)
from .._types import EVENTS_PATH
from ..call_control import (
    AccountClient,
    CallControlApplication,
    OutboundVoiceProfile,
    PhoneNumber,
    TelnyxClient,
    has_unknown_fate,
)
from ._journal import Journal
from ._numbers import find_number
from ._profiles import choose_profile
from ._records import NAME_PREFIX, Routing, SetupRecord
from ._undo import find_application, log_report, undo, undo_dead_runs

CHANGE_TIMEOUT: Final = 15.0
"""Seconds that one change of the account may take. It can't be cancelled: a request that was sent
can't be taken back, and who does not wait for its reply does not know what to undo."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class TemporarySetup:
    """What there is for as long as a temporary set-up is open.

    Attributes:
        connection_id: id of the temporary Call Control application, for ``server.dial``.
        application_name: its name in the portal.
        outbound_voice_profile: that it dials with.
        phone_number: E.164 number whose calls go to it; None if no number was given.
    """

    connection_id: str
    application_name: str
    outbound_voice_profile: OutboundVoiceProfile
    phone_number: str | None = None


@asynccontextmanager
async def open_temporary_setup(
    client: TelnyxClient,
    *,
    public_url: str,
    phone_number: str | None = None,
    phone_number_id: str | None = None,
    outbound_voice_profile: str | None = None,
    state_dir: str | Path | None = None,
) -> AsyncIterator[TemporarySetup]:
    """Make a Call Control application for as long as the body runs; route a number to it.

    First what dead runs left on this machine is put back. What is changed is written to the undo
    journal beforehand, so that the next start, or ``telnyx-trio setup undo``, can put it back even
    if this process is killed.

    Args:
        client: of the account.
        public_url: address that leads to the server, which must be listening; the application's
            webhooks go to its ``/telnyx/events``. Check it first: ``server.check_public_url()``.
        phone_number: E.164 number of the account, whose calls are to come; None to dial only.
        phone_number_id: its id, instead of the number.
        outbound_voice_profile: id or name; None takes the only one that is enabled.
        state_dir: of the undo journal; None is the user's own, or ``TELNYX_TRIO_STATE_DIR``.

    Raises:
        SetupError: the account has no such number or profile, or the number is another run's, or
            the journal can't be written. Nothing was changed, or it was put back.
        UndoFailed: the body ended well, but something could not be put back. What it was is also
            logged, and noted at the error with which the body ended, if it did.
        CallControlError: Telnyx can't be asked, or refused. What had been changed was put back.
    Cancelled: whatever was changed is put back, shielded, for at most 20 s.
    """
    account, journal = client.account, Journal(state_dir)
    for report in await undo_dead_runs(account, state_dir=state_dir):
        log_report(report)
    profile = choose_profile(await account.list_outbound_voice_profiles(), outbound_voice_profile)
    number = None
    if phone_number or phone_number_id:
        number = await find_number(account, phone_number, phone_number_id)
        if number is None:
            raise SetupError(f"the account has no number {phone_number or phone_number_id}")
        if phone_number and number.phone_number != phone_number:
            raise SetupError(
                f"the id {phone_number_id} is of {number.phone_number}, not of {phone_number}:"
                " correct or leave out one of TELNYX_PHONE_NUMBER_ID and TELNYX_PHONE_NUMBER"
            )
    claim = (
        journal.claim_number(number.phone_number, account.fingerprint) if number else nullcontext()
    )
    with claim:
        run = _Run(account, journal)
        try:
            yield await run.make(f"{public_url}{EVENTS_PATH}", profile, number)
        except BaseException as error:
            for problem in await run.undo():
                error.add_note(f"not put back: {problem}")
            raise
        problems = await run.undo()
        if problems:
            raise UndoFailed(problems)


class _Run:
    """The changes that one run makes, each written down before."""

    def __init__(self, account: AccountClient, journal: Journal) -> None:
        self._account = account
        run_id, self._file = journal.begin()
        self._record = SetupRecord(
            run_id=run_id,
            account=account.fingerprint,
            api=account.api,
            pid=os.getpid(),
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self._may_have_changed = False

    async def make(
        self, webhook_url: str, profile: OutboundVoiceProfile, number: PhoneNumber | None
    ) -> TemporarySetup:
        """Make the application, and route the number to it."""
        if number is not None:
            number = await self._find_free(number)
        await self._write(self._record)
        application = await self._create(webhook_url, profile)
        routing = None
        if number is not None:
            routing = Routing(
                phone_number=number.phone_number,
                phone_number_id=number.id,
                previous_connection_id=number.connection_id,
            )
        await self._write(replace(self._record, application_id=application.id, routing=routing))
        if number is not None:
            await trio.lowlevel.checkpoint_if_cancelled()
            await _change(
                lambda: self._account.route_phone_number(number.id, application.id),
                f"routing {number.phone_number}",
            )
        return TemporarySetup(
            connection_id=application.id,
            application_name=application.name,
            outbound_voice_profile=profile,
            phone_number=number.phone_number if number else None,
        )

    async def undo(self) -> list[str]:
        """Put everything back; return what could not be. Shielded."""
        if not self._may_have_changed:
            self._file.discard()
            return []
        with trio.CancelScope(shield=True):
            report = await undo(self._account, self._record)
        log_report(report)
        if report.failed:
            self._file.close()
        else:
            self._file.discard()
        return report.failed

    async def _write(self, record: SetupRecord) -> None:
        """Put a record on disk; when this returns, the change it tells of may be made."""
        await trio.to_thread.run_sync(self._file.write, record)
        self._record = record

    async def _find_free(self, number: PhoneNumber) -> PhoneNumber:
        """Return the number as it is now, if it is not another run's."""
        number = await self._account.get_phone_number(number.id)
        if number.connection_id is None:
            return number
        try:
            application = await self._account.get_application(number.connection_id)
        except ResourceNotFound:
            return number  # another kind of connection
        if application.name.startswith(NAME_PREFIX):
            raise SetupError(
                f"{number.phone_number} is routed to {application.name}, the temporary application"
                " of another run, perhaps on another machine; end that one first. If it was killed,"
                " run there: telnyx-trio setup undo. Nothing was changed"
            )
        return number

    async def _create(
        self, webhook_url: str, profile: OutboundVoiceProfile
    ) -> CallControlApplication:
        """Make the application; if the reply is lost, find it by its name."""
        name = self._record.application_name
        await trio.lowlevel.checkpoint_if_cancelled()
        self._may_have_changed = True
        try:
            return await _change(
                lambda: self._account.create_application(
                    name, webhook_url, outbound_voice_profile_id=profile.id
                ),
                "making an application",
            )
        except CallControlError as error:
            if not has_unknown_fate(error):
                self._may_have_changed = False
                raise
            application = await find_application(self._account, name)
            if application is None:
                raise
            return application


async def _change(request: Callable[[], Awaitable[T]], what: str) -> T:
    """Send one request that changes something, and wait for its reply whatever is cancelled."""
    with trio.move_on_after(CHANGE_TIMEOUT, shield=True):
        return await request()
    raise CallControlUnreachable(what, request_sent=True)
