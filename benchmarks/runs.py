"""One run: a server on one core, a load on the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.contestants import CONTESTANTS, ROOT, Contestant, python_of, serving

Result = dict[str, Any]
"""The figures of a run; only "failed", with the reason, if it could not be carried out."""

MAX_P99_MS = 60.0
MAX_LOAD = 0.85
"""Of the load's core; above it the load may be what is late."""
MAX_LATE = 0.05
"""Share of packets that the load may send late before that is held against it."""
MAX_WAITED = 0.1
"""Share of its time for which a server may lack its core before that is told."""
SATURATED = 0.97


def is_good(result: Result) -> bool:
    """Whether nothing was lost or wrong, and the delay bearable."""
    return (
        "failed" not in result
        and result["p99_ms"] is not None
        and result["p99_ms"] < MAX_P99_MS
        and not (result["lost"] or result["wrong"] or result["broken"])
    )


def is_limited_by_load(result: Result) -> bool:
    """Whether the load itself may be to blame."""
    return "failed" not in result and (
        result["load_load"] > MAX_LOAD or result["late_sends"] > MAX_LATE
    )


def is_disturbed(result: Result) -> bool:
    """Whether other programs took the server's core away."""
    return "failed" not in result and result["server_waited"] > MAX_WAITED


def is_saturated(result: Result) -> bool:
    """Whether more calls would only add to what this server is late or loses."""
    return (
        "failed" in result
        or result["server_load"] > SATURATED
        or (result["lost"] > 0 and not is_disturbed(result))
    )


@dataclass
class Bench:
    """Runs loads, and tells of each.

    Attributes:
        seconds: that a load lasts.
        environments: where those of the contestants are.
    """

    seconds: float
    environments: Path
    _cores: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._cores = sorted(os.sched_getaffinity(0))
        if len(self._cores) < 2:
            sys.exit("two cores are needed: one for the server, one for the load")

    @property
    def server_core(self) -> int:
        """The core that servers run on."""
        return self._cores[0]

    def prepare(self, names: list[str]) -> None:
        """Make the environments of contestants."""
        for name in names:
            python_of(CONTESTANTS[name], self.environments)

    def run(self, name: str, part: str, calls: int, **options: float) -> Result:
        """Run a part of the load against a contestant, and print a line about it."""
        return self.run_server(name, CONTESTANTS[name], part, calls, **options)

    def run_server(
        self, name: str, contestant: Contestant, part: str, calls: int, **options: float
    ) -> Result:
        """Run a part of the load against a server, and print a line about it."""
        began_at = time.monotonic()
        try:
            result = self._run(contestant, part, calls, options)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            result = {"calls": calls, "failed": str(error)[-300:]}
        took = time.monotonic() - began_at
        shown = ", ".join(f"{key} {value}" for key, value in result.items() if key in _SHOWN)
        if "load_load" in result:
            shown += ", limited by the load" * is_limited_by_load(result)
            shown += ", disturbed by other programs" * is_disturbed(result)
        what = f"{part} {options['joining']}+" if "joining" in options else part
        print(f"{name}, {what} {calls} calls: {shown} ({took:.0f} s)", flush=True)
        return result

    def _run(
        self, contestant: Contestant, part: str, calls: int, options: dict[str, float]
    ) -> Result:
        options = {"seconds": self.seconds, "multiple": contestant.multiple, **options}
        python = python_of(contestant, self.environments)
        with serving(contestant, python, self.server_core) as server:
            command = [sys.executable, "-m", "benchmarks.load", part, "--how", contestant.how]
            command += ["--url", server.url, "--server-pid", str(server.pid)]
            command += ["--rest-port", str(server.rest_port), "--calls", str(calls)]
            for option, value in options.items():
                command += [f"--{option.replace('_', '-')}", str(value)]
            done = subprocess.run(
                command,
                cwd=ROOT,
                capture_output=True,
                text=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {self._cores[1]}),
                timeout=options["seconds"] + 120,
            )
        if done.returncode:
            raise RuntimeError(done.stderr.strip().rpartition("\n")[2] or "the load failed")
        result: Result = json.loads(done.stdout)
        return result


_SHOWN = {
    "failed",
    "us_per_packet",
    "p99_ms",
    "lost",
    "wrong",
    "server_load",
    "load_load",
    "first_packet_p50_ms",
    "first_packet_p99_ms",
    "running_p99_ms",
    "us_per_second",
    "us_per_webhook",
    "us_per_dial",
    "bytes_per_call",
    "bytes_per_call_and_minute",
    "bytes_kept_per_call",
}
