"""Which of ngrok's tunnels leads to a port. Pure.

Source: ngrok, "Agent API" (``GET /api/tunnels``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from .._errors import ConfigurationError
from .._public_url import normalise_public_url

_HOW_ELSE = "give --public-url or set NGROK_URL to choose one"


def choose_tunnel(reply: Mapping[str, Any], port: int | None) -> str:
    """Return the public address of the https tunnel to use.

    Args:
        reply: of ``GET /api/tunnels``, decoded.
        port: that the server listens at; decides where there are several.

    Raises:
        ConfigurationError: there is none, or it is not clear which one.
    """
    listed = reply.get("tunnels")
    found = {}
    for tunnel in listed if isinstance(listed, list) else []:
        url = tunnel.get("public_url") if isinstance(tunnel, dict) else None
        if isinstance(url, str) and url.startswith("https://") and normalise_public_url(url):
            config = tunnel.get("config")
            address = config.get("addr") if isinstance(config, dict) else None
            found[normalise_public_url(url) or url] = str(address or "")
    if not found:
        raise ConfigurationError([f"ngrok runs, but has no https tunnel; {_start_one(port)}"])
    if len(found) == 1:
        return next(iter(found))
    fitting = [url for url, address in found.items() if port is not None and _port(address) == port]
    if len(fitting) == 1:
        return fitting[0]
    tunnels = ", ".join(f"{url} to {address}" for url, address in sorted(found.items()))
    count = "several lead to" if fitting else "none is known to lead to"
    ours = f"port {port}" if port is not None else "this server"
    raise ConfigurationError([f"ngrok has {tunnels}; {count} {ours}: {_HOW_ELSE}"])


def _start_one(port: int | None) -> str:
    return f"start one with: ngrok http {port or 'PORT'}"


def no_tunnel(api_url: str, port: int | None, reason: str) -> ConfigurationError:
    """Return the error for an address that is found nowhere."""
    return ConfigurationError(
        [
            "NGROK_URL is not set: it is the public host that leads to this server. Nor is there"
            f" --public-url, nor a tunnel of ngrok's: {api_url} {reason}; {_start_one(port)}"
        ]
    )


def _port(address: str) -> int | None:
    """Read the port of "http://localhost:8000", "localhost:8000" or "8000"."""
    bare = address.rpartition("://")[2]
    if bare.isdigit():
        return int(bare)
    try:
        port = urlsplit(f"//{bare}").port
    except ValueError:
        return None
    return port or {"http": 80, "https": 443}.get(urlsplit(address).scheme)
