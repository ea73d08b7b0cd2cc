"""The command ``telnyx-trio``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, cast

from .. import ConfigurationError, TelnyxError, __version__
from .._lazy import lazy_names
from ._exit_status import INTERRUPTED

_FillParser: TypeAlias = Callable[[argparse.ArgumentParser], None]

COMMANDS: Final = {
    "demo": "a whole call on this machine, shown as it happens",
    "serve": "answer calls with a handler of yours",
    "dial": "call a number with a handler of yours",
    "calls": "show the live calls of running servers",
    "doctor": "check everything that a phone call needs",
    "setup": "check an account; put back what killed runs left",
    "simulator": "run a simulated carrier",
    "call": "place simulated calls to a running server",
}

_find, _ = lazy_names(
    __name__, {f"._{command}": [f"fill_{command}_parser"] for command in COMMANDS}
)

_EPILOG = """\
examples:
  telnyx-trio demo                     a whole call on this machine, no account needed
  telnyx-trio demo --leg-encoding PCMA --send-encoding L16 --byteorder big
  telnyx-trio serve agent:agent --simulate     a simulated call for your own handler
  telnyx-trio simulator --port 9000    a carrier to develop against
  telnyx-trio call --count 100         simulated calls to your running server
  telnyx-trio doctor                   what keeps a phone from ringing here?
  telnyx-trio setup check              is your Telnyx account ready for calls?

Each command explains itself: telnyx-trio COMMAND --help
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status.

    Args:
        arguments: without the program's name; None takes those of the process.

    Raises:
        SystemExit: always; 0 if all went well, 1 if a call did not, 2 for wrong usage.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _make_parser(given[0] if given else "").parse_args(given)
    try:
        status: int = options.run(options)
    except BaseExceptionGroup as group:
        status = _tell(_lone(group))
    except (TelnyxError, OSError, KeyboardInterrupt) as error:
        status = _tell(error)
    sys.exit(status)


def _make_parser(chosen: str) -> argparse.ArgumentParser:
    """Make the parser; only the chosen command is loaded, as each brings much with it."""
    parser = argparse.ArgumentParser(
        prog="telnyx-trio",
        description="Telnyx phone calls for Trio.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"telnyx-trio {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, meaning in COMMANDS.items():
        command = commands.add_parser(
            name, help=meaning, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == chosen:
            fill_parser = cast(_FillParser, _find(f"fill_{name}_parser"))
            fill_parser(command)
    return parser


def _lone(error: BaseException) -> BaseException:
    """Return the error that nurseries made a group of, if it is the only one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _tell(error: BaseException) -> int:
    """Tell an error in a line, or a line for each problem, and return the exit status.

    Raises:
        BaseException: the error itself, if it is none that users can do something about.
    """
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if not isinstance(error, TelnyxError | OSError):
        raise error
    for problem in getattr(error, "problems", [_text_of(error)]):
        print(f"telnyx-trio: {problem}", file=sys.stderr)
    return 2 if isinstance(error, ConfigurationError) else 1


def _text_of(error: BaseException) -> str:
    """Return an error's text; that of the system's without its number."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
