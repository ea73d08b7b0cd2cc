"""Forms of the address at which Telnyx reaches a server."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")


def normalise_public_url(url: str) -> str | None:
    """Give a host its scheme, drop a trailing slash; None if it is no http(s) address."""
    url = url.strip()
    if "://" not in url:
        url = f"https://{url}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return None
    if parts.query or parts.fragment or parts.username or any(c.isspace() for c in url):
        return None
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def ngrok_address(host: str) -> str:
    """Return the address of a tunnel: https, but for ``http://host:port`` and this machine.

    A tunnel has no port, so who gives one together with http:// means a local network.
    """
    scheme, _, bare = host.rpartition("://")
    if scheme not in ("", "http", "https"):
        return host
    try:
        parts = urlsplit(f"//{bare}")
        has_port, name = parts.port is not None, parts.hostname
    except ValueError:
        return host
    is_here = name in LOCAL_HOSTS and scheme != "https"
    return f"http://{bare}" if is_here or (scheme == "http" and has_port) else f"https://{bare}"
