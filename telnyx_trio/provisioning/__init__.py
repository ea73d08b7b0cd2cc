"""From an account to a ringing phone: the public address, checks, and a temporary set-up.

``open_temporary_setup`` changes the account and puts it back. What to undo is a value
(``_records``) that is on disk before each change (``_journal``); ``_undo`` carries it out, for the
run that ends as for the next one after a run that was killed.
"""

from ._credentials import check_credentials as check_credentials
from ._credentials import check_public_key as check_public_key
from ._journal import Journal as Journal
from ._journal import JournalEntry as JournalEntry
from ._preflight import Direction as Direction
from ._preflight import check_destination as check_destination
from ._preflight import preflight as preflight
from ._preflight import require_ready as require_ready
from ._public_address import NGROK_API_URL as NGROK_API_URL
from ._public_address import find_public_url as find_public_url
from ._setup import TemporarySetup as TemporarySetup
from ._setup import open_temporary_setup as open_temporary_setup
from ._undo import UndoReport as UndoReport
from ._undo import undo_dead_runs as undo_dead_runs
