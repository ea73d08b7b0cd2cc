"""Events as values."""

from __future__ import annotations

import dataclasses

import pytest

from telnyx_trio.webhooks import CallDtmfReceived, CallHangup, RecordingSaved, WebhookEvent

EVENT_CLASSES = [WebhookEvent, *WebhookEvent.__subclasses__()]


def test_repr_shows_ids_only() -> None:
    """Numbers, digits and payload stay out of logs."""
    event = CallDtmfReceived(
        event_type="call.dtmf.received",
        id="e-1",
        call_control_id="v3:abc",
        call_leg_id="leg",
        from_number="+15550100001",
        client_state="c2VjcmV0",
        payload={"digit": "4711"},
        digit="4711",
    )
    assert repr(event) == (
        "<CallDtmfReceived call.dtmf.received id=e-1 call_control_id=v3:abc call_leg_id=leg>"
    )


@pytest.mark.parametrize("event_class", EVENT_CLASSES)
def test_every_class_has_the_short_repr(event_class: type[WebhookEvent]) -> None:
    """No class falls back to a repr that shows all of its fields."""
    event = event_class(event_type="x", payload={"link": "SECRET"})
    assert "SECRET" not in repr(event)
    assert repr(event).startswith(f"<{event_class.__name__} x ")


@pytest.mark.parametrize("event_class", EVENT_CLASSES)
def test_only_the_type_is_required(event_class: type[WebhookEvent]) -> None:
    """Everything else may be missing, as Telnyx may leave it out."""
    required = [
        field.name
        for field in dataclasses.fields(event_class)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    assert required == ["event_type"]


def test_events_are_frozen() -> None:
    """An event cannot be changed by one of those who look at it."""
    event = CallHangup(event_type="call.hangup")
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.hangup_cause = "user_busy"  # type: ignore[misc]


def test_events_are_hashable() -> None:
    """Events can be kept in a set; equal ones are one."""
    events = [
        RecordingSaved(event_type="call.recording.saved", payload={"a": 1}, recording_urls={})
        for _ in range(2)
    ]
    assert len(set(events)) == 1
