"""serve, dial and calls: a user's own handler, with the simulated carrier."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from forked_programs import open_program
from ports import reserved_port
from server_world import CALLEE, OUR_NUMBER, listen_to_end, open_world

from telnyx_trio import ConfigurationError
from telnyx_trio._cli import main
from telnyx_trio._cli._handler import load_handler
from telnyx_trio._cli._signals import ending_signals
from telnyx_trio.servers import list_servers, open_control_socket
from telnyx_trio.testing import RestRequest, open_carrier

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
    (tmp_path / "failing_agent.py").write_text("async def agent(call):\n    raise ValueError\n")
    (tmp_path / "needy_agent.py").write_text("import no_such_module_at_all\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("my_agent", "broken_agent", "needy_agent", "failing_agent"):
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


def test_traceback_of_a_module_begins_in_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What imports it is not the user's concern."""
    with pytest.raises(ConfigurationError):
        load_handler("broken_agent:agent")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert "broken_agent.py" in lines[1]


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


def test_failed_handler_is_not_a_call_gone_well(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1, and a line that says so."""
    with pytest.raises(SystemExit) as caught:
        main(["serve", "failing_agent:agent", "--simulate", "--env-file", "/dev/null"])
    assert caught.value.code == 1
    assert "call from +15550002222: the handler failed after 0.0 s" in capsys.readouterr().out


def test_failed_handler_of_dial_is_told_from_its_own_line(
    folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The call is hung up on and told; the traceback has no frames of the command line."""
    with pytest.raises(SystemExit) as caught:
        main(["dial", "failing_agent:agent", "--simulate", "--env-file", "/dev/null"])
    assert caught.value.code == 1
    assert "the call ended: left (normal_clearing) by us" in capsys.readouterr().out
    assert "the handler failed" in caplog.text
    assert caplog.text.count('File "') == 2
    assert "failing_agent.py" in caplog.text


@pytest.mark.parametrize("timeout", ["-1", "0", "nan", "601", "soon"])
def test_answer_timeout_that_is_none(
    folder: Path, capsys: pytest.CaptureFixture[str], timeout: str
) -> None:
    """It is refused before anything is dialled or set up."""
    with pytest.raises(SystemExit) as caught:
        main(["dial", "my_agent:agent", "--simulate", "--answer-timeout", timeout])
    assert caught.value.code == 2
    assert timeout in capsys.readouterr().err


def test_state_folder_that_can_not_be_written(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls are taken all the same; only `calls` does not show them, and that is said."""
    (folder / "file").touch()
    monkeypatch.setenv("TELNYX_TRIO_STATE_DIR", str(folder / "file"))
    with pytest.raises(SystemExit) as caught:
        main(["dial", "my_agent:agent", "--simulate"])
    assert caught.value.code == 0
    told = capsys.readouterr().err
    assert "`telnyx-trio calls` will not show this server: Not a directory" in told
    with pytest.raises(SystemExit) as caught:
        main(["calls"])
    assert caught.value.code == 1
    told = capsys.readouterr().err
    assert told.startswith("telnyx-trio: Not a directory: ")
    assert "TELNYX_TRIO_STATE_DIR names another folder" in told


def test_closed_terminal_ends_the_command_but_for_nohup() -> None:
    """`nohup` has the signal ignored, and it stays so."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert signal.SIGHUP in ending_signals()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert ending_signals() == [signal.SIGINT, signal.SIGTERM]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_settings_hold_for_simulated_calls(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong line of the file is told in a simulation, too."""
    (folder / ".env").write_text("TELNYX_TRIO_SEND_ENCODING=MP7\n")
    with pytest.raises(SystemExit) as caught:
        main(["serve", "my_agent:agent", "--simulate"])
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert "send_encoding is 'MP7'" in err
    assert "(from line 1 of .env)" in err


PATIENT_AGENT = """
import trio

async def agent(call):
    print("talking", flush=True)
    await trio.sleep_forever()
"""


@pytest.mark.parametrize("command", ["serve", "dial"])
async def test_interrupted_simulation_hangs_up_and_says_so(folder: Path, command: str) -> None:
    """Status 130; the carrier lives until the call is over, so nothing alarming is logged."""
    (folder / "patient_agent.py").write_text(PATIENT_AGENT)
    arguments = [command, "--simulate", "patient_agent:agent"]
    async with open_program("telnyx_trio", *arguments, folder=folder) as program:
        with trio.fail_after(20):
            await program.wait_printed(b"talking\n")
            logged_before = program.stderr
            program.send_signal(signal.SIGINT)
            assert await program.wait() == 130
    assert program.stderr == logged_before
    told = program.stdout.decode().partition("talking\n")[2].splitlines()
    if command == "serve":
        assert len(told) == 2, told
        assert told[0].startswith("call from +15550002222: hung up on after")
        assert told[1] == "the call ended: normal_clearing by callee"
    else:
        assert told == []


async def test_second_interrupt_hangs_up_before_the_application_goes(folder: Path) -> None:
    """Calls are hung up on while there is still an application to do it with."""
    (folder / "patient_agent.py").write_text(PATIENT_AGENT)
    with reserved_port() as port:
        async with open_carrier() as carrier:
            carrier.account.add_number(OUR_NUMBER)
            settings = {
                **os.environ,
                "TELNYX_API_KEY": carrier.api_key,
                "TELNYX_PUBLIC_KEY": carrier.public_key,
                "TELNYX_BASE_URL": carrier.base_url,
                "TELNYX_PHONE_NUMBER": OUR_NUMBER,
                "NGROK_URL": f"http://127.0.0.1:{port}",
            }
            arguments = ["serve", "patient_agent:agent", "--setup-telnyx", "--port", str(port)]
            async with open_program(
                "telnyx_trio", *arguments, environment=settings, folder=folder
            ) as program:
                with trio.fail_after(20):
                    await program.wait_printed(b"now call")
                    leg = await carrier.call_in(to=OUR_NUMBER)
                    await program.wait_printed(b"talking")
                    program.send_signal(signal.SIGHUP)
                    await program.wait_printed(b"waiting for 1 call to end")
                    program.send_signal(signal.SIGINT)
                    await leg.wait_ended()
                    assert await program.wait() == 0
            ends = [request.path for request in carrier.requests if is_end(request)]
            assert ends[0].endswith("/actions/hangup")
            assert "/call_control_applications/" in ends[-1]


def is_end(request: RestRequest) -> bool:
    return request.path.endswith("/hangup") or request.method == "DELETE"


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
