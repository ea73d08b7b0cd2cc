"""Answering machine detection: who answered, told by webhook when the carrier could know it.

The phone says what it is; nothing is guessed from its voice. The times are those of a carrier that
is sure of itself: Telnyx gives only their upper limit, ``total_analysis_time_millis`` of 3500.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

import trio

from ._phone import AnsweredBy, Phone

MODES: Final = (
    "premium",
    "premium_ios_call_screening_detection",
    "detect",
    "detect_beep",
    "detect_words",
    "greeting_end",
    "disabled",
)
"""Values of ``answering_machine_detection`` (Telnyx's SDK 4.189.0, types/call_dial_params.py)."""

_DETECTION_TIMES: Final[Mapping[AnsweredBy, float]] = {
    "human": 1.0,
    "machine": 2.0,
    "fax": 1.5,
    "silence": 3.5,
}

_STANDARD_RESULTS: Final[Mapping[AnsweredBy, str]] = {
    "human": "human",
    "machine": "machine",
    "fax": "not_sure",
    "silence": "machine",  # "if initial silence duration is greater, consider it a machine"
}

_PREMIUM_RESULTS: Final[Mapping[AnsweredBy, str]] = {
    "human": "human_residence",
    "machine": "machine",
    "fax": "fax_detected",
    "silence": "silence",
}


class DetectedLeg(Protocol):
    """What detection needs of its leg."""

    phone: Phone

    def post(self, event_type: str, payload: Mapping[str, Any]) -> None:
        """Send a webhook."""


async def detect_machine(leg: DetectedLeg, mode: str) -> None:
    """Tell who answered the call, which has just happened, and when a greeting is over.

    Cancelled: nothing more is told, as when the call ends.
    """
    phone = leg.phone
    answered_at = trio.current_time()
    detected_at = answered_at + _DETECTION_TIMES[phone.answered_by]
    greeting_end = answered_at + phone.greeting_duration()
    premium = mode.startswith("premium")
    is_machine = phone.answered_by == "machine"
    if premium:
        leg.post("call.machine.premium.detection.started", {})
    # A beep that comes before the verdict takes its place, in the premium modes.
    if not (premium and is_machine and phone.beep and greeting_end < detected_at):
        await trio.sleep_until(detected_at)
        if premium:
            result = _PREMIUM_RESULTS[phone.answered_by]
            leg.post("call.machine.premium.detection.ended", {"result": result})
        else:
            result = _STANDARD_RESULTS[phone.answered_by]
            leg.post("call.machine.detection.ended", {"result": result})
    event = _greeting_event(mode, beep=phone.beep)
    if is_machine and event is not None:
        await trio.sleep_until(greeting_end)
        leg.post(*event)


def _greeting_event(mode: str, *, beep: bool) -> tuple[str, dict[str, str]] | None:
    if mode.startswith("premium"):
        result = "beep_detected" if beep else "no_beep_detected"
        return "call.machine.premium.greeting.ended", {"result": result}
    if mode in ("greeting_end", "detect_words") or (mode == "detect_beep" and beep):
        result = "beep_detected" if beep else "ended"
        return "call.machine.greeting.ended", {"result": result}
    return None
