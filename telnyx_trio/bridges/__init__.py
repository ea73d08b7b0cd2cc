"""Calls joined with something else: another call of this process, a call of Stream."""

from ._bridge_values import BridgeEnd as BridgeEnd
from ._bridge_values import BridgeEvent as BridgeEvent
from ._bridge_values import StreamBridgeStatistics as StreamBridgeStatistics
from ._bridge_values import StreamParticipant as StreamParticipant
from ._bridge_values import StreamParticipantJoined as StreamParticipantJoined
from ._bridge_values import StreamParticipantLeft as StreamParticipantLeft
from ._clock_buffer import ClockBufferStatistics as ClockBufferStatistics
from ._legs import BridgedLegs as BridgedLegs
from ._legs import LegFlow as LegFlow
from ._legs import bridge_legs as bridge_legs
from ._stream_bridge import StreamBridge as StreamBridge
from ._stream_bridge import attach_phone_to_call as attach_phone_to_call
from ._stream_bridge import open_stream_bridge as open_stream_bridge
