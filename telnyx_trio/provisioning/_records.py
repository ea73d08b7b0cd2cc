"""What is written down before the account is changed, so that another process can undo it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

NAME_PREFIX: Final = "telnyx-trio-temporary-"
"""Begins the name of every temporary application, so that people and other runs know it."""

_RUN_ID: Final = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")


@dataclass(frozen=True, kw_only=True)
class Routing:
    """A number that is routed to the temporary application.

    Attributes:
        phone_number: E.164.
        phone_number_id: names it in paths.
        previous_connection_id: where its calls went before; None for nowhere.
    """

    phone_number: str
    phone_number_id: str
    previous_connection_id: str | None


@dataclass(frozen=True, kw_only=True)
class SetupRecord:
    """One temporary set-up: what may have been changed, and how it was before. No secret in it.

    Attributes:
        run_id: unique; part of the application's name and of the file's.
        account: fingerprint of API and key, by which a run knows whether it can undo this.
        api: scheme and host of the API, for people.
        pid: of the process; for people, as another process may have it by now.
        started_at: ISO 8601, for people.
        application_id: None until the reply to its creation is there.
        routing: None until a number is about to be routed.
        version: of this form.
    """

    run_id: str
    account: str
    api: str
    pid: int
    started_at: str
    application_id: str | None = None
    routing: Routing | None = None
    version: Literal[1] = 1

    @property
    def application_name(self) -> str:
        """Name of the temporary application, by which it is found when its id is not known."""
        return application_name(self.run_id)


def application_name(run_id: str) -> str:
    """Return the name of a run's application."""
    return f"{NAME_PREFIX}{run_id}"


def encode_record(record: SetupRecord) -> bytes:
    """Return a record as JSON that people can read."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def decode_record(data: bytes, run_id: str) -> SetupRecord:
    """Return the record that ``encode_record`` was given.

    Args:
        data: content of the file.
        run_id: as the file's name says.

    Raises:
        ValueError: that is no record, or another run's; the text says why.
    """
    record = msgspec.json.decode(data, type=SetupRecord)
    if record.run_id != run_id or not _RUN_ID.fullmatch(run_id):
        raise ValueError("the file's name is not that of its run")
    if record.routing is not None and record.application_id is None:
        raise ValueError("a number is routed, but the application is not named")
    return record
