"""Outbound calls: placed so that no leg is left ringing, whatever happens on the way.

What makes it hard: a cancelled or failed ``POST /calls`` may have placed a call whose id nobody
holds. So every dial carries a ``client_state`` of its own. Telnyx repeats it in each webhook of the
leg, and the leg is subscribed to it before the command leaves; the id is learned from the reply or
from the first webhook, whichever comes first. When neither comes in time, the ``client_state`` is
remembered as abandoned, and the server hangs up the call if its webhook comes after all.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import trio

from .._call import HANGUP_CAUSE_TIMEOUT, Call
from .._errors import (
    CallControlError,
    CallEnded,
    CallNoAnswer,
    CallNotAnswered,
    ConfigurationError,
    MediaTimeout,
)
from .._lone_error import unwrap_lone_error
from ..call_control import (
    hangup_error,
    has_unknown_fate,
    new_client_state_tag,
    tag_client_state,
)
from ._leg import Leg

if TYPE_CHECKING:
    from .._websocket import WebSocket
    from ..call_control import StreamOptions
    from ..webhooks import CallHangup
    from ._server import CallServer

LATE_REPLY_TIMEOUT: Final = 5.0
"""Seconds to wait for the id of a call that was begun and is no longer wanted, or whose reply was
lost."""

_RING_SECONDS: Final = (5, 600)
"""Least and largest ``timeout_secs`` of dial (telnyx SDK 4.189, ``call_dial_params``)."""

_MAX_ABANDONED: Final = 1_000


class Dialer:
    """Places calls for one server."""

    def __init__(self, server: CallServer) -> None:
        self._server = server
        self._abandoned: OrderedDict[str, None] = OrderedDict()

    def is_abandoned(self, client_state: str | None) -> bool:
        """Whether a call with this ``client_state`` was given up before its id was known."""
        return client_state is not None and client_state in self._abandoned

    @asynccontextmanager
    async def dial(
        self,
        *,
        to: str | list[str],
        from_: str | None,
        connection_id: str | None,
        answer_timeout: float,
        **fields: Any,
    ) -> AsyncIterator[Call]:
        """Dial, wait for answer and media, yield the call; see ``CallServer.dial``."""
        server = self._server
        request = self._request(to, from_, connection_id, answer_timeout, fields)
        leg = Leg(server.registry.expect(request["client_state"]))
        server.add_leg(leg)
        call: Call | None = None
        try:
            with leg.scope:
                websocket = await self._get_media(leg, request, answer_timeout)
                async with server.open_call(leg, websocket) as call:
                    yield call
            if call is None:
                # The server was stopped.
                raise CallNotAnswered(leg.info.call_control_id or None)
        finally:
            server.remove_leg(leg)

    def _request(
        self,
        to: str | list[str],
        from_: str | None,
        connection_id: str | None,
        answer_timeout: float,
        fields: dict[str, Any],
    ) -> dict[str, Any]:
        config = self._server.config
        problems = []
        if not (from_ or config.phone_number):
            problems.append("no number to call from: give from_=, or set TELNYX_PHONE_NUMBER")
        if not (connection_id or config.connection_id):
            problems.append(
                "no Call Control application: give connection_id=, or set"
                " TELNYX_CALL_CONTROL_APP_ID"
            )
        if problems:
            raise ConfigurationError(problems)
        state = fields.pop("client_state", None) or b""
        least, largest = _RING_SECONDS
        return {
            "to": to,
            "from_": from_ or config.phone_number,
            "connection_id": connection_id or config.connection_id,
            "client_state": tag_client_state(new_client_state_tag(), state),
            "timeout_secs": min(max(math.ceil(answer_timeout), least), largest),
            **fields,
        }

    async def _get_media(
        self, leg: Leg, request: dict[str, Any], answer_timeout: float
    ) -> WebSocket:
        """Dial, and wait until the call is answered and has its media socket."""
        server = self._server
        websocket = None
        waiting_since = trio.current_time()
        try:
            stream = server.config.stream_options(leg.info.token)
            takes_two_commands = stream.needs_streaming_start("dial")
            with unwrap_lone_error():
                await self._place(leg, request, None if takes_two_commands else stream)
            leg.want_media()
            with leg.before_media:
                with trio.move_on_after(answer_timeout):
                    await leg.answered.wait()
                waiting_since = trio.current_time()
                if leg.answered.is_set():
                    with trio.move_on_after(server.config.media_timeout):
                        if takes_two_commands:
                            await server.client.streaming_start(leg.info.call_control_id, stream)
                        websocket = await leg.wait_media()
        except BaseException:
            await server.hang_up(leg)
            raise
        if websocket is None:
            hangup, waited = leg.hangup, trio.current_time() - waiting_since
            await server.hang_up(leg)
            with trio.move_on_after(HANGUP_CAUSE_TIMEOUT):
                await leg.hung_up.wait()
            raise _why_not(leg, hangup, waited)
        return websocket

    async def _place(self, leg: Leg, request: dict[str, Any], stream: StreamOptions | None) -> None:
        """Send the dial command and return once the call's id is known, from reply or webhook."""
        failure: list[Exception] = []
        known = trio.Event()
        # Shielded, because a request that was sent can't be taken back: its reply is needed.
        shielded = trio.CancelScope(shield=True)

        async def post() -> None:
            try:
                reply = await self._server.client.dial(stream=stream, **request)
                leg.identify(reply.call_control_id, reply.call_leg_id, reply.call_session_id)
            except Exception as error:
                failure.append(error)
            known.set()

        async def learn_id() -> None:
            with shielded:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(post)
                    # The webhook may come before the reply, and instead of it.
                    await leg.identified.wait()
                    known.set()

        self._server.subscribe(leg, client_state=request["client_state"])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(learn_id)
            try:
                await known.wait()
                if failure and not _was_refused(failure):
                    with trio.move_on_after(LATE_REPLY_TIMEOUT):
                        await leg.identified.wait()
            except BaseException:
                # A cancellation, or a KeyboardInterrupt, which is none.
                with trio.move_on_after(LATE_REPLY_TIMEOUT, shield=True):
                    await known.wait()
                raise
            finally:
                shielded.cancel()
                if not leg.identified.is_set() and not _was_refused(failure):
                    self._abandon(request["client_state"])
        if not leg.identified.is_set():
            raise failure[0]
        self._server.identify(leg)

    def _abandon(self, client_state: str) -> None:
        self._abandoned[client_state] = None
        if len(self._abandoned) > _MAX_ABANDONED:
            self._abandoned.popitem(last=False)


def _was_refused(failure: list[Exception]) -> bool:
    return bool(failure) and not (
        isinstance(failure[0], CallControlError) and has_unknown_fate(failure[0])
    )


def _why_not(leg: Leg, hangup: CallHangup | None, waited: float) -> Exception:
    """Return the error for a call without media.

    Args:
        leg: the call, hung up by now.
        hangup: the hangup webhook, if it came before we hung up.
        waited: seconds for what did not come.
    """
    call_control_id = leg.info.call_control_id
    last = hangup or leg.hangup
    causes: dict[str, str | None] = {
        "hangup_cause": last.hangup_cause if last else None,
        "hangup_source": last.hangup_source if last else None,
        "sip_hangup_cause": last.sip_hangup_cause if last else None,
    }
    if leg.media_failed is not None:
        error = MediaTimeout("media socket", waited)
        error.add_note(f"Telnyx could not reach it: {leg.media_failed.failure_reason}")
        return error
    if leg.answered.is_set():
        if hangup is not None:
            return CallEnded(call_control_id, **causes)
        return MediaTimeout("media socket", waited)
    if hangup is None:
        return CallNoAnswer(call_control_id, **causes)
    return hangup_error(call_control_id, **causes)
