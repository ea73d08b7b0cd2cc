"""The account's side of the REST client: applications, numbers, outbound voice profiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .._errors import CallControlError, CallControlRefused, ResourceNotFound
from ._account_values import (
    APPLICATIONS,
    OUTBOUND_VOICE_PROFILES,
    PHONE_NUMBERS,
    VERIFIED_NUMBERS,
    CallControlApplication,
    OutboundVoiceProfile,
    PhoneNumber,
    application_body,
    check_number,
    number_filters,
    read_application,
    read_outbound_voice_profile,
    read_phone_number,
    resource_path,
)
from ._exchange import Exchange

PAGE_SIZE: Final = 100

MAX_PAGES: Final = 100
"""A server that always has one more page must not keep us for ever."""


class AccountClient:
    """What a Telnyx account holds, to read and to change; ``TelnyxClient.account``.

    Common to all methods:

    Args:
        fields: further JSON fields, as Telnyx names them; None leaves a field out.

    Raises:
        LocalProtocolError: Telnyx would not take a value. Nothing was sent.
        ResourceNotFound: the account has no such thing.
        AuthenticationFailed, RateLimited, CallControlRefused, CallControlUnreachable,
        CallControlError: see ``TelnyxClient``.

    Each method tries up to four times, as ``TelnyxClient`` does: doing any of them twice comes to
    the same. The exception is ``create_application``, which is sent again only after 429 or if it
    could not connect, as a second application would be made.

    Cancelled: what was asked for may or may not be done. It will not be sent again.

    Attributes:
        api: scheme and host of the API, for people.
        fingerprint: tells API and key from others, and does not give the key away.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.api: Final = exchange.api
        self.fingerprint: Final = exchange.fingerprint
        self._exchange = exchange

    @property
    def clock_skew(self) -> float | None:
        """Seconds that Telnyx's clock was ahead of ours at its last reply; None before.

        To a second, and the time that the reply took; taken from the reply's ``Date``, also of one
        that refuses.
        """
        return self._exchange.clock_skew

    async def check_key(self) -> None:
        """Ask for something small, to see whether the key is taken."""
        await self._exchange.request_page(PHONE_NUMBERS, {"page[size]": "1"}, action="check_key")

    # Call Control applications.

    async def create_application(
        self,
        name: str,
        webhook_url: str,
        *,
        outbound_voice_profile_id: str | None = None,
        **fields: object,
    ) -> CallControlApplication:
        """Make a Call Control application, with webhooks of API version 2.

        When the reply is lost (``CallControlUnreachable`` with ``request_sent``, or 5xx), it may be
        there: give it a name that is unique, and look with ``find_applications``.

        Args:
            name: how it is called in the portal.
            webhook_url: where its webhooks go: the public address and ``/telnyx/events``.
            outbound_voice_profile_id: needed to dial with it.
            fields: see the class.
        """
        body = application_body(
            name, webhook_url, outbound_voice_profile_id=outbound_voice_profile_id, fields=fields
        )
        data = await self._request(
            "POST", APPLICATIONS, body, action="create_application", is_repeatable=False
        )
        return read_application(data)

    async def get_application(self, application_id: str) -> CallControlApplication:
        """Read one application."""
        path = resource_path(APPLICATIONS, application_id)
        return read_application(await self._request("GET", path, action="get_application"))

    async def find_applications(self, name_contains: str = "") -> list[CallControlApplication]:
        """List the applications, all of them or those whose name contains this.

        Args:
            name_contains: at least three characters, or empty for all.
        """
        filters = {"filter[application_name][contains]": name_contains} if name_contains else {}
        listed = await self._list(APPLICATIONS, filters, action="find_applications")
        return [read_application(data) for data in listed]

    async def update_application(
        self,
        application_id: str,
        name: str,
        webhook_url: str,
        *,
        outbound_voice_profile_id: str | None = None,
        **fields: object,
    ) -> CallControlApplication:
        """Change an application; Telnyx wants its name and webhook URL each time."""
        path = resource_path(APPLICATIONS, application_id)
        body = application_body(
            name, webhook_url, outbound_voice_profile_id=outbound_voice_profile_id, fields=fields
        )
        return read_application(
            await self._request("PATCH", path, body, action="update_application")
        )

    async def delete_application(self, application_id: str) -> None:
        """Delete an application; succeeds also if it is gone already."""
        path = resource_path(APPLICATIONS, application_id)
        # Also what comes of a second attempt, when the reply to the first was lost.
        try:
            await self._request("DELETE", path, action="delete_application")
        except ResourceNotFound:
            pass

    # Phone numbers.

    async def find_phone_number(self, phone_number: str) -> PhoneNumber | None:
        """Look a number of the account up, None if it has no such number.

        Args:
            phone_number: E.164.
        """
        for value in number_filters(phone_number):
            filters = {"filter[phone_number]": value}
            try:
                listed = await self._list(PHONE_NUMBERS, filters, action="find_phone_number")
            except CallControlRefused as error:
                if error.status not in (400, 422):
                    raise
                continue  # the filter was not to Telnyx's taste; the other form may be
            for found in map(read_phone_number, listed):
                if found.phone_number == phone_number:
                    return found
        return None

    async def get_phone_number(self, phone_number_id: str) -> PhoneNumber:
        """Read one number by its id (not by the number)."""
        path = resource_path(PHONE_NUMBERS, phone_number_id)
        return read_phone_number(await self._request("GET", path, action="get_phone_number"))

    async def route_phone_number(
        self, phone_number_id: str, connection_id: str | None
    ) -> PhoneNumber:
        """Route a number's calls to an application or other connection; None routes them nowhere.

        Raises:
            CallControlError: Telnyx took it, and routes the number elsewhere all the same.
        """
        path = resource_path(PHONE_NUMBERS, phone_number_id)
        # How a number is taken off its connection is documented nowhere. Telnyx's types want text,
        # and other programs send it empty; null is what replies hold then.
        wanted: list[str | None] = [connection_id] if connection_id else ["", None]
        for value in wanted:
            body = {"connection_id": value}
            try:
                data = await self._request("PATCH", path, body, action="route_phone_number")
            except CallControlRefused as error:
                if value == "" and error.status in (400, 422):
                    continue
                raise
            number = read_phone_number(data)
            if number.connection_id == connection_id:
                return number
        raise CallControlError(
            f"route_phone_number: Telnyx routes {number.phone_number} to {number.connection_id}"
            f" and not to {connection_id}"
        )

    async def is_verified_number(self, phone_number: str) -> bool:
        """Whether a restricted account may call this number, because it was verified."""
        check_number(phone_number)
        path = resource_path(VERIFIED_NUMBERS, phone_number)
        try:
            await self._request("GET", path, action="is_verified_number")
        except ResourceNotFound:
            return False
        return True

    # Outbound voice profiles.

    async def list_outbound_voice_profiles(self) -> list[OutboundVoiceProfile]:
        """List all outbound voice profiles, disabled ones too."""
        listed = await self._list(
            OUTBOUND_VOICE_PROFILES, {}, action="list_outbound_voice_profiles"
        )
        return [read_outbound_voice_profile(data) for data in listed]

    async def get_outbound_voice_profile(self, profile_id: str) -> OutboundVoiceProfile:
        """Read one outbound voice profile."""
        path = resource_path(OUTBOUND_VOICE_PROFILES, profile_id)
        data = await self._request("GET", path, action="get_outbound_voice_profile")
        return read_outbound_voice_profile(data)

    async def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        action: str,
        is_repeatable: bool = True,
    ) -> dict[str, Any]:
        return await self._exchange.request(
            method, path, body, action=action, is_about_call=False, is_repeatable=is_repeatable
        )

    async def _list(
        self, path: str, filters: Mapping[str, str], *, action: str
    ) -> list[dict[str, Any]]:
        """Fetch all pages."""
        items: list[dict[str, Any]] = []
        for number in range(1, MAX_PAGES + 1):
            query = {**filters, "page[number]": str(number), "page[size]": str(PAGE_SIZE)}
            page = await self._exchange.request_page(path, query, action=action)
            items += page.items
            if not page.items or number >= page.total_pages:
                return items
        raise CallControlError(f"{action}: there is no end of pages; {len(items)} items so far")
