"""The parts of the report."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.contestants import OURS, dialler
from benchmarks.runs import Bench, Result, is_disturbed, is_good, is_limited_by_load, is_saturated

LADDER = (
    *(10, 20, 30, 40, 50, 60, 80, 100, 120, 140, 160, 200, 240, 280, 320, 360, 400, 450, 500),
    *(560, 640, 720, 800),
)
"""Numbers of calls among which a capacity is looked for."""

Paced = dict[str, dict[int, list[Result]]]
Save = Callable[[], None]


def run_paced(
    bench: Bench, names: list[str], counts: list[int], repeat: int, results: Paced, save: Save
) -> None:
    """Calls that speak, in numbers; contestants take turns, so that a busy machine is for all."""
    for _ in range(repeat):
        for calls in sorted(counts):
            for name in names:
                runs = results.setdefault(name, {})
                if any("failed" in run for run in runs.get(calls, [])) or any(
                    fewer < calls and all(map(is_saturated, of_fewer))
                    for fewer, of_fewer in runs.items()
                ):
                    continue
                runs.setdefault(calls, []).append(bench.run(name, "paced", calls))
                save()


@dataclass
class Search:
    """Looks for the last number of calls that a contestant carries, by halving the ladder.

    Attributes:
        low, high: places on the ladder; low is good (-1: none is known), high is not.
        runs: results by number of calls.
        is_limited_by_load: whether the load set the limit.
    """

    low: int
    high: int
    needed: int
    runs: dict[int, list[Result]] = field(default_factory=dict)
    is_limited_by_load: bool = False

    @property
    def is_done(self) -> bool:
        return self.high - self.low <= 1

    @property
    def calls(self) -> int:
        return LADDER[(self.low + self.high) // 2]

    @property
    def found(self) -> int:
        return LADDER[self.low] if self.low >= 0 else 0

    def take(self, result: Result) -> None:
        """Take a run of ``calls``."""
        runs = self.runs.setdefault(self.calls, [])
        runs.append(result)
        good = sum(map(is_good, runs))
        if good >= self.needed:
            self.low = LADDER.index(self.calls)
        elif len(runs) - good >= self.needed:
            bad = [run for run in runs if not is_good(run)]
            self.is_limited_by_load = any(map(is_limited_by_load, bad))
            self.high = LADDER.index(self.calls)


def begin_search(runs: dict[int, list[Result]], needed: int) -> Search:
    """Begin with what paced runs have shown; the largest number that was good counts."""
    good = [
        calls for calls, results in runs.items() if 2 * sum(map(is_good, results)) > len(results)
    ]
    most = max(good, default=0)
    low = max((place for place, calls in enumerate(LADDER) if calls <= most), default=-1)
    high = len(LADDER)
    for calls, results in runs.items():
        if calls > most and not any(
            is_limited_by_load(run) or is_disturbed(run) for run in results
        ):
            high = min(high, min((n for n, c in enumerate(LADDER) if c >= calls), default=high))
    return Search(low, high, needed)


def find_capacities(
    bench: Bench,
    names: list[str],
    needed: int,
    paced: Paced,
    results: dict[str, Any],
    save: Save,
) -> None:
    """Find the last number of calls with p99 under 60 ms and nothing lost, in turns.

    Args:
        bench: runs them.
        names: of contestants.
        needed: runs of the same outcome that decide: 2 of at most 3, or 1.
        paced: results to begin with.
        results: where what is found goes, by contestant.
        save: called when all is found.
    """
    searches = {name: begin_search(paced.get(name, {}), needed) for name in names}
    while any(not search.is_done for search in searches.values()):
        for name, search in searches.items():
            if search.is_done:
                continue
            result = bench.run(name, "paced", search.calls)
            if not is_good(result) and is_disturbed(result):
                print("  again, as that was not the server's fault", flush=True)
                result = bench.run(name, "paced", search.calls)
            search.take(result)
    for name, search in searches.items():
        results[name] = {
            "calls": search.found,
            "limited_by_load": search.is_limited_by_load or search.high == len(LADDER),
            "runs": search.runs,
        }
        print(f"{name}: {search.found} calls", flush=True)
    save()


def import_seconds(statement: str, repeat: int = 5) -> float:
    """Return what a statement takes in a new Python that has trio and numpy already."""
    code = (
        "import time, trio, numpy; began = time.perf_counter();"
        f"{statement}; print(time.perf_counter() - began)"
    )
    return statistics.median(
        float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(repeat)
    )


def run_start_up(bench: Bench, names: list[str], repeat: int, results: dict[str, Any]) -> None:
    """Further calls beside 50 that speak: ten a second, and a hundred at once; importing."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {bench.server_core})
    for statement in ("import telnyx_trio", "from telnyx_trio import serve_calls"):
        results[statement] = round(import_seconds(statement), 4)
        print(f"{statement}: {1000 * results[statement]:.0f} ms", flush=True)
    os.sched_setaffinity(0, cores)
    for _ in range(repeat):
        for name in names:
            runs = results.setdefault(name, {"one by one": [], "at once": []})
            runs["one by one"].append(bench.run(name, "joining", 50, joining=30, every=0.1))
            runs["at once"].append(bench.run(name, "joining", 50, joining=100))


def run_memory(bench: Bench, seconds: float, results: dict[str, Any]) -> None:
    """300 calls for a while, and 1000 that come and go."""
    results["running"] = bench.run(OURS, "paced", 300, seconds=seconds)
    results["come and gone"] = bench.run(OURS, "turnover", 1000)


def run_growth(bench: Bench, results: dict[str, Any]) -> None:
    """A call at rest, a webhook and a dial, with few calls and with many."""
    results["rest"] = [bench.run(OURS, "rest", n, seconds=3) for n in (0, 100, 300, 1000)]
    results["webhooks"] = [bench.run(OURS, "webhooks", n, n=200) for n in (1, 100, 1000)]
    results["dials"] = [
        bench.run_server("telnyx_trio", dialler(50), "dials", n, n=50) for n in (1, 100, 1000)
    ]
