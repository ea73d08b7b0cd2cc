"""One asyncio coroutine in a thread of its own, as a resource of a Trio task.

A thread for each, because an SDK's loop may be blocked for seconds, and others are not to be
blocked with it. Its loop is the coroutine's alone: what tasks it leaves behind end with it. Nobody
waits for the thread longer than told, and it keeps no process alive.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeAlias

import trio

Main: TypeAlias = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


class AsyncioThread:
    """Runs one coroutine function in a thread of its own.

    Args:
        main: gets an event that is set when it is to come to an end.
        name: of the thread.
        on_end: called in Trio once the thread has nothing more to do, before ``ended`` is set.

    Attributes:
        ended: set, in Trio, once the thread has nothing more to do.
        error: what ``main`` raised.
    """

    def __init__(self, main: Main, name: str, on_end: Callable[[], None] = lambda: None) -> None:
        self.ended = trio.Event()
        self.error: BaseException | None = None
        self._main = main
        self._on_end = on_end
        self._token = trio.lowlevel.current_trio_token()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._is_stopping = False

    def start(self) -> None:
        """Let it begin, unless it has been asked to end."""
        if not self._is_stopping:
            self._thread.start()

    def stop(self) -> None:
        """Ask it to come to an end; returns at once. May be called from any thread."""
        with self._lock:
            self._is_stopping = True
            if self._thread.ident is None:
                self.call_in_trio(self._note_end)
            if self._loop is not None and self._stop is not None:
                with suppress(RuntimeError):  # the loop is closed
                    self._loop.call_soon_threadsafe(self._stop.set)

    def call_in_trio(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Have a plain function called in Trio's thread, soon; not at all if Trio has ended."""
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(function, *arguments)

    def _work(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.get_loop().set_default_executor(_DaemonExecutor())
                runner.run(self._run())
        except BaseException as error:
            self.error = error
        finally:
            self.call_in_trio(self._note_end)

    def _note_end(self) -> None:
        self._on_end()
        self.ended.set()

    async def _run(self) -> None:
        stop = asyncio.Event()
        with self._lock:
            self._loop, self._stop = asyncio.get_running_loop(), stop
            if self._is_stopping:
                stop.set()
        await self._main(stop)


class _DaemonExecutor(ThreadPoolExecutor):
    """Threads that nobody waits for.

    Python waits for those of its own executor when the process ends. getstream 4 has one wait, for
    ever, for the first message of a server that has none; such a wait for an event ends with the
    executor.
    """

    def __init__(self) -> None:
        super().__init__(max_workers=1)  # asyncio insists on the class; its threads are not used
        self._pending: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._count_lock = threading.Lock()
        self._n_free = 0
        self._n_all = 0
        self._awaited: list[threading.Event] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        event = getattr(fn, "__self__", None)
        if isinstance(event, threading.Event):
            self._awaited.append(event)

        def work() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(fn(*args, **kwargs))
                except BaseException as error:
                    future.set_exception(error)
            if isinstance(event, threading.Event):
                self._awaited.remove(event)

        with self._count_lock:
            if self._n_free:
                self._n_free -= 1
            else:
                self._n_all += 1
                threading.Thread(target=self._serve, daemon=True).start()
        self._pending.put(work)
        return future

    def _serve(self) -> None:
        while (work := self._pending.get()) is not None:
            work()
            del work  # or its future would live until the next one comes
            with self._count_lock:
                self._n_free += 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Have each thread end once it is free, or waits for an event; waits for none."""
        for event in list(self._awaited):
            event.set()
        for _ in range(self._n_all):
            self._pending.put(None)
