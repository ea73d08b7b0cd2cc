"""A simulated phone in a call of the stand-in for Stream, by the real SDK over real WebRTC."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest
import trio
from scenarios import open_socket_world
from stream_bridge_world import guest_in, stream_call_of, wait_until
from stream_endurance import settled
from stream_standin import Standin
from stream_world import RATE, loudness, tone

from telnyx_trio import (
    Call,
    CallEnded,
    PcmData,
    StreamBridge,
    StreamJoinFailed,
    StreamParticipantJoined,
    StreamParticipantLeft,
    open_stream_bridge,
)
from telnyx_trio.testing import Leg, Phone

TALKER = Phone(says=(tone(440, rate=8000, seconds=30), 8000))

Handler: TypeAlias = Callable[[Call], Awaitable[None]]


async def call_in(handler: Handler, scenario: Callable[[Leg], Awaitable[None]]) -> None:
    """Have a phone call the handler, play the scenario, and see that nothing is left of it."""
    async with open_socket_world(handler) as world:
        with trio.fail_after(60):
            leg = await world.carrier.call_in(to="+15550100000", phone=TALKER)
            await scenario(leg)
            await leg.hang_up()
        await world.assert_nothing_left(inbound=1)


def loud_at(leg: Leg, *frequencies: float) -> bool:
    """Whether the phone has heard each of these, and no echo of itself, in the last half second."""
    (_, heard), rate = leg.recording()
    part = heard[-rate // 2 :]
    return all(loudness(part, frequency, rate=rate) > 4000 for frequency in frequencies) and (
        loudness(part, 440, rate=rate) < 200
    )


async def until_ended(leg: Leg) -> None:
    """A caller who stays on the phone."""
    await leg.wait_ended()


async def test_phone_and_participant_hear_each_other(standin: Standin) -> None:
    """440 Hz from the phone arrives at a participant, 1 kHz from there arrives at the phone."""
    ended: list[str] = []
    bridges: list[StreamBridge] = []

    async def agent(call: Call) -> None:
        async with open_stream_bridge(call, stream_call_of(standin, "two")) as bridge:
            bridges.append(bridge)
            event = await bridge.events.receive()
            assert isinstance(event, StreamParticipantJoined)
            assert event.participant.user_id == "ann"
            assert [participant.user_id for participant in bridge.participants] == ["ann"]
            ended.append(await bridge.wait_ended())
        assert call.outcome is not None

    async with guest_in(standin, "two", "ann", says=tone(1000)) as ann:

        async def scenario(leg: Leg) -> None:
            await wait_until(ann, lambda: loudness(ann.samples("phone-user")[-RATE:], 440) > 5000)
            await wait_until(ann, lambda: loud_at(leg, 1000))
            statistics = bridges[0].statistics()
            assert statistics.to_stream.level <= 0.2
            assert statistics.backlog <= 0.3

        await call_in(agent, scenario)
        await wait_until(standin, lambda: standin.participants("default:two") == ["ann"])
    assert ended == ["phone"]


async def test_two_participants_are_heard_together(standin: Standin) -> None:
    """The phone hears both at once; one comes before the phone and one after, and leaves first."""
    events: list[tuple[str, str]] = []
    bob_left = trio.Event()

    async def agent(call: Call) -> None:
        async with open_stream_bridge(call, stream_call_of(standin, "three")) as bridge:
            async for event in bridge.events:
                events.append((type(event).__name__, event.participant.user_id))
                if isinstance(event, StreamParticipantLeft):
                    bob_left.set()

    async def scenario(leg: Leg) -> None:
        await wait_until(standin, lambda: len(standin.publishers("default:three")) == 2)
        async with guest_in(standin, "three", "bob", says=tone(650)) as bob:
            await wait_until(bob, lambda: loud_at(leg, 1000, 650))
        # Else the phone may be out of the call before it hears of it.
        with trio.fail_after(20):
            await bob_left.wait()

    async with guest_in(standin, "three", "ann", says=tone(1000)):
        await call_in(agent, scenario)
    joined, left = StreamParticipantJoined.__name__, StreamParticipantLeft.__name__
    assert events == [(joined, "ann"), (joined, "bob"), (left, "bob")]


@pytest.mark.parametrize("hang_up", [False, True])
async def test_the_stream_call_ends(standin: Standin, hang_up: bool) -> None:
    """The bridge ends; the phone is hung up if that was wanted, else the body goes on."""
    call_id = f"ended-{hang_up}"

    async def agent(call: Call) -> None:
        stream_call = stream_call_of(standin, call_id)
        async with open_stream_bridge(call, stream_call, hang_up=hang_up) as bridge:
            await trio.to_thread.run_sync(standin.end_call, f"default:{call_id}")
            assert await bridge.wait_ended() == "stream_call"
            if hang_up:
                await call.wait_ended()
            else:
                assert call.outcome is None
                await call.send(PcmData(8000, samples=tone(440, rate=8000, seconds=0.1)))
                await call.drain()

    await call_in(agent, until_ended)
    assert standin.participants(f"default:{call_id}") == []


async def test_an_error_of_the_body(standin: Standin) -> None:
    """It is no end of the Stream call, so that the phone is not hung up for it."""

    async def agent(call: Call) -> None:
        for _ in range(4):
            with pytest.raises(ZeroDivisionError):
                async with open_stream_bridge(
                    call, stream_call_of(standin, "fails"), hang_up=True
                ) as bridge:
                    raise ZeroDivisionError
            assert bridge.ended_by == "left"
            assert call.outcome is None
        await call.hangup()

    await call_in(agent, until_ended)


# getstream 4 leaves the socket of a refused join to the garbage collector, which tells of it.
LEFT_TO_GC = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@LEFT_TO_GC
@pytest.mark.parametrize("what", ["join", "enter", "SetPublisher"])
async def test_a_refused_join_is_told_once(standin: Standin, what: str) -> None:
    """At whatever step: one typed error in the handler, nobody in the call, and the phone lives."""
    errors: list[StreamJoinFailed] = []

    async def agent(call: Call) -> None:
        try:
            async with open_stream_bridge(call, stream_call_of(standin, f"no-{what}")):
                pytest.fail("it is joined")
        except StreamJoinFailed as error:
            errors.append(error)
        assert call.outcome is None

    standin.refuse(what, "the bouncer says no")
    try:
        await call_in(agent, until_ended)
    finally:
        standin.allow(what)
    gc.collect()
    [error] = errors
    assert error.problem
    assert standin.participants(f"default:no-{what}") == []


async def test_no_secret_is_told(standin: Standin) -> None:
    """A wrong secret is refused, and in no text that is told."""
    errors: list[StreamJoinFailed] = []
    secret = "no-such-secret-at-all-but-long-enough"

    async def agent(call: Call) -> None:
        with pytest.raises(StreamJoinFailed) as info:
            async with open_stream_bridge(
                call, stream_call_of(standin, "secret", api_secret=secret)
            ):
                pytest.fail("it is joined")
        errors.append(info.value)

    await call_in(agent, until_ended)
    assert secret not in repr(errors)


@LEFT_TO_GC
async def test_nobody_answers_in_time(standin: Standin) -> None:
    """A service that does not answer is given up; no thread goes on waiting for it."""
    before = await settled(standin, None)
    asked = standin.requests("enter")
    standin.shut("enter")
    try:

        async def agent(call: Call) -> None:
            with pytest.raises(StreamJoinFailed, match=r"more than 0\.5 s"):
                async with open_stream_bridge(
                    call, stream_call_of(standin, "silent"), join_timeout=0.5
                ):
                    pytest.fail("it is joined")

        await call_in(agent, until_ended)
        assert standin.requests("enter") > asked
    finally:
        standin.open("enter")
    after = await settled(standin, before)
    assert after.threads == before.threads
    assert after.participants == 0


@pytest.mark.parametrize("what", ["join", "enter", "SetPublisher"])
@pytest.mark.parametrize("how", ["cancel", "hang up"])
async def test_not_wanted_any_more_during_join(standin: Standin, what: str, how: str) -> None:
    """Cancelled, or hung up on, at any step of a join: nobody is left behind in the call."""
    call_id = f"cancelled-{what}-{how.replace(' ', '-')}"
    asked = standin.requests(what)
    left = trio.Event()

    async def agent(call: Call) -> None:
        try:
            async with trio.open_nursery() as nursery:
                if how == "cancel":

                    async def cancel() -> None:
                        await wait_until(standin, lambda: standin.requests(what) > asked)
                        nursery.cancel_scope.cancel()

                    nursery.start_soon(cancel)
                async with open_stream_bridge(call, stream_call_of(standin, call_id)):
                    pytest.fail("it is joined")
        except* CallEnded:
            assert how == "hang up"
        finally:
            left.set()

    async def scenario(leg: Leg) -> None:
        await wait_until(standin, lambda: standin.requests(what) > asked)
        if how == "hang up":
            await leg.hang_up()
        await trio.to_thread.run_sync(standin.open, what)
        await left.wait()

    await trio.to_thread.run_sync(standin.shut, what)
    await call_in(agent, scenario)
    await wait_until(standin, lambda: standin.participants(f"default:{call_id}") == [])


async def test_cancelled_at_every_moment_of_a_join(standin: Standin) -> None:
    """Each 25 ms from its beginning until after its end: nobody is left behind in the call."""
    is_joined: list[bool] = []

    async def agent(call: Call) -> None:
        for moment in range(30):
            joined = False
            with trio.move_on_after(0.025 * moment):
                async with open_stream_bridge(call, stream_call_of(standin, "sweep")):
                    joined = True
                    await trio.sleep_forever()
            is_joined.append(joined)
            await wait_until(standin, lambda: standin.participants("default:sweep") == [])
        assert call.outcome is None
        await call.hangup()

    await call_in(agent, until_ended)
    assert len(is_joined) == 30
    assert not is_joined[0]
    assert is_joined[-1]
