"""Settings of the commands: a flag goes before the environment, and that before a ``.env`` file.

Each value is kept with where it came from, so that a wrong one can be named by its place. What a
setting may be is not decided here: that is ``ServerConfig``'s.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

from .. import ConfigurationError, ServerConfig, find_public_url
from ..call_control import SamplingRate

DEFAULT_ENV_FILE: Final = ".env"


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

# ServerConfig reads these from the environment by itself.
_IN_ENVIRONMENT: Final = (
    "api_key",
    "public_key",
    "base_url",
    "public_url",
    "connection_id",
    "phone_number",
)


def add_settings(parser: argparse.ArgumentParser, names: Collection[str]) -> None:
    """Add the flags of these settings, and ``--env-file``, to a command."""
    for name in names:
        setting = SETTINGS[name]
        assert setting.flag is not None
        default = "" if setting.default is None else f"; {setting.default}"
        parser.add_argument(
            setting.flag,
            dest=name,
            metavar=setting.metavar or (None if setting.choices else name.upper()),
            help=f"{setting.meaning} ({setting.variable}{default})",
        )
    parser.add_argument(
        "--env-file",
        metavar="PATH",
        help=f"file of settings, VARIABLE=value ({DEFAULT_ENV_FILE} here, if there is one)",
    )


@dataclass(frozen=True)
class Settings:
    """Settings as they were found.

    Attributes:
        values: by name; what was not set has its default, or is not among them.
        sources: by name, where a value came from, such as "--port" or "line 3 of .env".
        environment: variables of the process and the ``.env`` file; holds secrets.
        problems: what is wrong with them, each with its source.
        looked_in: where variables were looked for, for people.
    """

    values: Mapping[str, Any] = field(repr=False)
    sources: Mapping[str, str]
    environment: Mapping[str, str] = field(repr=False)
    problems: tuple[str, ...]
    looked_in: str

    def __getitem__(self, name: str) -> Any:
        return self.values.get(name)

    async def server_config(
        self, *, needed: Collection[str] = (), missing: Sequence[str] = ()
    ) -> ServerConfig:
        """Make the settings of a server, its public address found if need be.

        Args:
            needed: further settings that must be there.
            missing: problems of the command's own, told together with these.

        Raises:
            ConfigurationError: names all that are missing or wrong, and where each came from.
        Blocks: at most 2 s, while ngrok is asked.
        """
        problems = list(self.problems)
        public_url = "https://not-found.invalid"  # until all problems are known
        try:
            public_url = await find_public_url(
                self["public_url"] if self.sources.get("public_url", "").startswith("--") else None,
                environment=self.environment,
                port=self["port"],
            )
        except ConfigurationError as error:
            problems += self._with_sources(error.problems)
        flags = {
            name: value
            for name, value in self.values.items()
            if name in SERVER_SETTINGS
            and (name not in _IN_ENVIRONMENT or self.sources.get(name, "").startswith("--"))
        }
        try:
            config = ServerConfig.from_environment(
                self.environment, needed=needed, **{**flags, "public_url": public_url}
            )
        except ConfigurationError as error:
            problems += self._with_sources(error.problems)
        problems += missing
        if problems:
            raise ConfigurationError(problems)
        return config

    def _with_sources(self, problems: Sequence[str]) -> list[str]:
        """Add to each problem where its setting came from, or where it was looked for."""
        return [f"{problem} ({self._source_of(problem)})" for problem in problems]

    def _source_of(self, problem: str) -> str:
        subject = problem.partition(" ")[0].strip(":,")
        for name, setting in SETTINGS.items():
            if subject in (name, setting.variable) and name in self.sources:
                return f"from {self.sources[name]}"
        return f"looked in {self.looked_in}"


def read_settings(
    options: argparse.Namespace, environment: Mapping[str, str] = os.environ
) -> Settings:
    """Find every setting of a command. Nothing is raised: problems are in the result.

    Args:
        options: with a text, or None, for each flag of ``add_settings``.
        environment: of the process; it is not changed.
    """
    path = Path(options.env_file or DEFAULT_ENV_FILE)
    problems: list[str] = []
    in_file: dict[str, tuple[str, int]] = {}
    if path.exists() or options.env_file:
        in_file, problems = _read_env_file(path)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, setting in SETTINGS.items():
        text, source = _find(setting, getattr(options, name, None), environment, in_file, path)
        if text is None:
            if setting.default is not None:
                values[name] = setting.default
            continue
        sources[name] = source
        try:
            values[name] = _value_of(setting, text)
        except ValueError as error:
            problems.append(f"{name} {error} (from {source})")
            values[name] = setting.default
    merged = {**{name: value for name, (value, _) in in_file.items()}, **environment}
    looked_in = "the environment" + (f" and {path}" if in_file else "")
    return Settings(values, sources, merged, tuple(problems), looked_in)


def _find(
    setting: Setting,
    given: str | None,
    environment: Mapping[str, str],
    in_file: Mapping[str, tuple[str, int]],
    path: Path,
) -> tuple[str | None, str]:
    if given is not None:
        return given, str(setting.flag)
    if environment.get(setting.variable, "").strip():
        return environment[setting.variable].strip(), f"the environment, {setting.variable}"
    if setting.variable in in_file:
        text, line = in_file[setting.variable]
        return text, f"line {line} of {path}"
    return None, ""


def _value_of(setting: Setting, text: str) -> Any:
    try:
        value = setting.kind(text)
    except ValueError:
        kind = "whole number" if setting.kind is int else "number"
        raise ValueError(f"is {text[:40]!r}; it is a {kind}") from None
    if setting.choices is not None and value not in setting.choices:
        listed = ", ".join(str(choice) for choice in setting.choices)
        raise ValueError(f"is {text[:40]!r}; it may be {listed}")
    return value


def _read_env_file(path: Path) -> tuple[dict[str, tuple[str, int]], list[str]]:
    """Return variables with the lines they stand at, and what can't be read."""
    try:
        from dotenv.parser import parse_stream
    except ImportError:
        return {}, [f"{path} can't be read without python-dotenv: pip install 'telnyx-trio[cli]'"]
    found: dict[str, tuple[str, int]] = {}
    problems = []
    try:
        with path.open(encoding="utf-8") as file:
            for binding in parse_stream(file):
                # The line before the first character of the value: comments above belong to it.
                leading = binding.original.string
                line = binding.original.line + len(leading) - len(leading.lstrip("\n"))
                if binding.error:
                    problems.append(f"line {line} of {path} is no VARIABLE=value")
                elif binding.key is not None and binding.value:
                    found[binding.key] = (binding.value, line)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problems.append(f"{path} can't be read: {reason}")
    return found, problems
