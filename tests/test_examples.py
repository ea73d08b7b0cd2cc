"""The examples, run as a user runs them: in processes of their own, over real sockets."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import trio

from telnyx_trio.testing import Carrier, CarrierSettings, Phone, open_carrier

EXAMPLES = Path(__file__).parent.parent / "examples"


def command(name: str, *arguments: str) -> list[str]:
    """Return the command line of an example, warnings being errors."""
    return [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *arguments]


def environment(carrier: Carrier | None = None) -> dict[str, str]:
    """Return an environment whose only Telnyx settings lead to this carrier."""
    values = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TELNYX_") and name != "NGROK_URL"
    }
    if carrier is not None:
        values |= {
            "TELNYX_BASE_URL": carrier.base_url,
            "TELNYX_API_KEY": carrier.api_key,
            "TELNYX_PUBLIC_KEY": carrier.public_key,
            "TELNYX_CALL_CONTROL_APP_ID": carrier.connection_id,
            "TELNYX_PHONE_NUMBER": "+15550001111",
        }
    return values


def free_port() -> int:
    """Return a port that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def local(port: int) -> list[str]:
    """Return the flags of a server that is reached without a tunnel."""
    return ["--port", str(port), "--public-url", f"http://127.0.0.1:{port}"]


async def test_each_example_carries_a_call_with_the_simulator() -> None:
    """With --simulate and nothing else each example ends with status 0 and says how it went."""
    expected = {
        "inbound_call": b"the call ended: normal_clearing by caller",
        "outbound_call": b"the call ended: hangup (normal_clearing) by them",
        "script_call": b"heard to the end",
    }

    async def carry(name: str) -> None:
        result = await trio.run_process(
            command(name, "--simulate"),
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env=environment(),
        )
        assert result.returncode == 0, (name, result.stdout, result.stderr)
        assert expected[name] in result.stdout, (name, result.stdout, result.stderr)
        assert b"Traceback" not in result.stderr, (name, result.stderr)

    async with trio.open_nursery() as nursery:
        for name in expected:
            nursery.start_soon(carry, name)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("inbound_call", ["TELNYX_API_KEY", "TELNYX_PUBLIC_KEY", "NGROK_URL"]),
        (
            "outbound_call",
            [
                "TELNYX_API_KEY",
                "TELNYX_PUBLIC_KEY",
                "NGROK_URL",
                "TELNYX_CALL_CONTROL_APP_ID",
                "TELNYX_PHONE_NUMBER",
                "--to",
            ],
        ),
    ],
)
async def test_missing_settings_are_named_all_at_once(name: str, missing: list[str]) -> None:
    """Without any setting, one message names each of them, with no traceback."""
    result = await trio.run_process(
        command(name), capture_stderr=True, check=False, env=environment()
    )
    assert result.returncode != 0
    message = result.stderr.decode()
    assert "Traceback" not in message
    for setting in missing:
        assert setting in message


async def test_inbound_example_serves_calls_and_stops_gracefully() -> None:
    """It answers two calls at a time; SIGTERM ends it with status 0 once they are over."""
    port = free_port()
    async with open_carrier() as carrier, trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(
            partial(
                trio.run_process,
                command("inbound_call", "--phone-number", "+15550001111", *local(port)),
                stdout=subprocess.PIPE,
                check=False,
                env=environment(carrier),
            )
        )
        assert process.stdout is not None
        printed = b""
        while b"listening" not in printed:
            part = await process.stdout.receive_some()
            assert part, "the example ended early"
            printed += part
        carrier.webhook_url = f"http://127.0.0.1:{port}/telnyx/events"
        legs = [
            await carrier.call_in(to="+15550001111", phone=Phone(hang_up_at=1.5)) for _ in range(2)
        ]
        for leg in legs:
            await leg.wait_media_started()
        process.send_signal(signal.SIGTERM)
        for leg in legs:
            hangup = await leg.wait_ended()
            assert hangup.source == "caller"
            assert leg.counters.packets_received > 20
        assert await process.wait() == 0


async def test_outbound_example_tells_why_nobody_answered() -> None:
    """A busy callee is a sentence and status 1, not a traceback."""
    port = free_port()
    async with open_carrier() as carrier:
        carrier.webhook_url = f"http://127.0.0.1:{port}/telnyx/events"
        carrier.default_phone = Phone(outcome="busy")
        result = await trio.run_process(
            command("outbound_call", "--to", "+15550003333", *local(port)),
            capture_stderr=True,
            check=False,
            env=environment(carrier),
        )
    assert result.returncode == 1
    assert b"callee is busy (user_busy" in result.stderr
    assert b"Traceback" not in result.stderr


async def test_script_leaves_no_leg_when_interrupted_at_any_moment() -> None:
    """SIGINT while it starts, dials, rings, plays or hangs up: no leg is up afterwards."""
    was_dialled: list[bool] = []

    async def interrupt(moment: float, limiter: trio.CapacityLimiter) -> None:
        port = free_port()
        settings = CarrierSettings(
            webhook_url=f"http://127.0.0.1:{port}/telnyx/events", rest_latency=0.2
        )
        async with limiter, open_carrier(settings=settings) as carrier:
            carrier.default_phone = Phone(answer_after=0.3)
            async with trio.open_nursery() as nursery:
                process: trio.Process = await nursery.start(
                    partial(
                        trio.run_process,
                        command("script_call", "--to", "+15550003333", *local(port)),
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.PIPE,
                        check=False,
                        env=environment(carrier),
                    )
                )
                with trio.move_on_after(moment):
                    await process.wait()
                process.send_signal(signal.SIGINT)
                with trio.fail_after(15):
                    await process.wait()
            assert carrier.live_legs() == [], moment
            was_dialled.append(bool(carrier.legs))

    # Three at a time, so that the machine is as unsteady as it likes.
    limiter = trio.CapacityLimiter(3)
    async with trio.open_nursery() as nursery:
        for step in range(14):
            nursery.start_soon(interrupt, 0.3 + step * 0.25, limiter)
    assert any(was_dialled)
