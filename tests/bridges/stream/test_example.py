"""examples/stream_call.py, run as a user runs it."""

from __future__ import annotations

import sys

import trio
from example_world import environment, path_of


async def test_the_example_carries_a_call() -> None:
    """With --simulate and nothing else it ends with status 0, and says how it went."""
    with trio.fail_after(60):
        result = await trio.run_process(
            [sys.executable, str(path_of("stream_call")), "--simulate"],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env=environment(),
        )
    assert result.returncode == 0, (result.stdout, result.stderr)
    for line in (
        b"join with: https://",
        b"the phone is in the Stream call",
        b"the Stream call was left; ended by phone",
    ):
        assert line in result.stdout, (result.stdout, result.stderr)
    assert b"Traceback" not in result.stderr, result.stderr
