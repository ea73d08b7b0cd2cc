"""How a simulated carrier behaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from .._types import ByteOrder, Encoding

StreamingEventStyle: TypeAlias = Literal[
    "streaming.started", "call.streaming.started", "streaming_started"
]

PlusInFilter: TypeAlias = Literal["ignored", "finds_nothing"]


@dataclass
class CarrierSettings:
    """What can be changed of a carrier, at any time; it holds for what begins afterwards.

    Attributes:
        webhook_url: where the ready-made application wants its webhooks when the carrier opens;
            None for nowhere. ``Carrier.webhook_url`` changes it afterwards.
        leg_encoding: codec of the legs, as the phone network has it: PCMU in North America, PCMA
            nearly everywhere else, G722 or OPUS for a wide-band leg (with the extra [codecs]), L16
            for one that Telnyx already decoded.
        leg_sample_rate: of an L16 leg, 8000 or 16000 Hz; the other codecs have their own.
        byteorder: of L16 payloads on the media socket, both ways.
        rest_latency: seconds from a request to its reply; it takes effect in the middle.
        webhook_before_reply: let the webhooks of a command arrive before the reply to it.
        webhook_copies: how many times each event is delivered.
        webhook_timeout: seconds that a server has to acknowledge.
        webhook_retry_delays: seconds before each further attempt.
        streaming_event_style: which of the three spellings seen in the field.
        clock_skew: seconds that the carrier's clock is ahead, in the ``Date`` of its replies and in
            the timestamps that it signs.
        restricted_account: whether only verified numbers may be dialled, as with a new account.
        plus_in_number_filter: what a plus sign in ``filter[phone_number]`` does.
        renames_dialled_calls: name a dialled call otherwise in its webhooks and media than in the
            reply to the dial, as calls that pass through another site were seen to be. Commands
            take both names; ``call_leg_id`` and ``call_session_id`` stay.
        media_before_answer: open the media socket of an outbound call while it rings, and send
            ``start`` after the answer.

    Sources: the 2 s are from Telnyx's "Webhook fundamentals"; number and spacing of the retries are
    not published. Event spellings: Telnyx's SDK, its example code, and field reports. Of the plus
    sign the SDK says that nothing is found with it; a runbook of Telnyx's and programs in use send
    it and find their number.
    """

    webhook_url: str | None = None
    leg_encoding: Encoding = "PCMU"
    leg_sample_rate: int = 8000
    byteorder: ByteOrder = "little"
    rest_latency: float = 0.0
    webhook_before_reply: bool = False
    webhook_copies: int = 1
    webhook_timeout: float = 2.0
    webhook_retry_delays: tuple[float, ...] = (0.5, 1.0)
    streaming_event_style: StreamingEventStyle = "streaming.started"
    clock_skew: float = 0.0
    restricted_account: bool = False
    plus_in_number_filter: PlusInFilter = "ignored"
    renames_dialled_calls: bool = False
    media_before_answer: bool = False
