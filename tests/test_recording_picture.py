"""The picture of a recorded call: what it shows of a call with everything in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import trio
from matplotlib.axes import Axes
from scenarios import CALLEE, open_memory_world
from stream_peer import media_text, running_stream
from test_recording import noise, patiently
from trio.testing import MockClock

from telnyx_trio import PcmData, RecordingNote
from telnyx_trio._recording import open_local_recording
from telnyx_trio._recording._picture import make_picture
from telnyx_trio.testing import CALLER_WAV, Phone

RATE = 8000


async def test_everything_that_happens_is_noted(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Marks, clears and keys, at their times; and the picture of it is drawn."""
    phone = Phone(says=CALLER_WAV, speak_at=0.5, digits=[(1.0, "4"), (1.5, "2")])
    async with open_memory_world() as world:
        world.carrier.default_phone = phone
        async with world.server.dial(to=CALLEE) as call:
            async with patiently(call.record_to(tmp_path / "call.wav")) as recording:
                await call.send(noise(1.0, 1))
                await call.send_mark("greeted")
                await call.drain()
                await call.send(noise(2.0, 2))
                await call.send_mark("never")
                await trio.sleep(1.0)
                await call.clear()
                await trio.sleep(2.0)
            notes = [(note.kind, note.text, round(note.at, 1)) for note in recording.notes]
            assert sorted(notes, key=lambda note: note[2]) == [
                ("mark", "greeted", 1.0),
                ("digit", "4", 1.1),
                ("digit", "2", 1.6),
                ("clear", "", 2.0),
                ("cleared mark", "never", 2.0),
            ]
    for ending, beginning in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        picture = tmp_path / f"call.{ending}"
        await recording.save_picture(picture)
        assert picture.read_bytes().startswith(beginning)


async def test_gaps_and_underruns_are_noted(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Where they are, and how long."""

    async def halting() -> AsyncIterator[PcmData]:
        yield noise(0.5, 1)
        await trio.sleep(1.0)
        yield noise(0.5, 2)

    async with running_stream() as (stream, telnyx), trio.open_nursery() as nursery:
        recording = open_local_recording(stream, nursery, tmp_path / "c.wav", None, AssertionError)
        async with patiently(recording) as recorded:
            await stream.play(halting(), nursery)
            for n in range(100):
                await trio.sleep(0.02)
                if not 50 <= n < 55:
                    await telnyx.send(media_text(chunk=n + 1))
        nursery.cancel_scope.cancel()
    [gap] = [note for note in recorded.notes if note.kind == "gap"]
    assert gap.duration == pytest.approx(0.1)
    assert gap.at == pytest.approx(1.0, abs=0.15)
    [underrun] = [note for note in recorded.notes if note.kind == "underrun"]
    assert underrun.at == pytest.approx(1.0, abs=0.15)


def times_of(pane: Axes) -> list[float]:
    return sorted(float(np.asarray(line.get_xdata())[0]) for line in pane.lines)


def test_picture_has_all_of_it() -> None:
    """Each note on its side, at its time, with its text; each kind once in the legend."""
    rng = np.random.default_rng(1)
    samples = rng.integers(-9000, 9000, (2, RATE * 5)).astype(np.int16)
    notes = [
        RecordingNote("digit", 1.0, "5"),
        RecordingNote("digit", 1.2, "#"),
        RecordingNote("gap", 2.0, duration=0.5),
        RecordingNote("mark", 1.5, "greeted"),
        RecordingNote("cleared mark", 3.0, "never"),
        RecordingNote("clear", 3.0),
        RecordingNote("underrun", 4.0),
    ]
    figure = make_picture(samples, RATE, notes)
    above, below = figure.axes
    assert {text.get_text() for text in above.texts} == {"5", "#"}
    assert {text.get_text() for text in below.texts} == {"greeted", "never"}
    assert times_of(above) == [1.0, 1.2]
    assert times_of(below) == [1.5, 3.0, 3.0, 4.0]
    [gap] = above.patches
    assert gap.get_extents().width > 0
    assert above.get_legend_handles_labels()[1] == ["digit (2)", "gap (1)"]
    kinds = ["mark (1)", "cleared mark (1)", "clear (1)", "underrun (1)"]
    assert below.get_legend_handles_labels()[1] == kinds
    assert above.get_xlim() == below.get_xlim()


def test_very_many_notes_have_no_text() -> None:
    """Nobody could read it."""
    samples = np.zeros((2, RATE), np.int16)
    notes = [RecordingNote("mark", n / 100, str(n)) for n in range(100)]
    figure = make_picture(samples, RATE, notes)
    assert len(figure.axes[1].texts) == 0
    assert len(figure.axes[1].lines) == 100
