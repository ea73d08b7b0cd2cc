from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from telnyx_trio import TelnyxCall
from telnyx_trio.servers._leg import Leg
from telnyx_trio.testing import memory_websocket_pair
from telnyx_trio.webhooks import CallAnswered, CallHangup, CallInitiated, StreamingFailed


def make_leg() -> Leg:
    return Leg(TelnyxCall("", client_state="abc"))


async def test_first_webhook_identifies() -> None:
    """The first event of a dialled call names it."""
    leg = make_leg()
    event = CallInitiated(
        event_type="call.initiated",
        call_control_id="v3:x",
        payload={"call_control_id": "v3:x", "call_leg_id": "leg"},
    )
    leg.deliver(event)
    assert leg.identified.is_set()
    assert (leg.info.call_control_id, leg.info.call_leg_id) == ("v3:x", "leg")
    assert leg.webhooks.receive_nowait() is event


async def test_reply_does_not_rename() -> None:
    """What a webhook has told is not overwritten by a late reply."""
    leg = make_leg()
    leg.identify("v3:x", None, "session")
    leg.identify("v3:y", "leg", "other")
    assert leg.info.call_control_id == "v3:x"
    assert (leg.info.call_leg_id, leg.info.call_session_id) == ("leg", "session")


async def test_answer_and_ends() -> None:
    """The events that decide about a call before its media are noted."""
    leg = make_leg()
    leg.deliver(CallAnswered(event_type="call.answered"))
    assert leg.answered.is_set()
    assert not leg.before_media.cancel_called
    leg.deliver(StreamingFailed(event_type="streaming.failed"))
    assert leg.media_failed is not None
    assert leg.before_media.cancel_called
    leg.deliver(CallHangup(event_type="call.hangup"))
    assert leg.hangup is not None
    assert leg.hung_up.is_set()


async def test_offered_socket_is_handed_over_and_held() -> None:
    """The offer lasts until the call lets go of the socket."""
    leg = make_leg()
    _, websocket = memory_websocket_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(leg.offer, websocket)
        assert await leg.wait_media() is websocket
        await trio.testing.wait_all_tasks_blocked()
        assert nursery.child_tasks
        leg.release()


@pytest.mark.parametrize("wait", [0.0, 9.9])
async def test_early_socket_is_parked(autojump_clock: MockClock, wait: float) -> None:
    """A socket that comes early waits up to 10 s for its call."""
    leg = make_leg()
    telnyx, websocket = memory_websocket_pair()
    await websocket.accept()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(leg.offer, websocket)
        await trio.sleep(wait)
        leg.want_media()
        await trio.sleep(100)
        assert telnyx.close_code is None
        leg.release()


async def test_unwanted_socket_is_closed(autojump_clock: MockClock) -> None:
    """After 10 s nobody wants it any more."""
    leg = make_leg()
    telnyx, websocket = memory_websocket_pair()
    await websocket.accept()
    began_at = trio.current_time()
    await leg.offer(websocket)
    assert trio.current_time() - began_at == pytest.approx(10)
    assert telnyx.close_code == 1008


@pytest.mark.parametrize("is_released", [False, True])
async def test_second_socket_is_closed(is_released: bool) -> None:
    """A call has one media socket, and none after its end."""
    leg = make_leg()
    _, first = memory_websocket_pair()
    telnyx, second = memory_websocket_pair()
    await second.accept()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(leg.offer, first)
        await trio.testing.wait_all_tasks_blocked()
        if is_released:
            leg.release()
        await leg.offer(second)
        assert telnyx.close_code == 1008
        leg.release()
