"""Telnyx phone calls for Trio.

Public names load on first use, so that a program pays only for the rooms it enters.

Layers, from the bottom (each imports only what stands above it here)::

    _types, _errors, _redact                 plain values
    protocol, audio, webhooks                pure: bytes and samples in, values out
    _websocket, call_control                 the edges: one wrapped library each
    _media_stream                            one media socket
    _registry, _call                         one call
    servers, bridges                         many calls; calls joined with something else
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy import lazy_names
from ._version import __version__ as __version__

if TYPE_CHECKING:
    from ._call import AnsweredBy as AnsweredBy
    from ._call import Call as Call
    from ._call import CallEvent as CallEvent
    from ._call import CallOptions as CallOptions
    from ._call import CallOutcome as CallOutcome
    from ._call import CarrierRecording as CarrierRecording
    from ._call import EndReason as EndReason
    from ._call import GatherResult as GatherResult
    from ._call import MachineDetection as MachineDetection
    from ._call import MachineGreeting as MachineGreeting
    from ._call import TransferredLeg as TransferredLeg
    from ._call import open_call as open_call
    from ._digit_gather import DigitsEnd as DigitsEnd
    from ._digit_gather import GatheredDigits as GatheredDigits
    from ._errors import ApiError as ApiError
    from ._errors import AuthenticationFailed as AuthenticationFailed
    from ._errors import CallAlreadyEnded as CallAlreadyEnded
    from ._errors import CallBusy as CallBusy
    from ._errors import CallControlError as CallControlError
    from ._errors import CallControlRefused as CallControlRefused
    from ._errors import CallControlUnreachable as CallControlUnreachable
    from ._errors import CallEnded as CallEnded
    from ._errors import CallError as CallError
    from ._errors import CallExists as CallExists
    from ._errors import CallNoAnswer as CallNoAnswer
    from ._errors import CallNotAnswered as CallNotAnswered
    from ._errors import CallRejected as CallRejected
    from ._errors import CodecNotInstalled as CodecNotInstalled
    from ._errors import ConfigurationError as ConfigurationError
    from ._errors import InvalidMp3 as InvalidMp3
    from ._errors import InvalidSignature as InvalidSignature
    from ._errors import InvalidToken as InvalidToken
    from ._errors import InvalidWav as InvalidWav
    from ._errors import InvalidWebhook as InvalidWebhook
    from ._errors import LocalProtocolError as LocalProtocolError
    from ._errors import MediaTimeout as MediaTimeout
    from ._errors import PlaybackFailed as PlaybackFailed
    from ._errors import PreflightFailed as PreflightFailed
    from ._errors import ProtocolError as ProtocolError
    from ._errors import PublicUrlUnreachable as PublicUrlUnreachable
    from ._errors import RateLimited as RateLimited
    from ._errors import RecordingFailed as RecordingFailed
    from ._errors import RegistryError as RegistryError
    from ._errors import RemoteProtocolError as RemoteProtocolError
    from ._errors import ResourceNotFound as ResourceNotFound
    from ._errors import SetupError as SetupError
    from ._errors import StreamCallError as StreamCallError
    from ._errors import StreamCallLost as StreamCallLost
    from ._errors import StreamError as StreamError
    from ._errors import StreamJoinFailed as StreamJoinFailed
    from ._errors import StreamNotInstalled as StreamNotInstalled
    from ._errors import TelnyxError as TelnyxError
    from ._errors import UndoFailed as UndoFailed
    from ._errors import UnknownCall as UnknownCall
    from ._errors import UnsupportedEncoding as UnsupportedEncoding
    from ._errors import WebhookError as WebhookError
    from ._events import DtmfReceived as DtmfReceived
    from ._events import MarkReturned as MarkReturned
    from ._events import SpeechEnded as SpeechEnded
    from ._events import SpeechStarted as SpeechStarted
    from ._events import StreamErrorReceived as StreamErrorReceived
    from ._events import StreamEvent as StreamEvent
    from ._findings import Finding as Finding
    from ._findings import FindingStatus as FindingStatus
    from ._media_stream import AudioTrack as AudioTrack
    from ._media_stream import MediaStream as MediaStream
    from ._media_stream import MediaStreamStatistics as MediaStreamStatistics
    from ._media_stream import StreamEnd as StreamEnd
    from ._media_stream import TelnyxMediaStream as TelnyxMediaStream
    from ._play_source import AudioSource as AudioSource
    from ._play_source import RawAudio as RawAudio
    from ._playback import Playback as Playback
    from ._playback import PlaybackState as PlaybackState
    from ._recording import LocalRecording as LocalRecording
    from ._recording import RecordingNote as RecordingNote
    from ._registry import CallRegistry as CallRegistry
    from ._registry import TelnyxCall as TelnyxCall
    from ._registry import TelnyxCallRegistry as TelnyxCallRegistry
    from ._types import TELNYX_DEFAULT_SAMPLE_RATE as TELNYX_DEFAULT_SAMPLE_RATE
    from ._types import TELNYX_L16_SAMPLE_RATE as TELNYX_L16_SAMPLE_RATE
    from ._types import TelnyxMediaFormat as TelnyxMediaFormat
    from ._websocket import WebSocket as WebSocket
    from ._websocket import open_client_websocket as open_client_websocket
    from ._websocket import open_server_websocket as open_server_websocket
    from .audio import PcmData as PcmData
    from .audio import SpeechEdge as SpeechEdge
    from .audio import VoiceActivity as VoiceActivity
    from .audio import VoiceActivityDetector as VoiceActivityDetector
    from .audio import VoiceGate as VoiceGate
    from .audio import l16_to_pcm as l16_to_pcm
    from .audio import pcm_to_l16 as pcm_to_l16
    from .audio import pcm_to_pcma as pcm_to_pcma
    from .audio import pcm_to_pcmu as pcm_to_pcmu
    from .audio import pcm_to_telnyx_payload as pcm_to_telnyx_payload
    from .audio import pcma_to_pcm as pcma_to_pcm
    from .audio import pcmu_to_pcm as pcmu_to_pcm
    from .audio import telnyx_payload_to_pcm as telnyx_payload_to_pcm
    from .bridges import BridgedLegs as BridgedLegs
    from .bridges import BridgeEnd as BridgeEnd
    from .bridges import BridgeEvent as BridgeEvent
    from .bridges import ClockBufferStatistics as ClockBufferStatistics
    from .bridges import LegFlow as LegFlow
    from .bridges import StreamBridge as StreamBridge
    from .bridges import StreamBridgeStatistics as StreamBridgeStatistics
    from .bridges import StreamParticipant as StreamParticipant
    from .bridges import StreamParticipantJoined as StreamParticipantJoined
    from .bridges import StreamParticipantLeft as StreamParticipantLeft
    from .bridges import attach_phone_to_call as attach_phone_to_call
    from .bridges import bridge_legs as bridge_legs
    from .bridges import open_stream_bridge as open_stream_bridge
    from .call_control import AccountClient as AccountClient
    from .call_control import CallControlApplication as CallControlApplication
    from .call_control import OutboundVoiceProfile as OutboundVoiceProfile
    from .call_control import PhoneNumber as PhoneNumber
    from .call_control import TelnyxClient as TelnyxClient
    from .call_control import open_client as open_client
    from .provisioning import TemporarySetup as TemporarySetup
    from .provisioning import UndoReport as UndoReport
    from .provisioning import check_destination as check_destination
    from .provisioning import find_public_url as find_public_url
    from .provisioning import open_temporary_setup as open_temporary_setup
    from .provisioning import preflight as preflight
    from .provisioning import require_ready as require_ready
    from .provisioning import undo_dead_runs as undo_dead_runs
    from .servers import CallServer as CallServer
    from .servers import MediaRequest as MediaRequest
    from .servers import ServerConfig as ServerConfig
    from .servers import ServerStatistics as ServerStatistics
    from .servers import open_app as open_app
    from .servers import open_server as open_server
    from .servers import serve_calls as serve_calls

_ROOMS = {
    "._call": (
        "AnsweredBy",
        "Call",
        "CallEvent",
        "CallOptions",
        "CallOutcome",
        "CarrierRecording",
        "EndReason",
        "GatherResult",
        "MachineDetection",
        "MachineGreeting",
        "TransferredLeg",
        "open_call",
    ),
    "._digit_gather": ("DigitsEnd", "GatheredDigits"),
    "._errors": (
        "ApiError",
        "AuthenticationFailed",
        "CallAlreadyEnded",
        "CallBusy",
        "CallControlError",
        "CallControlRefused",
        "CallControlUnreachable",
        "CallEnded",
        "CallError",
        "CallExists",
        "CallNoAnswer",
        "CallNotAnswered",
        "CallRejected",
        "CodecNotInstalled",
        "ConfigurationError",
        "InvalidMp3",
        "InvalidSignature",
        "InvalidToken",
        "InvalidWav",
        "InvalidWebhook",
        "LocalProtocolError",
        "MediaTimeout",
        "PlaybackFailed",
        "PreflightFailed",
        "ProtocolError",
        "PublicUrlUnreachable",
        "RateLimited",
        "RecordingFailed",
        "RegistryError",
        "RemoteProtocolError",
        "ResourceNotFound",
        "SetupError",
        "StreamCallError",
        "StreamCallLost",
        "StreamError",
        "StreamJoinFailed",
        "StreamNotInstalled",
        "TelnyxError",
        "UndoFailed",
        "UnknownCall",
        "UnsupportedEncoding",
        "WebhookError",
    ),
    "._events": (
        "DtmfReceived",
        "MarkReturned",
        "SpeechEnded",
        "SpeechStarted",
        "StreamErrorReceived",
        "StreamEvent",
    ),
    "._findings": ("Finding", "FindingStatus"),
    "._media_stream": (
        "AudioTrack",
        "MediaStream",
        "MediaStreamStatistics",
        "StreamEnd",
        "TelnyxMediaStream",
    ),
    "._play_source": ("AudioSource", "RawAudio"),
    "._playback": ("Playback", "PlaybackState"),
    "._recording": ("LocalRecording", "RecordingNote"),
    "._registry": ("CallRegistry", "TelnyxCall", "TelnyxCallRegistry"),
    "._types": ("TELNYX_DEFAULT_SAMPLE_RATE", "TELNYX_L16_SAMPLE_RATE", "TelnyxMediaFormat"),
    "._websocket": ("WebSocket", "open_client_websocket", "open_server_websocket"),
    ".audio": (
        "PcmData",
        "SpeechEdge",
        "VoiceActivity",
        "VoiceActivityDetector",
        "VoiceGate",
        "l16_to_pcm",
        "pcm_to_l16",
        "pcm_to_pcma",
        "pcm_to_pcmu",
        "pcm_to_telnyx_payload",
        "pcma_to_pcm",
        "pcmu_to_pcm",
        "telnyx_payload_to_pcm",
    ),
    ".bridges": (
        "BridgeEnd",
        "BridgeEvent",
        "BridgedLegs",
        "ClockBufferStatistics",
        "LegFlow",
        "StreamBridge",
        "StreamBridgeStatistics",
        "StreamParticipant",
        "StreamParticipantJoined",
        "StreamParticipantLeft",
        "attach_phone_to_call",
        "bridge_legs",
        "open_stream_bridge",
    ),
    ".call_control": (
        "AccountClient",
        "CallControlApplication",
        "OutboundVoiceProfile",
        "PhoneNumber",
        "TelnyxClient",
        "open_client",
    ),
    ".provisioning": (
        "TemporarySetup",
        "UndoReport",
        "check_destination",
        "find_public_url",
        "open_temporary_setup",
        "preflight",
        "require_ready",
        "undo_dead_runs",
    ),
    ".servers": (
        "CallServer",
        "MediaRequest",
        "ServerConfig",
        "ServerStatistics",
        "open_app",
        "open_server",
        "serve_calls",
    ),
}

__getattr__, _names = lazy_names(__name__, _ROOMS)
__all__ = ["__version__", *_names]


def __dir__() -> list[str]:
    return __all__
