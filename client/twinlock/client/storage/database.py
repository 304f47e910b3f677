"""The SQLite file that holds trusted state: its schema and migration, its lock, transactions, and what each failure means.

What the rows mean is the business of ``storage/metadata.py`` and ``state.py``.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from twinlock.io.files.durable import flush_directory, storage_errors
from twinlock.trust.errors.local import NewerStateError, StateInUseError, StorageError

APPLICATION_ID = 0x54574C4B  # "TWLK"; distinguishes our file from any other SQLite file
SCHEMA_VERSION = 2
_SCHEMA = """
CREATE TABLE metadata (
  repository TEXT NOT NULL, role TEXT NOT NULL, version INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (repository, role, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE reports (ecu TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT, WITHOUT ROWID;
"""
# Version 2. Proofs were added late in version 1, in a form that is no longer read.
_FLOORS = """
DROP TABLE IF EXISTS proofs;
CREATE TABLE proofs (
  repository TEXT NOT NULL, role TEXT NOT NULL, proof BLOB NOT NULL, PRIMARY KEY (repository, role)
) STRICT, WITHOUT ROWID;
CREATE TABLE floors (
  repository TEXT NOT NULL, role TEXT NOT NULL, floor BLOB NOT NULL, PRIMARY KEY (repository, role)
) STRICT, WITHOUT ROWID;
"""
_BUSY_SECONDS = 5.0  # how long a reader such as `twinlock trusted show` waits for a writer
_INDEX_BYTES = 1_000_000  # below this a disk is full: a log and its index need less
_CACHE_KIB = 512  # SQLite's default of 2 MiB buys nothing here, and a gateway has little memory


class Database:
    """One open state file. Use it from one thread at a time; closing it releases the lock."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, lock: int | None, *, unchanging: bool = False
    ) -> None:
        self.path = path
        self._connection = connection
        self._taken_as = _signature(path) if unchanging else None
        try:
            self.version: int = int(connection.execute("PRAGMA user_version").fetchone()[0])
        except BaseException:
            connection.close()
            raise
        self._lock = lock

    @classmethod
    def create(cls, path: Path, metadata: Iterable[tuple[str, str, int, bytes]]) -> Database:
        """Make a new state file, which must not exist, with these rows of ``metadata`` in it from the first moment on.

        Raises: StorageError if it exists or cannot be written, ConflictError if another process is making it.
        """
        lock = take_lock(path)
        try:
            if path.exists():
                raise StorageError(path=str(path), operation="create", reason="the file already exists")
            with _sqlite_errors(path, "create"):
                return cls(path, _create(path, metadata), lock)
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> Database:
        """Open an existing state file; unless ``read_only``, for this process alone.

        Raises: NewerStateError if a newer version wrote it (nothing is changed), ConflictError if another process has
        it open, StorageError if it is missing, damaged or not a state file.
        """
        _check_format(path)
        lock = None if read_only else take_lock(path)
        try:
            with _sqlite_errors(path, "open"):
                unchanging = read_only and _is_unchanging(path)
                return cls(path, _connect(path, "ro" if read_only else "rw"), lock, unchanging=unchanging)
        except BaseException:
            if lock is not None:
                os.close(lock)
            raise

    @contextmanager
    def transaction(self, operation: str) -> Iterator[sqlite3.Connection]:
        """Everything inside is stored, and on the disk, when this returns; or nothing is.

        Raises: StorageError; what was stored before is unchanged.
        """
        with _sqlite_errors(self.path, operation):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """The rows that ``query`` finds. Raises: StorageError, also if a copy taken for unchanging was written to since."""
        with _sqlite_errors(self.path, "read"):
            rows = self._connection.execute(query, values).fetchall()
        if self._taken_as is not None and _signature(self.path) != self._taken_as:
            raise StorageError(
                path=str(self.path), operation="read", reason="another process is writing to it; try again"
            )
        return rows

    def migrate(self, fill: Callable[[sqlite3.Connection], None]) -> None:
        """Bring a file of an older version to this one, in one transaction; ``fill`` writes the rows of the new tables.

        Raises: StorageError, and what ``fill`` raises; the file is then as it was.
        """
        if self.version == SCHEMA_VERSION:
            return
        with self.transaction("migrate") as connection:
            for statement in _FLOORS.split(";"):
                connection.execute(statement)
            fill(connection)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        self.version = SCHEMA_VERSION

    def close(self) -> None:
        """Close the file and release it to other processes."""
        self._connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _create(path: Path, metadata: Iterable[tuple[str, str, int, bytes]]) -> sqlite3.Connection:
    # Built under a temporary name, so that a crash here leaves no half-made state that would look damaged later.
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    connection = sqlite3.connect(draft, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(_SCHEMA + _FLOORS)
        connection.executemany("INSERT INTO metadata VALUES (?, ?, ?, ?)", metadata)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    finally:
        connection.close()
    draft.chmod(0o600)
    draft.replace(path)
    flush_directory(path.parent)
    return _connect(path, "rw")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        _address(path, mode),
        uri=True,
        isolation_level=None,
        timeout=_BUSY_SECONDS,
        check_same_thread=False,
    )
    try:
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if mode == "rw":
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != ("ok",):
                raise _damaged(path, "open", str(verdict[0]))
    except BaseException:
        connection.close()
        raise
    return connection


def _address(path: Path, mode: str) -> str:
    """The file as SQLite is to open it, ``mode`` "rw" or "ro".

    SQLite wants to put the index of its log next to the file even to read it. Where the directory takes none, such as a copy on
    read-only storage or a full disk, it reads the file as one that never changes. With a log next to it that would show old rows, or torn ones
    while an ECU of another user runs, so that is left to fail.
    """
    address = f"{path.absolute().as_uri()}?mode={mode}"
    return f"{address}&immutable=1" if mode == "ro" and _is_unchanging(path) else address


def _is_unchanging(path: Path) -> bool:
    return not _log(path).exists() and (not os.access(path.parent, os.W_OK) or _is_full(path.parent))


def _is_full(directory: Path) -> bool:
    try:
        found = os.statvfs(directory)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < _INDEX_BYTES or (found.f_files > 0 and found.f_favail == 0)


def _log(path: Path) -> Path:
    return Path(f"{path}-wal")


def _signature(path: Path) -> tuple[int, int, bool]:
    """What changes with any write: SQLite does not look again at a file that it opened as unchanging."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size, _log(path).exists()


def _check_format(path: Path) -> None:
    """Refuse what is not ours or is newer, through a read-only connection, so that looking changes nothing."""
    if not path.exists():
        raise StorageError(
            path=str(path),
            operation="open",
            reason="no such file; if the ECU has run before, restore it with `twinlock primary recover` or "
            "`twinlock secondary recover`",
        )
    with _sqlite_errors(path, "open"):
        connection = sqlite3.connect(_address(path, "ro"), uri=True, timeout=_BUSY_SECONDS)
        try:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        finally:
            connection.close()
    if application != APPLICATION_ID:
        raise StorageError(path=str(path), operation="open", reason="not a Twinlock state file")
    if version > SCHEMA_VERSION:
        raise NewerStateError(
            path=str(path), operation="open", found=version, supported=SCHEMA_VERSION, reason="a newer version wrote it"
        )


def take_lock(path: Path) -> int:
    """Hold the state file for this process alone; closing the descriptor releases it. Raises: StateInUseError, StorageError."""
    name = f"{path}.lock"
    with storage_errors("open", Path(name)):
        lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise StateInUseError(what=str(path), reason="another process is using this state") from None
    return lock


@contextmanager
def _sqlite_errors(path: Path, operation: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _as_storage_error(path, operation, error) from error


def _as_storage_error(path: Path, operation: str, error: sqlite3.Error) -> StorageError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return _damaged(path, operation, str(error))
    reasons = {
        sqlite3.SQLITE_FULL: "the disk is full; free some space and try again",
        sqlite3.SQLITE_READONLY: "the file is read-only; make it and its directory writable and try again",
        sqlite3.SQLITE_CANTOPEN: "the file cannot be opened; check the permissions of the file and of its directory",
        sqlite3.SQLITE_BUSY: "another process is writing to the file; try again",
        sqlite3.SQLITE_IOERR: f"the disk failed or is full ({error}); check the disk and try again",
    }
    return StorageError(path=str(path), operation=operation, reason=reasons.get(code, str(error)))


def _damaged(path: Path, operation: str, detail: str) -> StorageError:
    reason = f"the file is damaged ({detail}); stop the ECU and run `twinlock primary recover` or `twinlock secondary recover`"
    return StorageError(path=str(path), operation=operation, reason=reason)


def text_column(value: object) -> str:
    """A value of a TEXT column: the tables are STRICT, and hold no other type."""
    assert isinstance(value, str)
    return value


def number_column(value: object) -> int:
    """A value of an INTEGER column."""
    assert isinstance(value, int)
    return value


def bytes_column(value: object) -> bytes:
    """A value of a BLOB column."""
    assert isinstance(value, bytes)
    return value
