"""Names that every client can fetch from any web server, asked for when a name is staged for the first time.

A TUF client puts an image name into a URL as it is, so ``#`` cuts the URL there and ``%`` begins an escape that the server
decodes. Role names are percent-encoded by clients, and the server has to decode them to a file in ``metadata/``.
"""

from __future__ import annotations

from twinlock.repository.store.interface import object_name
from twinlock.repository.store.object_names import METADATA, served_name
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.metadata import UnsafePathError
from twinlock.trust.names import hidden_character, role_file

_CUT_URLS = "#%"


def check_image_name(path: str) -> None:
    """Refuse an image name that other clients could not fetch, or that reads like another. Raises: UsageError."""
    _check_visible("image", path)
    for character in _CUT_URLS:
        if character in path:
            raise UsageError(
                reason=f"{path} holds {character!r}; other TUF clients put the name into a URL as it is and would not find "
                f"the image. Choose a name without {character!r}"
            )


def check_role_name(role: str) -> None:
    """Refuse a role name whose file a web server would not find. Raises: UsageError, UnsafePathError."""
    stem = role_file(role)
    _check_visible("role", role)
    if role.startswith("."):
        reason = f"the role name {role} starts with '.', so its file would be hidden and not served. Choose a name without it"
        raise UsageError(reason=reason)
    wanted = f"1.{role}.json"
    if "%" in role:
        raise UsageError(reason=f"the role name {role} holds '%', which web servers decode. Choose a name without '%'")
    try:
        object_name(METADATA + wanted)
    except UnsafePathError as error:
        raise UsageError(reason=f"web servers would not find the file of the role {role}: {error}") from None
    if served_name(f"1.{stem}.json") != wanted:
        raise UsageError(reason=f"the role name {role} has a folder that ends in .json. Choose another name")


def _check_visible(what: str, name: str) -> None:
    if hidden := hidden_character(name):
        reason = f"the {what} name {name} holds the hidden character {hidden}, so it reads like another. Choose a name without it"
        raise UsageError(reason=reason)
