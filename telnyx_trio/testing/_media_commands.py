"""Reading the bodies of commands that play, record and gather; see ``_commands`` for the rest.

Fields and values: Telnyx's SDK 4.189.0, types/calls/action_*_params.py; the defaults are those of
its command line.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias

import trio

from ._announcer import Announcement, Ears, Stop
from ._audio_files import decode_audio, speak_text
from ._codecs import Samples
from ._commands import Body, check_url, read_choice, read_text, require
from ._gather import GatherRules
from ._gathering import GatherRequest
from ._mp3 import has_mp3
from ._recorder import RecordRequest
from ._refusals import Refusal
from ._transports import DownloadFailed

Download: TypeAlias = Callable[[str], Awaitable[bytes]]

_KEYS: Final = "0123456789ABCD*#"
_STOPS: Final = ("current", "all")
_EARS: Final = ("self", "opposite", "both")
_MAX_LOOPS: Final = 100

MAX_TEXT: Final = 5000
"""Characters of ``speak``, by the text of error 90010; the SDK says 3000."""


def read_stop(body: Body) -> Stop | None:
    """Return the field ``stop``, None without one.

    Raises:
        Refusal: it has another value; 422, 10032.
    """
    stop: Stop | None = read_choice(body, "stop", _STOPS)
    return stop


def read_speak(body: Body, payload_field: str = "payload") -> Announcement:
    """Return what ``speak`` is to say.

    Args:
        body: of the request.
        payload_field: where the text is.

    Raises:
        Refusal: a field is missing (10004), too long (90010) or has a value that will not do.
    """
    require(body, payload_field, "voice")
    text = read_text(body, payload_field) or ""
    read_text(body, "voice")
    read_text(body, "language")
    read_choice(body, "payload_type", ("text", "ssml"))
    read_choice(body, "service_level", ("basic", "premium"))
    if len(text) > MAX_TEXT:
        detail = f"'{payload_field}' must have 1 to {MAX_TEXT} characters"
        raise Refusal(422, "90010", detail, payload_field)
    return Announcement(
        "speak", partial(_speak, text), loop=_read_loop(body), ears=_read_ears(body)
    )


def read_playback(body: Body, download: Download, url_field: str = "audio_url") -> Announcement:
    """Return what ``playback_start`` is to play.

    Args:
        body: of the request.
        download: fetches a URL.
        url_field: where the URL is.

    Raises:
        Refusal: there is nothing to play (10004), or a value will not do.
    """
    name_field = url_field.replace("audio_url", "media_name")
    url, name = read_text(body, url_field), read_text(body, name_field)
    content = read_text(body, "playback_content")
    read_choice(body, "audio_type", ("mp3", "wav"))
    if not (url or name or content):
        detail = f"one of '{url_field}', '{name_field}' and 'playback_content' is required"
        raise Refusal(422, "10004", detail, url_field)
    if url:
        check_url(url, url_field, ("http", "https"))
        load = partial(_fetch, download, url)
    elif name:
        load = partial(_find_media, name)
    else:
        load = partial(_decode, _read_base64(content or ""))
    overlay = body.get("overlay") is True
    return Announcement(
        "playback",
        load,
        fields={"media_url": url, "media_name": name, "overlay": overlay},
        loop=_read_loop(body),
        overlay=overlay,
        ears=_read_ears(body),
    )


def read_gather(body: Body) -> GatherRequest:
    """Return what ``gather`` is to collect.

    Raises:
        Refusal: a value is out of range (10033) or none that a phone has (10032).
    """
    rules = GatherRules(
        **_read_digit_rules(body),
        timeout=_read_millis(body, "timeout_millis", 60_000),
        initial_timeout=_read_millis(body, "initial_timeout_millis", 5_000),
    )
    gather_id = read_text(body, "gather_id")
    return GatherRequest(rules, fields={"gather_id": gather_id} if gather_id else {})


def read_gather_using(
    body: Body, read_prompt: Callable[[str], Announcement], field_name: str
) -> GatherRequest:
    """Return what ``gather_using_speak`` or ``gather_using_audio`` is to collect.

    Args:
        body: of the request.
        read_prompt: returns the prompt in a field.
        field_name: of the prompt; the one for further tries is named alike.

    Raises:
        Refusal: a value will not do.
    """
    rules = GatherRules(
        **_read_digit_rules(body),
        timeout=float("inf"),
        initial_timeout=_read_millis(body, "timeout_millis", 60_000),
    )
    prompt = read_prompt(field_name)
    retry_field = f"invalid_{field_name}"
    retry_prompt = read_prompt(retry_field) if body.get(retry_field) else prompt
    n_tries = _read_number(body, "maximum_tries", 3, 1, 128)
    return GatherRequest(rules, [prompt] + [retry_prompt] * (n_tries - 1))


def read_record(body: Body) -> RecordRequest:
    """Return what ``record_start`` is to record.

    Raises:
        Refusal: a field is missing (10004) or has a value that will not do.
    """
    require(body, "channels", "format")
    return _record_request(
        channels=read_choice(body, "channels", ("single", "dual")),
        format=read_choice(body, "format", ("wav", "mp3")),
        track=read_choice(body, "recording_track", ("both", "inbound", "outbound")),
        max_length=_read_number(body, "max_length", 0, 0, 14400),
        play_beep=body.get("play_beep") is True,
    )


def read_record_from_answer(body: Body) -> RecordRequest | None:
    """Return the recording that dial, answer or transfer asks for, None if it does not.

    Raises:
        Refusal: a value will not do.
    """
    if read_choice(body, "record", ("record-from-answer",)) is None:
        return None
    return _record_request(
        channels=read_choice(body, "record_channels", ("single", "dual")) or "dual",
        format=read_choice(body, "record_format", ("wav", "mp3")) or "mp3",
        track=read_choice(body, "record_track", ("both", "inbound", "outbound")),
        max_length=_read_number(body, "record_max_length", 0, 0, 43200),
    )


def _record_request(
    *, channels: Any, format: Any, track: Any, max_length: int, play_beep: bool = False
) -> RecordRequest:
    if format == "mp3" and not has_mp3():
        raise Refusal(
            422, "10032", "the simulator needs PyAV for MP3: pip install 'telnyx-trio[codecs]'"
        )
    return RecordRequest(
        channels=channels,
        format=format,
        track=track or "both",
        max_length=float(max_length or "inf"),
        play_beep=play_beep,
    )


def _read_digit_rules(body: Body) -> dict[str, Any]:
    least = _read_number(body, "minimum_digits", 1, 1, 128)
    most = _read_number(body, "maximum_digits", 128, 1, 128)
    if least > most:
        detail = "'minimum_digits' must not be above 'maximum_digits'"
        raise Refusal(422, "10033", detail, "minimum_digits")
    terminating = read_text(body, "terminating_digit")
    valid = read_text(body, "valid_digits")
    for name, keys in (("terminating_digit", terminating), ("valid_digits", valid)):
        if any(key not in _KEYS for key in keys or ""):
            raise Refusal(422, "10032", f"'{name}' must be of 0-9, A-D, * and #", name)
    if terminating is not None and len(terminating) > 1:
        detail = "'terminating_digit' must be one digit or empty"
        raise Refusal(422, "10032", detail, "terminating_digit")
    return {
        "minimum_digits": least,
        "maximum_digits": most,
        "inter_digit_timeout": _read_millis(body, "inter_digit_timeout_millis", 5_000),
        "terminating_digit": "#" if terminating is None else terminating,
        "valid_digits": valid or "0123456789#*",
    }


def _read_number(body: Body, name: str, default: int, least: int, most: int) -> int:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Refusal(422, "10033", f"'{name}' must be from {least} to {most}", name)
    return value


def _read_millis(body: Body, name: str, default: int) -> float:
    return _read_number(body, name, default, 1, 3_600_000) / 1000


def _read_loop(body: Body) -> float:
    loop = body.get("loop")
    if loop == "infinity":
        return float("inf")
    if isinstance(loop, str) and loop.isascii() and loop.isdigit():
        loop = int(loop[:9])
    return _read_number({"loop": loop}, "loop", 1, 1, _MAX_LOOPS)


def _read_ears(body: Body) -> Ears:
    ears: Ears | None = read_choice(body, "target_legs", _EARS)
    return ears or "self"


def _read_base64(content: str) -> bytes:
    try:
        return b64decode(content, validate=True)
    except ValueError:
        detail = "'playback_content' must be valid base64"
        raise Refusal(422, "10015", detail, "playback_content") from None


async def _speak(text: str) -> tuple[Samples, int]:
    await trio.lowlevel.checkpoint()
    return speak_text(text)


async def _fetch(download: Download, url: str) -> tuple[Samples, int]:
    return decode_audio(await download(url))


async def _decode(content: bytes) -> tuple[Samples, int]:
    await trio.lowlevel.checkpoint()
    return decode_audio(content)


async def _find_media(name: str) -> tuple[Samples, int]:
    await trio.lowlevel.checkpoint()
    raise DownloadFailed(f"the simulator stores no media, so no {name!r}", missing=True)
