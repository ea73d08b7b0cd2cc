"""Commands in depth against the simulated carrier: the library and it share no code for these."""

from __future__ import annotations

import io
import wave

import httpx
import numpy as np
import pytest
import trio
from server_world import CALLEE, listen_to_end, open_world
from trio.testing import MockClock

from telnyx_trio import (
    AnsweredBy,
    Call,
    CallBusy,
    CallEnded,
    CallNoAnswer,
    CallRejected,
    EndReason,
    PlaybackFailed,
)
from telnyx_trio.testing import CarrierSettings, Phone
from telnyx_trio.webhooks import WebhookEvent

THIRD = "+15550000003"


def wav(duration: float) -> bytes:
    times = np.arange(round(8000 * duration)) / 8000
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes((8000 * np.sin(2 * np.pi * 500 * times)).astype("<i2").tobytes())
    return file.getvalue()


async def test_speak_and_playback(autojump_clock: MockClock) -> None:
    """Each returns when the far party has heard it."""
    async with open_world() as world, world.server.dial(to=CALLEE) as call:
        assert await call.speak("Good morning, how are you?", voice="AWS.Polly.Joanna") == (
            "completed"
        )
        began_at = trio.current_time()
        assert await call.playback(content=wav(2.0)) == "completed"
        assert trio.current_time() - began_at == pytest.approx(2.0, abs=0.3)
        [leg] = world.carrier.legs
        recording, _ = leg.recording()
        assert np.abs(recording[1].astype(int)).max() > 4000


async def test_cancelled_playback_falls_silent(autojump_clock: MockClock) -> None:
    """The far party hears no more of it."""
    async with open_world() as world, world.server.dial(to=CALLEE) as call:
        with trio.move_on_after(1):
            await call.playback(content=wav(30.0))
        [leg] = world.carrier.legs
        await trio.sleep(0.2)
        recording, rate = leg.recording()
        heard = recording[1].size
        await trio.sleep(2)
        recording, _ = leg.recording()
        after = recording[1][heard + rate // 10 :]
        assert after.size > rate
        assert not after.any()


async def test_playback_of_a_file_that_is_not_there() -> None:
    """Telnyx can't fetch it: an error with its status."""
    async with open_world(sockets=True) as world, world.server.dial(to=CALLEE) as call:
        with pytest.raises(PlaybackFailed):
            await call.playback(f"{world.carrier.base_url}/nothing.wav")


async def test_gather_digits_and_timeout(autojump_clock: MockClock) -> None:
    """Keys are collected by the carrier; none in time is a status."""
    async with open_world() as world, world.server.dial(to=CALLEE) as call:
        [leg] = world.carrier.legs

        async def press() -> None:
            await trio.sleep(1)
            leg.press("12#")

        call.nursery.start_soon(press)
        result = await call.gather(terminating_digit="#", maximum_digits=4)
        assert (result.digits, result.status) == ("12", "valid")
        result = await call.gather(initial_timeout_millis=1000)
        assert result.digits == ""
        assert result.status in ("timeout", "invalid")
        result = await call.gather(
            say="Enter your pin", voice="AWS.Polly.Joanna", timeout_millis=1000
        )
        assert result.digits == ""


async def test_recording_can_be_fetched() -> None:
    """The link in the saved event leads to a WAV of the call."""
    async with open_world(sockets=True) as world:
        world.carrier.default_phone = Phone(says=(np.full(8000, 3000, np.int16), 8000))
        async with world.server.dial(to=CALLEE) as call:
            async for _ in call.received:
                break
            async with call.recording(format="wav", channels="dual") as recording:
                await trio.sleep(0.3)
            with trio.fail_after(10):
                saved = await recording.wait_saved()
            async with httpx.AsyncClient(trust_env=False) as http:
                reply = await http.get(saved.recording_urls["wav"])
            with wave.open(io.BytesIO(reply.content)) as file:
                assert file.getnchannels() == 2
                assert file.getnframes() > 0


async def test_transfer_connects_the_two(autojump_clock: MockClock) -> None:
    """The far party speaks with the third one, and our leaving does not hang up."""
    async with open_world() as world:
        world.carrier.phones[THIRD] = Phone(answer_after=2, hang_up_at=5)
        async with world.server.dial(to=CALLEE) as call:
            leg = await call.transfer(THIRD)
            assert leg.call_control_id == world.carrier.legs[1].names.call_control_id
        assert call.outcome is not None
        assert call.outcome.reason is EndReason.DETACHED
        assert world.requests("hangup") == []
        await world.wait_idle()
        world.assert_clean()


@pytest.mark.parametrize(
    ("phone", "error"),
    [
        (Phone(outcome="busy", answer_after=1), CallBusy),
        (Phone(outcome="rejected", answer_after=1), CallRejected),
        (Phone(outcome="no_answer"), CallNoAnswer),
    ],
)
async def test_transfer_that_nobody_takes(
    autojump_clock: MockClock, phone: Phone, error: type[Exception]
) -> None:
    """The call goes on as before, and is hung up on leaving."""
    async with open_world() as world:
        world.carrier.phones[THIRD] = phone
        async with world.server.dial(to=CALLEE) as call:
            with pytest.raises(error):
                await call.transfer(THIRD, timeout_secs=10)
            assert call.outcome is None
            assert await call.speak("Nobody there.", voice="v") == "completed"
        assert len(world.requests("hangup")) == 1
        await world.wait_idle()
        world.assert_clean()


async def test_caller_gives_up_while_a_transfer_rings(autojump_clock: MockClock) -> None:
    """The call's end is told, not the other leg's."""
    async with open_world() as world:
        world.carrier.phones[THIRD] = Phone(outcome="no_answer")
        async with world.server.dial(to=CALLEE) as call:

            async def hang_up() -> None:
                await trio.sleep(3)
                await world.carrier.legs[0].hang_up()

            call.nursery.start_soon(hang_up)
            with pytest.raises(CallEnded):
                await call.transfer(THIRD)
        await world.wait_idle()
        world.assert_clean()


async def test_bridge_of_two_calls(autojump_clock: MockClock) -> None:
    """Both legs live on without us, until one of them hangs up."""
    async with open_world() as world:
        world.carrier.phones[THIRD] = Phone(hang_up_at=8)
        async with (
            world.server.dial(to=CALLEE) as call,
            world.server.dial(to=THIRD) as other,
        ):
            await call.bridge(other)
        assert world.requests("hangup") == []
        await world.wait_idle()
        world.assert_clean()


@pytest.mark.parametrize(
    ("mode", "who", "expected"),
    [
        ("detect", "human", AnsweredBy.HUMAN),
        ("detect_beep", "machine", AnsweredBy.MACHINE),
        ("premium", "human", AnsweredBy.HUMAN),
        ("premium", "machine", AnsweredBy.MACHINE),
        ("premium", "fax", AnsweredBy.FAX),
        ("premium", "silence", AnsweredBy.SILENCE),
    ],
)
async def test_machine_detection(
    autojump_clock: MockClock, mode: str, who: str, expected: AnsweredBy
) -> None:
    """Whoever answers is told apart, in the standard modes and the premium ones."""
    async with open_world() as world:
        world.carrier.default_phone = Phone(answered_by=who)  # type: ignore[arg-type]
        async with world.server.dial(to=CALLEE, answering_machine_detection=mode) as call:
            with trio.fail_after(60):
                assert (await call.wait_machine_detection()).answered_by is expected
                if who == "machine":
                    assert (await call.wait_machine_greeting()).beep


async def test_client_state_of_a_dialled_call(autojump_clock: MockClock) -> None:
    """What dial was given comes back, and nothing of ours with it."""
    async with open_world() as world:
        async with world.server.dial(to=CALLEE, client_state="order 7") as call:
            assert call.client_state == b"order 7"
            await call.update_client_state(b"order 8")
            assert await call.speak("hi", voice="v") == "completed"
            async for event in call.events:
                assert isinstance(event, WebhookEvent)
                if event.event_type == "call.speak.ended":
                    assert event.client_state == "b3JkZXIgOA=="
                    break
        await world.wait_idle()


async def test_client_state_of_an_inbound_call(autojump_clock: MockClock) -> None:
    """It starts empty, and can be set."""
    states = []

    async def handler(call: Call) -> None:
        states.append(call.client_state)
        await call.update_client_state("vip")
        states.append(call.client_state)
        await listen_to_end(call)

    async with open_world(handler) as world:
        await world.call_in(phone=Phone(hang_up_at=2))
        await world.wait_idle()
        world.assert_clean()
    assert states == [b"", b"vip"]


async def test_call_that_is_renamed_in_its_webhooks(autojump_clock: MockClock) -> None:
    """A dialled call is found by its other ids when Telnyx names it otherwise later on."""
    settings = CarrierSettings(renames_dialled_calls=True)
    async with open_world(carrier_settings=settings) as world:
        world.carrier.phones[THIRD] = Phone(answer_after=1, hang_up_at=4)
        async with world.server.dial(to=CALLEE, client_state="order 7") as call:
            assert call.client_state == b"order 7"
            assert await call.speak("hi", voice="v") == "completed"
            await call.transfer(THIRD)
        await world.wait_idle()
        world.assert_clean()
