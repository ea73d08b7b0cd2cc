"""Where Telnyx reaches this server: as told, or as ngrok on this machine tells."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

import httpx

from .._errors import ConfigurationError
from .._public_url import ngrok_address, normalise_public_url
from ._tunnels import choose_tunnel, no_tunnel

NGROK_API_URL: Final = "http://127.0.0.1:4040/api/tunnels"
"""Of ngrok's agent on this machine."""

_TIMEOUT: Final = 2.0
"""Seconds; an agent on this machine answers at once."""


async def find_public_url(
    public_url: str | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    port: int | None = None,
    ngrok_api_url: str = NGROK_API_URL,
) -> str:
    """Return the public address of this server: https://host, without a slash at the end.

    Args:
        public_url: as told by the user, who is right; None looks further.
        environment: where ``NGROK_URL`` is looked for next.
        port: that the server listens at; chooses among several tunnels of ngrok's.
        ngrok_api_url: of ngrok's agent, asked last.

    Raises:
        ConfigurationError: there is none, or it is no address, or there are several; it tells
            where was looked.
    Blocks: for at most 2 s, while ngrok's agent is asked.  Cancelled: nothing has changed.
    """
    told = (public_url or "").strip()
    source = "public_url"
    if not told and environment.get("NGROK_URL", "").strip():
        told, source = ngrok_address(environment["NGROK_URL"].strip()), "NGROK_URL"
    if not told:
        return await _ask_ngrok(ngrok_api_url, port)
    address = normalise_public_url(told)
    if address is None:
        raise ConfigurationError([f"{source} is no address: give https://host"])
    return address


async def _ask_ngrok(api_url: str, port: int | None) -> str:
    # It runs on this machine: a proxy from the environment must not be asked for it.
    async with httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False) as http:
        try:
            response = await http.get(api_url)
            reply = response.json() if response.is_success else None
        except httpx.HTTPError:
            raise no_tunnel(api_url, port, "does not answer") from None
        except ValueError:
            reply = None
    if not isinstance(reply, dict):
        raise no_tunnel(api_url, port, "is not ngrok's")
    return choose_tunnel(reply, port)
