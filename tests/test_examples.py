"""The examples, run as a user runs them: in processes of their own, over real sockets."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from example_world import FRIEND, OUR_NUMBER, environment, furnish, local, path_of
from forked_programs import Program, open_program, run_program
from ports import reserved_port
from server_world import silence

from telnyx_trio.testing import Carrier, CarrierSettings, Phone, open_carrier


async def test_each_example_carries_a_call_with_the_simulator() -> None:
    """With --simulate and nothing else each example ends with status 0 and says how it went."""
    expected = {
        "inbound_call": b"the call ended: normal_clearing by caller",
        "outbound_call": b"hangup (normal_clearing) by them",
        "script_call": b"heard to the end",
    }

    async def carry(name: str) -> None:
        result = await trio.run_process(
            [sys.executable, "-W", "error", str(path_of(name)), "--simulate"],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env=environment(),
        )
        assert result.returncode == 0, (name, result.stdout, result.stderr)
        assert expected[name] in result.stdout, (name, result.stdout, result.stderr)
        assert b"Traceback" not in result.stderr, (name, result.stderr)

    async def carry_set_up(name: str) -> None:
        status, out, err = await run_program(
            path_of(name),
            *("--simulate", "--setup-telnyx", "--log-level", "debug"),
            environment=environment(),
        )
        assert status == 0, (name, out, err)
        assert b"made the application telnyx-trio-temporary" in out, (name, out)
        assert expected[name] in out, (name, out)
        assert b"is deleted" in err, (name, err)
        assert b"KEY-simulated" not in err
        assert not re.search(rb"/telnyx/media/\w", err)
        assert b"Traceback" not in err, (name, err)

    async with trio.open_nursery() as nursery:
        for name in expected:
            nursery.start_soon(carry, name)
        for name in ("inbound_call", "outbound_call"):
            nursery.start_soon(carry_set_up, name)


@pytest.mark.parametrize(("name", "further"), [("inbound_call", []), ("outbound_call", ["--to"])])
async def test_missing_settings_are_named_all_at_once(name: str, further: list[str]) -> None:
    """Without any setting, one message names each of them, with no traceback."""
    status, _, err = await run_program(path_of(name), environment=environment())
    assert status != 0
    message = err.decode()
    assert "Traceback" not in message
    for setting in (
        "TELNYX_API_KEY",
        "TELNYX_PUBLIC_KEY",
        "NGROK_URL",
        "TELNYX_CALL_CONTROL_APP_ID",
        "TELNYX_PHONE_NUMBER",
        *further,
    ):
        assert setting in message


@asynccontextmanager
async def open_inbound(
    carrier: Carrier, port: int, *arguments: str, state_dir: Path
) -> AsyncIterator[Program]:
    """Run the inbound example beside the block, which begins when it takes calls."""
    flags = ["--phone-number", OUR_NUMBER, *local(port), *arguments]
    settings = {**environment(carrier), "TELNYX_TRIO_STATE_DIR": str(state_dir)}
    async with open_program(path_of("inbound_call"), *flags, environment=settings) as program:
        await program.wait_printed(b"listening")
        yield program


@pytest.mark.parametrize(
    ("flags", "signal_number"), [((), signal.SIGTERM), (("--setup-telnyx",), signal.SIGHUP)]
)
async def test_inbound_example_serves_calls_and_stops_gracefully(
    flags: tuple[str, ...], signal_number: int, tmp_path: Path
) -> None:
    """It answers two calls at a time; a signal ends it with status 0 once they are over.

    With --setup-telnyx the calls come because the number was routed, and as long as they last.
    """
    with reserved_port() as port:
        async with open_carrier() as carrier:
            if flags:
                carrier.account.add_number(OUR_NUMBER)
            else:
                furnish(carrier, port)
            (number,) = carrier.account.numbers.values()
            before = number["connection_id"]
            async with open_inbound(carrier, port, *flags, state_dir=tmp_path) as program:
                phone = Phone(hang_up_at=1.5)
                legs = [await carrier.call_in(to=OUR_NUMBER, phone=phone) for _ in range(2)]
                for leg in legs:
                    await leg.wait_media_started()
                program.send_signal(signal_number)
                with trio.fail_after(20):
                    for leg in legs:
                        hangup = await leg.wait_ended()
                        assert hangup.source == "caller"
                        assert leg.counters.packets_received > 20
                    assert await program.wait() == 0
            assert number["connection_id"] == before
            assert set(carrier.account.applications) == {carrier.connection_id}


async def test_next_start_takes_back_what_a_killed_run_left(tmp_path: Path) -> None:
    """SIGKILL leaves number and application; the next run puts them back, then sets up anew."""
    with reserved_port() as port:
        async with open_carrier() as carrier:
            number = carrier.account.add_number(OUR_NUMBER)
            setup = "--setup-telnyx"
            async with open_inbound(carrier, port, setup, state_dir=tmp_path) as killed:
                killed.send_signal(signal.SIGKILL)
                await killed.wait()
            left = number["connection_id"]
            assert left in carrier.account.applications
            async with open_inbound(carrier, port, setup, state_dir=tmp_path) as program:
                assert left not in carrier.account.applications
                assert number["connection_id"] not in (left, None)
                program.send_signal(signal.SIGINT)
                assert await program.wait() == 0
            assert number["connection_id"] is None
            assert set(carrier.account.applications) == {carrier.connection_id}


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("inbound_call", (), ["webhook URL: expected", "old.example", "routing", "--setup-telnyx"]),
        (
            "outbound_call",
            ("--to", FRIEND),
            ["webhook URL: expected", "outbound voice profile", "not verified"],
        ),
    ],
)
async def test_account_that_is_not_ready_is_told_all_at_once(
    name: str, arguments: tuple[str, ...], expected: list[str]
) -> None:
    """Without --setup-telnyx each failure has a line with what mends it, and nothing is changed."""
    with reserved_port() as port:
        async with open_carrier() as carrier:
            carrier.webhook_url = "https://old.example/telnyx/events"
            carrier.account.add_number(OUR_NUMBER)
            carrier.account.profiles.clear()
            status, _, err = await run_program(
                path_of(name), *arguments, *local(port), environment=environment(carrier)
            )
            assert status == 1
            message = err.decode()
            assert "Traceback" not in message
            for part in expected:
                assert part in message
            assert {request.method for request in carrier.requests} == {"GET"}


async def test_outbound_example_tells_why_nobody_answered() -> None:
    """A busy callee is a sentence and status 1, not a traceback."""
    with reserved_port() as port:
        async with open_carrier() as carrier:
            furnish(carrier, port)
            carrier.default_phone = Phone(outcome="busy")
            flags = ["--to", FRIEND, *local(port)]
            status, _, err = await run_program(
                path_of("outbound_call"), *flags, environment=environment(carrier)
            )
    assert status == 1
    assert b"callee is busy (user_busy" in err
    assert b"Traceback" not in err


async def test_script_leaves_no_leg_when_interrupted_at_any_moment(tmp_path: Path) -> None:
    """SIGINT while it starts, dials, rings, plays or hangs up: no leg is up afterwards."""
    silence(0.4).write_wav(tmp_path / "short.wav")
    n_dialled = 0

    async def interrupt(delay: float, *, once_dialled: bool) -> None:
        nonlocal n_dialled
        with reserved_port() as port:
            webhook_url = f"http://127.0.0.1:{port}/telnyx/events"
            settings = CarrierSettings(webhook_url=webhook_url, rest_latency=0.2)
            flags = ["--to", FRIEND, "--wav", str(tmp_path / "short.wav"), *local(port)]
            async with (
                open_carrier(settings=settings) as carrier,
                open_program(
                    path_of("script_call"), *flags, environment=environment(carrier)
                ) as program,
            ):
                carrier.default_phone = Phone(answer_after=0.3)
                while once_dialled and not carrier.requests:  # noqa: ASYNC110 - seen from outside
                    await trio.sleep(0.01)
                await trio.sleep(delay)
                program.send_signal(signal.SIGINT)
                with trio.fail_after(30):
                    await program.wait()
                assert carrier.live_legs() == [], (delay, once_dialled)
                n_dialled += bool(carrier.legs)

    async with trio.open_nursery() as nursery:
        for step in range(12):
            run = partial(interrupt, once_dialled=step > 1)
            nursery.start_soon(run, max(0, step - 1) * 0.15)
    assert n_dialled >= 10
