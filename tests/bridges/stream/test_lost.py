"""The connection to Stream is lost in the middle of a call, for good or for a moment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio
from media_phone import MediaPhone
from scenarios import open_socket_world
from stream_bridge_world import guest_in, stream_call_of, wait_until
from stream_endurance import settled
from stream_peer import STOP
from stream_standin import Guest, Standin
from stream_world import RATE, loudness, tone

from telnyx_trio import (
    Call,
    MediaStream,
    StreamCallLost,
    attach_phone_to_call,
    open_stream_bridge,
)
from telnyx_trio.testing import Leg, Phone, memory_websocket_pair

KEPT_OPEN = 8
"""Sockets: getstream 7 keeps HTTP connections of lost calls for a while, counted at both ends.
A session that is left open has nine and more."""


def cut_off_for_good(standin: Standin, cid: str) -> None:
    """Lose all connections of a call, and let nobody in any more."""
    standin.refuse("join", "the house is closed")
    standin.refuse("enter", "the house is closed")
    standin.cut_off(cid)


def open_again(standin: Standin) -> None:
    standin.allow("join")
    standin.allow("enter")


# getstream 4 leaves the socket of a refused attempt to the garbage collector, which tells of it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_it_is_told_once(standin: Standin) -> None:
    """In a handler and in ``MediaStream.run``: one typed error, the phone lives, nothing is left.

    getstream 7 tries for a minute to mend it.
    """
    errors: list[StreamCallLost] = []

    async def agent(call: Call) -> None:
        try:
            async with open_stream_bridge(call, stream_call_of(standin, "lost")) as bridge:
                await attached.wait()
                await trio.to_thread.run_sync(cut_off_for_good, standin, "default:lost")
                await trio.sleep_forever()
        except StreamCallLost as error:
            errors.append(error)
        assert call.outcome is None
        assert bridge.ended_by == await bridge.wait_ended() == "left"
        await call.hangup()

    attached = trio.Event()
    is_told = False

    async def run_attached(nursery: trio.Nursery) -> None:
        nonlocal is_told
        client, server = memory_websocket_pair()
        phone, stream = MediaPhone(client, tone(440, rate=8000)), MediaStream(server)
        nursery.start_soon(phone.listen)
        nursery.start_soon(phone.talk)
        try:
            async with trio.open_nursery() as inner:
                inner.start_soon(stream.run)
                await attach_phone_to_call(stream_call_of(standin, "lost"), stream, "other-user")
                attached.set()
        except* StreamCallLost as group:
            is_told = len(group.exceptions) == 1

    async with open_socket_world(agent) as world:
        async with guest_in(standin, "lost-before", "ann"):
            pass  # so that there is what getstream 7 has once for all calls
        before = await settled(standin, None)
        try:
            with trio.fail_after(100):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(run_attached, nursery)
                    leg = await world.carrier.call_in(to="+15550100000", phone=Phone())
                    await leg.wait_ended()
        finally:
            open_again(standin)
        assert is_told
        assert len(errors) == 1
        errors.clear()  # and with it the frames of its traceback
        after = await settled(standin, before, kept_open=KEPT_OPEN)
        assert after.is_back_at(before, kept_open=KEPT_OPEN), (before, after)
        await world.assert_nothing_left(inbound=1)


@pytest.fixture
def forgiving(standin: Standin) -> Iterator[Standin]:
    """A stand-in that lets a session come back whose WebSocket was lost."""
    standin.service.grace = 10.0
    yield standin
    standin.service.grace = 0.0


async def test_it_is_mended(forgiving: Standin) -> None:
    """Both hear each other again, nothing is raised, and the call is left in order as ever."""
    standin, cid = forgiving, "default:mended"
    phone = Phone(says=(tone(440, rate=8000, seconds=60), 8000))
    ended: list[str] = []

    async def agent(call: Call) -> None:
        async with open_stream_bridge(call, stream_call_of(standin, "mended")) as bridge:
            ended.append(await bridge.wait_ended())

    def hear_each_other(leg: Leg, ann: Guest) -> bool:
        """Whether both have in the last half second."""
        (_, heard), rate = leg.recording()
        by_ann = ann.samples("phone-user")[-RATE // 2 :]
        return (
            loudness(by_ann, 440) > 5000 and loudness(heard[-rate // 2 :], 1000, rate=rate) > 4000
        )

    async with open_socket_world(agent) as world:
        async with guest_in(standin, "mended-before", "ann"):
            pass  # as above
        before = await settled(standin, None)
        async with guest_in(standin, "mended", "ann", says=tone(1000)) as ann:
            with trio.fail_after(60):
                leg = await world.carrier.call_in(to="+15550100000", phone=phone)
                await wait_until(ann, lambda: hear_each_other(leg, ann))
                entered = standin.requests("enter")
                await trio.to_thread.run_sync(standin.cut_off, cid, "phone-user")
                await wait_until(standin, lambda: standin.requests("enter") > entered)
                since = ann.heard_for("phone-user")
                await wait_until(ann, lambda: ann.heard_for("phone-user") > since + 2)
                await wait_until(ann, lambda: hear_each_other(leg, ann))
                await leg.hang_up()
                await wait_until(standin, lambda: standin.participants(cid) == ["ann"])
        await world.assert_nothing_left(inbound=1)
        after = await settled(standin, before, kept_open=KEPT_OPEN)
        assert after.is_back_at(before, kept_open=KEPT_OPEN), (before, after)
    assert ended == ["phone"]


async def test_who_came_and_went_meanwhile(forgiving: Standin) -> None:
    """A loss of some seconds, in which others come and go: that is told and heard afterwards."""
    standin, cid = forgiving, "default:meanwhile"
    client, server = memory_websocket_pair()
    phone, stream = MediaPhone(client, tone(440, rate=8000)), MediaStream(server)

    def hears(*frequencies: float) -> bool:
        heard = phone.heard.samples()[-4000:]
        return all(loudness(heard, frequency, rate=8000) > 3000 for frequency in frequencies)

    with trio.fail_after(90):
        async with (
            guest_in(standin, "meanwhile", "carl", says=tone(650)) as carl,
            trio.open_nursery() as nursery,
        ):
            for task in (phone.listen, phone.talk, stream.run):
                nursery.start_soon(task)
            async with guest_in(standin, "meanwhile", "ann", says=tone(1000)):
                bridge = await attach_phone_to_call(stream_call_of(standin, "meanwhile"), stream)
                await wait_until(phone, lambda: hears(650, 1000))
                await trio.to_thread.run_sync(standin.shut, "enter as phone-user")
                entered = standin.requests("enter as phone-user")
                await trio.to_thread.run_sync(standin.cut_off, cid, "phone-user")
                await wait_until(standin, lambda: standin.requests("enter as phone-user") > entered)
            async with guest_in(standin, "meanwhile", "bob", says=tone(1500)) as bob:
                # Longer than a loss lasts that getstream 4 does not mend.
                await wait_until(carl, lambda: carl.heard_for("bob") > 4)
                await trio.to_thread.run_sync(standin.open, "enter as phone-user")
                await wait_until(phone, lambda: hears(650, 1500))
                await wait_until(
                    bob, lambda: loudness(bob.samples("phone-user")[-RATE // 2 :], 440) > 5000
                )
                assert {who.user_id for who in bridge.participants} == {"carl", "bob"}
                assert bridge.ended_by is None
                await client.send_text(STOP)
        await wait_until(standin, lambda: standin.participants(cid) == [])
    told = [
        (type(event).__name__.removeprefix("StreamParticipant"), event.participant.user_id)
        async for event in bridge.events
    ]
    assert set(told[:2]) == {("Joined", "carl"), ("Joined", "ann")}
    assert told[2:4] == [("Left", "ann"), ("Joined", "bob")]
