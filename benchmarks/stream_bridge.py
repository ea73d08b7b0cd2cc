"""A phone in a Stream call: what the bridge costs, how late audio comes, and whether it lasts.

python -m benchmarks.stream_bridge [--calls 1 3] [--seconds 60] [--getstream 4.3.0 7.0.0]
python -m benchmarks.stream_bridge --drift 600 [--skew 200] [--getstream 4.3.0]
python -m benchmarks.stream_bridge --cycles 200 [--getstream 4.3.0]

Against the stand-in for Stream that is among the tests: signalling and media over real ICE, DTLS
and SRTP. Every environment that is needed is made under benchmarks/.environments.

Without --drift and --cycles, attach_phone_to_call is compared with that of Vision Agents' Telnyx
plugin 0.6.5 (which comes with getstream 4.3.0). The bridging server has a core for itself, and its
processor time is what counts; phones, participants and the stand-in have another. How late audio
comes is counted from the phone's packet to the participant's ear and back, less what two
participants take to hear each other without any bridge. The table has:

  cpu          of one core, for each call
  to stream    added delay from the phone to a participant, ms; to phone: the other way
  clicks       places a minute at which a tone came broken, at the participant and at the phone
  gaps         how often a minute the phone had nothing to play, over 5 ms
  load %       what phones, participants and the stand-in take of their core
  disturbed    participants' own SDK lost its connection, and they spoke brokenly from then on

--drift has one call whose clocks differ, by --skew millionths, from half time on the other way:
the participant's is fast while the phone's is slow. A line a minute, with delays from mouth to ear,
and it fails if they have grown or a tone came broken. (getstream 7 publishes by our clock, whatever
it is given when: there the participant hears by getstream, and speaks by aiortc.)

--cycles has calls come and go, ended by the phone or cancelled at random moments, and fails if
anything is left of them.

Each writes a JSON file into --output.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from .environments import ENVIRONMENTS, HERE, python_in, running

ROOT = HERE.parent
PORT = 9500
OURS = "telnyx_trio, getstream"
PLUGIN = "Vision Agents plugin 0.6.5"
PLUGIN_REQUIREMENTS = (
    "vision-agents-plugins-telnyx==0.6.5",
    "getstream[webrtc]==4.3.0",
    "websockets==15.0.1",
    "fastapi==0.165.0",
    "uvicorn==0.54.0",
    "uvloop==0.23.0",
    "httptools==0.9.0",
)


def python_with(getstream: str, folder: Path) -> Path:
    """Return the Python of an environment with this library, from here, and a getstream."""
    ours = f"{ROOT}[stream,pytest]"
    return python_in(
        folder / f"stream-{getstream}", ("--editable", ours, f"getstream[webrtc]=={getstream}")
    )


def variables(url: str) -> dict[str, str]:
    """Return what leads a server to the stand-in."""
    return {
        **IMPORTS,
        "STREAM_BASE_URL": url,
        "STREAM_API_KEY": "standin-key",
        "STREAM_API_SECRET": "standin-secret-of-thirty-two-bytes!",
    }


IMPORTS = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}


def measure(
    server: list[str | Path], load: Path, calls: int, seconds: float, cores: tuple[int, int]
) -> dict[str, Any]:
    """Run one load on one server.

    Raises:
        RuntimeError: it could not be carried out.
    """
    with running([load, "-m", "stream_standin"], cores[1], IMPORTS) as (standin_pid, standin):
        with running([*server, str(PORT)], cores[0], variables(standin)) as (pid, url):
            command: list[str | Path] = [
                load,
                "-m",
                "benchmarks.stream_load",
                "--url",
                url,
                "--standin",
                standin,
            ]
            command += ["--server-pid", str(pid), "--standin-pid", str(standin_pid)]
            command += ["--calls", str(calls), "--seconds", str(seconds)]
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                env={**os.environ, **IMPORTS},
                preexec_fn=lambda: os.sched_setaffinity(0, {cores[1]}),
                timeout=seconds + 10 * calls + 120,
            )
    if done.returncode:
        raise RuntimeError(f"no load on {server[-1]}: {done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def compare(options: argparse.Namespace) -> None:
    """Measure all contestants, in turns, and print a table."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("two cores are needed: one for the bridge, one for the load")
    load = python_with("4.3.0", options.environments)
    servers = HERE / "servers"
    contestants: dict[str, list[str | Path]] = {
        f"{OURS} {version}": [
            python_with(version, options.environments),
            servers / "telnyx_trio_stream.py",
        ]
        for version in options.getstream
    }
    plugin = python_in(options.environments / "plugin_stream", PLUGIN_REQUIREMENTS)
    contestants[PLUGIN] = [plugin, servers / "plugin_stream.py"]
    print(
        f"{'bridge':30}{'calls':>6}{'cpu %':>7}"
        f"{'to stream p50/p99':>20}{'to phone p50/p99':>20}{'clicks':>14}{'gaps':>7}{'load %':>8}"
    )
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in contestants}
    for calls in options.calls:
        for name, server in contestants.items():
            result = measure(server, load, calls, options.seconds, (cores[0], cores[1]))
            results[name].append(result)
            ways = (
                f"{result[way]['p50_ms']} / {result[way]['p99_ms']}"
                for way in ("to_stream", "to_phone")
            )
            clicks = " / ".join(map(str, result["clicks_per_minute"]))
            print(
                f"{name:30}{calls:>6}{result['cpu_percent_per_call']:>7}"
                + "".join(f"{way:>20}" for way in ways)
                + f"{clicks:>14}{result['gaps_at_phone_per_minute']:>7}"
                + f"{result['load_cpu_percent']:>8}"
                + "  disturbed" * bool(result["participants_lost"]),
                flush=True,
            )
    write(options, "stream_bridge.json", results)


def endure(options: argparse.Namespace) -> None:
    """Run --drift or --cycles in an environment with getstream."""
    [version] = options.getstream[:1]
    how = "drift" if options.drift else "cycles"
    path = options.output / f"stream_{how}_{version}.json"
    options.output.mkdir(parents=True, exist_ok=True)
    command = [
        str(python_with(version, options.environments)),
        "-m",
        "benchmarks.stream_endurance",
    ]
    command += [how, str(options.drift or options.cycles), "--output", str(path)]
    command += ["--skew", str(options.skew)]
    sys.exit(subprocess.run(command, env={**os.environ, **IMPORTS}).returncode)


def write(options: argparse.Namespace, name: str, results: Any) -> None:
    """Write results as JSON."""
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / name).write_text(json.dumps(results, indent=1) + "\n")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stream_bridge",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--calls", type=int, nargs="+", default=[1, 3], help="at a time")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each load (%(default)s)")
    parser.add_argument(
        "--getstream",
        nargs="+",
        default=["4.3.0", "7.0.0"],
        metavar="VERSION",
        help="under our bridge (4.3.0 and 7.0.0; --drift and --cycles: the first)",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--drift", type=float, metavar="SECONDS", help="one call with skewed clocks")
    how.add_argument("--cycles", type=int, metavar="N", help="calls that come and go")
    parser.add_argument(
        "--skew", type=float, default=200.0, help="of --drift, in millionths (%(default)s)"
    )
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS)
    parser.add_argument("--output", type=Path, default=HERE / "results")
    options = parser.parse_args()
    # So that what was begun is ended, also by a timeout.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if options.drift or options.cycles:
        endure(options)
    compare(options)


if __name__ == "__main__":
    main()
