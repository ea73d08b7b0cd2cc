"""Settings of the commands: a flag goes before the environment, and that before a ``.env`` file.

Each value is kept with where it came from, so that a wrong one can be named by its place. What a
setting may be is not decided here: that is ``ServerConfig``'s.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import ConfigurationError, ServerConfig, TelnyxClient, find_public_url, open_client
from ._env_file import read_env_file
from ._settings_table import (
    DEFAULT_ENV_FILE,
    IN_ENVIRONMENT,
    SERVER_SETTINGS,
    SETTINGS,
    Setting,
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

    def is_flag(self, name: str) -> bool:
        """Whether a value was given by its flag."""
        return self.sources.get(name, "").startswith("--")

    @property
    def phone_number_id(self) -> str | None:
        """Id of the number; that of the environment is not of a number that is given by a flag."""
        if self.is_flag("phone_number") and not self.is_flag("phone_number_id"):
            return None
        found: str | None = self["phone_number_id"]
        return found

    async def find_public_url(self) -> str:
        """Find the server's public address: told, or that of ngrok's tunnel.

        Raises:
            ConfigurationError: there is none, or it is none.
        Blocks: at most 2 s, while ngrok is asked.
        """
        try:
            return await find_public_url(
                self["public_url"] if self.is_flag("public_url") else None,
                environment=self.environment,
                port=self["port"],
            )
        except ConfigurationError as error:
            raise ConfigurationError(self._with_sources(error.problems)) from None

    @asynccontextmanager
    async def open_client(self) -> AsyncIterator[TelnyxClient]:
        """Open a REST client with the key and the address found.

        Raises:
            ConfigurationError: names all that is missing or wrong, and where it came from.
        """
        async with AsyncExitStack() as stack:
            problems = list(self.problems)
            try:
                client = await stack.enter_async_context(
                    open_client(self["api_key"], base_url=self["base_url"])
                )
            except ConfigurationError as error:
                problems += self._with_sources(error.problems)
            if problems:
                raise ConfigurationError(problems)
            yield client

    def simulated_config(self, **account: Any) -> ServerConfig:
        """Make the settings of a server for a simulated account; its port is any, unless it is set.

        Raises:
            ConfigurationError: names all that are wrong, and where each came from.
        """
        fields = {name: self[name] for name in SERVER_SETTINGS if name not in IN_ENVIRONMENT}
        if "port" not in self.sources:
            fields["port"] = 0
        problems = list(self.problems)
        try:
            config = ServerConfig(**fields, **account)
        except ConfigurationError as error:
            problems += self._with_sources(error.problems)
        if problems:
            raise ConfigurationError(problems)
        return config

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
            public_url = await self.find_public_url()
        except ConfigurationError as error:
            problems += error.problems
        flags = {
            name: value
            for name, value in self.values.items()
            if name in SERVER_SETTINGS and (name not in IN_ENVIRONMENT or self.is_flag(name))
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
        return [f"{problem}{self._source_of(problem)}" for problem in problems]

    def _source_of(self, problem: str) -> str:
        """Say where the setting that a problem is about came from, or where it was looked for."""
        subject = problem.partition(" ")[0].strip(":,")
        for name, setting in SETTINGS.items():
            if subject == name or re.search(rf"\b{setting.variable}\b", problem):
                found = self.sources.get(name)
                return f" (from {found})" if found else f" (looked in {self.looked_in})"
        return ""


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
        in_file, problems = read_env_file(path)
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
