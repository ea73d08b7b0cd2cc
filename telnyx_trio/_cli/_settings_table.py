"""The table of settings that commands have, and their flags."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from ..call_control import SamplingRate

DEFAULT_ENV_FILE: Final = ".env"

_NO_ALIASES: Final[Mapping[str, str]] = {}


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: as ``ServerConfig`` and the commands know it.
        variable: of the environment, and in a ``.env`` file.
        meaning: one line for ``--help``; empty for what has no flag.
        flag: None for a secret, which other users of the machine would see among the processes.
        metavar: what stands for the value in ``--help``.
        kind: makes the value of a text.
        choices: what it may be, where these are few.
        default: where nothing is set.
    """

    name: str
    variable: str
    meaning: str = ""
    flag: str | None = None
    metavar: str | None = None
    kind: type[str] | type[int] | type[float] = str
    choices: Sequence[Any] | None = None
    default: Any = None


def _listed(*settings: Setting) -> Mapping[str, Setting]:
    return {setting.name: setting for setting in settings}


SETTINGS: Final = _listed(
    Setting("api_key", "TELNYX_API_KEY"),
    Setting("public_key", "TELNYX_PUBLIC_KEY"),
    Setting("base_url", "TELNYX_BASE_URL", "Telnyx's REST API", "--base-url", "URL"),
    Setting(
        "public_url",
        "NGROK_URL",
        "where Telnyx reaches this server",
        "--public-url",
        "https://HOST",
    ),
    Setting(
        "connection_id",
        "TELNYX_CALL_CONTROL_APP_ID",
        "id of your Call Control application",
        "--call-control-app-id",
        "ID",
    ),
    Setting("phone_number", "TELNYX_PHONE_NUMBER", "your number", "--phone-number", "E164"),
    Setting(
        "phone_number_id",
        "TELNYX_PHONE_NUMBER_ID",
        "id of that number at Telnyx",
        "--phone-number-id",
        "ID",
    ),
    Setting(
        "outbound_voice_profile",
        "TELNYX_OUTBOUND_VOICE_PROFILE",
        "of several, the one that --setup-telnyx takes",
        "--outbound-voice-profile",
        "ID_OR_NAME",
    ),
    Setting(
        "host", "TELNYX_TRIO_HOST", "address to listen at", "--host", "ADDRESS", default="127.0.0.1"
    ),
    Setting("port", "TELNYX_TRIO_PORT", "port to listen at", "--port", kind=int, default=8000),
    Setting(
        "max_calls",
        "TELNYX_TRIO_MAX_CALLS",
        "calls at a time",
        "--max-calls",
        "N",
        int,
        default=200,
    ),
    Setting(
        "drain_timeout",
        "TELNYX_TRIO_DRAIN_TIMEOUT",
        "seconds that running calls have when it stops",
        "--drain-timeout",
        "SECONDS",
        float,
        default=30.0,
    ),
    Setting(
        "send_encoding",
        "TELNYX_TRIO_SEND_ENCODING",
        "codec to Telnyx",
        "--send-encoding",
        "CODEC",
        default="PCMU",
    ),
    Setting(
        "send_sample_rate",
        "TELNYX_TRIO_SEND_SAMPLE_RATE",
        "its rate in Hz",
        "--send-sample-rate",
        "HZ",
        int,
        get_args(SamplingRate),
    ),
    Setting(
        "receive_encoding",
        "TELNYX_TRIO_RECEIVE_ENCODING",
        "codec to ask Telnyx for; that of the call otherwise",
        "--receive-encoding",
        "CODEC",
    ),
    Setting(
        "media_auth",
        "TELNYX_TRIO_MEDIA_AUTH",
        "where the media token goes",
        "--media-auth",
        choices=("path", "header"),
        default="path",
    ),
    Setting(
        "log_level",
        "TELNYX_TRIO_LOG_LEVEL",
        "how much is logged",
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
    ),
)

SERVER_SETTINGS: Final = (
    "public_url",
    "base_url",
    "connection_id",
    "phone_number",
    "host",
    "port",
    "max_calls",
    "drain_timeout",
    "send_encoding",
    "send_sample_rate",
    "receive_encoding",
    "media_auth",
)
"""Those that become a ``ServerConfig``, besides the two keys."""

ACCOUNT_SETTINGS: Final = (
    "public_url",
    "base_url",
    "connection_id",
    "phone_number",
    "phone_number_id",
    "port",
)
"""Those that say what is to be looked at, of an account and of this machine."""

IN_ENVIRONMENT: Final = (
    "api_key",
    "public_key",
    "base_url",
    "public_url",
    "connection_id",
    "phone_number",
)
"""Those that ``ServerConfig`` reads from the environment by itself."""


def add_settings(
    parser: argparse.ArgumentParser,
    names: Collection[str],
    *,
    aliases: Mapping[str, str] = _NO_ALIASES,
) -> None:
    """Add the flags of these settings, and ``--env-file``, to a command.

    Args:
        parser: of the command.
        names: of the settings.
        aliases: further flags, by name of the setting.
    """
    for name in names:
        setting = SETTINGS[name]
        assert setting.flag is not None
        default = "" if setting.default is None else f"; {setting.default}"
        parser.add_argument(
            *filter(None, (setting.flag, aliases.get(name))),
            dest=name,
            metavar=setting.metavar or (None if setting.choices else name.upper()),
            help=f"{setting.meaning} ({setting.variable}{default})",
        )
    parser.add_argument(
        "--env-file",
        metavar="PATH",
        help=f"file of settings, VARIABLE=value ({DEFAULT_ENV_FILE} here, if there is one)",
    )
