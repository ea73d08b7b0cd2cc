"""What is asked of Telnyx about the media of a call, and which command can ask for it.

Pure. Source: ``types/call_dial_params.py``, ``types/calls/action_answer_params.py`` and
``action_start_streaming_params.py`` of Telnyx's Python SDK 4.189. Telnyx drops JSON fields that a
command does not have without a word, so that a call would run with other media than was asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

from .._errors import LocalProtocolError
from .._types import (
    TELNYX_DEFAULT_SAMPLE_RATE,
    TELNYX_L16_SAMPLE_RATE,
    TelnyxMediaFormat,
)

StreamingCommand: TypeAlias = Literal["dial", "answer", "streaming_start"]
StreamTrack: TypeAlias = Literal["inbound_track", "outbound_track", "both_tracks"]
StreamCodec: TypeAlias = Literal["PCMU", "PCMA", "G722", "OPUS", "AMR-WB", "L16", "default"]
BidirectionalCodec: TypeAlias = Literal["PCMU", "PCMA", "G722", "OPUS", "AMR-WB", "L16"]
BidirectionalMode: TypeAlias = Literal["mp3", "rtp"]
SamplingRate: TypeAlias = Literal[8000, 16000, 22050, 24000, 48000]
TargetLegs: TypeAlias = Literal["both", "self", "opposite"]

MAX_STREAM_URL_CHARACTERS: Final = 2000
"""Longer URLs are refused with error 10003."""

MAX_AUTH_TOKEN_CHARACTERS: Final = 4000

_COMMON: Final = frozenset(
    {
        "stream_url",
        "stream_track",
        "stream_codec",
        "stream_bidirectional_mode",
        "stream_bidirectional_codec",
        "stream_bidirectional_target_legs",
    }
)
_SAMPLING_RATE: Final = "stream_bidirectional_sampling_rate"

STREAM_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "dial": _COMMON
    | {
        _SAMPLING_RATE,
        "stream_auth_token",
        "stream_establish_before_call_originate",
        "send_silence_when_idle",
    },
    "answer": _COMMON | {"send_silence_when_idle"},
    "streaming_start": _COMMON | {_SAMPLING_RATE, "stream_auth_token", "custom_parameters"},
    "transfer": frozenset(),
}
"""Which fields about media each command has; other commands are not known to have any."""

_ALL_STREAM_FIELDS: Final = frozenset[str]().union(*STREAM_FIELDS.values())


def check_stream_fields(command: str, names: Collection[str]) -> None:
    """Refuse fields about media that a command does not have; others pass.

    Raises:
        LocalProtocolError: the command has no such field.
    """
    if command not in STREAM_FIELDS:
        return
    strangers = sorted(_ALL_STREAM_FIELDS.intersection(names) - STREAM_FIELDS[command])
    if strangers:
        raise LocalProtocolError(
            f"{command} has no field {', '.join(strangers)}; Telnyx would ignore it without a word"
        )


@dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """The media stream to ask Telnyx for.

    Attributes:
        stream_url: where Telnyx connects to, ``wss://`` or, locally, ``ws://``; at most 2000
            characters. It may hold a token, so the repr does not show it.
        stream_track: which direction Telnyx sends us.
        stream_codec: of the audio from Telnyx; None leaves the leg's own. Telnyx may fall back to
            the leg's codec: what ``start`` says is what counts.
        bidirectional_mode: Telnyx's default is "mp3": whole files, and nothing in real time.
        bidirectional_codec: of the audio to Telnyx, in "rtp" mode; so is its rate.
        bidirectional_sampling_rate: of the audio to Telnyx, in Hz; None is 16000 for L16, OPUS and
            AMR-WB, and 8000 for the rest. Of G722 it is the RTP clock: the audio has 16000. It is
            always said to Telnyx where the command can say it.
        target_legs: who hears what we send. Telnyx's default "opposite" is nobody on a single leg.
        auth_token: sent by Telnyx as a header of the handshake; at most 4000 characters. The repr
            does not show it.
        custom_parameters: come back in the ``start`` message.

    Raises:
        LocalProtocolError: a value is one that Telnyx does not take.
    """

    stream_url: str = field(repr=False)
    stream_track: StreamTrack = "inbound_track"
    stream_codec: StreamCodec | None = None
    bidirectional_mode: BidirectionalMode = "rtp"
    bidirectional_codec: BidirectionalCodec = "PCMU"
    bidirectional_sampling_rate: SamplingRate | None = None
    target_legs: TargetLegs = "self"
    auth_token: str | None = field(default=None, repr=False)
    custom_parameters: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    def __post_init__(self) -> None:
        if not self.stream_url.startswith(("ws://", "wss://")):
            raise LocalProtocolError("stream_url does not start with wss:// or ws://")
        if len(self.stream_url) > MAX_STREAM_URL_CHARACTERS:
            raise LocalProtocolError(
                f"stream_url has {len(self.stream_url)} characters;"
                f" Telnyx takes {MAX_STREAM_URL_CHARACTERS}"
            )
        if self.auth_token is not None and not (
            0 < len(self.auth_token) <= MAX_AUTH_TOKEN_CHARACTERS
        ):
            raise LocalProtocolError(
                f"auth_token has {len(self.auth_token)} characters;"
                f" Telnyx takes 1 to {MAX_AUTH_TOKEN_CHARACTERS}"
            )
        for name, value, choices in (
            ("stream_track", self.stream_track, get_args(StreamTrack)),
            ("stream_codec", self.stream_codec, (None, *get_args(StreamCodec))),
            ("bidirectional_mode", self.bidirectional_mode, get_args(BidirectionalMode)),
            ("bidirectional_codec", self.bidirectional_codec, get_args(BidirectionalCodec)),
            (
                "bidirectional_sampling_rate",
                self.bidirectional_sampling_rate,
                (None, *get_args(SamplingRate)),
            ),
            ("target_legs", self.target_legs, get_args(TargetLegs)),
        ):
            if value not in choices:
                raise LocalProtocolError(
                    f"{name} is {value!r}; Telnyx takes {', '.join(map(str, choices))}"
                )

    @property
    def send_format(self) -> TelnyxMediaFormat:
        """How audio to Telnyx has to be coded, as asked for here; mono."""
        rate = self.bidirectional_sampling_rate
        if rate is None:
            is_wide = self.bidirectional_codec in ("L16", "OPUS", "AMR-WB")
            rate = TELNYX_L16_SAMPLE_RATE if is_wide else TELNYX_DEFAULT_SAMPLE_RATE
        return TelnyxMediaFormat(self.bidirectional_codec, rate)

    def needs_streaming_start(self, command: Literal["dial", "answer"] = "answer") -> bool:
        """Tell whether ``command`` cannot ask for all of this, so that a second one has to.

        ``streaming_start`` can, once the call has been answered.
        """
        return bool(self._beyond(command))

    def fields_for(self, command: StreamingCommand) -> dict[str, object]:
        """Return the JSON fields by which ``command`` asks for this stream.

        Raises:
            LocalProtocolError: the command cannot ask for all of it; see ``needs_streaming_start``.
        """
        beyond = self._beyond(command)
        if beyond:
            raise LocalProtocolError(
                f"{command} cannot ask for {' and '.join(beyond)};"
                " streaming_start can, once the call has been answered"
            )
        fields: dict[str, object] = {
            "stream_url": self.stream_url,
            "stream_track": self.stream_track,
            "stream_bidirectional_mode": self.bidirectional_mode,
            "stream_bidirectional_target_legs": self.target_legs,
        }
        if self.bidirectional_mode == "rtp":
            fields["stream_bidirectional_codec"] = self.bidirectional_codec
        if self.stream_codec is not None:
            fields["stream_codec"] = self.stream_codec
        if self.bidirectional_mode == "rtp" and _SAMPLING_RATE in STREAM_FIELDS[command]:
            fields[_SAMPLING_RATE] = self.send_format.sample_rate
        if self.auth_token is not None:
            fields["stream_auth_token"] = self.auth_token
        if self.custom_parameters:
            fields["custom_parameters"] = [
                {"name": name, "value": value} for name, value in self.custom_parameters.items()
            ]
        return fields

    def _beyond(self, command: StreamingCommand) -> list[str]:
        """Name what was asked for that the command has no field for."""
        has = STREAM_FIELDS[command]
        beyond: list[str] = []
        # Without the field Telnyx takes 8000 Hz, which is what we want unless another rate is asked
        # for. For L16, where 8 and 16 kHz are both common, that default is not relied on.
        is_rtp = self.bidirectional_mode == "rtp"
        if (
            is_rtp
            and _SAMPLING_RATE not in has
            and (
                self.send_format.sample_rate != TELNYX_DEFAULT_SAMPLE_RATE
                or self.bidirectional_codec == "L16"
            )
        ):
            beyond.append("bidirectional_sampling_rate")
        if "stream_auth_token" not in has and self.auth_token is not None:
            beyond.append("auth_token")
        if "custom_parameters" not in has and self.custom_parameters:
            beyond.append("custom_parameters")
        return beyond
