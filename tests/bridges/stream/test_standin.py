"""The stand-in by itself: getstream's SDK on both ends of it."""

from __future__ import annotations

import pytest
from stream_standin import Standin, open_guest
from stream_world import loudness, tone, wait_for


def test_two_guests_hear_each_other(standin: Standin) -> None:
    """Whoever comes second hears the first too, and each is heard at its own pitch."""
    with (
        open_guest(standin.url, "pair", "ann", says=tone(440)) as ann,
        open_guest(standin.url, "pair", "bob", says=tone(1000)) as bob,
    ):
        assert standin.participants("default:pair") == ["ann", "bob"]
        wait_for(lambda: len(ann.samples("bob")) > 48000 and len(bob.samples("ann")) > 48000)
        for heard, pitch, other in (
            (ann.samples("bob"), 1000, 440),
            (bob.samples("ann"), 440, 1000),
        ):
            assert loudness(heard[24000:], pitch) > 5000
            assert loudness(heard[24000:], other) < 200
        assert ("participant_joined", "bob") in ann.seen
    assert standin.participants("default:pair") == []


def test_a_wrong_secret_is_refused(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody gets in with a token that was made with another secret."""
    monkeypatch.setattr("stream_standin._guest.API_SECRET", "wrong" * 8)
    with pytest.raises(RuntimeError, match="did not get into the call"):
        with open_guest(standin.url, "refused", "eve"):
            pass
    assert standin.participants("default:refused") == []
