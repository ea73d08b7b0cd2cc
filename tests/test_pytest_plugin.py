"""The pytest plugin, as its users use it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import trio
from trio.testing import MockClock

from telnyx_trio import (
    Call,
    CallEnded,
    DtmfReceived,
    EndReason,
    PcmData,
    ServerConfig,
    open_server,
)
from telnyx_trio.testing import Carrier, FakeCall, Phone

TONE = PcmData(
    16000, samples=np.rint(8000 * np.sin(np.arange(8000) / 16000 * 2 * np.pi * 440)).astype("i2")
)


async def echo(call: Call) -> None:
    async for pcm in call.received:
        await call.send(pcm)


async def test_fake_call_carries_audio_both_ways(
    fake_call: FakeCall, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """What the test says is heard again, through an agent that echoes."""
    nursery.start_soon(echo, fake_call.call)
    fake_call.say(TONE)
    heard = await fake_call.hear(1.0)
    assert heard.duration == 1.0
    loud = np.abs(heard.samples) > 1000
    assert loud[:100].sum() == 0
    assert np.flatnonzero(loud)[-1] / heard.sample_rate == pytest.approx(0.52, abs=0.01)


async def test_fake_call_has_heard_everything(
    fake_call: FakeCall, autojump_clock: MockClock
) -> None:
    """``heard`` begins with the media and grows in real time."""
    await trio.sleep(0.5)
    await fake_call.call.send(TONE)
    await trio.sleep(0.5)
    assert fake_call.heard.duration == pytest.approx(1.0, abs=0.01)
    assert not fake_call.heard.samples[:3900].any()
    assert fake_call.heard.samples[4100:].any()


async def test_fake_call_presses_keys(fake_call: FakeCall, autojump_clock: MockClock) -> None:
    """A key press arrives as one event."""
    fake_call.press("5#")
    digits = ""
    with trio.move_on_after(5):
        async for event in fake_call.call.events:
            if isinstance(event, DtmfReceived):
                digits += event.digit
    assert digits == "5#"


async def test_fake_call_hangs_up(fake_call: FakeCall, autojump_clock: MockClock) -> None:
    """After the far end has hung up, the call is over for the agent, who is told why."""
    await fake_call.hang_up()
    await fake_call.call.wait_ended()
    with pytest.raises(CallEnded):
        await fake_call.call.send(TONE)
    assert fake_call.call.outcome is not None
    assert fake_call.call.outcome.reason is EndReason.HANGUP


async def test_fake_call_is_hung_up_by_agent(
    fake_call: FakeCall, autojump_clock: MockClock
) -> None:
    """The agent may hang up as well; the far end sees that."""
    await fake_call.call.hangup()
    hangup = await fake_call.leg.wait_ended()
    assert hangup.source == "callee"


async def test_carrier_calls_a_server(carrier: Carrier) -> None:
    """The carrier is ready for a server on sockets."""
    config = ServerConfig(
        api_key=carrier.api_key,
        public_key=carrier.public_key,
        base_url=carrier.base_url,
        port=0,
    )
    async with open_server(config, echo) as server:
        carrier.webhook_url = f"{server.url}/telnyx/events"
        leg = await carrier.call_in(to="+15550000009", phone=Phone(hang_up_at=0.1))
        await leg.wait_ended()
    assert leg.counters.packets_received > 0


def test_without_pytest_trio() -> None:
    """Without pytest-trio the plugin loads and offers no fixtures."""
    program = (
        "import sys\n"
        "sys.modules['pytest_trio'] = None\n"
        "from telnyx_trio.testing import _pytest_plugin as plugin\n"
        "assert not hasattr(plugin, 'carrier') and not hasattr(plugin, 'fake_call')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
