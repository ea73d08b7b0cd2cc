"""What the examples share: their flags, their settings, and the simulator beside them."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from telnyx_trio import ConfigurationError, ServerConfig
from telnyx_trio.testing import Carrier, open_carrier

SIMULATED_NUMBER = "+15550001111"
SIMULATED_PARTY = "+15550002222"


def make_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with the flags that every example has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulate", action="store_true", help="one call with a simulated carrier")
    parser.add_argument("--public-url", help="address that leads to this server: https://HOST")
    parser.add_argument("--ngrok-url", help="host of your ngrok tunnel (NGROK_URL)")
    parser.add_argument(
        "--call-control-app-id",
        help="id of your Call Control application (TELNYX_CALL_CONTROL_APP_ID)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen at (%(default)s)")
    return parser


def read_config(
    options: argparse.Namespace, *, also_missing: list[str] | None = None, **settings: Any
) -> ServerConfig:
    """Read the settings from flags and environment; name all that are missing at once."""
    environment = dict(os.environ)
    if options.ngrok_url:
        environment["NGROK_URL"] = options.ngrok_url
    problems = list(also_missing or ())
    try:
        config = ServerConfig.from_environment(
            environment,
            public_url=options.public_url,
            connection_id=options.call_control_app_id,
            host=options.host,
            port=options.port,
            **settings,
        )
    except ConfigurationError as error:
        problems = [*error.problems, *problems]
    if problems:
        raise SystemExit("\n".join(["These settings are missing or wrong:", *problems]))
    return config


@asynccontextmanager
async def open_simulation() -> AsyncIterator[tuple[Carrier, ServerConfig]]:
    """Run a simulated carrier; give it and the settings that lead to it."""
    async with open_carrier() as carrier:
        yield (
            carrier,
            ServerConfig(
                api_key=carrier.api_key,
                public_key=carrier.public_key,
                base_url=carrier.base_url,
                connection_id=carrier.connection_id,
                phone_number=SIMULATED_NUMBER,
                port=0,
            ),
        )


async def wait_for_signal() -> None:
    """Wait for Ctrl-C or a request to terminate."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return


async def cancel_on_signal(scope: trio.CancelScope) -> None:
    """Cancel a scope at Ctrl-C or a request to terminate, so that what it owns is closed."""
    await wait_for_signal()
    scope.cancel()
