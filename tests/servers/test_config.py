from __future__ import annotations

import base64
import sys
from typing import Any

import pytest

from telnyx_trio import ConfigurationError, ServerConfig, TelnyxMediaFormat
from telnyx_trio._public_url import normalise_public_url

PUBLIC_KEY = base64.b64encode(bytes(32)).decode()
ENVIRONMENT = {
    "TELNYX_API_KEY": "KEY0",
    "TELNYX_PUBLIC_KEY": PUBLIC_KEY,
    "NGROK_URL": "abc.ngrok.app",
    "TELNYX_BASE_URL": "http://127.0.0.1:9/v2",
    "TELNYX_CALL_CONTROL_APP_ID": "123",
    "TELNYX_PHONE_NUMBER": "+15550000009",
}


def test_from_environment() -> None:
    """Every variable lands in its field; a bare host is reached by https."""
    config = ServerConfig.from_environment(ENVIRONMENT)
    assert (config.api_key, config.public_key) == ("KEY0", PUBLIC_KEY)
    assert config.public_url == "https://abc.ngrok.app"
    assert config.base_url == "http://127.0.0.1:9/v2"
    assert (config.connection_id, config.phone_number) == ("123", "+15550000009")


def test_overrides_win() -> None:
    """What is known already is not looked up; None counts as not known."""
    config = ServerConfig.from_environment(
        ENVIRONMENT, public_url="http://localhost:8000/", phone_number=None
    )
    assert config.public_url == "http://localhost:8000"
    assert config.phone_number == "+15550000009"


def test_missing_settings_are_named_together() -> None:
    """One error names all that is missing."""
    with pytest.raises(ConfigurationError) as caught:
        ServerConfig.from_environment({})
    text = str(caught.value)
    assert len(caught.value.problems) == 3
    for name in ("TELNYX_API_KEY", "TELNYX_PUBLIC_KEY", "NGROK_URL"):
        assert name in text


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"api_key": ""}, "api_key"),
        ({"public_key": "no key"}, "public key"),
        ({"public_url": "ftp://x"}, "public_url"),
        ({"media_auth": "query"}, "media_auth"),
        ({"max_calls": 0}, "max_calls"),
        ({"max_calls": None}, "max_calls"),
        ({"port": -5}, "port"),
        ({"port": 70000}, "port"),
        ({"drain_timeout": -1}, "drain_timeout"),
        ({"base_url": "nonsense"}, "TELNYX_BASE_URL"),
        ({"send_encoding": "AMR-WB"}, "send_encoding is 'AMR-WB'; it may be PCMU, PCMA, L16"),
        ({"send_encoding": "pcmu"}, "send_encoding"),
        ({"receive_encoding": "GSM"}, "receive_encoding"),
        ({"send_encoding": "G722", "send_sample_rate": 16000}, "of G722 it may be 8000"),
        ({"send_encoding": "OPUS", "send_sample_rate": 22050}, "of OPUS it may be 8000, 16000"),
        ({"send_sample_rate": 24000}, "send_sample_rate"),
        ({"send_mode": "wav"}, "send_mode is 'wav'; it may be rtp, mp3"),
        ({"call": {"send_mode": "mp3"}}, "no option 'send_mode'"),
        ({"call": {"trak": "both"}}, "no option 'trak'"),
        ({"call": {"send_format": TelnyxMediaFormat("PCMA")}}, "no option 'send_format'"),
        ({"call": {"track": "bth"}}, "track of call"),
        ({"call": {"byteorder": "middle"}}, "byteorder of call"),
        ({"call": {"lead": -1}}, "lead of call"),
    ],
)
def test_wrong_settings(wrong: dict[str, str], word: str) -> None:
    """A setting that cannot be right is refused when the config is made."""
    settings = {"api_key": "KEY0", "public_key": PUBLIC_KEY, **wrong}
    with pytest.raises(ConfigurationError, match=word):
        ServerConfig(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("abc.ngrok.app", "https://abc.ngrok.app"),
        ("http://abc.ngrok.app/", "https://abc.ngrok.app"),
        ("https://abc.ngrok.app", "https://abc.ngrok.app"),
        ("http://192.168.0.2:8000", "http://192.168.0.2:8000"),
        ("localhost:8000", "http://localhost:8000"),
        ("https://localhost", "https://localhost"),
    ],
)
def test_ngrok_url(host: str, expected: str) -> None:
    """A tunnel is reached by https however it is written; a local address with a port is not."""
    assert ServerConfig.from_environment({**ENVIRONMENT, "NGROK_URL": host}).public_url == expected


def test_keys_do_not_show() -> None:
    """The repr holds neither key."""
    shown = repr(ServerConfig(api_key="KEY0", public_key=PUBLIC_KEY))
    assert "KEY0" not in shown
    assert PUBLIC_KEY not in shown


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("host.example", "https://host.example"),
        (" https://host.example/ ", "https://host.example"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("https://host.example/voice/", "https://host.example/voice"),
        ("ws://host.example", None),
        ("https://", None),
        ("https://host.example?x=1", None),
        ("https://user:secret@host.example", None),
        ("https://host.example:99999", None),
        ("https://[::1", None),
        ("a b", None),
    ],
)
def test_public_url(given: str, expected: str | None) -> None:
    """A public address is made whole, or refused."""
    assert normalise_public_url(given) == expected


def test_token_in_path_or_header() -> None:
    """The token goes where ``media_auth`` says, never to both places."""
    config = ServerConfig(api_key="K", public_key=PUBLIC_KEY, public_url="https://h/voice")
    stream = config.stream_options("token")
    assert stream.stream_url == "wss://h/voice/telnyx/media/token"
    assert stream.auth_token is None
    assert "token" not in repr(stream)
    config = ServerConfig(
        api_key="K", public_key=PUBLIC_KEY, public_url="http://h:8", media_auth="header"
    )
    stream = config.stream_options("token")
    assert (stream.stream_url, stream.auth_token) == ("ws://h:8/telnyx/media", "token")


def test_send_format_is_what_is_asked_for() -> None:
    """L16 means 16 kHz unless told otherwise; G.711 8 kHz."""
    config = ServerConfig(api_key="K", public_key=PUBLIC_KEY, send_encoding="L16")
    assert config.send_format == TelnyxMediaFormat("L16", 16000)
    config = ServerConfig(api_key="K", public_key=PUBLIC_KEY, send_encoding="PCMA")
    assert config.send_format == TelnyxMediaFormat("PCMA", 8000)
    config = ServerConfig(api_key="K", public_key=PUBLIC_KEY, send_encoding="OPUS")
    assert config.send_format == TelnyxMediaFormat("OPUS", 16000)
    config = ServerConfig(api_key="K", public_key=PUBLIC_KEY, send_encoding="G722")
    assert config.send_format == TelnyxMediaFormat("G722", 8000)
    assert config.send_format.audio_sample_rate == 16000


def test_codecs_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are named before any call, each once; the others need nothing."""
    monkeypatch.setitem(sys.modules, "av", None)
    keys: dict[str, Any] = {"api_key": "KEY0", "public_key": PUBLIC_KEY}
    ServerConfig(**keys, send_encoding="L16", receive_encoding="PCMA")
    with pytest.raises(ConfigurationError) as caught:
        ServerConfig(**keys, send_encoding="OPUS", receive_encoding="AMR-WB")
    assert caught.value.problems == (
        "AMR-WB needs the extra [codecs]: pip install 'telnyx-trio[codecs]'",
        "OPUS needs the extra [codecs]: pip install 'telnyx-trio[codecs]'",
    )
