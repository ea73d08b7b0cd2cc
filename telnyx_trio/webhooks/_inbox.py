"""The inbox: drops what was delivered before, and hands each event to the call it is about.

Who an event belongs to, strongest sign first:

1. ``call_control_id``: names one leg. Telnyx may use another one for the same leg later on, so its
   absence here decides nothing.
2. ``call_leg_id``: names one leg, always the same way.
3. ``client_state``: ours, echoed in every event of the leg, and the only sign before the reply to a
   dial. Nothing keeps two legs from carrying the same text, so it counts only while a single sink
   has it, and not where event and sink both know a ``call_leg_id``: these differ by now.
4. ``call_session_id``: shared by all legs of a call. The new leg of a transfer has the session of
   the leg that it was transferred from, and must not be taken for it. So a session counts only
   while a single sink has it, never for ``call.initiated`` (a leg that is new), and not where event
   and sink both know a ``call_leg_id`` or both a ``call_control_id``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeAlias

from .._errors import CallExists
from ._events import CallInitiated, WebhookEvent

Sink: TypeAlias = Callable[[WebhookEvent], None]
"""Takes the events of one call. It must not block and must not raise; it may call the inbox."""

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)


class Delivery(enum.Enum):
    """What became of an event."""

    DUPLICATE = "duplicate"
    """Its id was seen before; nothing was done."""

    DELIVERED = "delivered"
    """A sink has it."""

    UNCLAIMED = "unclaimed"
    """Nobody has subscribed for it; if it is about a call it is kept for a while."""


@dataclass(frozen=True)
class InboxStatistics:
    """Figures about an inbox; all but the last two only grow.

    Attributes:
        delivered: events handed out, those that waited included.
        duplicates: events dropped because their id was seen before.
        dropped: unclaimed events given up because too many were waiting.
        unclaimed: events that wait for a sink now.
        sinks: sinks that are subscribed now.
    """

    delivered: int
    duplicates: int
    dropped: int
    unclaimed: int
    sinks: int


@dataclass
class _Subscription:
    """The ids that one sink has asked for."""

    call_control_ids: set[str] = field(default_factory=set)
    call_leg_ids: set[str] = field(default_factory=set)
    call_session_ids: set[str] = field(default_factory=set)
    client_states: set[str] = field(default_factory=set)


class Inbox:
    """Hands webhook events out, each once, each to one sink.

    Telnyx sends an event again when it was not acknowledged in time, in any order, and sometimes
    before the reply to the command that caused it. Events that come before their sink wait for it.

    Args:
        max_event_ids: ids remembered to tell duplicates; the one unseen for longest is forgotten.
        max_unclaimed: events that wait for a sink; when full the oldest is dropped and counted.
    """

    def __init__(self, *, max_event_ids: int = 10_000, max_unclaimed: int = 1_000) -> None:
        if max_event_ids < 1 or max_unclaimed < 1:
            raise ValueError("max_event_ids and max_unclaimed must be at least 1")
        self._max_event_ids = max_event_ids
        self._max_unclaimed = max_unclaimed
        # Dicts keep the order of insertion: the first key is the oldest.
        self._event_ids: dict[str, None] = {}
        self._unclaimed: dict[int, WebhookEvent] = {}
        self._unclaimed_count = 0
        self._subscriptions: dict[Sink, _Subscription] = {}
        self._by_call_control_id: dict[str, Sink] = {}
        self._by_call_leg_id: dict[str, Sink] = {}
        self._by_client_state: dict[str, list[Sink]] = {}
        self._by_call_session_id: dict[str, list[Sink]] = {}
        self._delivered = 0
        self._duplicates = 0
        self._dropped = 0

    def deliver(self, event: WebhookEvent) -> Delivery:
        """Hand an event to the sink it belongs to, or keep it until there is one.

        An event without id is never a duplicate. What the sink raises comes out of here.
        """
        if event.id is not None:
            if event.id in self._event_ids:
                self._event_ids[event.id] = self._event_ids.pop(event.id)
                self._duplicates += 1
                return Delivery.DUPLICATE
            self._event_ids[event.id] = None
            if len(self._event_ids) > self._max_event_ids:
                del self._event_ids[next(iter(self._event_ids))]
        sink = self._find_sink(event)
        if sink is None:
            self._keep(event)
            return Delivery.UNCLAIMED
        self._delivered += 1
        sink(event)
        return Delivery.DELIVERED

    def subscribe(
        self,
        sink: Sink,
        *,
        call_control_id: str | None = None,
        call_leg_id: str | None = None,
        call_session_id: str | None = None,
        client_state: str | None = None,
    ) -> list[WebhookEvent]:
        """Send the events of a call to ``sink`` from now on; call it again to add what is learnt.

        Returns:
            The events that were waiting for these ids, ordered by ``occurred_at`` (those without
            it first). They are yours now: the sink is not called for them. An id that is None or
            empty asks for nothing.

        Raises:
            CallExists: another sink has this ``call_control_id`` or ``call_leg_id``. Nothing was
                changed.
        """
        for leg_id, owners in (
            (call_control_id, self._by_call_control_id),
            (call_leg_id, self._by_call_leg_id),
        ):
            if leg_id and owners.get(leg_id, sink) != sink:
                raise CallExists(leg_id)
        subscription = self._subscriptions.setdefault(sink, _Subscription())
        if call_control_id:
            subscription.call_control_ids.add(call_control_id)
            self._by_call_control_id[call_control_id] = sink
        if call_leg_id:
            subscription.call_leg_ids.add(call_leg_id)
            self._by_call_leg_id[call_leg_id] = sink
        if client_state and client_state not in subscription.client_states:
            subscription.client_states.add(client_state)
            self._by_client_state.setdefault(client_state, []).append(sink)
        if call_session_id and call_session_id not in subscription.call_session_ids:
            subscription.call_session_ids.add(call_session_id)
            self._by_call_session_id.setdefault(call_session_id, []).append(sink)
        return self._claim(sink)

    def unsubscribe(self, sink: Sink) -> None:
        """Send nothing to ``sink`` any more; does nothing if it is not subscribed."""
        subscription = self._subscriptions.pop(sink, None)
        if subscription is None:
            return
        for call_control_id in subscription.call_control_ids:
            del self._by_call_control_id[call_control_id]
        for call_leg_id in subscription.call_leg_ids:
            del self._by_call_leg_id[call_leg_id]
        for client_state in subscription.client_states:
            _remove(self._by_client_state, client_state, sink)
        for call_session_id in subscription.call_session_ids:
            _remove(self._by_call_session_id, call_session_id, sink)

    def statistics(self) -> InboxStatistics:
        """Return the figures as of now."""
        return InboxStatistics(
            delivered=self._delivered,
            duplicates=self._duplicates,
            dropped=self._dropped,
            unclaimed=len(self._unclaimed),
            sinks=len(self._subscriptions),
        )

    def _find_sink(self, event: WebhookEvent) -> Sink | None:
        sink = self._by_call_control_id.get(event.call_control_id or "")
        if sink is None:
            sink = self._by_call_leg_id.get(event.call_leg_id or "")
        if sink is not None:
            return sink
        # From here on neither id of the event is known to any sink.
        sink = _only(self._by_client_state.get(event.client_state or ""))
        if sink is not None and not self._knows_other_leg(sink, event):
            return sink
        if isinstance(event, CallInitiated):
            return None
        sink = _only(self._by_call_session_id.get(event.call_session_id or ""))
        if sink is None or self._knows_other_leg(sink, event):
            return None
        if event.call_control_id and self._subscriptions[sink].call_control_ids:
            return None
        return sink

    def _knows_other_leg(self, sink: Sink, event: WebhookEvent) -> bool:
        return bool(event.call_leg_id and self._subscriptions[sink].call_leg_ids)

    def _keep(self, event: WebhookEvent) -> None:
        if not (
            event.call_control_id
            or event.call_leg_id
            or event.call_session_id
            or event.client_state
        ):
            return  # about no call, so no sink can ever ask for it
        self._unclaimed_count += 1
        self._unclaimed[self._unclaimed_count] = event
        if len(self._unclaimed) > self._max_unclaimed:
            oldest = self._unclaimed.pop(next(iter(self._unclaimed)))
            self._dropped += 1
            # Should Telnyx send it again, it shall not pass for a duplicate.
            self._event_ids.pop(oldest.id or "", None)

    def _claim(self, sink: Sink) -> list[WebhookEvent]:
        claimed = {
            number: event
            for number, event in self._unclaimed.items()
            if self._find_sink(event) == sink
        }
        for number in claimed:
            del self._unclaimed[number]
        self._delivered += len(claimed)
        return sorted(claimed.values(), key=lambda event: event.occurred_at or _BEGINNING)


def _only(sinks: list[Sink] | None) -> Sink | None:
    return sinks[0] if sinks is not None and len(sinks) == 1 else None


def _remove(index: dict[str, list[Sink]], key: str, sink: Sink) -> None:
    index[key].remove(sink)
    if not index[key]:
        del index[key]
