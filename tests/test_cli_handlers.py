"""serve, dial and calls: a user's own handler, with the simulated carrier."""

from __future__ import annotations

import json
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from server_world import CALLEE, listen_to_end, open_world

from telnyx_trio import ConfigurationError
from telnyx_trio._cli import main
from telnyx_trio._cli._handler import load_handler
from telnyx_trio.servers import list_servers, open_control_socket

AGENT = """
async def agent(call):
    async for pcm in call.received:
        await call.send(pcm)
        if call.stream.statistics().packets_received > 20:
            break

def plain(call): ...
async def none(): ...
number = 7
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with a handler, and a state folder of its own, short enough for sockets."""
    (tmp_path / "my_agent.py").write_text(AGENT)
    (tmp_path / "broken_agent.py").write_text("1 / 0\n")
    (tmp_path / "needy_agent.py").write_text("import no_such_module_at_all\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("my_agent", "broken_agent", "needy_agent"):
        sys.modules.pop(name, None)
    with tempfile.TemporaryDirectory(prefix="tt-") as state:
        monkeypatch.setenv("TELNYX_TRIO_STATE_DIR", state)
        yield tmp_path


@pytest.mark.parametrize("name", ["my_agent:agent", "my_agent.py:agent"])
def test_handler_is_found(folder: Path, name: str) -> None:
    """A module of the working folder will do."""
    assert load_handler(name).__name__ == "agent"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("my_agent", "no MODULE:HANDLER"),
        ("my_agent:", "no MODULE:HANDLER"),
        ("no_agent:agent", "no module 'no_agent'"),
        ("my_agent:agnet", "has no 'agnet'; it has agent, none"),
        ("my_agent:plain", "is not async"),
        ("my_agent:none", "does not take one argument"),
        ("my_agent:number", "is no function"),
        ("broken_agent:agent", "ZeroDivisionError, see above"),
        ("needy_agent:agent", "needs 'no_such_module_at_all'"),
    ],
)
def test_handler_that_is_none(folder: Path, name: str, problem: str) -> None:
    """What is wrong with it is told, before anything begins."""
    with pytest.raises(ConfigurationError, match=problem):
        load_handler(name)


def test_dial_and_serve_with_the_simulator(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each carries one whole call."""
    with pytest.raises(SystemExit) as dialled:
        main(["dial", "--simulate", "my_agent:agent"])
    out = capsys.readouterr().out
    assert dialled.value.code == 0
    assert "answered after 1." in out
    assert "the call ended: left (normal_clearing) by us" in out
    with pytest.raises(SystemExit) as served:
        main(["serve", "my_agent:agent", "--simulate"])
    out = capsys.readouterr().out
    assert served.value.code == 0
    assert "call from +15550002222 to +15550001111" in out
    assert "the call ended: normal_clearing" in out


def test_missing_settings_exit_with_2(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are named at once."""
    for variable in ("TELNYX_API_KEY", "TELNYX_PUBLIC_KEY", "TELNYX_PHONE_NUMBER"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(SystemExit) as caught:
        main(["dial", "my_agent:agent", "--public-url", "https://x.invalid"])
    err = capsys.readouterr().err
    assert caught.value.code == 2
    assert "TELNYX_API_KEY is not set" in err
    assert "--to is not given" in err


async def test_calls_of_a_running_server(folder: Path) -> None:
    """They are told with numbers and counters, to this user only, and without a secret."""
    async with open_world(listen_to_end) as world, open_control_socket(world.server) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        async with world.server.dial(to=CALLEE, client_state="PRIVATE") as call:
            async for _ in call.received:
                break
            [server] = await list_servers()
            [shown] = server["calls"]
            assert shown["to_number"] == CALLEE
            assert (shown["direction"], shown["state"]) == ("outgoing", "media")
            assert shown["packets_received"] >= 1
            text = json.dumps(server)
            assert call.info.token not in text
            assert "PRIVATE" not in text
            assert "client_state" not in text
        [server] = await list_servers()
        assert server["calls"] == []
    assert await list_servers() == []
    assert not path.exists()


async def test_socket_of_a_dead_server_is_removed(folder: Path) -> None:
    """What nobody listens at any more is not shown, and does not stay."""
    async with open_world() as world, open_control_socket(world.server) as path:
        dead = path.with_name("1-dead.sock")
        sock = trio.socket.socket(trio.socket.AF_UNIX)
        await sock.bind(str(dead))
        sock.close()
        assert len(await list_servers()) == 1
        assert not dead.exists()


async def test_state_folder_with_a_long_path(folder: Path) -> None:
    """A path that no Unix socket can have is told with what to do."""
    async with open_world() as world:
        with pytest.raises(ConfigurationError, match="TELNYX_TRIO_STATE_DIR to a shorter one"):
            async with open_control_socket(world.server, state_dir=folder / ("x" * 100)):
                pytest.fail("entered")


async def test_cancelled_control_socket_leaves_nothing(folder: Path) -> None:
    """Neither the socket nor a half-made one."""
    async with open_world() as world:
        with trio.CancelScope() as scope:
            async with open_control_socket(world.server) as path:
                scope.cancel()
                await trio.sleep_forever()
        assert list(path.parent.iterdir()) == []


def test_calls_without_a_server(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says so, and how to start one."""
    with pytest.raises(SystemExit) as caught:
        main(["calls"])
    assert caught.value.code == 1
    assert "no server is running" in capsys.readouterr().err
