"""A file of settings, VARIABLE=value a line, each with the line that it stands at."""

from __future__ import annotations

from pathlib import Path


def read_env_file(path: Path) -> tuple[dict[str, tuple[str, int]], list[str]]:
    """Return variables with the lines they stand at, and what can't be read."""
    try:
        from dotenv.parser import parse_stream
    except ImportError:
        return {}, [f"{path} can't be read without python-dotenv: pip install 'telnyx-trio[cli]'"]
    found: dict[str, tuple[str, int]] = {}
    problems = []
    try:
        with path.open(encoding="utf-8") as file:
            for binding in parse_stream(file):
                # The line before the first character of the value: comments above belong to it.
                leading = binding.original.string
                line = binding.original.line + len(leading) - len(leading.lstrip("\n"))
                if binding.error:
                    problems.append(f"line {line} of {path} is no VARIABLE=value")
                elif binding.key is not None and binding.value:
                    found[binding.key] = (binding.value, line)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problems.append(f"{path} can't be read: {reason}")
    return found, problems
