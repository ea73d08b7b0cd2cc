"""Inbound calls: screened, prepared, answered, handed to the handler; each ends alone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import trio

from .._errors import (
    CallAlreadyEnded,
    CallEnded,
    ConfigurationError,
    InvalidWav,
    LocalProtocolError,
    TelnyxError,
)
from .._lone_error import unwrap_lone_error
from ..webhooks import CallInitiated
from ._leg import Leg
from ._values import Handler, Prepare, Screen

if TYPE_CHECKING:
    from .._websocket import WebSocket
    from ..call_control import RejectCause, StreamOptions
    from ._server import CallServer

_YOURS: Final = (ConfigurationError, InvalidWav, LocalProtocolError)
"""Errors of ours that tell of a mistake in the handler."""

logger = logging.getLogger("telnyx_trio.server")


class InboundCalls:
    """Takes the calls that come in to one server."""

    def __init__(
        self,
        server: CallServer,
        handler: Handler,
        screen: Screen | None,
        prepare: Prepare | None,
    ) -> None:
        self._server = server
        self._handler = handler
        self._screen = screen
        self._prepare = prepare

    def take(self, event: CallInitiated) -> None:
        """Begin a call, or turn it away, in a task of the server."""
        server = self._server
        call_control_id = event.call_control_id
        assert call_control_id is not None
        server.counters.inbound_calls += 1
        if server.is_draining or server.is_full:
            server.counters.rejected_calls += 1
            server.note_over(call_control_id)
            server.nursery.start_soon(server.reject, call_control_id, "USER_BUSY")
            return
        webhook_data = {"data": {"event_type": event.event_type, "payload": event.payload}}
        leg = Leg(server.registry.create(call_control_id, webhook_data))
        leg.identified.set()
        server.add_leg(leg)
        server.nursery.start_soon(self._run, leg, event)

    async def _run(self, leg: Leg, event: CallInitiated) -> None:
        # This is where a call that fails ends alone. Only what is no error, such as a cancellation
        # of the server, goes on.
        call_control_id = leg.info.call_control_id
        try:
            with leg.scope:
                websocket = await self._get_media(leg, event)
                if websocket is not None:
                    # Nothing in between: the handler's coroutine is entered anew for each packet.
                    async with self._server.open_call(leg, websocket) as call:
                        await self._handler(call)
        except* (CallEnded, CallAlreadyEnded):
            logger.debug("call %s: ended while it was in use", call_control_id)
        except* Exception as group:
            self._server.counters.failed_calls += 1
            error = group if len(group.exceptions) > 1 else group.exceptions[0]
            # What the phone network did needs no traceback, a bug does.
            is_bug = isinstance(error, _YOURS) or not isinstance(error, TelnyxError)
            logger.error(
                "call %s failed: %s", call_control_id, error, exc_info=error if is_bug else None
            )
        finally:
            self._server.remove_leg(leg)

    async def _get_media(self, leg: Leg, event: CallInitiated) -> WebSocket | None:
        """Answer and wait for the media socket; None if the call is not to be, or is over.

        Raises or cancelled: the call is hung up.
        """
        try:
            return await self._screen_and_answer(leg, event)
        except BaseException:
            await self._server.hang_up(leg)
            raise

    async def _screen_and_answer(self, leg: Leg, event: CallInitiated) -> WebSocket | None:
        server = self._server
        cause: RejectCause | None = None
        with leg.before_media:
            if self._screen is not None:
                cause = await self._screen(event)
            if cause is None:
                await self._prepare_call(leg, event)
                websocket = await self._answer(leg)
                if websocket is not None:
                    return websocket
        if cause is None:
            self._log_missing_media(leg)
            await server.hang_up(leg)
        elif leg.hangup is None:
            server.counters.rejected_calls += 1
            await server.reject(leg.info.call_control_id, cause)
        return None

    async def _prepare_call(self, leg: Leg, event: CallInitiated) -> None:
        prepare = self._prepare
        if prepare is not None:
            self._server.registry.start_prepare(leg.info, lambda: prepare(event))
            await leg.info.await_prepare()

    async def _answer(self, leg: Leg) -> WebSocket | None:
        """Answer, and wait for the media socket; None if it does not come in time.

        Its coming proves that the commands were carried out, so their replies are not waited for.
        """
        websocket: WebSocket | None = None
        taken = trio.Event()
        with unwrap_lone_error():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._command_media, leg, taken)
                nursery.start_soon(self._limit_media, taken, nursery.cancel_scope)
                websocket = await leg.wait_media()
                nursery.cancel_scope.cancel()
        # The webhook may be late or lost.
        leg.answered.set()
        return websocket

    async def _command_media(self, leg: Leg, taken: trio.Event) -> None:
        server = self._server
        call_control_id = leg.info.call_control_id
        stream = server.config.stream_options(leg.info.token)
        takes_two_commands = _takes_two_commands(stream)
        # The same command_id for the same call: a second answer, should there be one, is ignored.
        command_id = f"answer-{leg.info.call_leg_id or call_control_id}"
        await server.client.answer(
            call_control_id, stream=None if takes_two_commands else stream, command_id=command_id
        )
        taken.set()
        if takes_two_commands:
            # Before that, streaming_start is refused (error 90034).
            await leg.answered.wait()
            await server.client.streaming_start(call_control_id, stream)

    async def _limit_media(self, taken: trio.Event, scope: trio.CancelScope) -> None:
        await taken.wait()
        await trio.sleep(self._server.config.media_timeout)
        scope.cancel()

    def _log_missing_media(self, leg: Leg) -> None:
        server = self._server
        call_control_id = leg.info.call_control_id
        if leg.hangup is not None and leg.media_failed is None:
            cause = leg.hangup.hangup_cause
            logger.info("call %s: hung up before media (%s)", call_control_id, cause)
            return
        server.counters.failed_calls += 1
        if leg.media_failed is not None:
            reason = f"Telnyx could not reach it: {leg.media_failed.failure_reason}"
        else:
            reason = f"none within {server.config.media_timeout:g} s"
        logger.error(
            "call %s has no media socket (%s); is %s the public address of this server?",
            call_control_id,
            reason,
            server.config.public_url,
        )


def _takes_two_commands(stream: StreamOptions) -> bool:
    # Answer has no field for the rate that L16 needs, whichever way it goes.
    return stream.stream_codec == "L16" or stream.needs_streaming_start("answer")
