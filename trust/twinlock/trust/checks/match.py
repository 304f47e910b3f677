"""Whether the Director and a repository that has to agree mean the same image: Uptane 2.1.0 5.4.4.2 step 10.2."""

from __future__ import annotations

from twinlock.trust.errors.images import CustomFieldError, RepositoryMismatchError
from twinlock.trust.model.target_format import target_format
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import DIRECTOR, RepositoryName
from twinlock.trust.policy import Policy
from twinlock.trust.wire.json.cursor import DIGEST_DIGITS
from twinlock.trust.wire.json.olpc import encode_canonical


def check_match(director: ImageEntry, image: ImageEntry, *, repository: RepositoryName, policy: Policy) -> None:
    """Refuse unless both entries describe the same image. ``repository`` is where ``image`` is from.

    Raises: RepositoryMismatchError naming the field, CustomFieldError for a field that the policy requires.
    """
    # Step 10.1: exactly the same name. The caller looked it up by that name; this holds even if it did not.
    _equal(director, repository, "filename", director.path, image.path)
    # Step 10.2.1.
    _equal(director, repository, "length", director.length, image.length)
    common = director.hashes.keys() & image.hashes.keys()
    # A digest that this engine cannot check, or a weak one, ties nothing together.
    if not common & DIGEST_DIGITS.keys():
        _differ(director, repository, "hash algorithms", list(director.hashes), list(image.hashes))
    for algorithm in sorted(common):
        field = f"hashes.{algorithm}"
        _equal(director, repository, field, director.hashes[algorithm], image.hashes[algorithm])
    # The same digest means a file or a commit to be pulled, by this member alone.
    _equal(director, repository, "targetFormat", target_format(director), target_format(image))
    _require_fields(director, DIRECTOR, policy)
    _require_fields(image, repository, policy)
    # Step 10.2.2. A Director that leaves the section out would otherwise switch the comparison off.
    _equal(director, repository, "mustAgree", _section(director), _section(image))
    for field, ours, theirs in (
        ("releaseCounter", director.release_counter, image.release_counter),
        ("hardwareIds", director.hardware_ids, image.hardware_ids),
    ):
        if ours is not None and theirs is not None and ours != theirs:
            _differ(director, repository, field, ours, theirs)


def complete_entry(director: ImageEntry, image: ImageEntry, *, with_address: bool) -> ImageEntry:
    """The Director's entry with what only the matching ``image`` of another repository states.

    A field is always checked where either repository states it: so a Director that is silent cannot switch off what an
    Image repository states about hardware and release. ``with_address`` lets it give the address of the image as well.
    Source: Uptane 2.1.0 5.4.3.4 steps 3 and 5.
    """
    return director._replace(
        release_counter=image.release_counter if director.release_counter is None else director.release_counter,
        hardware_ids=image.hardware_ids if director.hardware_ids is None else director.hardware_ids,
        download_url=director.download_url or (image.download_url if with_address else None),
    )


def _section(entry: ImageEntry) -> str:
    # Compared in canonical form: in Python True equals 1, in JSON it does not.
    return "(none)" if entry.must_agree is None else encode_canonical(entry.must_agree).decode()


def _require_fields(entry: ImageEntry, repository: RepositoryName, policy: Policy) -> None:
    for field, value, required in (
        ("mustAgree", entry.must_agree, policy.require_must_agree),
        ("releaseCounter", entry.release_counter, policy.require_release_counter),
        ("hardwareIds", entry.hardware_ids, policy.require_hardware_ids),
    ):
        if value is None and required:
            raise CustomFieldError(target=entry.path, repository=repository, field=field)


def _equal(director: ImageEntry, repository: RepositoryName, field: str, ours: object, theirs: object) -> None:
    if ours != theirs:
        _differ(director, repository, field, ours, theirs)


def _differ(director: ImageEntry, repository: RepositoryName, field: str, ours: object, theirs: object) -> None:
    raise RepositoryMismatchError(
        target=director.path,
        repository=repository,
        field=field,
        director=_text(ours),
        image=_text(theirs),
    )


def _text(value: object) -> str:
    return ", ".join(sorted(map(str, value))) if isinstance(value, (frozenset, list)) else str(value)
