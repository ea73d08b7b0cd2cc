"""What people may read of values that carry secrets."""

from __future__ import annotations

from urllib.parse import urlsplit

_MAX_EXCERPT = 80


def redact_url(url: str) -> str:
    """Cut a URL after its host: the path and query of a ``stream_url`` hold a token."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "..."
    if not parts.scheme or not host:
        return "..."
    if ":" in host:
        host = f"[{host}]"
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}/..."


def describe_size(raw: str | bytes) -> str:
    """Describe a text that may hold secrets by nothing but its size and kind."""
    unit = "bytes" if isinstance(raw, bytes) else "characters"
    return f"{len(raw)} {unit}"


def cut(text: str, limit: int = _MAX_EXCERPT) -> str:
    """Shorten a text for an error message, control characters made visible."""
    shown = text[:limit].encode("unicode_escape").decode("ascii")
    return shown if len(text) <= limit else f"{shown}..."
