"""What a call server is asked, what it calls, and what it counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from .._call import Call
from ..call_control import RejectCause
from ..webhooks import CallInitiated

Handler: TypeAlias = Callable[[Call], Awaitable[Any]]
Screen: TypeAlias = Callable[[CallInitiated], Awaitable[RejectCause | None]]
Prepare: TypeAlias = Callable[[CallInitiated], Awaitable[Any]]
Headers: TypeAlias = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class MediaRequest:
    """What a media socket asked for.

    Attributes:
        path: of the request, query included; may hold a token, so that the repr does not show it.
        headers: names in lower case.
        peer: address of who connected, for the log.
    """

    path: str
    headers: tuple[tuple[bytes, bytes], ...]
    peer: str = "unknown"

    def __repr__(self) -> str:
        return f"<MediaRequest from {self.peer}>"


@dataclass(frozen=True)
class ServerStatistics:
    """Counters of a call server.

    Attributes:
        live_calls: calls that ring or are up now.
        inbound_calls, outbound_calls: calls ever, those turned away included.
        failed_calls: inbound calls whose handler raised, or that could not be set up.
        rejected_calls: callers turned away, by ``screen``, ``max_calls`` or a graceful stop.
        webhooks: genuine webhooks received, duplicates included.
        duplicate_webhooks: webhooks that had come before.
        refused_webhooks: webhooks with a bad signature or body.
        refused_media: media sockets with a bad credential.
    """

    live_calls: int
    inbound_calls: int
    outbound_calls: int
    failed_calls: int
    rejected_calls: int
    webhooks: int
    duplicate_webhooks: int
    refused_webhooks: int
    refused_media: int


@dataclass(frozen=True)
class CallSummary:
    """What can be shown of one call to whoever runs the server: no token and no client_state.

    Attributes:
        call_control_id: Telnyx's id; empty for a dialled call whose id is not known yet.
        direction: "incoming" or "outgoing".
        from_number, to_number: as the webhooks have them.
        state: "ringing", "answered", "media" (audio is under way) or "ended".
        duration: seconds since it began.
        packets_received, packets_sent: of 20 ms each; 0 before there is media.
        missing, late: packets that never came, or too late.
        last_event: kind of the newest webhook, such as "call.answered".
    """

    call_control_id: str
    direction: str
    from_number: str | None
    to_number: str | None
    state: str
    duration: float
    packets_received: int
    packets_sent: int
    missing: int
    late: int
    last_event: str | None


@dataclass
class Counters:
    """The counts behind ``ServerStatistics``, as they grow."""

    inbound_calls: int = 0
    outbound_calls: int = 0
    failed_calls: int = 0
    rejected_calls: int = 0
    webhooks: int = 0
    duplicate_webhooks: int = 0
    refused_webhooks: int = 0
    refused_media: int = 0

    def statistics(self, live_calls: int) -> ServerStatistics:
        """Return the counts as they stand."""
        return ServerStatistics(live_calls, **asdict(self))
