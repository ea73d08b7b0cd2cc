"""Calls joined with something else: another call of this process."""

from ._legs import BridgedLegs as BridgedLegs
from ._legs import LegFlow as LegFlow
from ._legs import bridge_legs as bridge_legs
