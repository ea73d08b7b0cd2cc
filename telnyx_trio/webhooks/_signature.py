"""The signature of a webhook: Ed25519 over timestamp, ``|`` and the raw body.

Source: Telnyx's Python SDK 4.189, ``resources/webhooks.py``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidSignature as _WrongSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from .._errors import ConfigurationError, InvalidSignature

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[bytes | str, bytes | str]]
"""Headers as any server has them: a mapping, or pairs as ASGI, h11 and trio-websocket give them."""

DEFAULT_TOLERANCE: Final = 300.0
"""Seconds that a webhook may be old, or ahead of our clock; the same as in Telnyx's SDK."""

_SIGNATURE_HEADER: Final = "telnyx-signature-ed25519"
_TIMESTAMP_HEADER: Final = "telnyx-timestamp"

_KEY_SIZE_BYTES: Final = 32
_SIGNATURE_SIZE_BYTES: Final = 64
_MAX_TIMESTAMP_DIGITS: Final = 12  # Unix seconds until the year 33658

_WHERE_THE_KEY_IS: Final = (
    "copy it from the Telnyx portal (API keys, public key): base64 of 32 bytes, 44 characters"
)


class WebhookVerifier:
    """Checks that webhooks come from Telnyx and are fresh.

    Args:
        public_key: the account's public key as the portal shows it, base64 of 32 bytes. Spaces and
            line ends around it are ignored.
        tolerance: seconds that the timestamp may differ from ``now``, either way.

    Raises:
        ConfigurationError: the key is no Ed25519 public key in base64, or the tolerance is not
            positive.
    """

    def __init__(self, public_key: str, *, tolerance: float = DEFAULT_TOLERANCE) -> None:
        raw = _decode_base64(public_key.strip())
        problems: list[str] = []
        if raw is None:
            problems.append(f"the webhook public key is not base64; {_WHERE_THE_KEY_IS}")
        elif len(raw) != _KEY_SIZE_BYTES:
            problems.append(
                f"the webhook public key has {len(raw)} bytes, not 32; {_WHERE_THE_KEY_IS}"
            )
        if not tolerance > 0:
            problems.append("the webhook tolerance must be a positive number of seconds")
        if problems or raw is None:
            raise ConfigurationError(problems)
        self._key = Ed25519PublicKey.from_public_bytes(raw)
        self._tolerance = tolerance

    def verify(self, headers: Headers, body: bytes, *, now: float) -> None:
        """Return if the webhook is from Telnyx and fresh.

        Args:
            headers: of the request; names in any case.
            body: exactly as received: parsing and writing it again breaks the signature.
            now: Unix seconds by the wall clock.

        Raises:
            InvalidSignature: a header is missing, doubled or malformed, the timestamp is too far
                from ``now``, or the signature does not fit. A stale webhook is refused before the
                signature is looked at.
        """
        found = _find(headers, (_SIGNATURE_HEADER, _TIMESTAMP_HEADER))
        timestamp = found[_TIMESTAMP_HEADER]
        if not (timestamp.isascii() and timestamp.isdigit()):
            raise InvalidSignature(f"{_TIMESTAMP_HEADER} is not a whole number of seconds")
        if len(timestamp) > _MAX_TIMESTAMP_DIGITS:
            raise InvalidSignature(f"{_TIMESTAMP_HEADER} is impossibly long")
        signature = _decode_base64(found[_SIGNATURE_HEADER])
        if signature is None or len(signature) != _SIGNATURE_SIZE_BYTES:
            raise InvalidSignature(f"{_SIGNATURE_HEADER} is not base64 of 64 bytes")
        age = now - int(timestamp)
        # Written so that a `now` that is not a number is refused as well.
        if not abs(age) <= self._tolerance:
            side = "old" if age > 0 else "in the future"
            raise InvalidSignature(
                f"{_TIMESTAMP_HEADER} is {abs(age):.0f} s {side}; {self._tolerance:g} s are allowed"
            )
        try:
            self._key.verify(signature, timestamp.encode("ascii") + b"|" + body)
        except _WrongSignature:
            raise InvalidSignature("the signature does not fit key, timestamp and body") from None


def _decode_base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _find(headers: Headers, names: tuple[str, ...]) -> dict[str, str]:
    """Pick the named headers; two of one name could be read differently by a proxy and by us."""
    pairs: Iterable[tuple[bytes | str, bytes | str]]
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    found: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name = _text(raw_name).lower()
        if name not in names:
            continue
        if name in found:
            raise InvalidSignature(f"{name} is there twice")
        found[name] = _text(raw_value).strip(" \t")
    for name in names:
        if name not in found:
            raise InvalidSignature(f"{name} is missing")
    return found


def _text(value: bytes | str) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
