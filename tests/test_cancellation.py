"""A call may be cancelled at any moment, and leaves nothing behind."""

from __future__ import annotations

import sys

import pytest
from cancellation import Plan, sweep

PLANS = [
    Plan("inbound", "call", "path"),
    Plan("inbound", "server", "header"),
    Plan("outbound", "call", "header"),
    Plan("outbound", "server", "path"),
]
"""Every two values of direction, target and token meet in one of them."""


@pytest.mark.parametrize(
    "plan", PLANS, ids=lambda plan: f"{plan.direction}-{plan.target}-{plan.media_auth}"
)
def test_cancelled_at_any_step(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    """No task, media socket, registry entry or leg outlives a call, wherever it is cancelled."""
    _sweep(plan, capsys)


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
