"""Whether somebody speaks: what a detector is, so that a model can take the place of ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SpeechEdge:
    """Speech begins or ends.

    Attributes:
        begins: whether it begins; else it ends.
        ago: seconds from the edge to the end of the samples given so far, >= 0: a detector needs a
            while to be sure, and says of when it speaks.
    """

    begins: bool
    ago: float


class VoiceActivityDetector(Protocol):
    """Listens to one voice, in the order in which it speaks.

    Edges alternate, and the first one begins. It is called for each packet in the event loop, so it
    has to be quick: what takes a millisecond takes a twentieth of a core for each call.
    """

    def process(self, samples: NDArray[np.int16]) -> Sequence[SpeechEdge]:
        """Take the next samples.

        Args:
            samples: shape (n,), of any length, at the rate that the detector was made for. Read,
                not kept.

        Returns:
            The edges that are known now and were not before, in order; mostly none.
        """


VoiceActivity: TypeAlias = Callable[[int], VoiceActivityDetector]
"""Makes the detector of one call; is given the sample rate in Hz. The class itself may do."""
