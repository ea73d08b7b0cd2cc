"""The server that ``telnyx-trio call`` calls, and what it must have been started with."""

from __future__ import annotations

import shlex
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx

from .. import ConfigurationError
from ..testing import Carrier

DEFAULT_URL: Final = "http://127.0.0.1:8000"
CARRIER_HOST: Final = "127.0.0.1"
CARRIER_PORT: Final = 9001

_EVENTS_PATH: Final = "/telnyx/events"
_HEALTH_PATH: Final = "/healthz"
_PROBE_TIMEOUT: Final = 5.0


@dataclass(frozen=True)
class Target:
    """The server that is called.

    Attributes:
        url: as given: its address, or that of its webhooks.
        carrier_port: where it finds the carrier.
    """

    url: str
    carrier_port: int

    def __post_init__(self) -> None:
        """Check the URL.

        Raises:
            ConfigurationError: it is none.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError([f"--url {self.url} is no address: it is like {DEFAULT_URL}"])

    @property
    def address(self) -> str:
        """Of the server, without a path of Telnyx's."""
        return self.url.rstrip("/").removesuffix(_EVENTS_PATH)

    @property
    def webhook_url(self) -> str:
        """Where its webhooks go."""
        return f"{self.address}{_EVENTS_PATH}"

    def environment(self, carrier: Carrier) -> dict[str, str]:
        """Return the settings that a server must be started with."""
        return {
            "TELNYX_BASE_URL": f"http://{CARRIER_HOST}:{self.carrier_port}/v2",
            "TELNYX_API_KEY": carrier.api_key,
            "TELNYX_PUBLIC_KEY": carrier.public_key,
            "NGROK_URL": self.address,
        }

    def how_to_serve(self) -> str:
        """Return what to type in another terminal."""
        flags = [] if self.url == DEFAULT_URL else ["--url", shlex.quote(self.url)]
        flags += [] if self.carrier_port == CARRIER_PORT else ["--port", str(self.carrier_port)]
        command = " ".join(["telnyx-trio call --print-environment", *flags])
        port = urlsplit(self.url).port
        return (
            "is the server running with this carrier's settings? In another terminal:\n"
            f'  eval "$({command})"\n'
            f"  telnyx-trio serve MODULE:HANDLER --skip-checks{f' --port {port}' if port else ''}"
        )

    async def probe(self) -> None:
        """Return if a server answers there.

        Raises:
            ConfigurationError: none does.
        """
        try:
            # Trusts what the carrier trusts.
            context = ssl.create_default_context()
            async with httpx.AsyncClient(
                timeout=_PROBE_TIMEOUT, trust_env=False, verify=context
            ) as client:
                response = await client.get(f"{self.address}{_HEALTH_PATH}")
        except httpx.HTTPError as error:
            problem = f"nobody answers at {self.address} ({type(error).__name__})"
            raise ConfigurationError([f"{problem}; {self.how_to_serve()}"]) from error
        if response.status_code >= 500:
            problem = f"{self.address} takes no calls (HTTP {response.status_code})"
            raise ConfigurationError([f"{problem}: it is stopping, or a proxy finds no server"])
