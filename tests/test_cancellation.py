"""A call may be cancelled at any moment, and leaves nothing behind."""

from __future__ import annotations

import sys
from typing import get_args

import pytest
from cancellation import Direction, MediaAuth, Plan, Target, sweep


@pytest.mark.parametrize("media_auth", get_args(MediaAuth))
@pytest.mark.parametrize("target", get_args(Target))
@pytest.mark.parametrize("direction", get_args(Direction))
def test_cancelled_at_any_step(
    direction: Direction,
    target: Target,
    media_auth: MediaAuth,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No task, media socket, registry entry or leg outlives a call, wherever it is cancelled."""
    _sweep(Plan(direction, target, media_auth), capsys)


def test_cancelled_at_any_step_of_playbacks(capsys: pytest.CaptureFixture[str]) -> None:
    """The same in play, in done, in drain, in hangup(after_playback=True) and in a source."""
    _sweep(Plan("outbound", "call", "path", "played"), capsys)


def _sweep(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    result = sweep(plan)
    with capsys.disabled():
        sys.stdout.write(
            f"\ncancellation points: {result.points} ({plan.direction} call,"
            f" {plan.target} cancelled, token in the {plan.media_auth}, speech {plan.speech}) "
        )
    assert result.points > 100
    assert not result.problems, "\n".join(result.problems)
