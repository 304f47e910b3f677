"""Statements that are compiled once for each dialect and then run by the driver itself, within a transaction of the inventory.

Building and compiling a statement of SQLAlchemy takes thirty times what SQLite takes to run it, and a check-in of a vehicle runs
dozens. They are still written in SQLAlchemy Core, so that the tables and their types are stated once.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.selectable import ReturnsRows

_Convert = Callable[[Any], Any]


class _Compiled(NamedTuple):
    """A statement for one dialect: its text, what it binds in what order, and how values are converted on both ways."""

    text: str
    positions: tuple[str, ...] | None
    constants: Mapping[str, Any]
    writers: Mapping[str, _Convert]
    readers: tuple[tuple[int, _Convert], ...]


class Statement:
    """One statement of SQLAlchemy Core whose values are ``bindparam`` by name; for an insert also by the names of ``columns``.

    A fault raises an error of the driver's, which a transaction of the ``Inventory`` turns into one of ours.
    """

    def __init__(self, statement: Executable, *columns: str) -> None:
        self._statement: Any = statement
        self._columns = columns or None
        self._compiled: dict[str, _Compiled] = {}
        self._row: Callable[..., Any] | None = None
        names = statement.exported_columns.keys() if isinstance(statement, ReturnsRows) else []
        if names:
            self._row = namedtuple("Row", names)._make  # type: ignore[attr-defined]

    def rows(self, connection: Connection, /, **values: Any) -> list[Any]:
        """All rows, as named tuples."""
        cursor = self._execute(connection, values)
        try:
            fetched = cursor.fetchall()
        finally:
            cursor.close()
        assert self._row is not None, "the statement returns no rows"
        readers = self._compiled[connection.dialect.name].readers
        return [self._row(_read(row, readers) if readers else row) for row in fetched]

    def first(self, connection: Connection, /, **values: Any) -> Any | None:
        """The first row as a named tuple, None if there is none."""
        found = self.rows(connection, **values)
        return found[0] if found else None

    def scalar(self, connection: Connection, /, **values: Any) -> Any | None:
        """The first value of the first row, None if there is none."""
        found = self.rows(connection, **values)
        return found[0][0] if found else None

    def run(self, connection: Connection, /, **values: Any) -> int:
        """Do it; returns how many rows it matched."""
        cursor = self._execute(connection, values)
        try:
            return int(cursor.rowcount)
        finally:
            cursor.close()

    def _execute(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        compiled = self._compiled.get(connection.dialect.name) or self._compile(connection.dialect)
        writers = compiled.writers
        bound = {**compiled.constants, **values}
        for name in writers.keys() & bound.keys():
            bound[name] = writers[name](bound[name])
        cursor = connection.connection.cursor()
        arguments = bound if compiled.positions is None else tuple(bound[name] for name in compiled.positions)
        cursor.execute(compiled.text, arguments)
        return cursor

    def _compile(self, dialect: Dialect) -> _Compiled:
        made: Any = self._statement.compile(dialect=dialect, column_keys=self._columns)
        writers = {name: _writer(bind.type, dialect) for name, bind in made.binds.items()}
        constants = {name: bind.value for name, bind in made.binds.items() if not bind.required}
        readers = []
        if self._row is not None:
            for position, column in enumerate(self._statement.exported_columns):
                convert = column.type.dialect_impl(dialect).result_processor(dialect, None)
                if convert is not None:
                    readers.append((position, convert))
        compiled = _Compiled(
            text=str(made),
            positions=tuple(made.positiontup) if made.positional else None,
            constants=constants,
            writers={name: convert for name, convert in writers.items() if convert is not None},
            readers=tuple(readers),
        )
        self._compiled[dialect.name] = compiled
        return compiled


def _writer(kind: Any, dialect: Dialect) -> _Convert | None:
    convert: _Convert | None = kind.dialect_impl(dialect).bind_processor(dialect)
    return convert


def _read(row: tuple[Any, ...], readers: tuple[tuple[int, _Convert], ...]) -> Iterator[Any]:
    values = list(row)
    for position, convert in readers:
        values[position] = convert(values[position])
    return iter(values)
