"""Tables: with rich where it is installed, plain elsewhere."""

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


def print_columns(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of a name and figures, under titles."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
        for row in (titles, *rows):
            name, *figures = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            print(name.strip().ljust(widths[0]), *figures, sep="  ")
        return
    table = Table(titles[0])
    for title in titles[1:]:
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
