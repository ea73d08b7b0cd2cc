"""The picture of a call: two waveforms on one time axis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def draw_call(path: Path, samples: NDArray[np.int16], sample_rate: int) -> bool:
    """Draw the caller's voice and what the caller heard.

    Args:
        path: of the PNG.
        samples: int16, shape (2, n).
        sample_rate: in Hz.

    Returns:
        False when matplotlib is not installed, and nothing was drawn.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    panes = figure.subplots(2, sharex=True, sharey=True)
    sides = (("caller says", "tab:blue"), ("caller hears", "tab:orange"))
    for pane, side, (title, colour) in zip(panes, samples, sides, strict=True):
        times, low, high = _envelope(side, sample_rate)
        pane.fill_between(times, low, high, color=colour, linewidth=0.3)
        pane.set_ylabel(title)
        pane.set_ylim(-1, 1)
        pane.grid(alpha=0.3)
    panes[-1].set_xlabel("seconds since the media started")
    figure.savefig(path, dpi=110)
    return True


def _envelope(
    side: NDArray[np.int16], sample_rate: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return times, lowest and highest values of each 5 ms, full scale being 1."""
    step = max(1, sample_rate // 200)
    blocks = side[: side.size // step * step].reshape(-1, step) / 32768.0
    times = np.arange(len(blocks)) * step / sample_rate
    return times, blocks.min(axis=1), blocks.max(axis=1)
