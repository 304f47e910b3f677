"""``twinlock image add`` and ``replace``, and what ``supplier add`` shares with them: one image, many files, a directory or a manifest, staged in one step."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twinlock.cli.shared.counts import counted, some_of
from twinlock.cli.shared.options import (
    DIRECTORY,
    DescriptionArguments,
    EntryArguments,
    description_options,
    open_image_repository,
    packed,
    read_component,
)
from twinlock.cli.shared.output import Output, output_options
from twinlock.cli.shared.own_input import OwnInputError, own_input, read_own_file
from twinlock.cli.shared.passphrase import passphrase_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from twinlock.repository.authoring.image_requests import ImageRequest
    from twinlock.repository.authoring.staged_images import ImageResult
    from twinlock.repository.image_repository import ImageRepository
    from twinlock.repository.model.views import ImageView
    from twinlock.repository.suppliers.workspace import SupplierWorkspace


_MAX_MANIFEST_BYTES = 1 << 28


@dataclass(frozen=True, kw_only=True)
class AddArguments:
    """The options that describe one image or many, as text."""

    sources: tuple[Path, ...]
    into: str | None
    manifest: Path | None
    hardware: tuple[str, ...]
    release_counter: int | None
    component: str | None
    version: str | None
    needs: tuple[str, ...]
    conflicts: tuple[str, ...]

    @property
    def described(self) -> bool:
        """Whether any option describes an image."""
        words = (self.hardware, self.component, self.version, self.needs, self.conflicts)
        return self.release_counter is not None or any(words)


_HOSTED = click.option(
    "--uri",
    metavar="https://...",
    help="Another host serves the bytes, which are read once and not stored; give a NAME and no SOURCE.",
)


def add_options(function: Callable[..., None]) -> Callable[..., None]:
    """Options of a command that stages images: files, a directory or a manifest, passed as ``wanted``."""
    return packed(
        function,
        "wanted",
        AddArguments,
        click.argument("sources", type=click.Path(path_type=Path), nargs=-1, metavar="SOURCE NAME | SOURCE..."),
        click.option(
            "--into",
            metavar="FOLDER",
            help="Each SOURCE is a file or a directory, listed below this folder of names (. for none).",
        ),
        click.option(
            "--manifest",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Read the images from JSON lines or CSV (- for standard input).",
        ),
        *description_options(required=False),
    )


@click.command()
@click.argument("directory", type=DIRECTORY)
@add_options
@_HOSTED
@passphrase_option
@output_options
def add(out: Output, directory: Path, *, wanted: AddArguments, uri: str | None, passphrase_file: Path | None) -> None:
    """Stage new images: one file SOURCE listed as NAME, files and directories --into a folder, or a --manifest.

    With --uri it is one NAME whose bytes another host serves, for vehicles that run aktualizr. OSTree commits have a command
    of their own: twinlock image add-ostree.

    All images of one call are staged, or none. A manifest is JSON lines with the members path, name, hardwareIds,
    releaseCounter, and component, version, needs, conflicts where there is a component; or CSV with these columns and
    ";" between the parts of a list.

    \b
    Example:
      twinlock image add ./image build/brake.bin brake/brake-2.0.bin --hardware-id hw-7 --release-counter 3 \\
          --component brake --version 2.0 --needs "gateway>=1.4" --conflicts "adas<3"
      twinlock image add ./image build/maps --into maps/2031 --hardware-id hw-9 --release-counter 4
      twinlock image add ./image --manifest release.jsonl --json
      make-release | twinlock image add ./image --manifest -
      twinlock image add ./image maps/maps-7.bin --uri https://cdn.example.org/maps-7.bin --hardware-id hw-9 \\
          --release-counter 7
    """
    _stage(out, open_image_repository(directory, passphrase_file), wanted, uri, replace=False)


@click.command()
@click.argument("directory", type=DIRECTORY)
@add_options
@_HOSTED
@passphrase_option
@output_options
def replace(
    out: Output, directory: Path, *, wanted: AddArguments, uri: str | None, passphrase_file: Path | None
) -> None:
    """Stage other bytes, or another description, for images that are listed already. Their counters may not fall.

    \b
    Example:
      twinlock image replace ./image build/brake.bin brake/brake.bin --hardware-id hw-7 --release-counter 4
      twinlock image replace ./image --manifest release.csv
    """
    _stage(out, open_image_repository(directory, passphrase_file), wanted, uri, replace=True)


def _stage(out: Output, repository: ImageRepository, wanted: AddArguments, uri: str | None, *, replace: bool) -> None:
    if uri is None:
        stage(out, repository, wanted, replace=replace)
    else:
        _stage_hosted(out, repository, wanted, uri, replace=replace)


def stage(out: Output, place: ImageRepository | SupplierWorkspace, wanted: AddArguments, *, replace: bool) -> None:
    """Stage what a command was given, in the Image repository or a supplier's workspace, and show it."""
    if wanted.manifest is None and wanted.into is None:
        _stage_one(out, place, _entry(wanted), replace=replace)
    else:
        _stage_many(out, place, _requests(wanted), replace=replace)


def _next_step(place: ImageRepository | SupplierWorkspace) -> str:
    from twinlock.repository.suppliers.workspace import SupplierWorkspace

    return "sign to put it into the outbox" if isinstance(place, SupplierWorkspace) else "run `twinlock image publish`"


def _entry(wanted: AddArguments) -> EntryArguments:
    """The one image that SOURCE NAME and the options describe. Raises: click.UsageError."""
    if len(wanted.sources) != 2:
        raise click.UsageError("name a SOURCE and a NAME, or several SOURCEs and --into, or a --manifest")
    source, name = wanted.sources
    if source.is_dir():
        raise click.UsageError(f"{source} is a directory; add --into FOLDER to list the files in it")
    return EntryArguments(source=source, **_described(wanted, str(name)))


def _described(wanted: AddArguments, name: str) -> dict[str, Any]:
    """The description of the one image ``name`` by the options. Raises: click.UsageError."""
    hardware, counter = _required(wanted)
    return {
        "name": name,
        "hardware": hardware,
        "release_counter": counter,
        "component": wanted.component,
        "version": wanted.version,
        "needs": wanted.needs,
        "conflicts": wanted.conflicts,
    }


def _required(wanted: AddArguments) -> tuple[tuple[str, ...], int]:
    from twinlock.trust.names import identifier

    if not wanted.hardware:
        raise click.UsageError("Missing option '--hardware-id'.")
    if wanted.release_counter is None:
        raise click.UsageError("Missing option '--release-counter'.")
    with own_input(given="--hardware-id"):
        for hardware in wanted.hardware:
            identifier(hardware)
    return wanted.hardware, wanted.release_counter


def _stage_hosted(out: Output, repository: ImageRepository, wanted: AddArguments, uri: str, *, replace: bool) -> None:
    if wanted.manifest is not None or wanted.into is not None or len(wanted.sources) != 1:
        raise click.UsageError("with --uri name one NAME, and neither a SOURCE nor --into nor a --manifest")
    entry = DescriptionArguments(**_described(wanted, str(wanted.sources[0])))
    with out.progress(None, f"reading {uri}") as advance, own_input():
        view = repository.add_hosted(
            uri,
            entry.name,
            hardware_ids=entry.hardware,
            release_counter=entry.release_counter,
            component=read_component(entry),
            replace=replace,
            progress=advance,
        )
    tell_staged(out, repository, view, f"{view.length} bytes at {view.uri}")


def _requests(wanted: AddArguments) -> list[ImageRequest]:
    """The images of --manifest or --into. Raises: click.UsageError, UsageError, StorageError."""
    from twinlock.repository.authoring.image_requests import ImageRequest, named_files, read_manifest

    if wanted.manifest is not None:
        if wanted.sources or wanted.into is not None or wanted.described:
            raise click.UsageError("the --manifest describes every image; give no SOURCE and no option of one image")
        return read_manifest(*_manifest_text(wanted.manifest))
    if not wanted.sources:
        raise click.UsageError("--into needs at least one SOURCE, a file or a directory")
    hardware, counter = _required(wanted)
    return [
        ImageRequest(
            source=source,
            name=name,
            hardware_ids=hardware,
            release_counter=counter,
            component=wanted.component,
            version=wanted.version,
            needs=wanted.needs,
            conflicts=wanted.conflicts,
        )
        for source, name in named_files(wanted.sources, wanted.into or ".")
    ]


def _manifest_text(manifest: Path) -> tuple[str, Path]:
    """The text of a manifest, and the directory that its paths are relative to."""
    from twinlock.cli.shared.errors import InputError

    inside = Path() if str(manifest) == "-" else manifest.parent
    data = read_own_file(manifest, "the manifest", max_bytes=_MAX_MANIFEST_BYTES)
    try:
        return data.decode(), inside
    except UnicodeDecodeError:
        raise InputError(source=str(manifest), reason="the manifest is not UTF-8 text") from None


def _stage_one(
    out: Output, place: ImageRepository | SupplierWorkspace, entry: EntryArguments, *, replace: bool
) -> None:
    with out.progress(_size(entry.source), "hashing") as advance, own_input():
        component = read_component(entry)
        view = place.add_image(
            entry.source,
            entry.name,
            hardware_ids=entry.hardware,
            release_counter=entry.release_counter,
            component=component,
            replace=replace,
            progress=advance,
        )
    tell_staged(out, place, view, f"{view.length} bytes")


def tell_staged(out: Output, place: ImageRepository | SupplierWorkspace, view: ImageView, what: str) -> None:
    """Show one image that was staged; ``what`` names in a few words where its bytes are."""
    _note_covering(out, view.path, place.delegations_covering(view.path))
    out.result({"staged": view}, f"staged {view.path} ({what}, release {view.release_counter}); {_next_step(place)}")


def _stage_many(
    out: Output, place: ImageRepository | SupplierWorkspace, requests: Sequence[ImageRequest], *, replace: bool
) -> None:
    """Stage all and show the result of each. Raises: SystemExit if any was refused."""
    total = sum(_size(Path(request.source)) for request in requests)
    with out.progress(total, f"hashing {counted(len(requests), 'image')}") as advance, own_input():
        results = place.add_images(requests, replace=replace, progress=advance)
    for result in results:
        _note_covering(out, result.request.name, result.covered_by)
    refused = sum(result.error is not None for result in results)
    items = [_item(result) for result in results]
    counts = Counter(str(item["outcome"]) for item in items)
    value = {"stored": not refused, "counts": dict(counts), "items": items}
    out.result(value, _lines(results, refused, _next_step(place)))
    if refused:
        raise SystemExit(max(_status(result) for result in results))


def _item(result: ImageResult) -> dict[str, Any]:
    request = result.request
    shown: dict[str, Any] = {"source": str(request.source), "name": request.name}
    if request.line is not None:
        shown["line"] = request.line
    if result.error is not None:
        return {**shown, "outcome": "refused", "error": {**result.error.as_json(), "kind": "refusal", "attack": "none"}}
    if result.image is None:
        return {**shown, "outcome": "not-staged"}
    return {**shown, "outcome": "staged", "image": result.image}


def _lines(results: Sequence[ImageResult], refused: int, next_step: str) -> Iterator[str]:
    for result in results:
        where = f"line {result.request.line}: " if result.request.line is not None else ""
        if result.error is not None:
            yield f"{where}refused {result.request.name}: error[{result.error.code}]: {result.error}"
        elif result.image is not None:
            yield f"{where}staged {result.image.path} ({result.image.length} bytes)"
    if refused:
        yield f"nothing was staged: {some_of(refused, len(results), 'image')} refused"
    else:
        yield f"staged {counted(len(results), 'image')}; {next_step}"


def _status(result: ImageResult) -> int:
    """The exit status that this image alone would give."""
    from twinlock.cli.shared.exit_status import exit_status
    from twinlock.trust.errors.base import RefusalError

    if result.error is None:
        return 0
    if isinstance(result.error, RefusalError):
        return OwnInputError(result.error).exit_status
    return exit_status(result.error)


def _note_covering(out: Output, name: str, roles: Sequence[str]) -> None:
    for role in roles:
        out.note(f"note: {role} may list {name} too; vehicles use the entry here first")


def _size(source: Path) -> int:
    return source.stat().st_size if source.is_file() else 0
