"""One exchange with Telnyx's REST API: send, wait, try again, map what comes back.

The only module that knows httpx's errors.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import trio

from .._errors import CallControlError, CallControlUnreachable
from .._http_body import WholeBody
from .._http_client import causes, make_http_client
from .._redact import redact_url
from ._replies import Page, read_data, read_page, read_refusal
from ._retry import retry_pause

_logger = logging.getLogger("telnyx_trio.call_control")

CONNECT_TIMEOUT: Final = 5.0
"""Seconds for connection and TLS handshake; the same as in Telnyx's SDK."""

READ_TIMEOUT: Final = 10.0
"""Seconds without a byte of the answer. Four attempts with it stay within the 60 s in which Telnyx
knows a ``command_id`` again."""

MAX_CONNECTIONS: Final = 40
"""At once. httpcore 1.0's pool looks at every pair of idle connections whenever a request begins or
ends. Measured on loopback, 2 cores, replies after 250 ms, 200 hangups at once on warm connections:
20 connections 2.6 s; 32, 1.8 s; 40, 1.4 s; 50, 1.2 s; 64, 2.6 s; 100, 5.4 s, nearly all of it
computing, during which no call gets its audio."""

KEEPALIVE_EXPIRY: Final = 20.0
"""Seconds that an idle connection is kept. Shorter than the idle timeout of common load balancers
(60 s), so that a command seldom meets a connection that is being closed."""

_TIMEOUT: Final = httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT, pool=CONNECT_TIMEOUT)
_LIMITS: Final = httpx.Limits(
    max_connections=MAX_CONNECTIONS,
    max_keepalive_connections=MAX_CONNECTIONS,
    keepalive_expiry=KEEPALIVE_EXPIRY,
)

# These come before the first byte of the request is written.
_NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
_ALL_OF_HTTPX: Final = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.CookieConflict,
    httpx.StreamError,
)


class Exchange:
    """Sends requests with the API key; see ``open_exchange``.

    Attributes:
        api: scheme and host of the API.
        fingerprint: tells API and key from others, and does not give the key away.
        clock_skew: seconds that the API's clock was ahead of ours at its last reply, to a second
            and the reply's time on the way; None before.
    """

    def __init__(self, http: httpx.AsyncClient, secrets: Collection[str]) -> None:
        self.api: Final = redact_url(str(http.base_url))
        of_what = "\n".join((str(http.base_url), *secrets))
        self.fingerprint: Final = hashlib.sha256(of_what.encode()).hexdigest()[:16]
        self.clock_skew: float | None = None
        self._http = http
        self._secrets = tuple(secrets)
        # httpcore also walks all its waiting requests whenever one ends; this keeps them out of its
        # pool until there is a connection for them. It halves the computing of such a burst.
        self._slots = trio.CapacityLimiter(MAX_CONNECTIONS)

    async def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        action: str,
        is_about_call: bool,
        is_repeatable: bool,
    ) -> dict[str, Any]:
        """Return ``data`` of the reply, after retries if need be.

        Raises:
            CallControlUnreachable: no answer came; the cause is httpx's error.
            CallControlRefused: Telnyx answered with an error; one of its subclasses where one fits.
            CallControlError: the answer is a success that cannot be read.
        Blocks: while MAX_CONNECTIONS requests run, until the reply is there, and between attempts.
        Cancelled: the request may or may not have reached Telnyx.
        """
        request = partial(self._attempt, method, path, body, None, action, is_about_call)
        response = await self._repeat(request, is_repeatable)
        return read_data(action, response.status_code, response.content)

    async def request_page(self, path: str, query: Mapping[str, str], *, action: str) -> Page:
        """Return one page of a list; errors, blocking and cancellation as for ``request``."""
        request = partial(self._attempt, "GET", path, None, query, action, False)
        response = await self._repeat(request, is_repeatable=True)
        return read_page(action, response.status_code, response.content)

    async def _repeat(
        self, request: Callable[[], Awaitable[httpx.Response]], is_repeatable: bool
    ) -> httpx.Response:
        attempt = 1
        while True:
            try:
                return await request()
            except CallControlError as error:
                pause = retry_pause(error, attempt=attempt, is_repeatable=is_repeatable)
                if pause is None:
                    raise
                _logger.info("attempt %d: %s; again in %.1f s", attempt, error, pause)
            await trio.sleep(pause)
            attempt += 1

    async def _attempt(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        query: Mapping[str, str] | None,
        action: str,
        is_about_call: bool,
    ) -> httpx.Response:
        try:
            async with self._slots:
                request = self._http.build_request(method, path, json=body, params=query)
                request.stream = WholeBody(request.content)
                response = await self._http.send(request)
        except _NOT_SENT as error:
            problem = f"{self.api}: {why_unreachable(error)}"
            raise CallControlUnreachable(action, request_sent=False, problem=problem) from error
        except _ALL_OF_HTTPX as error:
            raise CallControlUnreachable(action, request_sent=True) from error
        self._note_clock(response.headers)
        if response.is_success:
            return response
        raise read_refusal(
            action,
            response.status_code,
            response.headers,
            response.content,
            is_about_call=is_about_call,
            secrets=(*self._secrets, *_secrets_in(body or {})),
        )

    def _note_clock(self, headers: httpx.Headers) -> None:
        with suppress(TypeError, ValueError):
            date = parsedate_to_datetime(headers.get("date", ""))
            self.clock_skew = date.timestamp() - time.time()


@asynccontextmanager
async def open_exchange(
    api_key: str, base_url: str, transport: httpx.AsyncBaseTransport | None
) -> AsyncIterator[Exchange]:
    """Open the connection pool; leaving closes it.

    Raises:
        ConfigurationError: proxy or certificates of the environment can't be used.
    """
    async with make_http_client(
        base_url,
        base_url=base_url,
        headers={"Authorization": f"Bearer {api_key}", "Accept": "application/json"},
        timeout=_TIMEOUT,
        limits=_LIMITS,
        transport=transport,
    ) as http:
        yield Exchange(http, (api_key,))


def why_unreachable(error: httpx.HTTPError) -> str:
    """Say in a few words why there was no connection."""
    for cause in causes(error):
        if isinstance(cause, socket.gaierror):
            return "there is no such host (DNS)"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not valid: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.errno and not isinstance(cause, ssl.SSLError):
            return os.strerror(cause.errno)
    return type(error).__name__


def _secrets_in(body: Mapping[str, object]) -> list[str]:
    """Collect what an error of Telnyx must not repeat to our logs."""
    secrets: list[str] = []
    token, url = body.get("stream_auth_token"), body.get("stream_url")
    if isinstance(token, str):
        secrets.append(token)
    if isinstance(url, str):
        parts = urlsplit(url)
        behind_host = url.split(parts.netloc, 1)[-1]
        secrets += [text for text in (url, behind_host) if len(text) > 1]
    return secrets
