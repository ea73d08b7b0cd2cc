"""The REST client: Telnyx's commands on calls as methods."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import trio

from .._errors import CallAlreadyEnded, ConfigurationError
from .._redact import redact_url
from ._account import AccountClient
from ._call_methods import CallMethods, new_command_id
from ._commands import (
    Command,
    RejectCause,
    action_command,
    answer_command,
    call_path,
    dial_command,
    reject_command,
    send_dtmf_command,
    streaming_start_command,
)
from ._exchange import Exchange, open_exchange
from ._replies import CallStatus, DialReply, read_call_status, read_dial_reply
from ._stream_options import StreamOptions

DEFAULT_BASE_URL: Final = "https://api.telnyx.com/v2"


class TelnyxClient(CallMethods):
    """Commands on calls; made by ``open_client``. Any number of tasks may use it at once.

    That a command returns means that Telnyx has taken it; what comes of it is told by webhook.
    Telnyx may send that webhook before the reply.

    Common to all methods:

    Args:
        client_state: base64 (``encode_client_state``); comes back in later webhooks of the leg.
        command_id: lets Telnyx recognise a repetition; a new UUID if it is not given.
        fields: further JSON fields of the command, as Telnyx names them; ``from_`` stands for
            ``from``, and None leaves a field out.

    Raises:
        LocalProtocolError: Telnyx would not take a value, or would ignore a field. Nothing was
            sent.
        AuthenticationFailed: the API key is wrong, or not allowed to do this.
        CallAlreadyEnded: the call is over, or Telnyx does not know it any more.
        RateLimited: too many requests, also after the retries.
        CallControlRefused: Telnyx refused for another reason; it holds status, code and detail.
        CallControlUnreachable: no answer came, also after the retries. The command may have been
            carried out, unless ``request_sent`` is false.
        CallControlError: Telnyx took the command, but its answer cannot be read.

    Each method tries up to four times: after 429 (waiting as long as Telnyx asks, at most 10 s),
    5xx, lost connections and answers that do not come within 10 s, pausing 0.5, 1 and 2 s, always
    with the same ``command_id``. ``dial`` is sent again only after 429 or if it could not connect.
    No method has a timeout of its own beyond that: use a cancel scope.

    Cancelled: the command may or may not have reached Telnyx. It will not be sent again.

    Attributes:
        account: what the account holds: applications, numbers, outbound voice profiles.
    """

    def __init__(self, exchange: Exchange, base_url: str) -> None:
        self.account: Final = AccountClient(exchange)
        self._exchange = exchange
        self._base_url = base_url

    def __repr__(self) -> str:
        return f"<TelnyxClient {redact_url(self._base_url)}>"

    async def dial(
        self,
        *,
        to: str | Sequence[str],
        from_: str,
        connection_id: str,
        stream: StreamOptions | None = None,
        client_state: str | None = None,
        command_id: str | None = None,
        timeout_secs: int | None = None,
        **fields: object,
    ) -> DialReply:
        """Place a call.

        Args:
            to: E.164 number or SIP URI; several ring at once.
            from_: E.164 number of yours.
            connection_id: of a Call Control application (not of a SIP connection).
            stream: the media stream to open; None for none.
            client_state: see the class.
            command_id: see the class.
            timeout_secs: how long it may ring, 5 to 600; Telnyx's default is 30.
            fields: see the class.

        Cancelled: the call may have been placed, and its id is then known from ``call.initiated``
        alone; a ``client_state`` of your own tells it.
        """
        command = dial_command(
            to=to,
            from_=from_,
            connection_id=connection_id,
            command_id=command_id or new_command_id(),
            stream=stream,
            client_state=client_state,
            timeout_secs=timeout_secs,
            fields=fields,
        )
        data = await self._exchange.request(
            "POST",
            command.path,
            command.body,
            action=command.action,
            is_about_call=False,
            is_repeatable=False,
        )
        return read_dial_reply(data)

    async def answer(
        self,
        call_control_id: str,
        *,
        stream: StreamOptions | None = None,
        client_state: str | None = None,
        command_id: str | None = None,
        **fields: object,
    ) -> None:
        """Answer an incoming call.

        Args:
            call_control_id: of a leg whose direction is "incoming".
            stream: the media stream to open with the answer. What ``answer`` cannot ask for
                (``stream.needs_streaming_start()``) is refused before anything is sent.
            client_state: see the class.
            command_id: see the class.
            fields: see the class.

        Cancelled: the call may or may not be answered.
        """
        await self._post(
            answer_command(
                call_control_id,
                command_id=command_id or new_command_id(),
                stream=stream,
                client_state=client_state,
                fields=fields,
            )
        )

    async def hangup(
        self, call_control_id: str, *, command_id: str | None = None, **fields: object
    ) -> None:
        """End a call; succeeds also if it has ended already.

        Cancelled: the call may or may not be hung up.
        """
        # A call that ends by itself at the same time is no failure: the aim is reached.
        try:
            await self._post(
                action_command(
                    call_control_id,
                    "hangup",
                    command_id=command_id or new_command_id(),
                    fields=fields,
                )
            )
        except CallAlreadyEnded:
            pass

    async def reject(
        self,
        call_control_id: str,
        cause: RejectCause,
        *,
        client_state: str | None = None,
        command_id: str | None = None,
    ) -> None:
        """Refuse an incoming call that is not answered yet; ``cause`` is what the caller is told.

        Cancelled: the call may or may not be rejected.
        """
        await self._post(
            reject_command(
                call_control_id,
                cause,
                command_id=command_id or new_command_id(),
                client_state=client_state,
            )
        )

    async def streaming_start(
        self,
        call_control_id: str,
        stream: StreamOptions,
        *,
        client_state: str | None = None,
        command_id: str | None = None,
        **fields: object,
    ) -> None:
        """Open a media stream on an answered call (before: refused with code 90034).

        Cancelled: Telnyx may or may not open the stream.
        """
        await self._post(
            streaming_start_command(
                call_control_id,
                stream,
                command_id=command_id or new_command_id(),
                client_state=client_state,
                fields=fields,
            )
        )

    async def streaming_stop(
        self,
        call_control_id: str,
        stream_id: str | None = None,
        *,
        client_state: str | None = None,
        command_id: str | None = None,
    ) -> None:
        """End a media stream of a call; None ends all of them. The call stays up.

        Cancelled: the stream may or may not be ended.
        """
        await self._post(
            action_command(
                call_control_id,
                "streaming_stop",
                command_id=command_id or new_command_id(),
                client_state=client_state,
                fields={"stream_id": stream_id},
            )
        )

    async def send_dtmf(
        self,
        call_control_id: str,
        digits: str,
        *,
        duration_millis: int | None = None,
        client_state: str | None = None,
        command_id: str | None = None,
    ) -> None:
        """Press keys for the far party to hear; returns before they have sounded.

        Args:
            call_control_id: of an answered call.
            digits: of ``0-9 A-D * #``; ``w`` is a pause of 0.5 s, ``W`` of 1 s.
            duration_millis: of each key, 100 to 500; Telnyx's default is 250.
            client_state: see the class.
            command_id: see the class.

        Cancelled: the keys may or may not be pressed.
        """
        await self._post(
            send_dtmf_command(
                call_control_id,
                digits,
                command_id=command_id or new_command_id(),
                duration_millis=duration_millis,
                client_state=client_state,
            )
        )

    async def command(
        self,
        call_control_id: str,
        name: str,
        *,
        client_state: str | None = None,
        command_id: str | None = None,
        **body: object,
    ) -> dict[str, Any]:
        """Send any other command on a call.

        Args:
            call_control_id: of the call.
            name: as it stands in Telnyx's paths, such as "playback_start" or "transfer".
            client_state: see the class.
            command_id: see the class.
            body: the command's JSON fields, as ``fields`` of the class.

        Returns:
            ``data`` of the reply.

        Cancelled: the command may or may not be carried out.
        """
        return await self._post(
            action_command(
                call_control_id,
                name,
                command_id=command_id or new_command_id(),
                client_state=client_state,
                fields=body,
            )
        )

    async def get_call(self, call_control_id: str) -> CallStatus:
        """Ask how a call stands; Telnyx knows it until ten minutes after its end.

        Raises:
            CallAlreadyEnded: Telnyx does not know it, or not any more.
        Cancelled: nothing has changed.
        """
        data = await self._exchange.request(
            "GET",
            call_path(call_control_id),
            action="get_call",
            is_about_call=True,
            is_repeatable=True,
        )
        return read_call_status(data)

    async def _post(self, command: Command) -> dict[str, Any]:
        return await self._exchange.request(
            command.method,
            command.path,
            command.body,
            action=command.action,
            is_about_call=True,
            is_repeatable=True,
        )


@asynccontextmanager
async def open_client(
    api_key: str | None = None,
    *,
    base_url: str | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[TelnyxClient]:
    """Open the REST client; leaving closes its connections. It starts no task.

    Args:
        api_key: None takes ``TELNYX_API_KEY`` from the environment. It is shown nowhere.
        base_url: includes the ``/v2``; None takes ``TELNYX_BASE_URL`` from the environment, or
            Telnyx's own. The same as in Telnyx's SDK.
        transport: instead of the network, for tests; closed on leaving.

    Raises:
        ConfigurationError: there is no key, or key or URL cannot be right.

    Cancelled: connections are closed all the same.
    """
    key = (api_key or os.environ.get("TELNYX_API_KEY") or "").strip()
    url = (base_url or os.environ.get("TELNYX_BASE_URL") or DEFAULT_BASE_URL).strip()
    problems = [*_problems_of_key(key), *_problems_of_url(url)]
    if problems:
        raise ConfigurationError(problems)
    await trio.lowlevel.checkpoint()
    async with open_exchange(key, url, transport) as exchange:
        yield TelnyxClient(exchange, url)


def _problems_of_key(api_key: str) -> list[str]:
    if not api_key:
        return ["there is no API key; set TELNYX_API_KEY or pass api_key (portal, API keys)"]
    # HTTP libraries quote a header that they cannot send in their errors, key and all.
    if not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
        return ["the API key holds characters that no key has; copy it again from the portal"]
    return []


def _problems_of_url(base_url: str) -> list[str]:
    try:
        parts = urlsplit(base_url)
        has_host = bool(parts.hostname) and parts.port != 0
        is_right = parts.scheme in ("http", "https") and has_host and not parts.query
    except ValueError:
        is_right = False
    if is_right:
        return []
    return [f"TELNYX_BASE_URL is no URL of a REST API; it looks like {DEFAULT_BASE_URL}"]
