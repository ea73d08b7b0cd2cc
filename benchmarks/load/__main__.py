"""Run one load, and print what it has shown as JSON."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json

from benchmarks.load import __doc__ as description
from benchmarks.load import parts
from benchmarks.load.telnyx import Telnyx
from benchmarks.load.world import World

PARTS = {
    part.__name__: part
    for part in (
        parts.paced,
        parts.joining,
        parts.rest,
        parts.webhooks,
        parts.dials,
        parts.turnover,
    )
}


async def run(options: argparse.Namespace) -> None:
    telnyx = None
    if options.how == "telnyx":
        telnyx = Telnyx(options.url)
        await telnyx.listen(options.rest_port)
    result = await PARTS[options.part](World(options.url, telnyx), options)
    print(json.dumps(result))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--url", required=True, help="ws:// of a media socket, or of a webhook")
    parser.add_argument("--how", choices=("socket", "telnyx"), default="socket")
    parser.add_argument("--rest-port", type=int, default=9301)
    parser.add_argument("--server-pid", type=int, required=True)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--warm-up", type=float, default=2.0)
    parser.add_argument("--multiple", type=int, default=1, help="packets that come back together")
    parser.add_argument("--joining", type=int, default=50, help="further calls")
    parser.add_argument("--every", type=float, default=0.0, help="seconds; 0: all at once")
    parser.add_argument("--hold", type=float, default=0.3, help="seconds that a call lasts")
    parser.add_argument("--n", type=int, default=200, help="webhooks, or dials")
    options = parser.parse_args()
    gc.disable()  # its pauses would be taken for the server's; nothing here lives long
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
