"""The report as one HTML page that needs nothing else: readable without scripts, filtered with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from conformance.requirements import HERE, MAY, MUST, SHOULD, Catalogue
from conformance.verdicts import VERDICTS, Entry, totals
from conformance.writing_text import reason

_PAGE: Path = HERE / "page.html"


def as_html(catalogue: Catalogue, entries: Sequence[Entry]) -> str:
    """The page. Every text of ours is escaped; the frame is ``page.html``."""
    parts = {
        "STANDARD": escape(catalogue.standard),
        "SUMMARY": "\n".join(_summary(entries)),
        "VERDICTS": "\n".join(_choices("verdict", VERDICTS)),
        "LEVELS": "\n".join(_choices("level", (MUST, SHOULD, MAY))),
        "SECTIONS": "\n".join(_sections(catalogue, entries)),
    }
    page = _PAGE.read_text(encoding="utf-8")
    for name, text in parts.items():
        page = page.replace(f"@{name}@", text)
    return page


def _summary(entries: Sequence[Entry]) -> Iterator[str]:
    for level in (MUST, SHOULD):
        found = totals(entries, level)
        yield f"<p><strong>{level}</strong> <meter min='0' max='{found['total']}' value='{found['shown']}'>"
        yield f"</meter> {found['shown']} of {found['total']} shown by tests</p>"
    for verdict in VERDICTS:
        count = sum(entry.verdict == verdict for entry in entries)
        if count:
            yield f"<span class='tag {verdict}'>{verdict} {count}</span>"


def _choices(kind: str, values: Sequence[str]) -> Iterator[str]:
    for value in values:
        yield f"<label><input type='checkbox' name='{kind}' value='{value}' checked> {value}</label>"


def _sections(catalogue: Catalogue, entries: Sequence[Entry]) -> Iterator[str]:
    for section, group in groupby(entries, key=lambda entry: entry.requirement.section):
        members = list(group)
        title = escape(members[0].requirement.title)
        yield f"<section aria-labelledby='s{section}'><h2 id='s{section}'>{section} {title}</h2>"
        for entry in members:
            yield from _entry(catalogue, entry)
        yield "</section>"


def _entry(catalogue: Catalogue, entry: Entry) -> Iterator[str]:
    rule = entry.requirement
    level = rule.level if rule.profile in (None, rule.level) else f"{rule.level}, ours: {rule.profile}"
    yield f"<details id='{rule.id}' data-level='{rule.level}' data-verdict='{entry.verdict}'>"
    yield f"<summary><span class='id'>{rule.id}</span> <span class='tag {entry.verdict}'>{entry.verdict}</span>"
    yield f"<span class='level'>{level}</span> <span>{escape(rule.requirement)}</span></summary><dl>"
    yield from _row("Keyword", [escape(rule.modal)])
    yield from _row("Binds", [escape(", ".join(rule.applies_to))])
    yield from _row("How to show it", [escape(rule.test)])
    yield from _row("Guards against", [escape(catalogue.attacks[attack]) for attack in rule.guards])
    yield from _row("Code", [f"<code>{escape(symbol)}</code>" for symbol in entry.evidence.code])
    yield from _row(f"Tests ({len(entry.tests)})", [f"<code>{escape(test)}</code>" for test in entry.tests])
    yield from _row("Remark", [escape(reason(entry))] if reason(entry) else [])
    yield "</dl></details>"


def _row(name: str, items: Sequence[str]) -> Iterator[str]:
    if items:
        yield f"<div><dt>{name}</dt><dd>{'<br>'.join(items)}</dd></div>"
