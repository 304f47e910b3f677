"""Images on their way into the draft, one or thousands: all of them are staged, or none.

What is listed is read once for all of them. Every image is measured and checked before the first byte is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tuf.api.metadata import TargetFile, Targets

from twinlock.repository.authoring.entries import Description, check_succession, entry_view, target_entry
from twinlock.repository.authoring.image_requests import ImageRequest
from twinlock.repository.authoring.image_sources import FileSource, ImageSource
from twinlock.repository.authoring.profile_rules import ProfileRules
from twinlock.repository.authoring.servable_names import check_image_name
from twinlock.repository.authoring.staged_edits import preview
from twinlock.repository.model.views import ImageView
from twinlock.repository.store.image_files import FileDigest, Progress
from twinlock.repository.store.interface import ObjectStore
from twinlock.repository.workspace.draft import Draft, check_draft_size, editing_draft, read_draft
from twinlock.repository.workspace.state import RepositoryState
from twinlock.trust.errors.base import TwinlockError, UsageError
from twinlock.trust.names import TARGETS, RoleName


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageResult:
    """What became of one request: ``image`` as it was staged, ``error`` if it was refused, or neither if others were.

    ``covered_by`` are delegated roles that may list the name too; vehicles ask them after our own entry.
    """

    request: ImageRequest
    image: ImageView | None = None
    error: TwinlockError | None = None
    covered_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Checked:
    source: ImageSource
    measured: FileDigest
    entry: TargetFile


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingPlace:
    """Where one role's images are staged: the Image repository's own, or a supplier's.

    ``listed`` gives the role's Targets as they would be with a draft on top of what was signed. ``check`` refuses an entry, given
    its name and what is listed under it now, that clients of a wire profile could not use.
    """

    role: RoleName
    store: ObjectStore
    draft_path: Path
    listed: Callable[[Draft], Targets]
    check: Callable[[str, TargetFile, TargetFile | None], None]


def own_images(state: RepositoryState, profiles: Iterable[ProfileRules]) -> StagingPlace:
    """The images that the Image repository lists itself."""
    workspace, profiles = state.workspace, tuple(profiles)

    def check(path: str, entry: TargetFile, listed: TargetFile | None) -> None:
        for profile in profiles:
            profile.check_entry(workspace.store, path, entry, listed)

    return StagingPlace(
        role=TARGETS,
        store=workspace.store,
        draft_path=workspace.draft_path,
        # Under the lock of the draft too: who published meanwhile has taken its edits out of the draft.
        listed=lambda draft: preview(state.latest(), draft),
        check=check,
    )


def stage_image(
    place: StagingPlace,
    source: ImageSource,
    description: Description,
    *,
    replace: bool = False,
    progress: Progress = lambda _: None,
) -> ImageView:
    """Keep the bytes of ``source`` and stage its entry.

    Raises: UsageError, ProfileError, TransportError, StorageError.
    """
    current = place.listed(read_draft(place.draft_path))
    checked = _check(place, current, source, description, replace=replace, progress=progress)
    _store_and_stage(place, (checked,), replace=replace)
    return entry_view(place.role, checked.entry)


def stage_images(
    place: StagingPlace,
    requests: Iterable[ImageRequest],
    *,
    replace: bool = False,
    progress: Progress = lambda _: None,
) -> tuple[ImageResult, ...]:
    """Stage all ``requests``, or none if any is refused; the result of each, in their order.

    ``progress`` receives the size of each piece that was hashed. Raises: StorageError, and UsageError or ConflictError for
    a file or a draft that changed meanwhile; then nothing was staged.
    """
    current = place.listed(read_draft(place.draft_path))
    checked: dict[str, _Checked] = {}
    results: list[ImageResult] = []
    for request in requests:
        try:
            if request.name in checked:
                raise UsageError(reason=f"{request.name} is named twice in this operation")
            description = request.description()
            checked[request.name] = _check(
                place, current, FileSource(Path(request.source)), description, replace=replace, progress=progress
            )
            results.append(ImageResult(request=request))
        except TwinlockError as error:
            results.append(ImageResult(request=request, error=error))
    if any(result.error for result in results):
        return tuple(results)
    _store_and_stage(place, checked.values(), replace=replace)
    return tuple(_staged(place, results, checked, current))


def _staged(
    place: StagingPlace, results: Iterable[ImageResult], checked: dict[str, _Checked], current: Targets
) -> Iterator[ImageResult]:
    for result in results:
        entry = checked[result.request.name].entry
        roles = current.delegations.get_roles_for_target(entry.path) if current.delegations else ()
        yield replace(result, image=entry_view(place.role, entry), covered_by=tuple(name for name, _ in roles))


def _check(
    place: StagingPlace,
    current: Targets,
    source: ImageSource,
    description: Description,
    *,
    replace: bool,
    progress: Progress,
) -> _Checked:
    if description.path not in current.targets:
        check_image_name(description.path)
    measured = source.measure(progress)
    entry = target_entry(description, measured.length, measured.hashes)
    listed = current.targets.get(description.path)
    check_succession(description.path, entry, listed, replace=replace)
    place.check(description.path, entry, listed)
    return _Checked(source, measured, entry)


def _store_and_stage(place: StagingPlace, images: Iterable[_Checked], *, replace: bool) -> None:
    images = tuple(images)
    draft = read_draft(place.draft_path)
    draft.of(place.role).images.update({image.entry.path: image.entry.to_dict() for image in images})
    check_draft_size(draft, "these images")
    for image in images:
        image.source.keep(place.store, image.entry.path, image.measured)
    with editing_draft(place.draft_path) as draft:
        # Another editor may have staged the same path while the bytes were stored.
        current = place.listed(draft)
        for image in images:
            path = image.entry.path
            check_succession(path, image.entry, current.targets.get(path), replace=replace)
            draft.of(place.role).images[path] = image.entry.to_dict()
