"""Environments and processes of what is measured: each contestant's own versions, each its core."""

from __future__ import annotations

import os
import subprocess
import tempfile
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / ".environments"


def python_in(place: Path, requirements: Sequence[str]) -> Path:
    """Return the Python of an environment with these packages, which is made if it is not there.

    Args:
        place: folder of the environment.
        requirements: arguments of ``pip install``.
    """
    python = place / "bin" / "python"
    done = place / "requirements.txt"
    wanted = "\n".join(requirements)
    if not done.exists() or done.read_text() != wanted:
        print(f"making the environment {place}", flush=True)
        venv.create(place, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
        done.write_text(wanted)
    return python


@contextmanager
def running(
    command: Sequence[str | Path],
    core: int | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    is_quiet: bool = False,
) -> Iterator[tuple[int, str]]:
    """Run a server until the body ends; then it is killed.

    Args:
        command: prints "ready", its process id and its URL once it serves.
        core: on which it runs; any if None.
        environment: variables besides ours.
        is_quiet: keep what it writes to stderr for the error when it does not start.

    Yields:
        The process id and the URL.

    Raises:
        RuntimeError: it did not start.
    """
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors if is_quiet else None,
            text=True,
            env={**os.environ, **(environment or {})},
            preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("ready "):
                    _, pid, url = line.split()
                    yield int(pid), url
                    return
            errors.seek(0)
            raise RuntimeError(f"{command[1]} did not start. {errors.read()[-2000:]}")
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
