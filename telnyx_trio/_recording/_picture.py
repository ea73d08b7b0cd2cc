"""The picture of a call: two waveforms on one time axis, and what happened to them."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from .._audio_tap import NoteKind
from .._errors import ConfigurationError
from ..audio import PcmData
from ._notes import RecordingNote

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIDES: Final = (("far party says", "tab:blue"), ("far party hears", "tab:orange"))

_STYLES: Final[dict[NoteKind, tuple[int, str, str]]] = {
    "digit": (0, "tab:purple", "-"),
    "gap": (0, "tab:red", "-"),
    "mark": (1, "tab:green", "-"),
    "cleared mark": (1, "tab:gray", ":"),
    "clear": (1, "tab:red", "--"),
    "underrun": (1, "black", ":"),
}
"""Whose side a note is of, its colour, and its line."""

_MAX_TEXTS: Final = 60
"""Of more, nobody could read one."""


def draw_recording(
    path: str | PathLike[str], recording: str | PathLike[str], notes: Sequence[RecordingNote]
) -> None:
    """Draw a stereo WAV file and what happened while it was recorded; see ``save_picture``."""
    pcm = PcmData.from_wav(recording)
    make_picture(pcm.to_s16().samples, pcm.sample_rate, notes).savefig(path, dpi=110)


def make_picture(
    samples: NDArray[np.int16] | NDArray[np.float32],
    sample_rate: int,
    notes: Sequence[RecordingNote],
) -> Figure:
    """Return the picture, as a figure of matplotlib's.

    Args:
        samples: int16, shape (2, n).
        sample_rate: in Hz.
        notes: what happened.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigurationError(
            ["a picture needs matplotlib: pip install 'telnyx-trio[cli]'"]
        ) from None
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    panes: Sequence[Axes] = figure.subplots(2, sharex=True, sharey=True)
    for pane, side, (title, colour) in zip(panes, samples, _SIDES, strict=True):
        times, low, high = _envelope(side, sample_rate)
        pane.fill_between(times, low, high, color=colour, linewidth=0.3)
        pane.set_ylabel(title)
        pane.set_ylim(-1, 1)
        pane.grid(alpha=0.3)
    for kind in _STYLES:
        _draw_notes(panes, kind, [note for note in notes if note.kind == kind])
    for pane in panes:
        if pane.get_legend_handles_labels()[1]:
            pane.legend(loc="upper right", fontsize="small", framealpha=0.7)
    panes[-1].set_xlabel("seconds")
    return figure


def _draw_notes(panes: Sequence[Axes], kind: NoteKind, notes: Sequence[RecordingNote]) -> None:
    side, colour, line = _STYLES[kind]
    pane = panes[side]
    for n, note in enumerate(notes):
        label = f"{kind} ({len(notes)})" if n == 0 else None
        if note.duration:
            pane.axvspan(note.at, note.at + note.duration, color=colour, alpha=0.3, label=label)
        else:
            pane.axvline(note.at, color=colour, linestyle=line, linewidth=1, label=label)
        if note.text and len(notes) <= _MAX_TEXTS:
            pane.annotate(
                note.text,
                (note.at, 0.8),
                (3, 0),
                textcoords="offset points",
                color=colour,
                fontsize="small",
            )


def _envelope(
    side: NDArray[np.int16] | NDArray[np.float32], sample_rate: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return times, lowest and highest values of each 5 ms, full scale being 1."""
    step = max(1, sample_rate // 200)
    blocks = side[: side.size // step * step].reshape(-1, step) / 32768.0
    times = np.arange(len(blocks)) * step / sample_rate
    return times, blocks.min(axis=1), blocks.max(axis=1)
