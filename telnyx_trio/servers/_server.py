"""The heart of a call server: webhooks and media sockets in, calls out; no sockets of its own.

How it works. Each call is a ``Leg`` and one task. For a caller who dials in, the task starts with
the ``call.initiated`` webhook and lives in the server's nursery; for ``dial`` it is the task that
dials. Webhooks are handed to the leg, which the inbox finds by their ids. A media socket shows the
one-use token that was given to Telnyx; the registry finds the call, and the leg hands the socket
over to the task. What brought the socket (a connection of the listener, an ASGI task) waits until
the call is done with it.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import trio

from .._call import Call, CallOptions, open_call
from .._errors import CallControlError, CallEnded, InvalidSignature, InvalidToken, InvalidWebhook
from .._registry import TelnyxCallRegistry
from .._types import MAX_BODY_SIZE_BYTES, MEDIA_PATH, STREAMING_AUTH_HEADER
from ..call_control import RejectCause
from ..webhooks import CallInitiated, Delivery, Inbox, WebhookVerifier, parse_event
from ._dial import Dialer
from ._leg import Leg

if TYPE_CHECKING:
    from .._registry import TelnyxCall
    from .._websocket import WebSocket
    from ..call_control import TelnyxClient
    from ._config import ServerConfig

logger = logging.getLogger("telnyx_trio.server")

Handler: TypeAlias = Callable[[Call], Awaitable[Any]]
Screen: TypeAlias = Callable[[CallInitiated], Awaitable[RejectCause | None]]
Prepare: TypeAlias = Callable[[CallInitiated], Awaitable[Any]]
Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

HANGUP_TIMEOUT: Final = 5.0

_HANDSHAKE_TIMEOUT: Final = 10.0

_MAX_ENDED_CALLS: Final = 10_000
"""Ended calls remembered, so that a late copy of their ``call.initiated`` is not answered."""


@dataclass(frozen=True)
class MediaRequest:
    """What a media socket asked for.

    Attributes:
        path: of the request, query included; may hold a token.
        headers: names in lower case.
        peer: address of who connected, for the log.
    """

    path: str
    headers: tuple[tuple[bytes, bytes], ...]
    peer: str = "unknown"

    def __repr__(self) -> str:
        return f"<MediaRequest from {self.peer}>"


@dataclass(frozen=True)
class ServerStatistics:
    """Counters of a call server.

    Attributes:
        live_calls: calls that ring or are up now.
        inbound_calls, outbound_calls: calls ever.
        failed_calls: inbound calls whose handler raised, or that could not be set up.
        rejected_calls: callers turned away, by ``screen``, ``max_calls`` or a graceful stop.
        webhooks: genuine webhooks received, duplicates included.
        duplicate_webhooks: webhooks that had come before.
        refused_webhooks: webhooks with a bad signature or body.
        refused_media: media sockets with a bad credential.
    """

    live_calls: int
    inbound_calls: int
    outbound_calls: int
    failed_calls: int
    rejected_calls: int
    webhooks: int
    duplicate_webhooks: int
    refused_webhooks: int
    refused_media: int


class CallServer:
    """A running call server; ``open_server`` gives you one.

    Attributes:
        config: its settings, with the public address filled in.
        registry: every call that rings or is up.
        client: Telnyx's REST API.
        url: where it listens, such as "http://127.0.0.1:8000"; None without a listener.
    """

    def __init__(
        self,
        config: ServerConfig,
        client: TelnyxClient,
        registry: TelnyxCallRegistry,
        nursery: trio.Nursery,
        *,
        handler: Handler | None = None,
        screen: Screen | None = None,
        prepare: Prepare | None = None,
        url: str | None = None,
    ) -> None:
        self.config: Final = config
        self.client: Final = client
        self.registry: Final = registry
        self.url: Final = url
        self._nursery = nursery
        self._handler = handler
        self._screen = screen
        self._prepare = prepare
        self._verifier = WebhookVerifier(config.public_key)
        self._inbox = Inbox()
        self._legs: dict[TelnyxCall, Leg] = {}
        self._ended_ids: OrderedDict[str, None] = OrderedDict()
        self._no_legs = trio.Event()
        # One at a time: between two checks or handshakes of a burst, running calls get their turn.
        self._admission = trio.CapacityLimiter(1)
        self._draining = False
        self._dialer = Dialer(self)
        self._inbound = self._outbound = self._failed = self._rejected = 0
        self._webhooks = self._duplicates = self._refused_webhooks = self._refused_media = 0

    def __repr__(self) -> str:
        return f"<CallServer {self.url or 'without a listener'}, {len(self._legs)} calls>"

    @property
    def is_draining(self) -> bool:
        """Whether a graceful stop is under way."""
        return self._draining

    def statistics(self) -> ServerStatistics:
        """Return the counters as they stand."""
        return ServerStatistics(
            live_calls=len(self._legs),
            inbound_calls=self._inbound,
            outbound_calls=self._outbound,
            failed_calls=self._failed,
            rejected_calls=self._rejected,
            webhooks=self._webhooks,
            duplicate_webhooks=self._duplicates,
            refused_webhooks=self._refused_webhooks,
            refused_media=self._refused_media,
        )

    async def stop(self, drain_timeout: float | None = None) -> None:
        """Take no more calls, and wait for the running ones; after a while hang up on them.

        Meanwhile new callers hear busy, ``/healthz`` says 503, and webhooks are served on.

        Args:
            drain_timeout: seconds until the remaining calls are hung up on; None is the config's.

        Blocks: until no call is left.  Cancelled: running calls go on; no new ones are taken.
        """
        self._draining = True
        timeout = self.config.drain_timeout if drain_timeout is None else drain_timeout
        with trio.move_on_after(timeout):
            await self._wait_no_legs()
        for leg in self._legs.values():
            leg.scope.cancel()
        await self._wait_no_legs()

    async def _wait_no_legs(self) -> None:
        while self._legs:
            self._no_legs = trio.Event()
            await self._no_legs.wait()
        await trio.lowlevel.checkpoint()

    # Webhooks.

    async def handle_webhook(self, headers: Headers, body: bytes) -> int:
        """Verify one webhook and act on it, in tasks of the server.

        Args:
            headers: of the request; names in any case.
            body: raw, as signed.

        Returns:
            The HTTP status to answer with: 200, 400 (no event), 403 (not from Telnyx), 413.
        """
        if len(body) > MAX_BODY_SIZE_BYTES:
            self._refused_webhooks += 1
            await trio.lowlevel.checkpoint()
            return 413
        async with self._admission:
            try:
                self._verifier.verify(headers, body, now=time.time())
                event = parse_event(body)
            except InvalidSignature as error:
                self._refused_webhooks += 1
                logger.warning("webhook refused: %s", error)
                return 403
            except InvalidWebhook as error:
                self._refused_webhooks += 1
                logger.warning("webhook refused: %s", error)
                return 400
        self._webhooks += 1
        delivery = self._inbox.deliver(event)
        if delivery is Delivery.DUPLICATE:
            self._duplicates += 1
        elif delivery is Delivery.UNCLAIMED and isinstance(event, CallInitiated):
            self._handle_new_call(event)
        return 200

    def _handle_new_call(self, event: CallInitiated) -> None:
        call_control_id = event.call_control_id
        if not call_control_id or call_control_id in self._ended_ids:
            return
        if event.direction != "incoming":
            if self._dialer.is_abandoned(event.client_state):
                self._nursery.start_soon(self.hang_up, call_control_id)
            return
        if self._handler is None:
            return
        self._inbound += 1
        webhook_data = {"data": {"event_type": event.event_type, "payload": event.payload}}
        info = self.registry.create(call_control_id, webhook_data)
        leg = Leg(info)
        self.add_leg(leg)
        for early in self._inbox.subscribe(
            leg.deliver, call_control_id=call_control_id, call_leg_id=event.call_leg_id
        ):
            leg.deliver(early)
        self._nursery.start_soon(self._run_inbound, leg, event, self._handler)

    # Legs.

    def add_leg(self, leg: Leg) -> None:
        """Note that a call begins."""
        self._legs[leg.info] = leg

    def subscribe(self, leg: Leg, *, client_state: str) -> None:
        """Have the webhooks of a call without an id handed to its leg."""
        self._outbound += 1
        for early in self._inbox.subscribe(leg.deliver, client_state=client_state):
            leg.deliver(early)

    def identify(self, leg: Leg, call_control_id: str, call_leg_id: str | None) -> None:
        """Note Telnyx's id of a call that was dialled."""
        self.registry.identify(leg.info, call_control_id)
        leg.info.call_leg_id = leg.info.call_leg_id or call_leg_id
        for early in self._inbox.subscribe(
            leg.deliver, call_control_id=call_control_id, call_leg_id=call_leg_id
        ):
            leg.deliver(early)
        leg.identified.set()

    def remove_leg(self, leg: Leg) -> None:
        """Note that a call is over, and that late webhooks of it mean nothing."""
        leg.release()
        self._inbox.unsubscribe(leg.deliver)
        self.registry.discard(leg.info)
        del self._legs[leg.info]
        if leg.info.call_control_id:
            self._ended_ids[leg.info.call_control_id] = None
            if len(self._ended_ids) > _MAX_ENDED_CALLS:
                self._ended_ids.popitem(last=False)
        if not self._legs:
            self._no_legs.set()

    async def hang_up(self, call_control_id: str) -> None:
        """Hang up by REST, shielded, within 5 s; what goes wrong is logged."""
        with trio.move_on_after(HANGUP_TIMEOUT, shield=True) as scope:
            try:
                await self.client.hangup(call_control_id)
            except CallControlError as error:
                logger.error("call %s: could not hang up: %s", call_control_id, error)
        if scope.cancelled_caught:
            logger.error("call %s: hanging up got no answer", call_control_id)

    def open_call(self, leg: Leg, websocket: WebSocket) -> AbstractAsyncContextManager[Call]:
        """Open the call of a leg over its media socket: ``open_call`` with all that is known."""
        options: CallOptions = {"send_format": self.config.send_format, **self.config.call}
        return open_call(
            websocket,
            info=leg.info,
            client=self.client,
            webhooks=leg.webhooks,
            answered=leg.answered,
            **options,
        )

    # Inbound calls.

    async def _run_inbound(self, leg: Leg, event: CallInitiated, handler: Handler) -> None:
        call_control_id = leg.info.call_control_id
        try:
            with leg.scope:
                await self._carry_inbound(leg, event, handler)
        except CallEnded:
            logger.debug("call %s: ended while it was in use", call_control_id)
        except Exception:
            # A call that fails ends alone.
            self._failed += 1
            logger.exception("call %s failed", call_control_id)
        finally:
            self.remove_leg(leg)

    async def _carry_inbound(self, leg: Leg, event: CallInitiated, handler: Handler) -> None:
        call_control_id = leg.info.call_control_id
        hangup_is_ours = False
        try:
            websocket: WebSocket | None = None
            with leg.before_media:
                cause = await self._cause_to_reject(event)
                if cause is not None:
                    self._rejected += 1
                    await self.client.reject(call_control_id, cause)
                    return
                hangup_is_ours = True
                if self._prepare is not None:
                    await self._prepare_call(leg, event, self._prepare)
                await self._answer(leg)
                with trio.move_on_after(self.config.media_timeout):
                    websocket = await leg.wait_media()
            if websocket is None:
                self._log_missing_media(leg)
                return
            hangup_is_ours = False
            async with self.open_call(leg, websocket) as call:
                await handler(call)
        finally:
            if hangup_is_ours and leg.hangup is None:
                await self.hang_up(call_control_id)

    async def _cause_to_reject(self, event: CallInitiated) -> RejectCause | None:
        if self._draining or len(self._legs) > self.config.max_calls:
            return "USER_BUSY"
        return None if self._screen is None else await self._screen(event)

    async def _prepare_call(self, leg: Leg, event: CallInitiated, prepare: Prepare) -> None:
        self.registry.start_prepare(leg.info, lambda: prepare(event))
        await leg.info.await_prepare()

    async def _answer(self, leg: Leg) -> None:
        call_control_id = leg.info.call_control_id
        stream = self.config.stream_options(leg.info.token)
        # The same command_id for the same call: a second answer, should there be one, is ignored.
        command_id = f"answer-{leg.info.call_leg_id or call_control_id}"
        # Answer has no field for the rate that L16 needs, whichever way it goes.
        if stream.stream_codec != "L16" and not stream.needs_streaming_start("answer"):
            await self.client.answer(call_control_id, stream=stream, command_id=command_id)
            return
        await self.client.answer(call_control_id, command_id=command_id)
        await leg.answered.wait()
        await self.client.streaming_start(call_control_id, stream)

    def _log_missing_media(self, leg: Leg) -> None:
        call_control_id = leg.info.call_control_id
        if leg.hangup is not None:
            logger.info("call %s: hung up before media (%s)", call_control_id, leg.hangup)
            return
        self._failed += 1
        if leg.media_failed is not None:
            reason = f"Telnyx could not reach it: {leg.media_failed.failure_reason}"
        else:
            reason = f"none within {self.config.media_timeout:g} s"
        logger.error(
            "call %s has no media socket (%s); is %s the public address of this server?",
            call_control_id,
            reason,
            self.config.public_url,
        )

    # Media sockets.

    async def handle_media(self, websocket: WebSocket, request: MediaRequest) -> None:
        """Admit a media socket to its call, or refuse it before its handshake is accepted.

        Blocks: until the call is done with the socket.
        Cancelled: the socket is closed, which its call sees as lost.
        """
        async with self._admission:
            leg = await self._admit(request)
            if leg is not None:
                with trio.move_on_after(_HANDSHAKE_TIMEOUT):
                    await websocket.accept()
        if leg is None:
            self._refused_media += 1
            await websocket.aclose()
            return
        try:
            await leg.offer(websocket)
        finally:
            await websocket.aclose()

    async def _admit(self, request: MediaRequest) -> Leg | None:
        credential = self._credential(request)
        if credential is None:
            logger.warning("media socket from %s refused: no token", request.peer)
            return None
        try:
            info = await self.registry.claim(credential)
        except InvalidToken as error:
            logger.warning("media socket from %s refused: %s", request.peer, error)
            return None
        leg = self._legs.get(info)
        if leg is None:
            logger.warning("media socket from %s refused: its call is over", request.peer)
        return leg

    def _credential(self, request: MediaRequest) -> str | None:
        if self.config.media_auth == "header":
            wanted = STREAMING_AUTH_HEADER.encode()
            for name, value in request.headers:
                if name.lower() == wanted:
                    return value.decode("latin-1")
            return None
        path = request.path.partition("?")[0]
        _, found, token = path.rpartition(f"{MEDIA_PATH}/")
        return token if found and token else None

    # Outbound calls.

    def dial(
        self,
        *,
        to: str | list[str],
        from_: str | None = None,
        connection_id: str | None = None,
        answer_timeout: float = 60.0,
        **fields: Any,
    ) -> AbstractAsyncContextManager[Call]:
        """Call someone: ``async with server.dial(to=...) as call``. Leaving hangs up.

        Args:
            to: E.164 number or SIP URI; a list rings all of them.
            from_: E.164 number to show; None is the config's ``phone_number``.
            connection_id: Call Control application; None is the config's.
            answer_timeout: seconds to ring and to get media.
            **fields: further fields of Telnyx's dial command.

        Raises:
            CallBusy, CallNoAnswer, CallRejected, CallNotAnswered: nobody to talk to; with the
                hangup cause.
            MediaTimeout: answered, but no media came.
            CallControlError: Telnyx refused the call, or could not be reached.
            ConfigurationError: a number or the application is given nowhere.
        Cancelled: whatever was begun is hung up, also when Telnyx has not answered the request yet:
        its answer, or the call's first webhook, is waited for up to 5 s, and a webhook that comes
        even later is answered with a hangup.
        """
        return self._dialer.dial(
            to=to,
            from_=from_,
            connection_id=connection_id,
            answer_timeout=answer_timeout,
            **fields,
        )
