"""Runs examples in processes of their own, to be killed: one start, many forks.

Reads a JSON list of runs, each with "arguments" (the example's path first), "environment" and
"log", a file for what is printed. Forks a child for each, prints their process ids, and lets them
go when it reads a line. When all have ended it prints their exit statuses.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from typing import Any

import httpx
import hypercorn.trio

import telnyx_trio
import telnyx_trio.testing

# What every child needs is loaded once, before there are children.
LOADED = [
    httpx,
    hypercorn.trio,
    *(getattr(telnyx_trio, name) for name in telnyx_trio.__all__),
    *(getattr(telnyx_trio.testing, name) for name in ("Carrier", "Phone", "open_carrier")),
]


def become(run: dict[str, Any]) -> None:
    """Run an example in this process, and end with its status."""
    os.environ.update(run["environment"])
    log = os.open(run["log"], os.O_WRONLY | os.O_CREAT, 0o600)
    for standard in (1, 2):
        os.dup2(log, standard)
    sys.argv = run["arguments"]
    sys.path.insert(0, os.path.dirname(sys.argv[0]))
    status: object = 1
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as error:
        status = error.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 1)


def main() -> None:
    """Fork one child for each run, and wait for them."""
    runs = json.loads(sys.stdin.readline())
    gate, release = os.pipe()
    children = []
    for run in runs:
        child = os.fork()
        if child == 0:
            os.close(release)
            os.read(gate, 1)
            become(run)
        children.append(child)
    print(json.dumps(children), flush=True)
    sys.stdin.readline()
    os.close(release)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    print(json.dumps([os.waitstatus_to_exitcode(status) for status in statuses]), flush=True)


if __name__ == "__main__":
    main()
