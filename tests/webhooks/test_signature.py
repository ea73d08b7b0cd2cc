"""WebhookVerifier: who may pass."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from telnyx_trio._errors import ConfigurationError, InvalidSignature
from telnyx_trio.webhooks import WebhookVerifier

NOW = 1767225600.0
BODY = b'{"data":{}}'
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()


def sign(timestamp: str, body: bytes = BODY, key: Ed25519PrivateKey = KEY) -> dict[str, str]:
    signature = key.sign(timestamp.encode() + b"|" + body)
    return {
        "telnyx-signature-ed25519": base64.b64encode(signature).decode(),
        "telnyx-timestamp": timestamp,
    }


@pytest.fixture
def verifier() -> WebhookVerifier:
    return WebhookVerifier(PUBLIC_KEY)


def test_signed_webhook_passes(verifier: WebhookVerifier) -> None:
    """What Telnyx signed just now is accepted."""
    verifier.verify(sign("1767225600"), BODY, now=NOW)


@pytest.mark.parametrize("pair_type", ["str", "bytes"])
def test_headers_as_pairs(verifier: WebhookVerifier, pair_type: str) -> None:
    """Headers may be pairs of text or of bytes, as servers give them."""
    pairs: list[tuple[bytes | str, bytes | str]]
    if pair_type == "str":
        pairs = [(name, value) for name, value in sign("1767225600").items()]
    else:
        pairs = [(name.encode(), value.encode()) for name, value in sign("1767225600").items()]
    verifier.verify([("host", "example.com"), *pairs], BODY, now=NOW)


def test_header_names_in_any_case(verifier: WebhookVerifier) -> None:
    """Header names are matched whatever their case."""
    headers = {name.title(): value for name, value in sign("1767225600").items()}
    verifier.verify(headers, BODY, now=NOW)


def test_public_key_with_line_end() -> None:
    """A key read from a file with its line end works."""
    WebhookVerifier(f" {PUBLIC_KEY}\n").verify(sign("1767225600"), BODY, now=NOW)


@pytest.mark.parametrize("offset", [-300, 300])
def test_edge_of_tolerance_passes(verifier: WebhookVerifier, offset: int) -> None:
    """A webhook exactly as old, or as early, as tolerated is accepted."""
    verifier.verify(sign("1767225600"), BODY, now=NOW + offset)


@pytest.mark.parametrize(("now", "problem"), [(NOW + 301, "old"), (NOW - 301, "future")])
def test_beyond_tolerance(verifier: WebhookVerifier, now: float, problem: str) -> None:
    """A webhook that is too old, or from the future, is refused though its signature fits."""
    with pytest.raises(InvalidSignature, match=problem):
        verifier.verify(sign("1767225600"), BODY, now=now)


def test_now_that_is_no_number_is_refused(verifier: WebhookVerifier) -> None:
    """A broken clock lets nothing pass."""
    with pytest.raises(InvalidSignature):
        verifier.verify(sign("1767225600"), BODY, now=float("nan"))


def test_changed_body(verifier: WebhookVerifier) -> None:
    """One more space in the body breaks the signature."""
    with pytest.raises(InvalidSignature, match="does not fit"):
        verifier.verify(sign("1767225600"), BODY + b" ", now=NOW)


def test_changed_timestamp(verifier: WebhookVerifier) -> None:
    """The timestamp is signed too."""
    headers = sign("1767225600") | {"telnyx-timestamp": "1767225601"}
    with pytest.raises(InvalidSignature, match="does not fit"):
        verifier.verify(headers, BODY, now=NOW)


def test_other_key(verifier: WebhookVerifier) -> None:
    """A signature by anyone else is refused."""
    headers = sign("1767225600", key=Ed25519PrivateKey.generate())
    with pytest.raises(InvalidSignature, match="does not fit"):
        verifier.verify(headers, BODY, now=NOW)


@pytest.mark.parametrize("name", ["telnyx-signature-ed25519", "telnyx-timestamp"])
def test_missing_header(verifier: WebhookVerifier, name: str) -> None:
    """Both headers are needed, and the one that is missing is named."""
    headers = sign("1767225600")
    del headers[name]
    with pytest.raises(InvalidSignature, match=f"{name} is missing"):
        verifier.verify(headers, BODY, now=NOW)


@pytest.mark.parametrize("name", ["telnyx-signature-ed25519", "telnyx-timestamp"])
def test_doubled_header(verifier: WebhookVerifier, name: str) -> None:
    """Two headers of one name are refused, even if both are right."""
    headers = sign("1767225600")
    with pytest.raises(InvalidSignature, match=f"{name} is there twice"):
        verifier.verify([*headers.items(), (name, headers[name])], BODY, now=NOW)


@pytest.mark.parametrize(
    "timestamp",
    [
        "",
        "now",
        "+1767225600",
        "-5",
        "1767225600.0",
        "1_767_225_600",
        "\uff11\uff17\uff16\uff17",
        "1" * 5000,
    ],
)
def test_malformed_timestamp(verifier: WebhookVerifier, timestamp: str) -> None:
    """Only a run of ASCII digits is a timestamp, even if the signature would fit."""
    with pytest.raises(InvalidSignature, match="telnyx-timestamp"):
        verifier.verify(sign(timestamp), BODY, now=NOW)


@pytest.mark.parametrize(
    "signature",
    ["", "*" * 88, "é", base64.b64encode(bytes(63)).decode(), base64.b64encode(bytes(65)).decode()],
)
def test_malformed_signature(verifier: WebhookVerifier, signature: str) -> None:
    """A signature that is not base64 of 64 bytes is refused as malformed."""
    headers = sign("1767225600") | {"telnyx-signature-ed25519": signature}
    with pytest.raises(InvalidSignature, match="base64 of 64 bytes"):
        verifier.verify(headers, BODY, now=NOW)


def test_junk_inside_base64(verifier: WebhookVerifier) -> None:
    """Characters that a lax decoder would skip make a signature malformed."""
    headers = sign("1767225600")
    headers["telnyx-signature-ed25519"] = "!" + headers["telnyx-signature-ed25519"]
    with pytest.raises(InvalidSignature, match="base64 of 64 bytes"):
        verifier.verify(headers, BODY, now=NOW)


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("", "0 bytes"),
        ("not a key", "not base64"),
        ("YWJj", "3 bytes"),
        (base64.b64encode(bytes(33)).decode(), "33 bytes"),
        ("ключ", "not base64"),
    ],
)
def test_bad_configured_key(key: str, problem: str) -> None:
    """A wrong key fails when the program starts, and the error says where the right one is."""
    with pytest.raises(ConfigurationError, match=f"{problem}.*Telnyx portal"):
        WebhookVerifier(key)


@pytest.mark.parametrize("tolerance", [0.0, -1.0, float("nan")])
def test_bad_tolerance(tolerance: float) -> None:
    """A tolerance under which nothing, or everything, could pass is refused."""
    with pytest.raises(ConfigurationError, match="tolerance"):
        WebhookVerifier(PUBLIC_KEY, tolerance=tolerance)
