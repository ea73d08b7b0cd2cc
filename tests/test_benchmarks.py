"""The benchmarks: what their load notices, and how they look for a capacity."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

parts = pytest.importorskip("benchmarks.parts", reason="in a clone only")
contestants = pytest.importorskip("benchmarks.contestants")
runs = pytest.importorskip("benchmarks.runs")
report = pytest.importorskip("benchmarks.report")

needs_two_cores = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="a core for the server, one for the load"
)


def _result(*, good: bool, load: float = 0.2) -> dict[str, Any]:
    return {
        "p99_ms": 20.0 if good else 200.0,
        "lost": 0,
        "wrong": 0,
        "broken": 0,
        "server_load": 0.5,
        "load_load": load,
        "late_sends": 0.0,
        "server_waited": 0.0,
    }


def _run(server: str, how: str) -> dict[str, Any]:
    bench = runs.Bench(0.4, contestants.ENVIRONMENTS)
    contestant = contestants.Contestant(server, (), (), how)
    result: dict[str, Any] = bench.run_server("it", contestant, "paced", 2, warm_up=0.2)
    return result


@needs_two_cores
def test_our_echo_is_right_byte_for_byte() -> None:
    """The load plays Telnyx for two answered calls, and gets back all that it said."""
    result = _run("telnyx_trio_echo.py", "telnyx")
    assert "failed" not in result
    assert (result["lost"], result["wrong"], result["broken"]) == (0, 0, 0)
    assert result["us_per_packet"] > 0
    assert result["p50_ms"] > 0


@needs_two_cores
def test_load_notices_what_is_wrong_or_lost() -> None:
    """A server that spoils one packet of each call, and loses others, does not get away with it."""
    result = _run(str(Path(__file__).parent / "wrong_echo.py"), "socket")
    assert result["wrong"] == 2
    assert result["lost"] > 2
    assert not runs.is_good(result)


@pytest.mark.parametrize("capacity", [0, 10, 50, 360, 500])
@pytest.mark.parametrize("needed", [1, 2])
@pytest.mark.parametrize("paced", [[], [20, 50, 100, 200, 300]])
def test_capacity_is_found(capacity: int, needed: int, paced: list[int]) -> None:
    """The last number of calls that is good, whatever is known before."""
    known = {calls: [_result(good=calls <= capacity)] * 3 for calls in paced}
    search = parts.begin_search(known, needed)
    while not search.is_done:
        search.take(_result(good=search.calls <= capacity))
    assert search.found == capacity


def test_one_bad_run_of_three_is_forgiven() -> None:
    """Two of three decide."""
    search = parts.begin_search({}, 2)
    first = search.calls
    for good in (True, False, True):
        assert search.calls == first
        search.take(_result(good=good))
    assert search.calls > first


def test_load_is_blamed_when_it_is_to_blame() -> None:
    """Nothing is concluded from paced runs that a busy load has spoilt, and a capacity says so."""
    spoilt = {20: [_result(good=False, load=0.95)]}
    search = parts.begin_search(spoilt, 1)
    while not search.is_done:
        search.take(_result(good=search.calls <= 40, load=0.95))
    assert search.found == 40
    assert search.is_limited_by_load


def test_ratios_are_those_of_each_round() -> None:
    """Not of the medians, as the machine changes between rounds; what is saturated is left out."""

    def run(cost: float, load: float = 0.5) -> dict[str, Any]:
        return {"us_per_packet": cost, "server_load": load, "lost": 0, "server_waited": 0.0}

    ours = [run(30), run(80), run(33), run(1)]
    plugin = [run(100), run(400), run(90), run(100, load=1.0)]
    paced = {contestants.OURS: {"50": ours}, contestants.PLUGIN: {"50": plugin}}
    [ratio] = report.ratios({"paced": paced}).values()
    assert ratio == pytest.approx(0.3)
