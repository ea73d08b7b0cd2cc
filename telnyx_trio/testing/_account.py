"""An account at the carrier: applications, numbers, profiles. Sans-I/O: the date is passed in.

Everything is kept in the shape of Telnyx's replies, so that a reply is a copy of what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from random import Random
from typing import Any, Final

from ._account_fields import APPLICATION_FIELDS, NUMBER_FIELDS, PROFILE_FIELDS
from ._fields import Fields, Record, check_fields, defaults, merge
from ._refusals import Refusal

CODE_OF_ANY_VERIFICATION: Final = "123456"
"""What the carrier texts, or speaks, to a number that is to be verified."""


class Account:
    """What belongs to the holder of the API key.

    A test puts in what it needs with the ``add_`` methods and reads the tables. A record in a table
    is the stored one: changing it is what somebody's portal would do.

    Args:
        random: source of ids.
        today: tells the date, ISO 8601.

    Attributes:
        applications: Call Control applications by id, the oldest first.
        profiles: outbound voice profiles by id.
        numbers: phone numbers by id.
        verified_numbers: by E.164 number, with the plus sign.
        sip_connections: names of connections that no call can be controlled with, by id.
    """

    def __init__(self, *, random: Random, today: Callable[[], str]) -> None:
        self.applications: dict[str, Record] = {}
        self.profiles: dict[str, Record] = {}
        self.numbers: dict[str, Record] = {}
        self.verified_numbers: dict[str, Record] = {}
        self.sip_connections: dict[str, str] = {}
        self._awaiting_code: set[str] = set()
        self._random = random
        self._today = today

    def add_application(self, application_name: str, **fields: Any) -> Record:
        """Add a Call Control application, with Telnyx's defaults for what is not given.

        Raises:
            Refusal: a field that Telnyx would refuse.
        """
        return self.create_application({"application_name": application_name, **fields})

    def add_profile(self, name: str, **fields: Any) -> Record:
        """Add an outbound voice profile, enabled unless told otherwise.

        Raises:
            Refusal: a field that Telnyx would refuse.
        """
        return self.create_profile({"name": name, **fields})

    def add_number(
        self, phone_number: str, *, connection_id: str | None = None, **fields: Any
    ) -> Record:
        """Add a phone number.

        Args:
            phone_number: E.164.
            connection_id: of what its calls are routed to.
            **fields: further ones of the record, such as ``status`` and ``tags``.
        """
        record = self._new_record("phone_number", NUMBER_FIELDS) | {
            "phone_number": phone_number,
            "connection_id": connection_id,
            "status": "active",
            "phone_number_type": "local",
            "country_iso_alpha2": "US",
            "source_type": "number_order",
            "deletion_lock_enabled": False,
            "inbound_call_screening": "disabled",
        }
        record["purchased_at"] = record["created_at"]
        record.update(fields)
        self.numbers[record["id"]] = record
        return record

    def add_verified_number(self, phone_number: str) -> Record:
        """Add a number that a restricted account may call."""
        record = {
            "phone_number": phone_number,
            "record_type": "verified_number",
            "verified_at": self._today(),
        }
        self._awaiting_code.discard(phone_number)
        self.verified_numbers[phone_number] = record
        return record

    def add_sip_connection(self, name: str) -> str:
        """Add a connection that is no Call Control application; returns its id."""
        connection_id = self._new_id()
        self.sip_connections[connection_id] = name
        return connection_id

    def create_application(self, body: Mapping[str, Any]) -> Record:
        """Create an application as a request asks.

        Raises:
            Refusal: a field is missing or will not do; 422.
        """
        changes = self._check_application(body)
        record = self._new_record("call_control_application", APPLICATION_FIELDS)
        merge(record, changes)
        self.applications[record["id"]] = record
        return record

    def update_application(self, record: Record, body: Mapping[str, Any]) -> None:
        """Change an application.

        Raises:
            Refusal: a field is missing or will not do; 422.
        """
        self._change(record, self._check_application(body))

    def delete_application(self, record: Record) -> None:
        """Delete an application. Its live legs go on and keep its webhook URL.

        Raises:
            Refusal: a number is routed to it; 422, 10021.
        """
        if any(routed["connection_id"] == record["id"] for routed in self.numbers.values()):
            raise Refusal(422, "10021", "phone numbers are routed to this application")
        del self.applications[record["id"]]

    def create_profile(self, body: Mapping[str, Any]) -> Record:
        """Create an outbound voice profile as a request asks.

        Raises:
            Refusal: a field is missing or will not do; 422.
        """
        changes = check_fields(PROFILE_FIELDS, body)
        record = self._new_record("outbound_voice_profile", PROFILE_FIELDS)
        merge(record, changes)
        self.profiles[record["id"]] = record
        return record

    def update_profile(self, record: Record, body: Mapping[str, Any]) -> None:
        """Change a profile.

        Raises:
            Refusal: a field is missing or will not do; 422.
        """
        self._change(record, check_fields(PROFILE_FIELDS, body))

    def delete_profile(self, record: Record) -> None:
        """Delete a profile.

        Raises:
            Refusal: an application uses it; 422, 10021.
        """
        if self._users_of(record):
            raise Refusal(422, "10021", "applications use this outbound voice profile")
        del self.profiles[record["id"]]

    def update_number(self, record: Record, body: Mapping[str, Any]) -> None:
        """Change a phone number; a ``connection_id`` of None or "" takes its routing away.

        Raises:
            Refusal: a field will not do (422), or there is no such connection (422, 10017).
        """
        changes = check_fields(NUMBER_FIELDS, body)
        connection_id = changes.get("connection_id")
        if connection_id == "":
            changes["connection_id"] = None
        elif connection_id is not None and self.connection_name(connection_id) is None:
            detail = "'connection_id' is no connection of this account"
            raise Refusal(422, "10017", detail, "connection_id")
        self._change(record, changes)

    def request_verification(self, phone_number: str) -> None:
        """Send a number its code."""
        self._awaiting_code.add(phone_number)

    def verify(self, phone_number: str, code: str) -> Record:
        """Take the code of a number.

        Raises:
            Refusal: nobody asked for its verification (404), or the code is wrong (422).
        """
        if phone_number not in self._awaiting_code:
            raise Refusal(404, "10005", "there is no such verification")
        if code != CODE_OF_ANY_VERIFICATION:
            raise Refusal(422, "10015", "the verification code is wrong", "verification_code")
        return self.add_verified_number(phone_number)

    def connection_name(self, connection_id: str) -> str | None:
        """Return the name of an application or SIP connection, None if there is none."""
        application = self.applications.get(connection_id)
        if application is None:
            return self.sip_connections.get(connection_id)
        name: str = application["application_name"]
        return name

    def route(self, to: str, default: str) -> Record | None:
        """Return the application that takes calls to a number, None if nothing does.

        Args:
            to: the number that is called.
            default: id of the application that takes calls to numbers the account does not have.
        """
        connection_id = default
        for record in self.numbers.values():
            if record["phone_number"] == to:
                connection_id = record["connection_id"] or ""
        application = self.applications.get(connection_id)
        return application if application is not None and application["active"] else None

    def may_dial(self, connection_id: str, to: str, *, restricted: bool) -> Record:
        """Return the application that a call is dialled with.

        Args:
            connection_id: as the request has it.
            to: the number to be called.
            restricted: whether only verified numbers may be called.

        Raises:
            Refusal: it is no active Call Control application (422, 10015), has no enabled outbound
                voice profile (403, 10010), or the number is not verified (403, 10039).
        """
        application = self.applications.get(connection_id)
        if application is None:
            detail = "'connection_id' is no Call Control application of this account"
            raise Refusal(422, "10015", detail, "connection_id")
        if not application["active"]:
            detail = "the Call Control application is not active"
            raise Refusal(422, "10015", detail, "connection_id")
        profile = self.profiles.get(application["outbound"]["outbound_voice_profile_id"])
        if profile is None:
            # Status, code and text as an account in the field got them (dograh issue 778).
            raise Refusal(403, "10010", "Connection has no Outbound Profile assigned D38.")
        if not profile["enabled"]:
            raise Refusal(403, "10010", "the outbound voice profile is disabled")
        if restricted and to.startswith("+") and to not in self.verified_numbers:
            detail = "this account may call verified numbers only, and 'to' is not verified"
            raise Refusal(403, "10039", detail, "to")
        return application

    def show(self, record: Record) -> Record:
        """Return a record as replies have it, with what is counted or looked up."""
        shown = deepcopy(record)
        if record["record_type"] == "phone_number":
            shown["connection_name"] = self.connection_name(record["connection_id"] or "")
        elif record["record_type"] == "outbound_voice_profile":
            shown["connections_count"] = self._users_of(record)
        return shown

    def _users_of(self, profile: Record) -> int:
        return sum(
            application["outbound"]["outbound_voice_profile_id"] == profile["id"]
            for application in self.applications.values()
        )

    def _check_application(self, body: Mapping[str, Any]) -> Record:
        changes = check_fields(APPLICATION_FIELDS, body)
        profile_id = changes.get("outbound", {}).get("outbound_voice_profile_id")
        if profile_id and profile_id not in self.profiles:
            detail = "there is no such outbound voice profile"
            raise Refusal(422, "10017", detail, "outbound/outbound_voice_profile_id")
        return changes

    def _change(self, record: Record, changes: Record) -> None:
        merge(record, changes)
        record["updated_at"] = self._today()

    def _new_record(self, record_type: str, fields: Fields) -> Record:
        today = self._today()
        dates = {"created_at": today, "updated_at": today}
        return {"id": self._new_id(), "record_type": record_type, **dates, **defaults(fields)}

    def _new_id(self) -> str:
        return str(self._random.randrange(10**18, 10**19))
