"""Media servers beside each other: what an echoed packet costs, and how late it comes.

python -m benchmarks                 all of it, about 25 minutes
python -m benchmarks --brief         the same from single runs, about 10
python -m benchmarks --quick         a taste, about one

Each contestant's server decodes every packet to PCM, hands it to an agent, takes it back, encodes
it and sends it. It runs in an environment of its own, with versions that stand in
benchmarks/contestants.py, on one core; the load (benchmarks/load) runs on another. Contestants take
turns, so that a busy machine is busy for all of them, and figures are medians.

Parts: "paced" is cost and delay by number of calls; "capacity" the last number of calls that is
carried; "start_up" calls that come while others speak, and importing; "memory"; "growth" the cost
of calls at rest, webhooks and dials. The last two are of telnyx_trio alone.

Writes results.json, results.md and results.png into --output; with --publish also the picture, the
JSON and the tables of docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.contestants import CONTESTANTS, ROOT
from benchmarks.environments import ENVIRONMENTS, HERE
from benchmarks.parts import find_capacities, run_growth, run_memory, run_paced, run_start_up
from benchmarks.report import Report, draw, machine, publish, tables
from benchmarks.runs import Bench

PARTS = ("paced", "capacity", "start_up", "memory", "growth")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--capacity", action="store_true", help="that part alone")
    parser.add_argument("--calls", type=int, nargs="+", default=[20, 50, 100, 200, 300])
    parser.add_argument("--seconds", type=float, default=4.0, help="of each load (%(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each (%(default)s)")
    parser.add_argument(
        "--memory-seconds", type=float, default=60.0, help="that 300 calls speak (%(default)s)"
    )
    parser.add_argument("--brief", action="store_true", help="one run of each, 20 s for memory")
    parser.add_argument("--quick", action="store_true", help="paced alone: 50 calls, 2 s, once")
    parser.add_argument(
        "--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS), metavar="NAME"
    )
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS)
    parser.add_argument("--output", type=Path, default=HERE / "results")
    parser.add_argument("--publish", action="store_true", help="into docs/")
    parser.add_argument("--from", type=Path, dest="source", help="a results.json; nothing is run")
    options = parser.parse_args()
    if options.capacity:
        options.parts = ["capacity"]
    if options.brief:
        options.repeat, options.memory_seconds = 1, 20.0
    if options.quick:
        options.parts, options.calls, options.seconds, options.repeat = ["paced"], [50], 2.0, 1
    return options


def run(options: argparse.Namespace) -> Report:
    """Run what was asked for; what there is so far is always on disk."""
    bench = Bench(options.seconds, options.environments)
    names, parts = options.contestants, options.parts
    bench.prepare(names)
    report: Report = {
        "machine": machine(),
        "versions": {name: CONTESTANTS[name].requirements for name in names},
        "options": {"seconds": options.seconds, "repeat": options.repeat},
        **{part: {} for part in parts},
    }
    options.output.mkdir(parents=True, exist_ok=True)

    def save() -> None:
        (options.output / "results.json").write_text(json.dumps(report, indent=1) + "\n")

    if "paced" in parts:
        run_paced(bench, names, options.calls, options.repeat, report["paced"], save)
    if "start_up" in parts:
        run_start_up(bench, names, min(options.repeat, 2), report["start_up"])
        save()
    if "growth" in parts:
        run_growth(bench, report["growth"])
        save()
    if "memory" in parts:
        run_memory(bench, options.memory_seconds, report["memory"])
        save()
    if "capacity" in parts:
        needed = 2 if options.repeat > 1 else 1
        find_capacities(bench, names, needed, report.get("paced", {}), report["capacity"], save)
    save()
    return json.loads((options.output / "results.json").read_text())  # type: ignore[no-any-return]


def main() -> None:
    """Run, and show."""
    options = parse()
    report = json.loads(options.source.read_text()) if options.source else run(options)
    text = tables(report)
    print(f"\n{text}")
    if options.source is None:
        (options.output / "results.md").write_text(text)
        if report.get("paced"):
            draw(report, options.output / "results.png")
    if options.publish:
        publish(report, json.dumps(report, indent=1) + "\n", ROOT / "docs")


if __name__ == "__main__":
    main()
