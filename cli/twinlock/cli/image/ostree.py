"""``twinlock image add-ostree``: an OSTree commit as an image, whose objects stay in an OSTree repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinlock.cli.image.add import tell_staged
from twinlock.cli.shared.options import (
    DIRECTORY,
    DescriptionArguments,
    description_options,
    open_image_repository,
    packed,
    read_component,
)
from twinlock.cli.shared.output import Output, output_options
from twinlock.cli.shared.own_input import own_input
from twinlock.cli.shared.passphrase import passphrase_option

if TYPE_CHECKING:
    from collections.abc import Callable


def _commit_options(function: Callable[..., None]) -> Callable[..., None]:
    described = (click.argument("name"), *description_options(required=True))
    return packed(function, "entry", DescriptionArguments, *described)


@click.command(name="add-ostree")
@click.argument("directory", type=DIRECTORY)
@_commit_options
@click.option("--commit", required=True, metavar="SHA256", help="The commit: 64 hexadecimal digits.")
@click.option(
    "--repo", type=DIRECTORY, help="The OSTree repository in archive mode that holds it. Needed the first time."
)
@click.option("--replace", is_flag=True, help="Another commit, or another description, for a NAME that is listed.")
@passphrase_option
@output_options
def add_ostree(
    out: Output,
    directory: Path,
    *,
    entry: DescriptionArguments,
    commit: str,
    repo: Path | None,
    replace: bool,
    passphrase_file: Path | None,
) -> None:
    """Stage an OSTree commit listed as NAME, for vehicles that run aktualizr. Its objects stay in the OSTree repository.

    twinlock image serve offers that repository below /treehub. The commit must be in it; publishing has `ostree fsck` check
    every object where that program is installed.

    \b
    Example:
      twinlock image add-ostree ./image gw/rootfs-2.0 --repo ./ostree-repo --hardware-id gw-1 --release-counter 2 \\
          --commit 28ffd66bb5f5ef34d35a54e5b4eb1c29e2e0ee4e21cd5fcb9d8ba3cb5d6ff1c4 --component gateway --version 2.0
    """
    from twinlock.repository.store.ostree_commits import is_program_installed

    repository = open_image_repository(directory, passphrase_file)
    with own_input():
        view = repository.add_commit(
            commit,
            entry.name,
            repository=repo,
            hardware_ids=entry.hardware,
            release_counter=entry.release_counter,
            component=read_component(entry),
            replace=replace,
        )
    if not is_program_installed():
        out.note("warning: the program ostree is not installed, so what the commit leads to was not checked")
    tell_staged(out, repository, view, f"OSTree commit {view.hashes['sha256']}")
