"""Both examples with --setup-telnyx, in processes, over sockets: errors and SIGKILL at each step.

The account is one that was written apart from the library and from its simulator. Whatever happens
to a run, afterwards, or after the next start, the account is as before.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
import trio
from account_fake import API_KEY, HANG_UP, OUR_NUMBER, Asked, FakeAccount, Fault
from forked_programs import Program, open_program
from ports import reserved_port
from small_http import Answer, open_http

from telnyx_trio import SetupError, open_client, open_temporary_setup, undo_dead_runs
from telnyx_trio.provisioning import Journal

ROOT = Path(__file__).parent.parent.parent
FRIEND = "+15550100002"
PUBLIC_KEY = "A" * 43 + "="

Example = Literal["inbound_call", "outbound_call"]

METHODS: dict[Example, list[str]] = {
    "inbound_call": ["GET"] * 4 + ["POST", "PATCH", "GET", "PATCH", "GET", "DELETE"],
    # Verified? Profiles; the application; the call, which this account knows nothing of.
    "outbound_call": ["GET", "GET", "POST", "POST", "GET", "DELETE"],
}
"""What each asks for, in this order."""

CALL = ("outbound_call", 4)
"""Placing the call; that its reply is lost is a matter of dialling, and takes 5 s."""

UP_AT: dict[Example, int] = {"inbound_call": 6, "outbound_call": 0}
"""The request after which it stays until a signal comes."""


@dataclass(eq=False, repr=False)
class Run:
    """One run of an example, and what is to happen to it at which request."""

    example: Example
    step: int
    fault: Fault | Literal["killed before", "killed after"] | None
    lasting: bool
    folder: Path
    account: FakeAccount = field(init=False)
    before: str = ""
    base_url: str = ""
    port: int = 0
    pid: int = 0
    printed: str = ""
    is_up: trio.Event = field(default_factory=trio.Event)
    failing: Asked | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.account = FakeAccount.furnished(verified={FRIEND}, watch=self._watch)
        self.before = self.account.state

    def __repr__(self) -> str:
        what = self.fault.name if isinstance(self.fault, Fault) else self.fault
        return f"{self.example}, step {self.step}, {what}:\n{self.printed}"

    @property
    def is_killed(self) -> bool:
        return isinstance(self.fault, str)

    @property
    def arguments(self) -> list[str]:
        """Of its command line."""
        arguments = ["--setup-telnyx", "--phone-number", OUR_NUMBER, "--port", str(self.port)]
        arguments += ["--public-url", f"http://127.0.0.1:{self.port}"]
        return arguments + ["--to", FRIEND] * (self.example == "outbound_call")

    @property
    def environment(self) -> dict[str, str]:
        """Leads it to the account, and to a journal of its own."""
        others = {name: value for name, value in os.environ.items() if "TELNYX" not in name}
        return {
            **others,
            "TELNYX_API_KEY": API_KEY,
            "TELNYX_PUBLIC_KEY": PUBLIC_KEY,
            "TELNYX_BASE_URL": self.base_url,
            "TELNYX_TRIO_STATE_DIR": str(self.folder),
        }

    def _watch(self, number: int, asked: Asked, moment: str) -> Fault | None:
        if (number, moment) == (UP_AT[self.example], "after"):
            self.is_up.set()
        if number == self.step and self.failing is None:
            self.failing = asked
        if self.is_killed:
            if number != self.step or self.fault != f"killed {moment}":
                return None
            os.kill(self.pid, signal.SIGKILL)
            return Fault.LOST_BEFORE if moment == "before" else Fault.LOST_AFTER
        if number == self.step or (self.lasting and asked == self.failing):
            assert not isinstance(self.fault, str)
            return self.fault
        return None

    async def answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> Answer | None:
        """Answer over HTTP."""
        status, content = self.account.handle(method, target, headers, body)
        if (status, content) == HANG_UP:
            return None
        return status, [("content-type", "application/json")], json.dumps(content).encode()

    async def wait_ended(self, program: Program) -> int:
        """Once it is set up, tell it to end; return its exit status."""
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def end_well() -> None:
                await self.is_up.wait()
                program.send_signal(signal.SIGTERM)

            status = await program.wait()
            nursery.cancel_scope.cancel()
        self.printed = (program.stdout + program.stderr).decode()
        return status


def plan(folder: Path) -> Iterator[Run]:
    """List the runs: killed after each request, and whatever can happen to a change.

    What is refused stays refused; a reply is lost once.
    """
    for example, methods in METHODS.items():
        for step, method in enumerate(methods, 1):
            faults: list[tuple[Any, bool]] = [("killed after", False)]
            if method != "GET":
                faults += [("killed before", False), (Fault.REFUSED, True)]
                faults += [(Fault.LOST_AFTER, False)] * ((example, step) != CALL)
            for number, (fault, lasting) in enumerate(faults):
                yield Run(example, step, fault, lasting, folder / f"{example}{step}-{number}")


@asynccontextmanager
async def open_run(run: Run) -> AsyncIterator[Program]:
    """Run the example beside the block, with its account beside it."""
    with reserved_port() as run.port:
        async with open_http(run.answer) as url:
            run.base_url = f"{url}/v2"
            path = ROOT / "examples" / f"{run.example}.py"
            async with open_program(path, *run.arguments, environment=run.environment) as program:
                run.pid = program.pid
                yield program


async def test_account_is_as_before(tmp_path: Path) -> None:
    """After whatever went wrong where; what stays meanwhile is told, and goes at the next start."""
    left = []

    async def carry_out(run: Run) -> None:
        async with open_run(run) as program:
            status = await run.wait_ended(program)
            check_ended(run, status)
            left.append(run.account.state != run.before)
            run.account.watch = None
            await recover(run)

    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            for run in plan(tmp_path):
                nursery.start_soon(carry_out, run)
    assert sum(left) > 8


def check_ended(run: Run, status: int) -> None:
    """What went wrong did, and what was not put back is told."""
    assert run.failing is not None, run
    assert "Traceback" not in run.printed, run
    assert (status == -signal.SIGKILL) == run.is_killed, run
    if not run.is_killed and run.account.state != run.before:
        assert "not put back" in run.printed, run
        assert "telnyx-trio setup undo" in run.printed, run


async def recover(run: Run) -> None:
    """Put back what the run left, as its next start would."""
    # No TLS here; reading the certificates of the system takes longer than all the rest.
    transport = httpx.AsyncHTTPTransport(verify=False)
    async with open_client(API_KEY, base_url=run.base_url, transport=transport) as client:
        reports = await undo_dead_runs(client.account, state_dir=run.folder)
    assert [report.failed for report in reports if report.failed] == [], run
    assert run.account.state == run.before, run
    assert Journal(run.folder).entries() == [], run


async def test_a_live_process_is_left_alone(tmp_path: Path) -> None:
    """Its set-up is neither undone nor overwritten by another process, until it is killed."""
    run = Run("inbound_call", 0, None, False, tmp_path / "run")
    async with open_run(run) as program, open_client(API_KEY, base_url=run.base_url) as client:
        with trio.fail_after(30):
            await run.is_up.wait()
        during = run.account.state
        arguments: dict[str, Any] = {
            "public_url": "https://voice.example",
            "phone_number": OUR_NUMBER,
            "state_dir": run.folder,
        }
        assert await undo_dead_runs(client.account, state_dir=run.folder) == []
        with pytest.raises(SetupError, match=f"process {run.pid}"):
            async with open_temporary_setup(client, **arguments):
                pass
        assert run.account.state == during != run.before
        program.send_signal(signal.SIGKILL)
        assert await program.wait() == -signal.SIGKILL
        async with open_temporary_setup(client, **arguments):
            assert run.account.state not in (during, run.before)
        assert run.account.state == run.before
