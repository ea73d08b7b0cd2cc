"""Runs temporary set-ups in processes of their own, to be killed: one start, many forks.

Reads a JSON list of [base_url, state_dir], forks a child for each, prints their process ids, and
lets them go when it reads a line. A child stays in its set-up until it is killed.
"""

from __future__ import annotations

import json
import os
import sys

import httpx
import trio
from account_fake import API_KEY, OUR_NUMBER

from telnyx_trio import open_client, open_temporary_setup


async def set_up(base_url: str, state_dir: str) -> None:
    """Make a set-up, and take it back when SIGTERM is sent to say so."""
    # No TLS here; reading the certificates of the system takes longer than all the rest.
    transport = httpx.AsyncHTTPTransport(verify=False)
    async with open_client(API_KEY, base_url=base_url, transport=transport) as client:
        with trio.open_signal_receiver(15) as signals:
            async with open_temporary_setup(
                client,
                public_url="https://voice.example",
                phone_number=OUR_NUMBER,
                state_dir=state_dir,
            ):
                async for _ in signals:
                    break


def main() -> None:
    """Fork one child for each set-up, and wait for them."""
    jobs = json.loads(sys.stdin.readline())
    gate, release = os.pipe()
    children = []
    for base_url, state_dir in jobs:
        child = os.fork()
        if child == 0:
            os.close(release)
            os.read(gate, 1)
            trio.run(set_up, base_url, state_dir)
            os._exit(0)
        children.append(child)
    print(json.dumps(children), flush=True)
    sys.stdin.readline()
    os.close(release)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    print(json.dumps([os.waitstatus_to_exitcode(status) for status in statuses]), flush=True)


if __name__ == "__main__":
    main()
