"""The heart of a call server: webhooks and media sockets in, calls out; no sockets of its own.

How it works. Each call is a ``Leg`` and one task. For a caller who dials in, the task starts with
the ``call.initiated`` webhook and lives in the server's nursery; for ``dial`` it is the task that
dials. Webhooks are handed to the leg, which the inbox finds by their ids. A media socket shows the
one-use token that was given to Telnyx; the registry finds the call, and the leg hands the socket
over to the task. What brought the socket (a connection of the listener, an ASGI task) waits until
the call is done with it.
"""

from __future__ import annotations

import enum
import logging
import time
from collections import OrderedDict
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import trio

from .._call import Call, CallOptions, open_call
from .._errors import (
    CallAlreadyEnded,
    CallControlError,
    ConfigurationError,
    InvalidSignature,
    InvalidToken,
    InvalidWebhook,
    LocalProtocolError,
)
from .._types import MAX_BODY_SIZE_BYTES, MEDIA_PATH, STREAMING_AUTH_HEADER
from ..webhooks import (
    CallHangup,
    CallInitiated,
    Delivery,
    Inbox,
    WebhookEvent,
    WebhookVerifier,
    parse_event,
)
from ._dial import Dialer
from ._inbound import InboundCalls
from ._leg import Leg
from ._self_check import SelfProof, check_public_url
from ._values import (
    CallSummary,
    Counters,
    Handler,
    Headers,
    MediaRequest,
    Prepare,
    Screen,
    ServerStatistics,
)

if TYPE_CHECKING:
    from .._registry import TelnyxCall, TelnyxCallRegistry
    from .._websocket import WebSocket
    from ..call_control import RejectCause, TelnyxClient
    from ._config import ServerConfig

logger = logging.getLogger("telnyx_trio.server")

HANGUP_TIMEOUT: Final = 5.0
"""Seconds that a hangup or a rejection may take when nothing else can be waited for."""

_HANDSHAKE_TIMEOUT: Final = 10.0

_MAX_ENDED_CALLS: Final = 10_000
"""Ended calls remembered, so that a late copy of their ``call.initiated`` is not answered."""


class _Phase(enum.IntEnum):
    """The life of a server, always in this order."""

    OPEN = 0
    DRAINING = 1  # no new calls from outside
    ENDING = 2  # no new calls at all; the running ones are being ended
    CLOSED = 3


class CallServer:
    """A running call server; ``open_server`` gives you one.

    Attributes:
        config: its settings, with the public address filled in.
        registry: every call that rings or is up.
        client: Telnyx's REST API.
        url: where it listens, such as "http://127.0.0.1:8000"; None without a listener.
        started_at: when it was opened, aware, in UTC.
        nursery: of the inbound calls. Not for your tasks: it is cancelled before you leave.
        counters: behind ``statistics``.
        self_proof: what the health check proves, see ``check_public_url``.
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
        self.nursery: Final = nursery
        self.started_at: Final = datetime.now(UTC)
        self.counters: Final = Counters()
        self.self_proof: Final = SelfProof()
        self._phase = _Phase.OPEN
        self._verifier = WebhookVerifier(config.public_key)
        self._inbox = Inbox()
        self._legs: dict[TelnyxCall, Leg] = {}
        self._ended_ids: OrderedDict[str, None] = OrderedDict()
        self._until_no_legs = trio.lowlevel.ParkingLot()
        # One at a time: between two checks of a burst, running calls get their turn.
        self._signature_checks = trio.CapacityLimiter(1)
        self._dialer = Dialer(self)
        self._inbound = InboundCalls(self, handler, screen, prepare) if handler else None

    def __repr__(self) -> str:
        return f"<CallServer {self.url or 'without a listener'}, {len(self._legs)} calls>"

    @property
    def is_draining(self) -> bool:
        """Whether the server stops, or has stopped."""
        return self._phase is not _Phase.OPEN

    @property
    def is_full(self) -> bool:
        """Whether ``max_calls`` calls are ringing or up."""
        return len(self._legs) >= self.config.max_calls

    def statistics(self) -> ServerStatistics:
        """Return the counters as they stand."""
        return self.counters.statistics(len(self._legs))

    def summary(self) -> list[CallSummary]:
        """Return what can be shown of each call that rings or is up, the oldest first."""
        return [leg.summary() for leg in self._legs.values()]

    async def check_public_url(self) -> None:
        """Ask ``/healthz`` at the public address, and return if this very server answers.

        For before anything at Telnyx is made to lead there: a tunnel that has ended, or leads to
        another program, is found here and not by a caller who hears nothing.

        Raises:
            PublicUrlUnreachable: it does not; ``hop`` says how far the request came.
            ConfigurationError: there is no public address.
        Blocks: at most 20 s.  Cancelled: nothing has changed.
        """
        if self.config.public_url is None:
            raise ConfigurationError(["public_url is not set, so it can't be checked"])
        await check_public_url(self.config.public_url, self.self_proof)

    async def stop(self, drain_timeout: float | None = None) -> None:
        """Take no more calls, and wait for the running ones; after a while hang up on them.

        Meanwhile new callers hear busy, ``/healthz`` says 503, and webhooks are served on.

        Args:
            drain_timeout: seconds until the remaining calls are hung up on; None is the config's.

        Blocks: until no call is left.  Cancelled: running calls go on; no new ones are taken.
        """
        self._advance(_Phase.DRAINING)
        timeout = self.config.drain_timeout if drain_timeout is None else drain_timeout
        with trio.move_on_after(timeout):
            await self._wait_no_legs()
        self.end_calls()
        await self._wait_no_legs()

    def end_calls(self) -> None:
        """Cancel every call; each is hung up on. No new one begins."""
        self._advance(_Phase.ENDING)
        for leg in self._legs.values():
            leg.scope.cancel()

    def close(self) -> None:
        """Cancel every call. From now on nothing begins, as the nursery may be gone at any time."""
        self.end_calls()
        self._advance(_Phase.CLOSED)

    def _advance(self, phase: _Phase) -> None:
        self._phase = max(self._phase, phase)

    async def _wait_no_legs(self) -> None:
        while self._legs:
            await self._until_no_legs.park()
        await trio.lowlevel.checkpoint()

    # Webhooks.

    async def handle_webhook(self, headers: Headers, body: bytes, *, peer: str = "unknown") -> int:
        """Verify one webhook and act on it, in tasks of the server.

        Args:
            headers: of the request; names in any case.
            body: raw, as signed.
            peer: address of who sent it, for the log.

        Returns:
            The HTTP status to answer with: 200, 400 (no event), 403 (not from Telnyx), 413 (body
            over 1 MiB), 503 (the server is closed).
        """
        if len(body) > MAX_BODY_SIZE_BYTES:
            self.counters.refused_webhooks += 1
            await trio.lowlevel.checkpoint()
            return 413
        async with self._signature_checks:
            try:
                self._verifier.verify(headers, body, now=time.time())
                event = parse_event(body)
            except (InvalidSignature, InvalidWebhook) as error:
                self.counters.refused_webhooks += 1
                logger.warning("webhook from %s refused: %s", peer, error)
                return 403 if isinstance(error, InvalidSignature) else 400
        self.counters.webhooks += 1
        delivery = self._inbox.deliver(event)
        if delivery is Delivery.DUPLICATE:
            self.counters.duplicate_webhooks += 1
        elif delivery is Delivery.UNCLAIMED:
            if self._phase is _Phase.CLOSED:
                return 503
            self._handle_stray(event)
        return 200

    def _handle_stray(self, event: WebhookEvent) -> None:
        """Act on an event of a call that we do not have."""
        call_control_id = event.call_control_id
        if not call_control_id or call_control_id in self._ended_ids:
            return
        if self._dialer.is_abandoned(event.client_state):
            self.note_over(call_control_id)
            if not isinstance(event, CallHangup):
                self.nursery.start_soon(self._hang_up_id, call_control_id)
        elif isinstance(event, CallInitiated) and event.direction == "incoming" and self._inbound:
            self._inbound.take(event)

    # Legs; for the two that make calls.

    def add_leg(self, leg: Leg) -> None:
        """Note that a call begins, and have its webhooks handed to it.

        Raises:
            LocalProtocolError: the server has stopped.
        """
        if self._phase >= _Phase.ENDING and not leg.info.call_control_id:
            self.registry.discard(leg.info)
            raise LocalProtocolError("the server has stopped")
        self._legs[leg.info] = leg
        if leg.info.call_control_id:
            self.identify(leg)

    def subscribe(self, leg: Leg, *, client_state: str) -> None:
        """Have the webhooks of a call without an id handed to it."""
        self.counters.outbound_calls += 1
        for early in self._inbox.subscribe(leg.deliver, client_state=client_state):
            leg.deliver(early)

    def identify(self, leg: Leg) -> None:
        """Note that a call's id is known."""
        info = leg.info
        self.registry.identify(info, info.call_control_id)
        for early in self._inbox.subscribe(
            leg.deliver, call_control_id=info.call_control_id, call_leg_id=info.call_leg_id
        ):
            leg.deliver(early)

    def remove_leg(self, leg: Leg) -> None:
        """Note that a call is over, and that late webhooks of it mean nothing."""
        leg.release()
        self._inbox.unsubscribe(leg.deliver)
        self.registry.discard(leg.info)
        self._legs.pop(leg.info, None)
        if leg.info.call_control_id:
            self.note_over(leg.info.call_control_id)
        if not self._legs:
            self._until_no_legs.unpark_all()

    def note_over(self, call_control_id: str) -> None:
        """Note that further webhooks of this call mean nothing."""
        self._ended_ids[call_control_id] = None
        if len(self._ended_ids) > _MAX_ENDED_CALLS:
            self._ended_ids.popitem(last=False)

    async def hang_up(self, leg: Leg) -> None:
        """Hang up a call that has no ``Call`` to do it, if it has an id and is not over.

        Blocks: at most 5 s, shielded. What goes wrong is logged.
        """
        if leg.hangup is None and leg.info.call_control_id:
            await self._hang_up_id(leg.info.call_control_id)

    async def _hang_up_id(self, call_control_id: str) -> None:
        with trio.move_on_after(HANGUP_TIMEOUT, shield=True) as scope:
            try:
                await self.client.hangup(call_control_id)
            except CallControlError as error:
                logger.error("call %s: could not hang up: %s", call_control_id, error)
        if scope.cancelled_caught:
            logger.error("call %s: hanging up got no answer", call_control_id)

    async def reject(self, call_control_id: str, cause: RejectCause) -> None:
        """Turn a caller away; if Telnyx does not take that, hang up.

        Blocks: at most 5 s for each, shielded. What goes wrong is logged.
        """
        with trio.move_on_after(HANGUP_TIMEOUT, shield=True):
            try:
                await self.client.reject(call_control_id, cause)
                return
            except CallAlreadyEnded:
                return
            except CallControlError as error:
                logger.error("call %s: could not reject: %s", call_control_id, error)
        await self._hang_up_id(call_control_id)

    def open_call(self, leg: Leg, websocket: WebSocket) -> AbstractAsyncContextManager[Call]:
        """Open the call of a leg over its media socket: ``open_call`` with all that is known."""
        options: CallOptions = {
            **self.config.call,
            "send_format": self.config.send_format,
            "send_mode": self.config.send_mode,
        }
        return open_call(
            websocket,
            info=leg.info,
            client=self.client,
            webhooks=leg.webhooks,
            inbox=self._inbox,
            answered=leg.answered,
            **options,
        )

    # Media sockets.

    async def handle_media(self, websocket: WebSocket, request: MediaRequest) -> None:
        """Admit a media socket to its call, or refuse it before its handshake is accepted.

        Blocks: until the call is done with the socket.
        Cancelled: the socket is closed, which its call sees as lost.
        """
        try:
            leg = await self._admit(request)
            if leg is None:
                self.counters.refused_media += 1
                return
            with trio.move_on_after(_HANDSHAKE_TIMEOUT) as scope:
                await websocket.accept()
            if not scope.cancelled_caught:
                await leg.offer(websocket)
        except trio.BrokenResourceError:
            logger.info("media socket from %s went away in its handshake", request.peer)
        finally:
            await websocket.aclose()

    async def _admit(self, request: MediaRequest) -> Leg | None:
        credential = self._credential(request)
        if credential is None:
            logger.warning("media socket from %s refused: no token", request.peer)
            await trio.lowlevel.checkpoint()
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
            answer_timeout: seconds to ring; Telnyx takes 5 to 600, and a shorter time is ours.
            **fields: further fields of Telnyx's dial command, such as
                ``answering_machine_detection="premium"``, whose result the call then has.
                ``client_state`` is text or bytes here, and comes back as ``call.client_state``.

        Raises:
            CallBusy, CallNoAnswer, CallRejected, CallNotAnswered: nobody to talk to; with the
                hangup cause. CallNotAnswered also when ``stop`` ended it.
            CallEnded: answered, and hung up before there was media.
            MediaTimeout: answered, but no media came; a note tells why, if Telnyx did.
            CallControlError: Telnyx refused the call, or could not be reached.
            ConfigurationError: a number or the application is given nowhere.
            LocalProtocolError: a field is not for you to set, or the server has stopped.
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
