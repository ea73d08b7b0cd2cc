"""Tables, picture, and their place in the documents."""

from __future__ import annotations

import os
import platform
import statistics
from pathlib import Path
from typing import Any

from benchmarks.contestants import FASTAPI, OURS, PIPECAT, PLUGIN
from benchmarks.runs import Result, is_disturbed, is_limited_by_load, is_saturated

Report = dict[str, Any]
"""As ``results.json`` has it: by part."""

BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"


def machine() -> dict[str, str]:
    """Return what this runs on."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
    return {
        "processor": model,
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
    }


def median(results: list[Result], name: str) -> float | None:
    """Return the median of one figure over runs."""
    values = [run[name] for run in results if run.get(name) is not None]
    return statistics.median(values) if values else None


def ratios(report: Report) -> dict[str, float]:
    """Return how telnyx_trio stands to others: cost of a packet, and capacity.

    Cost is compared within each round: a shared machine is faster in one minute than in the next.
    """
    found = {}
    paced = report.get("paced", {})
    for ours in (name for name in paced if name.startswith("telnyx_trio")):
        for other in (PLUGIN, PIPECAT, FASTAPI):
            for calls in ("50", "100"):
                rounds = zip(
                    paced[ours].get(calls, []), paced.get(other, {}).get(calls, []), strict=False
                )
                of_rounds = [
                    mine["us_per_packet"] / theirs["us_per_packet"]
                    for mine, theirs in rounds
                    if not is_saturated(mine)
                    and not is_saturated(theirs)
                    and mine["us_per_packet"]
                    and theirs["us_per_packet"]
                ]
                if of_rounds:
                    found[f"{ours} / {other}, µs a packet, {calls} calls"] = statistics.median(
                        of_rounds
                    )
    capacity = report.get("capacity", {})
    for other in (PLUGIN, PIPECAT, FASTAPI):
        if capacity.get(other, {}).get("calls") and OURS in capacity:
            found[f"{OURS} / {other}, capacity"] = (
                capacity[OURS]["calls"] / capacity[other]["calls"]
            )
    return {name: round(value, 2) for name, value in found.items()}


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _delay(value: float | None) -> str:
    return _number(value, 1 if value is not None and value < 10 else 0)


def _kilobytes(value: float | None) -> str:
    return "-" if value is None else f"{value / 1000:.1f}"


def _mark(runs: list[Result]) -> str:
    return ", disturbed" if 2 * sum(map(is_disturbed, runs)) > len(runs) else ""


def _paced_table(report: Report) -> str:
    paced, capacity = report["paced"], report.get("capacity", {})
    counts = sorted({int(calls) for runs in paced.values() for calls in runs})
    head = ["server", *(f"{calls} calls" for calls in counts), "KB a call", "capacity"]
    rows = []
    for name, by_calls in paced.items():
        cells = [name]
        for calls in counts:
            runs = by_calls.get(str(calls), [])
            cell = f"{_number(median(runs, 'us_per_packet'))} / {_delay(median(runs, 'p99_ms'))}"
            if not runs:
                cell = "-"
            elif 2 * sum(run.get("wrong", 0) > 0 for run in runs) > len(runs):
                cell += ", wrong"
            elif _mark(runs):
                cell += _mark(runs)
            elif 2 * sum(map(is_saturated, runs)) > len(runs):
                cell += ", saturated"
            elif 2 * sum(map(is_limited_by_load, runs)) > len(runs):
                cell += ", limited by the load"
            cells.append(cell)
        sizes = [run for runs in by_calls.values() for run in runs if not is_saturated(run)]
        cells.append(_kilobytes(median(sizes, "bytes_per_call")))
        found = capacity.get(name)
        cells.append(
            "-"
            if found is None
            else f"{found['calls']}{' or more' if found['limited_by_load'] else ''}"
        )
        rows.append(cells)
    return (
        "Processor time of the server per echoed packet, µs, and p99 of the added delay, ms;"
        " capacity is the\nlast number of calls with p99 under 60 ms and nothing lost.\n\n"
        + _table(head, rows)
    )


def _start_up_table(report: Report) -> str:
    start_up = dict(report["start_up"])
    imports = {name: start_up.pop(name) for name in list(start_up) if " import" in f" {name}"}
    head = [
        "server",
        "first packet, ten calls a second",
        "running calls meanwhile",
        "100 calls at once taken in",
        "running calls meanwhile",
    ]
    rows = []
    for name, runs in start_up.items():
        slow, fast = runs["one by one"], runs["at once"]
        rows.append(
            [
                name,
                f"{_delay(median(slow, 'first_packet_p50_ms'))} /"
                f" {_delay(median(slow, 'first_packet_p99_ms'))}{_mark(slow)}",
                _delay(median(slow, "running_p99_ms")),
                f"{_number(median(fast, 'opened_in_s'), 2)} s{_mark(fast)}",
                _delay(median(fast, "running_p99_ms")),
            ]
        )
    told = "; ".join(f"`{name}` {1000 * value:.0f} ms" for name, value in imports.items())
    return (
        "Calls that come while 50 others speak. First packet: from the handshake of its media"
        " socket to its\necho, ms, p50 / p99. Running calls: p99 of their delay, ms.\n\n"
        + _table(head, rows)
        + f"\nBeyond trio and numpy: {told}.\n"
    )


def _memory_table(report: Report) -> str:
    running, gone = report["memory"]["running"], report["memory"]["come and gone"]
    return _table(
        ["memory of telnyx_trio", "KB"],
        [
            ["a call, of 300 that speak", _kilobytes(running.get("bytes_per_call"))],
            [
                f"a call and minute, of these ({running.get('seconds', 0):.0f} s)",
                _kilobytes(running.get("bytes_per_call_and_minute")),
            ],
            ["kept of a call, of 1000 come and gone", _kilobytes(gone["bytes_kept_per_call"])],
        ],
    )


def _growth_table(report: Report) -> str:
    growth = report["growth"]
    rows = []
    idle = next(run["us_per_second"] for run in growth["rest"] if run["calls"] == 0)
    for run in growth["rest"]:
        calls = run["calls"]
        if calls:
            cost = (run["us_per_second"] - idle) / calls
            size = _kilobytes(run["bytes_per_call"])
            rows.append(["a call at rest, a second", str(calls), f"{cost:.0f} ({size} KB)"])
    for part, name in (("webhooks", "a webhook"), ("dials", "a dial, up to the hangup")):
        for run in growth[part]:
            cost = run["us_per_" + part.rstrip("s")]
            rows.append([name, str(run["calls"]), f"{cost:.0f}"])
    return (
        f"Processor time of telnyx_trio, µs, by the number of calls that it has; {idle:.0f} µs a"
        " second with none.\n\n" + _table(["what", "calls", "µs"], rows)
    )


def _ratio_table(report: Report) -> str:
    rows = [[name, f"{value:.2f}"] for name, value in ratios(report).items()]
    return _table(["ratio, median of the rounds", ""], rows)


def tables(report: Report) -> str:
    """Return all that a report has, as Markdown."""
    on = report["machine"]
    n, seconds = report["options"]["repeat"], report["options"]["seconds"]
    how_often = "Single runs" if n == 1 else f"Medians of {n} runs"
    told = (
        f"{on['processor']}, {on['cores']} cores, {on['system']}, Python {on['python']}; server on"
        f" one core,\nload on another. {how_often} of {seconds:.0f} s.\n"
    )
    parts = [told]
    for part, table in (
        ("paced", _paced_table),
        ("paced", _ratio_table),
        ("start_up", _start_up_table),
        ("memory", _memory_table),
        ("growth", _growth_table),
    ):
        if report.get(part):
            parts.append(table(report))
    return "\n".join(parts)


def draw(report: Report, path: Path) -> None:
    """Draw cost and delay against the number of calls, a line a contestant."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    cost, delay = figure.subplots(1, 2)
    for name, by_calls in report["paced"].items():
        counts = sorted(map(int, by_calls))
        style = {"marker": "o", "linewidth": 2.4 if name.startswith("telnyx_trio") else 1.2}
        found = report.get("capacity", {}).get(name)
        label = f"{name}: up to {found['calls']} calls" if found else name
        for pane, figure_name in ((cost, "us_per_packet"), (delay, "p99_ms")):
            values = [median(by_calls[str(calls)], figure_name) for calls in counts]
            pane.plot(
                counts,
                [float("nan") if value is None else value for value in values],
                label=label,
                **style,
            )
    cost.set_ylabel("µs of processor time per echoed packet")
    cost.set_ylim(bottom=0)
    delay.set_ylabel("p99 of the added delay, ms")
    delay.set_yscale("log")
    for pane in (cost, delay):
        pane.set_xlabel("calls")
        pane.grid(alpha=0.3)
    figure.legend(*cost.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=110)


def publish(report: Report, json_text: str, docs: Path) -> None:
    """Put picture, JSON and tables into the documents."""
    draw(report, docs / "performance.png")
    (docs / "performance.json").write_text(json_text)
    page = docs / "performance.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(before + BEGIN + "\n" + tables(report) + "\n" + END + after)
