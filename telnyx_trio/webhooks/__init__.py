"""Telnyx's webhooks: is it really Telnyx, what does it say, and whose call is it about.

Pure: bytes in, values out. Nothing here waits, logs or asks for the time.
"""

from ._events import CallAnswered as CallAnswered
from ._events import CallBridged as CallBridged
from ._events import CallDtmfReceived as CallDtmfReceived
from ._events import CallHangup as CallHangup
from ._events import CallInitiated as CallInitiated
from ._events import CallScreeningDetected as CallScreeningDetected
from ._events import GatherEnded as GatherEnded
from ._events import MachineDetectionEnded as MachineDetectionEnded
from ._events import MachineGreetingEnded as MachineGreetingEnded
from ._events import PlaybackEnded as PlaybackEnded
from ._events import PlaybackStarted as PlaybackStarted
from ._events import RecordingError as RecordingError
from ._events import RecordingSaved as RecordingSaved
from ._events import SpeakEnded as SpeakEnded
from ._events import SpeakStarted as SpeakStarted
from ._events import StreamingFailed as StreamingFailed
from ._events import StreamingStarted as StreamingStarted
from ._events import StreamingStopped as StreamingStopped
from ._events import WebhookEvent as WebhookEvent
from ._inbox import Delivery as Delivery
from ._inbox import Inbox as Inbox
from ._inbox import InboxStatistics as InboxStatistics
from ._inbox import Sink as Sink
from ._parse import parse_event as parse_event
from ._signature import DEFAULT_TOLERANCE as DEFAULT_TOLERANCE
from ._signature import WebhookVerifier as WebhookVerifier
