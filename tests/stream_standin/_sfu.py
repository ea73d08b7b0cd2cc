"""The calls of the stand-in: who is in them, what they publish, and who hears whom."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import secrets
from collections.abc import Callable
from typing import Any

import aiohttp.web
import aiortc
from aiortc.contrib.media import MediaRelay
from getstream.video.rtc.pb.stream.video.sfu.event import events_pb2
from getstream.video.rtc.pb.stream.video.sfu.models import models_pb2
from getstream.video.rtc.pb.stream.video.sfu.signal_rpc import signal_pb2

logger = logging.getLogger("stream_standin")

AUDIO = models_pb2.TRACK_TYPE_AUDIO


class _Forwarded(aiortc.MediaStreamTrack):  # type: ignore[misc]  # aiortc is Any to mypy
    """Somebody's audio on its way to somebody else, under the id that SDKs tell the owner by."""

    kind = "audio"

    def __init__(self, source: Any, owner: Member) -> None:
        super().__init__()
        self._source = source
        self._id = f"{owner.prefix}:TRACK_TYPE_AUDIO:{secrets.token_hex(4)}"

    async def recv(self) -> Any:
        return await self._source.recv()

    def stop(self) -> None:
        self._source.stop()
        super().stop()


class Member:
    """One session in a call, from its join request until its WebSocket closes."""

    def __init__(
        self,
        user_id: str,
        session_id: str,
        socket: aiohttp.web.WebSocketResponse,
        transport: Any,
    ) -> None:
        self.user_id = user_id
        self.session_id = session_id
        self.prefix = secrets.token_hex(4)
        self.socket = socket
        self.transport = transport
        self.published: tuple[Any, MediaRelay] | None = None
        self.publisher = aiortc.RTCPeerConnection()
        self.subscriber: aiortc.RTCPeerConnection | None = None
        self.hears: dict[str, Any] = {}
        self.answered = asyncio.Event()
        self.negotiating = asyncio.Lock()
        self.publishing = asyncio.Lock()
        self.has_left = False

    def as_message(self) -> Any:
        return models_pb2.Participant(
            user_id=self.user_id,
            session_id=self.session_id,
            name=self.user_id,
            track_lookup_prefix=self.prefix,
            published_tracks=[AUDIO] if self.published else [],
            roles=["user"],
        )

    async def tell(self, **event: Any) -> None:
        if not self.socket.closed:
            try:
                await self.socket.send_bytes(events_pb2.SfuEvent(**event).SerializeToString())
            except ConnectionError:
                logger.debug("%s is gone", self.user_id)

    def cut_off(self) -> None:
        """Lose the member's WebSocket without a word."""
        if self.transport is not None:
            self.transport.abort()

    async def close(self) -> None:
        # What is negotiated in a connection that is closed stays open, so nothing is from here on.
        self.has_left = True
        self.answered.set()
        async with self.publishing:
            await self.publisher.close()
        async with self.negotiating:
            if self.subscriber is not None:
                await self.subscriber.close()


class StreamCall:
    """One call of the stand-in."""

    def __init__(self, cid: str, on_change: Callable[[], None]) -> None:
        self.cid = cid
        self.members: dict[str, Member] = {}
        self.joins = itertools.count()
        self._on_change = on_change

    async def enter(self, member: Member) -> None:
        """Let a member in, and tell everybody, itself included by the join response."""
        self.members[member.session_id] = member
        await self._greet(member)
        joined = events_pb2.ParticipantJoined(call_cid=self.cid, participant=member.as_message())
        await self._tell_others(member, participant_joined=joined)
        self._on_change()

    async def come_back(
        self, member: Member, socket: aiohttp.web.WebSocketResponse, transport: Any
    ) -> None:
        """Let a member go on whose WebSocket was lost; its media never stopped."""
        member.socket, member.transport = socket, transport
        await self._greet(member)
        self._on_change()

    async def _greet(self, member: Member) -> None:
        call_state = models_pb2.CallState(
            participants=[other.as_message() for other in self.members.values()],
            participant_count=models_pb2.ParticipantCount(total=len(self.members)),
        )
        await member.tell(
            join_response=events_pb2.JoinResponse(
                call_state=call_state,
                fast_reconnect_deadline_seconds=10,
                publish_options=[
                    models_pb2.PublishOption(
                        track_type=AUDIO,
                        codec=models_pb2.Codec(payload_type=111, name="opus", clock_rate=48000),
                        id=1,
                    )
                ],
            )
        )

    async def leave(self, member: Member) -> None:
        """Take a member out, and its audio from those who hear it."""
        if self.members.get(member.session_id) is member:
            del self.members[member.session_id]
        for other in list(self.members.values()):
            sender = other.hears.pop(member.session_id, None)
            if sender is not None:
                sender.replaceTrack(None)
        left = events_pb2.ParticipantLeft(call_cid=self.cid, participant=member.as_message())
        await self._tell_others(member, participant_left=left)
        await member.close()
        self._on_change()

    async def end(self) -> None:
        """End the call for everybody."""
        for member in list(self.members.values()):
            await member.tell(call_ended=events_pb2.CallEnded())
            await member.socket.close()

    async def _tell_others(self, member: Member, **event: Any) -> None:
        for other in list(self.members.values()):
            if other is not member:
                await other.tell(**event)

    # What Twirp asks for.

    async def set_publisher(self, member: Member, request: Any) -> Any:
        """Take what a member publishes; the answer is in the reply."""
        async with member.publishing:
            if member.has_left:
                return signal_pb2.SetPublisherResponse(
                    error=models_pb2.Error(code=models_pb2.ERROR_CODE_PARTICIPANT_NOT_FOUND)
                )
            return await self._negotiate(member, request)

    async def _negotiate(self, member: Member, request: Any) -> Any:
        connection = member.publisher

        @connection.on("track")  # type: ignore[untyped-decorator]
        def take(track: Any) -> None:
            if track.kind == "audio" and member.published is None:
                member.published = (track, MediaRelay())

        offer = aiortc.RTCSessionDescription(sdp=request.sdp, type="offer")
        await connection.setRemoteDescription(offer)
        await connection.setLocalDescription(await connection.createAnswer())
        if member.published is not None:
            published = events_pb2.TrackPublished(
                user_id=member.user_id,
                session_id=member.session_id,
                type=AUDIO,
                participant=member.as_message(),
            )
            await self._tell_others(member, track_published=published)
        self._on_change()
        return signal_pb2.SetPublisherResponse(
            sdp=connection.localDescription.sdp, session_id=member.session_id
        )

    async def update_subscriptions(self, member: Member, request: Any) -> Any:
        """Let a member hear whom it names, and nobody else."""
        wanted = {track.session_id for track in request.tracks if track.track_type == AUDIO}
        for session_id in set(member.hears) - wanted:
            member.hears.pop(session_id).replaceTrack(None)
        new = [
            other
            for session_id in wanted - set(member.hears)
            if (other := self.members.get(session_id)) is not None and other.published
        ]
        if new:
            asyncio.get_running_loop().create_task(self._offer(member, new))
        return signal_pb2.UpdateSubscriptionsResponse()

    async def _offer(self, member: Member, others: list[Member]) -> None:
        async with member.negotiating:
            if member.has_left:
                return
            if member.subscriber is None:
                bundled = aiortc.RTCConfiguration(bundlePolicy=aiortc.RTCBundlePolicy.MAX_BUNDLE)
                member.subscriber = aiortc.RTCPeerConnection(bundled)
            for other in others:
                if other.published is None or other.session_id in member.hears:
                    continue
                track, relay = other.published
                forwarded = _Forwarded(relay.subscribe(track), other)
                transceiver = member.subscriber.addTransceiver(forwarded, direction="sendonly")
                # aiortc has no other way to name a stream; getstream 7 tells the owner by it.
                transceiver.sender._stream_id = forwarded.id
                member.hears[other.session_id] = transceiver.sender
            await member.subscriber.setLocalDescription(await member.subscriber.createOffer())
            if member.has_left:
                return
            member.answered.clear()
            offer = events_pb2.SubscriberOffer(sdp=member.subscriber.localDescription.sdp)
            await member.tell(subscriber_offer=offer)
            await asyncio.wait_for(member.answered.wait(), 15)

    async def send_answer(self, member: Member, request: Any) -> Any:
        """Take a member's answer to what it is offered."""
        if member.has_left:
            return signal_pb2.SendAnswerResponse()
        assert member.subscriber is not None
        answer = aiortc.RTCSessionDescription(sdp=request.sdp, type="answer")
        await member.subscriber.setRemoteDescription(answer)
        member.answered.set()
        self._on_change()
        return signal_pb2.SendAnswerResponse()

    async def ice_trickle(self, member: Member, request: Any) -> Any:
        """Take a candidate that comes after the description."""
        text = json.loads(request.ice_candidate)
        is_subscriber = request.peer_type == models_pb2.PEER_TYPE_SUBSCRIBER
        connection = member.subscriber if is_subscriber else member.publisher
        if connection is not None and text.get("candidate"):
            line = text["candidate"].removeprefix("candidate:")
            candidate = aiortc.sdp.candidate_from_sdp(line)
            candidate.sdpMid, candidate.sdpMLineIndex = (
                text.get("sdpMid"),
                text.get("sdpMLineIndex"),
            )
            if ".local" not in line:
                await connection.addIceCandidate(candidate)
        return signal_pb2.ICETrickleResponse()
