"""The doors of the stand-in: a coordinator's HTTP and WebSocket, an SFU's WebSocket and Twirp."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import aiohttp
import aiohttp.web
import jwt
from getstream import models
from getstream.video.rtc.pb.stream.video.sfu.event import events_pb2
from getstream.video.rtc.pb.stream.video.sfu.models import models_pb2
from getstream.video.rtc.pb.stream.video.sfu.signal_rpc import signal_pb2

from ._schema import MOMENT, reply
from ._sfu import Member, StreamCall

API_KEY: Final = "standin-key"
API_SECRET: Final = "standin-secret-of-thirty-two-bytes!"


class Service:
    """What the stand-in knows, and what a test may have it do.

    Attributes:
        calls: by cid, such as "default:abc".
        users: by id, as they were made.
        requests: how often each thing was asked for.
        gates: a thing that is asked for while its gate is here waits until the gate is set: "join"
            (HTTP), "enter" (the join request over WebSocket), "enter as ann", "SetPublisher" and
            the like.
        refusals: a thing that is asked for is refused with this text.
        grace: seconds for which a session whose WebSocket was lost may come back, with its media.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.calls: dict[str, StreamCall] = {}
        self.users: dict[str, Any] = {}
        self.requests: Counter[str] = Counter()
        self.gates: dict[str, asyncio.Event] = {}
        self.refusals: dict[str, str] = {}
        self.grace = 0.0
        self.url = ""
        self._on_change = on_change
        self._tickets: dict[str, tuple[str, str]] = {}  # token of a join -> call, user
        self._members: dict[str, tuple[StreamCall, Member]] = {}  # session -> where it is

    def make_app(self) -> aiohttp.web.Application:
        app = aiohttp.web.Application()
        app.router.add_post("/api/v2/users", self._upsert_users)
        app.router.add_get("/api/v2/connect", self._coordinator_socket)
        app.router.add_post("/api/v2/video/call/{type}/{id}", self._get_or_create)
        app.router.add_get("/api/v2/video/call/{type}/{id}", self._get_or_create)
        app.router.add_post("/api/v2/video/call/{type}/{id}/join", self._join)
        app.router.add_post("/api/v2/video/call/{type}/{id}/mark_ended", self._mark_ended)
        app.router.add_get("/sfu/ws", self._sfu_socket)
        app.router.add_post("/twirp/stream.video.sfu.signal.SignalServer/{method}", self._twirp)
        return app

    def call(self, cid: str) -> StreamCall:
        if cid not in self.calls:
            self.calls[cid] = StreamCall(cid, self._on_change)
        return self.calls[cid]

    async def _pass(self, what: str) -> str | None:
        """Count a request, wait at its gate, and return why it is refused."""
        self.requests[what] += 1
        self._on_change()
        if gate := self.gates.get(what):
            await gate.wait()
        return self.refusals.get(what)

    # Coordinator.

    def _user_of(self, request: aiohttp.web.Request) -> str | None:
        """Return who asks, by the token; "" for the server side.

        Raises:
            HTTPUnauthorized: the key is wrong, or the token was not made with the secret.
        """
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            if request.query.get("api_key", API_KEY) != API_KEY:
                raise jwt.InvalidTokenError
            claims = jwt.decode(token, API_SECRET, algorithms=["HS256"])
        except jwt.InvalidTokenError:
            body = {
                "code": 43,
                "message": "JWTAuth error: signature is not valid",
                "StatusCode": 401,
            }
            raise aiohttp.web.HTTPUnauthorized(
                text=json.dumps(body), content_type="application/json"
            ) from None
        return str(claims.get("user_id", ""))

    async def _upsert_users(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        self._user_of(request)
        users = (await request.json())["users"]
        self.users.update(users)
        made = {name: reply(models.FullUserResponse, **user) for name, user in users.items()}
        return aiohttp.web.json_response(
            {"users": made, "duration": "1ms", "membership_deletion_task_id": ""}
        )

    def _describe(self, cid: str) -> dict[str, Any]:
        kind, _, name = cid.partition(":")
        user = reply(models.UserResponse, id="standin", role="admin")
        return reply(models.CallResponse, cid=cid, id=name, type=kind, created_by=user)

    async def _get_or_create(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        self._user_of(request)
        cid = f"{request.match_info['type']}:{request.match_info['id']}"
        self.call(cid)
        return aiohttp.web.json_response(
            {
                "call": self._describe(cid),
                "members": [],
                "own_capabilities": ["send-audio", "send-video", "join-call"],
                "created": True,
                "duration": "1ms",
            }
        )

    async def _mark_ended(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        self._user_of(request)
        await self.call(f"{request.match_info['type']}:{request.match_info['id']}").end()
        return aiohttp.web.json_response({"duration": "1ms"})

    async def _join(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        user_id = self._user_of(request)
        if problem := await self._pass("join"):
            return aiohttp.web.json_response(
                {"code": 17, "message": problem, "StatusCode": 403}, status=403
            )
        cid = f"{request.match_info['type']}:{request.match_info['id']}"
        self.call(cid)
        ticket = secrets.token_hex(16)
        self._tickets[ticket] = (cid, user_id or "")
        return aiohttp.web.json_response(
            {
                "call": self._describe(cid),
                "members": [],
                "own_capabilities": ["send-audio", "send-video", "join-call"],
                "credentials": {
                    "server": {
                        "edge_name": "sfu-standin",
                        "url": f"{self.url}/twirp",
                        "ws_endpoint": f"{self.url.replace('http', 'ws', 1)}/sfu/ws",
                    },
                    "token": ticket,
                    "ice_servers": [],
                },
                "stats_options": {"reporting_interval_ms": 60000, "enable_rtc_stats": False},
                "created": True,
                "duration": "1ms",
            }
        )

    async def _coordinator_socket(self, request: aiohttp.web.Request) -> Any:
        socket = aiohttp.web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            asked = json.loads(message.data)
            if isinstance(asked, dict) and "token" in asked:
                claims = jwt.decode(asked["token"], API_SECRET, algorithms=["HS256"])
                await socket.send_json(
                    {
                        "type": "connection.ok",
                        "connection_id": secrets.token_hex(8),
                        "created_at": MOMENT,
                        "me": reply(models.OwnUserResponse, id=claims.get("user_id", "")),
                    }
                )
            else:
                # An SDK keeps its connection alive with what it got; an echo is an answer.
                await socket.send_json({"type": "health.check", "created_at": MOMENT})
        return socket

    # SFU.

    async def _sfu_socket(self, request: aiohttp.web.Request) -> Any:
        # getstream 4 sends its binary messages as text, which the service takes.
        socket = aiohttp.web.WebSocketResponse(decode_text=False)
        await socket.prepare(request)
        member: Member | None = None
        try:
            async for message in socket:
                asked = events_pb2.SfuRequest.FromString(message.data)
                if asked.HasField("join_request"):
                    member = await self._enter(asked.join_request, socket, request.transport)
                elif asked.HasField("leave_call_request"):
                    break
                elif asked.HasField("health_check_request") and member is not None:
                    await member.tell(health_check_response=events_pb2.HealthCheckResponse())
        finally:
            if member is not None:
                await self._let_go(member, socket)
        return socket

    async def _let_go(self, member: Member, socket: aiohttp.web.WebSocketResponse) -> None:
        """Take a member out; if its WebSocket was lost, not before it had the time to be back."""
        if self.grace and socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE:
            await asyncio.sleep(self.grace)
        if member.socket is socket and member.session_id in self._members:
            call, _ = self._members.pop(member.session_id)
            await call.leave(member)

    async def _enter(
        self, asked: Any, socket: aiohttp.web.WebSocketResponse, transport: Any
    ) -> Member | None:
        problem = await self._pass("enter")
        ticket = self._tickets.get(asked.token)
        if problem or ticket is None:
            code = models_pb2.ERROR_CODE_UNAUTHENTICATED
            error = events_pb2.Error(
                error=models_pb2.Error(code=code, message=problem or "unknown token")
            )
            await socket.send_bytes(events_pb2.SfuEvent(error=error).SerializeToString())
            await socket.close()
            return None
        cid, user_id = ticket
        await self._pass(f"enter as {user_id}")
        if asked.session_id in self._members:
            _, member = self._members[asked.session_id]
            await self.call(cid).come_back(member, socket, transport)
            return member
        before = asked.reconnect_details.previous_session_id
        if before in self._members:
            call, lost = self._members.pop(before)
            await call.leave(lost)
        member = Member(user_id, asked.session_id, socket, transport)
        self._members[member.session_id] = (self.call(cid), member)
        await self.call(cid).enter(member)
        return member

    async def _twirp(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        method = request.match_info["method"]
        body = await request.read()
        handlers: dict[str, tuple[Any, Any]] = {
            "SetPublisher": (signal_pb2.SetPublisherRequest, StreamCall.set_publisher),
            "SendAnswer": (signal_pb2.SendAnswerRequest, StreamCall.send_answer),
            "UpdateSubscriptions": (
                signal_pb2.UpdateSubscriptionsRequest,
                StreamCall.update_subscriptions,
            ),
            "IceTrickle": (models_pb2.ICETrickle, StreamCall.ice_trickle),
        }
        problem = await self._pass(method)
        if method not in handlers:  # statistics and mute states, which change nothing here
            return aiohttp.web.Response(body=b"", content_type="application/protobuf")
        kind, handle = handlers[method]
        asked = kind.FromString(body)
        where = self._members.get(asked.session_id)
        if problem or where is None:
            return aiohttp.web.json_response(
                {"code": "permission_denied", "msg": problem or "no such session"}, status=403
            )
        reply = await handle(where[0], where[1], asked)
        return aiohttp.web.Response(
            body=reply.SerializeToString(), content_type="application/protobuf"
        )
