"""telnyx_trio's echo, counting the bytecode instructions that it runs for each packet.

Arguments: as telnyx_trio_echo.py, and the file to write to.
"""

import json
import sys
from collections import Counter
from types import CodeType, FrameType

import telnyx_trio_echo
import trio

BEGIN, WARM_UP, COUNT = 5.0, 2.0, 4.0
"""Seconds: until calls are up, until it ticks under the load of being traced, and of counting."""

instructions: Counter[CodeType] = Counter()
calls: Counter[CodeType] = Counter()


def trace(frame: FrameType, event: str, _: object) -> object:
    if event == "call":
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        calls[frame.f_code] += 1
    elif event == "opcode":
        instructions[frame.f_code] += 1
    return trace


async def count(path: str) -> None:
    await trio.sleep(BEGIN)
    # The frames that run already, Trio's loop among them, are told one by one.
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        frame.f_trace = trace
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        frame = frame.f_back
    sys.settrace(trace)  # type: ignore[arg-type]
    await trio.sleep(WARM_UP)
    instructions.clear()
    calls.clear()
    await trio.sleep(COUNT)
    sys.settrace(None)
    rows = [
        (code.co_filename, code.co_qualname, instructions[code], calls[code])
        for code in instructions
    ]
    await trio.Path(path).write_text(json.dumps(rows))


async def main(*arguments: str) -> None:
    trio.lowlevel.spawn_system_task(count, arguments[4])
    await telnyx_trio_echo.main(int(arguments[0]), int(arguments[1]), arguments[2])


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
