"""What the examples share: their flags, their settings, and the simulator beside them."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import trio

from telnyx_trio import CallServer, ConfigurationError, ServerConfig, TelnyxError
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
    parser.add_argument("--phone-number", help="your number, E.164 (TELNYX_PHONE_NUMBER)")
    parser.add_argument("--from", dest="from_", help="the same, as the number to call from")
    parser.add_argument(
        "--phone-number-id",
        default=os.environ.get("TELNYX_PHONE_NUMBER_ID"),
        help="id of that number at Telnyx; shown where the number is not (TELNYX_PHONE_NUMBER_ID)",
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
            phone_number=options.from_ or options.phone_number,
            host=options.host,
            port=options.port,
            **settings,
        )
    except ConfigurationError as error:
        problems = [*error.problems, *problems]
    if problems:
        if any("NGROK_URL" in problem for problem in problems):
            problems.append("instead of NGROK_URL you can give --public-url or --ngrok-url")
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


@asynccontextmanager
async def cancelled_by_signals() -> AsyncIterator[trio.CancelScope]:
    """Cancel the body at Ctrl-C or a request to terminate, however often these come."""
    async with trio.open_nursery() as nursery:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            scope = trio.CancelScope()

            @nursery.start_soon
            async def watch() -> None:
                async for _ in signals:
                    scope.cancel()

            with scope:
                yield scope
            nursery.cancel_scope.cancel()


async def stop_at_signal(server: CallServer, scope: trio.CancelScope) -> None:
    """At the first signal let running calls end, then cancel; at the second cancel at once."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            async for _ in signals:
                if server.is_draining:
                    break
                print("waiting for running calls; once more to hang up on them", flush=True)
                nursery.start_soon(_stop, server, nursery.cancel_scope)
            nursery.cancel_scope.cancel()
        scope.cancel()


async def _stop(server: CallServer, scope: trio.CancelScope) -> None:
    await server.stop()
    scope.cancel()


def run(main: Callable[..., Awaitable[int]], *arguments: Any) -> NoReturn:
    """Run an example and exit with its status; what can't be helped is told in a line."""
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        sys.exit(trio.run(main, *arguments))
    except* (TelnyxError, OSError) as errors:
        for error in _leaves(errors):
            print(error, file=sys.stderr)
    sys.exit(1)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
