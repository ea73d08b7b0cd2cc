"""Media servers beside each other: what an echoed packet costs, and how late it comes.

python -m benchmarks [--quick] [--calls 20 50 100] [--seconds 8] [--repeat 3] [--contestants ...]

Each contestant's server decodes every packet to PCM, hands it to an agent, takes it back, encodes
it and sends it. It runs in an environment of its own, with versions that stand here, on one core;
the load (benchmarks/load.py) runs on another. Contestants take turns within a run, so that a busy
machine is busy for all of them, and each figure is the median of the repetitions.

Writes results.json and results.png into --output, and a table.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .environments import ENVIRONMENTS, HERE, python_in, running

WEB = ("fastapi==0.165.0", "uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0")
PORT, REST_PORT = 9400, 9301


@dataclass(frozen=True)
class Contestant:
    """A media server.

    Attributes:
        server: file in benchmarks/servers.
        requirements: of its environment; none for the one that this runs in.
        arguments: for the server, behind its port.
        how: of the load, see benchmarks/load.py.
    """

    server: str
    requirements: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    how: str = "socket"


CONTESTANTS = {
    "telnyx_trio adaptive": Contestant("telnyx_trio_echo.py", (), ("adaptive",), "telnyx"),
    "telnyx_trio immediate": Contestant("telnyx_trio_echo.py", (), ("immediate",), "telnyx"),
    "Vision Agents plugin": Contestant(
        "plugin_echo.py", ("vision-agents-plugins-telnyx==0.6.5", "websockets==15.0.1", *WEB)
    ),
    "bare FastAPI": Contestant("fastapi_echo.py", ("numpy==2.2.6", "websockets==15.0.1", *WEB)),
}


def python_of(contestant: Contestant, folder: Path) -> Path:
    """Return the Python of a contestant's environment, which is made if it is not there."""
    if not contestant.requirements:
        return Path(sys.executable)
    return python_in(folder / Path(contestant.server).stem, contestant.requirements)


def public_key() -> str:
    """Return the public key that belongs to the load's signatures."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = Ed25519PrivateKey.from_private_bytes(b"benchmark-benchmark-benchmark-32")
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return base64.b64encode(raw).decode()


@contextmanager
def serving(contestant: Contestant, python: Path, core: int) -> Iterator[tuple[int, str]]:
    """Run a contestant on one core; give its process id and the URL for the load."""
    command = [str(python), str(HERE / "servers" / contestant.server), str(PORT)]
    if contestant.how == "telnyx":
        command += [str(REST_PORT), public_key()]
    with running([*command, *contestant.arguments], core) as (pid, url):
        yield pid, url + ("/telnyx/events" if contestant.how == "telnyx" else "")


def measure(
    contestant: Contestant, python: Path, calls: int, seconds: float, cores: tuple[int, int]
) -> dict[str, Any] | None:
    """Run one load against one server; None if it could not be carried out."""
    with serving(contestant, python, cores[0]) as (pid, url):
        command = [sys.executable, str(HERE / "load.py"), "--how", contestant.how, "--url", url]
        command += ["--calls", str(calls), "--seconds", str(seconds), "--server-pid", str(pid)]
        command += ["--rest-port", str(REST_PORT)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {cores[1]}),
            timeout=seconds + calls + 60,
        )
    if done.returncode:
        print(done.stderr[-500:], file=sys.stderr)
        return None
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def median(results: list[dict[str, Any]], name: str) -> float | None:
    """Return the median of one figure."""
    values = [result[name] for result in results if result[name] is not None]
    return round(statistics.median(values), 2) if values else None


def print_table(results: dict[str, dict[int, list[dict[str, Any]]]]) -> None:
    """Print a row for each contestant and number of calls."""
    columns = ("us_per_packet", "p50_ms", "p99_ms", "server_load", "lost", "wrong")
    print(f"{'contestant':24}{'calls':>6}" + "".join(f"{name:>15}" for name in columns))
    for name, by_calls in results.items():
        for calls, runs in sorted(by_calls.items()):
            cells = "".join(f"{median(runs, column)!s:>15}" for column in columns)
            print(f"{name:24}{calls:>6}{cells}")


def draw(results: dict[str, dict[int, list[dict[str, Any]]]], path: Path) -> None:
    """Draw cost and delay against the number of calls."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    cost, delay = figure.subplots(1, 2)
    for name, by_calls in results.items():
        counts = sorted(by_calls)
        cost.plot(counts, [median(by_calls[n], "us_per_packet") for n in counts], "o-", label=name)
        delay.plot(counts, [median(by_calls[n], "p99_ms") for n in counts], "o-", label=name)
    cost.set_ylabel("µs of processor time per echoed packet")
    cost.set_ylim(bottom=0)
    delay.set_ylabel("p99 of the added delay, ms")
    delay.set_yscale("log")
    for pane in (cost, delay):
        pane.set_xlabel("calls")
        pane.grid(alpha=0.3)
    cost.legend(fontsize="small")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--calls", type=int, nargs="+", default=[20, 50, 100, 200, 300])
    parser.add_argument("--seconds", type=float, default=8.0, help="of each load (%(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="20 and 50 calls, 3 s, once")
    parser.add_argument(
        "--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS), metavar="NAME"
    )
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS)
    parser.add_argument("--output", type=Path, default=HERE / "results")
    options = parser.parse_args()
    if options.quick:
        options.calls, options.seconds, options.repeat = [20, 50], 3.0, 1
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("two cores are needed: one for the server, one for the load")
    names = options.contestants
    pythons = {name: python_of(CONTESTANTS[name], options.environments) for name in names}
    results: dict[str, dict[int, list[dict[str, Any]]]] = {name: {} for name in names}
    for n in range(options.repeat):
        for calls in options.calls:
            for name in names:
                began_at = time.monotonic()
                result = measure(
                    CONTESTANTS[name], pythons[name], calls, options.seconds, (cores[0], cores[1])
                )
                if result is None:
                    continue
                results[name].setdefault(calls, []).append(result)
                print(
                    f"run {n + 1} of {options.repeat}, {calls} calls, {name}:"
                    f" {result['us_per_packet']} us, p99 {result['p99_ms']} ms,"
                    f" {result['lost']} lost ({time.monotonic() - began_at:.0f} s)",
                    flush=True,
                )
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    draw(results, options.output / "results.png")
    print()
    print_table(results)


if __name__ == "__main__":
    main()
