"""The error classes: one tree, drawn in the module, public, and silent about secrets."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil
import re
from collections.abc import Iterator

import pytest

import telnyx_trio
from telnyx_trio import _errors
from telnyx_trio._errors import (
    ApiError,
    AuthenticationFailed,
    CallAlreadyEnded,
    CallBusy,
    CallControlError,
    CallControlRefused,
    CallControlUnreachable,
    CallEnded,
    CallExists,
    CallNoAnswer,
    CallNotAnswered,
    CallRejected,
    CodecNotInstalled,
    ConfigurationError,
    InvalidToken,
    MediaTimeout,
    RateLimited,
    RemoteProtocolError,
    StreamError,
    TelnyxError,
    UnknownCall,
    UnsupportedEncoding,
)

CLASSES = {
    name: value
    for name, value in vars(_errors).items()
    if inspect.isclass(value) and issubclass(value, Exception)
}


def _drawn_tree() -> dict[str, str | None]:
    """Read each class and its parent from the drawing in the module's docstring."""
    assert _errors.__doc__ is not None
    drawing = _errors.__doc__.split("::\n", 1)[1].split("The state of a resource", 1)[0]
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in drawing.splitlines():
        match = re.match(r"    ([│ ├└─]*)([A-Z]\w+)", line)
        if match:
            depth = len(match[1]) // 4
            path = [*path[:depth], match[2]]
            parents[match[2]] = path[-2] if depth else None
    return parents


def test_drawing_is_the_tree() -> None:
    """The tree in the docstring of ``_errors`` is the classes as they derive from each other."""
    tree = {
        name: next((base.__name__ for base in value.__bases__ if base in CLASSES.values()), None)
        for name, value in CLASSES.items()
    }
    assert _drawn_tree() == tree


def test_all_errors_are_public() -> None:
    """Whatever the library may raise can be caught by its public name."""
    assert {name for name in CLASSES if name not in telnyx_trio.__all__} == set()


def _modules() -> Iterator[str]:
    for module in pkgutil.walk_packages(telnyx_trio.__path__, "telnyx_trio."):
        if not re.search(r"\.(testing|_cli|__main__)\b", module.name):
            yield module.name


def test_no_other_module_has_errors_of_the_tree() -> None:
    """Every descendant of TelnyxError stands in ``_errors``."""
    strays = [
        f"{name}.{value.__name__}"
        for name in _modules()
        for value in vars(importlib.import_module(name)).values()
        if inspect.isclass(value)
        and issubclass(value, TelnyxError)
        and value.__module__ == name
        and value.__module__ != "telnyx_trio._errors"
    ]
    assert strays == []


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConfigurationError(["A is not set", "B is wrong"]), "A is not set; B is wrong"),
        (
            UnsupportedEncoding("GSM", ("PCMU", "PCMA", "L16")),
            "unsupported encoding 'GSM'; supported are PCMU, PCMA, L16",
        ),
        (
            CodecNotInstalled("G722"),
            "G722 needs the extra [codecs]: pip install 'telnyx-trio[codecs]'",
        ),
        (RemoteProtocolError("no chunk", event="media"), "media message: no chunk"),
        (RemoteProtocolError("no JSON"), "no JSON"),
        (StreamError(100004, "invalid_media", "bad"), "100004 invalid_media: bad"),
        (MediaTimeout("start", 10.0), "no start for 10 s"),
        (
            MediaTimeout("media", 30.0, peer_answers=False),
            "no media for 30 s; nor an answer to a ping",
        ),
        (MediaTimeout("media", 2.5, peer_answers=True), "no media for 2.5 s; the peer answers"),
        (UnknownCall("v3:a"), "unknown call_control_id: 'v3:a'"),
        (CallExists("v3:a"), "call_control_id is registered already: 'v3:a'"),
        (InvalidToken("used"), "media token refused: used"),
        (CallEnded("v3:a"), "call has ended: v3:a"),
        (
            CallBusy("v3:a", hangup_cause="user_busy", sip_hangup_cause="486"),
            "callee is busy (user_busy, SIP 486): v3:a",
        ),
        (CallNoAnswer(None), "nobody answered: no call_control_id yet"),
        (
            CallControlUnreachable("dial", request_sent=True),
            "dial: Telnyx's REST API gave no reply",
        ),
        (
            CallControlUnreachable("dial", request_sent=False),
            "dial: Telnyx's REST API could not be reached",
        ),
        (
            CallControlUnreachable("dial", request_sent=False, problem="https://x: refused"),
            "dial: Telnyx's REST API could not be reached (https://x: refused)",
        ),
        (AuthenticationFailed("dial", 401), "dial refused with HTTP 401. Is TELNYX_API_KEY"),
        (
            CallControlRefused("answer", 422, [ApiError("90034", "Not answered", "answer first")]),
            "answer refused with HTTP 422: 90034 Not answered: answer first",
        ),
        (CallControlRefused("answer", 500), "answer refused with HTTP 500"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_text(error: Exception, text: str) -> None:
    """An error says in one line what happened and to what."""
    assert str(error).startswith(text)
    assert "\n" not in str(error)


@pytest.mark.parametrize("error", [UnsupportedEncoding("X", ()), UnknownCall("a"), InvalidToken()])
def test_plugin_code_catches_value_error(error: Exception) -> None:
    """What the Vision Agents plugin raised as ValueError is one here too."""
    assert isinstance(error, ValueError)


@pytest.mark.parametrize("error", [CallBusy, CallNoAnswer, CallRejected])
def test_a_call_that_was_not_taken(error: type[CallNotAnswered]) -> None:
    """Who only wants to know that nobody took the call catches one class."""
    assert issubclass(error, CallNotAnswered)
    assert not issubclass(error, CallEnded)


@pytest.mark.parametrize("error", [AuthenticationFailed, CallAlreadyEnded, RateLimited])
def test_refusals_keep_what_telnyx_said(error: type[CallControlRefused]) -> None:
    """A refusal has status, code, title and detail of the first error, and all of them."""
    errors = [ApiError("1", "first", "one"), ApiError("2", "second")]
    refusal = error("hangup", 422, errors)
    assert isinstance(refusal, CallControlError)
    assert (refusal.status, refusal.code, refusal.title, refusal.detail) == (
        422,
        "1",
        "first",
        "one",
    )
    assert refusal.errors == tuple(errors)


def test_refusal_without_a_body() -> None:
    """A refusal that says nothing has empty texts, not missing ones."""
    refusal = CallControlRefused("hangup", 500)
    assert (refusal.code, refusal.title, refusal.detail, refusal.errors) == ("", "", "", ())


def test_rate_limit_says_when() -> None:
    """A rate limit keeps the seconds that Telnyx asked to wait."""
    assert RateLimited("dial", 429, retry_after=2.0).retry_after == 2.0


def test_token_is_not_told() -> None:
    """The error for a refused token has no place for the token."""
    assert set(inspect.signature(InvalidToken).parameters) == {"reason"}


@pytest.mark.parametrize(
    "error",
    [UnknownCall("x" * 10_000), CallExists("x" * 10_000), UnsupportedEncoding("x" * 999, ())],
)
def test_hostile_text_is_cut(error: Exception) -> None:
    """What a stranger sent as an id or a codec does not fill a log."""
    assert len(str(error)) < 200


@pytest.mark.parametrize("error", [UnknownCall("a\nb"), UnsupportedEncoding("a\nb", ())])
def test_hostile_text_is_escaped(error: Exception) -> None:
    """A line break in what a stranger sent begins no new line in a log."""
    assert "\n" not in str(error)


def test_errors_without_arguments_of_their_own_can_be_pickled() -> None:
    """Plain errors survive the way to another process."""
    error = pickle.loads(pickle.dumps(TelnyxError("text")))
    assert str(error) == "text"
