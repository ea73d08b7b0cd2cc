"""Findings for people: a row each, with a mark."""

from __future__ import annotations

import os
from collections.abc import Sequence

from .. import Finding, FindingStatus

_WORDS = {
    FindingStatus.PASS: "ok",
    FindingStatus.FAIL: "FAIL",
    FindingStatus.WARNING: "warning",
    FindingStatus.SKIPPED: "-",
}
_MARKS = {
    FindingStatus.PASS: "[green]✓[/]",
    FindingStatus.FAIL: "[bold red]✗ FAIL[/]",
    FindingStatus.WARNING: "[yellow]! warning[/]",
    FindingStatus.SKIPPED: "[dim]-[/]",
}


def print_findings(findings: Sequence[Finding]) -> None:
    """Print a table: with rich on a terminal, in ASCII elsewhere and where NO_COLOR is set."""
    if not _print_with_rich(findings):
        name_width = max(len(finding.name) for finding in findings)
        for finding in findings:
            first, *further = _tell(finding)
            print(f"{_WORDS[finding.status]:<7}  {finding.name:<{name_width}}  {first}")
            for line in further:
                print(f"{'':<7}  {'':<{name_width}}  {line}")


def _print_with_rich(findings: Sequence[Finding]) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    try:
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table
    except ImportError:
        return False
    console = Console()
    if not console.is_terminal:
        return False
    table = Table("", "check", "found", show_lines=False)
    for finding in findings:
        text = "\n".join(map(escape, _tell(finding)))
        table.add_row(_MARKS[finding.status], escape(finding.name), text)
    console.print(table)
    return True


def _tell(finding: Finding) -> list[str]:
    """Return the lines that tell of a finding."""
    if finding.status is FindingStatus.PASS:
        return [finding.found]
    lines = [f"expected {finding.expected}"] if finding.expected else []
    found = f"found {finding.found}" if finding.expected else finding.found
    return [*lines, found, *([finding.remedy] if finding.remedy else [])]
