"""Telnyx's REST API, as far as calls and media go; without a transport.

Each command is decided in one step without awaiting, so two requests cannot interleave.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Any, Final
from urllib.parse import unquote

import trio

from ._commands import (
    REJECT_CAUSES,
    Body,
    read_choice,
    read_digits,
    read_number,
    read_options,
    read_stream,
    read_text,
    require,
)
from ._exchange import CALL_ID_PREFIX, Exchange
from ._faults import ConnectionDropped, Faults
from ._leg_values import Hangup, LegOptions, LegState
from ._legs import Leg
from ._refusals import Refusal, Response, json_response
from ._settings import CarrierSettings
from ._stream_values import StreamRequest
from ._webhooks import WebhookSender

COMMAND_ID_WINDOW: Final = 60.0
"""Seconds that a ``command_id`` is remembered for a call (Telnyx's "Receiving webhooks for
programmable voice")."""

STATUS_KEPT: Final = 600.0
"""Seconds that an ended call can be asked for (Telnyx's reference of ``GET /calls/{id}``)."""


@dataclass(frozen=True)
class RestRequest:
    """One request that came, and its answer.

    Attributes:
        method: of the request.
        path: without the query, percent-decoded.
        body: decoded; kept out of the repr because it holds the stream's URL and token.
        status: of the answer, None when there was none.
        received_at: Trio's time.
    """

    method: str
    path: str
    body: Mapping[str, Any] = field(repr=False)
    status: int | None
    received_at: float


class RestApi:
    """Handles requests.

    Args:
        api_key: the only one that is let in.
        exchange: the legs.
        settings: how the carrier behaves.
        webhooks: asked to be first where ``settings.webhook_before_reply`` says so.
    """

    def __init__(
        self,
        *,
        api_key: str,
        exchange: Exchange,
        settings: CarrierSettings,
        webhooks: WebhookSender,
    ) -> None:
        self.faults = Faults()
        self.requests: list[RestRequest] = []
        self._api_key = api_key
        self._exchange = exchange
        self._settings = settings
        self._webhooks = webhooks
        self._actions: dict[str, Callable[[Leg, Body], None]] = {
            "answer": self._answer,
            "hangup": self._hang_up,
            "reject": self._reject,
            "streaming_start": self._start_streaming,
            "streaming_stop": self._stop_streaming,
            "send_dtmf": self._send_dtmf,
        }

    async def handle(
        self, method: str, target: str, headers: Sequence[tuple[bytes, bytes]], body: bytes
    ) -> Response:
        """Handle one request.

        Args:
            method: in upper case.
            target: path with query, as on the wire, from "/v2/" on.
            headers: names in any case.
            body: raw.

        Raises:
            ConnectionDropped: a fault says so; the request is to stay without a reply.
        Blocks: as long as ``settings.rest_latency`` and the faults say.  Cancelled: the request has
        taken effect or not; which, is not told, as on a real network.
        """
        received_at = trio.current_time()
        path = unquote(target.partition("?")[0])
        fault = self.faults.take(method, path)
        await trio.sleep(self._settings.rest_latency / 2)
        fields: Mapping[str, Any] = {}
        response: Response | None = None
        try:
            if fault is not None and fault.drops == "request":
                raise ConnectionDropped
            if fault is not None and fault.response is not None:
                response = fault.response
            else:
                try:
                    self._authorize(headers)
                    fields = _read_json(body)
                    response = self._dispatch(method, path, fields)
                except Refusal as refusal:
                    response = refusal.response()
        finally:
            status = response.status if response is not None else None
            self.requests.append(RestRequest(method, path, fields, status, received_at))
        if self._settings.webhook_before_reply:
            await self._webhooks.wait_attempted()
        if fault is not None:
            await trio.sleep(fault.delay)
            if fault.never_replies:
                await trio.sleep_forever()
            if fault.drops == "reply":
                raise ConnectionDropped
        await trio.sleep(self._settings.rest_latency / 2)
        return response

    def _authorize(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        expected = f"Bearer {self._api_key}".encode()
        given = [value for name, value in headers if name.lower() == b"authorization"]
        if len(given) != 1 or not compare_digest(given[0], expected):
            raise Refusal(401, "10009", "the API key is missing or unknown")

    def _dispatch(self, method: str, path: str, body: Body) -> Response:
        match method, path.split("/"):
            case "POST", ["", "v2", "calls"]:
                return self._dial(body)
            case "GET", ["", "v2", "calls", call_id]:
                leg = self._find(call_id)
                ended_at = leg.ended_at
                if ended_at is not None and trio.current_time() - ended_at > STATUS_KEPT:
                    raise Refusal(404, "10005", "the call ended long ago")
                return json_response({"data": _describe(leg)})
            case "POST", ["", "v2", "calls", call_id, "actions", name] if name in self._actions:
                return self._act(self._find(call_id), name, body)
            case _:
                raise Refusal(404, "10005", "the simulator has no such resource")

    def _find(self, call_id: str) -> Leg:
        if not call_id.startswith(CALL_ID_PREFIX):
            raise Refusal(422, "90015", "the call_control_id is malformed")
        leg = self._exchange.legs.get(call_id)
        if leg is None:
            raise Refusal(404, "10005", "there is no such call")
        return leg

    def _dial(self, body: Body) -> Response:
        require(body, "to", "from", "connection_id")
        if str(body["connection_id"]) != self._exchange.connection_id:
            detail = "'connection_id' is no Call Control application of this account"
            raise Refusal(422, "10015", detail, "connection_id")
        to, from_ = read_number(body, "to"), read_number(body, "from")
        phone = self._exchange.book.find(to)
        options = LegOptions()
        read_options(body, options)
        codec = self._exchange.codec_of(phone)
        options.stream = read_stream(
            body, "dial", codec, self._settings.byteorder, early=self._settings.media_before_answer
        )
        leg = self._exchange.place("outgoing", to=to, from_=from_, phone=phone, options=options)
        return json_response({"data": _describe(leg) | {"is_alive": False}})

    def _act(self, leg: Leg, name: str, body: Body) -> Response:
        now = trio.current_time()
        command_id = read_text(body, "command_id")
        seen_at = leg.seen_commands.get(command_id) if command_id else None
        if seen_at is not None and now - seen_at < COMMAND_ID_WINDOW:
            leg.repeated_commands += 1
        else:
            if not leg.is_alive:
                raise Refusal(422, "90018", "the call has already ended")
            self._actions[name](leg, body)
            if command_id:
                leg.seen_commands[command_id] = now
        return json_response({"data": {"result": "ok"}})

    def _answer(self, leg: Leg, body: Body) -> None:
        if leg.names.direction == "outgoing":
            raise Refusal(422, "90102", "an outbound call cannot be answered")
        if leg.state is not LegState.RINGING:
            raise Refusal(422, "10015", "the call is answered already")
        stream = self._read_stream(leg, body, "answer")
        read_options(body, leg.options)
        leg.options.stream = stream
        leg.answer()

    def _hang_up(self, leg: Leg, body: Body) -> None:
        read_options(body, leg.options)
        incoming = leg.names.direction == "incoming"
        if leg.state is LegState.ANSWERED:
            leg.end(Hangup("normal_clearing", "callee" if incoming else "caller", "200"))
        elif incoming:
            leg.end(Hangup("call_rejected", "callee", "603"))
        else:
            leg.end(Hangup("originator_cancel", "caller", "487"))

    def _reject(self, leg: Leg, body: Body) -> None:
        require(body, "cause")
        cause = read_choice(body, "cause", tuple(REJECT_CAUSES))
        if leg.names.direction == "outgoing" or leg.state is not LegState.RINGING:
            raise Refusal(422, "10015", "only an inbound call that rings can be rejected")
        read_options(body, leg.options)
        leg.end(REJECT_CAUSES[cause])

    def _start_streaming(self, leg: Leg, body: Body) -> None:
        self._require_answer(leg)
        if leg.has_stream:
            raise Refusal(422, "90045", "the call has a media stream already")
        require(body, "stream_url")
        stream = self._read_stream(leg, body, "streaming_start")
        read_options(body, leg.options)
        if stream is not None:
            leg.start_stream(stream)

    def _stop_streaming(self, leg: Leg, body: Body) -> None:
        self._require_answer(leg)
        read_options(body, leg.options)
        leg.stop_stream()

    def _send_dtmf(self, leg: Leg, body: Body) -> None:
        self._require_answer(leg)
        digits = read_digits(body)
        read_options(body, leg.options)
        leg.digits_received += digits.replace("w", "").replace("W", "")
        leg.note("dtmf received", digits)

    def _require_answer(self, leg: Leg) -> None:
        if leg.state is LegState.RINGING:
            raise Refusal(422, "90034", "the call has not been answered yet")

    def _read_stream(self, leg: Leg, body: Body, command: str) -> StreamRequest | None:
        return read_stream(body, command, leg.audio.codec, self._settings.byteorder)


def _read_json(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise Refusal(400, "10015", "the body is not a JSON object")
    return fields


def _describe(leg: Leg) -> dict[str, Any]:
    """Return a call as ``GET /calls/{id}`` does."""
    call: dict[str, Any] = {
        "record_type": "call",
        "call_control_id": leg.names.call_control_id,
        "call_leg_id": leg.names.call_leg_id,
        "call_session_id": leg.names.call_session_id,
        "is_alive": leg.is_alive,
        "client_state": leg.options.client_state,
        "start_time": leg.start_time,
        "call_duration": 0,
    }
    if leg.answered_at is not None:
        until = leg.ended_at if leg.ended_at is not None else trio.current_time()
        call["call_duration"] = int(until - leg.answered_at)
    if leg.end_time is not None:
        call["end_time"] = leg.end_time
    return call
