"""A stand-in for Stream (getstream.io), so that calls are joined without the service.

It speaks what the service speaks to its SDKs: the coordinator's HTTP and WebSocket, an SFU's
signalling by WebSocket and Twirp, in getstream's own protobuf classes, and media over real ICE,
DTLS and SRTP by aiortc. It is asyncio, in a thread or a process of its own: it stands for an
outside service. Needs getstream[webrtc]. ``python -m stream_standin`` runs one until it is killed.
"""

from watched import Watched as Watched

from ._guest import Guest as Guest
from ._guest import open_guest as open_guest
from ._service import API_KEY as API_KEY
from ._service import API_SECRET as API_SECRET
from ._thread import Standin as Standin
from ._thread import getstream_led_to as getstream_led_to
from ._thread import open_standin as open_standin
