"""What a pause costs afterwards: the same work, at once and after sleeps of some milliseconds.

python -m benchmarks.after_idle [--runs 200]

A core that sleeps loses what it has in its caches to whoever else uses the machine, and what runs
next waits for memory. It shows in work of many different instructions, as everything is that a
packet goes through, and hardly in a loop that does one thing. On a machine where it is little, a
media clock saves more than on one where it is much.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable

import numpy as np

SLEEPS_MS = (0, 1, 5, 10, 20)


def loop() -> None:
    total = 0
    for number in range(2_000):
        total += number & 7


def many_things() -> None:
    for _ in range(6):
        json.loads(json.dumps({"a": [1, 2.5, {"b": 3}]}, indent=1))
        np.zeros(20, np.int16).take([1, 2]).sum()
        " ".join(map(str, sorted({3, 1, 2})))
        b"ab".hex().split(",")


def measure(work: Callable[[], None], sleep: float, runs: int) -> float:
    """Return microseconds of processor time, the median."""
    taken = []
    for _ in range(runs):
        if sleep:
            time.sleep(sleep)
        began_at = time.thread_time_ns()
        work()
        taken.append((time.thread_time_ns() - began_at) / 1000)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=200)
    runs = parser.parse_args().runs
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print("us after a sleep of, ms  " + "".join(f"{sleep:8}" for sleep in SLEEPS_MS))
    for name, work in (("a loop", loop), ("many things", many_things)):
        row = [measure(work, sleep / 1000, runs) for sleep in SLEEPS_MS]
        print(f"{name:25}" + "".join(f"{us:8.0f}" for us in row), flush=True)


if __name__ == "__main__":
    main()
