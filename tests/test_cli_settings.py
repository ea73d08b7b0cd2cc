"""Settings of the commands: which place wins, and how a wrong one is named."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from telnyx_trio import ConfigurationError
from telnyx_trio._cli._settings import Settings, read_settings
from telnyx_trio._cli._settings_table import SETTINGS, add_settings
from telnyx_trio.testing import open_carrier

FLAGGED = [name for name, setting in SETTINGS.items() if setting.flag]


def read(
    *arguments: str, environment: dict[str, str] | None = None, env_file: Path | None = None
) -> Settings:
    parser = argparse.ArgumentParser()
    add_settings(parser, FLAGGED)
    given = [*arguments, *(["--env-file", str(env_file)] if env_file else [])]
    return read_settings(parser.parse_args(given), environment or {})


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.env"
    path.write_text("# mine\n\nTELNYX_TRIO_PORT=7001\nexport TELNYX_TRIO_HOST='0.0.0.0'\n")
    return path


def test_defaults() -> None:
    """What nobody sets has its default."""
    settings = read()
    assert (settings["port"], settings["host"], settings["send_encoding"]) == (
        8000,
        "127.0.0.1",
        "PCMU",
    )
    assert settings["send_sample_rate"] is None
    assert settings.sources == {}


def test_flag_before_environment_before_file(env_file: Path) -> None:
    """The nearest place wins, and is remembered."""
    environment = {"TELNYX_TRIO_PORT": "7002"}
    assert read(env_file=env_file)["port"] == 7001
    assert read(environment=environment, env_file=env_file)["port"] == 7002
    settings = read("--port", "7003", environment=environment, env_file=env_file)
    assert settings["port"] == 7003
    assert settings.sources["port"] == "--port"
    assert settings.sources["host"] == f"line 4 of {env_file}"


def test_number_of_a_flag_has_not_the_id_of_another() -> None:
    """Where the number is told anew, the id that the environment has is of another one."""
    environment = {"TELNYX_PHONE_NUMBER_ID": "17", "TELNYX_PHONE_NUMBER": "+15550001111"}
    assert read(environment=environment).phone_number_id == "17"
    number = ("--phone-number", "+15550002222")
    assert read(*number, environment=environment).phone_number_id is None
    assert read(*number, "--phone-number-id", "18").phone_number_id == "18"


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        (["--port", "x"], {}, "port is 'x'; it is a whole number (from --port)"),
        (
            [],
            {"TELNYX_TRIO_DRAIN_TIMEOUT": "soon"},
            "drain_timeout is 'soon'; it is a number (from the environment,"
            " TELNYX_TRIO_DRAIN_TIMEOUT)",
        ),
        (
            ["--media-auth", "none"],
            {},
            "media_auth is 'none'; it may be path, header (from --media-auth)",
        ),
    ],
)
def test_wrong_value_is_named_with_its_source(
    arguments: list[str], environment: dict[str, str], expected: str
) -> None:
    """Who reads it knows where to look."""
    assert read(*arguments, environment=environment).problems == (expected,)


def test_wrong_value_in_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    """A line that is none is told too."""
    path = tmp_path / "a.env"
    path.write_text("TELNYX_TRIO_PORT=\n\nTELNYX_TRIO_MAX_CALLS=many\n=what\n")
    assert read(env_file=path).problems == (
        f"line 4 of {path} is no VARIABLE=value",
        f"max_calls is 'many'; it is a whole number (from line 3 of {path})",
    )


def test_file_that_is_not_there(tmp_path: Path) -> None:
    """A file that was asked for must be there."""
    [problem] = read(env_file=tmp_path / "none.env").problems
    assert problem == f"{tmp_path / 'none.env'} can't be read: No such file or directory"


async def test_all_problems_at_once_and_no_secret(tmp_path: Path) -> None:
    """Server settings are judged together; a key is named, never shown."""
    path = tmp_path / "a.env"
    path.write_text("TELNYX_API_KEY=KEY-SECRET\nTELNYX_PUBLIC_KEY=SECRET-not-a-key\n")
    settings = read("--base-url", "nowhere", "--public-url", "a b", env_file=path)
    with pytest.raises(ConfigurationError) as caught:
        await settings.server_config(needed=["phone_number"], missing=["--to is not given"])
    text = "\n".join(caught.value.problems)
    assert "TELNYX_PHONE_NUMBER is not set" in text
    assert f"(looked in the environment and {path})" in text
    assert "(from --base-url)" in text
    assert "public_key: the webhook public key is not base64; copy it" in text
    assert f"44 characters (from line 2 of {path})" in text
    assert "(from --public-url)" in text
    assert "--to is not given" in text
    assert "SECRET" not in text
    assert "SECRET" not in repr(settings)


async def test_settings_that_are_right() -> None:
    """They become a server's."""
    async with open_carrier() as carrier:
        environment = {
            "TELNYX_API_KEY": carrier.api_key,
            "TELNYX_PUBLIC_KEY": carrier.public_key,
            "TELNYX_BASE_URL": carrier.base_url,
            "NGROK_URL": "abc.ngrok-free.app",
        }
        settings = read("--port", "0", "--send-encoding", "L16", environment=environment)
        config = await settings.server_config()
    assert config.base_url == carrier.base_url
    assert (config.public_url, config.port) == ("https://abc.ngrok-free.app", 0)
    assert config.send_encoding == "L16"
