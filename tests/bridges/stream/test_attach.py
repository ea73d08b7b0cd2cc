"""attach_phone_to_call: a media stream in a Stream call, its phone a WebSocket in memory."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
import trio
from marked_audio import delays_of, marked_tone, marks_of
from media_phone import MediaPhone
from stream_bridge_world import guest_in, stream_call_of, wait_until
from stream_peer import STOP, start_text
from stream_standin import Standin
from stream_world import RATE, loudness, tone

from telnyx_trio import (
    LocalProtocolError,
    MediaStream,
    StreamJoinFailed,
    attach_phone_to_call,
)
from telnyx_trio.testing import memory_websocket_pair


@pytest.mark.parametrize("started", [False, True])
async def test_before_and_after_start(standin: Standin, started: bool) -> None:
    """Attached before or after ``start``, before the first participant: both hear each other."""
    call_id = f"attach-{started}"
    client, server = memory_websocket_pair()
    phone, stream = MediaPhone(client, tone(440, rate=8000)), MediaStream(server)
    attach = partial(attach_phone_to_call, stream_call_of(standin, call_id), stream)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(phone.listen)
            nursery.start_soon(stream.run)
            if started:
                nursery.start_soon(phone.talk)
                await stream.wait_started()
                bridge = await attach()
            else:
                bridge = await attach(user_id="phone-user")
                nursery.start_soon(phone.talk)
            async with guest_in(standin, call_id, "ann", says=tone(1000)) as ann:
                await wait_until(
                    ann, lambda: loudness(ann.samples("phone-user")[-RATE:], 440) > 5000
                )
                await wait_until(
                    phone, lambda: loudness(phone.heard.samples()[-4000:], 1000, rate=8000) > 4000
                )
            await client.send_text(STOP)
        await wait_until(standin, lambda: standin.participants(f"default:{call_id}") == [])
    assert bridge.ended_by == await bridge.wait_ended() == "phone"


async def test_the_stream_call_ends_before_start(standin: Standin) -> None:
    """It is told although nothing is carried yet."""
    client, server = memory_websocket_pair()
    stream = MediaStream(server)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.run)
            bridge = await attach_phone_to_call(stream_call_of(standin, "early"), stream)
            await trio.to_thread.run_sync(standin.end_call, "default:early")
            assert await bridge.wait_ended() == "stream_call"
            async for _ in bridge.events:
                pytest.fail("nobody was there")
            await client.send_text(start_text())
            await client.send_text(STOP)
    assert bridge.ended_by == "stream_call"


async def test_two_phones_of_one_user(standin: Standin) -> None:
    """The user id is the default: each is a participant of the other's, and heard by it."""
    phones: list[MediaPhone] = []
    streams: list[MediaStream] = []
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for frequency in (440, 1000):
                client, server = memory_websocket_pair()
                phone, stream = MediaPhone(client, tone(frequency, rate=8000)), MediaStream(server)
                for task in (phone.listen, phone.talk, stream.run):
                    nursery.start_soon(task)
                phones.append(phone)
                streams.append(stream)
            bridges = [
                await attach_phone_to_call(stream_call_of(standin, "same"), stream)
                for stream in streams
            ]
            for phone, frequency in zip(phones, (1000, 440), strict=True):

                def is_heard(phone: MediaPhone = phone, frequency: float = frequency) -> bool:
                    heard = phone.heard.samples()[-4000:]
                    return loudness(heard, frequency, rate=8000) > 4000

                await wait_until(phone, is_heard)
            for bridge in bridges:
                [other] = bridge.participants
                assert other.user_id == "phone-user"
            assert bridges[0].participants != bridges[1].participants
            nursery.cancel_scope.cancel()


async def test_a_phone_is_in_one_stream_call(standin: Standin) -> None:
    """Two would each get half of its audio; one after the other is all right."""
    client, server = memory_websocket_pair()
    stream = MediaStream(server)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.run)
            await client.send_text(start_text())
            bridge = await attach_phone_to_call(stream_call_of(standin, "one"), stream)
            with pytest.raises(LocalProtocolError, match="already"):
                await attach_phone_to_call(stream_call_of(standin, "two"), stream)
            assert bridge.ended_by is None
            await bridge.leave()
            assert bridge.ended_by == "left"
            bridge = await attach_phone_to_call(stream_call_of(standin, "two"), stream)
            await client.send_text(STOP)
    assert bridge.ended_by == "phone"


async def test_the_sdk_gives_a_join_up(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancellation of its own making is a failed join, not one that Trio has not asked for."""

    async def connect(_connection: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr("getstream.video.rtc.ConnectionManager.connect", connect)
    _, server = memory_websocket_pair()
    stream = MediaStream(server)
    with trio.fail_after(20), pytest.raises(StreamJoinFailed, match="given it up"):
        await attach_phone_to_call(stream_call_of(standin, "given-up"), stream)
    await stream.close()


async def test_a_stream_that_has_ended(standin: Standin) -> None:
    """It is told, and nobody is in the call; also when it ends while the call is being joined."""
    _, server = memory_websocket_pair()
    stream = MediaStream(server)
    await stream.close()
    with trio.fail_after(10), pytest.raises(trio.BrokenResourceError, match="hung up"):
        await attach_phone_to_call(stream_call_of(standin, "over"), stream)

    client, server = memory_websocket_pair()
    stream = MediaStream(server)
    asked = standin.requests("SetPublisher")
    await trio.to_thread.run_sync(standin.shut, "SetPublisher")
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.run)
            await client.send_text(start_text())

            @nursery.start_soon
            async def hang_up() -> None:
                await wait_until(standin, lambda: standin.requests("SetPublisher") > asked)
                await client.send_text(STOP)
                await trio.to_thread.run_sync(standin.open, "SetPublisher")

            with pytest.raises(trio.BrokenResourceError, match="hung up"):
                await attach_phone_to_call(stream_call_of(standin, "over"), stream)
    await wait_until(standin, lambda: standin.participants("default:over") == [])


async def test_stream_call_is_over(standin: Standin) -> None:
    """The Stream call ends for everybody: the phone's stream goes on."""
    client, server = memory_websocket_pair()
    phone, stream = MediaPhone(client, tone(440, rate=8000)), MediaStream(server)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(phone.listen)
            nursery.start_soon(phone.talk)
            nursery.start_soon(stream.run)
            bridge = await attach_phone_to_call(stream_call_of(standin, "ends"), stream)
            await trio.to_thread.run_sync(standin.end_call, "default:ends")
            assert await bridge.wait_ended() == "stream_call"
            assert stream.is_connected
            await client.send_text(STOP)


async def test_what_is_said_before_the_media_connects(standin: Standin) -> None:
    """It does not wait in a queue of the SDK's, by which all that follows would be late."""
    client, server = memory_websocket_pair()
    phone, stream = MediaPhone(client, marked_tone(8000)), MediaStream(server)
    asked = standin.requests("IceTrickle")
    await trio.to_thread.run_sync(standin.shut, "IceTrickle")
    with trio.fail_after(60):
        async with guest_in(standin, "slow", "ann") as ann, trio.open_nursery() as nursery:
            for task in (phone.listen, phone.talk, stream.run):
                nursery.start_soon(task)
            nursery.start_soon(attach_phone_to_call, stream_call_of(standin, "slow"), stream)
            await wait_until(
                standin,
                lambda: (
                    standin.requests("IceTrickle") > asked
                    or "phone-user" in standin.publishers("default:slow")
                ),
            )
            said = phone.said.n_chunks
            await wait_until(phone, lambda: phone.said.n_chunks > said + 35)
            await trio.to_thread.run_sync(standin.open, "IceTrickle")
            await wait_until(ann, lambda: ann.heard_for("phone-user") > 4)
            heard_at, _ = marks_of(ann.heard["phone-user"])
            said_at, _ = marks_of(phone.said)
            await client.send_text(STOP)
    # Delays are known but for whole seconds; so is the one here, of half a second and more.
    [late] = delays_of(said_at, heard_at)[-1:]
    assert late < 0.5
