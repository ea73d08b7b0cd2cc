"""Faults of the REST side, for tests: late, lost and refused requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ._refusals import Refusal, Response

Loss: TypeAlias = Literal["reply", "request"]


class ConnectionDropped(Exception):
    """The connection breaks before a reply is there."""


@dataclass
class Fault:
    """What goes wrong with some requests.

    Attributes:
        path: how the request's path ends, such as "/calls" or "/actions/hangup".
        method: of the request.
        skip: matching requests that pass before.
        times: matching requests that it hits.
        delay: seconds that the reply waits after the request took effect.
        never_replies: the request takes effect, and nobody ever says so.
        drops: break the connection, "request" before and "reply" after the request took effect.
        response: answered instead of handling the request.
    """

    path: str
    method: str = "POST"
    skip: int = 0
    times: int = 1
    delay: float = 0.0
    never_replies: bool = False
    drops: Loss | None = None
    response: Response | None = None


class Faults:
    """The faults that a carrier still has in store."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Store a fault; the first stored one that matches a request hits it, alone."""
        self._faults.append(fault)

    def delay_reply(self, path: str, delay: float, *, nth: int = 1, method: str = "POST") -> None:
        """Let the reply to the nth such request wait, after the request took effect."""
        self.add(Fault(path, method, skip=nth - 1, delay=delay))

    def lose_reply(self, path: str, *, nth: int = 1, method: str = "POST") -> None:
        """Let the nth such request take effect and never be answered."""
        self.add(Fault(path, method, skip=nth - 1, never_replies=True))

    def drop_connection(
        self, path: str, *, after_effect: bool = False, nth: int = 1, method: str = "POST"
    ) -> None:
        """Break the connection of the nth such request."""
        self.add(Fault(path, method, skip=nth - 1, drops="reply" if after_effect else "request"))

    def rate_limit(
        self, path: str, *, reset: float = 1.0, times: int = 1, method: str = "POST"
    ) -> None:
        """Answer with 429, and with ``x-ratelimit-reset`` as Telnyx does."""
        refusal = Refusal(429, "10011", "too many requests").response()
        headers: Sequence[tuple[bytes, bytes]] = [
            (b"x-ratelimit-limit", b"1"),
            (b"x-ratelimit-remaining", b"0"),
            (b"x-ratelimit-reset", f"{reset:g}".encode("ascii")),
        ]
        response = Response(429, [*refusal.headers, *headers], refusal.body)
        self.add(Fault(path, method, times=times, response=response))

    def fail(self, path: str, *, status: int = 500, times: int = 1, method: str = "POST") -> None:
        """Answer with a server error."""
        refusal = Refusal(status, "10037", "simulated failure")
        self.add(Fault(path, method, times=times, response=refusal.response()))

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault that hits this request, counting it."""
        for fault in self._faults:
            if fault.method == method and path.endswith(fault.path):
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
                return fault
        return None
