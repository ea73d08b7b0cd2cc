"""The account's side of the client, against an account that was written apart from it."""

from __future__ import annotations

import typing
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from account_fake import (
    API_KEY,
    BASE_URL,
    EARLIER_CONNECTION_ID,
    OUR_NUMBER,
    OUR_NUMBER_ID,
    PROFILE_ID,
    Asked,
    FakeAccount,
    Fault,
)
from telnyx.types.call_control_application_create_params import CallControlApplicationCreateParams
from telnyx.types.call_control_application_list_params import CallControlApplicationListParams
from telnyx.types.call_control_application_outbound_param import CallControlApplicationOutboundParam
from telnyx.types.call_control_application_update_params import CallControlApplicationUpdateParams
from telnyx.types.phone_number_list_params import PhoneNumberListParams
from telnyx.types.phone_number_update_params import PhoneNumberUpdateParams
from trio.testing import MockClock

from telnyx_trio._errors import (
    AuthenticationFailed,
    CallControlError,
    CallControlRefused,
    CallControlUnreachable,
    LocalProtocolError,
    ResourceNotFound,
)
from telnyx_trio.call_control import AccountClient, open_client

WEBHOOK_URL = "https://voice.example/telnyx/events"


@asynccontextmanager
async def open_account(account: FakeAccount, key: str = API_KEY) -> AsyncIterator[AccountClient]:
    async with open_client(key, base_url=BASE_URL, transport=account.transport()) as client:
        yield client.account


async def test_application_is_made_read_changed_and_deleted() -> None:
    """The life of an application; webhooks are of version 2 unless told otherwise."""
    account = FakeAccount.furnished()
    async with open_account(account) as client:
        made = await client.create_application(
            "mine", WEBHOOK_URL, outbound_voice_profile_id=PROFILE_ID, first_command_timeout=True
        )
        assert (made.name, made.webhook_url) == ("mine", WEBHOOK_URL)
        assert (made.active, made.webhook_api_version) == (True, "2")
        assert made.outbound_voice_profile_id == PROFILE_ID
        assert made.created_at is not None
        assert await client.get_application(made.id) == made
        changed = await client.update_application(made.id, "mine", WEBHOOK_URL, active=False)
        assert not changed.active
        assert [a.id for a in await client.find_applications("mine")] == [made.id]
        await client.delete_application(made.id)
        await client.delete_application(made.id)
        with pytest.raises(ResourceNotFound):
            await client.get_application(made.id)
    assert account.asked[0].body["first_command_timeout"] is True


@pytest.mark.parametrize("takes_plus", [True, False])
async def test_number_is_found_whichever_form_the_filter_takes(takes_plus: bool) -> None:
    """With the plus sign or without; only the very number counts, not one that contains it."""
    account = FakeAccount.furnished(takes_plus=takes_plus)
    longer = f"{OUR_NUMBER}7"
    account.numbers = {
        "longer": {"id": "longer", "phone_number": longer, "connection_id": ""},
        **account.numbers,
    }
    async with open_account(account) as client:
        found = await client.find_phone_number(OUR_NUMBER)
        assert found is not None
        assert (found.id, found.connection_id) == (OUR_NUMBER_ID, EARLIER_CONNECTION_ID)
        assert await client.get_phone_number(OUR_NUMBER_ID) == found
        other = await client.find_phone_number(longer)
        assert other is not None
        assert other.connection_id is None
        assert await client.find_phone_number("+15550109999") is None


@pytest.mark.parametrize("takes_empty", [True, False])
async def test_number_is_routed_to_a_connection_and_to_none(takes_empty: bool) -> None:
    """None takes the number off its connection, whichever of the two ways Telnyx has for it."""
    account = FakeAccount.furnished(takes_empty_connection=takes_empty)
    async with open_account(account) as client:
        assert (await client.route_phone_number(OUR_NUMBER_ID, None)).connection_id is None
        assert account.routed_to is None
        routed = await client.route_phone_number(OUR_NUMBER_ID, EARLIER_CONNECTION_ID)
        assert routed.connection_id == account.routed_to == EARLIER_CONNECTION_ID
        with pytest.raises(CallControlRefused, match="no such connection"):
            await client.route_phone_number(OUR_NUMBER_ID, "gone")


async def test_routing_that_has_no_effect_is_an_error() -> None:
    """A 200 that leaves the number where it was is not taken for success."""

    def undo(number: int, asked: Asked, moment: str) -> Fault | None:
        account.numbers[OUR_NUMBER_ID]["connection_id"] = "stays"
        return None

    account = FakeAccount.furnished(watch=undo)
    async with open_account(account) as client:
        with pytest.raises(CallControlError, match="stays"):
            await client.route_phone_number(OUR_NUMBER_ID, None)


async def test_verified_numbers_and_profiles() -> None:
    """404 means not verified; profiles are read alone and all together."""
    account = FakeAccount.furnished(verified={"+15550100002"})
    account.profiles["2"] = {"id": "2", "name": "Old", "enabled": False}
    async with open_account(account) as client:
        assert await client.is_verified_number("+15550100002")
        assert not await client.is_verified_number("+15550100003")
        profiles = await client.list_outbound_voice_profiles()
        assert [(p.name, p.enabled) for p in profiles] == [("Default", True), ("Old", False)]
        assert await client.get_outbound_voice_profile("2") == profiles[1]


async def test_lists_are_read_to_their_last_page() -> None:
    """250 applications come in three pages, each once."""
    account = FakeAccount()
    for number in range(250):
        account.applications[str(number)] = {"id": str(number), "application_name": f"app {number}"}
    async with open_account(account) as client:
        listed = await client.find_applications()
    assert [a.id for a in listed] == [str(number) for number in range(250)]
    assert [asked.query["page[number]"] for asked in account.asked] == ["1", "2", "3"]


Act = Callable[[AccountClient], Awaitable[object]]
REPEATABLE: dict[str, Act] = {
    "update": lambda c: c.update_application(EARLIER_CONNECTION_ID, "mine", WEBHOOK_URL),
    "delete": lambda c: c.delete_application(EARLIER_CONNECTION_ID),
    "route": lambda c: c.route_phone_number(OUR_NUMBER_ID, None),
    "find": lambda c: c.find_phone_number(OUR_NUMBER),
}


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.LOST_AFTER, Fault.SILENT_AFTER])
@pytest.mark.parametrize("name", REPEATABLE)
async def test_what_comes_to_the_same_twice_is_sent_again(
    name: str, fault: Fault, autojump_clock: MockClock
) -> None:
    """A lost reply is no failure of what can be repeated, a deletion included."""
    account = FakeAccount.furnished(
        watch=lambda number, asked, moment: fault if number == 1 else None
    )
    async with open_account(account) as client:
        await REPEATABLE[name](client)
    assert account.asked[0] == account.asked[1]


@pytest.mark.parametrize("fault", [Fault.LOST_AFTER, Fault.SILENT_AFTER, Fault.UNAVAILABLE_AFTER])
async def test_a_second_application_is_never_made(fault: Fault, autojump_clock: MockClock) -> None:
    """Creating is not repeated when its reply is lost."""
    account = FakeAccount(watch=lambda number, asked, moment: fault)
    async with open_account(account) as client:
        with pytest.raises((CallControlUnreachable, CallControlRefused)):
            await client.create_application("mine", WEBHOOK_URL)
    assert len(account.applications) == 1


async def test_wrong_values_are_refused_before_anything_is_sent() -> None:
    """What would lead to another path, or be no number, does not leave."""
    account = FakeAccount.furnished()
    wrong: list[Act] = [
        lambda c: c.get_application(""),
        lambda c: c.get_phone_number(".."),
        lambda c: c.find_phone_number("5550100009"),
        lambda c: c.is_verified_number("sip:someone@example.com"),
        lambda c: c.create_application("", WEBHOOK_URL),
        lambda c: c.create_application("mine", "voice.example"),
        lambda c: c.create_application("mine", WEBHOOK_URL, webhook_event_url="https://x"),
    ]
    async with open_account(account) as client:
        for act in wrong:
            with pytest.raises(LocalProtocolError):
                await act(client)
    assert account.asked == []


async def test_wrong_key() -> None:
    """401 is AuthenticationFailed."""
    async with open_account(FakeAccount(), "KEY-wrong") as client:
        with pytest.raises(AuthenticationFailed):
            await client.find_applications()


def names_of(params: type) -> set[str]:
    """Return the names on the wire of a typed dict of the SDK."""
    hints = typing.get_type_hints(params, include_extras=True)
    aliases = {"page_number": "page[number]", "page_size": "page[size]"}
    return {aliases.get(name, name) for name in hints}


async def test_requests_fit_the_official_sdk() -> None:
    """Each body and query has nothing that Telnyx's own types do not have."""
    account = FakeAccount.furnished()
    async with open_account(account) as client:
        made = await client.create_application(
            "mine", WEBHOOK_URL, outbound_voice_profile_id=PROFILE_ID
        )
        await client.update_application(
            made.id, "mine", WEBHOOK_URL, outbound_voice_profile_id=PROFILE_ID
        )
        await client.route_phone_number(OUR_NUMBER_ID, made.id)
        await client.find_applications("mine")
        await client.find_phone_number(OUR_NUMBER)
    create, update, route, find_application, find_number = account.asked
    assert set(create.body) <= names_of(CallControlApplicationCreateParams)
    assert set(create.body["outbound"]) <= names_of(CallControlApplicationOutboundParam)
    assert set(update.body) <= names_of(CallControlApplicationUpdateParams)
    assert set(route.body) <= names_of(PhoneNumberUpdateParams)
    for asked, params in (
        (find_application, CallControlApplicationListParams),
        (find_number, PhoneNumberListParams),
    ):
        names = {n for n in asked.query if not n.startswith("filter[")}
        assert names <= names_of(params)
    filters = typing.get_type_hints(CallControlApplicationListParams)["filter"]
    assert "application_name" in filters.__annotations__
    assert "phone_number" in typing.get_type_hints(PhoneNumberListParams)["filter"].__annotations__
