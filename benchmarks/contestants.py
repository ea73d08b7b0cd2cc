"""The servers that are measured, the environments that they run in, and how they are started."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environments import ENVIRONMENTS, HERE, python_in, running
from benchmarks.load.telnyx import public_key

ROOT = HERE.parent

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
    return python_in(folder / Path(contestant.server).stem, contestant.requirements)


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
def serving(contestant: Contestant, python: Path, core: int) -> Iterator[Running]:
    """Run a server on one core.

    Raises:
        RuntimeError: it did not start; with what it said.
    """
    port, rest_port = _free_ports(2)
    command = [str(python), str(HERE / "servers" / contestant.server), str(port)]
    if contestant.how == "telnyx":
        command += [str(rest_port), public_key()]
    with running([*command, *contestant.arguments], core, is_quiet=True) as (pid, url):
        path = "/telnyx/events" if contestant.how == "telnyx" else ""
        yield Running(pid, url + path, rest_port)


def _free_ports(n: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports
