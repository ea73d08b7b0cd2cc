"""The servers that are measured, the environments that they run in, and how they are started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load.telnyx import public_key

HERE = Path(__file__).parent
ROOT = HERE.parent
ENVIRONMENTS = HERE / ".environments"

WEB = (
    "fastapi==0.165.0",
    "uvicorn==0.54.0",
    "uvloop==0.23.0",
    "httptools==0.9.0",
    "websockets==15.0.1",
)
NUMPY, TRIO = "numpy==2.2.6", "trio==0.33.0"


@dataclass(frozen=True)
class Contestant:
    """A media server.

    Attributes:
        server: file in benchmarks/servers.
        requirements: of its environment; none for the one that this runs in.
        arguments: for the server, behind its port.
        how: of the load, see benchmarks/load.
        multiple: packets that it sends back together; of fewer the rest stays with it.
    """

    server: str
    requirements: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    how: str = "socket"
    multiple: int = 1


OURS = "telnyx_trio adaptive"
PLUGIN = "Vision Agents plugin"
PIPECAT = "Pipecat"
FASTAPI = "bare FastAPI"

CONTESTANTS = {
    OURS: Contestant("telnyx_trio_echo.py", (), ("adaptive",), "telnyx"),
    "telnyx_trio immediate": Contestant("telnyx_trio_echo.py", (), ("immediate",), "telnyx"),
    PLUGIN: Contestant("plugin_echo.py", ("vision-agents-plugins-telnyx==0.6.5", *WEB)),
    PIPECAT: Contestant("pipecat_echo.py", ("pipecat-ai[websocket]==1.14.0", *WEB), multiple=2),
    FASTAPI: Contestant("fastapi_echo.py", (NUMPY, *WEB)),
    "bare trio-websocket": Contestant(
        "trio_websocket_echo.py", (NUMPY, TRIO, "trio-websocket==0.12.2")
    ),
    "bare hypercorn": Contestant("hypercorn_echo.py", (NUMPY, TRIO, "hypercorn[trio]==0.18.0")),
}


def dialler(n: int) -> Contestant:
    """Return telnyx_trio as it dials, n calls at each SIGUSR1."""
    return Contestant("telnyx_trio_dialler.py", (), (str(n),), "telnyx")


def python_of(contestant: Contestant, folder: Path = ENVIRONMENTS) -> Path:
    """Return the Python of a contestant's environment, which is made if it is not there."""
    if not contestant.requirements:
        return Path(sys.executable)
    place = folder / Path(contestant.server).stem
    python = place / "bin" / "python"
    done = place / "requirements.txt"
    wanted = "\n".join(contestant.requirements)
    if not done.exists() or done.read_text() != wanted:
        print(f"making the environment {place}", flush=True)
        venv.create(place, with_pip=True, clear=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", *contestant.requirements],
            check=True,
        )
        done.write_text(wanted)
    return python


@dataclass(frozen=True)
class Running:
    """A server that runs.

    Attributes:
        pid: its process.
        url: for the load.
        rest_port: where it looks for Telnyx's REST API.
    """

    pid: int
    url: str
    rest_port: int


@contextmanager
def running(contestant: Contestant, python: Path, core: int) -> Iterator[Running]:
    """Run a server on one core.

    Raises:
        RuntimeError: it did not start; with what it said.
    """
    port, rest_port = _free_ports(2)
    command = [str(python), str(HERE / "servers" / contestant.server), str(port)]
    if contestant.how == "telnyx":
        command += [str(rest_port), public_key()]
    command += contestant.arguments
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("ready "):
                    _, pid, url = line.split()
                    path = "/telnyx/events" if contestant.how == "telnyx" else ""
                    yield Running(int(pid), url + path, rest_port)
                    return
            errors.seek(0)
            raise RuntimeError(f"{contestant.server} did not start: {errors.read()[-2000:]}")
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()


def _free_ports(n: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports
