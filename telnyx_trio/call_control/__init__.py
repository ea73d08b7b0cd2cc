"""Call Control: Telnyx's REST API for calls, its commands and its answers.

``open_client`` gives the client. What is sent is decided in pure modules (``_stream_options``,
``_commands``, ``_account_values``), as is what an answer means and whether to try again
(``_replies``, ``_retry``); ``_exchange``, ``_client`` and ``_account`` only carry it out.
"""

from ._account import AccountClient as AccountClient
from ._account_values import CallControlApplication as CallControlApplication
from ._account_values import OutboundVoiceProfile as OutboundVoiceProfile
from ._account_values import PhoneNumber as PhoneNumber
from ._call_commands import PayloadType as PayloadType
from ._call_commands import RecordingChannels as RecordingChannels
from ._call_commands import RecordingFormat as RecordingFormat
from ._call_commands import StopWhich as StopWhich
from ._client import DEFAULT_BASE_URL as DEFAULT_BASE_URL
from ._client import TelnyxClient as TelnyxClient
from ._client import open_client as open_client
from ._client_state import decode_client_state as decode_client_state
from ._client_state import encode_client_state as encode_client_state
from ._client_state import new_client_state_tag as new_client_state_tag
from ._client_state import split_client_state as split_client_state
from ._client_state import tag_client_state as tag_client_state
from ._commands import RejectCause as RejectCause
from ._hangup_causes import hangup_error as hangup_error
from ._replies import CallStatus as CallStatus
from ._replies import DialReply as DialReply
from ._retry import has_unknown_fate as has_unknown_fate
from ._stream_options import BidirectionalCodec as BidirectionalCodec
from ._stream_options import SamplingRate as SamplingRate
from ._stream_options import StreamCodec as StreamCodec
from ._stream_options import StreamOptions as StreamOptions
from ._stream_options import StreamTrack as StreamTrack
