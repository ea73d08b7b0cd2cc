"""Which outbound voice profile a temporary application gets. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from .._errors import SetupError
from ..call_control import OutboundVoiceProfile


def choose_profile(
    profiles: Sequence[OutboundVoiceProfile], wanted: str | None
) -> OutboundVoiceProfile:
    """Return the profile with this id or name; without, the only one that is enabled.

    Raises:
        SetupError: there is none, or it is not clear which one, or it is disabled.
    """
    if wanted:
        found = [p for p in profiles if p.id == wanted] or [
            p for p in profiles if p.name.casefold() == wanted.casefold()
        ]
        if not found:
            raise SetupError(
                f"there is no outbound voice profile {wanted!r}; the account has {_list(profiles)}"
            )
    else:
        found = [p for p in profiles if p.enabled]
        if not found:
            raise SetupError(
                "the account has no enabled outbound voice profile, which calls need: make one in"
                " the portal under Voice, Outbound Voice Profiles"
                + (f", or enable {_list(profiles)}" if profiles else "")
            )
    if len(found) > 1:
        raise SetupError(
            f"there are several outbound voice profiles: {_list(found)}; choose one by its id or"
            " name with --outbound-voice-profile"
        )
    if not found[0].enabled:
        raise SetupError(
            f"the outbound voice profile {_list(found)} is disabled; enable it in the portal under"
            " Voice, Outbound Voice Profiles, or choose another"
        )
    return found[0]


def _list(profiles: Sequence[OutboundVoiceProfile]) -> str:
    return ", ".join(f"{p.name or 'without a name'} ({p.id})" for p in profiles) or "none"
