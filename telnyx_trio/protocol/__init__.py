"""The Media Streaming protocol of Telnyx without I/O: no Trio, no clock, no logging, no numpy.

``MediaConnection`` is what a media stream is built on; ``parse_message``, ``parse_command`` and
``serialise`` are the same without its state.
"""

from ._connection import ConnectionCounters as ConnectionCounters
from ._connection import MediaConnection as MediaConnection
from ._connection import StreamState as StreamState
from ._messages import Command as Command
from ._messages import Connected as Connected
from ._messages import Dtmf as Dtmf
from ._messages import Error as Error
from ._messages import Mark as Mark
from ._messages import Media as Media
from ._messages import Message as Message
from ._messages import MissingMedia as MissingMedia
from ._messages import Received as Received
from ._messages import SendClear as SendClear
from ._messages import SendMark as SendMark
from ._messages import SendMedia as SendMedia
from ._messages import Start as Start
from ._messages import Stop as Stop
from ._messages import UnknownMessage as UnknownMessage
from ._parse import parse_command as parse_command
from ._parse import parse_message as parse_message
from ._reorder import ReorderWindow as ReorderWindow
from ._serialise import serialise as serialise
