"""Requests to list images, as authors write them: a file, files under a folder, or the rows of a manifest.

A manifest is JSON lines or CSV with a header. Members: ``path`` (the file, relative to the manifest), ``name``,
``hardwareIds``, ``releaseCounter``, and for the component ``component``, ``version``, ``needs``, ``conflicts``. Lists are
JSON lists, or in CSV texts separated by ``;``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import UNSET, UnsetType

from twinlock.io.files.operator_files import faults_of_lines
from twinlock.io.files.records import Record, RecordError, to_record
from twinlock.repository.authoring.entries import Component, Description, describe
from twinlock.trust.errors.base import UsageError

_LISTS = frozenset({"hardwareIds", "needs", "conflicts"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """One image to list: the file ``source``, its ``name`` and what its author states. Nothing is checked yet.

    ``needs`` and ``conflicts`` are texts such as ``gateway>=1.4``. ``line`` is that of the manifest, from 1.
    """

    source: str | Path
    name: str
    hardware_ids: tuple[str, ...]
    release_counter: int
    component: str | None = None
    version: str | None = None
    needs: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    line: int | None = None

    def description(self) -> Description:
        """The statements as a checked value. Raises: UsageError, UnsafePathError."""
        return describe(self.name, self.hardware_ids, self.release_counter, self._component())

    def _component(self) -> Component | None:
        if self.component is None:
            if self.version or self.needs or self.conflicts:
                raise UsageError(reason=f"{self.name} states a version, needs or conflicts and names no component")
            return None
        if self.version is None:
            raise UsageError(reason=f"the component {self.component} of {self.name} needs a version")
        return Component(
            name=self.component,
            version=self.version,
            dependencies=dict(map(relation, self.needs)),
            conflicts=dict(map(relation, self.conflicts)),
        )


def relation(text: str) -> tuple[str, str]:
    """``gateway>=1.4`` as its name and its specifier; a bare name means any version. Raises: UsageError."""
    cut = next((index for index, char in enumerate(text) if char in "<>=!~ "), len(text))
    return text[:cut], text[cut:].strip()


def named_files(sources: Iterable[Path], folder: str) -> Iterator[tuple[Path, str]]:
    """Each file with its name below ``folder`` (``.``: none): a directory gives all files in it, by their path there.

    Hidden files are left out. Raises: UsageError for a directory without files.
    """
    prefix = "" if folder in ("", ".") else folder.rstrip("/") + "/"
    for source in sources:
        if not source.is_dir():
            yield source, prefix + source.name
            continue
        files = sorted(path for path in source.rglob("*") if path.is_file())
        inner = [(path, path.relative_to(source)) for path in files]
        shown = [(path, name) for path, name in inner if not any(part.startswith(".") for part in name.parts)]
        if not shown:
            raise UsageError(reason=f"the directory {source} holds no files")
        yield from ((path, prefix + name.as_posix()) for path, name in shown)


def read_manifest(text: str, base: Path) -> list[ImageRequest]:
    """The rows of a manifest, whose files are relative to ``base``. Raises: UsageError, naming every line that is wrong."""
    text = text.removeprefix("\ufeff")
    rows = _json_rows(text) if text.lstrip().startswith("{") else _csv_rows(text)
    requests, faults = [], []
    for line, row in rows:
        request = row if isinstance(row, str) else _request(line, row, base)
        if isinstance(request, str):
            faults.append(request)
        else:
            requests.append(request)
    if faults:
        raise UsageError(reason=faults_of_lines(faults))
    if not requests:
        raise UsageError(reason="the manifest lists no image")
    return requests


_Row = tuple[int, Any]  # the number of a line, and what it holds; its fault, a text, where it cannot be read


def _json_rows(text: str) -> Iterator[_Row]:
    for line, row in enumerate(text.split("\n"), start=1):
        if row.strip():
            try:
                value = json.loads(row)
            except (ValueError, RecursionError) as error:
                yield line, f"line {line} of the manifest is not a JSON object ({error})"
            else:
                yield line, value if isinstance(value, Mapping) else f"line {line} of the manifest is not a JSON object"


def _csv_rows(text: str) -> Iterator[_Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                yield (
                    reader.line_num,
                    f"line {reader.line_num} of the manifest does not have as many cells as the header",
                )
            else:
                yield reader.line_num, {name: _cell(name, value) for name, value in row.items() if value.strip()}
    except csv.Error as error:
        line = reader.reader.line_num  # that of DictReader is of the row before
        yield line, f"line {line} of the manifest is not CSV ({error}); the lines after it were not read"


def _cell(name: str, value: str) -> str | int | list[str]:
    if name in _LISTS:
        return [part.strip() for part in value.split(";") if part.strip()]
    if name == "releaseCounter" and value.strip().isascii() and value.strip().isdigit():
        return int(value)
    return value


class ManifestRow(Record, frozen=True, kw_only=True):
    """One row of a manifest."""

    path: str
    name: str
    hardware_ids: tuple[str, ...]
    release_counter: int
    component: str | UnsetType = UNSET
    version: str | UnsetType = UNSET
    needs: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


def _request(line: int, row: Mapping[str, Any], base: Path) -> ImageRequest | str:
    """The request of a row, or its fault."""
    place = f"line {line} of the manifest"
    try:
        stated = to_record(row, place, ManifestRow)
    except RecordError as error:
        return f"{place}: {error.fault}"
    return ImageRequest(
        source=base / stated.path,
        name=stated.name,
        hardware_ids=stated.hardware_ids,
        release_counter=stated.release_counter,
        component=None if stated.component is UNSET else stated.component,
        version=None if stated.version is UNSET else stated.version,
        needs=stated.needs,
        conflicts=stated.conflicts,
        line=line,
    )
