"""Processes that are killed with SIGKILL at each step of a set-up, over real sockets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio
from account_fake import API_KEY, HANG_UP, OUR_NUMBER, Asked, FakeAccount, Fault
from small_http import Answer, open_http

from telnyx_trio import SetupError, open_client, open_temporary_setup, undo_dead_runs
from telnyx_trio.provisioning import Journal

N_REQUESTS = 10
N_MAKING = 6
CHILDREN = Path(__file__).parent / "kill_children.py"


@dataclass
class Victim:
    """One set-up, and when its process is to be killed: at which request, which side of it."""

    step: int
    moment: str
    state_dir: Path
    account: FakeAccount = field(default_factory=FakeAccount.furnished)
    before: str = ""
    base_url: str = ""
    pid: int = 0
    is_up: trio.Event = field(default_factory=trio.Event)

    def __post_init__(self) -> None:
        self.before = self.account.state
        self.account.watch = self.watch

    def watch(self, number: int, asked: Asked, moment: str) -> Fault | None:
        """Kill the process at its step; the request is lost, or its reply is."""
        if (number, moment) == (N_MAKING, "after"):
            self.is_up.set()
        if (number, moment) != (self.step, self.moment):
            return None
        os.kill(self.pid, signal.SIGKILL)
        return Fault.LOST_BEFORE if moment == "before" else Fault.LOST_AFTER

    async def answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> Answer | None:
        """Answer over HTTP."""
        status, content = self.account.handle(method, target, headers, body)
        if (status, content) == HANG_UP:
            return None
        return status, [("content-type", "application/json")], json.dumps(content).encode()


async def read_line(stream: trio.abc.ReceiveStream) -> list[int]:
    line = b""
    while not line.endswith(b"\n"):
        part = await stream.receive_some(1)
        assert part, "the children are gone"
        line += part
    numbers = json.loads(line)
    assert isinstance(numbers, list)
    return numbers


async def end_well(victim: Victim) -> None:
    """Wait until the set-up is there, and let the child take it back."""
    await victim.is_up.wait()
    # The reply is on its way; a signal that comes before it finds no one who waits for it yet,
    # and is kept.
    os.kill(victim.pid, signal.SIGTERM)


async def test_killed_at_each_step(tmp_path: Path) -> None:
    """Whichever request it dies at, the next start finds all that must be put back."""
    victims = [
        Victim(step, moment, tmp_path / f"{step}-{moment}")
        for step in range(1, N_REQUESTS + 1)
        for moment in ("before", "after")
    ]
    async with AsyncExitStack() as stack:
        for victim in victims:
            url = await stack.enter_async_context(open_http(victim.answer))
            victim.base_url = f"{url}/v2"
        nursery = await stack.enter_async_context(trio.open_nursery())
        process: trio.Process = await nursery.start(
            partial(
                trio.run_process,
                [sys.executable, str(CHILDREN)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(CHILDREN.parent.parent)},
            )
        )
        assert process.stdin is not None
        assert process.stdout is not None
        jobs = [[victim.base_url, str(victim.state_dir)] for victim in victims]
        await process.stdin.send_all(json.dumps(jobs).encode() + b"\n")
        for victim, pid in zip(victims, await read_line(process.stdout), strict=True):
            victim.pid = pid
        await process.stdin.send_all(b"go\n")
        for victim in victims:
            if victim.step > N_MAKING:
                nursery.start_soon(end_well, victim)
        with trio.fail_after(60):
            statuses = await read_line(process.stdout)
        assert statuses == [-signal.SIGKILL] * len(victims)
        changed = [victim for victim in victims if victim.account.state != victim.before]
        assert len(changed) >= 8
        async with trio.open_nursery() as recoveries:
            for victim in victims:
                victim.account.watch = None
                recoveries.start_soon(recover, victim)


async def recover(victim: Victim) -> None:
    """Put back what the victim left, as its next start would."""
    transport = httpx.AsyncHTTPTransport(verify=False)
    async with open_client(API_KEY, base_url=victim.base_url, transport=transport) as client:
        reports = await undo_dead_runs(client.account, state_dir=victim.state_dir)
    where = (victim.step, victim.moment)
    assert [report.failed for report in reports if report.failed] == [], where
    assert victim.account.state == victim.before, where
    assert Journal(victim.state_dir).entries() == [], where


async def test_a_live_process_is_left_alone(tmp_path: Path) -> None:
    """Its set-up is neither undone nor overwritten by another process, until it is killed."""
    victim = Victim(0, "", tmp_path)
    async with open_http(victim.answer) as url, trio.open_nursery() as nursery:
        victim.base_url = f"{url}/v2"
        process: trio.Process = await nursery.start(
            partial(
                trio.run_process,
                [sys.executable, str(CHILDREN)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(CHILDREN.parent.parent)},
            )
        )
        assert process.stdin is not None
        assert process.stdout is not None
        await process.stdin.send_all(json.dumps([[victim.base_url, str(tmp_path)]]).encode())
        await process.stdin.send_all(b"\n")
        (victim.pid,) = await read_line(process.stdout)
        await process.stdin.send_all(b"go\n")
        with trio.fail_after(30):
            await victim.is_up.wait()
        during = victim.account.state
        async with open_client(API_KEY, base_url=victim.base_url) as client:
            assert await undo_dead_runs(client.account, state_dir=tmp_path) == []
            with pytest.raises(SetupError, match=f"process {victim.pid}"):
                async with open_temporary_setup(
                    client,
                    public_url="https://voice.example",
                    phone_number=OUR_NUMBER,
                    state_dir=tmp_path,
                ):
                    pass
            assert victim.account.state == during != victim.before
            os.kill(victim.pid, signal.SIGKILL)
            assert await read_line(process.stdout) == [-signal.SIGKILL]
            async with open_temporary_setup(
                client,
                public_url="https://voice.example",
                phone_number=OUR_NUMBER,
                state_dir=tmp_path,
            ):
                assert victim.account.state not in (during, victim.before)
        assert victim.account.state == victim.before
