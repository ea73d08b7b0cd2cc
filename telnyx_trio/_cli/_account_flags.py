"""The flags of commands that look at an account."""

from __future__ import annotations

import argparse
import os


def add_account_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say which application, number and address are to be looked at."""
    parser.add_argument("--public-url", metavar="URL", help="of the server (NGROK_URL, or ngrok)")
    parser.add_argument("--port", type=int, default=8000, help="of the server (%(default)s)")
    _add_setting(
        parser, "--call-control-app-id", "TELNYX_CALL_CONTROL_APP_ID", "Call Control application"
    )
    _add_setting(parser, "--phone-number", "TELNYX_PHONE_NUMBER", "your number, E.164")
    _add_setting(parser, "--phone-number-id", "TELNYX_PHONE_NUMBER_ID", "id of that number")
    parser.add_argument("--to", metavar="NUMBER", help="number to be called")
    parser.add_argument(
        "--skip-verified-destination-check",
        action="store_true",
        help="the account is not restricted to verified numbers",
    )


def _add_setting(parser: argparse.ArgumentParser, flag: str, variable: str, meaning: str) -> None:
    default = os.environ.get(variable)
    parser.add_argument(
        flag,
        metavar="ID" if flag.endswith("id") else "NUMBER",
        default=default,
        help=f"{meaning} ({variable})",
    )
