"""What a leg is made of: states, names, limits, its diary's lines, its carrier's services."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import trio

from ._clock import SimulatedClock
from ._recorder import RecordingShelf, RecordRequest
from ._stream_values import StreamRequest
from ._transports import Link
from ._webhooks import WebhookTarget

Direction: TypeAlias = Literal["incoming", "outgoing"]
Party: TypeAlias = Literal["caller", "callee", "unknown"]


class LegState(Enum):
    """The life of a leg."""

    RINGING = auto()
    ANSWERED = auto()
    ENDED = auto()


NEXT_STATES: Final[Mapping[LegState, frozenset[LegState]]] = {
    LegState.RINGING: frozenset({LegState.ANSWERED, LegState.ENDED}),
    LegState.ANSWERED: frozenset({LegState.ENDED}),
    LegState.ENDED: frozenset(),
}
"""Where each state may go."""


class LegEvent(NamedTuple):
    """One line of a leg's diary: seconds since the carrier opened, what, and more about it."""

    time: float
    kind: str
    detail: str


@dataclass(frozen=True)
class Hangup:
    """How a leg ended, as its ``call.hangup`` told it.

    Attributes:
        cause: such as "normal_clearing".
        source: who hung up.
        sip_cause: a SIP status, or "unspecified".
    """

    cause: str
    source: Party
    sip_cause: str = "unspecified"


@dataclass(frozen=True)
class LegServices:
    """What a leg needs of its carrier: one per carrier."""

    nursery: trio.Nursery
    link: Link
    clock: SimulatedClock
    post: Callable[[str, Mapping[str, Any], WebhookTarget], None]
    new_id: Callable[[], str]
    shelf: RecordingShelf


@dataclass(frozen=True)
class LegNames:
    """Who and what a leg is."""

    call_control_id: str
    call_leg_id: str
    call_session_id: str
    connection_id: str
    direction: Direction
    to: str
    from_: str
    dialled_id: str | None = None
    """What the reply to its dial called it, if that is another ``call_control_id``."""


@dataclass
class LegOptions:
    """What commands can set on a leg: see "Dial" in Telnyx's reference."""

    client_state: str | None = None
    webhook_url: str | None = None
    ring_timeout: float = 30.0
    time_limit: float = 14400.0
    retry_on_timeout: bool = True
    stream: StreamRequest | None = None
    machine_detection: str = "disabled"
    recording: RecordRequest | None = None
    park_after_unbridge: bool = False
