"""Text that another party wrote, made fit for a log line, a terminal, an error or a report."""

from __future__ import annotations


def printable(text: str) -> str:
    """``text`` with every control, bidi and other unprintable character escaped, so that it stays on one line as it is read.

    Without this a name may forge lines of a log, move a terminal's cursor, or show in another order than it is stored.
    """
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii")
