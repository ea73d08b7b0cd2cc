"""A two-column table: with rich where it is installed, plain elsewhere."""

from __future__ import annotations

from collections.abc import Sequence


def print_table(rows: Sequence[tuple[str, str]]) -> None:
    """Print names and values."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            print(f"{name:<{width}}  {value}")
        return
    table = Table(show_header=False)
    for name, value in rows:
        table.add_row(name, value)
    Console().print(table)
