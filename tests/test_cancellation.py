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
    result = sweep(Plan(direction, target, media_auth))
    with capsys.disabled():
        sys.stdout.write(
            f"\ncancellation points: {result.points} ({direction} call,"
            f" {target} cancelled, token in the {media_auth}) "
        )
    assert result.points > 100
    assert not result.problems, "\n".join(result.problems)
