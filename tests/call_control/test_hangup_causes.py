"""Which error a hangup cause is."""

from __future__ import annotations

import pytest

from telnyx_trio._errors import CallBusy, CallNoAnswer, CallNotAnswered, CallRejected
from telnyx_trio.call_control import hangup_error


@pytest.mark.parametrize(
    ("cause", "error"),
    [
        ("user_busy", CallBusy),
        ("busy", CallBusy),
        ("timeout", CallNoAnswer),
        ("no_answer", CallNoAnswer),
        ("no_user_response", CallNoAnswer),
        ("originator_cancel", CallNoAnswer),
        ("subscriber_absent", CallNoAnswer),
        ("call_rejected", CallRejected),
        ("not_found", CallRejected),
        ("unallocated_number", CallRejected),
        ("destination_out_of_order", CallRejected),
        ("network_out_of_order", CallRejected),
        ("service_unavailable", CallRejected),
        ("CALL_REJECTED", CallRejected),
        ("normal_clearing", CallNotAnswered),
        ("struck_by_lightning", CallNotAnswered),
        ("", CallNotAnswered),
        (None, CallNotAnswered),
    ],
)
def test_class_of_cause(cause: str | None, error: type[CallNotAnswered]) -> None:
    """Causes that people tell apart have a class; unknown ones are no failure of ours."""
    assert type(hangup_error("v3:abc", cause)) is error


def test_error_keeps_what_telnyx_said() -> None:
    """The error carries call, cause, source and SIP status."""
    error = hangup_error("v3:abc", "user_busy", "callee", "486")
    assert error.call_control_id == "v3:abc"
    assert (error.hangup_cause, error.hangup_source, error.sip_hangup_cause) == (
        "user_busy",
        "callee",
        "486",
    )
    assert str(error) == "callee is busy (user_busy, SIP 486): v3:abc"
