"""Inbox: each event once, to the call it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from telnyx_trio._errors import CallExists
from telnyx_trio.webhooks import (
    CallAnswered,
    CallHangup,
    CallInitiated,
    Delivery,
    Inbox,
    WebhookEvent,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


class Call:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.events: list[WebhookEvent] = []

    def take(self, event: WebhookEvent) -> None:
        self.events.append(event)


def answered(
    event_id: str | None = None,
    *,
    control: str | None = None,
    leg: str | None = None,
    session: str | None = None,
    state: str | None = None,
    at: float | None = None,
) -> CallAnswered:
    return CallAnswered(
        event_type="call.answered",
        id=event_id,
        call_control_id=control,
        call_leg_id=leg,
        call_session_id=session,
        client_state=state,
        occurred_at=None if at is None else START + timedelta(seconds=at),
    )


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def call() -> Call:
    return Call()


@pytest.mark.parametrize("key", ["call_control_id", "call_leg_id", "call_session_id"])
def test_delivered_by_id(inbox: Inbox, call: Call, key: str) -> None:
    """Each of the three ids brings an event to its call."""
    inbox.subscribe(call.take, **{key: "x"})
    event = WebhookEvent(event_type="call.bridged", **{key: "x"})  # type: ignore[arg-type]
    assert inbox.deliver(event) is Delivery.DELIVERED
    assert call.events == [event]


def test_delivered_by_client_state(inbox: Inbox, call: Call) -> None:
    """A dialled leg is known by its client_state before the reply tells its ids."""
    inbox.subscribe(call.take, client_state="c3RhdGU=")
    event = CallInitiated(
        event_type="call.initiated",
        call_control_id="v3:1",
        call_leg_id="leg",
        client_state="c3RhdGU=",
        direction="outgoing",
    )
    assert inbox.deliver(event) is Delivery.DELIVERED
    assert call.events == [event]


def test_duplicate_is_dropped(inbox: Inbox, call: Call) -> None:
    """A second delivery of an event goes nowhere, and is counted."""
    inbox.subscribe(call.take, call_control_id="v3:1")
    event = answered("e-1", control="v3:1")
    assert inbox.deliver(event) is Delivery.DELIVERED
    assert inbox.deliver(event) is Delivery.DUPLICATE
    assert call.events == [event]
    assert inbox.statistics().duplicates == 1


def test_events_without_id_are_never_duplicates(inbox: Inbox, call: Call) -> None:
    """Without an id nothing tells two events apart, so both are handed out."""
    inbox.subscribe(call.take, call_control_id="v3:1")
    for _ in range(2):
        assert inbox.deliver(answered(None, control="v3:1")) is Delivery.DELIVERED


def test_event_ids_are_bounded(call: Call) -> None:
    """The id unseen for longest is forgotten; one seen again stays."""
    inbox = Inbox(max_event_ids=2)
    inbox.subscribe(call.take, call_control_id="v3:1")
    inbox.deliver(answered("old", control="v3:1"))
    inbox.deliver(answered("older", control="v3:1"))
    assert inbox.deliver(answered("old", control="v3:1")) is Delivery.DUPLICATE
    inbox.deliver(answered("new", control="v3:1"))
    assert inbox.deliver(answered("old", control="v3:1")) is Delivery.DUPLICATE
    assert inbox.deliver(answered("older", control="v3:1")) is Delivery.DELIVERED


def test_unclaimed_events_wait_in_order_of_occurrence(inbox: Inbox, call: Call) -> None:
    """What came before the subscription is returned by it, in the order in which it happened."""
    late = answered("late", control="v3:1", at=2)
    early = answered("early", leg="leg", at=1)
    timeless = answered("timeless", control="v3:1")
    for event in (late, early, timeless):
        assert inbox.deliver(event) is Delivery.UNCLAIMED
    claimed = inbox.subscribe(call.take, call_control_id="v3:1", call_leg_id="leg")
    assert claimed == [timeless, early, late]
    assert call.events == []


def test_claimed_events_are_forgotten(inbox: Inbox, call: Call) -> None:
    """An event is returned by one subscription only."""
    inbox.deliver(answered("e-1", control="v3:1"))
    assert len(inbox.subscribe(call.take, call_control_id="v3:1")) == 1
    assert inbox.subscribe(call.take, call_control_id="v3:1") == []
    assert inbox.statistics().unclaimed == 0


def test_redelivery_of_a_waiting_event_is_a_duplicate(inbox: Inbox, call: Call) -> None:
    """An event that waits is not kept twice."""
    inbox.deliver(answered("e-1", control="v3:1"))
    assert inbox.deliver(answered("e-1", control="v3:1")) is Delivery.DUPLICATE
    assert len(inbox.subscribe(call.take, call_control_id="v3:1")) == 1


def test_unclaimed_events_are_bounded(call: Call) -> None:
    """When too many wait the oldest is dropped, counted, and may come again."""
    inbox = Inbox(max_unclaimed=2)
    events = [answered(f"e-{n}", control="v3:1", at=n) for n in range(3)]
    for event in events:
        inbox.deliver(event)
    assert inbox.statistics().dropped == 1
    assert inbox.subscribe(call.take, call_control_id="v3:1") == events[1:]
    assert inbox.deliver(events[0]) is Delivery.DELIVERED


def test_event_about_no_call_is_not_kept(inbox: Inbox) -> None:
    """What no sink can ever ask for takes no place."""
    assert inbox.deliver(answered("e-1")) is Delivery.UNCLAIMED
    assert inbox.statistics().unclaimed == 0


def test_ids_add_up(inbox: Inbox, call: Call) -> None:
    """The same sink subscribes again as it learns more ids; earlier ones stay."""
    inbox.subscribe(call.take, client_state="c3RhdGU=")
    inbox.subscribe(call.take, call_control_id="v3:1")
    inbox.deliver(answered("e-1", state="c3RhdGU="))
    inbox.deliver(answered("e-2", control="v3:1"))
    assert [event.id for event in call.events] == ["e-1", "e-2"]
    assert inbox.statistics().sinks == 1


def test_control_id_beats_client_state(inbox: Inbox, call: Call) -> None:
    """The id of the leg decides before text that two legs may share."""
    other = Call()
    inbox.subscribe(other.take, client_state="c3RhdGU=")
    inbox.subscribe(call.take, call_control_id="v3:1")
    inbox.deliver(answered("e-1", control="v3:1", state="c3RhdGU="))
    assert len(call.events) == 1
    assert other.events == []


def test_leg_id_beats_client_state(inbox: Inbox, call: Call) -> None:
    """A leg that goes by another call_control_id now is still known by its call_leg_id."""
    other = Call()
    inbox.subscribe(other.take, client_state="c3RhdGU=")
    inbox.subscribe(call.take, call_control_id="v3:1", call_leg_id="leg")
    inbox.deliver(answered("e-1", control="v3:moved", leg="leg", state="c3RhdGU="))
    assert len(call.events) == 1


def test_shared_client_state_decides_nothing(inbox: Inbox, call: Call) -> None:
    """Text that two calls carry says nothing about whose event it is."""
    other = Call()
    inbox.subscribe(call.take, client_state="c3RhdGU=")
    inbox.subscribe(other.take, client_state="c3RhdGU=")
    assert inbox.deliver(answered("e-1", state="c3RhdGU=")) is Delivery.UNCLAIMED
    inbox.unsubscribe(other.take)
    assert inbox.deliver(answered("e-2", state="c3RhdGU=")) is Delivery.DELIVERED


def test_client_state_does_not_claim_another_leg(inbox: Inbox, call: Call) -> None:
    """A leg that is known not to be ours is not ours for carrying our client_state."""
    inbox.subscribe(call.take, call_leg_id="leg", client_state="c3RhdGU=")
    event = answered("e-1", leg="other leg", state="c3RhdGU=")
    assert inbox.deliver(event) is Delivery.UNCLAIMED


def test_transfer_leg_is_not_given_to_the_first_leg(inbox: Inbox, call: Call) -> None:
    """No event of the second leg of a transfer reaches the call that was transferred."""
    inbox.subscribe(
        call.take, call_control_id="v3:1", call_leg_id="leg 1", call_session_id="session"
    )
    ids = {"call_control_id": "v3:2", "call_leg_id": "leg 2", "call_session_id": "session"}
    for event in (
        CallInitiated(event_type="call.initiated", direction="outgoing", **ids),  # type: ignore[arg-type]
        CallAnswered(event_type="call.answered", **ids),  # type: ignore[arg-type]
        CallHangup(event_type="call.hangup", **ids),  # type: ignore[arg-type]
    ):
        assert inbox.deliver(event) is Delivery.UNCLAIMED


def test_new_leg_is_never_matched_by_session(inbox: Inbox, call: Call) -> None:
    """call.initiated says that a leg is new, so its session tells only who its relatives are."""
    inbox.subscribe(call.take, call_session_id="session")
    event = CallInitiated(
        event_type="call.initiated", call_control_id="v3:2", call_session_id="session"
    )
    assert inbox.deliver(event) is Delivery.UNCLAIMED


def test_shared_session_decides_nothing(inbox: Inbox, call: Call) -> None:
    """When two sinks have a session it does not say whose event it is."""
    inbox.subscribe(call.take, call_session_id="session")
    inbox.subscribe(Call().take, call_session_id="session")
    assert inbox.deliver(answered("e-1", session="session")) is Delivery.UNCLAIMED


def test_session_serves_where_the_leg_is_not_named(inbox: Inbox, call: Call) -> None:
    """An event that names nothing but the session belongs to the one call that has it."""
    inbox.subscribe(
        call.take, call_control_id="v3:1", call_leg_id="leg 1", call_session_id="session"
    )
    assert inbox.deliver(answered("e-1", session="session")) is Delivery.DELIVERED


def test_session_does_not_claim_another_control_id(inbox: Inbox, call: Call) -> None:
    """An event that names another leg by its call_control_id alone is not ours by session."""
    inbox.subscribe(call.take, call_control_id="v3:1", call_session_id="session")
    event = answered("e-1", control="v3:2", session="session")
    assert inbox.deliver(event) is Delivery.UNCLAIMED


def test_leg_of_another_sink_is_refused(inbox: Inbox, call: Call) -> None:
    """A leg has one sink; a refused subscription leaves no trace."""
    inbox.subscribe(call.take, call_leg_id="leg")
    other = Call()
    with pytest.raises(CallExists):
        inbox.subscribe(other.take, call_control_id="v3:1", call_leg_id="leg")
    assert inbox.statistics().sinks == 1
    assert inbox.deliver(answered("e-1", control="v3:1")) is Delivery.UNCLAIMED


def test_empty_ids_ask_for_nothing(inbox: Inbox, call: Call) -> None:
    """An empty id does not collect the events that have none."""
    inbox.subscribe(call.take, call_control_id="", client_state="", call_session_id="")
    inbox.deliver(answered("e-1", leg="leg"))
    assert call.events == []


def test_unsubscribed_sink_gets_nothing(inbox: Inbox, call: Call) -> None:
    """After unsubscribing the ids are free for another sink."""
    inbox.subscribe(
        call.take, call_control_id="v3:1", call_leg_id="leg", call_session_id="s", client_state="c"
    )
    inbox.unsubscribe(call.take)
    inbox.unsubscribe(call.take)
    event = answered("e-1", control="v3:1", leg="leg", session="s", state="c")
    assert inbox.deliver(event) is Delivery.UNCLAIMED
    other = Call()
    assert inbox.subscribe(other.take, call_control_id="v3:1", call_leg_id="leg") == [event]
    assert inbox.statistics().sinks == 1


def test_sink_may_subscribe_from_within(inbox: Inbox) -> None:
    """A sink may add the ids that an event teaches it while it takes that event."""
    taken: list[str | None] = []

    def take(event: WebhookEvent) -> None:
        taken.append(event.id)
        inbox.subscribe(take, call_control_id=event.call_control_id)

    inbox.subscribe(take, client_state="c3RhdGU=")
    inbox.deliver(answered("e-1", control="v3:1", state="c3RhdGU="))
    inbox.deliver(answered("e-2", control="v3:1"))
    assert taken == ["e-1", "e-2"]


def test_statistics(inbox: Inbox, call: Call) -> None:
    """Events count as delivered when a sink has them, at once or after waiting."""
    inbox.deliver(answered("e-1", control="v3:1"))
    inbox.subscribe(call.take, call_control_id="v3:1")
    inbox.deliver(answered("e-2", control="v3:1"))
    inbox.deliver(answered("e-3", control="v3:2"))
    statistics = inbox.statistics()
    assert (statistics.delivered, statistics.unclaimed, statistics.sinks) == (2, 1, 1)


@pytest.mark.parametrize("bounds", [{"max_event_ids": 0}, {"max_unclaimed": 0}])
def test_bounds_must_be_positive(bounds: dict[str, int]) -> None:
    """An inbox that could keep nothing is refused."""
    with pytest.raises(ValueError, match="at least 1"):
        Inbox(**bounds)
