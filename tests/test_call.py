from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

import httpx
import pytest
import trio
from server_world import CALLEE, World, listen_to_end, open_world, silence
from trio.testing import MockClock

from telnyx_trio import (
    Call,
    CallControlError,
    CallEnded,
    CallOutcome,
    CallRegistry,
    DtmfReceived,
    EndReason,
    MediaTimeout,
    RemoteProtocolError,
    UnknownCall,
    UnsupportedEncoding,
    open_call,
    open_client,
)
from telnyx_trio.testing import (
    CarrierSettings,
    Fault,
    Leg,
    MemoryWebSocket,
    Phone,
    memory_websocket_pair,
)
from telnyx_trio.testing import Response as RestResponse
from telnyx_trio.webhooks import CallHangup

OK = RestResponse(200, [(b"content-type", b"application/json")], b'{"data": {"result": "ok"}}')


def leg_of(world: World, call: Call) -> Leg:
    return next(
        leg for leg in world.carrier.legs if leg.names.call_control_id == call.call_control_id
    )


async def far_hangup(world: World, call: Call) -> None:
    await leg_of(world, call).hang_up()


async def lost_socket(world: World, call: Call) -> None:
    await trio.lowlevel.checkpoint()
    leg_of(world, call).drop_socket()


async def stop_message(world: World, call: Call) -> None:
    await world.server.client.streaming_stop(call.call_control_id)


Road: TypeAlias = tuple[Callable[[World, Call], Awaitable[None]], EndReason]

ROADS: dict[str, Road] = {
    "hangup": (far_hangup, EndReason.HANGUP),
    "socket lost": (lost_socket, EndReason.CONNECTION_LOST),
    "stop": (stop_message, EndReason.STREAM_STOPPED),
}


@pytest.fixture(params=ROADS)
def road(
    request: pytest.FixtureRequest,
) -> Road:
    return ROADS[request.param]


# The far side ends.


async def test_far_end_lets_the_body_finish(
    autojump_clock: MockClock, road: tuple[Callable[[World, Call], Awaitable[None]], EndReason]
) -> None:
    """``received`` runs dry after what is buffered, ``send`` raises, the body goes on."""
    end, reason = road
    async with open_world() as world:
        async with world.server.dial(to=CALLEE) as call:
            await trio.sleep(1)
            await end(world, call)
            await call.wait_ended()
            ended_at = trio.current_time()
            heard = 0.0
            async for pcm in call.received:
                heard += pcm.duration
            assert heard == pytest.approx(1.0, abs=0.05)
            with pytest.raises(CallEnded):
                await call.send(silence(0.02))
            with pytest.raises(CallEnded):
                await call.send_mark("x")
            with pytest.raises(CallEnded):
                await call.clear()
            await trio.sleep_until(ended_at + 9.9)
        assert call.outcome is not None
        assert (call.outcome.ended_by, call.outcome.reason) == ("them", reason)
        assert call.outcome.duration == pytest.approx(1.0, abs=0.05)
        await world.wait_idle()
        world.assert_clean()


async def test_body_is_cancelled_after_the_grace(
    autojump_clock: MockClock, road: tuple[Callable[[World, Call], Awaitable[None]], EndReason]
) -> None:
    """10 s after the end the body is cancelled, quietly."""
    end, _ = road
    async with open_world() as world:
        ended_at = 0.0
        async with world.server.dial(to=CALLEE) as call:
            await end(world, call)
            await call.wait_ended()
            ended_at = trio.current_time()
            try:
                await trio.sleep_forever()
            finally:
                assert trio.current_time() == pytest.approx(ended_at + 10)
        world.assert_clean()


async def test_no_grace_cancels_at_once(
    autojump_clock: MockClock, road: tuple[Callable[[World, Call], Awaitable[None]], EndReason]
) -> None:
    """With ``end_grace`` 0 the body is cancelled when the call ends."""
    end, _ = road
    async with open_world(call={"end_grace": 0.0}) as world:
        async with world.server.dial(to=CALLEE) as call:
            call.nursery.start_soon(end, world, call)
            began_at = trio.current_time()
            try:
                await trio.sleep_forever()
            finally:
                assert trio.current_time() - began_at < 0.1
        await world.wait_idle()
        world.assert_clean()


async def test_hangup_webhook_alone_ends_the_call(autojump_clock: MockClock) -> None:
    """A call.hangup webhook ends the call though the media socket says nothing."""
    async with open_world(listen_to_end) as world:
        leg = await world.call_in()
        await leg.wait_media_started()
        payload = {"call_control_id": leg.names.call_control_id, "hangup_cause": "normal_clearing"}
        leg.post("call.hangup", payload)
        await trio.sleep(0.1)
        assert world.server.statistics().live_calls == 0
        assert world.requests("hangup") == []
        assert not leg.has_stream


async def test_hangup_cause_is_waited_for_a_second(autojump_clock: MockClock) -> None:
    """The cause is in the outcome when its webhook comes within 1 s of the end."""
    settings = CarrierSettings()
    async with open_world(carrier_settings=settings) as world:
        async with world.server.dial(to=CALLEE) as call:
            await far_hangup(world, call)
            await call.wait_ended()
        assert call.outcome is not None
        assert call.outcome.hangup_cause == "normal_clearing"
        assert call.outcome.hangup_source == "callee"
        assert call.outcome.sip_hangup_cause == "200"


async def test_hangup_cause_that_never_comes_costs_a_second(autojump_clock: MockClock) -> None:
    """Leaving waits for the cause no longer than a second."""
    async with open_world() as world:
        async with world.server.dial(to=CALLEE) as call:
            world.carrier.webhook_url = None
            await trio.sleep(1)
            left_at = trio.current_time()
        assert trio.current_time() - left_at == pytest.approx(1.0, abs=0.05)
        assert call.outcome is not None
        assert call.outcome.hangup_cause is None
        assert call.outcome.reason is EndReason.LEFT


async def test_events_hold_the_late_hangup(autojump_clock: MockClock) -> None:
    """The hangup webhook that comes after the media's end is still an event of the call."""
    async with open_world() as world:
        async with world.server.dial(to=CALLEE) as call:
            await far_hangup(world, call)
            events = [event async for event in call.events]
        assert isinstance(events[-1], CallHangup)


# Leaving.


async def test_leaving_hangs_up_once(autojump_clock: MockClock) -> None:
    """Leaving by the end of the body hangs up, with one request."""
    async with open_world() as world:
        async with world.server.dial(to=CALLEE) as call:
            await trio.sleep(1)
        assert call.outcome is not None
        assert (call.outcome.ended_by, call.outcome.reason) == ("us", EndReason.LEFT)
        assert call.outcome.duration == pytest.approx(1.0)
        assert len(world.requests("hangup")) == 1
        await world.wait_idle()
        world.assert_clean()


async def test_no_hangup_after_the_hangup_webhook(autojump_clock: MockClock) -> None:
    """A call that the far party hung up on is not hung up again."""
    async with open_world() as world:
        async with world.server.dial(to=CALLEE) as call:
            await far_hangup(world, call)
            await trio.sleep(0.1)
        assert world.requests("hangup") == []


async def test_lone_error_of_the_body_leaves_as_itself(autojump_clock: MockClock) -> None:
    """An error of the body is not wrapped in a group, and hangs up."""
    async with open_world() as world:
        with pytest.raises(KeyError, match="lost"):
            async with world.server.dial(to=CALLEE) as call:
                raise KeyError("lost")
        assert call.outcome is not None
        assert call.outcome.reason is EndReason.ERROR
        assert len(world.requests("hangup")) == 1
        await world.wait_idle()
        world.assert_clean()


async def test_lone_error_of_a_user_task_leaves_as_itself(autojump_clock: MockClock) -> None:
    """An error of a task in ``call.nursery`` cancels the body and leaves as itself."""

    async def fail() -> None:
        await trio.sleep(1)
        raise KeyError("lost")

    async with open_world() as world:
        with pytest.raises(KeyError, match="lost"):
            async with world.server.dial(to=CALLEE) as call:
                call.nursery.start_soon(fail)
                await trio.sleep_forever()
        assert call.outcome is not None
        assert call.outcome.reason is EndReason.ERROR
        assert len(world.requests("hangup")) == 1


async def test_two_errors_leave_as_a_group(autojump_clock: MockClock) -> None:
    """Two errors are both told."""

    async def fail() -> None:
        await trio.sleep(1)
        raise KeyError("lost")

    async with open_world() as world:
        with pytest.RaisesGroup(KeyError, IndexError, flatten_subgroups=True):
            async with world.server.dial(to=CALLEE) as call:
                call.nursery.start_soon(fail)
                try:
                    await trio.sleep_forever()
                finally:
                    raise IndexError
        assert len(world.requests("hangup")) == 1


async def test_cancelling_hangs_up_without_waiting_for_the_cause(autojump_clock: MockClock) -> None:
    """A cancelled call hangs up and is gone at once."""
    async with open_world() as world:
        with trio.CancelScope() as scope:
            async with world.server.dial(to=CALLEE) as call:
                world.carrier.webhook_url = None
                scope.cancel()
                cancelled_at = trio.current_time()
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert trio.current_time() - cancelled_at < 0.1
        assert call.outcome is not None
        assert (call.outcome.ended_by, call.outcome.reason) == ("us", EndReason.CANCELLED)
        assert len(world.requests("hangup")) == 1
        await world.wait_idle()
        world.assert_clean()


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_teardown_is_bounded(autojump_clock: MockClock, is_cancelled: bool) -> None:
    """A REST API that never answers holds leaving up for 5 s, not longer."""
    async with open_world() as world:
        world.carrier.faults.lose_reply("/actions/hangup")
        with trio.CancelScope() as scope:
            async with world.server.dial(to=CALLEE):
                left_at = trio.current_time()
                if is_cancelled:
                    scope.cancel()
        assert 5 <= trio.current_time() - left_at < 6.1
        await world.wait_idle()
        world.assert_clean()


async def test_user_tasks_end_before_the_stream(autojump_clock: MockClock) -> None:
    """On normal leaving a task in ``call.nursery`` can still send while it is being cancelled."""
    sent: list[str] = []

    async with open_world() as world:

        async def say_goodbye(call: Call) -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.move_on_after(1, shield=True):
                    await call.send(silence(0.1))
                    await call.send_mark("bye")
                    await call.clear()
                    await trio.sleep(0.5)
                    await call.send(silence(0.1))
                    sent.append("goodbye")

        async with world.server.dial(to=CALLEE) as call:
            call.nursery.start_soon(say_goodbye, call)
            await trio.sleep(0.1)
        with trio.CancelScope() as scope:
            async with world.server.dial(to=CALLEE) as call:
                call.nursery.start_soon(say_goodbye, call)
                await trio.sleep(0.1)
                scope.cancel()
    assert sent == ["goodbye", "goodbye"]


# What the body can do about the leg.


async def test_hangup_ends_the_call_at_once(autojump_clock: MockClock) -> None:
    """``hangup`` hangs up while the body goes on; leaving does not do it again."""
    async with open_world() as world:
        async with world.server.dial(to=CALLEE) as call:
            await call.hangup()
            assert not leg_of(world, call).is_alive
            await listen_to_end(call)
            with pytest.raises(CallEnded):
                await call.send(silence(0.02))
            await trio.sleep(5)
        assert call.outcome is not None
        assert (call.outcome.ended_by, call.outcome.reason) == ("us", EndReason.HANGUP)
        assert call.outcome.hangup_cause == "normal_clearing"
        assert len(world.requests("hangup")) == 1


async def test_failed_hangup_is_tried_again_on_leaving(autojump_clock: MockClock) -> None:
    """When ``hangup`` fails its error is raised, and leaving tries once more."""
    async with open_world() as world:
        async with world.server.dial(to=CALLEE) as call:
            world.carrier.faults.fail("/actions/hangup", status=503, times=4)
            with pytest.raises(CallControlError):
                await call.hangup()
            assert leg_of(world, call).is_alive
        await world.wait_idle()
        world.assert_clean()


async def test_hangup_cut_off_by_leaving_is_one_for_telnyx(
    autojump_clock: MockClock,
) -> None:
    """A hangup whose reply was not awaited is repeated with the same ``command_id``."""
    async with open_world() as world:
        world.carrier.faults.lose_reply("/actions/hangup")
        async with world.server.dial(to=CALLEE) as call:
            world.carrier.webhook_url = None
            call.nursery.start_soon(call.hangup)
            await trio.sleep(1)
        ids = [request.body["command_id"] for request in world.requests("hangup")]
        assert len(ids) == 2
        assert len(set(ids)) == 1


async def test_detach_leaves_the_leg_up(autojump_clock: MockClock) -> None:
    """After ``detach`` streaming stops and nothing hangs up."""
    async with open_world() as world:
        async with world.server.dial(to=CALLEE) as call:
            call.detach()
            await listen_to_end(call)
        leg = leg_of(world, call)
        assert call.outcome is not None
        assert (call.outcome.ended_by, call.outcome.reason) == ("us", EndReason.DETACHED)
        assert world.requests("hangup") == []
        assert leg.is_alive
        await trio.sleep(0.1)
        assert not leg.has_stream
        assert len(world.server.registry) == 0


@pytest.mark.parametrize("name", ["transfer", "bridge", "refer", "enqueue"])
async def test_handing_over_detaches(autojump_clock: MockClock, name: str) -> None:
    """Leaving after an accepted hand-over does not hang up."""
    async with open_world() as world:
        world.carrier.faults.add(Fault(f"/actions/{name}", response=OK))
        async with world.server.dial(to=CALLEE) as call:
            assert await call.command(name, to="+15550000002") == {"result": "ok"}
        assert leg_of(world, call).is_alive
        assert call.outcome is not None
        assert call.outcome.reason is EndReason.DETACHED


async def test_stop_after_a_hand_over_is_a_normal_end(autojump_clock: MockClock) -> None:
    """``stop`` after an accepted transfer reads as detached, and the leg stays up."""
    async with open_world() as world:
        world.carrier.faults.add(Fault("/actions/transfer", response=OK))
        async with world.server.dial(to=CALLEE) as call:
            await call.command("transfer", to="+15550000002")
            await stop_message(world, call)
            await listen_to_end(call)
        assert leg_of(world, call).is_alive
        assert call.outcome is not None
        assert (call.outcome.ended_by, call.outcome.reason) == ("them", EndReason.DETACHED)


async def test_hand_over_that_is_cancelled_waits_for_its_reply(autojump_clock: MockClock) -> None:
    """A cancel while a transfer is in flight learns whether it was accepted."""
    async with open_world() as world:
        world.carrier.faults.add(Fault("/actions/transfer", response=OK, delay=2))
        with trio.move_on_after(1):
            async with world.server.dial(to=CALLEE) as call:
                await call.command("transfer", to="+15550000002")
        assert leg_of(world, call).is_alive
        assert world.requests("hangup") == []


async def test_hand_over_that_gets_no_reply_hangs_up(autojump_clock: MockClock) -> None:
    """A cancelled transfer whose reply does not come is taken for refused."""
    async with open_world() as world:
        world.carrier.faults.add(Fault("/actions/transfer", never_replies=True))
        with trio.move_on_after(1):
            async with world.server.dial(to=CALLEE) as call:
                await call.command("transfer", to="+15550000002")
        await world.wait_idle()
        world.assert_clean()


async def test_refused_transfer_does_not_detach(autojump_clock: MockClock) -> None:
    """After a refused transfer leaving hangs up."""
    async with open_world() as world:
        async with world.server.dial(to=CALLEE) as call:
            world.carrier.settings.restricted_account = True
            with pytest.raises(CallControlError):
                await call.command("transfer", to="+15550000002")
        await world.wait_idle()
        world.assert_clean()


async def test_other_commands_do_not_detach(autojump_clock: MockClock) -> None:
    """An ordinary command changes nothing about leaving."""
    async with open_world() as world:
        async with world.server.dial(to=CALLEE) as call:
            await call.command("send_dtmf", digits="12")
        assert leg_of(world, call).digits_received == "12"
        await world.wait_idle()
        world.assert_clean()


# Deadlines.


async def test_maximum_duration_hangs_up_at_once(autojump_clock: MockClock) -> None:
    """The leg is hung up when the time is over, although the body takes its grace."""
    async with open_world(call={"max_duration": 3.0}) as world:
        async with world.server.dial(to=CALLEE) as call:
            await call.wait_ended()
            await trio.sleep(0.5)
            assert not leg_of(world, call).is_alive
        assert call.outcome is not None
        assert (call.outcome.ended_by, call.outcome.reason) == ("us", EndReason.MAX_DURATION)
        assert call.outcome.duration == pytest.approx(3)
        assert len(world.requests("hangup")) == 1


def start(call_control_id: str = "v3:x", **fields: object) -> str:
    media_format = {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}
    body = {"call_control_id": call_control_id, "media_format": media_format, **fields}
    return json.dumps({"event": "start", "stream_id": "s", "sequence_number": "1", "start": body})


async def test_silence_ends_the_call(autojump_clock: MockClock) -> None:
    """Without any media message for the silence timeout the call ends."""
    telnyx, ours = memory_websocket_pair()
    await telnyx.send_text(start())
    async with open_call(ours, end_grace=0) as call:
        await trio.sleep_forever()
    assert call.outcome is not None
    assert call.outcome.reason is EndReason.SILENCE
    assert call.outcome.duration == pytest.approx(30)


async def test_start_that_never_comes(autojump_clock: MockClock) -> None:
    """Without ``start`` the body is never entered."""
    _, ours = memory_websocket_pair()
    with pytest.raises(MediaTimeout, match="no start for 10 s"):
        async with open_call(ours):
            pytest.fail("entered")  # pragma: no cover


async def test_start_counts_from_the_answer(autojump_clock: MockClock) -> None:
    """While it rings, ``start`` is not overdue."""
    _, ours = memory_websocket_pair()
    answered = trio.Event()
    began_at = trio.current_time()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def answer() -> None:
            await trio.sleep(50)
            answered.set()

        with pytest.raises(MediaTimeout):
            async with open_call(ours, answered=answered):
                pytest.fail("entered")  # pragma: no cover
    assert trio.current_time() - began_at == pytest.approx(60)


# Bring your own server.


async def refuse_all(request: httpx.Request) -> httpx.Response:
    pytest.fail(f"no request expected, but {request.url}")  # pragma: no cover


async def close_code(telnyx: MemoryWebSocket) -> int | None:
    with suppress(trio.EndOfChannel, trio.BrokenResourceError):
        while True:
            await telnyx.receive_text()
    return telnyx.close_code


async def test_registry_finds_the_call_and_forgets_it(autojump_clock: MockClock) -> None:
    """The call is looked up by the id in ``start``; leaving removes it."""
    telnyx, ours = memory_websocket_pair()
    registry = CallRegistry()
    info = registry.create("v3:x")
    await telnyx.send_text(start())
    async with open_call(ours, registry=registry) as call:
        assert call.info is info
        assert info.telnyx_stream is call.stream
        assert repr(call) == "<Call live 'v3:x'>"
    assert len(registry) == 0
    assert info.ended_at is not None
    assert await close_code(telnyx) == 1000


async def test_unknown_call_is_refused_and_not_hung_up(autojump_clock: MockClock) -> None:
    """A stranger's ``start`` raises, and nothing is done to the call that it names."""
    telnyx, ours = memory_websocket_pair()
    await telnyx.send_text(start())
    transport = httpx.MockTransport(refuse_all)
    async with open_client("KEY", base_url="http://x/v2", transport=transport) as client:
        with pytest.raises(UnknownCall):
            async with open_call(ours, registry=CallRegistry(), client=client):
                pytest.fail("entered")  # pragma: no cover


async def test_contradicting_start_is_refused(autojump_clock: MockClock) -> None:
    """Media of another call than expected is closed with 1008."""
    telnyx, ours = memory_websocket_pair()
    info = CallRegistry().create("v3:mine")
    await telnyx.send_text(start("v3:other"))
    with pytest.raises(RemoteProtocolError, match="another call"):
        async with open_call(ours, info=info):
            pytest.fail("entered")  # pragma: no cover
    assert await close_code(telnyx) == 1008
    assert info.ended_at is not None


async def test_start_without_any_id_is_refused(autojump_clock: MockClock) -> None:
    """Nothing agrees with the call that is expected."""
    telnyx, ours = memory_websocket_pair()
    await telnyx.send_text('{"event":"start","stream_id":"s-1","start":{}}')
    with pytest.raises(RemoteProtocolError, match="or of none"):
        async with open_call(ours, info=CallRegistry().create("v3:mine")):
            pytest.fail("entered")  # pragma: no cover


async def test_socket_lost_before_start(autojump_clock: MockClock) -> None:
    """A socket that goes before ``start`` is a call that has ended."""
    telnyx, ours = memory_websocket_pair()
    telnyx.vanish()
    with pytest.raises(CallEnded):
        async with open_call(ours):
            pytest.fail("entered")  # pragma: no cover


async def test_unknown_codec_leaves_as_itself(autojump_clock: MockClock) -> None:
    """A codec that nobody speaks here is one typed error, not a group."""
    telnyx, ours = memory_websocket_pair()
    media_format = {"encoding": "SPEEX", "sample_rate": 16000, "channels": 1}
    await telnyx.send_text(start(media_format=media_format))
    with pytest.raises(UnsupportedEncoding):
        async with open_call(ours):
            pytest.fail("entered")  # pragma: no cover


async def test_a_bug_in_a_start_callback_is_not_swallowed(autojump_clock: MockClock) -> None:
    """An error of the media stream's own tasks ends the call and leaves as itself."""
    telnyx, ours = memory_websocket_pair()
    await telnyx.send_text(start())

    async def fail() -> None:
        await trio.sleep(1)
        raise KeyError("bug")

    with pytest.raises(KeyError, match="bug"):
        async with open_call(ours) as call:
            call.stream.add_start_callback(fail)
            await trio.sleep_forever()
    assert call.outcome is not None
    assert call.outcome.reason is EndReason.ERROR


async def test_command_without_a_client(autojump_clock: MockClock) -> None:
    """Commands need the REST client; hanging up without one closes the socket."""
    telnyx, ours = memory_websocket_pair()
    await telnyx.send_text(start())
    async with open_call(ours) as call:
        with pytest.raises(RuntimeError, match="client="):
            await call.command("transfer", to="+1")
        await call.hangup()
        await listen_to_end(call)


async def test_key_presses_come_once(autojump_clock: MockClock) -> None:
    """A key that comes by media and by webhook is one event; by webhook alone it is one, too."""
    phone = Phone(digits=[(0.5, "1"), (1.0, "2")], dtmf_report="both", hang_up_at=2)
    other = Phone(digits=[(0.5, "3"), (1.9, "4")], dtmf_report="webhook", hang_up_at=2)
    digits: list[tuple[str, str]] = []
    async with open_world() as world:
        for world.carrier.default_phone in (phone, other):
            async with world.server.dial(to=CALLEE) as call:
                async for event in call.events:
                    if isinstance(event, DtmfReceived):
                        digits.append((event.digit, event.source))
    assert digits == [("1", "media"), ("2", "media"), ("3", "webhook"), ("4", "webhook")]


async def test_quick_presses_by_webhook_alone_all_come(autojump_clock: MockClock) -> None:
    """None waits for a later one: half a second after the last, all are there."""
    phone = Phone(digits=[(0.5, "5"), (0.6, "6"), (0.7, "7")], dtmf_report="webhook", hang_up_at=9)
    digits: list[str] = []

    async def handler(call: Call) -> None:
        with trio.move_on_after(1.5):
            async for event in call.events:
                if isinstance(event, DtmfReceived):
                    digits.append(event.digit)
        assert sorted(digits) == ["5", "6", "7"]

    async with open_world(handler) as world:
        await world.call_in(phone=phone)
        await world.wait_idle()
        assert world.server.statistics().failed_calls == 0
    assert len(digits) == 3


def test_outcome_reads_as_a_sentence() -> None:
    """Why, by whom, after how long; the cause where it is known."""
    assert str(CallOutcome("them", EndReason.HANGUP, 9.99, "normal_clearing")) == (
        "hangup (normal_clearing) by them after 10.0 s"
    )
    assert str(CallOutcome("us", EndReason.LEFT, 1.0)) == "left by us after 1.0 s"
