from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telnyx_trio.testing._player import MAX_MARKS, MAX_QUEUE, Player, Timeline

RATE = 8000


def pcm(value: int, n_samples: int) -> bytes:
    return np.full(n_samples, value, np.int16).tobytes()


def heard(player: Player, start: int, stop: int) -> list[int]:
    samples: list[int] = np.frombuffer(player.timeline.read(start, stop), np.int16).tolist()
    return samples


def test_timeline_reads_zeros_where_nothing_was_written() -> None:
    """Gaps, and what lies behind the end, are silence."""
    timeline = Timeline()
    timeline.append(pcm(7, 2), 3)
    assert np.frombuffer(timeline.read(0, 7), np.int16).tolist() == [0, 0, 0, 7, 7, 0, 0]


def test_timeline_appends_behind_what_is_there() -> None:
    """An earlier wish for a place does not overwrite anything."""
    timeline = Timeline()
    timeline.append(pcm(1, 4), 0)
    assert timeline.append(pcm(2, 1), 2) == 4


def test_timeline_replaces_in_place_and_behind_the_end() -> None:
    """Replacing overwrites what is there and fills a gap before it."""
    timeline = Timeline()
    timeline.append(pcm(1, 2), 0)
    timeline.replace(pcm(2, 2), 1)
    timeline.replace(pcm(3, 1), 5)
    assert np.frombuffer(timeline.read(0, 6), np.int16).tolist() == [1, 2, 2, 0, 0, 3]


def test_play_starts_now_when_nothing_is_queued() -> None:
    """An idle player plays what comes at once, at the very sample."""
    player = Player(RATE)
    player.play(pcm(5, 160), 0.1)
    assert heard(player, 798, 802) == [0, 0, 5, 5]


def test_play_queues_behind_what_is_playing() -> None:
    """Packets that come early are played one after the other without a gap."""
    player = Player(RATE)
    player.play(pcm(1, 160), 0.0)
    player.play(pcm(2, 160), 0.001)
    assert heard(player, 159, 161) == [1, 2]
    assert player.queued(0.001) == pytest.approx(0.039)


def test_play_refuses_what_is_beyond_the_limit() -> None:
    """A full queue takes nothing and says so."""
    player = Player(10)
    assert player.play(pcm(1, int(MAX_QUEUE * 10) + 1), 0.0)
    assert not player.play(pcm(2, 1), 0.0)
    assert player.timeline.end == MAX_QUEUE * 10 + 1


def test_mark_returns_at_once_when_nothing_is_queued() -> None:
    """A mark in front of an idle player has nothing to wait for."""
    player = Player(RATE)
    player.mark("m", 0.5)
    assert player.take_due_marks(0.5) == ["m"]


def test_mark_waits_until_what_was_queued_before_it_has_played() -> None:
    """Audio queued after the mark does not hold it up, audio before it does."""
    player = Player(RATE)
    player.play(pcm(1, 160), 0.0)
    player.mark("m", 0.0)
    player.play(pcm(1, 160), 0.0)
    assert player.next_due() == pytest.approx(0.02)
    assert player.take_due_marks(0.0199) == []
    assert player.take_due_marks(0.02) == ["m"]


def test_mark_returns_once() -> None:
    """A mark that was taken is gone."""
    player = Player(RATE)
    player.mark("m", 0.0)
    player.take_due_marks(0.0)
    assert player.take_due_marks(1.0) == []
    assert player.next_due() is None


def test_mark_beyond_the_limit_is_refused() -> None:
    """A player holds so many marks and no more."""
    player = Player(RATE)
    player.play(pcm(1, 160), 0.0)
    assert all(player.mark("m", 0.0) for _ in range(MAX_MARKS))
    assert not player.mark("m", 0.0)


def test_clear_cuts_off_what_is_queued() -> None:
    """What was played up to now stays in the recording, the rest is never heard."""
    player = Player(RATE)
    player.play(pcm(1, 1600), 0.0)
    player.clear(0.1)
    assert heard(player, 798, 802) == [1, 1, 0, 0]
    assert player.queued(0.1) == 0


def test_clear_returns_every_pending_mark_in_order() -> None:
    """Marks come back on clear although their audio was not played."""
    player = Player(RATE)
    for name in "abc":
        player.play(pcm(1, 1600), 0.0)
        player.mark(name, 0.0)
    player.clear(0.25)
    assert player.take_due_marks(0.25) == ["a", "b", "c"]


def test_play_after_clear_starts_now() -> None:
    """The cleared audio leaves no gap behind."""
    player = Player(RATE)
    player.play(pcm(1, 8000), 0.0)
    player.clear(0.1)
    player.play(pcm(2, 160), 0.15)
    assert heard(player, 1199, 1201) == [0, 2]


def test_underrun_is_a_short_gap() -> None:
    """A queue that ran dry for a moment counts; a pause of speech, or one after clear, does not."""
    player = Player(RATE)
    player.play(pcm(1, 160), 0.0)
    player.play(pcm(1, 160), 0.05)
    assert player.underruns == 1
    player.play(pcm(1, 160), 5.0)
    player.clear(5.01)
    player.play(pcm(1, 160), 5.05)
    assert player.underruns == 1


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 6),
            st.one_of(st.integers(1, 9), st.just("clear"), st.just("mark")),
        ),
        max_size=40,
    )
)
def test_player_equals_a_queue_played_sample_by_sample(
    script: list[tuple[int, int | str]],
) -> None:
    """Recording and marks are those of a queue that a clock empties one sample at a time."""
    rate = 1  # a sample a second: positions are times
    player = Player(rate)
    queue: list[int | str] = []
    expected: list[int] = []
    expected_marks: list[tuple[int, str]] = []
    marks: list[tuple[int, str]] = []
    now = 0

    def pop_marks() -> None:
        while queue and isinstance(queue[0], str):
            expected_marks.append((now, str(queue.pop(0))))

    for index, (pause, action) in enumerate([*script, (10_000, "mark")]):
        for _ in range(pause):
            sample = queue.pop(0) if queue else 0
            assert isinstance(sample, int)
            expected.append(sample)
            now += 1
            pop_marks()
            marks += [(now, name) for name in player.take_due_marks(now)]
        if action == "clear":
            expected_marks += [(now, item) for item in queue if isinstance(item, str)]
            queue.clear()
            player.clear(now)
        elif action == "mark":
            queue.append(str(index))
            player.mark(str(index), now)
        elif isinstance(action, int):
            queue += [index + 1] * action
            player.play(pcm(index + 1, action), now)
        pop_marks()
        marks += [(now, name) for name in player.take_due_marks(now)]
    assert heard(player, 0, now) == expected
    assert marks == expected_marks
