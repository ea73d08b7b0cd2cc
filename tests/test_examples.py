"""The examples, run as a user runs them: in processes of their own, over real sockets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import trio
from ports import reserved_port

from telnyx_trio.testing import Carrier, CarrierSettings, Phone, open_carrier

OUR_NUMBER = "+15550001111"
FRIEND = "+15550003333"

EXAMPLES = Path(__file__).parent.parent / "examples"


def command(name: str, *arguments: str) -> list[str]:
    """Return the command line of an example, warnings being errors."""
    return [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *arguments]


def environment(carrier: Carrier | None = None) -> dict[str, str]:
    """Return an environment whose only Telnyx settings lead to this carrier."""
    values = {
        name: value
        for name, value in os.environ.items()
        if (not name.startswith("TELNYX_") and name != "NGROK_URL")
        or name == "TELNYX_TRIO_STATE_DIR"
    }
    if carrier is not None:
        values |= {
            "TELNYX_BASE_URL": carrier.base_url,
            "TELNYX_API_KEY": carrier.api_key,
            "TELNYX_PUBLIC_KEY": carrier.public_key,
            "TELNYX_CALL_CONTROL_APP_ID": carrier.connection_id,
            "TELNYX_PHONE_NUMBER": OUR_NUMBER,
        }
    return values


def furnish(carrier: Carrier, port: int) -> None:
    """Put into the account what an example needs that is told to set nothing up."""
    carrier.webhook_url = f"http://127.0.0.1:{port}/telnyx/events"
    carrier.account.add_number(OUR_NUMBER, connection_id=carrier.connection_id)
    carrier.account.add_verified_number(FRIEND)


def local(port: int) -> list[str]:
    """Return the flags of a server that is reached without a tunnel."""
    return ["--port", str(port), "--public-url", f"http://127.0.0.1:{port}"]


async def test_each_example_carries_a_call_with_the_simulator() -> None:
    """With --simulate and nothing else each example ends with status 0 and says how it went."""
    called, calls = (
        b"the call ended: normal_clearing by caller",
        b"hangup (normal_clearing) by them",
    )
    expected = {
        ("inbound_call",): called,
        ("inbound_call", "--setup-telnyx"): called,
        ("outbound_call",): calls,
        ("outbound_call", "--setup-telnyx"): calls,
        ("script_call",): b"heard to the end",
    }

    async def carry(*name: str) -> None:
        result = await trio.run_process(
            command(*name, "--simulate"),
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env=environment(),
        )
        assert result.returncode == 0, (name, result.stdout, result.stderr)
        assert expected[name] in result.stdout, (name, result.stdout, result.stderr)
        assert b"Traceback" not in result.stderr, (name, result.stderr)
        is_set_up = b"made the application telnyx-trio-temporary" in result.stdout
        assert is_set_up == ("--setup-telnyx" in name)
        assert (b"is deleted" in result.stderr) == is_set_up

    async with trio.open_nursery() as nursery:
        for name in expected:
            nursery.start_soon(carry, *name)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        (
            "inbound_call",
            [
                "TELNYX_API_KEY",
                "TELNYX_PUBLIC_KEY",
                "NGROK_URL",
                "TELNYX_CALL_CONTROL_APP_ID",
                "TELNYX_PHONE_NUMBER",
            ],
        ),
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


async def read_until(process: trio.Process, word: bytes) -> None:
    assert process.stdout is not None
    printed = b""
    while word not in printed:
        part = await process.stdout.receive_some()
        assert part, ("the example ended early", printed)
        printed += part


async def start_inbound(
    nursery: trio.Nursery, carrier: Carrier, port: int, *arguments: str, state_dir: Path
) -> trio.Process:
    """Start the inbound example, and return when it takes calls."""
    process: trio.Process = await nursery.start(
        partial(
            trio.run_process,
            command("inbound_call", "--phone-number", OUR_NUMBER, *local(port), *arguments),
            stdout=subprocess.PIPE,
            check=False,
            env={**environment(carrier), "TELNYX_TRIO_STATE_DIR": str(state_dir)},
        )
    )
    await read_until(process, b"listening")
    return process


@pytest.mark.parametrize("flags", [(), ("--setup-telnyx",)])
async def test_inbound_example_serves_calls_and_stops_gracefully(
    flags: tuple[str, ...], tmp_path: Path
) -> None:
    """It answers two calls at a time; SIGTERM ends it with status 0 once they are over.

    With --setup-telnyx the calls come because the number was routed, and as long as they last.
    """
    async with open_carrier() as carrier, trio.open_nursery() as nursery:
        with reserved_port() as port:
            if flags:
                carrier.account.add_number(OUR_NUMBER)
            else:
                furnish(carrier, port)
            (number,) = carrier.account.numbers.values()
            before = number["connection_id"]
            process = await start_inbound(nursery, carrier, port, *flags, state_dir=tmp_path)
            legs = [
                await carrier.call_in(to=OUR_NUMBER, phone=Phone(hang_up_at=1.5)) for _ in range(2)
            ]
            for leg in legs:
                await leg.wait_media_started()
            process.send_signal(signal.SIGTERM)
            for leg in legs:
                hangup = await leg.wait_ended()
                assert hangup.source == "caller"
                assert leg.counters.packets_received > 20
            assert await process.wait() == 0
        assert number["connection_id"] == before
        assert set(carrier.account.applications) == {carrier.connection_id}


async def test_next_start_takes_back_what_a_killed_run_left(tmp_path: Path) -> None:
    """SIGKILL leaves number and application; the next run puts them back, then sets up anew."""
    async with open_carrier() as carrier, trio.open_nursery() as nursery:
        with reserved_port() as port:
            number = carrier.account.add_number(OUR_NUMBER)
            setup = ("--setup-telnyx",)
            killed = await start_inbound(nursery, carrier, port, *setup, state_dir=tmp_path)
            killed.kill()
            await killed.wait()
            left = number["connection_id"]
            assert left in carrier.account.applications
            process = await start_inbound(nursery, carrier, port, *setup, state_dir=tmp_path)
            assert left not in carrier.account.applications
            assert number["connection_id"] not in (left, None)
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 0
        assert number["connection_id"] is None
        assert set(carrier.account.applications) == {carrier.connection_id}


async def test_account_that_is_not_ready_is_told_all_at_once() -> None:
    """Without --setup-telnyx each failure has a line with what mends it, and nothing is changed."""
    expected = {
        "inbound_call": ["webhook URL: expected", "old.example", "routing", "--setup-telnyx"],
        "outbound_call": ["webhook URL: expected", "outbound voice profile", "not verified"],
    }
    async with open_carrier() as carrier:
        carrier.webhook_url = "https://old.example/telnyx/events"
        carrier.account.add_number(OUR_NUMBER)
        carrier.account.profiles.clear()

        async def refuse(name: str) -> None:
            with reserved_port() as port:
                to = ("--to", FRIEND) if name == "outbound_call" else ()
                result = await trio.run_process(
                    command(name, *to, *local(port)),
                    capture_stderr=True,
                    check=False,
                    env=environment(carrier),
                )
            assert result.returncode == 1
            message = result.stderr.decode()
            assert "Traceback" not in message
            for part in expected[name]:
                assert part in message

        async with trio.open_nursery() as nursery:
            for name in expected:
                nursery.start_soon(refuse, name)
        assert {request.method for request in carrier.requests} == {"GET"}


async def test_outbound_example_tells_why_nobody_answered() -> None:
    """A busy callee is a sentence and status 1, not a traceback."""
    async with open_carrier() as carrier:
        with reserved_port() as port:
            furnish(carrier, port)
            carrier.default_phone = Phone(outcome="busy")
            result = await trio.run_process(
                command("outbound_call", "--to", FRIEND, *local(port)),
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
        with reserved_port() as port:
            await interrupt_at(port, moment, limiter)

    async def interrupt_at(port: int, moment: float, limiter: trio.CapacityLimiter) -> None:
        settings = CarrierSettings(
            webhook_url=f"http://127.0.0.1:{port}/telnyx/events", rest_latency=0.2
        )
        async with limiter, open_carrier(settings=settings) as carrier:
            carrier.default_phone = Phone(answer_after=0.3)
            async with trio.open_nursery() as nursery:
                process: trio.Process = await nursery.start(
                    partial(
                        trio.run_process,
                        command("script_call", "--to", FRIEND, *local(port)),
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
        for step in range(10):
            nursery.start_soon(interrupt, 0.3 + step * 0.35, limiter)
    assert any(was_dialled)
