"""The call registry: tokens, preparation, what webhooks tell."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import Any

import pytest
import trio
import trio.testing

from telnyx_trio._errors import (
    CallEnded,
    CallExists,
    InvalidToken,
    LocalProtocolError,
    UnknownCall,
)
from telnyx_trio._registry import TOKEN_LIFETIME, CallRegistry, TelnyxCall

ID = "v3:abc"


def webhook(**payload: Any) -> dict[str, Any]:
    """The decoded body of a webhook."""
    return {"data": {"event_type": "call.initiated", "payload": payload}}


# Tokens.


async def test_claim_returns_the_call_of_the_token() -> None:
    """The token names its call, whoever else is registered."""
    registry = CallRegistry()
    calls = [registry.create(f"v3:{n}") for n in range(3)]
    with trio.testing.assert_checkpoints():
        claimed = await registry.claim(calls[1].token)
    assert claimed is calls[1]


async def test_token_is_used_up() -> None:
    """Whether it was claimed or validated, it admits once."""
    registry = CallRegistry()
    first, second = registry.create("v3:1"), registry.create("v3:2")
    await registry.claim(first.token)
    assert registry.validate("v3:2", second.token) is second
    for call in (first, second):
        with pytest.raises(InvalidToken, match=r": used$"):
            await registry.claim(call.token)
        with pytest.raises(InvalidToken, match=r": used$"):
            registry.validate(call.call_control_id, call.token)


async def test_used_tokens_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is forgotten is as good as wrong: it never admits again."""
    monkeypatch.setattr("telnyx_trio._registry._MAX_USED_TOKENS", 2)
    registry = CallRegistry()
    calls = [registry.create(f"v3:{n}") for n in range(3)]
    for call in calls:
        await registry.claim(call.token)
    for call, reason in zip(calls, ("wrong", "used", "used"), strict=True):
        with pytest.raises(InvalidToken, match=f": {reason}$"):
            await registry.claim(call.token)


async def test_token_expires(autojump_clock: trio.testing.MockClock) -> None:
    """It admits until its lifetime is over, and says why it does not later."""
    registry = CallRegistry()
    in_time, too_late = registry.create("v3:1"), registry.create("v3:2")
    await trio.sleep(TOKEN_LIFETIME - 0.1)
    assert await registry.claim(in_time.token) is in_time
    await trio.sleep(0.2)
    for _ in range(2):
        with pytest.raises(InvalidToken, match=r": expired$"):
            await registry.claim(too_late.token)


def test_age_of_a_token_is_right_across_runs() -> None:
    """Trio's clock starts anew in each run; a token does not age by that."""
    registry = CallRegistry(token_lifetime=60)

    async def create(call_control_id: str) -> TelnyxCall:
        return registry.create(call_control_id)

    early = trio.testing.MockClock()
    early.jump(1_000_000)
    call = trio.run(create, "v3:1")
    assert trio.run(registry.claim, call.token, clock=early) is call
    call = trio.run(create, "v3:2", clock=early)
    call.end()
    assert call.duration_seconds == pytest.approx(0, abs=5)


@pytest.mark.parametrize("token", ["", "wrong", "ключ", "\udc80", "x" * 10_000])
async def test_wrong_token_is_invalid_whatever_it_is(token: str) -> None:
    """Also one that is not ASCII, or no text at all: never another error."""
    registry = CallRegistry()
    registry.create(ID)
    with pytest.raises(InvalidToken, match=r": wrong$"):
        registry.validate(ID, token)
    with pytest.raises(InvalidToken, match=r": wrong$"):
        await registry.claim(token)


def test_validate_refuses_the_token_of_another_call() -> None:
    """And does not use it up."""
    registry = CallRegistry()
    registry.create("v3:1")
    other = registry.create("v3:2")
    with pytest.raises(InvalidToken, match=r": wrong$"):
        registry.validate("v3:1", other.token)
    assert registry.validate("v3:2", other.token) is other


def test_validate_unknown_call() -> None:
    """The error of the plugin is a ValueError, and so is this."""
    with pytest.raises(UnknownCall) as caught:
        CallRegistry().validate("v3:none", "token")
    assert isinstance(caught.value, ValueError)


async def test_token_of_a_removed_call_is_void() -> None:
    """Also before it was used."""
    registry = CallRegistry()
    call = registry.create(ID)
    registry.remove(ID)
    with pytest.raises(InvalidToken):
        await registry.claim(call.token)


async def test_token_shows_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """Neither in a repr, nor in an error, nor in the log, nor as a key to look up."""
    registry = CallRegistry()

    async def prepare() -> None:
        raise ValueError("no model")

    with caplog.at_level(logging.DEBUG):
        async with registry:
            call = registry.create(ID, webhook(**{"from": "+15551234567"}), prepare)
            with pytest.raises(ValueError, match="no model"):
                await call.await_prepare()
            await registry.claim(call.token)
            with pytest.raises(InvalidToken) as caught:
                await registry.claim(call.token)
    texts = [repr(call), str(call), repr(registry), str(caught.value), caplog.text]
    texts.append(repr(vars(registry)))
    assert not any(call.token in text for text in texts)
    assert "+15551234567" not in repr(call)
    assert len({TelnyxCall("").token for _ in range(100)}) == 100
    assert len(call.token) >= 43


# Create, find, remove.


def test_create_get_require_remove() -> None:
    """The plugin's methods, without entering the registry."""
    registry = CallRegistry()
    call = registry.create(ID)
    assert registry.get(ID) is registry.require(ID) is call
    assert len(registry) == 1
    assert registry.list_active() == [call]
    assert registry.remove(ID) is call
    assert call.ended_at is not None
    assert registry.get(ID) is None
    assert registry.remove(ID) is None
    assert len(registry) == 0
    with pytest.raises(UnknownCall):
        registry.require(ID)


def test_create_twice_is_one_call() -> None:
    """The second webhook updates the call that is there."""
    registry = CallRegistry()
    first = registry.create(ID, webhook(state="parked"))
    second = registry.create(ID, webhook(state="answered", call_session_id="s-1"))
    assert second is first
    assert (first.call_status, first.call_session_id) == ("answered", "s-1")
    assert registry.create(ID) is first
    assert len(registry) == 1


def test_list_active_leaves_out_ended_calls() -> None:
    """A call that was ended by itself is not active, though still known."""
    registry = CallRegistry()
    one, two = registry.create("v3:1"), registry.create("v3:2")
    one.end()
    assert registry.list_active() == [two]
    assert len(registry) == 2


async def test_expected_call_is_found_by_token_and_later_by_id() -> None:
    """A dial registers its call before it has an id."""
    registry = CallRegistry()
    call = registry.expect("c3RhdGU=")
    assert len(registry) == 0
    assert await registry.claim(call.token) is call
    registry.identify(call, ID)
    assert registry.require(ID) is call
    assert call.call_control_id == ID
    registry.discard(call)
    registry.discard(call)
    assert len(registry) == 0


def test_identify_again_leaves_no_entry_behind() -> None:
    """The later id takes the place of the earlier."""
    registry = CallRegistry()
    call = registry.expect("c3RhdGU=")
    registry.identify(call, "v3:reply")
    registry.identify(call, "v3:webhook")
    assert registry.get("v3:reply") is None
    registry.discard(call)
    assert len(registry) == 0


def test_identify_does_not_orphan_another_call() -> None:
    """An id that is taken is refused."""
    registry = CallRegistry()
    there = registry.create(ID)
    call = registry.expect("c3RhdGU=")
    with pytest.raises(CallExists):
        registry.identify(call, ID)
    assert registry.require(ID) is there
    assert call.call_control_id == ""


# What is known of a call.


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"data": None},
        {"data": []},
        {"data": {}},
        {"data": {"payload": None}},
        {"data": {"payload": "text"}},
        webhook(**{"from": None, "to": None, "state": None, "call_session_id": None}),
        webhook(**{"from": 5, "to": {}, "state": []}),
    ],
)
def test_nulls_at_any_level_are_as_good_as_absent(data: Mapping[str, Any] | None) -> None:
    """No field, no error."""
    call = CallRegistry().create(ID, data)
    assert (call.from_number, call.to_number, call.call_status) == (None, None, None)
    call.update(data or {})
    assert call.call_control_id == ID
    assert call.call_session_id is None


def test_list_in_place_of_a_body_is_no_payload() -> None:
    """Whatever JSON a body decoded to."""
    data: Any = ["data"]
    assert TelnyxCall(ID, webhook_data=data).payload == {}


def test_call_status_follows_later_webhooks() -> None:
    """Those without a state leave it; numbers stay those of the first."""
    call = TelnyxCall(ID, webhook_data=webhook(**{"from": "+1", "to": "+2", "state": "parked"}))
    seen = [call.call_status]
    for data in (webhook(state="answered", to="+3"), webhook(digit="1"), webhook(state="hangup")):
        call.update(data)
        seen.append(call.call_status)
    assert seen == ["parked", "answered", "answered", "hangup"]
    assert (call.from_number, call.to_number) == ("+1", "+2")


def test_webhook_data_assigned_later_counts() -> None:
    """As in the plugin, where it is a plain field."""
    call = TelnyxCall(ID)
    call.webhook_data = webhook(**{"from": "+1", "state": "parked"})
    assert (call.from_number, call.call_status) == ("+1", "parked")


def test_first_webhook_names_the_ids() -> None:
    """Later ones add what is missing and change nothing."""
    call = TelnyxCall("", client_state="b3Vycw==")
    call.update(webhook(call_control_id=ID, call_leg_id="leg-1", client_state="dGhlaXJz"))
    call.update(webhook(call_control_id="v3:other", call_session_id="s-1"))
    assert (call.call_control_id, call.call_leg_id) == (ID, "leg-1")
    assert (call.call_session_id, call.client_state) == ("s-1", "b3Vycw==")


@pytest.mark.parametrize(
    ("named", "verdict"),
    [
        ((None, None, None), None),
        ((ID, None, None), True),
        ((None, "s-1", None), True),
        ((ID, "s-1", "c3RhdGU="), True),
        ((ID, None, "b3RoZXI="), False),
        (("v3:other", "s-1", None), False),
    ],
)
def test_agrees_with(named: tuple[str | None, str | None, str | None], verdict: object) -> None:
    """One id that contradicts is enough to refuse, one that agrees to accept."""
    call = TelnyxCall(ID, call_session_id="s-1", client_state="c3RhdGU=")
    control, session, state = named
    got = call.agrees_with(call_control_id=control, call_session_id=session, client_state=state)
    assert got is verdict


def test_ids_not_known_yet_contradict_nothing() -> None:
    """A dialled call has no id before its reply."""
    call = TelnyxCall("", client_state="c3RhdGU=")
    assert call.agrees_with(call_control_id=ID, call_session_id="s", client_state="c3RhdGU=")
    assert (
        TelnyxCall("").agrees_with(call_control_id=ID, call_session_id=None, client_state=None)
        is None
    )


async def test_duration_is_monotonic_time(autojump_clock: trio.testing.MockClock) -> None:
    """None while it lives, then from start to the first `end`."""
    call = TelnyxCall(ID)
    await trio.sleep(12.5)
    assert call.duration_seconds is None
    call.end()
    ended_at = call.ended_at
    await trio.sleep(1)
    call.end()
    assert call.duration_seconds == pytest.approx(12.5)
    assert call.ended_at is ended_at


def test_times_for_people_are_aware() -> None:
    """In UTC."""
    call = TelnyxCall(ID)
    call.end()
    assert call.started_at.tzinfo is UTC
    assert call.ended_at is not None
    assert call.ended_at.utcoffset() == timedelta(0)


# Preparation.


async def test_prepare_runs_and_gives_its_result() -> None:
    """As often as it is asked for; None where there is none."""
    async with CallRegistry() as registry:

        async def prepare() -> str:
            await trio.lowlevel.checkpoint()
            return "agent"

        call = registry.create(ID, prepare=prepare)
        assert [await call.await_prepare(), await call.await_prepare()] == ["agent", "agent"]
        with trio.testing.assert_checkpoints():
            assert await registry.create("v3:plain").await_prepare() is None


async def test_prepare_needs_an_entered_registry() -> None:
    """A typed error, and nothing is registered."""
    registry = CallRegistry()
    with pytest.raises(LocalProtocolError, match="async with"):
        registry.create(ID, prepare=trio.sleep_forever)
    assert registry.get(ID) is None
    assert registry._by_token == {}
    async with registry:
        pass
    with pytest.raises(LocalProtocolError):
        registry.create(ID, prepare=trio.sleep_forever)


async def test_prepare_error_is_raised_by_await_prepare_only() -> None:
    """It is the call's affair: the registry and other calls go on."""

    async def prepare() -> None:
        raise ValueError("no model")

    async with CallRegistry() as registry:
        call = registry.create(ID, prepare=prepare)
        for _ in range(2):
            with pytest.raises(ValueError, match="no model"):
                await call.await_prepare()
        assert registry.require(ID) is call


class Preparing:
    """A prepare that notes what becomes of it."""

    def __init__(self) -> None:
        self.began = 0
        self.cancelled = 0

    async def __call__(self) -> None:
        self.began += 1
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            self.cancelled += 1
            raise


async def test_remove_cancels_prepare() -> None:
    """Who waits for it learns that the call has ended."""
    prepare = Preparing()
    async with CallRegistry() as registry:
        call = registry.create(ID, prepare=prepare)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def wait() -> None:
                with pytest.raises(CallEnded):
                    await call.await_prepare()

            await trio.testing.wait_all_tasks_blocked()
            registry.remove(ID)
        assert (prepare.began, prepare.cancelled) == (1, 1)


async def test_prepare_of_a_call_removed_at_once_does_not_begin() -> None:
    """Nor does that of a call that has ended before."""
    prepare = Preparing()
    async with CallRegistry() as registry:
        call = registry.create(ID, prepare=prepare)
        registry.remove(ID)
        with pytest.raises(CallEnded):
            await call.await_prepare()
        ended = registry.create("v3:2")
        registry.remove("v3:2")
        registry.start_prepare(ended, prepare)
        with pytest.raises(CallEnded):
            await ended.await_prepare()
    assert prepare.began == 0


async def test_create_twice_prepares_once() -> None:
    """The second one runs only if the first had none."""
    first, second = Preparing(), Preparing()
    async with CallRegistry() as registry:
        registry.create("v3:1", prepare=first)
        registry.create("v3:1", prepare=second)
        registry.create("v3:2")
        registry.create("v3:2", prepare=first)
        await trio.testing.wait_all_tasks_blocked()
        assert (first.began, second.began) == (2, 0)
        with pytest.raises(LocalProtocolError):
            registry.start_prepare(registry.require("v3:2"), second)


async def test_leaving_the_registry_cancels_prepare() -> None:
    """At once, and the calls stay known."""
    prepare = Preparing()
    async with CallRegistry() as registry:
        call = registry.create(ID, prepare=prepare)
        await trio.testing.wait_all_tasks_blocked()
    assert prepare.cancelled == 1
    with pytest.raises(CallEnded):
        await call.await_prepare()
    assert registry.require(ID) is call


async def test_error_of_the_body_leaves_as_itself() -> None:
    """Not as a group of one, and prepares are cancelled."""
    prepare = Preparing()
    error = ValueError("body")

    async def fail_inside() -> None:
        async with CallRegistry() as registry:
            registry.create(ID, prepare=prepare)
            await trio.testing.wait_all_tasks_blocked()
            raise error

    with pytest.raises(ValueError) as caught:
        await fail_inside()
    assert caught.value is error
    assert prepare.cancelled == 1


async def test_cancellation_passes_through_the_registry() -> None:
    """To the scope that was cancelled."""
    prepare = Preparing()
    with trio.CancelScope() as scope:
        async with CallRegistry() as registry:
            registry.create(ID, prepare=prepare)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert prepare.cancelled == 1


async def test_registry_can_be_entered_again_but_not_twice() -> None:
    """One nursery at a time."""
    registry = CallRegistry()
    async with registry:
        with pytest.raises(LocalProtocolError, match="entered"):
            await registry.__aenter__()
    async with registry:
        pass


def test_agrees_with_every_id_that_its_webhooks_named() -> None:
    """A call that Telnyx names otherwise in a webhook than in its reply is still one call."""
    call = TelnyxCall("v3:of-the-reply", client_state="aWQ=")
    call.update({"data": {"payload": {"call_control_id": "v3:of-the-webhook"}}})
    for call_control_id, expected in (
        ("v3:of-the-reply", True),
        ("v3:of-the-webhook", True),
        ("v3:of-another", False),
    ):
        agrees = call.agrees_with(
            call_control_id=call_control_id, call_session_id=None, client_state="aWQ="
        )
        assert agrees is expected
    assert call.call_control_id == "v3:of-the-reply"
