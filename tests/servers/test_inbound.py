from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
import trio.lowlevel
from server_world import World, listen_to_end, open_world, silence
from trio.testing import MockClock

from telnyx_trio import Call
from telnyx_trio.call_control import RejectCause
from telnyx_trio.testing import CarrierSettings, Phone
from telnyx_trio.webhooks import CallInitiated

STREAM_FIELDS = {
    "stream_url",
    "stream_track",
    "stream_bidirectional_mode",
    "stream_bidirectional_codec",
    "stream_bidirectional_target_legs",
}


def actions(world: World) -> list[str]:
    return [request.path.rpartition("/")[2] for request in world.carrier.requests]


async def test_one_command_answers(autojump_clock: MockClock) -> None:
    """By default one answer command has the stream fields and a one-use token in the path."""
    tokens = []

    async def handler(call: Call) -> None:
        tokens.append(call.info.token)
        await call.send(silence(0.1))
        await listen_to_end(call)

    async with open_world(handler) as world:
        leg = await world.call_in(phone=Phone(hang_up_at=2))
        await leg.wait_ended()
        await world.wait_idle()
        assert actions(world) == ["answer"]
        body = world.requests("answer")[0].body
        assert body["stream_url"] == f"wss://server.invalid/telnyx/media/{tokens[0]}"
        assert {name for name in body if name.startswith("stream")} == STREAM_FIELDS
        assert body["stream_track"] == "inbound_track"
        assert body["stream_bidirectional_mode"] == "rtp"
        assert body["stream_bidirectional_codec"] == "PCMU"
        assert body["stream_bidirectional_target_legs"] == "self"
        assert leg.counters.packets_received == 5
        world.assert_clean()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"send_encoding": "L16"}, {"stream_bidirectional_sampling_rate": 16000}),
        (
            {"send_encoding": "L16", "send_sample_rate": 8000},
            {"stream_bidirectional_sampling_rate": 8000},
        ),
        (
            {"send_encoding": "L16", "send_sample_rate": 16000},
            {"stream_bidirectional_sampling_rate": 16000},
        ),
        ({"receive_encoding": "L16"}, {"stream_codec": "L16"}),
        (
            {"custom_parameters": {"tenant": "blue"}},
            {"custom_parameters": [{"name": "tenant", "value": "blue"}]},
        ),
        ({"media_auth": "header"}, {"stream_url": "wss://server.invalid/telnyx/media"}),
    ],
)
async def test_two_commands_answer(
    autojump_clock: MockClock, settings: dict[str, Any], expected: dict[str, Any]
) -> None:
    """What answer has no field for is asked for by streaming_start, after call.answered."""
    calls = []

    async def handler(call: Call) -> None:
        calls.append(call)
        await call.send(silence(0.1))
        await listen_to_end(call)

    async with open_world(handler, **settings) as world:
        leg = await world.call_in(phone=Phone(hang_up_at=2))
        await leg.wait_ended()
        await world.wait_idle()
        assert actions(world) == ["answer", "streaming_start"]
        answer, start = (request.body for request in world.carrier.requests)
        assert {name for name in answer if name.startswith("stream")} == set()
        assert {name: start[name] for name in expected} == expected
        if settings.get("media_auth") == "header":
            assert start["stream_auth_token"] == calls[0].info.token
        assert leg.counters.packets_received == 5
        assert leg.counters.refused_packets == leg.counters.odd_payloads == 0
        world.assert_clean()


async def test_duplicate_webhooks_answer_once(autojump_clock: MockClock) -> None:
    """The same event again, and another event for the same call, are not answered."""
    settings = CarrierSettings(webhook_copies=3)
    async with open_world(listen_to_end, carrier_settings=settings) as world:
        leg = await world.call_in(phone=Phone(hang_up_at=2))
        initiated = {"direction": "incoming", "state": "parked"}
        leg.post("call.initiated", initiated)
        await leg.wait_media_started()
        leg.post("call.initiated", initiated)
        await leg.wait_ended()
        await world.wait_idle()
        leg.post("call.initiated", initiated)
        await trio.sleep(1)
        assert actions(world) == ["answer"]
        statistics = world.server.statistics()
        assert statistics.inbound_calls == 1
        assert statistics.duplicate_webhooks > 0
        world.assert_clean()


async def test_outgoing_legs_are_not_answered(autojump_clock: MockClock) -> None:
    """``call.initiated`` of a leg that somebody else placed is ignored."""
    async with open_world(listen_to_end) as world:
        await world.server.client.dial(
            to="+15550000001", from_="+15550000009", connection_id=world.carrier.connection_id
        )
        await trio.sleep(1)
        assert actions(world) == ["calls"]
        assert len(world.server.registry) == 0


async def test_no_handler_leaves_calls_alone(autojump_clock: MockClock) -> None:
    """A server without a handler takes no inbound calls."""
    async with open_world() as world:
        await world.call_in()
        await trio.sleep(1)
        assert actions(world) == []


@pytest.mark.parametrize("cause", ["CALL_REJECTED", "USER_BUSY"])
async def test_screen_rejects(autojump_clock: MockClock, cause: RejectCause) -> None:
    """``screen`` turns a caller away with a cause."""
    seen = []

    async def screen(incoming: CallInitiated) -> RejectCause:
        seen.append((incoming.from_number, incoming.to_number))
        return cause

    async with open_world(listen_to_end, screen=screen) as world:
        leg = await world.call_in()
        await leg.wait_ended()
        await world.wait_idle()
        assert seen == [("+15550100001", "+15550000009")]
        assert actions(world) == ["reject"]
        assert world.requests("reject")[0].body["cause"] == cause
        assert world.server.statistics().rejected_calls == 1
        world.assert_clean()


async def test_rejection_that_fails_hangs_up(autojump_clock: MockClock) -> None:
    """When Telnyx does not take the rejection, the caller is hung up on."""

    async def screen(incoming: CallInitiated) -> RejectCause:
        return "CALL_REJECTED"

    async with open_world(listen_to_end, screen=screen) as world:
        world.carrier.faults.fail("/actions/reject", status=422)
        await world.call_in()
        await world.wait_idle()
        assert actions(world) == ["reject", "hangup"]


@pytest.mark.parametrize("step", ["screen", "prepare"])
async def test_failing_step_ends_only_its_call(
    autojump_clock: MockClock, step: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of ``screen`` or ``prepare`` hangs up on its caller; other calls do not notice."""
    seen = []

    async def fail_first(incoming: CallInitiated) -> None:
        seen.append(incoming)
        if len(seen) == 1:
            raise KeyError("lost")

    steps: dict[str, Any] = {step: fail_first}
    async with open_world(listen_to_end, **steps) as world:
        first = await world.call_in()
        await first.wait_ended()
        second = await world.call_in(phone=Phone(hang_up_at=2))
        await second.wait_ended()
        await world.wait_idle()
        assert actions(world) == ["hangup", "answer"]
        assert world.server.statistics().failed_calls == 1
        assert first.names.call_control_id in caplog.text
        world.assert_clean()


async def test_prepare_runs_while_it_rings(autojump_clock: MockClock) -> None:
    """The call is answered when ``prepare`` is done; its result waits in ``call.info``."""
    results = []

    async def prepare(incoming: CallInitiated) -> str:
        await trio.sleep(3)
        return f"ready for {incoming.from_number}"

    async def handler(call: Call) -> None:
        results.append(await call.info.await_prepare())

    async with open_world(handler, prepare=prepare) as world:
        leg = await world.call_in()
        await leg.wait_answered()
        assert leg.answered_at == pytest.approx(leg.began_at + 3)
        await world.wait_idle()
        assert results == ["ready for +15550100001"]


async def test_hangup_during_prepare_cancels_it(autojump_clock: MockClock) -> None:
    """A caller who gives up while it rings leaves nothing behind."""
    ended = []

    async def prepare(incoming: CallInitiated) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    async with open_world(listen_to_end, prepare=prepare) as world:
        leg = await world.call_in(phone=Phone(hang_up_after=5))
        await leg.wait_ended()
        await world.wait_idle()
        await trio.sleep(0.1)
        assert ended == [pytest.approx(leg.began_at + 5, abs=0.1)]
        assert actions(world) == []
        assert world.server.statistics().failed_calls == 0
        world.assert_clean()


async def test_too_many_calls_hear_busy(autojump_clock: MockClock) -> None:
    """Above ``max_calls`` callers hear busy, and a free place is used again."""
    async with open_world(listen_to_end, max_calls=2) as world:
        legs = [await world.call_in(phone=Phone(hang_up_at=5)) for _ in range(4)]
        await trio.sleep(1)
        assert [leg.is_alive for leg in legs] == [True, True, False, False]
        assert legs[2].hangup is not None
        assert legs[2].hangup.cause == "user_busy"
        statistics = world.server.statistics()
        assert (statistics.rejected_calls, statistics.live_calls) == (2, 2)
        await world.wait_idle()
        late = await world.call_in(phone=Phone(hang_up_at=1))
        assert await late.wait_answered()
        await world.wait_idle()
        world.assert_clean()


async def test_failing_handler_ends_only_its_call(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of the handler is logged and counted; its caller is hung up on."""

    async def handler(call: Call) -> None:
        await trio.sleep(1)
        if call.info.from_number == "+15550000013":
            raise KeyError("lost")
        await listen_to_end(call)

    async with open_world(handler) as world:
        good = await world.call_in(phone=Phone(hang_up_at=10))
        bad = await world.carrier.call_in(to="+15550000009", from_="+15550000013")
        await bad.wait_ended()
        assert good.is_alive
        assert bad.hangup is not None
        assert bad.hangup.source == "callee"
        await world.wait_idle()
        assert world.server.statistics().failed_calls == 1
        records = [r for r in caplog.records if r.levelno >= logging.ERROR]
        assert len(records) == 1
        assert bad.names.call_control_id in records[0].getMessage()
        assert records[0].exc_info is not None
        assert records[0].exc_info[0] is KeyError
        world.assert_clean()


async def test_errors_in_a_group_end_only_their_call(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Several errors, also beside a cancellation of the server, do not leave the server."""

    async def fail(error: Exception) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise error

    async def handler(call: Call) -> None:
        call.nursery.start_soon(fail, KeyError())
        call.nursery.start_soon(fail, IndexError())
        await trio.sleep_forever()

    async with open_world(handler) as world:
        leg = await world.call_in()
        await leg.wait_media_started()
        await trio.sleep(1)
    assert "KeyError" in caplog.text
    assert "IndexError" in caplog.text


async def test_call_ended_in_the_handler_is_no_failure(autojump_clock: MockClock) -> None:
    """A handler that lets CallEnded out has met a normal end."""

    async def handler(call: Call) -> None:
        while True:
            await call.send(silence(0.5))

    async with open_world(handler) as world:
        leg = await world.call_in(phone=Phone(hang_up_at=3))
        await leg.wait_ended()
        await world.wait_idle()
        assert world.server.statistics().failed_calls == 0
        world.assert_clean()


async def test_media_that_never_comes_hangs_up(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """30 s without a media socket end an answered call, and the log names the public address."""
    async with open_world(listen_to_end) as world:
        leg = await world.call_in()
        await trio.lowlevel.checkpoint()
        leg.start_stream = lambda request: None  # type: ignore[method-assign]
        await leg.wait_ended()
        assert leg.answered_at is not None
        assert leg.ended_at == pytest.approx(leg.answered_at + 30, abs=0.1)
        await world.wait_idle()
        assert actions(world) == ["answer", "hangup"]
        assert "is https://server.invalid the public address" in caplog.text
        world.assert_clean()


async def test_media_that_telnyx_cannot_open(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """streaming.failed hangs up at once, and the log tells Telnyx's reason without the token."""
    async with open_world(listen_to_end) as world:
        leg = await world.call_in()
        leg.start_stream = lambda request: leg.post(  # type: ignore[method-assign]
            "streaming.failed", {"failure_reason": f"connection_failed: {request.url}"}
        )
        await leg.wait_ended()
        await world.wait_idle()
        assert leg.ended_at is not None
        assert leg.ended_at - leg.began_at < 1
        assert "connection_failed" in caplog.text
        token = world.requests("answer")[0].body["stream_url"].rpartition("/")[2]
        assert token not in caplog.text
        world.assert_clean()


async def test_answered_webhook_may_get_lost(autojump_clock: MockClock) -> None:
    """A call whose call.answered never comes still has all its deadlines."""
    async with open_world(listen_to_end, call={"silence_timeout": 5.0}) as world:
        leg = await world.call_in()
        world.carrier.webhook_url = None
        await leg.wait_media_started()
        await trio.sleep(1)
        assert leg._stream is not None
        leg._stream._next_time = lambda: float("inf")  # type: ignore[method-assign]
        await leg.wait_ended()
        await world.wait_idle()
        assert leg.ended_at is not None
        assert leg.ended_at - leg.began_at == pytest.approx(6, abs=1.1)


async def test_caller_who_is_gone_when_answered(autojump_clock: MockClock) -> None:
    """A call that ended a moment before the answer is no failure."""
    async with open_world(listen_to_end) as world:
        world.carrier.settings.rest_latency = 1
        leg = await world.call_in(phone=Phone(hang_up_after=0.4))
        world.carrier.webhook_url = None
        await leg.wait_ended()
        await world.wait_idle()
        assert world.server.statistics().failed_calls == 0
        world.assert_clean()


async def test_config_is_shared_by_the_call(autojump_clock: MockClock) -> None:
    """Options for calls in the config reach each call."""
    tracks = []

    async def handler(call: Call) -> None:
        tracks.append(call.stream.track)

    async with open_world(handler, call={"track": "both"}) as world:
        await world.call_in()
        await trio.sleep(1)
        assert world.requests("answer")[0].body["stream_track"] == "both_tracks"
    assert tracks == ["both"]


async def test_media_are_used_before_the_reply_to_answer(autojump_clock: MockClock) -> None:
    """A reply that is slow, once Telnyx has acted, is no silence for the caller."""
    began = []

    async def handler(call: Call) -> None:
        began.append(trio.current_time())
        await listen_to_end(call)

    # The carrier acts in the middle of its latency, a second before it replies.
    async with open_world(handler, carrier_settings=CarrierSettings(rest_latency=2.0)) as world:
        rang_at = trio.current_time()
        leg = await world.call_in(phone=Phone(hang_up_at=5))
        await leg.wait_ended()
        await world.wait_idle()
        assert began[0] - rang_at < 1.5
        assert actions(world) == ["answer"]
        world.assert_clean()


async def test_expected_failure_has_no_traceback(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """What Telnyx refuses is told in a line; what a handler gets wrong, with its traceback."""

    async def handler(call: Call) -> None:
        raise LookupError("a bug")

    async with open_world(handler) as world:
        world.carrier.faults.fail("/actions/answer", status=422)
        refused = await world.call_in()
        await refused.wait_ended()
        failing = await world.call_in()
        await failing.wait_ended()
        await world.wait_idle()
        assert world.server.statistics().failed_calls == 2
    failures = [r for r in caplog.records if r.getMessage().startswith("call ") and r.levelno >= 40]
    assert [bool(record.exc_info) for record in failures] == [False, True]
