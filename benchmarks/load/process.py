"""What the kernel tells of a process."""

import os
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and its threads."""
    total = 0
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    except FileNotFoundError:  # a kernel without it, or a thread that has ended: in ticks of 10 ms
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")
    return total / 1e9


def waiting_seconds(pid: int) -> float:
    """Return how long threads of a process could have run and another program had the core.

    0.0 where the kernel does not say.
    """
    try:
        return sum(
            int((task / "schedstat").read_text().split()[1]) / 1e9
            for task in Path(f"/proc/{pid}/task").iterdir()
        )
    except FileNotFoundError:
        return 0.0


def memory_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
