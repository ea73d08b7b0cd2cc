"""Two spoken WAV files, 16 kHz mono, made by scripts/make-speech."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_SPEECH: Final = Path(__file__).parent / "speech"

CALLER_WAV: Final = _SPEECH / "caller.wav"
"""A caller's sentence, 5.9 s."""

GREETING_WAV: Final = _SPEECH / "greeting.wav"
"""An agent's greeting, 2.5 s."""
