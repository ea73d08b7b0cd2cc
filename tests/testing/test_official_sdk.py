"""Telnyx's own Python SDK as a client of the simulator, over sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
import telnyx
import trio

from telnyx_trio.testing import Carrier, Phone, open_carrier

T = TypeVar("T")


async def in_thread(function: Callable[[], T]) -> T:
    return await trio.to_thread.run_sync(function)


def sdk(carrier: Carrier, api_key: str | None = None) -> telnyx.Telnyx:
    return telnyx.Telnyx(
        api_key=api_key or carrier.api_key, base_url=carrier.base_url, max_retries=0
    )


def dial(client: telnyx.Telnyx, carrier: Carrier, to: str = "+15550100003") -> str:
    response = client.calls.dial(
        connection_id=carrier.connection_id, to=to, from_="+15550100002", client_state="aWQ9NDI="
    )
    assert response.data is not None
    assert response.data.record_type == "call"
    assert response.data.is_alive is False
    return response.data.call_control_id


async def test_sdk_dials_asks_and_hangs_up() -> None:
    """The replies parse into the SDK's types."""
    async with open_carrier() as carrier:
        with sdk(carrier) as client:
            call_id = await in_thread(lambda: dial(client, carrier))
            (leg,) = carrier.legs
            assert await leg.wait_answered()
            status = await in_thread(lambda: client.calls.retrieve_status(call_id))
            assert status.data is not None
            assert status.data.is_alive
            assert status.data.client_state == "aWQ9NDI="
            digits = await in_thread(
                lambda: client.calls.actions.send_dtmf(call_id, digits="12", command_id="c1")
            )
            assert digits.data is not None
            assert digits.data.result == "ok"
            await in_thread(lambda: client.calls.actions.hangup(call_id))
            assert (await leg.wait_ended()).cause == "normal_clearing"
            ended = await in_thread(lambda: client.calls.retrieve_status(call_id))
            assert ended.data is not None
            assert ended.data.end_time


async def test_sdk_answers() -> None:
    """An inbound call is answered and rejected with the SDK's methods."""
    async with open_carrier() as carrier:
        with sdk(carrier) as client:
            leg = await carrier.call_in(to="+15550100002")
            await in_thread(lambda: client.calls.actions.answer(leg.names.call_control_id))
            assert await leg.wait_answered()
            other = await carrier.call_in(to="+15550100002")
            await in_thread(
                lambda: client.calls.actions.reject(other.names.call_control_id, cause="USER_BUSY")
            )
            assert (await other.wait_ended()).cause == "user_busy"


async def test_sdk_raises_its_typed_errors() -> None:
    """401, 404, 422, 429 and 500 are what the SDK takes them for, with Telnyx's codes."""
    async with open_carrier() as carrier:
        carrier.default_phone = Phone(answer_after=60)
        with sdk(carrier) as client, sdk(carrier, "KEY-wrong") as stranger:
            with pytest.raises(telnyx.AuthenticationError):
                await in_thread(lambda: dial(stranger, carrier))
            with pytest.raises(telnyx.NotFoundError):
                await in_thread(lambda: client.calls.actions.hangup("v3:unknown"))
            with pytest.raises(telnyx.UnprocessableEntityError) as caught:
                await in_thread(lambda: dial(client, carrier, to="5550100"))
            assert isinstance(caught.value.body, dict)
            assert caught.value.body["errors"][0]["code"] == "10016"
            call_id = await in_thread(lambda: dial(client, carrier))
            with pytest.raises(telnyx.UnprocessableEntityError, match="90102"):
                await in_thread(lambda: client.calls.actions.answer(call_id))
            carrier.faults.rate_limit("/calls")
            with pytest.raises(telnyx.RateLimitError):
                await in_thread(lambda: dial(client, carrier))
            carrier.faults.fail("/calls")
            with pytest.raises(telnyx.InternalServerError):
                await in_thread(lambda: dial(client, carrier))
            carrier.faults.drop_connection("/calls")
            with pytest.raises(telnyx.APIConnectionError):
                await in_thread(lambda: dial(client, carrier))
            assert len(carrier.legs) == 1
