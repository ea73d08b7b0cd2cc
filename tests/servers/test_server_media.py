from __future__ import annotations

import json
import logging

import pytest
import trio
from server_world import CALLEE, World, listen_to_end, open_world
from trio.testing import MockClock

from telnyx_trio import Call, MediaRequest
from telnyx_trio._websocket import WebSocketRejected
from telnyx_trio.testing import MemoryWebSocket, Phone, memory_websocket_pair


async def knock(
    world: World, path: str, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> MemoryWebSocket:
    """Open a media socket and return the far end; raises WebSocketRejected if it is refused."""
    telnyx, ours = memory_websocket_pair(path=path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.server.handle_media, ours, MediaRequest(path, headers, "10.0.0.1"))
        await telnyx.wait_accepted()
        nursery.cancel_scope.cancel()
    return telnyx


def token_of(call: Call) -> str:
    return call.info.token


@pytest.mark.parametrize(
    "path",
    [
        "/telnyx/media",
        "/telnyx/media/",
        "/telnyx/media/wrong",
        "/telnyx/media/{token}x",
        "/telnyx/media/{token}",
        "/telnyx/media/{token}?again=1",
        "/telnyx/media?token={token}",
        "/telnyx/media/\u00e9",
        "/",
    ],
)
async def test_wrong_used_and_missing_tokens_are_refused(
    autojump_clock: MockClock, path: str
) -> None:
    """Without a fresh token of a live call: 403 before the handshake is accepted, nothing begun."""
    async with open_world(listen_to_end) as world:
        async with world.server.dial(to=CALLEE) as call:
            with pytest.RaisesGroup(WebSocketRejected) as caught:
                await knock(world, path.format(token=token_of(call)))
            error = caught.value.exceptions[0]
            assert isinstance(error, WebSocketRejected)
            assert error.status == 403
            assert world.server.statistics().refused_media == 1
            assert world.server.statistics().live_calls == 1
            assert call.outcome is None


async def test_token_of_an_ended_call_is_refused(autojump_clock: MockClock) -> None:
    """When the call is over its token is void, used or not."""
    async with open_world(media_timeout=5.0) as world:
        leg = world.server.registry.create("v3:x")
        world.server.registry.discard(leg)
        with pytest.RaisesGroup(WebSocketRejected):
            await knock(world, f"/telnyx/media/{leg.token}")


async def test_expired_token_is_refused(autojump_clock: MockClock) -> None:
    """A token that was not used for eleven minutes is void."""
    async with open_world() as world:
        info = world.server.registry.create("v3:x")
        await trio.sleep(661)
        with pytest.RaisesGroup(WebSocketRejected):
            await knock(world, f"/telnyx/media/{info.token}")


async def test_header_counts_when_the_header_is_asked_for(autojump_clock: MockClock) -> None:
    """With ``media_auth="header"`` a token in the path admits nobody."""
    async with open_world(media_auth="header") as world:
        info = world.server.registry.create("v3:x")
        with pytest.RaisesGroup(WebSocketRejected):
            await knock(world, f"/telnyx/media/{info.token}")
        header = (b"x-telnyx-streaming-auth-token", b"wrong")
        with pytest.RaisesGroup(WebSocketRejected):
            await knock(world, "/telnyx/media", (header,))


async def test_refusal_is_logged_without_the_token(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the peer, not the token."""
    async with open_world() as world:
        with pytest.RaisesGroup(WebSocketRejected):
            await knock(world, "/telnyx/media/not-the-token")
    assert "10.0.0.1" in caplog.text
    assert "not-the-token" not in caplog.text


@pytest.mark.parametrize("name", ["call_control_id", "call_session_id", "client_state"])
async def test_contradicting_start_ends_the_call(autojump_clock: MockClock, name: str) -> None:
    """A socket with the right token and another call's ids is closed; the call is hung up."""
    async with open_world(listen_to_end) as world:
        leg = await world.call_in()
        right = leg.start_fields
        leg.options.client_state = "c3RhdGU="
        leg.post("call.bridged", {})  # tells the server the client_state

        def wrong() -> dict[str, object]:
            return right() | {name: "another"}

        leg.start_fields = wrong  # type: ignore[method-assign]
        await leg.wait_ended()
        await world.wait_idle()
        assert len(world.requests("hangup")) == 1
        assert world.server.statistics().failed_calls == 1
        world.assert_clean()


async def test_one_agreeing_id_is_enough(autojump_clock: MockClock) -> None:
    """``start`` may leave out ids."""
    async with open_world(listen_to_end) as world:
        leg = await world.call_in(phone=Phone(hang_up_at=1))
        right = leg.start_fields
        ids = {"call_control_id": None, "client_state": None}
        leg.start_fields = lambda: right() | ids  # type: ignore[method-assign]
        await leg.wait_ended()
        await world.wait_idle()
        assert world.server.statistics().failed_calls == 0


async def test_socket_that_goes_while_it_is_parked(autojump_clock: MockClock) -> None:
    """An early socket that closes again while it rings ends the dial when it is answered."""
    async with open_world() as world:
        world.carrier.settings.media_before_answer = True
        world.carrier.default_phone = Phone(answer_after=5)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def drop() -> None:
                await trio.sleep(2)
                world.carrier.legs[0].drop_socket()

            with pytest.raises(Exception, match="has ended"):
                async with world.server.dial(to=CALLEE):
                    pytest.fail("entered")  # pragma: no cover
        await world.wait_idle()
        world.assert_clean()


async def test_secrets_stay_out_of_logs_and_reprs(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing that is logged or shown during whole calls has a token, a stream_url or the key."""
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    tokens: list[str] = []

    async def handler(call: Call) -> None:
        tokens.append(call.info.token)
        shown.extend([repr(call), repr(call.info), repr(call.stream), repr(call.events)])
        async for event in call.events:
            shown.append(repr(event))

    for auth in ("path", "header"):
        async with open_world(handler, media_auth=auth) as world:
            leg = await world.call_in(phone=Phone(hang_up_at=1))
            await leg.wait_ended()
            async with world.server.dial(to=CALLEE) as call:
                await trio.sleep(0.5)
                call.nursery.start_soon(handler, call)
                await leg.hang_up()
                await trio.sleep(0.5)
            shown.extend([repr(world.server), repr(world.server.config), repr(world.server.client)])
            shown.extend(repr(socket) for socket in world.sockets)
        text = caplog.text + json.dumps(shown)
        assert "media/" not in text
        assert world.carrier.api_key not in text
    assert len(tokens) == 4
    assert not any(token in text for token in tokens)
