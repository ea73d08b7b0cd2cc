from __future__ import annotations

import gc

import httpx
import pytest
import trio
from server_world import CALLEE, config_for, listen_to_end, open_world
from trio.testing import MockClock

from telnyx_trio import (
    Call,
    CallNotAnswered,
    CallServer,
    EndReason,
    LocalProtocolError,
    serve_calls,
)
from telnyx_trio.testing import Phone, open_carrier


async def test_drain_waits_for_running_calls(autojump_clock: MockClock) -> None:
    """While stopping, running calls go on with their webhooks, and new callers hear busy."""
    outcomes = []

    async def handler(call: Call) -> None:
        await listen_to_end(call)
        outcomes.append(call.outcome)

    async with open_world(handler) as world:
        running = await world.call_in(phone=Phone(hang_up_at=10))
        await running.wait_media_started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.server.stop)
            await trio.sleep(1)
            assert world.server.is_draining
            late = await world.call_in()
            hangup = await late.wait_ended()
            assert hangup.cause == "user_busy"
            assert running.is_alive
        assert trio.current_time() - running.began_at == pytest.approx(10, abs=0.2)
        assert world.requests("hangup") == []
        assert outcomes[0] is not None
        assert outcomes[0].reason is EndReason.HANGUP
        world.assert_clean()


async def test_two_stops_at_a_time(autojump_clock: MockClock) -> None:
    """Each returns when the last call is over, whoever began and whatever its own deadline."""
    returned = []

    async with open_world(listen_to_end) as world:
        leg = await world.call_in(phone=Phone(hang_up_at=1))
        await leg.wait_media_started()
        began = trio.current_time()

        async def stop(drain_timeout: float) -> None:
            await world.server.stop(drain_timeout)
            returned.append(trio.current_time() - began)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop, 30)
            nursery.start_soon(stop, 60)
        assert returned == pytest.approx([1, 1], abs=0.3)


async def test_drain_deadline_hangs_up(autojump_clock: MockClock) -> None:
    """At the drain deadline the remaining calls are hung up on, with a close frame."""
    async with open_world(listen_to_end, drain_timeout=5.0) as world:
        leg = await world.call_in()
        await leg.wait_media_started()
        far_end_codes: list[int | None] = []
        far_end = world.sockets[0]._peer

        async def close(code: int = 1000, reason: str = "") -> None:
            far_end_codes.append(far_end.close_code)
            await closing(code, reason)

        closing, far_end.aclose = far_end.aclose, close  # type: ignore[method-assign]
        stopped_at = trio.current_time()
        await world.server.stop()
        assert trio.current_time() - stopped_at == pytest.approx(5, abs=0.2)
        await world.wait_idle()
        assert set(far_end_codes) == {1000}
        assert len(world.requests("hangup")) == 1
        world.assert_clean()


async def test_stop_ends_a_dial_that_rings(autojump_clock: MockClock) -> None:
    """A call of ours that still rings at the drain deadline is hung up; dialling it raises."""
    async with open_world(drain_timeout=2.0) as world:
        world.carrier.default_phone = Phone(answer_after=30)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def stop() -> None:
                await trio.sleep(1)
                await world.server.stop()

            with pytest.raises(CallNotAnswered):
                async with world.server.dial(to=CALLEE):
                    pytest.fail("entered")  # pragma: no cover
        await world.wait_idle()
        world.assert_clean()
        with pytest.raises(LocalProtocolError, match="stopped"):
            async with world.server.dial(to=CALLEE):
                pytest.fail("entered")  # pragma: no cover
        world.assert_clean()


async def test_stop_ends_a_dialled_call_quietly(autojump_clock: MockClock) -> None:
    """The body of a dialled call is cancelled at the drain deadline, and goes on behind it."""
    async with open_world(drain_timeout=2.0) as world:
        async with trio.open_nursery() as nursery:
            async with world.server.dial(to=CALLEE):
                nursery.start_soon(world.server.stop)
                await trio.sleep_forever()
            await world.wait_idle()
        world.assert_clean()


async def test_stop_without_calls_is_immediate(autojump_clock: MockClock) -> None:
    """Nothing to wait for."""
    async with open_world() as world:
        began_at = trio.current_time()
        await world.server.stop()
        assert trio.current_time() == began_at


async def test_leaving_the_server_hangs_up_every_call(autojump_clock: MockClock) -> None:
    """Leaving ``open_server`` while calls ring, talk and are dialled leaves no leg."""
    async with open_world(listen_to_end, prepare=None) as world:
        carrier = world.carrier
        for _ in range(5):
            await world.call_in()
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def dial() -> None:
                async with world.server.dial(to=CALLEE):
                    await trio.sleep_forever()

            await trio.sleep(1)
            assert len(carrier.live_legs()) == 6
            nursery.cancel_scope.cancel()
    world.assert_clean()


async def test_real_cancelling_everything_leaves_nothing() -> None:
    """Cancelling all while calls are up over real sockets leaves no leg, socket or warning."""
    async with open_carrier() as carrier:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                server: CallServer = await nursery.start(
                    serve_calls, listen_to_end, config_for(carrier)
                )
                carrier.webhook_url = f"{server.url}/telnyx/events"
                inbound = await carrier.call_in(to="+15550000009")
                await inbound.wait_media_started()
                async with server.dial(to=CALLEE):
                    assert len(carrier.live_legs()) == 2
                    scope.cancel()
                    await trio.sleep_forever()
        assert carrier.live_legs() == []
        assert len(server.registry) == 0
        for leg in carrier.legs:
            await leg.wait_ended()
        with pytest.raises(OSError, match="connect"):
            await trio.open_tcp_stream("127.0.0.1", int(str(server.url).rpartition(":")[2]))
    gc.collect()


async def test_real_graceful_stop_in_its_order() -> None:
    """The listener stays up and says 503, webhooks of running calls are served, then all ends."""
    trigger = trio.Event()
    async with open_carrier() as carrier, httpx.AsyncClient(trust_env=False) as client:
        async with trio.open_nursery() as nursery:

            async def serve(*, task_status: trio.TaskStatus[CallServer]) -> None:
                await serve_calls(
                    listen_to_end,
                    config_for(carrier, drain_timeout=0.5),
                    shutdown_trigger=trigger.wait,
                    task_status=task_status,
                )
                ended.set()

            ended = trio.Event()
            server: CallServer = await nursery.start(serve)
            carrier.webhook_url = f"{server.url}/telnyx/events"
            assert (await client.get(f"{server.url}/healthz")).status_code == 200
            leg = await carrier.call_in(to="+15550000009")
            await leg.wait_media_started()
            trigger.set()
            await trio.sleep(0.05)
            assert (await client.get(f"{server.url}/healthz")).status_code == 503
            late = await carrier.call_in(to="+15550000009")
            assert (await late.wait_ended()).cause == "user_busy"
            leg.press("5")
            assert leg.is_alive
            with trio.fail_after(3):
                await ended.wait()
            hangup = await leg.wait_ended()
            assert hangup.source == "callee"
            dtmf = [d for d in carrier.webhook_deliveries if d.event_type == "call.dtmf.received"]
            assert [delivery.status for delivery in dtmf] == [200]
            last = [d for d in carrier.webhook_deliveries if d.event_type == "call.hangup"]
            assert 200 in [delivery.status for delivery in last]
