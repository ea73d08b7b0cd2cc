"""What shows only with time: drift, and many calls that come and go."""

from __future__ import annotations

from stream_endurance import Stretch, carry_with_drift, come_and_go, count_tasks
from stream_standin import Standin


async def test_drift_of_twenty_seconds(standin: Standin) -> None:
    """Clocks that are 0.2 % off: 40 ms in 20 s, which are not there as delay, and break nothing."""
    stretches: list[Stretch] = []
    await carry_with_drift(standin, 20, every=5, skew=0.002, tell=stretches.append)
    for stretch in stretches:
        print(stretch)
    phone_corrected, _ = stretches[1].corrected
    assert abs(phone_corrected) + stretches[1].dropped > 0.005
    for stretch in stretches:
        assert len(stretch.by_guest.delays) >= 4
        assert len(stretch.by_phone.delays) >= 4
        assert max(stretch.phone_level, stretch.guest_level) <= 0.2
        assert stretch.backlog <= 0.3
    assert stretches[-1].by_guest.median < 0.4
    assert stretches[-1].by_phone.median < 0.5


async def test_calls_that_come_and_go(standin: Standin) -> None:
    """Each ended at a random moment, by the phone or by a cancellation: nothing is left of them."""
    before, after = await come_and_go(standin, 10)
    assert after.is_back_at(before), (before, after)
    assert standin.run(count_tasks) < 20
