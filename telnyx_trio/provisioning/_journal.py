"""The undo journal: one file a run, written before each change, in a folder of the user's.

::

    <run_id>.json   what the run may have changed; replaced as a whole, on disk before the change
    <run_id>.lock   locked while the run lives; the lock dies with its process, however that ends
    number-*.lock   locked by the run that routes this number

A process id would not tell whether a run lives, as ids are used again; a lock does.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from .._errors import SetupError
from .._state_folder import open_state_folder
from ._records import SetupRecord, application_name, decode_record, encode_record

FOLDER: Final = "setup"


@dataclass(frozen=True)
class JournalEntry:
    """One file of the journal.

    Attributes:
        path: of the file.
        is_live: whether the run is still going on, or is being undone by another process now.
        record: what it says; None if it can't be read.
        problem: why it can't be read.
    """

    path: Path
    is_live: bool
    record: SetupRecord | None = None
    problem: str = ""

    @property
    def run_id(self) -> str:
        """As the file's name says."""
        return self.path.stem

    @property
    def application_name(self) -> str:
        """Name of the run's application; known also when the file can't be read."""
        return application_name(self.run_id)


class RunJournal:
    """The file of one run, and the lock that shows that it lives."""

    def __init__(self, path: Path, lock: int) -> None:
        self._path = path
        self._lock: int | None = lock

    def write(self, record: SetupRecord) -> None:
        """Put a record on disk, in place of the one before; all of it or nothing.

        Raises:
            SetupError: it can't be written.
        """
        draft = self._path.with_suffix(".json.tmp")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(encode_record(record))
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self._path)
            _sync_folder(self._path.parent)
        except OSError as error:
            raise SetupError(f"the undo journal can't be written: {error}") from error

    def discard(self) -> None:
        """Remove the file: there is nothing left to undo."""
        for path in (self._path, self._path.with_suffix(".json.tmp")):
            path.unlink(missing_ok=True)
        self._path.with_suffix(".lock").unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Leave the file, if it is still there, to whoever undoes it."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


class Journal:
    """The folder with the files of all runs of this user.

    Args:
        root: of the state folder; None is the user's own, or ``TELNYX_TRIO_STATE_DIR``.

    Raises:
        SetupError: the folder can't be made.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        try:
            self.folder: Final = open_state_folder(FOLDER, root=root)
        except OSError as error:
            raise SetupError(f"the undo journal has no folder: {error}") from error

    def begin(self) -> tuple[str, RunJournal]:
        """Return the id and the file of a new run; nothing is written yet.

        Raises:
            SetupError: the folder can't be written to.
        """
        while True:
            run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
            path = self.folder / f"{run_id}.json"
            try:
                lock = _try_lock(path.with_suffix(".lock"))
            except OSError as error:
                raise SetupError(f"the undo journal can't be written: {error}") from error
            # None when another process tidies up, and takes this lock for one that was left.
            if lock is not None:
                return run_id, RunJournal(path, lock)

    def entries(self) -> list[JournalEntry]:
        """List the files, the oldest first."""
        self._tidy()
        return [self._read(path) for path in sorted(self.folder.glob("*.json"))]

    @contextmanager
    def take_over(self, entry: JournalEntry) -> Iterator[tuple[JournalEntry, RunJournal] | None]:
        """Hold a dead run's file, as it is now; None if its run lives, or it is gone."""
        lock = _try_lock(entry.path.with_suffix(".lock"))
        if lock is None:
            yield None
            return
        run = RunJournal(entry.path, lock)
        if not entry.path.exists():
            run.discard()
            yield None
            return
        try:
            yield self._read(entry.path, is_live=False), run
        finally:
            run.close()

    @contextmanager
    def claim_number(self, phone_number: str, account: str) -> Iterator[None]:
        """Keep other runs on this machine from routing this number.

        Raises:
            SetupError: another run does so.
        """
        name = hashlib.sha256(f"{account} {phone_number}".encode()).hexdigest()[:16]
        path = self.folder / f"number-{name}.lock"
        lock = _try_lock(path)
        if lock is None:
            owner = path.read_text(errors="replace").strip()
            raise SetupError(
                f"another run on this machine ({owner or 'just beginning'}) has routed"
                f" {phone_number}; end it first, or use another number. Nothing was changed"
            )
        try:
            os.truncate(lock, 0)
            os.pwrite(lock, f"process {os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(lock)

    def _read(self, path: Path, *, is_live: bool | None = None) -> JournalEntry:
        if is_live is None:
            is_live = _is_locked(path.with_suffix(".lock"))
        try:
            return JournalEntry(path, is_live, decode_record(path.read_bytes(), path.stem))
        except (OSError, ValueError, RecursionError) as error:
            return JournalEntry(path, is_live, problem=str(error))

    def _tidy(self) -> None:
        """Remove what runs left that died before their first change."""
        for path in self.folder.glob("*.lock"):
            record = path.with_suffix(".json")
            if path.name.startswith("number-") or record.exists():
                continue
            lock = _try_lock(path)
            if lock is None:
                continue
            run = RunJournal(record, lock)
            # A run writes its file only while it holds this lock.
            if record.exists():
                run.close()
            else:
                run.discard()


def _try_lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock of this file, None if another one does."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who held it may have removed the file meanwhile: then this is a lock of nothing.
            with suppress(FileNotFoundError):
                if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                    return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_locked(path: Path) -> bool:
    """Whether somebody holds the lock of this file, which is not made."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
