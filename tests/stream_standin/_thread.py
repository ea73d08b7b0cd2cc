"""The stand-in in a thread of its own, as an outside service."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import aiohttp.web
from watched import Watched

from ._service import Service


class Standin(Watched):
    """A running stand-in. Its methods may be called from any thread.

    Attributes:
        url: base URL of its coordinator.
    """

    def __init__(self) -> None:
        super().__init__()
        self.service = Service(self.changed)
        self.ready = threading.Event()
        self.loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return self.service.url

    def participants(self, cid: str) -> list[str]:
        """Return the user ids that are in a call, in the order in which they came."""
        call = self.service.calls.get(cid)
        return [member.user_id for member in list(call.members.values())] if call else []

    def publishers(self, cid: str) -> list[str]:
        """Return the user ids whose audio has come to the stand-in."""
        call = self.service.calls.get(cid)
        members = list(call.members.values()) if call else []
        return [member.user_id for member in members if member.published is not None]

    def everybody(self) -> list[str]:
        """Return all that are in any call."""
        return [user for cid in list(self.service.calls) for user in self.participants(cid)]

    def requests(self, what: str) -> int:
        """Return how often something was asked for."""
        return self.service.requests[what]

    def shut(self, what: str) -> None:
        """Have those wait that ask for something."""
        self.run(self._shut, what)

    async def _shut(self, what: str) -> None:
        self.service.gates[what] = asyncio.Event()

    def open(self, what: str) -> None:
        """Let those go on that wait, and those who come."""
        self.run(self._open, what)

    async def _open(self, what: str) -> None:
        self.service.gates.pop(what).set()

    def refuse(self, what: str, problem: str) -> None:
        """Refuse something from now on."""
        self.service.refusals[what] = problem

    def allow(self, what: str) -> None:
        """Refuse it no more."""
        del self.service.refusals[what]

    def end_call(self, cid: str) -> None:
        """End a call for everybody in it."""
        self.run(self.service.calls[cid].end)

    def cut_off(self, cid: str, user_id: str | None = None) -> None:
        """Lose the WebSockets of all in a call, or of one user: they are gone without a word."""
        self.run(self._cut_off, cid, user_id)

    async def _cut_off(self, cid: str, user_id: str | None) -> None:
        for member in list(self.service.calls[cid].members.values()):
            if user_id in (None, member.user_id):
                member.cut_off()

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a coroutine function in the stand-in's thread."""
        future = asyncio.run_coroutine_threadsafe(function(*arguments), self.loop)
        return future.result(timeout=20)

    async def serve(
        self, stop: asyncio.Event, on_ready: Callable[[Standin], None] | None = None
    ) -> None:
        """Serve at a free port of this machine until ``stop`` is set."""
        self.loop = asyncio.get_running_loop()
        runner = aiohttp.web.AppRunner(
            self.service.make_app(), access_log=None, shutdown_timeout=0.5
        )
        await runner.setup()
        site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.service.url = f"http://{host}:{port}"
        self.ready.set()
        if on_ready is not None:
            on_ready(self)
        try:
            await stop.wait()
        finally:
            for call in list(self.service.calls.values()):
                await call.end()
            await runner.cleanup()


@contextmanager
def open_standin() -> Iterator[Standin]:
    """Run a stand-in on a free port of this machine for as long as the body runs."""
    standin = Standin()
    stop = asyncio.Event()
    thread = threading.Thread(
        target=asyncio.run, args=[standin.serve(stop)], name="stream stand-in", daemon=True
    )
    thread.start()
    if not standin.ready.wait(20):
        raise RuntimeError("the stand-in does not start")
    try:
        yield standin
    finally:
        standin.loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        if thread.is_alive():
            raise RuntimeError("the stand-in does not end")


@contextmanager
def getstream_led_to(url: str) -> Iterator[None]:
    """Have getstream know no service but the stand-in at ``url``.

    Version 7 can be told but one of its two addresses. Version 4 pings hosts of the internet, and
    where there is none joins anew whenever it takes an error for an answer after a timeout: the
    host that it pings is this machine.
    """
    module, name, options = _what_knows_of_services(url)
    original = getattr(module, name)
    setattr(module, name, partial(original, **options))
    try:
        yield
    finally:
        setattr(module, name, original)


def _what_knows_of_services(url: str) -> tuple[Any, str, dict[str, Any]]:
    """Return a class of getstream's, by module and name, and what it is to be made with."""
    try:
        import getstream_rtc
    except ImportError:
        from getstream.video.rtc import connection_manager

        return connection_manager, "NetworkMonitor", {"connectivity_hosts": ["127.0.0.1"]}
    socket = f"{url.replace('http', 'ws', 1)}/api/v2/connect"
    return getstream_rtc, "Client", {"ws_url": socket}
