"""StreamOptions: what is asked of Telnyx about media, and by which command."""

from __future__ import annotations

import dataclasses
import typing

import pytest
from telnyx.types.call_dial_params import CallDialParams
from telnyx.types.calls.action_answer_params import ActionAnswerParams
from telnyx.types.calls.action_start_streaming_params import ActionStartStreamingParams
from telnyx.types.stream_bidirectional_codec import StreamBidirectionalCodec
from telnyx.types.stream_bidirectional_mode import StreamBidirectionalMode
from telnyx.types.stream_bidirectional_sampling_rate import StreamBidirectionalSamplingRate
from telnyx.types.stream_bidirectional_target_legs import StreamBidirectionalTargetLegs
from telnyx.types.stream_codec import StreamCodec as SdkStreamCodec

from telnyx_trio._errors import LocalProtocolError
from telnyx_trio._types import TelnyxMediaFormat
from telnyx_trio.call_control import StreamOptions, _stream_options
from telnyx_trio.call_control._stream_options import (
    STREAM_FIELDS,
    StreamingCommand,
    check_stream_fields,
)

URL = "wss://voice.example.com/telnyx/media/SECRET"
PARAMS: dict[StreamingCommand, frozenset[str]] = {
    "dial": frozenset(CallDialParams.__annotations__),
    "answer": frozenset(ActionAnswerParams.__annotations__),
    "streaming_start": frozenset(ActionStartStreamingParams.__annotations__),
}
COMMANDS = tuple(PARAMS)


def test_default_fields_of_dial() -> None:
    """Dial asks for all that is needed to hear and be heard in real time."""
    assert StreamOptions(stream_url=URL).fields_for("dial") == {
        "stream_url": URL,
        "stream_track": "inbound_track",
        "stream_bidirectional_mode": "rtp",
        "stream_bidirectional_codec": "PCMU",
        "stream_bidirectional_sampling_rate": 8000,
        "stream_bidirectional_target_legs": "self",
    }


def test_default_fields_of_answer() -> None:
    """Answer asks for the same, without the rate, for which it has no field."""
    assert StreamOptions(stream_url=URL).fields_for("answer") == {
        "stream_url": URL,
        "stream_track": "inbound_track",
        "stream_bidirectional_mode": "rtp",
        "stream_bidirectional_codec": "PCMU",
        "stream_bidirectional_target_legs": "self",
    }


def test_all_fields_of_streaming_start() -> None:
    """streaming_start can ask for everything."""
    options = StreamOptions(
        stream_url=URL,
        stream_track="both_tracks",
        stream_codec="L16",
        bidirectional_mode="rtp",
        bidirectional_codec="L16",
        bidirectional_sampling_rate=24000,
        target_legs="both",
        auth_token="TOKEN",
        custom_parameters={"room": "blue", "floor": "2"},
    )
    assert options.fields_for("streaming_start") == {
        "stream_url": URL,
        "stream_track": "both_tracks",
        "stream_codec": "L16",
        "stream_bidirectional_mode": "rtp",
        "stream_bidirectional_codec": "L16",
        "stream_bidirectional_sampling_rate": 24000,
        "stream_bidirectional_target_legs": "both",
        "stream_auth_token": "TOKEN",
        "custom_parameters": [
            {"name": "room", "value": "blue"},
            {"name": "floor", "value": "2"},
        ],
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_fields_are_those_of_the_official_sdk(command: StreamingCommand) -> None:
    """The table of fields is what Telnyx's own types say: no field more, none less."""
    about_media = set[str]().union(*STREAM_FIELDS.values())
    assert STREAM_FIELDS[command] == about_media & PARAMS[command]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("StreamCodec", SdkStreamCodec),
        ("BidirectionalCodec", StreamBidirectionalCodec),
        ("BidirectionalMode", StreamBidirectionalMode),
        ("SamplingRate", StreamBidirectionalSamplingRate),
        ("TargetLegs", StreamBidirectionalTargetLegs),
    ],
)
def test_choices_are_those_of_the_official_sdk(ours: str, theirs: object) -> None:
    """Each set of values is the one in Telnyx's own types."""
    assert set(typing.get_args(getattr(_stream_options, ours))) == set(typing.get_args(theirs))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"auth_token": "TOKEN"}, "auth_token"),
        ({"custom_parameters": {"room": "blue"}}, "custom_parameters"),
        ({"bidirectional_sampling_rate": 16000}, "bidirectional_sampling_rate"),
        ({"bidirectional_codec": "L16"}, "bidirectional_sampling_rate"),
        ({"bidirectional_codec": "OPUS"}, "bidirectional_sampling_rate"),
        (
            {"bidirectional_codec": "L16", "bidirectional_sampling_rate": 8000},
            "bidirectional_sampling_rate",
        ),
    ],
)
def test_beyond_answer(changes: dict[str, typing.Any], named: str) -> None:
    """What answer has no field for is refused, not left out, and streaming_start takes it."""
    options = dataclasses.replace(StreamOptions(stream_url=URL), **changes)
    assert options.needs_streaming_start()
    with pytest.raises(LocalProtocolError, match=f"{named}; streaming_start can"):
        options.fields_for("answer")
    assert options.fields_for("streaming_start")


@pytest.mark.parametrize("codec", ["PCMU", "PCMA", "G722"])
def test_answer_can_ask_for_narrow_codecs(codec: str) -> None:
    """With a codec at its only rate one command is enough."""
    options = StreamOptions(stream_url=URL, bidirectional_codec=codec)  # type: ignore[arg-type]
    assert not options.needs_streaming_start()
    assert options.fields_for("answer")["stream_bidirectional_codec"] == codec


@pytest.mark.parametrize("command", COMMANDS)
def test_mp3_mode_names_no_codec(command: StreamingCommand) -> None:
    """Codec and rate are of real-time audio; so no command is short of a field for them."""
    options = StreamOptions(stream_url=URL, bidirectional_mode="mp3", bidirectional_codec="L16")
    fields = options.fields_for(command)
    assert fields["stream_bidirectional_mode"] == "mp3"
    assert "stream_bidirectional_codec" not in fields
    assert "stream_bidirectional_sampling_rate" not in fields


def test_dial_can_ask_for_all_but_custom_parameters() -> None:
    """Dial has fields for rate and token, and none for custom parameters."""
    options = StreamOptions(stream_url=URL, bidirectional_codec="L16", auth_token="TOKEN")
    fields = options.fields_for("dial")
    assert fields["stream_bidirectional_sampling_rate"] == 16000
    assert fields["stream_auth_token"] == "TOKEN"
    assert not options.needs_streaming_start("dial")
    options = dataclasses.replace(options, custom_parameters={"room": "blue"})
    assert options.needs_streaming_start("dial")
    with pytest.raises(LocalProtocolError, match="dial cannot ask for custom_parameters"):
        options.fields_for("dial")


@pytest.mark.parametrize(
    ("codec", "rate", "expected"),
    [
        ("PCMU", None, TelnyxMediaFormat("PCMU", 8000)),
        ("PCMA", None, TelnyxMediaFormat("PCMA", 8000)),
        ("L16", None, TelnyxMediaFormat("L16", 16000)),
        ("L16", 8000, TelnyxMediaFormat("L16", 8000)),
        ("G722", None, TelnyxMediaFormat("G722", 8000)),
        ("OPUS", None, TelnyxMediaFormat("OPUS", 16000)),
        ("OPUS", 48000, TelnyxMediaFormat("OPUS", 48000)),
    ],
)
def test_send_format(codec: str, rate: int | None, expected: TelnyxMediaFormat) -> None:
    """The format to send in is the one that was asked for, with the codec's usual rate."""
    options = StreamOptions(
        stream_url=URL,
        bidirectional_codec=codec,  # type: ignore[arg-type]
        bidirectional_sampling_rate=rate,  # type: ignore[arg-type]
    )
    assert options.send_format == expected


def test_repr_shows_no_secret() -> None:
    """Neither URL nor token of a stream can reach a log through its repr."""
    shown = repr(StreamOptions(stream_url=URL, auth_token="TOKEN"))
    assert "SECRET" not in shown
    assert "TOKEN" not in shown


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"stream_url": "https://voice.example.com/SECRET"}, "stream_url does not start"),
        ({"stream_url": "wss://" + "x" * 1995}, "2001 characters"),
        ({"auth_token": ""}, "auth_token has 0 characters"),
        ({"auth_token": "x" * 4001}, "auth_token has 4001 characters"),
        ({"stream_track": "inbound"}, "stream_track is 'inbound'"),
        ({"stream_codec": "ulaw"}, "stream_codec is 'ulaw'"),
        ({"bidirectional_mode": "wav"}, "bidirectional_mode is 'wav'"),
        ({"bidirectional_codec": "pcmu"}, "bidirectional_codec is 'pcmu'"),
        ({"bidirectional_sampling_rate": 44100}, "bidirectional_sampling_rate is 44100"),
        ({"target_legs": "none"}, "target_legs is 'none'"),
    ],
)
def test_value_that_telnyx_does_not_take(changes: dict[str, typing.Any], problem: str) -> None:
    """A wrong value is refused before anything is sent, without quoting a secret."""
    with pytest.raises(LocalProtocolError, match=problem) as caught:
        StreamOptions(**({"stream_url": URL} | changes))
    assert "SECRET" not in str(caught.value)


def test_longest_url_and_token_pass() -> None:
    """The limits themselves are allowed."""
    StreamOptions(stream_url="wss://" + "x" * 1994, auth_token="x" * 4000)


def test_transfer_has_no_media_fields() -> None:
    """A transfer cannot ask for a stream."""
    with pytest.raises(LocalProtocolError, match="transfer has no field stream_url"):
        check_stream_fields("transfer", ["to", "stream_url"])


def test_unknown_commands_are_not_checked() -> None:
    """Of a command that the table does not know nothing is claimed."""
    check_stream_fields("playback_start", ["stream_url"])
