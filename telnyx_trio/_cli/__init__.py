"""The command ``telnyx-trio``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import ConfigurationError, __version__
from . import _call, _demo, _doctor, _setup, _simulator

_EPILOG = """\
examples:
  telnyx-trio demo                     a whole call on this machine, no account needed
  telnyx-trio demo --leg-encoding PCMA --send-encoding L16 --byteorder big
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
    parser = argparse.ArgumentParser(
        prog="telnyx-trio",
        description="Telnyx phone calls for Trio.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"telnyx-trio {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (_demo, _doctor, _setup, _simulator, _call):
        command.add_parser(commands)
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options)
    except ConfigurationError as error:
        for problem in error.problems:
            print(f"telnyx-trio: {problem}", file=sys.stderr)
        status = 2
    except OSError as error:
        print(f"telnyx-trio: {error}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)
