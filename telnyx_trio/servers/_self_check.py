"""Whether the public address of a server leads to this very server.

The server asks itself, from outside: ``GET /healthz`` at its public address, with a random
challenge in a header. The reply holds a proof that only this process can make, a MAC of the
challenge under a key that it made when it started. Whoever else asks learns nothing by it.
"""

from __future__ import annotations

import hmac
import re
import secrets
import socket
import ssl
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

import httpx

from .._errors import PublicUrlUnreachable
from .._http_client import causes, make_http_client
from .._redact import cut

HEALTH_PATH: Final = "/healthz"
CHALLENGE_HEADER: Final = "x-telnyx-trio-challenge"
PROOF_HEADER: Final = "x-telnyx-trio-proof"

CHECK_TIMEOUT: Final = 10.0
"""Seconds for connecting, and as many for the reply. Telnyx gives up on a webhook after 2 s, but
the first request through a tunnel is slower than the others."""

_CHALLENGE: Final = re.compile(rb"[0-9a-f]{32}")
_GATEWAY_ERRORS: Final = (502, 503, 504)


class SelfProof:
    """What one server can prove, and no other."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def answer(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
        """Return the proof that a request's headers ask for, None if they ask for none."""
        for name, value in headers:
            if name.lower() == CHALLENGE_HEADER.encode() and _CHALLENGE.fullmatch(value):
                return self.prove(value)
        return None

    def prove(self, challenge: bytes) -> bytes:
        """Return the proof for a challenge."""
        return hmac.digest(self._key, challenge, "sha256").hex().encode()


async def check_public_url(
    url: str, proof: SelfProof, *, transport: httpx.AsyncBaseTransport | None = None
) -> None:
    """Ask for ``/healthz`` at this address, and return if the server with this proof answers.

    Raises:
        ConfigurationError: proxy or certificates of the environment can't be used.
        PublicUrlUnreachable: it does not; which hop failed, and what to look at.
    Blocks: at most 10 s for the connection and 10 s for the reply.
    Cancelled: nothing has changed.
    """
    challenge = _new_challenge()
    shown = await _ask(url, challenge, transport)
    _compare(url, shown, proof.prove(challenge.encode()).decode())


async def check_running_server(
    public_url: str, local_url: str, *, transport: httpx.AsyncBaseTransport | None = None
) -> None:
    """Return if the public address leads to the server that runs at a local one.

    For programs that are not that server. Both addresses are given the same challenge, and only one
    process can answer both in the same way.

    Raises:
        ConfigurationError: proxy or certificates of the environment can't be used.
        PublicUrlUnreachable: no server of this library answers at ``local_url``, or another one or
            none at ``public_url``; ``url`` says which address it is about.
    Blocks: as ``check_public_url``, for each of the addresses.
    Cancelled: nothing has changed.
    """
    challenge = _new_challenge()
    expected = await _ask(local_url, challenge, transport)
    _compare(public_url, await _ask(public_url, challenge, transport), expected)


def _new_challenge() -> str:
    return secrets.token_hex(16)


async def _ask(url: str, challenge: str, transport: httpx.AsyncBaseTransport | None) -> str:
    """Return the proof that is given at an address."""
    headers = {CHALLENGE_HEADER: challenge, "ngrok-skip-browser-warning": "1"}
    async with make_http_client(url, timeout=CHECK_TIMEOUT, transport=transport) as http:
        try:
            response = await http.get(f"{url}{HEALTH_PATH}", headers=headers)
        except httpx.HTTPError as error:
            raise _no_reply(url, error) from error
    shown = response.headers.get(PROOF_HEADER)
    if shown is None:
        raise _strange_reply(url, response)
    return str(shown)


def _compare(url: str, shown: str, expected: str) -> None:
    if not hmac.compare_digest(shown.encode(), expected.encode()):
        raise PublicUrlUnreachable(
            url,
            "server",
            "another telnyx_trio server answers there; end it, or give this one an address of its"
            " own",
        )


def _no_reply(url: str, error: httpx.HTTPError) -> PublicUrlUnreachable:
    host = urlsplit(url).hostname
    found = list(causes(error))
    if any(isinstance(cause, socket.gaierror) for cause in found):
        problem = f"there is no host {host} (DNS); if it is a tunnel, it may have ended"
        return PublicUrlUnreachable(url, "DNS", problem)
    for cause in found:
        if isinstance(cause, ssl.SSLCertVerificationError):
            problem = f"the certificate of {host} is not valid: {cause.verify_message}"
            return PublicUrlUnreachable(url, "TLS", problem)
        if isinstance(cause, ssl.SSLError):
            reason = cause.reason or type(cause).__name__
            problem = f"there is no TLS with {host} ({reason}); is the port right?"
            return PublicUrlUnreachable(url, "TLS", problem)
    if isinstance(error, httpx.ConnectTimeout):
        problem = f"no connection (TCP, TLS) to {host} within {CHECK_TIMEOUT:g} s"
        return PublicUrlUnreachable(url, "TCP", problem)
    if isinstance(error, (httpx.ConnectError, httpx.ProxyError)):
        problem = f"{host} takes no connection (TCP); is the tunnel or proxy running?"
        return PublicUrlUnreachable(url, "TCP", problem)
    if isinstance(error, httpx.TimeoutException):
        problem = f"connected, but no reply within {CHECK_TIMEOUT:g} s"
        return PublicUrlUnreachable(url, "reply", problem)
    return PublicUrlUnreachable(
        url, "reply", f"connected, but the connection broke ({type(error).__name__})"
    )


def _strange_reply(url: str, response: httpx.Response) -> PublicUrlUnreachable:
    """Return the error for a reply that does not come from a server of ours."""
    ngrok_code = response.headers.get("ngrok-error-code")
    if ngrok_code:
        problem = (
            f"ngrok answers with {cut(ngrok_code)}: the tunnel has ended, or does not lead to the"
            " port of this server"
        )
        return PublicUrlUnreachable(url, "tunnel", problem)
    if response.status_code in _GATEWAY_ERRORS:
        problem = (
            f"a tunnel or proxy answers with HTTP {response.status_code}: it does not reach the"
            " port of this server"
        )
        return PublicUrlUnreachable(url, "tunnel", problem)
    if response.is_redirect:
        target = cut(response.headers.get("location", "nowhere"))
        problem = f"it redirects to {target}, and Telnyx follows no redirect"
        return PublicUrlUnreachable(url, "reply", problem)
    name = response.headers.get("server")
    by = f" by {cut(name)}" if name else ""
    problem = (
        f"something else answers there (HTTP {response.status_code}{by}), or a proxy drops the"
        f" header {CHALLENGE_HEADER}"
    )
    return PublicUrlUnreachable(url, "server", problem)
