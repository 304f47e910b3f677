"""Triggers that have the database itself refuse to change or delete history."""

from __future__ import annotations

from sqlalchemy import Column, Table

from twinlock.director.tables.columns import UtcTime, metadata

# Holds a row only inside the transaction that prunes old history, and so lets that one delete.
pruning = Table("pruning", metadata, Column("before", UtcTime, primary_key=True))


def append_only_ddl(table: Table, dialect: str, *, prunable: bool = False) -> tuple[str, ...]:
    """The statements that have the database refuse to change or delete rows of ``table``.

    With ``prunable`` a transaction that holds a row in ``pruning`` may delete.
    """
    statements = []
    for operation in ("UPDATE", "DELETE"):
        name, message = f"{table.name}_no_{operation.lower()}", f"{table.name} is append-only"
        unless = operation == "DELETE" and prunable
        if dialect == "sqlite":
            when = " WHEN NOT EXISTS (SELECT 1 FROM pruning)" if unless else ""
            statements.append(
                f"CREATE TRIGGER {name} BEFORE {operation} ON {table.name}{when} "
                f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )
        else:
            allowed = "IF EXISTS (SELECT 1 FROM pruning) THEN RETURN OLD; END IF; " if unless else ""
            statements.append(
                f"CREATE FUNCTION {name}() RETURNS trigger AS $$ BEGIN {allowed}RAISE EXCEPTION '{message}'; END $$ "
                f"LANGUAGE plpgsql; "
                f"CREATE TRIGGER {name} BEFORE {operation} ON {table.name} FOR EACH ROW EXECUTE FUNCTION {name}()"
            )
    return tuple(statements)
