"""What the examples share: flags and settings, the account, and the simulator beside them."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, NoReturn

import trio

from telnyx_trio import (
    CallServer,
    ConfigurationError,
    ServerConfig,
    TelnyxError,
    check_destination,
    find_public_url,
    open_temporary_setup,
    preflight,
    require_ready,
    undo_dead_runs,
)
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
    parser.add_argument(
        "--log-level",
        type=str.upper,
        choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
        default="INFO",
        help="least level of what is logged (%(default)s)",
    )
    return parser


def add_account_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of examples that look at the account, or set it up."""
    parser.add_argument(
        "--setup-telnyx",
        action="store_true",
        help="make a temporary Call Control application, and take it back in the end",
    )
    parser.add_argument(
        "--outbound-voice-profile",
        metavar="ID_OR_NAME",
        help="of several, the one that the temporary application gets",
    )
    parser.add_argument(
        "--skip-verified-destination-check",
        action="store_true",
        help="the account is not restricted to verified numbers",
    )


def missing_application(options: argparse.Namespace) -> list[str]:
    """Say what is missing if no application is named and none is to be made."""
    named = options.call_control_app_id or os.environ.get("TELNYX_CALL_CONTROL_APP_ID", "").strip()
    if options.setup_telnyx or named:
        return []
    return [
        "TELNYX_CALL_CONTROL_APP_ID is not set: it is the id of your Call Control application;"
        " or let --setup-telnyx make a temporary one"
    ]


@dataclass(frozen=True)
class Place:
    """Where an example runs.

    Attributes:
        config: settings that lead there.
        carrier: the simulated one; None for Telnyx.
        state_dir: of the undo journal; None is the user's own.
    """

    config: ServerConfig
    carrier: Carrier | None = None
    state_dir: str | None = None


@asynccontextmanager
async def open_place(
    options: argparse.Namespace, *, needed: Collection[str] = (), missing: Sequence[str] = ()
) -> AsyncIterator[Place]:
    """Read the settings that lead to Telnyx, or run a simulated carrier, as the flags say.

    Args:
        options: of the command line.
        needed: settings without which the example can't do its work.
        missing: what is missing besides; not asked for in a simulation.
    """
    if not options.simulate:
        yield Place(await read_config(options, needed=needed, missing=missing))
        return
    async with open_carrier() as carrier:
        carrier.account.add_number(SIMULATED_NUMBER, connection_id=carrier.connection_id)
        carrier.account.add_verified_number(SIMULATED_PARTY)
        config = ServerConfig(
            api_key=carrier.api_key,
            public_key=carrier.public_key,
            base_url=carrier.base_url,
            connection_id=carrier.connection_id,
            phone_number=SIMULATED_NUMBER,
            port=0,
        )
        # This account ends with the process, so that nobody could undo anything afterwards.
        with tempfile.TemporaryDirectory() as state_dir:
            yield Place(config, carrier, state_dir)


async def read_config(
    options: argparse.Namespace, *, needed: Collection[str], missing: Sequence[str]
) -> ServerConfig:
    """Read the settings from flags, environment and ngrok; name all that are missing at once."""
    environment = dict(os.environ)
    if options.ngrok_url:
        environment["NGROK_URL"] = options.ngrok_url
    problems: list[str] = []
    public_url = "https://not-found.invalid"  # until all problems are known
    try:
        public_url = await find_public_url(
            options.public_url, environment=environment, port=options.port
        )
    except ConfigurationError as error:
        problems += error.problems
    try:
        config = ServerConfig.from_environment(
            environment,
            public_url=public_url,
            connection_id=options.call_control_app_id,
            phone_number=options.from_ or options.phone_number,
            host=options.host,
            port=options.port,
            needed=needed,
        )
    except ConfigurationError as error:
        problems += error.problems
    problems += missing
    if problems:
        raise ConfigurationError(problems)
    return config


@asynccontextmanager
async def open_account(
    server: CallServer,
    place: Place,
    options: argparse.Namespace,
    direction: Literal["inbound", "outbound"],
    to: str | None = None,
) -> AsyncIterator[str | None]:
    """Have the account ready, and give the id of the Call Control application.

    With --setup-telnyx it is made so, for as long as the body runs; else it must be so. Before
    that, the server makes sure that its public address leads to itself, and what a run left that
    was killed is put back.
    """
    await server.check_public_url()
    account, config = server.client.account, server.config
    if not options.setup_telnyx:
        for report in await undo_dead_runs(account, state_dir=place.state_dir):
            print("\n".join(report.lines()), file=sys.stderr)
        if place.carrier is not None:
            place.carrier.webhook_url = f"{server.url}/telnyx/events"
        findings = await preflight(
            account,
            connection_id=config.connection_id,
            public_url=config.public_url,
            phone_number=config.phone_number,
            phone_number_id=options.phone_number_id,
            to=to,
            directions=[direction],
            check_verified_destination=not options.skip_verified_destination_check,
        )
        require_ready(findings)
        yield config.connection_id
        return
    if to is not None and not options.skip_verified_destination_check:
        require_ready([await check_destination(account, to)])
    is_called = direction == "inbound"
    async with open_temporary_setup(
        server.client,
        public_url=config.public_url or "",
        phone_number=config.phone_number if is_called else None,
        phone_number_id=options.phone_number_id if is_called else None,
        outbound_voice_profile=options.outbound_voice_profile,
        state_dir=place.state_dir,
    ) as setup:
        print(f"made the application {setup.application_name}", flush=True)
        yield setup.connection_id


def ending_signals() -> list[signal.Signals]:
    """Return Ctrl-C, a request to terminate and, but for nohup, that of a closed terminal."""
    ending = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        ending.append(signal.SIGHUP)
    return ending


@asynccontextmanager
async def cancelled_by_signals() -> AsyncIterator[trio.CancelScope]:
    """Cancel the body at a signal that asks to end, however often it comes."""
    async with trio.open_nursery() as nursery:
        with trio.open_signal_receiver(*ending_signals()) as signals:
            scope = trio.CancelScope()

            @nursery.start_soon
            async def watch() -> None:
                async for _ in signals:
                    scope.cancel()

            with scope:
                yield scope
            nursery.cancel_scope.cancel()


async def serve_until_signal(server: CallServer, news: str) -> None:
    """Wait for a signal, then for the running calls to end; at a second signal for nothing.

    Args:
        server: that is running.
        news: printed once a signal is waited for, and not a moment before.
    """
    with trio.open_signal_receiver(*ending_signals()) as signals:
        print(news, flush=True)
        await anext(signals)
        print("waiting for running calls; once more to hang up on them", flush=True)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def watch() -> None:
                await anext(signals)
                nursery.cancel_scope.cancel()

            await server.stop()
            nursery.cancel_scope.cancel()


def run(
    main: Callable[[argparse.Namespace], Awaitable[int]], options: argparse.Namespace
) -> NoReturn:
    """Run an example and exit with its status; what can't be helped is told in a line."""
    logging.basicConfig(level=options.log_level, format="%(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        sys.exit(trio.run(main, options))
    except* (TelnyxError, OSError) as errors:
        for error in _leaves(errors):
            for problem in getattr(error, "problems", [error]):
                print(problem, file=sys.stderr)
    sys.exit(1)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
