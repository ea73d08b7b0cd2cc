"""One call, one scope: ``open_call`` owns everything that a live call needs and ends it."""

from ._call import Call as Call
from ._call import CallEvent as CallEvent
from ._carrier_recording import CarrierRecording as CarrierRecording
from ._ending import CallOutcome as CallOutcome
from ._ending import EndReason as EndReason
from ._machine import AnsweredBy as AnsweredBy
from ._machine import MachineDetection as MachineDetection
from ._machine import MachineGreeting as MachineGreeting
from ._open import HANGUP_CAUSE_TIMEOUT as HANGUP_CAUSE_TIMEOUT
from ._open import open_call as open_call
from ._options import CallOptions as CallOptions
from ._outcomes import GatherResult as GatherResult
from ._outcomes import TransferredLeg as TransferredLeg
