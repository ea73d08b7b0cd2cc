"""One clean error out of a nursery."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
import trio.testing

from telnyx_trio._lone_error import unwrap_lone_error


async def fail(error: BaseException) -> None:
    await trio.lowlevel.checkpoint()
    raise error


async def run_unwrapped(*tasks: Callable[[], Awaitable[object]]) -> None:
    """Run tasks side by side, a lone error of theirs unwrapped."""
    with unwrap_lone_error():
        async with trio.open_nursery() as nursery:
            for task in tasks:
                nursery.start_soon(task)


async def test_lone_error_leaves_as_itself() -> None:
    """The very object, with its own cause and without the group as its context."""
    error, cause = ValueError("bug"), KeyError("cause")
    error.__cause__ = cause
    with pytest.raises(ValueError, match="bug") as caught:
        await run_unwrapped(partial(fail, error), trio.sleep_forever)
    assert caught.value is error
    assert error.__cause__ is cause
    assert error.__context__ is None


async def test_context_of_the_error_is_kept() -> None:
    """What it was raised while handling stays visible."""

    async def fail_while_handling() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            await fail(ValueError("second"))

    with pytest.raises(ValueError, match="second") as caught:
        await run_unwrapped(fail_while_handling)
    assert isinstance(caught.value.__context__, KeyError)


def test_groups_in_groups_are_unwrapped() -> None:
    """However deep it is, if it is alone."""
    error = ValueError()
    with pytest.raises(ValueError) as caught, unwrap_lone_error():
        raise ExceptionGroup("outer", [ExceptionGroup("inner", [error])])
    assert caught.value is error


def test_several_errors_stay_a_group() -> None:
    """Nothing is lost."""
    with pytest.raises(ExceptionGroup) as caught, unwrap_lone_error():
        raise ExceptionGroup("both", [ValueError(), KeyError()])
    assert len(caught.value.exceptions) == 2


def test_error_without_a_group_passes() -> None:
    """As it is."""
    error = ValueError()
    with pytest.raises(ValueError) as caught, unwrap_lone_error():
        raise error
    assert caught.value is error


async def test_error_outranks_cancellation() -> None:
    """A failure while everything is cancelled leaves as itself."""

    async def fail_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("in cleanup")

    with pytest.raises(ValueError, match="in cleanup"), trio.move_on_after(0):
        await run_unwrapped(trio.sleep_forever, fail_when_cancelled)


async def test_cancellation_alone_reaches_its_scope() -> None:
    """The scope that was cancelled catches it."""
    with trio.CancelScope() as scope, unwrap_lone_error():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
