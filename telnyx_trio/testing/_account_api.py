"""The account's part of the REST API: applications, numbers, verified numbers, voice profiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from ._account import Account
from ._commands import read_choice, read_number, read_text, require
from ._fields import Record
from ._listing import contains, equals, includes, list_page
from ._refusals import Refusal, Response, json_response
from ._requests import Request, no_such_resource
from ._settings import CarrierSettings

_APPLICATION_FILTERS: Final = {
    "filter[application_name]": contains("application_name", least=3),
    "filter[application_name][contains]": contains("application_name", least=3),
    "filter[outbound.outbound_voice_profile_id]": equals("outbound", "outbound_voice_profile_id"),
}
_APPLICATION_SORT: Final = {
    "created_at": "created_at",
    "connection_name": "application_name",
    "active": "active",
}

_NUMBER_FILTERS: Final = {
    "filter[connection_id]": equals("connection_id"),
    "filter[status]": equals("status"),
    "filter[tag]": includes("tags"),
    "filter[country_iso_alpha2]": equals("country_iso_alpha2"),
    "filter[customer_reference]": equals("customer_reference"),
    "filter[billing_group_id]": equals("billing_group_id"),
    "filter[voice.connection_name][contains]": contains("connection_name", least=3),
    "filter[voice.connection_name][eq]": equals("connection_name"),
}
_NUMBER_SORT: Final = {
    "purchased_at": "purchased_at",
    "phone_number": "phone_number",
    "connection_name": "connection_name",
}

_PROFILE_FILTERS: Final = {"filter[name][contains]": contains("name")}
_PROFILE_SORT: Final = {
    name: name
    for name in (
        "enabled",
        "created_at",
        "name",
        "service_plan",
        "traffic_type",
        "usage_payment_method",
    )
}
"""Filters and sort fields: Telnyx's SDK 4.189.0, types/*_list_params.py."""


class AccountApi:
    """Answers requests for what an account has.

    Args:
        account: whose.
        settings: how the carrier behaves.
    """

    def __init__(self, account: Account, settings: CarrierSettings) -> None:
        self._account = account
        self._settings = settings
        self._resources: dict[str, Callable[[Request], Response]] = {
            "call_control_applications": partial(
                self._on_table,
                account.applications,
                create=account.create_application,
                update=account.update_application,
                delete=account.delete_application,
                listing=partial(
                    list_page, filters=_APPLICATION_FILTERS, sort_fields=_APPLICATION_SORT
                ),
            ),
            "outbound_voice_profiles": partial(
                self._on_table,
                account.profiles,
                create=account.create_profile,
                update=account.update_profile,
                delete=account.delete_profile,
                listing=partial(list_page, filters=_PROFILE_FILTERS, sort_fields=_PROFILE_SORT),
            ),
            "phone_numbers": partial(
                self._on_table,
                account.numbers,
                update=account.update_number,
                listing=partial(
                    list_page,
                    filters={**_NUMBER_FILTERS, "filter[phone_number]": self._has_digits},
                    sort_fields=_NUMBER_SORT,
                ),
            ),
            "verified_numbers": self._on_verified_numbers,
        }

    def answer(self, request: Request) -> Response | None:
        """Answer a request; None if it is for another part of the API.

        Raises:
            Refusal: it cannot be done.
        """
        resource = self._resources.get(request.path[0]) if request.path else None
        return resource(request) if resource is not None else None

    def _on_table(
        self,
        table: Mapping[str, Record],
        request: Request,
        *,
        listing: Callable[..., dict[str, Any]],
        update: Callable[[Record, Mapping[str, Any]], None],
        create: Callable[[Mapping[str, Any]], Record] | None = None,
        delete: Callable[[Record], None] | None = None,
    ) -> Response:
        show = self._account.show
        match request.method, request.path[1:]:
            case "GET", []:
                return json_response(
                    listing([show(record) for record in table.values()], request.query)
                )
            case "POST", [] if create is not None:
                return _data(show(create(request.body)), 201)
            case "GET", [resource_id]:
                return _data(show(_find(table, resource_id)))
            case "PATCH", [resource_id]:
                record = _find(table, resource_id)
                update(record, request.body)
                return _data(show(record))
            case "DELETE", [resource_id] if delete is not None:
                record = _find(table, resource_id)
                reply = _data(show(record))
                delete(record)
                return reply
            case _:
                raise no_such_resource()

    def _on_verified_numbers(self, request: Request) -> Response:
        verified = self._account.verified_numbers
        match request.method, request.path[1:]:
            case "GET", []:
                body = list_page(verified.values(), request.query, filters={}, sort_fields={})
                return json_response(body)
            case "POST", []:
                return self._request_verification(request.body)
            case "POST", [number, "actions", "verify"]:
                require(request.body, "verification_code")
                code = read_text(request.body, "verification_code") or ""
                return _data(self._account.verify(number, code))
            case "GET", [number]:
                return _data(_find(verified, number))
            case "DELETE", [number]:
                record = _find(verified, number)
                del verified[number]
                return _data(record)
            case _:
                raise no_such_resource()

    def _request_verification(self, body: Mapping[str, Any]) -> Response:
        require(body, "phone_number", "verification_method")
        number = read_number(body, "phone_number")
        method = read_choice(body, "verification_method", ("sms", "call"))
        self._account.request_verification(number)
        # Not under "data": the SDK's VerifiedNumberCreateResponse has it so.
        return json_response({"phone_number": number, "verification_method": method})

    def _has_digits(self, number: Record, wanted: str) -> bool:
        digits = wanted
        if self._settings.plus_in_number_filter == "ignored":
            digits = wanted.removeprefix("+")
        if not (digits.isascii() and digits.isdigit()):
            return False
        if len(digits) < 3:
            detail = "'filter[phone_number]' must have at least 3 digits"
            raise Refusal(422, "10015", detail, parameter="filter[phone_number]")
        return digits in number["phone_number"]


def _find(table: Mapping[str, Record], resource_id: str) -> Record:
    record = table.get(resource_id)
    if record is None:
        raise no_such_resource()
    return record


def _data(record: Record, status: int = 200) -> Response:
    return json_response({"data": record}, status)
