"""The scenarios, over real sockets and in memory."""

from __future__ import annotations

from typing import get_args

import pytest
from scenarios import OPEN_WORLD, SCENARIOS, Kind, Scenario
from trio.testing import MockClock


@pytest.fixture(params=get_args(Kind))
def kind(request: pytest.FixtureRequest) -> Kind:
    """How the carrier and the server meet."""
    kind: Kind = request.param
    return kind


@pytest.fixture
def clock(kind: Kind) -> MockClock | None:
    """Real time on sockets: there, a clock that jumps when all is quiet would overtake the wire."""
    return MockClock(autojump_threshold=0) if kind == "memory" else None


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_scenario(scenario: Scenario, kind: Kind, clock: MockClock | None) -> None:
    """What the scenario's docstring says, on both transports."""
    await scenario(OPEN_WORLD[kind])
