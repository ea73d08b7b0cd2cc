"""A simulated phone in a call of the stand-in for Stream, by the real SDK."""

from __future__ import annotations

import trio
from scenarios import open_socket_world
from stream_bridge_world import stream_call_of, wait_until
from stream_standin import Standin, open_guest
from stream_world import RATE, loudness, tone

from telnyx_trio import Call, StreamParticipantJoined, open_stream_bridge
from telnyx_trio.testing import Phone


async def test_phone_and_participant_hear_each_other(standin: Standin) -> None:
    """440 Hz from the phone arrives at a participant, 1 kHz from there arrives at the phone."""
    heard_enough = trio.Event()

    async def agent(call: Call) -> None:
        async with open_stream_bridge(call, stream_call_of(standin, "two")) as bridge:
            event = await bridge.events.receive()
            assert isinstance(event, StreamParticipantJoined)
            assert event.participant.user_id == "ann"
            assert [participant.user_id for participant in bridge.participants] == ["ann"]
            await heard_enough.wait()
            statistics = bridge.statistics()
            assert statistics.to_stream.level < 0.1
            assert statistics.backlog < 0.3

    with open_guest(standin.url, "two", "ann", says=tone(1000)) as ann:
        async with open_socket_world(agent) as world:
            phone = Phone(says=(tone(440, rate=8000, seconds=6), 8000))
            leg = await world.carrier.call_in(to="+15550100000", phone=phone)
            await wait_until(standin, lambda: "phone-user" in standin.publishers("default:two"))
            await wait_until(ann, lambda: loudness(ann.samples("phone-user")[-RATE:], 440) > 5000)
            await wait_until(ann, lambda: ann.heard_for("phone-user") > 3)
            (_, heard), rate = leg.recording()
            heard_enough.set()
            await leg.wait_ended()
            await world.assert_nothing_left(inbound=1)
        await wait_until(standin, lambda: standin.participants("default:two") == ["ann"])
    assert loudness(heard[-rate // 2 :], 1000, rate=rate) > 4000
