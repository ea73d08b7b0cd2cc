"""Who answered a call that we placed: what answering machine detection found out.

Telnyx tells by webhook, in two dialects: one for the standard modes of
``answering_machine_detection``, one for the premium ones. Here they are one.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..webhooks import MachineDetectionEnded, MachineGreetingEnded


class AnsweredBy(enum.Enum):
    """Who, or what, answered."""

    HUMAN = "human"
    MACHINE = "machine"
    FAX = "fax"
    SILENCE = "silence"
    NOT_SURE = "not sure"


# Telnyx's SDK 4.189, types/call_machine_detection_ended.py and its premium twin.
_RESULTS: Final[Mapping[str, AnsweredBy]] = {
    "human": AnsweredBy.HUMAN,
    "human_residence": AnsweredBy.HUMAN,
    "human_business": AnsweredBy.HUMAN,
    "machine": AnsweredBy.MACHINE,
    "fax_detected": AnsweredBy.FAX,
    "silence": AnsweredBy.SILENCE,
}


@dataclass(frozen=True)
class MachineDetection:
    """What the detection found.

    Attributes:
        answered_by: who answered; NOT_SURE also for a result that is not known here.
        result: in Telnyx's words, such as "human_business".
    """

    answered_by: AnsweredBy
    result: str

    @classmethod
    def from_event(cls, event: MachineDetectionEnded) -> MachineDetection:
        """Read the webhook."""
        result = event.result or ""
        return cls(_RESULTS.get(result, AnsweredBy.NOT_SURE), result)


@dataclass(frozen=True)
class MachineGreeting:
    """How the greeting of an answering machine ended; now is the time to leave a message.

    Attributes:
        beep: whether the beep was heard.
        result: in Telnyx's words: "beep_detected", "no_beep_detected", "ended", "prompt_ended",
            "not_sure".
    """

    beep: bool
    result: str

    @classmethod
    def from_event(cls, event: MachineGreetingEnded) -> MachineGreeting:
        """Read the webhook."""
        result = event.result or ""
        return cls(result == "beep_detected", result)
