from __future__ import annotations

import pytest
import trio
from server_world import CALLEE, World, listen_to_end, open_world
from trio.testing import MockClock

from telnyx_trio import (
    AuthenticationFailed,
    CallBusy,
    CallControlError,
    CallControlUnreachable,
    CallEnded,
    CallNoAnswer,
    CallNotAnswered,
    CallRejected,
    ConfigurationError,
    LocalProtocolError,
    MediaTimeout,
    TelnyxError,
)
from telnyx_trio.testing import CarrierSettings, Phone


async def dial_and_fail(world: World, **options: float) -> TelnyxError:
    try:
        async with world.server.dial(to=CALLEE, **options):  # type: ignore[arg-type]
            pytest.fail("entered")  # pragma: no cover
    except TelnyxError as error:
        return error


async def test_dial_yields_a_live_call(autojump_clock: MockClock) -> None:
    """The call is answered, has media and an entry in the registry; leaving hangs up."""
    async with open_world() as world:
        world.carrier.default_phone = Phone(answer_after=3)
        async with world.server.dial(to=CALLEE) as call:
            assert world.server.registry.require(call.call_control_id) is call.info
            assert world.server.statistics().outbound_calls == 1
            body = world.requests("calls")[0].body
            assert body["to"] == CALLEE
            assert body["from"] == "+15550000009"
            assert body["timeout_secs"] == 60
            assert body["stream_bidirectional_mode"] == "rtp"
        await world.wait_idle()
        world.assert_clean()


@pytest.mark.parametrize(
    ("phone", "expected", "cause"),
    [
        (Phone(outcome="busy", answer_after=2), CallBusy, "user_busy"),
        (Phone(outcome="rejected", answer_after=2), CallRejected, "call_rejected"),
        (Phone(outcome="no_answer", hang_up_after=9), CallRejected, "call_rejected"),
        (Phone(outcome="busy"), CallBusy, "user_busy"),
    ],
)
async def test_not_answered(
    autojump_clock: MockClock, phone: Phone, expected: type[CallNotAnswered], cause: str
) -> None:
    """Who does not take the call is told apart, with the hangup cause."""
    async with open_world() as world:
        world.carrier.default_phone = phone
        error = await dial_and_fail(world)
        assert type(error) is expected
        assert isinstance(error, CallNotAnswered)
        assert error.hangup_cause == cause
        assert world.requests("hangup") == []
        world.assert_clean()


@pytest.mark.parametrize("answer_timeout", [3.0, 20.0])
async def test_no_answer(autojump_clock: MockClock, answer_timeout: float) -> None:
    """After the answer timeout, Telnyx's or ours, it is given up, with the cause."""
    async with open_world() as world:
        world.carrier.default_phone = Phone(outcome="no_answer")
        began_at = trio.current_time()
        error = await dial_and_fail(world, answer_timeout=answer_timeout)
        assert trio.current_time() - began_at == pytest.approx(answer_timeout, abs=0.1)
        assert isinstance(error, CallNoAnswer)
        assert error.hangup_cause in ("timeout", "originator_cancel")
        await world.wait_idle()
        world.assert_clean()


async def test_media_never_comes(autojump_clock: MockClock) -> None:
    """Answered without a media socket: hung up after the media timeout."""
    async with open_world(media_timeout=7.0) as world:
        world.carrier.settings.streaming_event_style = "streaming_started"
        world.carrier.default_phone = Phone(answer_after=1)
        began_at = trio.current_time()
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def ring() -> None:
                while not world.carrier.legs:  # noqa: ASYNC110 - seen from outside
                    await trio.sleep(0.01)
                world.carrier.legs[0].options.stream = None

            error = await dial_and_fail(world)
        assert isinstance(error, MediaTimeout)
        assert trio.current_time() - began_at == pytest.approx(8, abs=0.1)
        assert len(world.requests("hangup")) == 1
        await world.wait_idle()
        world.assert_clean()


async def test_media_that_telnyx_cannot_open(autojump_clock: MockClock) -> None:
    """streaming.failed ends the wait at once and leaves a note."""
    async with open_world() as world:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def spoil() -> None:
                while not world.carrier.legs:  # noqa: ASYNC110 - seen from outside
                    await trio.sleep(0.01)
                world.carrier.legs[0].options.stream = None
                url = "wss://server.invalid/telnyx/media/secret"
                payload = {"failure_reason": f"connection_failed: {url}"}
                world.carrier.legs[0].post("streaming.failed", payload)

            world.carrier.default_phone = Phone(answer_after=1)
            began_at = trio.current_time()
            error = await dial_and_fail(world)
        assert isinstance(error, MediaTimeout)
        assert "connection_failed" in error.__notes__[0]
        assert "secret" not in error.__notes__[0]
        assert trio.current_time() - began_at < 2
        await world.wait_idle()
        world.assert_clean()


async def test_hung_up_between_answer_and_media(autojump_clock: MockClock) -> None:
    """A callee who answers and hangs up at once has ended the call."""
    async with open_world() as world:
        world.carrier.default_phone = Phone(answer_after=1, hang_up_after=2)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def ring() -> None:
                await trio.sleep(0.5)
                world.carrier.legs[0].options.stream = None

            error = await dial_and_fail(world)
        assert isinstance(error, CallEnded)
        assert error.hangup_cause == "normal_clearing"
        world.assert_clean()


async def test_early_socket_lives_through_a_long_ring(autojump_clock: MockClock) -> None:
    """A media socket that opens while it rings is used after 40 s of ringing."""
    settings = CarrierSettings(media_before_answer=True)
    async with open_world(carrier_settings=settings) as world:
        world.carrier.default_phone = Phone(answer_after=40, hang_up_at=1)
        async with world.server.dial(to=CALLEE) as call:
            assert len(world.sockets) == 1
            await listen_to_end(call)
        assert call.outcome is not None
        assert call.outcome.duration == pytest.approx(1)


async def test_webhooks_before_the_reply(autojump_clock: MockClock) -> None:
    """It does not matter whether the reply or the webhooks come first."""
    settings = CarrierSettings(webhook_before_reply=True, rest_latency=0.5, webhook_copies=2)
    async with open_world(carrier_settings=settings) as world:
        async with world.server.dial(to=CALLEE) as call:
            assert call.call_control_id
        await world.wait_idle()
        world.assert_clean()


async def test_reply_that_never_comes_is_not_needed(autojump_clock: MockClock) -> None:
    """The first webhook names the call; its dial reply is not waited for."""
    async with open_world() as world:
        world.carrier.faults.lose_reply("/calls")
        began_at = trio.current_time()
        async with world.server.dial(to=CALLEE) as call:
            assert trio.current_time() - began_at < 1
            assert world.server.registry.require(call.call_control_id) is call.info
        await world.wait_idle()
        world.assert_clean()


@pytest.mark.parametrize("after", [0.0, 0.3, 1.0])
async def test_cancelled_while_the_reply_is_late(autojump_clock: MockClock, after: float) -> None:
    """A cancel while the request is in flight learns the id from a reply 2 s late, and hangs up."""
    async with open_world() as world:
        world.carrier.faults.delay_reply("/calls", 2)
        world.carrier.webhook_url = None
        with trio.move_on_after(after) as scope:
            async with world.server.dial(to=CALLEE):
                pytest.fail("entered")  # pragma: no cover
        assert scope.cancelled_caught
        assert trio.current_time() - scope.deadline < 2.1
        await world.wait_idle()
        world.assert_clean()
        assert len(world.carrier.legs) == len(world.requests("hangup")) == 1


async def test_cancelled_without_reply_finds_the_leg_by_webhook(autojump_clock: MockClock) -> None:
    """A cancel when the reply never comes hangs up the leg that the webhook names."""
    async with open_world() as world:
        world.carrier.faults.lose_reply("/calls")
        world.carrier.webhook_url = None
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def announce() -> None:
                    await trio.sleep(1)
                    scope.cancel()

                async with world.server.dial(to=CALLEE):
                    pytest.fail("entered")  # pragma: no cover
        # Nothing was learnt within 5 s: the leg still rings. Its webhook comes now.
        leg = world.carrier.legs[0]
        assert leg.is_alive
        world.carrier.webhook_url = "http://server.invalid/telnyx/events"
        payload = {"direction": "outgoing", "client_state": leg.options.client_state}
        leg.post("call.initiated", payload)
        leg.post("call.answered", payload)
        await world.wait_idle()
        world.assert_clean()
        assert len(world.requests("hangup")) == 1


async def test_lost_reply_and_late_webhook(autojump_clock: MockClock) -> None:
    """Without reply and webhook for 5 s the dial fails; a webhook after that is hung up on."""
    async with open_world() as world:
        world.carrier.faults.drop_connection("/calls", after_effect=True)
        world.carrier.webhook_url = None
        began_at = trio.current_time()
        error = await dial_and_fail(world)
        assert isinstance(error, CallControlUnreachable)
        assert trio.current_time() - began_at == pytest.approx(5, abs=0.1)
        leg = world.carrier.legs[0]
        assert leg.is_alive
        world.carrier.webhook_url = "http://server.invalid/telnyx/events"
        leg.post("call.initiated", {"direction": "outgoing", "state": "bridging"})
        await world.wait_idle()
        world.assert_clean()


async def test_lost_reply_and_webhook_in_time(autojump_clock: MockClock) -> None:
    """A reply that is lost does not fail the dial when the webhook comes within 5 s."""
    async with open_world() as world:
        world.carrier.faults.drop_connection("/calls", after_effect=True)
        async with world.server.dial(to=CALLEE) as call:
            assert call.call_control_id
        await world.wait_idle()
        world.assert_clean()


async def test_refused_dial(autojump_clock: MockClock) -> None:
    """An error of Telnyx is raised at once as itself; nothing waits for a webhook."""
    async with open_world(connection_id="1") as world:
        began_at = trio.current_time()
        error = await dial_and_fail(world)
        assert isinstance(error, CallControlError)
        assert not isinstance(error, AuthenticationFailed)
        assert trio.current_time() == began_at
        world.assert_clean()


async def test_field_that_cannot_be_sent(autojump_clock: MockClock) -> None:
    """A mistake of the caller is raised at once as itself."""
    async with open_world() as world:
        began_at = trio.current_time()
        with pytest.raises(LocalProtocolError):
            async with world.server.dial(to=CALLEE, custom_parameters={"a": "b"}):
                pytest.fail("entered")  # pragma: no cover
        assert trio.current_time() == began_at
        assert not world.requests("calls")
        world.assert_clean()


async def test_missing_numbers_are_named_together(autojump_clock: MockClock) -> None:
    """What dial needs and nobody gave is told at once."""
    async with open_world(phone_number=None, connection_id=None) as world:
        with pytest.raises(ConfigurationError) as caught:
            async with world.server.dial(to=CALLEE):
                pytest.fail("entered")  # pragma: no cover
        assert len(caught.value.problems) == 2


async def test_cancelled_while_it_rings(autojump_clock: MockClock) -> None:
    """A cancel while it rings hangs up the ringing leg."""
    async with open_world() as world:
        world.carrier.default_phone = Phone(answer_after=30)
        with trio.move_on_after(10):
            async with world.server.dial(to=CALLEE):
                pytest.fail("entered")  # pragma: no cover
        await world.wait_idle()
        world.assert_clean()
        hangup = world.carrier.legs[0].hangup
        assert hangup is not None
        assert hangup.cause == "originator_cancel"


async def test_list_of_numbers_goes_out_as_it_is(autojump_clock: MockClock) -> None:
    """Several numbers ring together: that is Telnyx's affair."""
    async with open_world() as world:
        async with world.server.dial(to=[CALLEE, "+15550000002"]):
            pass
        assert world.requests("calls")[0].body["to"] == [CALLEE, "+15550000002"]


async def test_two_calls_at_once_get_their_own_media(autojump_clock: MockClock) -> None:
    """Calls that are dialled together are not mixed up."""
    async with open_world() as world:
        async with (
            world.server.dial(to="+15550000001") as one,
            world.server.dial(to="+15550000002") as two,
        ):
            assert one.stream.call_control_id == one.call_control_id
            assert two.stream.call_control_id == two.call_control_id
            assert one.call_control_id != two.call_control_id
            assert len(world.server.registry) == 2
        await world.wait_idle()
        world.assert_clean()


async def test_custom_parameters_take_a_second_command(autojump_clock: MockClock) -> None:
    """What dial cannot ask for is asked for by streaming_start after the answer."""
    async with open_world(custom_parameters={"tenant": "blue"}) as world:
        world.carrier.default_phone = Phone(answer_after=2)
        async with world.server.dial(to=CALLEE) as call:
            assert call.stream.start is not None
            assert call.stream.start.custom_parameters == {"tenant": "blue"}
        assert "stream_url" not in world.requests("calls")[0].body
        assert len(world.requests("streaming_start")) == 1


@pytest.mark.parametrize(("rate", "expected"), [(None, 16000), (8000, 8000), (16000, 16000)])
async def test_l16_names_its_rate(
    autojump_clock: MockClock, rate: int | None, expected: int
) -> None:
    """Dialling with L16 always says the rate."""
    async with open_world(send_encoding="L16", send_sample_rate=rate) as world:
        async with world.server.dial(to=CALLEE) as call:
            assert call.stream.send_format.sample_rate == expected
        body = world.requests("calls")[0].body
        assert body["stream_bidirectional_sampling_rate"] == expected


async def test_token_in_the_header(autojump_clock: MockClock) -> None:
    """With ``media_auth="header"`` the URL holds no token, and the socket brings it in a header."""
    async with open_world(media_auth="header") as world:
        async with world.server.dial(to=CALLEE) as call:
            token = call.info.token
        body = world.requests("calls")[0].body
        assert body["stream_url"] == "wss://server.invalid/telnyx/media"
        assert body["stream_auth_token"] == token
        assert (b"x-telnyx-streaming-auth-token", token.encode()) in world.sockets[0].headers
