"""Calls in the REST API: dialling, asking, commanding.

Each command is decided in one step without awaiting, so two requests cannot interleave.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import trio

from ._account import Account
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
from ._leg_values import LegOptions, LegState
from ._legs import Leg
from ._media_actions import MediaActions
from ._media_commands import read_record_from_answer
from ._refusals import Refusal, Response, json_response
from ._requests import Request, no_such_resource
from ._settings import CarrierSettings
from ._stream_values import StreamRequest

COMMAND_ID_WINDOW: Final = 60.0
"""Seconds that a ``command_id`` is remembered for a call (Telnyx's "Receiving webhooks for
programmable voice")."""

STATUS_KEPT: Final = 600.0
"""Seconds that an ended call can be asked for (Telnyx's reference of ``GET /calls/{id}``)."""


class CallApi:
    """Answers requests for calls.

    Args:
        exchange: the legs.
        account: whose applications dial.
        settings: how the carrier behaves.
    """

    def __init__(self, exchange: Exchange, account: Account, settings: CarrierSettings) -> None:
        self._exchange = exchange
        self._account = account
        self._settings = settings
        self._actions: dict[str, Callable[[Leg, Body], None]] = {
            "answer": self._answer,
            "hangup": self._hang_up,
            "reject": self._reject,
            "streaming_start": self._start_streaming,
            "streaming_stop": self._stop_streaming,
            "send_dtmf": self._send_dtmf,
            **MediaActions(exchange, account, settings, self._find).table(),
        }

    def answer(self, request: Request) -> Response | None:
        """Answer a request; None if it is for another part of the API.

        Raises:
            Refusal: it cannot be done.
        """
        match request.method, request.path:
            case "POST", ["calls"]:
                return self._dial(request.body)
            case "GET", ["calls", call_id]:
                return self._status(self._find(call_id))
            case method, ["calls", call_id, "actions", name] if name in self._actions:
                # One command is no POST (Telnyx's SDK, resources/calls/actions.py).
                if method != ("PUT" if name == "client_state_update" else "POST"):
                    return None
                return self._act(self._find(call_id), name, request.body)
            case "GET", ["connections", connection_id, "active_calls"]:
                return self._list_live(connection_id)
            case _:
                return None

    def _status(self, leg: Leg) -> Response:
        ended_at = leg.ended_at
        if ended_at is not None and trio.current_time() - ended_at > STATUS_KEPT:
            raise Refusal(404, "10005", "the call ended long ago")
        return json_response({"data": _describe(leg)})

    def _list_live(self, connection_id: str) -> Response:
        if self._account.connection_name(connection_id) is None:
            raise no_such_resource()
        calls = [
            _describe(leg)
            for leg in self._exchange.legs.values()
            if leg.is_alive and leg.names.connection_id == connection_id
        ]
        # A cursor's way of saying that there is no more (Telnyx's SDK, CursorFlatPaginationMeta).
        return json_response({"data": calls, "meta": {"total_items": len(calls)}})

    def _find(self, call_id: str) -> Leg:
        if not call_id.startswith(CALL_ID_PREFIX):
            raise Refusal(422, "90015", "the call_control_id is malformed")
        leg = self._exchange.find(call_id)
        if leg is None:
            raise Refusal(404, "10005", "there is no such call")
        return leg

    def _dial(self, body: Body) -> Response:
        require(body, "to", "from", "connection_id")
        connection_id = str(body["connection_id"])
        to, from_ = read_number(body, "to"), read_number(body, "from")
        application = self._account.may_dial(
            connection_id, to, restricted=self._settings.restricted_account
        )
        phone = self._exchange.book.find(to)
        options = LegOptions()
        read_options(body, options)
        options.recording = read_record_from_answer(body)
        codec = self._exchange.codec_of(phone)
        options.stream = read_stream(
            body, "dial", codec, self._settings.byteorder, early=self._settings.media_before_answer
        )
        leg = self._exchange.place(
            "outgoing", application, to=to, from_=from_, phone=phone, options=options
        )
        dialled: dict[str, Any] = {"is_alive": False}
        if leg.names.dialled_id is not None:
            dialled["call_control_id"] = leg.names.dialled_id
        return json_response({"data": _describe(leg) | dialled})

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
        recording = read_record_from_answer(body)
        read_options(body, leg.options)
        leg.options.recording = recording
        leg.options.stream = stream
        leg.answer()

    def _hang_up(self, leg: Leg, body: Body) -> None:
        read_options(body, leg.options)
        leg.release()

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
