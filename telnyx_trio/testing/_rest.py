"""Telnyx's REST API without a transport: who is let in, what goes wrong, what is written down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from hmac import compare_digest
from typing import Any, TypeAlias
from urllib.parse import unquote

import trio

from ._faults import ConnectionDropped, Faults
from ._recorder import RECORDINGS_PATH, RecordingShelf
from ._refusals import Refusal, Response
from ._requests import Request, no_such_resource, read_request
from ._settings import CarrierSettings
from ._webhooks import WebhookSender

Answer: TypeAlias = Callable[[Request], Response | None]
"""A part of the API; None for what is not its own. It may raise ``Refusal``."""


@dataclass(frozen=True)
class RestRequest:
    """One request that came, and its answer.

    Attributes:
        method: of the request.
        path: without the query, percent-decoded.
        query: its parameters; of several with one name, the last.
        body: decoded; kept out of the repr because it holds the stream's URL and token.
        status: of the answer, None when there was none.
        received_at: Trio's time.
    """

    method: str
    path: str
    query: Mapping[str, str]
    body: Mapping[str, Any] = field(repr=False)
    status: int | None
    received_at: float


class RestApi:
    """Handles requests.

    Args:
        api_key: the only one that is let in.
        shelf: of recordings, which need no key.
        parts: of the API; the first that answers a request has it.
        settings: how the carrier behaves.
        webhooks: asked to be first where ``settings.webhook_before_reply`` says so.
        wall_clock: of the ``Date`` of replies, Unix seconds.
    """

    def __init__(
        self,
        *,
        api_key: str,
        shelf: RecordingShelf,
        parts: Sequence[Answer],
        settings: CarrierSettings,
        webhooks: WebhookSender,
        wall_clock: Callable[[], float],
    ) -> None:
        self.faults = Faults()
        self.requests: list[RestRequest] = []
        self._api_key = api_key
        self._shelf = shelf
        self._parts = parts
        self._settings = settings
        self._webhooks = webhooks
        self._wall_clock = wall_clock

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
        request = Request(method, ())
        response: Response | None = None
        try:
            if fault is not None and fault.drops == "request":
                raise ConnectionDropped
            if fault is not None and fault.response is not None:
                response = fault.response
            else:
                try:
                    if path.startswith(RECORDINGS_PATH):
                        response = self._shelf.fetch(path)
                    else:
                        self._authorize(headers)
                        request = read_request(method, target, body)
                        response = self._answer(request)
                except Refusal as refusal:
                    response = refusal.response()
        finally:
            status = response.status if response is not None else None
            self.requests.append(
                RestRequest(method, path, request.query, request.body, status, received_at)
            )
        if self._settings.webhook_before_reply:
            await self._webhooks.wait_attempted()
        if fault is not None:
            await trio.sleep(fault.delay)
            if fault.never_replies:
                await trio.sleep_forever()
            if fault.drops == "reply":
                raise ConnectionDropped
        await trio.sleep(self._settings.rest_latency / 2)
        return self._dated(response)

    def _authorize(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        expected = f"Bearer {self._api_key}".encode()
        given = [value for name, value in headers if name.lower() == b"authorization"]
        if len(given) != 1 or not compare_digest(given[0], expected):
            raise Refusal(401, "10009", "the API key is missing or unknown")

    def _answer(self, request: Request) -> Response:
        for part in self._parts:
            response = part(request)
            if response is not None:
                return response
        raise no_such_resource()

    def _dated(self, response: Response) -> Response:
        date = formatdate(self._wall_clock() + self._settings.clock_skew, usegmt=True)
        headers = [*response.headers, (b"date", date.encode("ascii"))]
        return Response(response.status, headers, response.body)
