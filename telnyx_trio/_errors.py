"""Every error class of the library.

::

    TelnyxError
    ├── ConfigurationError               settings: every one that is missing or wrong, at once
    ├── UnsupportedEncoding              a codec that we do not speak (also a ValueError)
    │   └── CodecNotInstalled            one that we speak with the extra [codecs] installed
    ├── InvalidWav                       no WAV of 16-bit PCM (also a ValueError)
    ├── InvalidMp3                       no MP3 file (also a ValueError)
    ├── ProtocolError
    │   ├── LocalProtocolError           you asked for something the protocol does not allow now
    │   └── RemoteProtocolError          they sent something the protocol does not allow
    ├── StreamError                      an `error` message from Telnyx (100002 to 100005)
    ├── MediaTimeout                     the media socket stayed without `start` or without audio
    ├── RegistryError                    (also a ValueError, as in the Vision Agents plugin)
    │   ├── UnknownCall
    │   ├── CallExists
    │   └── InvalidToken                 wrong, used or expired
    ├── CallError
    │   ├── CallEnded                    the far side has ended the call
    │   ├── PlaybackFailed               Telnyx could not play or speak it
    │   ├── RecordingFailed              Telnyx could not record the call
    │   └── CallNotAnswered              a call of ours was not taken
    │       ├── CallBusy
    │       ├── CallNoAnswer
    │       └── CallRejected
    ├── CallControlError
    │   ├── CallControlUnreachable       no answer: the outcome is unknown
    │   └── CallControlRefused           Telnyx answered with an error
    │       ├── AuthenticationFailed     401, 403
    │       ├── CallAlreadyEnded         422 with code 90018, or 404 for the call
    │       ├── RateLimited              429
    │       └── ResourceNotFound         404 for anything but a call
    ├── SetupError                       the account, or the way to this server, is not ready
    │   ├── PreflightFailed              all that was found wrong, and what mends it
    │   ├── PublicUrlUnreachable         the public address does not lead to this server
    │   └── UndoFailed                   what stays of a temporary set-up, and how to mend it
    ├── StreamCallError                  about a bridge into a Stream (getstream) call
    │   ├── StreamNotInstalled           it needs the extra [stream]
    │   ├── StreamJoinFailed             the call could not be joined
    │   └── StreamCallLost               the connection was lost, and could not be mended
    └── WebhookError
        ├── InvalidSignature
        └── InvalidWebhook

The state of a resource is told by Trio's own classes: ``trio.ClosedResourceError`` (you closed it),
``trio.BrokenResourceError`` (they or the network did), ``trio.BusyResourceError`` (two tasks at one
end), ``trio.EndOfChannel`` (a normal end).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ._findings import Finding


class TelnyxError(Exception):
    """Base of every error that is about telephony rather than about a resource's state."""


class ConfigurationError(TelnyxError):
    """Settings that are missing or wrong; all of them, each with what to do.

    Attributes:
        problems: one sentence a setting.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class UnsupportedEncoding(TelnyxError, ValueError):
    """A codec that the library does not speak.

    A ``ValueError`` too, because code written for the Vision Agents plugin catches that.
    """

    def __init__(self, encoding: str, supported: Sequence[str]) -> None:
        self.encoding = encoding
        self.supported = tuple(supported)
        super().__init__(
            f"unsupported encoding {encoding[:20]!r}; supported are {', '.join(self.supported)}"
        )


class CodecNotInstalled(UnsupportedEncoding):
    """A codec that the library speaks with PyAV, which is not installed or lacks it.

    Attributes:
        encoding: the codec.
        install_command: what mends it.
    """

    install_command = "pip install 'telnyx-trio[codecs]'"

    def __init__(self, encoding: str) -> None:
        super().__init__(encoding, ())
        self.args = (f"{encoding} needs the extra [codecs]: {self.install_command}",)


class InvalidWav(TelnyxError, ValueError):
    """A WAV that cannot be read: no WAV at all, cut short, or coded otherwise than 16-bit PCM."""


class InvalidMp3(TelnyxError, ValueError):
    """What was to be sent as an MP3 file is none."""


class ProtocolError(TelnyxError):
    """Base of the two protocol errors, told apart by whose fault it is."""


class LocalProtocolError(ProtocolError):
    """You asked for something that the protocol does not allow in this state."""


class RemoteProtocolError(ProtocolError):
    """Telnyx, or who speaks in its name, sent something that the protocol does not allow.

    Attributes:
        event: name of the offending message, None if it could not be read.
    """

    def __init__(self, problem: str, *, event: str | None = None) -> None:
        self.event = event
        super().__init__(f"{event} message: {problem}" if event else problem)


class StreamError(TelnyxError):
    """An ``error`` message of the media stream.

    Source: developers.telnyx.com, "Media streaming over WebSockets": 100002 unknown_error, 100003
    malformed_frame, 100004 invalid_media, 100005 rate_limit_reached.
    """

    def __init__(self, code: int | None, title: str, detail: str) -> None:
        self.code = code
        self.title = title
        self.detail = detail
        super().__init__(f"{code} {title}: {detail}")


class MediaTimeout(TelnyxError):
    """The media stream did not do in time what it should.

    Attributes:
        waited_for: "media socket", "start" or "media".
        timeout: seconds waited.
        peer_answers: False when the peer did not answer a ping either; None when that is not known.
    """

    def __init__(
        self,
        waited_for: Literal["media socket", "start", "media"],
        timeout: float,
        *,
        peer_answers: bool | None = None,
    ) -> None:
        self.waited_for = waited_for
        self.timeout = timeout
        self.peer_answers = peer_answers
        hint = {None: "", True: "; the peer answers pings", False: "; nor an answer to a ping"}
        super().__init__(f"no {waited_for} for {timeout:g} s{hint[peer_answers]}")


class RegistryError(TelnyxError, ValueError):
    """Base of what a call registry refuses.

    A ``ValueError`` too, because code written for the Vision Agents plugin catches that.
    """


class UnknownCall(RegistryError):
    """No call is registered under this id."""

    def __init__(self, call_control_id: str) -> None:
        self.call_control_id = call_control_id
        super().__init__(f"unknown call_control_id: {call_control_id[:80]!r}")


class CallExists(RegistryError):
    """Another call is registered under this id already."""

    def __init__(self, call_control_id: str) -> None:
        self.call_control_id = call_control_id
        super().__init__(f"call_control_id is registered already: {call_control_id[:80]!r}")


class InvalidToken(RegistryError):
    """A media token that is wrong, used or expired. It never tells which token."""

    def __init__(self, reason: Literal["wrong", "used", "expired"] = "wrong") -> None:
        self.reason = reason
        super().__init__(f"media token refused: {reason}")


class CallError(TelnyxError):
    """Base of what becomes of one call.

    Attributes:
        call_control_id: None where Telnyx never named the call.
        hangup_cause: as Telnyx words it ("normal_clearing", "user_busy"; an open set), or None.
        hangup_source: "caller", "callee", "unknown" or None.
        sip_hangup_cause: a SIP status as text, or None.
    """

    what = "call failed"

    def __init__(
        self,
        call_control_id: str | None,
        *,
        hangup_cause: str | None = None,
        hangup_source: str | None = None,
        sip_hangup_cause: str | None = None,
    ) -> None:
        self.call_control_id = call_control_id
        self.hangup_cause = hangup_cause
        self.hangup_source = hangup_source
        self.sip_hangup_cause = sip_hangup_cause
        sip = f", SIP {sip_hangup_cause}" if sip_hangup_cause else ""
        cause = f" ({hangup_cause}{sip})" if hangup_cause else ""
        super().__init__(f"{self.what}{cause}: {call_control_id or 'no call_control_id yet'}")


class CallEnded(CallError):
    """The far side has ended the call, so that nothing can be sent any more."""

    what = "call has ended"


class PlaybackFailed(CallError):
    """Telnyx could not play a file, or speak a text.

    Attributes:
        status: "file_not_found", "failed" or "unknown".
        detail: in Telnyx's words, or None.
    """

    what = "playback failed"

    def __init__(self, call_control_id: str | None, status: str, detail: str | None) -> None:
        self.status = status
        self.detail = detail
        super().__init__(call_control_id)
        self.args = (f"{self.what} ({status}{f': {detail}' if detail else ''}): {call_control_id}",)


class RecordingFailed(CallError):
    """Telnyx could not record the call.

    Attributes:
        reason: in Telnyx's words, or None.
    """

    what = "recording failed"

    def __init__(self, call_control_id: str | None, reason: str | None) -> None:
        self.reason = reason
        super().__init__(call_control_id)
        self.args = (f"{self.what} ({reason or 'no reason given'}): {call_control_id}",)


class CallNotAnswered(CallError):
    """A call that we placed was not taken, for a reason that has no class of its own."""

    what = "call was not answered"


class CallBusy(CallNotAnswered):
    """The callee is busy (hangup cause ``user_busy`` or ``busy``)."""

    what = "callee is busy"


class CallNoAnswer(CallNotAnswered):
    """Nobody answered in time (hangup cause ``timeout`` or ``no_answer``, or our own deadline)."""

    what = "nobody answered"


class CallRejected(CallNotAnswered):
    """The callee, or the network for it, refused (hangup cause ``call_rejected`` and the like)."""

    what = "call was rejected"


class CallControlError(TelnyxError):
    """Base of what can go wrong between us and Telnyx's REST API."""


class CallControlUnreachable(CallControlError):
    """No answer came, so the outcome is unknown; a retry needs the same ``command_id``.

    Attributes:
        request_sent: False when the connection failed before anything was sent.
    """

    def __init__(self, action: str, *, request_sent: bool, problem: str = "") -> None:
        self.action = action
        self.request_sent = request_sent
        state = "gave no reply" if request_sent else "could not be reached"
        why = f" ({problem})" if problem else ""
        super().__init__(f"{action}: Telnyx's REST API {state}{why}")


@dataclass(frozen=True)
class ApiError:
    """One entry of ``errors`` in a Telnyx error body."""

    code: str
    title: str = ""
    detail: str = ""
    pointer: str | None = None

    def __str__(self) -> str:
        text = " ".join(part for part in (self.code, self.title) if part)
        return f"{text}: {self.detail}" if self.detail else text


class CallControlRefused(CallControlError):
    """Telnyx answered with an error.

    Attributes:
        action: what was asked for, such as "hangup".
        status: HTTP status code.
        errors: what the body says; may be empty.
        code: code of the first error, "" if there is none. ``title`` and ``detail`` likewise.
    """

    def __init__(self, action: str, status: int, errors: Sequence[ApiError] = ()) -> None:
        self.action = action
        self.status = status
        self.errors = tuple(errors)
        first = self.errors[0] if self.errors else ApiError("")
        self.code, self.title, self.detail = first.code, first.title, first.detail
        listed = "; ".join(str(error) for error in self.errors)
        super().__init__(f"{action} refused with HTTP {status}{f': {listed}' if listed else ''}")


class AuthenticationFailed(CallControlRefused):
    """The API key is wrong or not allowed to do this (HTTP 401 or 403)."""

    def __str__(self) -> str:
        return f"{super().__str__()}. Is TELNYX_API_KEY a key of this account, and its whole text?"


class CallAlreadyEnded(CallControlRefused):
    """The call is over (422 with code 90018) or no longer known (404)."""


class RateLimited(CallControlRefused):
    """Too many requests (429), also after the retries.

    Attributes:
        retry_after: seconds that Telnyx asked to wait, None if it did not say.
    """

    def __init__(
        self,
        action: str,
        status: int,
        errors: Sequence[ApiError] = (),
        *,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(action, status, errors)
        self.retry_after = retry_after


class ResourceNotFound(CallControlRefused):
    """The account has no such application, number or profile (404)."""


class SetupError(TelnyxError):
    """The account, or the way from Telnyx to this server, is not as it must be."""


class PreflightFailed(SetupError):
    """What the preflight found wrong; all of it.

    Attributes:
        failures: each with what was expected, what was found, and what mends it.
        problems: the same as sentences.
    """

    def __init__(self, failures: Sequence[Finding]) -> None:
        self.failures = tuple(failures)
        self.problems = tuple(map(str, self.failures))
        super().__init__("; ".join(self.problems))


class PublicUrlUnreachable(SetupError):
    """The public address does not lead to this server.

    Attributes:
        hop: how far a request came.
    """

    def __init__(
        self,
        url: str,
        hop: Literal["DNS", "TCP", "TLS", "tunnel", "reply", "server"],
        problem: str,
    ) -> None:
        self.url = url
        self.hop = hop
        self.problem = problem
        super().__init__(f"the public address {url} does not lead here: {problem}")


class UndoFailed(SetupError):
    """Something of a temporary set-up could not be put back.

    Attributes:
        problems: one sentence each: what stays, why, and how to mend it by hand.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class StreamCallError(TelnyxError):
    """Base of what can go wrong between a phone and a call of Stream (getstream)."""


class StreamNotInstalled(StreamCallError):
    """A bridge into a Stream call needs getstream's SDK, which is not installed.

    Attributes:
        install_command: what mends it.
    """

    install_command = "pip install 'telnyx-trio[stream]'"

    def __init__(self) -> None:
        super().__init__(f"a Stream call needs the extra [stream]: {self.install_command}")


class StreamJoinFailed(StreamCallError):
    """The Stream call could not be joined.

    Attributes:
        problem: in the SDK's words, without secrets.
    """

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"could not join the Stream call: {problem}")


class StreamCallLost(StreamCallError):
    """The connection to the Stream call was lost, and the SDK's attempts to mend it failed."""

    def __init__(self) -> None:
        super().__init__("the connection to the Stream call was lost and could not be mended")


class WebhookError(TelnyxError):
    """Base of the reasons to refuse a webhook."""


class InvalidSignature(WebhookError):
    """The signature is missing, wrong, or too old; nothing of the body was read."""


class InvalidWebhook(WebhookError):
    """The signature is right, the body is no event of API version 2."""
