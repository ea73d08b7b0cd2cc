"""Programs in processes of their own, forked from one that has loaded what they need.

To start Python and load the library takes longer than most runs of a program; forked it begins at
once, on a busy machine too.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import sys
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

import trio

_LOADED: Final = (
    "httpcore",
    "hypercorn.trio",
    "pytest",  # multiprocessing has each child import the main module of its parent
    # The package loads most of its modules when they are first used.
    "telnyx_trio._cli._call",
    "telnyx_trio._cli._dial",
    "telnyx_trio._cli._doctor",
    "telnyx_trio._cli._serve",
    "telnyx_trio._recording",
    "telnyx_trio.audio._wav",
    "telnyx_trio.provisioning._preflight",
    "telnyx_trio.provisioning._public_address",
    "telnyx_trio.provisioning._setup",
    "telnyx_trio.servers._open",
    "telnyx_trio.testing._carrier",
)

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(list(_LOADED))


class Program:
    """A running program.

    Attributes:
        pid: of its process.
        stdout, stderr: all that it has printed so far.
    """

    def __init__(self, process: BaseProcess) -> None:
        assert process.pid is not None
        self.pid: Final = process.pid
        self.stdout = b""
        self.stderr = b""
        self._process = process
        self._news = trio.Event()
        self._n_open = 2

    async def wait_printed(self, text: bytes) -> None:
        """Wait until it has printed this to standard output."""
        while text not in self.stdout:
            assert self._n_open, ("it has ended early", self.stdout, self.stderr)
            await self._news.wait()

    async def wait(self) -> int:
        """Wait until it has ended, and return its exit status; all that it printed is here then."""
        while self._n_open:
            await self._news.wait()
        await trio.lowlevel.wait_readable(self._process.sentinel)
        assert self._process.exitcode is not None
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def read(self, name: str, connection: Connection) -> None:
        """Collect what it prints to one of its outputs, until that is closed."""
        async with trio.lowlevel.FdStream(os.dup(connection.fileno())) as stream:
            connection.close()
            async for part in stream:
                setattr(self, name, getattr(self, name) + part)
                self._tell()
        self._n_open -= 1
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()


@asynccontextmanager
async def open_program(
    program: Path | str,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> AsyncIterator[Program]:
    """Run a program beside the block; what still runs at its end is killed.

    Args:
        program: path of a script, or name of a module.
        *arguments: of its command line.
        environment: all of it; None is that of the tests.
        folder: to run in; None is that of the tests.
    """
    gate, opener = _context.Pipe(duplex=False)
    stdout, stdout_writer = _context.Pipe(duplex=False)
    stderr, stderr_writer = _context.Pipe(duplex=False)
    process = _context.Process(
        target=_become,
        args=(
            program,
            arguments,
            dict(os.environ if environment is None else environment),
            folder or Path.cwd(),
            gate,
            (stdout_writer, stderr_writer),
        ),
        daemon=True,
    )
    try:
        # The first of all takes as long as it takes to load the library.
        await trio.to_thread.run_sync(process.start)
        for connection in (gate, stdout_writer, stderr_writer):
            connection.close()
        running = Program(process)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(running.read, "stdout", stdout)
            nursery.start_soon(running.read, "stderr", stderr)
            opener.send_bytes(b"go")
            yield running
            nursery.cancel_scope.cancel()
    finally:
        opener.close()
        process.kill()
        process.join()
        process.close()


async def run_program(
    program: Path | str,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> tuple[int, bytes, bytes]:
    """Run a program to its end; return exit status, standard output and standard error."""
    async with open_program(program, *arguments, environment=environment, folder=folder) as running:
        return await running.wait(), running.stdout, running.stderr


def _become(
    program: Path | str,
    arguments: tuple[str, ...],
    environment: Mapping[str, str],
    folder: Path,
    gate: Connection,
    outputs: tuple[Connection, Connection],
) -> None:
    """Run a program in this process, once its starter knows about it."""
    for standard, connection in enumerate(outputs, 1):
        os.dup2(connection.fileno(), standard)
        connection.close()
    gate.recv_bytes()
    assert sys.modules.keys() >= set(_LOADED)
    # As in a terminal, whatever the tests were told to ignore: by nohup, or in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    warnings.simplefilter("error")
    if isinstance(program, Path):
        sys.argv = [str(program), *arguments]
        sys.path.insert(0, str(program.parent))
        runpy.run_path(str(program), run_name="__main__")
    else:
        sys.argv = [program, *arguments]
        sys.path.insert(0, str(folder))
        runpy.run_module(program, run_name="__main__", alter_sys=True)
