"""What a packet costs, counted: bytecode instructions of telnyx_trio's echo, by part.

python -m benchmarks.bytecodes [--ingest adaptive] [--calls 12] [--top 30]

Unlike microseconds these are the same on any machine, and nearly so from run to run. What they
leave out is C: the kernel, numpy, msgspec, base64.
"""

import argparse
import json
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from benchmarks.contestants import CONTESTANTS
from benchmarks.environments import ENVIRONMENTS
from benchmarks.runs import Bench

SECONDS = 14.0

PARTS = {
    "receive side": (
        "_receiver _ring_channel _track_decoder _speech _connection _parse _reorder _codecs _pcm"
        " _conceal"
    ),
    "send side": (
        "_sender _outbox _playout _segment _stream_wire _call _packetize _serialise _media_stream"
    ),
    "socket": "_socket _media_clock",
}
"""Of telnyx_trio, modules by part."""


def part_of(path: str) -> str:
    if "/telnyx_trio/" in path:
        for part, modules in PARTS.items():
            if Path(path).stem in modules.split():
                return part
    if "/websockets/" in path:
        return "websockets"
    # attrs writes methods of Trio's and outcome's own.
    if "/trio/" in path or "/outcome/" in path or path.startswith("<attrs"):
        return "Trio"
    return "the rest"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ingest", choices=("adaptive", "immediate"), default="adaptive")
    parser.add_argument("--calls", type=int, default=12, help="more are too many to be traced")
    parser.add_argument("--top", type=int, default=30, help="functions to list")
    options = parser.parse_args()
    name = f"telnyx_trio {options.ingest}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "counts.json")
        contestant = replace(
            CONTESTANTS[name],
            server="telnyx_trio_bytecodes.py",
            arguments=(options.ingest, str(path)),
        )
        Bench(SECONDS, ENVIRONMENTS).run_server(name, contestant, "paced", options.calls)
        rows = json.loads(path.read_text())
    n_packets = max(n_calls for _, function, _, n_calls in rows if function == "pcmu_decode")
    total = sum(n for _, _, n, _ in rows)
    print(f"\n{total / n_packets:.0f} instructions a packet, of {n_packets} packets\n")
    parts: Counter[str] = Counter()
    for file, _, n, _ in rows:
        parts[part_of(file)] += n
    for part, n in parts.most_common():
        print(f"{100 * n / total:5.1f} % {n / n_packets:7.1f}  {part}")
    print("\n  instructions   calls  function")
    for file, function, n, n_calls in sorted(rows, key=lambda row: -row[2])[: options.top]:
        place = "/".join(file.split("/")[-2:])
        print(f"{n / n_packets:14.1f} {n_calls / n_packets:7.2f}  {function}, {place}")


if __name__ == "__main__":
    main()
