"""A carrier in a box: what Telnyx is to a server, on this machine and without an account."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from random import Random
from typing import Final

import httpx
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .._errors import LocalProtocolError
from ._account import Account
from ._account_api import AccountApi
from ._call_api import CallApi
from ._clock import SimulatedClock
from ._exchange import Exchange
from ._faults import Faults
from ._http import MemoryHttpTransport, serve_rest
from ._leg_values import LegOptions
from ._legs import Leg
from ._phone import Phone
from ._recorder import RecordingShelf
from ._refusals import Response
from ._rest import RestApi, RestRequest
from ._settings import CarrierSettings
from ._transports import SocketTransport, Transport
from ._webhooks import WebhookDelivery, WebhookSender

SIMULATED_API_KEY: Final = "KEY-simulated"

_MEMORY_HOST: Final = "http://carrier.invalid"


class Carrier:
    """An open carrier; see ``open_carrier``.

    Attributes:
        api_key: the one that its REST API lets in.
        base_url: of the REST API, with "/v2", as ``TELNYX_BASE_URL`` has it.
        public_key: of the webhooks' signatures, base64, as ``TELNYX_PUBLIC_KEY`` has it.
        settings: how it behaves; may be changed at any time.
        account: applications, numbers, verified numbers and voice profiles. To begin with it has
            one application and one profile, and no numbers.
        connection_id: of the ready-made application.
    """

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str,
        public_key: str,
        settings: CarrierSettings,
        account: Account,
        connection_id: str,
        exchange: Exchange,
        api: RestApi,
        webhooks: WebhookSender,
        nursery: trio.Nursery,
    ) -> None:
        self.api_key = api_key
        self.base_url = base_url
        self.public_key = public_key
        self.settings = settings
        self.account = account
        self.connection_id = connection_id
        self._exchange = exchange
        self._api = api
        self._webhooks = webhooks
        self._nursery = nursery

    @property
    def webhook_url(self) -> str | None:
        """Where the ready-made application wants its webhooks."""
        return self.account.applications[self.connection_id]["webhook_event_url"] or None

    @webhook_url.setter
    def webhook_url(self, url: str | None) -> None:
        self.account.applications[self.connection_id]["webhook_event_url"] = url or ""

    @property
    def rest_latency(self) -> float:
        """Seconds from a request to its reply."""
        return self.settings.rest_latency

    @rest_latency.setter
    def rest_latency(self, latency: float) -> None:
        self.settings.rest_latency = latency

    @property
    def phones(self) -> dict[str, Phone]:
        """Who answers a call to a number; put yours in."""
        return self._exchange.book.phones

    @property
    def default_phone(self) -> Phone:
        """Who answers every other number."""
        return self._exchange.book.default

    @default_phone.setter
    def default_phone(self, phone: Phone) -> None:
        self._exchange.book.default = phone

    @property
    def legs(self) -> Sequence[Leg]:
        """Every leg, the oldest first, ended ones too."""
        return tuple(self._exchange.legs.values())

    def live_legs(self) -> list[Leg]:
        """Return the legs that have not ended."""
        return [leg for leg in self._exchange.legs.values() if leg.is_alive]

    @property
    def faults(self) -> Faults:
        """What is to go wrong with REST requests."""
        return self._api.faults

    @property
    def requests(self) -> Sequence[RestRequest]:
        """Every REST request that came, in order of handling."""
        return self._api.requests

    @property
    def webhook_deliveries(self) -> Sequence[WebhookDelivery]:
        """Every attempt to deliver a webhook that is over, in that order."""
        return self._webhooks.deliveries

    async def call_in(
        self, *, to: str, from_: str = "+15550100001", phone: Phone | None = None
    ) -> Leg:
        """Place an inbound call: somebody dials a number.

        Of a number in the account, the application that it is routed to takes the call; with none,
        or an inactive one, the call fails without a webhook. Every other number is the ready-made
        application's.

        Returns at once, while it rings; ``Leg.wait_answered`` waits for what comes of it. A caller
        whom nobody answers gives up after 30 s.

        Args:
            to: the number that is dialled.
            from_: the caller's.
            phone: what the caller does; by default listens in silence.

        Raises:
            OSError, ValueError: the phone's WAV file cannot be read.
        """
        await trio.lowlevel.checkpoint()
        return self._exchange.place(
            "incoming",
            self.account.route(to, default=self.connection_id),
            to=to,
            from_=from_,
            phone=phone if phone is not None else Phone(),
            options=LegOptions(),
        )

    def forget(self, leg: Leg) -> None:
        """Forget a leg that has ended, and its recording: for carriers that run for long.

        Raises:
            LocalProtocolError: it has not ended.
        """
        if leg.is_alive:
            raise LocalProtocolError("a leg that has not ended can't be forgotten")
        self._exchange.legs.pop(leg.names.call_control_id, None)

    async def wait_webhooks_tried(self) -> None:
        """Wait until every webhook posted so far was delivered, or not, for the first time."""
        await self._webhooks.wait_attempted()

    async def handle_request(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes = b"",
    ) -> Response:
        """Handle one REST request, as the port does.

        Args:
            method: in upper case.
            target: path and query, from "/v2/" on.
            headers: names in any case.
            body: raw.

        Raises:
            ConnectionDropped: a fault says so.
        """
        return await self._api.handle(method, target, headers, body)

    def http_transport(self) -> httpx.AsyncBaseTransport:
        """Return a transport for ``httpx.AsyncClient(transport=...)`` that needs no socket."""
        return MemoryHttpTransport(self._api, self._nursery)


def _furnish(account: Account, webhook_url: str) -> str:
    """Put the ready-made application and its profile into an account; returns the one's id."""
    profile = account.add_profile("ready-made")
    application = account.add_application(
        "ready-made",
        # Required of everybody else; a carrier may be opened before the server has an address.
        webhook_event_url=webhook_url or _MEMORY_HOST,
        webhook_api_version="2",
        outbound={"outbound_voice_profile_id": profile["id"]},
    )
    application["webhook_event_url"] = webhook_url
    application_id: str = application["id"]
    return application_id


@contextmanager
def _bare_errors() -> Iterator[None]:
    """Let an error leave as itself, where the nurseries made a group of it and cancellations."""
    try:
        yield
    except BaseExceptionGroup as group:
        _, errors = group.split(trio.Cancelled)
        if errors is None or len(errors.exceptions) > 1:
            raise
        error: BaseException = errors
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from error.__cause__


@asynccontextmanager
async def open_carrier(
    *,
    api_key: str = SIMULATED_API_KEY,
    transport: Transport | None = None,
    settings: CarrierSettings | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    seed: int | None = None,
    signing_key: bytes | None = None,
    wall_clock: Callable[[], float] = time.time,
) -> AsyncIterator[Carrier]:
    """Open a carrier. Everything of it lives in one nursery, which ends with the block.

    Leaving the block ends every leg where it stands: no webhook, no ``stop``.

    Args:
        api_key: the one that its REST API lets in.
        transport: how it reaches the server under test; sockets by default. With one that does not
            listen, the REST API is there through ``Carrier.http_transport`` only.
        settings: how it behaves at first; copied.
        host: to serve the REST API on.
        port: 0 for any free one.
        seed: of ids, key and noise, for a carrier that is the same each time.
        signing_key: 32 bytes, the private Ed25519 key of the webhooks' signatures, for a carrier
            that a server trusts across its restarts; by default drawn like the ids.
        wall_clock: of the webhooks' signatures and of the replies' ``Date``, Unix seconds.

    Raises:
        OSError: the port is taken.
        ValueError: the signing key has not 32 bytes.
        Exception: what the block raised, or, with a ``MemoryTransport``, what left the server's
            functions: as itself if it is alone, else in an ExceptionGroup.
    """
    random = Random(seed)
    drawn_key = random.randbytes(32)
    private_key = Ed25519PrivateKey.from_private_bytes(
        drawn_key if signing_key is None else signing_key
    )
    settings = replace(settings) if settings is not None else CarrierSettings()
    transport = transport if transport is not None else SocketTransport()
    clock = SimulatedClock()
    shelf = RecordingShelf(_MEMORY_HOST)
    account = Account(random=random, today=clock.iso)
    connection_id = _furnish(account, settings.webhook_url or transport.webhook_url or "")
    with _bare_errors():
        async with transport.open() as link, trio.open_nursery() as nursery:
            webhooks = WebhookSender(
                signing_key=private_key,
                settings=settings,
                link=link,
                nursery=nursery,
                clock=clock,
                random=random,
                wall_clock=wall_clock,
            )
            exchange = Exchange(
                settings=settings,
                link=link,
                webhooks=webhooks,
                nursery=nursery,
                clock=clock,
                random=random,
                shelf=shelf,
            )
            api = RestApi(
                api_key=api_key,
                shelf=shelf,
                parts=[
                    CallApi(exchange, account, settings).answer,
                    AccountApi(account, settings).answer,
                ],
                settings=settings,
                webhooks=webhooks,
                wall_clock=wall_clock,
            )
            origin = _MEMORY_HOST
            if transport.listens:
                bound_port: int = await nursery.start(serve_rest, api, host, port)
                origin = f"http://{f'[{host}]' if ':' in host else host}:{bound_port}"
                shelf.origin = origin
            carrier = Carrier(
                api_key=api_key,
                base_url=f"{origin}/v2",
                public_key=base64.b64encode(private_key.public_key().public_bytes_raw()).decode(),
                settings=settings,
                account=account,
                connection_id=connection_id,
                exchange=exchange,
                api=api,
                webhooks=webhooks,
                nursery=nursery,
            )
            yield carrier
            nursery.cancel_scope.cancel()
