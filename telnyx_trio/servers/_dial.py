"""Outbound calls: placed so that no leg is left ringing, whatever happens on the way.

What makes it hard: a cancelled or failed ``POST /calls`` may have placed a call whose id nobody
holds. So every dial carries a ``client_state`` of its own. Telnyx repeats it in each webhook of the
leg, and the leg is subscribed to it before the command leaves; the id is learned from the reply or
from the first webhook, whichever comes first. When neither comes in time, the ``client_state`` is
remembered as abandoned, and the server hangs up the call if its webhook comes after all.
"""

from __future__ import annotations

import logging
import math
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import trio

from .._call import Call
from .._errors import (
    CallControlError,
    CallControlUnreachable,
    CallNoAnswer,
    ConfigurationError,
    MediaTimeout,
)
from .._lone_error import unwrap_lone_error
from ..call_control import encode_client_state, hangup_error
from ._leg import Leg

if TYPE_CHECKING:
    from ._server import CallServer

logger = logging.getLogger("telnyx_trio.server")

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
        client_state = request["client_state"]
        leg = Leg(server.registry.expect(client_state))
        server.add_leg(leg)
        server.subscribe(leg, client_state=client_state)
        hangup_is_ours = True
        try:
            with leg.scope:
                with unwrap_lone_error():
                    await self._place(leg, request)
                leg.want_media()
                websocket = None
                with leg.before_media, trio.move_on_after(answer_timeout):
                    await leg.answered.wait()
                if leg.hangup is None and leg.answered.is_set():
                    with leg.before_media, trio.move_on_after(server.config.media_timeout):
                        websocket = await leg.wait_media()
                if websocket is None:
                    raise self._why_not(leg)
                hangup_is_ours = False
                async with server.open_call(leg, websocket) as call:
                    yield call
        finally:
            if hangup_is_ours and leg.hangup is None and leg.info.call_control_id:
                await server.hang_up(leg.info.call_control_id)
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
        least, largest = _RING_SECONDS
        return {
            "to": to,
            "from_": from_ or config.phone_number,
            "connection_id": connection_id or config.connection_id,
            "client_state": encode_client_state(f"telnyx-trio:{secrets.token_urlsafe(18)}"),
            "timeout_secs": min(max(math.ceil(answer_timeout), least), largest),
            **fields,
        }

    async def _place(self, leg: Leg, request: dict[str, Any]) -> None:
        """Send the dial command and return once the call's id is known, from reply or webhook."""
        client_state = request["client_state"]
        failure: list[CallControlError] = []
        replied = trio.Event()

        async def post() -> None:
            # Shielded, because a request that was sent can't be taken back: its reply is needed.
            with reply_scope:
                try:
                    reply = await self._server.client.dial(
                        stream=self._server.config.stream_options(leg.info.token), **request
                    )
                except CallControlError as error:
                    failure.append(error)
                else:
                    leg.info.call_session_id = reply.call_session_id or leg.info.call_session_id
                    self._server.identify(leg, reply.call_control_id, reply.call_leg_id)
            replied.set()

        async def wait_known() -> None:
            # The webhook may come before the reply, and instead of it.
            async with trio.open_nursery() as either:
                either.start_soon(_cancel_when, leg.identified, either.cancel_scope)
                either.start_soon(_cancel_when, replied, either.cancel_scope)

        reply_scope = trio.CancelScope(shield=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(post)
            try:
                await wait_known()
                if failure and _may_have_been_placed(failure[0]):
                    with trio.move_on_after(LATE_REPLY_TIMEOUT):
                        await leg.identified.wait()
            except trio.Cancelled:
                with trio.move_on_after(LATE_REPLY_TIMEOUT, shield=True):
                    await wait_known()
                raise
            finally:
                if not leg.identified.is_set() and not _was_refused(failure):
                    self._abandon(client_state)
                reply_scope.cancel()
        if not leg.identified.is_set():
            raise failure[0]
        if not self._server.registry.get(leg.info.call_control_id):
            self._server.identify(leg, leg.info.call_control_id, leg.info.call_leg_id)

    def _abandon(self, client_state: str) -> None:
        self._abandoned[client_state] = None
        if len(self._abandoned) > _MAX_ABANDONED:
            self._abandoned.popitem(last=False)

    def _why_not(self, leg: Leg) -> Exception:
        call_control_id = leg.info.call_control_id
        hangup = leg.hangup
        if hangup is not None:
            return hangup_error(
                call_control_id,
                hangup.hangup_cause,
                hangup.hangup_source,
                hangup.sip_hangup_cause,
            )
        if not leg.answered.is_set():
            return CallNoAnswer(call_control_id)
        return MediaTimeout("media socket", self._server.config.media_timeout)


async def _cancel_when(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


def _may_have_been_placed(error: CallControlError) -> bool:
    return isinstance(error, CallControlUnreachable) and error.request_sent


def _was_refused(failure: list[CallControlError]) -> bool:
    return bool(failure) and not _may_have_been_placed(failure[0])
