"""An asyncio coroutine in a thread, seen from Trio."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest
import trio

from telnyx_trio.bridges._asyncio_thread import AsyncioThread


async def test_it_runs_until_it_is_stopped() -> None:
    """It runs in a thread of its own, ends when asked to, and its thread with it."""
    threads: list[threading.Thread] = []
    begun = trio.Event()

    async def main(stop: asyncio.Event) -> None:
        threads.append(threading.current_thread())
        thread.call_in_trio(begun.set)
        await stop.wait()

    thread = AsyncioThread(main, "a name")
    thread.start()
    with trio.fail_after(10):
        await begun.wait()
        assert threads[0] is not threading.current_thread()
        assert threads[0].name == "a name"
        assert not thread.ended.is_set()
        thread.stop()
        thread.stop()
        await thread.ended.wait()
    assert thread.error is None
    threads[0].join(5)
    assert not threads[0].is_alive()


async def test_an_error_is_kept() -> None:
    """What it raised is there once it has ended."""

    async def main(_stop: asyncio.Event) -> None:
        raise OSError("no")

    thread = AsyncioThread(main, "fails")
    thread.start()
    with trio.fail_after(10):
        await thread.ended.wait()
    assert isinstance(thread.error, OSError)


async def test_tasks_that_are_left_behind_end() -> None:
    """A task that nobody waits for is cancelled, and an executor's thread that is idle ends."""
    ended: list[str] = []
    workers: list[threading.Thread] = []

    async def linger() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("task")

    async def main(_stop: asyncio.Event) -> None:
        task = asyncio.create_task(linger())
        workers.append(await asyncio.to_thread(threading.current_thread))
        workers.append(await asyncio.to_thread(threading.current_thread))
        assert not task.done()

    thread = AsyncioThread(main, "lingers")
    thread.start()
    with trio.fail_after(10):
        await thread.ended.wait()
    assert thread.error is None
    assert ended == ["task"]
    for worker in workers:
        worker.join(5)
        assert not worker.is_alive()


async def test_a_job_of_the_executor_raises_where_it_is_awaited() -> None:
    """Errors of jobs in threads pass, and the next job runs."""

    def fail() -> None:
        raise OSError("no")

    async def main(_stop: asyncio.Event) -> None:
        with pytest.raises(OSError, match="no"):
            await asyncio.to_thread(fail)
        assert await asyncio.to_thread(int, "3") == 3

    thread = AsyncioThread(main, "jobs")
    thread.start()
    with trio.fail_after(10):
        await thread.ended.wait()
    assert thread.error is None


async def test_stopped_before_it_began() -> None:
    """Nothing is begun, and it counts as ended."""

    async def main(_stop: asyncio.Event) -> None:
        pytest.fail("it was begun")

    thread = AsyncioThread(main, "never")
    thread.stop()
    thread.start()
    with trio.fail_after(10):
        await thread.ended.wait()


async def test_a_job_that_waits_for_an_event_ends_with_the_thread() -> None:
    """It is woken when the executor ends, as nobody else will; so its thread ends too."""
    workers: list[threading.Thread] = []

    class Noted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            workers.append(threading.current_thread())
            begun.set()
            return super().wait(timeout)

    begun = threading.Event()

    async def main(_stop: asyncio.Event) -> None:
        waiting = asyncio.get_running_loop().run_in_executor(None, Noted().wait)
        await asyncio.to_thread(begun.wait)
        waiting.cancel()

    thread = AsyncioThread(main, "waits")
    thread.start()
    with trio.fail_after(10):
        await thread.ended.wait()
    [worker] = workers
    worker.join(5)
    assert not worker.is_alive()


async def test_what_is_called_at_the_end() -> None:
    """In Trio, before the end is told, with the error known; also if it never began."""
    seen: list[tuple[str, BaseException | None, bool]] = []

    async def main(_stop: asyncio.Event) -> None:
        raise ValueError

    def note(name: str, thread: AsyncioThread) -> None:
        seen.append((name, thread.error, thread.ended.is_set()))

    fails = AsyncioThread(main, "fails", lambda: note("fails", fails))
    fails.start()
    never = AsyncioThread(main, "never", lambda: note("never", never))
    never.stop()
    with trio.fail_after(10):
        await fails.ended.wait()
        await never.ended.wait()
    assert sorted(name for name, _, _ in seen) == ["fails", "never"]
    assert not any(ended for _, _, ended in seen)
    assert isinstance({name: error for name, error, _ in seen}["fails"], ValueError)


PROGRAM = """
import asyncio, threading, trio
from telnyx_trio.bridges._asyncio_thread import AsyncioThread

async def main(stop):
    lock = threading.Lock()
    lock.acquire()
    asyncio.get_running_loop().run_in_executor(None, lock.acquire)
    await stop.wait()

async def use():
    thread = AsyncioThread(main, "stuck")
    thread.start()
    await trio.sleep(0.1)
    thread.stop()
    await thread.ended.wait()

trio.run(use)
print("done")
"""


def test_a_job_that_never_ends_keeps_no_process_alive() -> None:
    """A process ends although a thread of the executor waits for ever."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=20, check=True
    )
    assert result.stdout == "done\n"
