"""The call registry: where a webhook meets a media socket.

A call is registered before its media can come, with a token that goes to Telnyx and comes back
with the media socket. What the socket and the webhooks say about the call must agree with what is
known of it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import trio

from ._errors import CallExists, InvalidToken, LocalProtocolError, UnknownCall
from ._instant import Instant
from ._lone_error import unwrap_lone_error
from ._preparation import Preparation

if TYPE_CHECKING:
    from ._media_stream import MediaStream

TOKEN_LIFETIME: Final = 660.0
"""Seconds. A call of ours may ring for 600 s (dial's largest ``timeout_secs``) before its media
socket comes with the token."""

_MAX_USED_TOKENS: Final = 10_000


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(eq=False)
class TelnyxCall:
    """What is known of one call.

    The fields of the plugin's class, plus the other ids that Telnyx has for a call. Neither token
    nor webhook data show in its repr.

    Attributes:
        call_control_id: names the call to Telnyx's REST API; "" while a dial has no reply yet.
        token: goes into the media URL or the auth header, once.
        webhook_data: the decoded body of the call's first webhook.
        telnyx_stream: the call's MediaStream, once there is one.
        stream_call: whatever the application ties to the call.
        started_at, ended_at: aware, in UTC, for people to read.
        call_leg_id, call_session_id, client_state: further names of the call, if known;
            ``client_state`` as Telnyx carries it, in base64.
    """

    call_control_id: str
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    webhook_data: Mapping[str, Any] | None = field(default=None, repr=False)
    telnyx_stream: MediaStream | None = field(default=None, repr=False)
    stream_call: Any | None = field(default=None, repr=False)
    started_at: datetime = field(default_factory=_utc_now)
    ended_at: datetime | None = None
    call_leg_id: str | None = None
    call_session_id: str | None = None
    client_state: str | None = field(default=None, repr=False)
    # Telnyx may name a call otherwise in its webhooks than in its reply to the dial command.
    _further_ids: set[str] = field(default_factory=set, init=False, repr=False)
    _status: str | None = field(default=None, init=False, repr=False)
    _started: Instant = field(default_factory=Instant.now, init=False, repr=False)
    _ended: Instant | None = field(default=None, init=False, repr=False)
    _preparation: Preparation | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Take the ids that the webhook data names."""
        self._take_ids(self.payload)

    @property
    def payload(self) -> Mapping[str, Any]:
        """``data.payload`` of the first webhook; empty if there is none or it is null."""
        return _payload_of(self.webhook_data)

    @property
    def from_number(self) -> str | None:
        """The caller, as the first webhook names it."""
        return _text(self.payload.get("from"))

    @property
    def to_number(self) -> str | None:
        """The callee, as the first webhook names it."""
        return _text(self.payload.get("to"))

    @property
    def call_status(self) -> str | None:
        """``state`` of the newest webhook that had one, such as "answered" or "hangup"."""
        return self._status or _text(self.payload.get("state"))

    @property
    def duration_seconds(self) -> float | None:
        """Seconds from start to end, None while the call lives."""
        return None if self._ended is None else self._ended.since(self._started)

    def update(self, webhook_data: Mapping[str, Any]) -> None:
        """Take over what a later webhook of the call says: its state, and ids not yet known.

        Args:
            webhook_data: the decoded body; nulls in it are as good as absent.
        """
        if self.webhook_data is None:
            self.webhook_data = webhook_data
        self._take_ids(_payload_of(webhook_data))

    def end(self) -> None:
        """Mark the call as ended, once, and cancel its ``prepare``."""
        if self.ended_at is None:
            self.ended_at = _utc_now()
            self._ended = Instant.now()
        if self._preparation is not None:
            self._preparation.cancel()

    async def await_prepare(self) -> Any:
        """Wait for ``prepare`` and return its result, None if there was none.

        Raises:
            CallEnded: the call was removed before ``prepare`` was done.
            Exception: whatever ``prepare`` raised.
        """
        if self._preparation is None:
            await trio.lowlevel.checkpoint()
            return None
        return await self._preparation.result(self.call_control_id)

    def agrees_with(
        self,
        *,
        call_control_id: str | None,
        call_session_id: str | None,
        client_state: str | None,
    ) -> bool | None:
        """Compare ids that a media socket names with those known.

        Returns:
            False if one contradicts, True if one agrees and none contradicts, None if there is
            nothing to compare yet.
        """
        pairs = (
            ({self.call_control_id, *self._further_ids} - {""}, call_control_id),
            ({self.call_session_id} - {None}, call_session_id),
            ({self.client_state} - {None}, client_state),
        )
        known = [theirs in ours for ours, theirs in pairs if ours and theirs]
        return all(known) if known else None

    def _take_ids(self, payload: Mapping[str, Any]) -> None:
        self._status = _text(payload.get("state")) or self._status
        call_control_id = _text(payload.get("call_control_id"))
        self.call_control_id = self.call_control_id or call_control_id or ""
        if call_control_id:
            self._further_ids.add(call_control_id)
        self.call_leg_id = self.call_leg_id or _text(payload.get("call_leg_id"))
        self.call_session_id = self.call_session_id or _text(payload.get("call_session_id"))
        self.client_state = self.client_state or _text(payload.get("client_state"))


class TelnyxCallRegistry:
    """The calls of one process, by ``call_control_id`` and by token.

    It works without being entered. Only ``prepare`` needs ``async with registry:``, because its
    tasks live there; leaving cancels them.

    Args:
        token_lifetime: seconds for which a token admits a media socket.
    """

    def __init__(self, *, token_lifetime: float = TOKEN_LIFETIME) -> None:
        self._token_lifetime = token_lifetime
        self._calls: dict[str, TelnyxCall] = {}
        self._by_token: dict[bytes, TelnyxCall] = {}
        self._used_tokens: dict[bytes, None] = {}
        self._nursery_manager: AbstractAsyncContextManager[trio.Nursery] | None = None
        self._nursery: trio.Nursery | None = None

    async def __aenter__(self) -> TelnyxCallRegistry:
        if self._nursery_manager is not None:
            raise LocalProtocolError("the registry is entered already")
        self._nursery_manager = trio.open_nursery()
        self._nursery = await self._nursery_manager.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._nursery is not None
        assert self._nursery_manager is not None
        manager = self._nursery_manager
        self._nursery.cancel_scope.cancel()
        self._nursery = self._nursery_manager = None
        with unwrap_lone_error():
            return await manager.__aexit__(exc_type, exc, traceback)

    def create(
        self,
        call_control_id: str,
        webhook_data: Mapping[str, Any] | None = None,
        prepare: Callable[[], Awaitable[Any]] | None = None,
    ) -> TelnyxCall:
        """Register a call, and start ``prepare`` as a task of the registry.

        A second time for the same id it returns the call that is there, updated with the webhook
        data; ``prepare`` runs unless one was started for the call before: webhooks may come twice.

        Raises:
            LocalProtocolError: ``prepare`` is given and the registry is not entered. Nothing was
                registered.
        """
        call = self._calls.get(call_control_id)
        if call is not None:
            if prepare is not None and call._preparation is None:
                self.start_prepare(call, prepare)
            if webhook_data is not None:
                call.update(webhook_data)
            return call
        call = TelnyxCall(call_control_id, webhook_data=webhook_data)
        if prepare is not None:
            self.start_prepare(call, prepare)
        self._calls[call_control_id] = call
        self._by_token[_digest(call.token)] = call
        return call

    def start_prepare(self, call: TelnyxCall, prepare: Callable[[], Awaitable[Any]]) -> None:
        """Start a task that gets something ready for a call; see ``TelnyxCall.await_prepare``.

        For a call that has ended it does not run.

        Raises:
            LocalProtocolError: the registry is not entered, or the call has such a task already.
        """
        if self._nursery is None:
            raise LocalProtocolError("prepare needs a task: use `async with registry:` around it")
        if call._preparation is not None:
            raise LocalProtocolError("this call has a prepare already")
        call._preparation = Preparation(prepare)
        if call.ended_at is not None:
            call._preparation.cancel()
        self._nursery.start_soon(call._preparation.run)

    def expect(self, client_state: str) -> TelnyxCall:
        """Register a call that has no ``call_control_id`` yet, because its dial is under way."""
        call = TelnyxCall("", client_state=client_state)
        self._by_token[_digest(call.token)] = call
        return call

    def identify(self, call: TelnyxCall, call_control_id: str) -> None:
        """Give a call the id that Telnyx has named for it, in place of the one it had.

        Raises:
            CallExists: another call is registered under this id. Nothing has changed.
        """
        if self._calls.get(call_control_id, call) is not call:
            raise CallExists(call_control_id)
        if self._calls.get(call.call_control_id) is call:
            del self._calls[call.call_control_id]
        call.call_control_id = call_control_id
        self._calls[call_control_id] = call

    def get(self, call_control_id: str) -> TelnyxCall | None:
        """Return the call of this id, None if it is unknown."""
        return self._calls.get(call_control_id)

    def require(self, call_control_id: str) -> TelnyxCall:
        """Return the call of this id.

        Raises:
            UnknownCall: there is none.
        """
        call = self._calls.get(call_control_id)
        if call is None:
            raise UnknownCall(call_control_id)
        return call

    def validate(self, call_control_id: str, token: str) -> TelnyxCall:
        """Use up the token of a call's media URL and return the call.

        Raises:
            UnknownCall: there is no such call.
            InvalidToken: the token is wrong, was used before, or is too old.
        """
        call = self.require(call_control_id)
        digest = _digest(token)
        if not secrets.compare_digest(_digest(call.token), digest):
            raise InvalidToken("wrong")
        return self._use(digest)

    async def claim(self, credential: str) -> TelnyxCall:
        """Admit a media socket: use up the token that it shows and return its call.

        The one place that decides on admission.

        Raises:
            InvalidToken: the token is wrong, was used before, or is too old.
        """
        await trio.lowlevel.checkpoint()
        return self._use(_digest(credential))

    def _use(self, digest: bytes) -> TelnyxCall:
        # Looked up by its hash, a token can't be guessed byte by byte from the time it takes.
        if digest in self._used_tokens:
            raise InvalidToken("used")
        call = self._by_token.get(digest)
        if call is None:
            raise InvalidToken("wrong")
        if Instant.now().since(call._started) > self._token_lifetime:
            raise InvalidToken("expired")
        del self._by_token[digest]
        self._used_tokens[digest] = None
        if len(self._used_tokens) > _MAX_USED_TOKENS:
            del self._used_tokens[next(iter(self._used_tokens))]
        return call

    def remove(self, call_control_id: str) -> TelnyxCall | None:
        """Forget a call and mark it as ended; return it, None if it was unknown.

        Its ``prepare`` is cancelled and its token is void.
        """
        call = self._calls.get(call_control_id)
        if call is not None:
            self.discard(call)
        return call

    def discard(self, call: TelnyxCall) -> None:
        """Forget a call, identified or not, and mark it as ended. Idempotent."""
        if self._calls.get(call.call_control_id) is call:
            del self._calls[call.call_control_id]
        self._by_token.pop(_digest(call.token), None)
        call.end()

    def list_active(self) -> list[TelnyxCall]:
        """Return the calls that have not ended, oldest first."""
        return [call for call in self._calls.values() if call.ended_at is None]

    def __len__(self) -> int:
        return len(self._calls)


CallRegistry = TelnyxCallRegistry
"""The plugin's short name of it."""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _payload_of(webhook_data: Mapping[str, Any] | None) -> Mapping[str, Any]:
    found: object = webhook_data
    for key in ("data", "payload"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
