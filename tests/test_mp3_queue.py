from __future__ import annotations

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telnyx_trio._mp3_queue import MP3_INTERVAL, Mp3Queue
from telnyx_trio._playout import MarkFate, Playout
from telnyx_trio.protocol import SendClear, SendMark, SendMedia


def test_one_file_in_an_interval() -> None:
    """Counted from when the one before was written, which may take a while."""
    queue = Mp3Queue(Playout())
    queue.put_file(b"one")
    queue.put_file(b"two")
    assert queue.next(5.0) == SendMedia(b"one")
    queue.written(5.25)
    wait = queue.next(5.5)
    assert wait == pytest.approx(MP3_INTERVAL - 0.25)
    assert isinstance(wait, float)
    assert queue.next(5.5 + wait) == SendMedia(b"two")
    assert queue.next(9.0) == inf
    assert queue.files_sent == 2


def test_a_mark_goes_behind_its_file_at_once() -> None:
    """Only files have to wait."""
    queue = Mp3Queue(Playout())
    queue.put_file(b"one")
    queue.put_mark("said")
    queue.put_file(b"two")
    assert queue.next(0.0) == SendMedia(b"one")
    queue.written(0.0)
    assert queue.next(0.0) == SendMark("said")
    assert queue.next(0.0) == pytest.approx(MP3_INTERVAL)


def test_clear_drops_files_and_returns_marks() -> None:
    """Marks that wait go out before the clear, and count as cleared."""
    playout = Playout()
    queue = Mp3Queue(playout)
    queue.put_file(b"one")
    queue.put_mark("first")
    queue.put_file(b"two")
    queue.put_mark("second")
    queue.clear()
    queue.clear()
    assert [queue.next(0.0) for _ in range(3)] == [
        SendMark("first"),
        SendMark("second"),
        SendClear(),
    ]
    assert queue.next(0.0) == inf
    assert playout.mark_returned("first", 0.0) is MarkFate.CLEARED
    assert playout.mark_returned("second", 0.0) is MarkFate.CLEARED


def test_clear_does_not_forget_the_pace() -> None:
    """What was sent before it was sent all the same."""
    queue = Mp3Queue(Playout())
    queue.put_file(b"one")
    queue.next(0.0)
    queue.written(0.0)
    queue.clear()
    queue.put_file(b"two")
    assert queue.next(0.5) == SendClear()
    assert queue.next(0.5) == pytest.approx(MP3_INTERVAL - 0.5)


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["file", "mark", "clear", "ask"]), st.floats(0, 3)), max_size=40
    )
)
def test_never_two_files_within_a_second(steps: list[tuple[str, float]]) -> None:
    """Whatever is put and asked, and every mark leaves once."""
    queue, now = Mp3Queue(Playout()), 0.0
    sent, marks, n_marks = [], [], 0
    for what, pause in [*steps, *[("ask", 1.2)] * 100]:
        now += pause
        if what == "file":
            queue.put_file(b"x")
        elif what == "mark":
            queue.put_mark(str(n_marks))
            n_marks += 1
        elif what == "clear":
            queue.clear()
        else:
            item = queue.next(now)
            if isinstance(item, SendMedia):
                sent.append(now)
                queue.written(now)
            elif isinstance(item, SendMark):
                marks.append(int(item.name))
    assert all(later - earlier > 1 for earlier, later in pairwise(sent))
    assert marks == list(range(n_marks))
