"""The Call Control application of ``serve`` and ``dial``: checked, or made for a while."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .. import (
    CallServer,
    check_destination,
    open_temporary_setup,
    preflight,
    require_ready,
)
from ..provisioning import Direction
from ._settings import Settings


def add_connection_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say how the application comes about."""
    parser.add_argument(
        "--setup-telnyx",
        action="store_true",
        help="make a temporary Call Control application, and take it back in the end",
    )
    parser.add_argument(
        "--skip-verified-destination-check",
        action="store_true",
        help="the account is not restricted to verified numbers",
    )


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
            phone_number_id=settings["phone_number_id"],
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
        phone_number_id=settings["phone_number_id"] if is_called else None,
        outbound_voice_profile=settings["outbound_voice_profile"],
    ) as setup:
        print(f"made the application {setup.application_name}", flush=True)
        yield setup.connection_id
