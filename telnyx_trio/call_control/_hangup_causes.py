"""Which error a hangup cause is, for a call that we placed and that was not taken. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .._errors import CallBusy, CallNoAnswer, CallNotAnswered, CallRejected

# The spec names some (`types/call_hangup.py` of Telnyx's Python SDK 4.189); the rest are seen in
# programs that handle Telnyx's webhooks. The set is open: what is not here is CallNotAnswered.
_ERRORS: Final[Mapping[str, type[CallNotAnswered]]] = {
    "user_busy": CallBusy,
    "busy": CallBusy,
    "timeout": CallNoAnswer,
    "no_answer": CallNoAnswer,
    "no_user_response": CallNoAnswer,
    "originator_cancel": CallNoAnswer,
    "subscriber_absent": CallNoAnswer,
    "call_rejected": CallRejected,
    "not_found": CallRejected,
    "unallocated_number": CallRejected,
    "destination_out_of_order": CallRejected,
    "network_out_of_order": CallRejected,
    "service_unavailable": CallRejected,
}


def hangup_error(
    call_control_id: str | None,
    hangup_cause: str | None,
    hangup_source: str | None = None,
    sip_hangup_cause: str | None = None,
) -> CallNotAnswered:
    """Return the error for a call of ours that ended before it was answered.

    Args:
        call_control_id: of the call, None if Telnyx never named it.
        hangup_cause: of its ``call.hangup``, as are the other two.
        hangup_source: "caller", "callee", "unknown" or None.
        sip_hangup_cause: a SIP status as text, or None.
    """
    error = _ERRORS.get((hangup_cause or "").lower(), CallNotAnswered)
    return error(
        call_control_id,
        hangup_cause=hangup_cause,
        hangup_source=hangup_source,
        sip_hangup_cause=sip_hangup_cause,
    )
