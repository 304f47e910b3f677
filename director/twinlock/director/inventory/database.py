"""The connection to the inventory: opening it, transactions, and turning what a database raises into our errors.

Every write transaction takes the write lock first (SQLite: ``BEGIN IMMEDIATE``; PostgreSQL: the vehicle's row, which
``inventory.vehicles.lock_vehicle`` locks), so what it read is still so when it commits.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from twinlock.director.errors.operator import SettingError
from twinlock.director.inventory.migrations import migrate
from twinlock.director.inventory.schema import SCHEMA_VERSION, metadata, schema_version
from twinlock.io.files.durable import storage_errors
from twinlock.trust.errors.local import ConflictError, NewerStateError, StorageError

BUSY_TIMEOUT_S = (
    4.0  # how long one waits for another; longer than any transaction of ours takes, shorter than an operator waits
)
_WRITE = "twinlock_write"


class Inventory:
    """One inventory. Threads may share it; each transaction has its own connection. Close it, or use ``with``."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._driver: Any = engine.dialect.loaded_dbapi
        self.name = name
        self._writer = threading.Lock()  # SQLite lets waiting writers poll; within a process they queue instead
        self._closing = threading.Lock()  # held while a connection goes back to the pool, or the pool is closed
        self._closed = False

    @classmethod
    def connect(cls, url: str, *, directory: Path) -> Inventory:
        """Prepare a connection; ``directory`` is what a relative SQLite path is relative to. Raises: UsageError."""
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise SettingError(setting="database", reason="is not a database URL") from None
        if parsed.get_backend_name() != "sqlite":
            return cls(create_engine(parsed, pool_pre_ping=True), parsed.render_as_string(hide_password=True))
        if not parsed.database or parsed.database == ":memory:":
            raise SettingError(
                setting="database", reason="has to name a file: one in memory would forget every counter"
            )
        path = directory / parsed.database
        engine = create_engine(parsed.set(database=str(path)), connect_args={"timeout": BUSY_TIMEOUT_S})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return cls(engine, str(path))

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database, None for a server."""
        return Path(self.name) if self._engine.dialect.name == "sqlite" else None

    def create(self) -> None:
        """Create the tables, all or none; an existing inventory is left alone. Raises: StorageError.

        The file of an SQLite inventory is for its owner alone, whatever the mode of the directory.
        """
        if self.file is not None:
            with storage_errors("create", self.file):
                os.close(os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        with self.writing("create") as connection:
            if not inspect(connection).has_table(schema_version.name):
                metadata.create_all(connection)
                connection.execute(insert(schema_version).values(version=SCHEMA_VERSION))

    def check_version(self) -> None:
        """Bring an inventory of an older version up to date, and refuse that of a newer one, untouched.

        Of several that open it at once one does the work, in one transaction; the others find it done.
        Raises: NewerStateError, StorageError, UsageError.
        """
        if self.file is not None and not self.file.is_file():
            raise SettingError(setting="database", reason=f"names {self.name}, which holds no inventory")
        with self.reading("open") as connection:
            if not inspect(connection).has_table(schema_version.name):
                raise StorageError(
                    path=self.name, operation="open", reason="the database is not the inventory of a Director"
                )
            version = connection.execute(select(schema_version.c.version)).scalar_one()
        if version > SCHEMA_VERSION:
            raise NewerStateError(
                path=self.name,
                operation="open",
                reason="a newer version wrote it",
                found=version,
                supported=SCHEMA_VERSION,
            )
        if version < SCHEMA_VERSION:
            with self.writing("bring up to date") as connection:
                migrate(connection)

    @contextmanager
    def reading(self, operation: str = "read") -> Iterator[Connection]:
        """A transaction that sees one state of the inventory throughout. Raises: StorageError."""
        with self._errors(operation), self._connected(operation) as plain:
            # SQLite readers see one state anyway; PostgreSQL has to be asked.
            level = {} if self.file is not None else {"isolation_level": "REPEATABLE READ"}
            connection = plain.execution_options(**level)
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self, operation: str = "write") -> Iterator[Connection]:
        """A transaction that excludes every other writer; committed at the end, undone if anything is raised.

        Raises: StorageError, and ConflictError where another writer was faster.
        """
        with self._errors(operation), self._turn(operation), self._connected(operation) as plain:
            connection = plain.execution_options(**{_WRITE: True})
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close all connections: idle ones now, and one that a transaction is using when the transaction ends.

        No transaction begins afterwards: ``reading`` and ``writing`` raise StorageError.
        """
        with self._closing:
            self._closed = True
            self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _connected(self, operation: str) -> Iterator[Connection]:
        self._refuse_closed(operation)
        connection = self._engine.connect()
        try:
            self._refuse_closed(operation)
            yield connection
        finally:
            with self._closing:
                if self._closed and not connection.invalidated:
                    connection.detach()  # the pool that would keep it open has been disposed of
                connection.close()

    def _refuse_closed(self, operation: str) -> None:
        if self._closed:
            raise StorageError(path=self.name, operation=operation, reason="the inventory was closed")

    @contextmanager
    def _turn(self, operation: str) -> Iterator[None]:
        if self.file is None:
            yield
            return
        if not self._writer.acquire(timeout=BUSY_TIMEOUT_S):
            raise StorageError(path=self.name, operation=operation, reason="other writers did not finish in time")
        try:
            yield
        finally:
            self._writer.release()

    @contextmanager
    def _errors(self, operation: str) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            raise ConflictError(what="the inventory", reason=f"could not {operation}: {error.orig}") from error
        except DBAPIError as error:
            raise StorageError(path=self.name, operation=operation, reason=_reason_of(error.orig)) from error
        except SQLAlchemyError as error:
            raise StorageError(path=self.name, operation=operation, reason=str(error)) from error
        except self._driver.IntegrityError as error:  # of a ``Statement``, which the driver runs itself
            raise ConflictError(what="the inventory", reason=f"could not {operation}: {error}") from error
        except self._driver.Error as error:
            raise StorageError(path=self.name, operation=operation, reason=_reason_of(error)) from error


def _reason_of(error: BaseException | None) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        advice = "SQLite writes next to the file even to read it; make its directory writable, or copy all of it to one that is"
        return f"{error} ({advice})"
    return str(error)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # Transactions are begun by _begin_sqlite alone; the driver would begin one too late.
    connection.isolation_level = None
    try:
        _use_wal(connection)
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()
    except BaseException:
        connection.close()  # the pool has not registered it yet
        raise


def _use_wal(connection: Any) -> None:
    # Of several that open an old file at once, SQLite refuses all but one here without waiting for its time-out.
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
