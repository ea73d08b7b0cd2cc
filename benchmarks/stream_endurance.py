"""--drift and --cycles of benchmarks/stream_bridge.py, which runs this where getstream is."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import trio

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from stream_endurance import Held, Stretch, carry_with_drift, come_and_go
from stream_standin import getstream_led_to, open_standin

from benchmarks.environments import running

EVERY, MINUTE = 5, 60
MAX_GROWTH_MS = 60
"""That the median delay of a minute may be more than that of the first: buffers grow to what a busy
machine needs, but 200 millionths of ten minutes are 120 ms."""


@dataclass(frozen=True)
class Minute:
    """What one minute has shown, both ways: to the Stream call, and to the phone.

    Attributes:
        until: seconds since both heard each other.
        p50_ms: median delay.
        p99_ms: of the delay.
        clicks: places at which a tone came broken.
        last: the levels and counters at its end.
    """

    until: float
    p50_ms: tuple[float, float]
    p99_ms: tuple[float, float]
    clicks: tuple[int, int]
    last: Stretch

    def __str__(self) -> str:
        (p50, back50), (p99, back99), (clicks, back) = self.p50_ms, self.p99_ms, self.clicks
        last = self.last
        levels = [1000 * x for x in (last.phone_level, last.guest_level, last.backlog)]
        corrected = [1000 * x for x in last.corrected]
        return (
            f"{self.until:4.0f} s  to stream {p50:.0f}/{p99:.0f} ms, {clicks} clicks;"
            f"  to phone {back50:.0f}/{back99:.0f} ms, {back} clicks;"
            f"  buffers {levels[0]:.0f}, {levels[1]:.0f}, {levels[2]:.0f} ms;"
            f"  corrected {corrected[0]:.1f}, {corrected[1]:.1f} ms;"
            f"  cut {1000 * last.dropped:.0f} ms; {last.gaps} gaps"
        )


def minute_of(stretches: list[Stretch]) -> Minute:
    """Sum up stretches that follow each other."""
    ways = [
        [stretch.by_guest for stretch in stretches],
        [stretch.by_phone for stretch in stretches],
    ]
    delays = [[1000 * delay for heard in way for delay in heard.delays] for way in ways]
    p50, p99 = (
        tuple(float(np.percentile(way, n)) if way else np.inf for way in delays) for n in (50, 99)
    )
    clicks = tuple(sum(heard.clicks for heard in way) for way in ways)
    last = stretches[-1]
    return Minute(last.until, (p50[0], p50[1]), (p99[0], p99[1]), (clicks[0], clicks[1]), last)


def drift(options: argparse.Namespace) -> tuple[bool, Any]:
    """Run one call with skewed clocks; return whether its delay was bounded and nothing clicked."""
    minutes: list[Minute] = []
    stretches: list[Stretch] = []

    def tell(stretch: Stretch) -> None:
        stretches.append(stretch)
        if len(stretches) == MINUTE // EVERY or stretch.until >= options.amount:
            minutes.append(minute_of(stretches))
            stretches.clear()
            print(minutes[-1], flush=True)

    command = [sys.executable, "-m", "stream_standin"]
    with running(command) as (_, url), getstream_led_to(url):
        trio.run(run_drift, SimpleNamespace(url=url), options.amount, options.skew / 1e6, tell)
    grown = max(
        now - first
        for minute in minutes
        for first, now in zip(minutes[0].p50_ms, minute.p50_ms, strict=True)
    )
    clicks = sum(sum(minute.clicks) for minute in minutes)
    print(f"median delay grown by at most {grown:.0f} ms, {clicks} clicks")
    return grown <= MAX_GROWTH_MS and not clicks, [asdict(minute) for minute in minutes]


async def run_drift(standin: Any, seconds: float, skew: float, tell: Any) -> None:
    """Run it in Trio."""
    await carry_with_drift(standin, seconds, every=EVERY, skew=skew, tell=tell)


def cycles(options: argparse.Namespace) -> tuple[bool, Any]:
    """Have calls come and go; return whether all that they held is given back."""

    def tell(n: int, held: Held) -> None:
        print(
            f"{n:4}  {held.tasks} tasks, {len(held.threads)} threads, {held.sockets} sockets,"
            f" {held.participants} participants",
            flush=True,
        )

    with open_standin() as standin, getstream_led_to(standin.url):
        before, after = trio.run(run_cycles, standin, int(options.amount), tell)
    print(f"before {before}\nafter  {after}")
    return after.is_back_at(before), {"before": asdict(before), "after": asdict(after)}


async def run_cycles(standin: Any, n: int, tell: Any) -> tuple[Held, Held]:
    """Run it in Trio."""
    return await come_and_go(standin, n, tell=tell)


def main() -> int:
    """Run one; return the status of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("how", choices=("drift", "cycles"))
    parser.add_argument("amount", type=float)
    parser.add_argument("--skew", type=float, default=200.0)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    for name in ("", "aioice", "getstream", "websocket"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    is_good, results = drift(options) if options.how == "drift" else cycles(options)
    options.output.write_text(json.dumps(results, indent=1) + "\n")
    print("as it should be" if is_good else "NOT as it should be")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
