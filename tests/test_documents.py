"""README and docs: every Python block runs, every link leads somewhere.

Each Python block stands under an HTML comment, ``<!-- runs: HOW -->``. How a block is run is one of
the runners at the end of this file.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import shlex
import signal
import socket
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, chdir
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import numpy as np
import pytest
import trio
from forked_programs import Program, open_program
from trio.testing import MockClock

from telnyx_trio import PcmData, open_client, undo_dead_runs
from telnyx_trio._cli import COMMANDS, _make_parser
from telnyx_trio.testing import (
    Carrier,
    MemoryWebSocket,
    Phone,
    memory_websocket_pair,
    open_carrier,
    open_fake_call,
)

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("**/*.md"))]

_BLOCK = re.compile(
    r"(?:^<!-- runs: (?P<how>[^>]+) -->\n)?^```python\n(?P<code>.*?)^```$", re.M | re.S
)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """One Python block of a document; its code keeps the document's line numbers."""

    where: str
    how: str | None
    code: str


Runner: TypeAlias = Callable[[Block, Path], Awaitable[None]]


def _blocks() -> Iterator[Block]:
    for path in DOCUMENTS:
        text = path.read_text()
        for match in _BLOCK.finditer(text):
            line = text.count("\n", 0, match.start("code"))
            where = f"{path.relative_to(ROOT)}:{line + 1}"
            yield Block(where, match["how"], "\n" * line + match["code"])


BLOCKS = list(_blocks())


def test_every_block_is_found() -> None:
    """No fence that opens Python is missed by the pattern that finds the blocks."""
    fences = sum(len(re.findall(r"^\s*```\s*py", path.read_text(), re.M)) for path in DOCUMENTS)
    assert fences == len(BLOCKS) > 0


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
async def test_block_runs(block: Block, tmp_path: Path) -> None:
    """A Python block does what it is there to show, for real."""
    assert block.how is not None, f"{block.where} has no comment that says how it runs"
    await RUNNERS[block.how](block, tmp_path)


def _commands() -> Iterator[str]:
    for path in DOCUMENTS:
        for block in re.findall(r"^```sh\n(.*?)^```$", path.read_text(), re.M | re.S):
            text = block.replace("\\\n", " ")
            for line in re.findall(r"(?:^|\$\()\s*telnyx-trio ([^)\n#|]+)", text, re.M):
                yield line.strip().rstrip('"')


@pytest.mark.parametrize("line", sorted(set(_commands())))
def test_command_lines_are_right(line: str) -> None:
    """Each command of the documents has its flags, and takes them."""
    arguments = shlex.split(line)
    options = _make_parser(arguments[0]).parse_args(arguments)
    assert callable(options.run)


def test_every_command_has_its_page() -> None:
    """docs/commands.md tells of all of them."""
    text = (ROOT / "docs" / "commands.md").read_text()
    assert [name for name in COMMANDS if f"| `{name}" not in text] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """What a document links to in this repository is there."""
    targets = [match["target"] for match in _LINK.finditer(path.read_text())]
    local = [target for target in targets if "://" not in target and not target.startswith("#")]
    missing = [name for name in local if not (path.parent / name.partition("#")[0]).exists()]
    assert missing == []


async def _run_by_itself(block: Block, _: Path) -> None:
    exec(compile(block.code, block.where, "exec"), {"__name__": "document"})


async def _compile_only(block: Block, _: Path) -> None:
    """Blocks that need getstream are run by tests/bridges/stream, where that is installed."""
    compile(block.code, block.where, "exec")


async def _run_as_a_test(block: Block, _: Path) -> None:
    names: dict[str, Any] = {"__name__": "document"}
    exec(compile(block.code, block.where, "exec"), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert tests
    for test in tests:
        await test()


async def _run_with_fixtures(block: Block, folder: Path) -> None:
    """Run each test of the block with the fixtures that it names, as the pytest plugin would."""
    names: dict[str, Any] = {"__name__": "document"}
    exec(compile(block.code, block.where, "exec"), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert tests
    for test in tests:
        clock = MockClock(autojump_threshold=0.001)
        wanted = list(inspect.signature(test).parameters)
        run = partial(_run_one_with_fixtures, test, wanted, clock)
        with chdir(folder):
            await trio.to_thread.run_sync(
                partial(trio.run, run, clock=clock if "autojump_clock" in wanted else None)
            )


async def _run_one_with_fixtures(
    test: Callable[..., Awaitable[None]], wanted: list[str], clock: MockClock
) -> None:
    async with AsyncExitStack() as stack:
        fixtures: dict[str, Any] = {"autojump_clock": clock}
        if "carrier" in wanted:
            fixtures["carrier"] = await stack.enter_async_context(open_carrier())
        if "fake_call" in wanted:
            fixtures["fake_call"] = await stack.enter_async_context(open_fake_call())
        nursery = fixtures["nursery"] = await stack.enter_async_context(trio.open_nursery())
        await test(**{name: fixtures[name] for name in wanted})
        nursery.cancel_scope.cancel()


async def _run_as_an_agent(block: Block, folder: Path) -> None:
    """Let the block's ``agent`` have a call; the caller's voice comes back."""
    names: dict[str, Any] = {"__name__": "document"}
    exec(compile(block.code, block.where, "exec"), names)
    agent = names["agent"]

    async def talk() -> None:
        async with open_fake_call() as fake, trio.open_nursery() as nursery:
            nursery.start_soon(agent, fake.call)
            fake.say(_tone(700, 0.4))
            heard = await fake.hear(1.0)
            assert _loudness(heard.samples, 700, heard.sample_rate) > 1000
            await fake.hang_up()

    await trio.to_thread.run_sync(
        partial(trio.run, talk, clock=MockClock(autojump_threshold=0.001))
    )


async def _run_on_a_media_socket(block: Block, _: Path) -> None:
    """Run top-level awaits with ``websocket``, on which Telnyx sends one packet, then ``stop``."""
    telnyx, websocket = memory_websocket_pair()
    names: dict[str, Any] = {"__name__": "document", "websocket": websocket}
    code = compile(block.code, block.where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stream_as_telnyx, telnyx)
            running = eval(code, names)
            assert inspect.isawaitable(running)
            await running
    stream = names["stream"] if "stream" in names else names["call"].stream
    assert stream.statistics().packets_received == 1


async def _stream_as_telnyx(websocket: MemoryWebSocket) -> None:
    await websocket.wait_accepted()
    payload = b64encode(b"\xff" * 160).decode()
    start = {"call_control_id": "v2:abc123", "media_format": {"encoding": "PCMU"}}
    for message in (
        {"event": "connected", "version": "1.0.0"},
        {"event": "start", "stream_id": "s", "start": start},
        {"event": "media", "stream_id": "s", "media": {"track": "inbound", "payload": payload}},
        {"event": "stop", "stream_id": "s"},
    ):
        await websocket.send_text(json.dumps(message))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _tone(frequency: float, duration: float) -> PcmData:
    times = np.arange(round(16000 * duration)) / 16000
    samples = (8000 * np.sin(2 * np.pi * frequency * times)).astype(np.int16)
    return PcmData(sample_rate=16000, format="s16", samples=samples)


def _loudness(samples: np.ndarray[Any, Any], frequency: float, rate: int) -> float:
    """Return the part of a tone in a recording, its amplitude if it lasted all the time."""
    times = np.arange(samples.size) / rate
    return float(2 * abs(np.mean(samples * np.exp(-2j * np.pi * frequency * times))))


class _Program:
    """A block as a program of its own, with the settings that lead it to a carrier."""

    def __init__(self, block: Block, folder: Path, carrier: Carrier) -> None:
        port = _free_port()
        assert "port=8000" in block.code
        path = folder / "program.py"
        path.write_text(block.code.replace("port=8000", f"port={port}"))
        _tone(700, 0.4).write_wav(folder / "greeting.wav")
        self.url = f"http://127.0.0.1:{port}"
        self.path = path
        self.folder = folder
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TELNYX_API_KEY": carrier.api_key,
            "TELNYX_PUBLIC_KEY": carrier.public_key,
            "TELNYX_BASE_URL": carrier.base_url,
            "TELNYX_CALL_CONTROL_APP_ID": carrier.connection_id,
            "TELNYX_PHONE_NUMBER": "+15551234567",
            "NGROK_URL": self.url,
        }
        carrier.webhook_url = f"{self.url}/telnyx/events"

    async def run(
        self, *, task_status: trio.TaskStatus[Program] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Run it to its end, or until it is terminated; it must complain of nothing."""
        async with open_program(
            self.path, environment=self.environment, folder=self.folder
        ) as program:
            task_status.started(program)
            status = await program.wait()
        assert program.stderr == b""
        assert status in (0, -signal.SIGTERM)

    async def wait_ready(self) -> None:
        """Ask the health check until it answers: another process tells in no other way."""
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                try:
                    response = await client.get(f"{self.url}/healthz")
                except httpx.ConnectError:
                    await trio.sleep(0.05)
                else:
                    assert response.status_code == 200
                    return


async def _wait_delivered(carrier: Carrier, *event_types: str) -> None:
    missing = set(event_types)
    while missing:
        await trio.sleep(0.01)
        missing -= {delivery.event_type for delivery in carrier.webhook_deliveries}


async def _run_answers_a_call(block: Block, folder: Path) -> None:
    """Call the program: it greets, then echoes what the caller says."""
    voice = _tone(1100, 0.4)
    phone = Phone(says=(voice.mono_int16(), voice.sample_rate), speak_at=0.2, hang_up_at=1.6)
    with trio.fail_after(30):
        async with open_carrier() as carrier, trio.open_nursery() as nursery:
            program = _Program(block, folder, carrier)
            process = await nursery.start(program.run)
            await program.wait_ready()
            leg = await carrier.call_in(to="+15551234567", phone=phone)
            hangup = await leg.wait_ended()
            await _wait_delivered(carrier, "call.hangup", "streaming.stopped")
            process.send_signal(signal.SIGTERM)
    assert hangup.source == "caller"
    recording, rate = leg.recording()
    assert _loudness(recording[1], 700, rate) > 1000
    assert _loudness(recording[1], 1100, rate) > 1000


async def _run_joins_a_caller_with_somebody(block: Block, folder: Path) -> None:
    """Call the program: somebody else is called, and each hears the other."""
    voices = [(_tone(hertz, 0.6).mono_int16(), 16000) for hertz in (700, 1100)]
    with trio.fail_after(30):
        async with open_carrier() as carrier, trio.open_nursery() as nursery:
            carrier.default_phone = Phone(says=voices[0], speak_at=0.1)
            program = _Program(block, folder, carrier)
            process = await nursery.start(program.run)
            await program.wait_ready()
            caller = Phone(says=voices[1], speak_at=0.6, hang_up_at=1.6)
            leg = await carrier.call_in(to="+15551234567", phone=caller)
            await leg.wait_ended()
            _, callee = carrier.legs
            await callee.wait_ended()
            await carrier.wait_webhooks_tried()
            process.send_signal(signal.SIGTERM)
    for listener, hertz in ((leg, 700), (callee, 1100)):
        recording, rate = listener.recording()
        assert _loudness(recording[1], hertz, rate) > 1000


async def _run_places_a_call(block: Block, folder: Path) -> None:
    """Let the program call: the callee hears all of the greeting, then the program hangs up."""
    with trio.fail_after(30):
        async with open_carrier() as carrier:
            await _Program(block, folder, carrier).run()
            [leg] = carrier.legs
            hangup = await leg.wait_ended()
    assert hangup.source == "caller"
    recording, rate = leg.recording()
    heard = np.flatnonzero(abs(recording[1].astype(int)) > 1000)
    assert (heard[-1] - heard[0]) / rate == pytest.approx(0.4, abs=0.01)


async def _run_sets_up_an_account(block: Block, folder: Path) -> None:
    """It makes the number ring at itself; killed, it leaves all to the undo journal."""
    async with open_carrier() as carrier:
        number = carrier.account.add_number("+15551234567")
        program = _Program(block, folder, carrier)
        program.environment["TELNYX_TRIO_STATE_DIR"] = str(folder)
        carrier.webhook_url = None
        async with trio.open_nursery() as nursery:
            process: Program = await nursery.start(program.run)
            with trio.fail_after(15):
                while number["connection_id"] is None:  # noqa: ASYNC110 - another process does it
                    await trio.sleep(0.05)
                leg = await carrier.call_in(to="+15551234567", phone=Phone(hang_up_at=0.3))
                assert (await leg.wait_ended()).source == "caller"
            process.send_signal(signal.SIGTERM)
        async with open_client(carrier.api_key, base_url=carrier.base_url) as client:
            await undo_dead_runs(client.account, state_dir=folder)
        assert number["connection_id"] is None
        assert set(carrier.account.applications) == {carrier.connection_id}


RUNNERS: dict[str, Runner] = {
    "with getstream": _compile_only,
    "answers a call": _run_answers_a_call,
    "as a test": _run_as_a_test,
    "as an agent": _run_as_an_agent,
    "by itself": _run_by_itself,
    "joins a caller with somebody": _run_joins_a_caller_with_somebody,
    "on a media socket": _run_on_a_media_socket,
    "places a call": _run_places_a_call,
    "sets up an account": _run_sets_up_an_account,
    "with fixtures": _run_with_fixtures,
}
"""How a block can be run, by the words in the comment above it."""
