"""``telnyx-trio calls``: the live calls of the servers that run on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import trio

from ..servers import list_servers

_DESCRIPTION = """\
Show the calls of every running `telnyx-trio serve` and `dial` of yours on this machine. They tell
over a Unix socket in your state folder, never on the public port.
"""

_EPILOG = """\
examples:
  telnyx-trio calls
  telnyx-trio calls --watch          again each second, until Ctrl-C
  telnyx-trio calls --json | jq '.[].calls | length'

exit status: 0 with at least one server running, 1 with none
"""

_COLUMNS = (
    "direction",
    "from",
    "to",
    "state",
    "seconds",
    "in",
    "out",
    "lost",
    "late",
    "last event",
)


def fill_calls_parser(parser: argparse.ArgumentParser) -> None:
    """Make this command's parser of an empty one."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--watch", action="store_true", help="again each second")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    return trio.run(_show, options)


async def _show(options: argparse.Namespace) -> int:
    while True:
        servers = await list_servers()
        if options.json:
            print(json.dumps(servers, indent=2), flush=True)
        elif not servers:
            print(
                "no server is running; telnyx-trio serve MODULE:HANDLER starts one", file=sys.stderr
            )
        for server in servers if not options.json else ():
            _print_server(server)
        if not options.watch:
            return 0 if servers else 1
        await trio.sleep(1)


def _print_server(server: dict[str, Any]) -> None:
    calls = server["calls"]
    state = ", stopping" if server["is_draining"] else ""
    count = "1 call" if len(calls) == 1 else f"{len(calls)} calls"
    print(f"process {server['pid']} at {server['url']}{state}: {count}", flush=True)
    if not calls:
        return
    rows = [_COLUMNS, *(_row(call) for call in calls)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  " + "  ".join(cells).rstrip(), flush=True)


def _row(call: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(call["direction"]),
        str(call["from_number"] or "-"),
        str(call["to_number"] or "-"),
        str(call["state"]),
        f"{call['duration']:.1f}",
        str(call["packets_received"]),
        str(call["packets_sent"]),
        str(call["missing"]),
        str(call["late"]),
        str(call["last_event"] or "-"),
    )
