"""Telnyx's own Python SDK against the simulator's account, over sockets."""

from __future__ import annotations

from functools import partial

import pytest
import telnyx
from testing.test_official_sdk import in_thread, sdk

from telnyx_trio.testing import CODE_OF_ANY_VERIFICATION, open_carrier

URL = "https://server.invalid/events"


async def test_sdk_makes_changes_and_deletes_an_application() -> None:
    """Its types take the replies, and the objects inside of them."""
    async with open_carrier() as carrier:
        with sdk(carrier) as client:
            applications = client.call_control_applications
            (profile_id,) = carrier.account.profiles
            made = await in_thread(
                lambda: applications.create(
                    application_name="robot",
                    webhook_event_url=URL,
                    webhook_api_version="2",
                    outbound={"outbound_voice_profile_id": profile_id},
                )
            )
            assert made.data is not None
            assert made.data.id is not None
            application_id = made.data.id
            assert made.data.outbound is not None
            assert made.data.outbound.outbound_voice_profile_id == profile_id
            changed = await in_thread(
                lambda: applications.update(
                    application_id, application_name="robot 2", webhook_event_url=URL, active=False
                )
            )
            assert changed.data is not None
            assert (changed.data.active, changed.data.webhook_api_version) == (False, "2")
            found = await in_thread(
                lambda: list(applications.list(filter={"application_name": {"contains": "ROBOT"}}))
            )
            assert [application.id for application in found] == [application_id]
            deleted = await in_thread(lambda: applications.delete(application_id))
            assert deleted.data is not None
            assert deleted.data.id == application_id
            with pytest.raises(telnyx.NotFoundError):
                await in_thread(lambda: applications.retrieve(application_id))
            with pytest.raises(telnyx.UnprocessableEntityError, match="10004"):
                await in_thread(
                    lambda: applications.create(application_name="", webhook_event_url=URL)
                )


async def test_sdk_walks_through_the_pages_of_numbers() -> None:
    """Every number once, in order, with a request for each page."""
    async with open_carrier() as carrier:
        numbers = [f"+1555010{last:04}" for last in range(7)]
        for number in numbers:
            carrier.account.add_number(number)
        with sdk(carrier) as client:
            found = await in_thread(
                lambda: list(client.phone_numbers.list(page_size=3, sort="phone_number"))
            )
            assert [number.phone_number for number in found] == numbers
            assert [request.query["page[size]"] for request in carrier.requests] == ["3"] * 3
            one = await in_thread(
                lambda: list(client.phone_numbers.list(filter={"phone_number": numbers[4]}))
            )
            assert [number.phone_number for number in one] == [numbers[4]]


async def test_sdk_routes_a_number() -> None:
    """And back to nothing; an unknown connection is its error for 422."""
    async with open_carrier() as carrier:
        number_id = carrier.account.add_number("+15550100002")["id"]
        with sdk(carrier) as client:
            update = partial(client.phone_numbers.update, number_id)
            routed = await in_thread(lambda: update(connection_id=carrier.connection_id))
            assert routed.data is not None
            assert routed.data.connection_id == carrier.connection_id
            back = await in_thread(lambda: update(connection_id=""))
            assert back.data is not None
            assert not back.data.connection_id
            with pytest.raises(telnyx.UnprocessableEntityError, match="10017"):
                await in_thread(lambda: update(connection_id="1"))


async def test_sdk_verifies_a_number() -> None:
    """Asked for, verified by its code, listed, deleted; a wrong code verifies nothing."""
    async with open_carrier() as carrier:
        number = "+15550100003"
        with sdk(carrier) as client:
            verified = client.verified_numbers
            asked = await in_thread(
                lambda: verified.create(phone_number=number, verification_method="sms")
            )
            assert asked.phone_number == number
            verify = partial(verified.actions.submit_verification_code, number)
            with pytest.raises(telnyx.UnprocessableEntityError):
                await in_thread(lambda: verify(verification_code="0"))
            with pytest.raises(telnyx.NotFoundError):
                await in_thread(lambda: verified.retrieve(number))
            done = await in_thread(lambda: verify(verification_code=CODE_OF_ANY_VERIFICATION))
            assert done.data is not None
            assert done.data.verified_at
            listed = await in_thread(lambda: list(verified.list()))
            assert [row.phone_number for row in listed] == [number]
            await in_thread(lambda: verified.delete(number))
            assert not carrier.account.verified_numbers
            with pytest.raises(telnyx.NotFoundError):
                await in_thread(lambda: verify(verification_code=CODE_OF_ANY_VERIFICATION))


async def test_sdk_makes_and_disables_a_voice_profile() -> None:
    """A disabled one is its PermissionDeniedError when a call is dialled with it."""
    async with open_carrier() as carrier:
        with sdk(carrier) as client:
            profiles = client.outbound_voice_profiles
            made = await in_thread(lambda: profiles.create(name="calls out"))
            assert made.data is not None
            assert made.data.whitelisted_destinations == ["US", "CA"]
            names = await in_thread(lambda: [profile.name for profile in profiles.list()])
            assert names == ["calls out", "ready-made"]
            (ready_made, _) = carrier.account.profiles
            await in_thread(lambda: profiles.update(ready_made, name="off", enabled=False))
            with pytest.raises(telnyx.PermissionDeniedError, match="10010"):
                await in_thread(
                    lambda: client.calls.dial(
                        connection_id=carrier.connection_id,
                        to="+15550100003",
                        from_="+15550100002",
                    )
                )
            assert made.data.id is not None
            profile_id = made.data.id
            await in_thread(lambda: profiles.delete(profile_id))
            assert list(carrier.account.profiles) == [ready_made]


async def test_sdk_takes_a_wrong_key_for_what_it_is() -> None:
    """AuthenticationError on every resource."""
    async with open_carrier() as carrier:
        with sdk(carrier, "KEY-wrong") as stranger:
            with pytest.raises(telnyx.AuthenticationError):
                await in_thread(lambda: stranger.phone_numbers.list())
            with pytest.raises(telnyx.AuthenticationError):
                await in_thread(lambda: stranger.outbound_voice_profiles.list())
