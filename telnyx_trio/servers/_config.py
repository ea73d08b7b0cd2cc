"""What a call server must know, from code or from the environment."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, Final, Literal, get_args

from .._call import CallOptions
from .._errors import CodecNotInstalled, ConfigurationError
from .._public_url import ngrok_address, normalise_public_url
from .._types import (
    MEDIA_PATH,
    Encoding,
    IdleAudio,
    MissingAudio,
    ReceivedEncoding,
    SendMode,
    TelnyxMediaFormat,
    TrackSelection,
    WireByteOrder,
)
from .._websocket import IngestMode
from ..audio import load_codecs
from ..call_control import DEFAULT_BASE_URL, SamplingRate, StreamCodec, StreamOptions, StreamTrack
from ..webhooks import WebhookVerifier
from ._collector import GC_THRESHOLD

MAX_CALLS: Final = 200
MEDIA_TIMEOUT: Final = 30.0
DRAIN_TIMEOUT: Final = 30.0

_STREAM_TRACKS: Final[Mapping[TrackSelection, StreamTrack]] = {
    "inbound": "inbound_track",
    "outbound": "outbound_track",
    "both": "both_tracks",
}

_VARIABLES: Final = {
    "api_key": ("TELNYX_API_KEY", "your Telnyx API key (portal, API keys)"),
    "public_key": ("TELNYX_PUBLIC_KEY", "the account's public key (portal, API keys, Public key)"),
    "public_url": ("NGROK_URL", "the public host that leads to this server"),
    "connection_id": ("TELNYX_CALL_CONTROL_APP_ID", "the id of your Call Control application"),
    "phone_number": ("TELNYX_PHONE_NUMBER", "your Telnyx number, in E.164 form"),
    "base_url": ("TELNYX_BASE_URL", "Telnyx's REST API, with its /v2"),
}
"""Where each setting comes from, and what it is."""

_CHOICES: Final = {
    "media_auth": ("path", "header"),
    "ingest": get_args(IngestMode),
    "send_mode": get_args(SendMode),
    "send_encoding": get_args(Encoding),
    "receive_encoding": (None, *get_args(ReceivedEncoding)),
}
_CALL_CHOICES: Final = {
    "track": get_args(TrackSelection),
    "byteorder": get_args(WireByteOrder),
    "idle_audio": get_args(IdleAudio),
    "missing_audio": get_args(MissingAudio),
    "in_band_dtmf": (False, True),
}
_BOUNDS: Final = {
    "port": (0, 65535),
    "max_calls": (1, inf),
    "media_timeout": (0, inf),
    "drain_timeout": (0, inf),
    "gc_threshold": (0, 2**31 - 1),
}

_SEND_RATES: Final[Mapping[object, tuple[int, ...]]] = {
    "L16": get_args(SamplingRate),
    "OPUS": (8000, 16000, 24000, 48000),
}
"""Of what can be sent at more than one rate; the rest is 8000 Hz, as is the RTP clock of G722, the
audio of which has 16000."""

_ALWAYS_NEEDED: Final = ("api_key", "public_key", "public_url")


@dataclass(frozen=True)
class ServerConfig:
    """Settings of a call server. Keys do not show in its repr.

    Attributes:
        api_key: Telnyx API key.
        public_key: the account's public key, in base64, that webhooks are verified with.
        public_url: where Telnyx reaches this server: "https://host", a bare host (https is meant),
            or "http://host:port" for local use, where media then goes to ws://. None is the address
            that the server listens on, which is right for a simulator on this machine.
        base_url: of Telnyx's REST API, with its "/v2".
        connection_id: id of the Call Control application that ``dial`` uses.
        phone_number: E.164 number that ``dial`` calls from unless told otherwise.
        host, port: where to listen; port 0 takes a free one.
        send_mode: "rtp": audio in real time, ``call.send``; or "mp3": whole MP3 files,
            ``call.send_mp3``, for which Telnyx needs no codec. It holds for all of a call.
        send_encoding: codec of what we send: "PCMU", "PCMA", "L16", "G722" or "OPUS".
        send_sample_rate: in Hz; None is the codec's own: 8000, for L16 and OPUS 16000.
        receive_encoding: codec that Telnyx is asked to send us, "AMR-WB" too; None is that of the
            call's leg. G722, OPUS and AMR-WB need the extra [codecs], also when a leg has them.
        media_auth: "path": a one-use token in the media URL, so that one command answers; or
            "header": the token goes in a header of the media socket, which takes a second command.
        custom_parameters: handed to ``start`` by Telnyx.
        max_calls: calls at a time; further callers hear busy.
        media_timeout: seconds that an answered call may stay without a media socket.
        drain_timeout: seconds that a graceful stop waits for running calls.
        ingest: when media sockets are read. "immediate": each as soon as there is something;
            "adaptive": so with few calls, and together on a tick of 10 ms, which costs less, with
            32 and more, or 8 and a load of 30 %. With ``open_app`` it is the web server that reads.
        gc_threshold: objects that may be made while the server runs before Python's garbage
            collector looks for cycles, if it would look sooner: with hundreds of calls it does so
            too often, for up to 0.1 s. 0 leaves Python's own.
        call: how each call is run, see ``CallOptions``; ``send_format`` and ``send_mode`` are not
            among it here, as the settings above say them.
    """

    api_key: str = field(repr=False)
    public_key: str = field(repr=False)
    public_url: str | None = None
    base_url: str = DEFAULT_BASE_URL
    connection_id: str | None = None
    phone_number: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    send_mode: SendMode = "rtp"
    send_encoding: Encoding = "PCMU"
    send_sample_rate: SamplingRate | None = None
    receive_encoding: StreamCodec | None = None
    media_auth: Literal["path", "header"] = "path"
    custom_parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    max_calls: int = MAX_CALLS
    media_timeout: float = MEDIA_TIMEOUT
    drain_timeout: float = DRAIN_TIMEOUT
    ingest: IngestMode = "adaptive"
    gc_threshold: int = GC_THRESHOLD
    call: CallOptions = field(default_factory=CallOptions)

    def __post_init__(self) -> None:
        """Check what can be checked without the network.

        Raises:
            ConfigurationError: names every setting that is wrong.
        """
        problems = _problems_of(vars(self))
        if problems:
            raise ConfigurationError(problems)
        if self.public_url is not None:
            object.__setattr__(self, "public_url", normalise_public_url(self.public_url))

    @classmethod
    def from_environment(
        cls,
        environment: Mapping[str, str] = os.environ,
        *,
        needed: Collection[str] = (),
        **overrides: Any,
    ) -> ServerConfig:
        """Read TELNYX_API_KEY, TELNYX_PUBLIC_KEY, NGROK_URL and the optional settings.

        Args:
            environment: where to look. ``NGROK_URL`` is a host, with or without a scheme; it is
                reached by https, unless it is this machine.
            needed: further fields that must be set, such as "phone_number".
            **overrides: fields that are known already; None counts as not known.

        Raises:
            ConfigurationError: names every setting that is missing or wrong.
        """
        values = {name: value for name, value in overrides.items() if value is not None}
        problems = []
        for name, (variable, meaning) in _VARIABLES.items():
            found = environment.get(variable, "").strip()
            if found and name == "public_url":
                found = ngrok_address(found)
            if found:
                values.setdefault(name, found)
            elif name not in values and (name in _ALWAYS_NEEDED or name in needed):
                problems.append(f"{variable} is not set: it is {meaning}")
        problems += _problems_of(values)
        if problems:
            raise ConfigurationError(problems)
        return cls(**values)

    @property
    def send_format(self) -> TelnyxMediaFormat:
        """What Telnyx is asked to take from us."""
        return self.stream_options("").send_format

    def at(self, url: str) -> ServerConfig:
        """Return this with ``url`` as the public address, if it has none."""
        return self if self.public_url else replace(self, public_url=url)

    def stream_options(self, token: str) -> StreamOptions:
        """Return what Telnyx must know to stream a call's media to us, with the call's token."""
        scheme, _, rest = (self.public_url or "https://").partition("://")
        media_url = f"{'wss' if scheme == 'https' else 'ws'}://{rest}{MEDIA_PATH}"
        in_path = self.media_auth == "path"
        return StreamOptions(
            stream_url=f"{media_url}/{token}" if in_path else media_url,
            stream_track=_STREAM_TRACKS[self.call.get("track", "inbound")],
            stream_codec=self.receive_encoding,
            bidirectional_mode=self.send_mode,
            bidirectional_codec=self.send_encoding,
            bidirectional_sampling_rate=self.send_sample_rate,
            auth_token=None if in_path or not token else token,
            custom_parameters=self.custom_parameters,
        )


def _problems_of(values: Mapping[str, Any]) -> list[str]:
    """Name what is wrong with the settings that are there."""
    problems = []
    for name in ("api_key", "public_key"):
        if not values.get(name, "-"):
            problems.append(f"{name} is empty: set {_VARIABLES[name][0]}")
    public_key = values.get("public_key")
    if public_key:
        try:
            WebhookVerifier(public_key)
        except ConfigurationError as error:
            problems += [f"public_key: {problem}" for problem in error.problems]
    public_url = values.get("public_url")
    if public_url is not None and normalise_public_url(public_url) is None:
        problems.append("public_url is no address: give https://host, or http://host:port")
    base_url = values.get("base_url")
    if base_url is not None and not str(base_url).startswith(("https://", "http://")):
        problems.append("base_url is no address: TELNYX_BASE_URL is like https://host/v2")
    for name, choices in _CHOICES.items():
        if name in values and values[name] not in choices:
            problems.append(f"{name} is {values[name]!r}; it may be {', '.join(map(str, choices))}")
    problems += _problems_of_codecs(values)
    for name, (least, largest) in _BOUNDS.items():
        value = values.get(name, least)
        if not isinstance(value, (int, float)) or not least <= value <= largest:
            problems.append(f"{name} is {value!r}; it may be {least} to {largest:g}")
    return problems + _problems_of_call(values.get("call", {}))


def _problems_of_codecs(values: Mapping[str, Any]) -> list[str]:
    problems = []
    encoding = values.get("send_encoding", "PCMU")
    rate, rates = values.get("send_sample_rate"), _SEND_RATES.get(encoding, (8000,))
    if rate is not None and rate not in rates:
        problems.append(
            f"send_sample_rate is {rate!r}; of {encoding} it may be {', '.join(map(str, rates))}"
        )
    for name in sorted({str(encoding), str(values.get("receive_encoding"))}):
        try:
            # Loaded now, and not while a caller waits.
            load_codecs(name)
        except CodecNotInstalled as error:
            problems.append(str(error))
    return problems


def _problems_of_call(call: Mapping[str, Any]) -> list[str]:
    known = CallOptions.__annotations__.keys() - {"send_format", "send_mode"}
    problems = [
        f"call has no option {name!r}; it has {', '.join(sorted(known))}"
        for name in call
        if name not in known
    ]
    for name, choices in _CALL_CHOICES.items():
        if name in call and call[name] not in choices:
            problems.append(
                f"{name} of call is {call[name]!r}; it may be {', '.join(map(str, choices))}"
            )
    voice_activity = call.get("voice_activity")
    if voice_activity is not None and not callable(voice_activity):
        problems.append(
            f"voice_activity of call is {voice_activity!r}; it makes a detector, as VoiceGate does"
        )
    for name in known - _CALL_CHOICES.keys() - {"voice_activity"}:
        value = call.get(name, 0.0)
        if not isinstance(value, (int, float)) or not value >= 0:
            problems.append(f"{name} of call is {value!r}; it is a number of seconds")
    return problems
