"""The account that commands work with: looked at, or set up for a while."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from .. import (
    AccountClient,
    CallServer,
    ConfigurationError,
    Finding,
    check_destination,
    open_temporary_setup,
    preflight,
    require_ready,
)
from ..provisioning import Direction
from ..servers import open_control_socket
from ._settings import Settings
from ._settings_table import ACCOUNT_SETTINGS, add_settings


def add_connection_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say how the application comes about."""
    parser.add_argument(
        "--setup-telnyx",
        action="store_true",
        help="make a temporary Call Control application, and take it back in the end",
    )
    _add_skip_flag(parser)


def add_account_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of commands that look at an account without a call."""
    add_settings(parser, ACCOUNT_SETTINGS)
    parser.add_argument("--to", metavar="NUMBER", help="number to be called")
    _add_skip_flag(parser)


def _add_skip_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--skip-verified-destination-check",
        action="store_true",
        help="the account is not restricted to verified numbers",
    )


async def look_at_account(
    account: AccountClient,
    settings: Settings,
    options: argparse.Namespace,
    public_url: str | None,
) -> list[Finding]:
    """Return what ``preflight`` finds for the settings; changes nothing."""
    return await preflight(
        account,
        connection_id=settings["connection_id"],
        public_url=public_url,
        phone_number=settings["phone_number"],
        phone_number_id=settings.phone_number_id,
        to=options.to,
        check_verified_destination=not options.skip_verified_destination_check,
    )


@asynccontextmanager
async def shown_by_calls(server: CallServer) -> AsyncIterator[None]:
    """Let ``telnyx-trio calls`` see the server while the body runs.

    It takes calls all the same where that can't be, as in a container that is not to be written to.
    """
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(open_control_socket(server))
        except (OSError, ConfigurationError) as error:
            text = getattr(error, "strerror", None) or str(error)
            print(f"`telnyx-trio calls` will not show this server: {text}", file=sys.stderr)
        yield


@asynccontextmanager
async def open_connection(
    server: CallServer,
    settings: Settings,
    options: argparse.Namespace,
    direction: Direction,
    to: str | None = None,
) -> AsyncIterator[str | None]:
    """Give the id of the application, once the server's public address is known to lead to it.

    Raises:
        TelnyxError: something is not ready; the error says what mends it.
    """
    await server.check_public_url()
    account, config = server.client.account, server.config
    checks_destination = not options.skip_verified_destination_check
    if not options.setup_telnyx:
        findings = await preflight(
            account,
            connection_id=config.connection_id,
            public_url=config.public_url,
            phone_number=config.phone_number,
            phone_number_id=settings.phone_number_id,
            to=to,
            directions=[direction],
            check_verified_destination=checks_destination,
        )
        require_ready(findings)
        yield config.connection_id
        return
    if to is not None and checks_destination:
        require_ready([await check_destination(account, to)])
    is_called = direction == "inbound"
    async with open_temporary_setup(
        server.client,
        public_url=config.public_url or "",
        phone_number=config.phone_number if is_called else None,
        phone_number_id=settings.phone_number_id if is_called else None,
        outbound_voice_profile=settings["outbound_voice_profile"],
    ) as setup:
        print(f"made the application {setup.application_name}", flush=True)
        yield setup.connection_id
