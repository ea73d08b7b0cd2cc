"""Commands that wait for their outcome, with Telnyx played by the test: REST and webhooks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import httpx
import outcome
import pytest
import trio
from stream_peer import start_text

from telnyx_trio import (
    AnsweredBy,
    Call,
    CallBusy,
    CallControlRefused,
    CallEnded,
    GatherResult,
    PlaybackFailed,
    RecordingFailed,
    TelnyxCall,
    TransferredLeg,
    open_call,
    open_client,
)
from telnyx_trio._ring_channel import RingChannel
from telnyx_trio.call_control import decode_client_state, tag_client_state
from telnyx_trio.testing import memory_websocket_pair
from telnyx_trio.webhooks import Inbox, WebhookEvent, parse_event

TAG = b"telnyx-trio:" + b"x" * 24
OURS = {"call_control_id": "v3:abc", "call_leg_id": "leg-1", "call_session_id": "session"}


class Telnyx(httpx.AsyncBaseTransport):
    """REST that takes each command, and webhooks when the test says so.

    Attributes:
        commands: name and body, in order.
        on: what happens when a command comes, before its reply.
        refused: commands that are refused.
    """

    def __init__(self) -> None:
        self.commands: list[tuple[str, dict[str, Any]]] = []
        self.on: dict[str, Callable[[], None]] = {"hangup": partial(self.tell, "call.hangup")}
        self.refused: set[str] = set()
        self.inbox = Inbox()
        self.webhooks: RingChannel[WebhookEvent] = RingChannel(100)
        self._n_events = 0
        self.inbox.subscribe(self.webhooks.put, call_control_id="v3:abc", call_leg_id="leg-1")

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.commands]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await trio.lowlevel.checkpoint()
        name = request.url.path.rpartition("/")[2]
        self.commands.append((name, json.loads(request.content)))
        if name in self.refused:
            errors = [{"code": "90034", "title": "Call not answered yet"}]
            return httpx.Response(422, json={"errors": errors})
        if name in self.on:
            self.on[name]()
        return httpx.Response(200, json={"data": {"result": "ok"}})

    def tell(self, event_type: str, ids: dict[str, str] = OURS, **payload: Any) -> None:
        self._n_events += 1
        data = {"event_type": event_type, "id": f"e{self._n_events}", "payload": {**ids, **payload}}
        self.inbox.deliver(parse_event(json.dumps({"data": data}).encode()))


@asynccontextmanager
async def open_telnyx_call(client_state: str | None = None) -> AsyncIterator[tuple[Telnyx, Call]]:
    """A live call, with the far end in the test's hands."""
    telnyx = Telnyx()
    far, near = memory_websocket_pair()
    async with (
        open_client("KEY", base_url="https://telnyx.invalid/v2", transport=telnyx) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(far.wait_accepted)
        await trio.lowlevel.checkpoint()

        async def begin() -> None:
            await far.wait_accepted()
            await far.send_text(start_text(client_state=client_state))

        nursery.start_soon(begin)
        info = TelnyxCall("v3:abc", client_state=client_state)
        async with open_call(
            near,
            info=info,
            client=client,
            webhooks=telnyx.webhooks,
            inbox=telnyx.inbox,
            silence_timeout=10_000.0,
        ) as call:
            yield telnyx, call
        nursery.cancel_scope.cancel()


async def results(call: Callable[[], Awaitable[Any]], *parts: Callable[[], None]) -> Any:
    """Run a command; once all is quiet, let each part happen; return or raise what it does."""
    found: list[outcome.Outcome[Any]] = []

    async def run() -> None:
        found.append(await outcome.acapture(call))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        for part in parts:
            await trio.testing.wait_all_tasks_blocked()
            assert not found
            part()
    return found[0].unwrap()


# Playing and speaking.


async def test_speak_waits_for_its_end() -> None:
    """It returns when Telnyx says that the text was spoken."""
    async with open_telnyx_call() as (telnyx, call):
        status = await results(
            partial(call.speak, "hello", voice="AWS.Polly.Joanna"),
            partial(telnyx.tell, "call.speak.started"),
            partial(telnyx.tell, "call.speak.ended", status="completed"),
        )
        assert status == "completed"
        name, body = telnyx.commands[0]
        assert name == "speak"
        assert body["payload"] == "hello"
        assert body["voice"] == "AWS.Polly.Joanna"


async def test_event_before_the_reply_is_not_missed() -> None:
    """Telnyx's webhook may be quicker than its reply."""
    async with open_telnyx_call() as (telnyx, call):
        telnyx.on["speak"] = partial(telnyx.tell, "call.speak.ended", status="completed")
        assert await call.speak("hi", voice="v") == "completed"


async def test_the_user_sees_all_events_too() -> None:
    """Who waits for an outcome takes nothing away from ``call.events``."""
    async with open_telnyx_call() as (telnyx, call):
        telnyx.on["playback_start"] = partial(
            telnyx.tell, "call.playback.ended", status="completed"
        )
        await call.playback("https://x.invalid/a.wav")
        event = await call.events.receive()
        assert isinstance(event, WebhookEvent)
        assert event.event_type == "call.playback.ended"


@pytest.mark.parametrize("status", ["file_not_found", "failed", "unknown"])
async def test_playback_that_fails(status: str) -> None:
    """A file that can't be had is an error that says so."""
    async with open_telnyx_call() as (telnyx, call):
        telnyx.on["playback_start"] = partial(
            telnyx.tell, "call.playback.ended", status=status, status_detail="404 from host"
        )
        with pytest.raises(PlaybackFailed, match=f"{status}: 404 from host") as caught:
            await call.playback("https://x.invalid/a.wav")
        assert (caught.value.status, caught.value.call_control_id) == (status, "v3:abc")


async def test_playback_of_another_file_is_not_taken_for_it() -> None:
    """The end of a file that ``command`` started is none of ours."""
    async with open_telnyx_call() as (telnyx, call):
        status = await results(
            partial(call.playback, "https://x.invalid/a.wav"),
            partial(
                telnyx.tell,
                "call.playback.ended",
                media_url="https://x.invalid/b.wav",
                status="completed",
            ),
            partial(
                telnyx.tell,
                "call.playback.ended",
                media_url="https://x.invalid/a.wav",
                status="cancelled",
            ),
        )
        assert status == "cancelled"


async def test_playback_of_content() -> None:
    """A file at hand goes as base64."""
    async with open_telnyx_call() as (telnyx, call):
        telnyx.on["playback_start"] = partial(
            telnyx.tell, "call.playback.ended", status="completed"
        )
        await call.playback(content=b"RIFF")
        assert telnyx.commands[0][1]["playback_content"] == "UklGRg=="


async def test_one_playback_at_a_time() -> None:
    """The second waits for its turn, because the ends do not tell whose they are."""
    async with open_telnyx_call() as (telnyx, call), trio.open_nursery() as nursery:
        nursery.start_soon(partial(call.speak, "one", voice="v"))
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(partial(call.playback, "https://x.invalid/a.wav"))
        await trio.testing.wait_all_tasks_blocked()
        assert telnyx.names == ["speak"]
        telnyx.tell("call.speak.ended", status="completed")
        await trio.testing.wait_all_tasks_blocked()
        assert telnyx.names == ["speak", "playback_start"]
        telnyx.tell("call.playback.ended", status="completed")


Helper: TypeAlias = Callable[[Call], Awaitable[Any]]

WAITING: dict[str, tuple[Helper, str, str | None]] = {
    "speak": (lambda call: call.speak("hi", voice="v"), "speak", "playback_stop"),
    "playback": (
        lambda call: call.playback("https://x.invalid/"),
        "playback_start",
        "playback_stop",
    ),
    "gather": (lambda call: call.gather(), "gather", "gather_stop"),
    "gather with a text": (
        lambda call: call.gather(say="pin", voice="v"),
        "gather_using_speak",
        "gather_stop",
    ),
    "gather with a file": (
        lambda call: call.gather(audio_url="https://x.invalid/"),
        "gather_using_audio",
        "gather_stop",
    ),
    "bridge": (lambda call: call.bridge("v3:other"), "bridge", None),
    "transfer": (lambda call: call.transfer("+15550100003"), "transfer", None),
}


@pytest.fixture(params=WAITING)
def waiting(request: pytest.FixtureRequest) -> tuple[Helper, str, str | None]:
    return WAITING[request.param]


async def test_cancelled_while_it_waits(waiting: tuple[Helper, str, str | None]) -> None:
    """What was begun at Telnyx is stopped; the call goes on."""
    helper, command, undo = waiting
    async with open_telnyx_call() as (telnyx, call):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(helper, call)
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        assert telnyx.names == [command, *([undo] if undo else [])]
        assert call.outcome is None


async def test_call_that_ends_meanwhile(waiting: tuple[Helper, str, str | None]) -> None:
    """The call's end ends the wait, with the cause."""
    helper, _, _ = waiting
    async with open_telnyx_call() as (telnyx, call):
        with pytest.raises(CallEnded) as caught:
            await results(
                partial(helper, call),
                partial(telnyx.tell, "call.hangup", hangup_cause="normal_clearing"),
            )
        assert caught.value.hangup_cause == "normal_clearing"
        with pytest.raises(CallEnded):
            await call.gather()


async def test_refused(waiting: tuple[Helper, str, str | None]) -> None:
    """What Telnyx does not take is not waited for, and not stopped."""
    helper, command, _ = waiting
    async with open_telnyx_call() as (telnyx, call):
        telnyx.refused.add(command)
        with pytest.raises(CallControlRefused):
            await helper(call)
        assert telnyx.names == [command]
    assert telnyx.names == [command, "hangup"]


# Collecting digits.


async def test_gather() -> None:
    """The digits come with how they came; they do not show in a repr."""
    async with open_telnyx_call() as (telnyx, call):
        telnyx.on["gather"] = partial(
            telnyx.tell, "call.gather.ended", digits="1234", status="valid"
        )
        result = await call.gather(maximum_digits=4, terminating_digit="#")
        assert result == GatherResult("1234", "valid")
        assert "1234" not in repr(result)
        assert telnyx.commands[0][1]["maximum_digits"] == 4


async def test_gather_that_nobody_answers() -> None:
    """No key in time is a status."""
    async with open_telnyx_call() as (telnyx, call):
        telnyx.on["gather"] = partial(telnyx.tell, "call.gather.ended", digits="", status="timeout")
        assert await call.gather() == GatherResult("", "timeout")


async def test_gather_cut_short_by_the_hangup() -> None:
    """The status that says so is the call's end."""
    async with open_telnyx_call() as (telnyx, call):
        telnyx.on["gather"] = partial(telnyx.tell, "call.gather.ended", status="call_hangup")
        with pytest.raises(CallEnded):
            await call.gather()


# Handing over.


def new_leg(telnyx: Telnyx) -> dict[str, str]:
    state = telnyx.commands[-1][1]["target_leg_client_state"]
    return {
        "call_control_id": "v3:new",
        "call_leg_id": "leg-2",
        "call_session_id": "session",
        "client_state": state,
    }


async def test_transfer() -> None:
    """It returns when both are connected; then leaving does not hang up."""
    async with open_telnyx_call() as (telnyx, call):

        def tell_new_leg(event_type: str) -> None:
            telnyx.tell(event_type, new_leg(telnyx))

        leg = await results(
            partial(call.transfer, "+15550100003", timeout_secs=20),
            partial(tell_new_leg, "call.initiated"),
            partial(tell_new_leg, "call.answered"),
            partial(telnyx.tell, "call.bridged"),
        )
        assert leg == TransferredLeg("v3:new", "leg-2")
        assert telnyx.commands[0][1]["to"] == "+15550100003"
    assert telnyx.names == ["transfer"]


async def test_transfer_to_somebody_busy() -> None:
    """The call is ours again: it goes on, and leaving hangs up."""
    async with open_telnyx_call() as (telnyx, call):

        def tell_new_leg(event_type: str, **payload: str) -> None:
            telnyx.tell(event_type, new_leg(telnyx), **payload)

        with pytest.raises(CallBusy) as caught:
            await results(
                partial(call.transfer, "+15550100003"),
                partial(tell_new_leg, "call.initiated"),
                partial(tell_new_leg, "call.hangup", hangup_cause="user_busy"),
            )
        assert caught.value.call_control_id == "v3:new"
        assert call.outcome is None
    assert telnyx.names == ["transfer", "hangup"]


async def test_hangup_of_the_new_leg_is_not_ours() -> None:
    """A leg with our session but a client_state of its own does not end our call."""
    async with open_telnyx_call() as (telnyx, call):
        other = {**OURS, "call_control_id": "v3:x", "call_leg_id": "leg-9", "client_state": "eA=="}
        telnyx.tell("call.hangup", other)
        await trio.testing.wait_all_tasks_blocked()
        assert call.outcome is None


async def test_transfer_keeps_a_state_for_the_new_leg() -> None:
    """What the user gives for the new leg stands behind our tag."""
    async with open_telnyx_call() as (telnyx, call):
        telnyx.on["transfer"] = partial(telnyx.tell, "call.bridged")
        await call.transfer("+15550100003", target_leg_client_state="order 7")
        state = decode_client_state(telnyx.commands[0][1]["target_leg_client_state"])
        assert state.endswith(b"order 7")


async def test_bridge_of_two_calls_hands_both_over() -> None:
    """Neither is hung up on leaving."""
    async with open_telnyx_call() as (telnyx, call), open_telnyx_call() as (other_telnyx, other):
        telnyx.on["bridge"] = partial(telnyx.tell, "call.bridged")
        other.info.call_control_id = "v3:other"
        await call.bridge(other)
        assert telnyx.commands[0][1]["call_control_id"] == "v3:other"
    assert telnyx.names == ["bridge"]
    assert other_telnyx.names == []


# Recording.


async def test_recording() -> None:
    """It runs while the block does; afterwards its links can be waited for."""
    async with open_telnyx_call() as (telnyx, call):
        async with call.recording(format="mp3", max_length=60) as recording:
            await recording.pause()
            await recording.resume()
        assert telnyx.names == ["record_start", "record_pause", "record_resume", "record_stop"]
        assert telnyx.commands[0][1]["channels"] == "dual"
        telnyx.tell("call.recording.saved", recording_urls={"mp3": "https://x.invalid/r"})
        saved = await recording.wait_saved()
        assert saved.recording_urls == {"mp3": "https://x.invalid/r"}
        assert await recording.wait_saved() is saved


async def test_recording_stopped_by_hand_is_stopped_once() -> None:
    """Leaving the block has nothing left to do."""
    async with open_telnyx_call() as (telnyx, call):
        async with call.recording() as recording:
            await recording.stop()
        assert telnyx.names == ["record_start", "record_stop"]


async def test_recording_that_fails() -> None:
    """Telnyx's reason is in the error."""
    async with open_telnyx_call() as (telnyx, call):
        async with call.recording() as recording:
            telnyx.tell("call.recording.error", reason="disk full")
            with pytest.raises(RecordingFailed, match="disk full"):
                await recording.wait_saved()


async def test_cancelled_recording_is_stopped() -> None:
    """A cancellation inside of the block ends it at Telnyx."""
    async with open_telnyx_call() as (telnyx, call):
        with trio.CancelScope() as scope:
            async with call.recording():
                scope.cancel()
                await trio.sleep_forever()
        assert telnyx.names == ["record_start", "record_stop"]


async def test_recording_refused_is_not_stopped() -> None:
    """What Telnyx did not begin needs no end."""
    async with open_telnyx_call() as (telnyx, call):
        telnyx.refused.add("record_start")
        with pytest.raises(CallControlRefused):
            async with call.recording():
                pytest.fail("entered")
        assert telnyx.names == ["record_start"]


async def test_recording_of_a_call_that_ended() -> None:
    """No word of it came: the wait ends with the call."""
    async with open_telnyx_call() as (telnyx, call):
        async with call.recording() as recording:
            telnyx.tell("call.hangup")
            await call.wait_ended()
        with pytest.raises(CallEnded):
            await recording.wait_saved()


# Answering machines.


@pytest.mark.parametrize(
    ("event_type", "result", "expected"),
    [
        ("call.machine.detection.ended", "human", AnsweredBy.HUMAN),
        ("call.machine.detection.ended", "machine", AnsweredBy.MACHINE),
        ("call.machine.detection.ended", "not_sure", AnsweredBy.NOT_SURE),
        ("call.machine.premium.detection.ended", "human_residence", AnsweredBy.HUMAN),
        ("call.machine.premium.detection.ended", "human_business", AnsweredBy.HUMAN),
        ("call.machine.premium.detection.ended", "silence", AnsweredBy.SILENCE),
        ("call.machine.premium.detection.ended", "fax_detected", AnsweredBy.FAX),
        ("call.machine.premium.detection.ended", "something new", AnsweredBy.NOT_SURE),
    ],
)
async def test_machine_detection(event_type: str, result: str, expected: AnsweredBy) -> None:
    """Both dialects of Telnyx's become one answer; Telnyx's word is kept."""
    async with open_telnyx_call() as (telnyx, call):
        assert call.machine_detection is None
        found = await results(
            call.wait_machine_detection, partial(telnyx.tell, event_type, result=result)
        )
        assert (found.answered_by, found.result) == (expected, result)
        assert await call.wait_machine_detection() is call.machine_detection is found


@pytest.mark.parametrize(
    ("event_type", "result", "beep"),
    [
        ("call.machine.greeting.ended", "beep_detected", True),
        ("call.machine.greeting.ended", "ended", False),
        ("call.machine.premium.greeting.ended", "beep_detected", True),
        ("call.machine.premium.greeting.ended", "no_beep_detected", False),
    ],
)
async def test_machine_greeting(event_type: str, result: str, beep: bool) -> None:
    """The end of the greeting tells whether there was a beep."""
    async with open_telnyx_call() as (telnyx, call):
        found = await results(
            call.wait_machine_greeting, partial(telnyx.tell, event_type, result=result)
        )
        assert (found.beep, found.result) == (beep, result)
        assert call.machine_greeting is found


async def test_machine_detection_of_a_call_that_ends() -> None:
    """Who waits is told of the end."""
    async with open_telnyx_call() as (telnyx, call):
        with pytest.raises(CallEnded):
            await results(call.wait_machine_detection, partial(telnyx.tell, "call.hangup"))
        with pytest.raises(CallEnded):
            await call.wait_machine_greeting()


# Client state.


async def test_client_state_shows_the_users_part_only() -> None:
    """Neither the call nor its events show the tag."""
    wire = tag_client_state(TAG, "order 7")
    async with open_telnyx_call(wire) as (telnyx, call):
        assert call.client_state == b"order 7"
        telnyx.tell("call.answered", client_state=wire)
        event = await call.events.receive()
        assert isinstance(event, WebhookEvent)
        assert decode_client_state(event.client_state or "") == b"order 7"
        assert event.payload["client_state"] == event.client_state


async def test_client_state_that_the_user_did_not_set() -> None:
    """A tag alone is nothing to show."""
    wire = tag_client_state(TAG)
    async with open_telnyx_call(wire) as (telnyx, call):
        assert call.client_state == b""
        telnyx.tell("call.answered", client_state=wire)
        event = await call.events.receive()
        assert isinstance(event, WebhookEvent)
        assert event.client_state is None


async def test_update_of_the_client_state() -> None:
    """The tag stays in front, so that the server still knows the leg by it."""
    async with open_telnyx_call(tag_client_state(TAG, "one")) as (telnyx, call):
        await call.update_client_state("two")
        name, body = telnyx.commands[0]
        assert name == "client_state_update"
        assert decode_client_state(body["client_state"]) == TAG + b"two"
        assert call.client_state == b"two"


async def test_without_a_rest_client() -> None:
    """Who opened the call without one is told what to do."""
    far, near = memory_websocket_pair()
    await far.send_text(start_text())
    async with open_call(near) as call:
        with pytest.raises(RuntimeError, match="pass client="):
            await call.gather()
        with pytest.raises(RuntimeError, match="pass client="):
            call.recording()
