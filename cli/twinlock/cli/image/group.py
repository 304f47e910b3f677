"""``twinlock image``: the Image repository, from the shell.

Publishing, delegating and keys are in the modules next to this one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinlock.cli.image import clock as image_clock
from twinlock.cli.image.add import add, replace
from twinlock.cli.image.aktualizr import PROFILES, import_command, wire
from twinlock.cli.image.ostree import add_ostree
from twinlock.cli.image.publish import accept, delegate, publish, refresh, root_group, rotate, status, undelegate
from twinlock.cli.shared.options import (
    DEMAND_OF_ROLES,
    DIRECTORY,
    FILE,
    KEY_KINDS,
    open_image_repository,
    read_periods,
    read_plans,
)
from twinlock.cli.shared.output import Output, output_options, table, yes_option
from twinlock.cli.shared.own_input import own_input
from twinlock.cli.shared.passphrase import new_passphrase, passphrase_option, plain_keys_option
from twinlock.cli.shared.serving_options import serving_options
from twinlock.cli.signing.client_support import note_kinds
from twinlock.cli.signing.keys import keys_group
from twinlock.cli.signing.root_commands import quorum

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from twinlock.io.http.bounds import Bounds
    from twinlock.repository.keys.keyring import Keyring
    from twinlock.repository.model.views import ImageView, RepositoryView
    from twinlock.repository.signing.named_keys import NamedKey


@click.group()
def image() -> None:
    """Create, fill, publish and serve an Image repository: the lock that decides which images are genuine.

    \b
    Example:
      twinlock image init ./image
      twinlock image add ./image build/brake.bin brake/brake-2.0.bin --hardware-id hw-7 --release-counter 3
      twinlock image publish ./image
      twinlock image serve ./image --port 8080
    """


@image.command()
@click.argument("directory", type=DIRECTORY)
@click.option("--kind", type=click.Choice(KEY_KINDS), default="ed25519", show_default=True, help="The kind of keys.")
@click.option(
    "--keys", multiple=True, metavar="ROLE=T/N[:KIND[+KIND]]", help="N keys of which T must sign, such as root=2/3."
)
@DEMAND_OF_ROLES
@click.option(
    "--valid", multiple=True, metavar="ROLE=DURATION", help="How long files stay valid, such as timestamp=1d."
)
@click.option("--wire", "wires", type=click.Choice(PROFILES), multiple=True, help="Publish in this wire profile too.")
@plain_keys_option
@passphrase_option
@output_options
def init(  # noqa: PLR0913 - one parameter for each option
    out: Output,
    directory: Path,
    *,
    kind: str,
    keys: tuple[str, ...],
    demanding: tuple[str, ...],
    valid: tuple[str, ...],
    wires: tuple[str, ...],
    plain_keys: bool,
    passphrase_file: Path | None,
) -> None:
    """Make a repository: keys for each role, and the first publication. Safe to repeat if it was interrupted.

    The keys are encrypted under a passphrase, which is asked for unless one is given.

    \b
    Example:
      twinlock image init ./image --keys root=2/3 --keys targets=1/2 --valid timestamp=12h
      twinlock image init ./image --wire aktualizr
      twinlock image init ./image --keys root=2/3:ed25519+ml-dsa-65 --demand-post-quantum root
    """
    from twinlock.repository.image_repository import ImageRepository
    from twinlock.repository.publishing.create import check_creation

    periods, plans = read_periods(valid), read_plans(keys, kind, demanding)
    check_creation(directory, plans, wires)
    passphrase = new_passphrase(passphrase_file, plain=plain_keys)
    repository = ImageRepository.create(directory, passphrase=passphrase, keys=plans, periods=periods, wires=wires)
    shown = repository.show()
    note_kinds(out, plans)
    out.result(
        {"created": str(directory), "publication": shown.publication, "roles": shown.roles},
        [
            f"created the Image repository {directory}",
            f"move {repository.keyring.offline} to a medium that you can take offline; it has the Root and Targets keys",
            f"next: twinlock image add {directory} FILE NAME --hardware-id ID --release-counter N",
        ],
    )


@image.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("name")
@yes_option
@output_options
def remove(out: Output, directory: Path, name: str, *, yes: bool) -> None:
    """Remove an image from the next publication. Its bytes stay for vehicles that still follow the old one.

    \b
    Example:
      twinlock image remove ./image brake/brake-1.0.bin --yes
    """
    from twinlock.repository.authoring.staged_edits import check_listed

    repository = open_image_repository(directory, None)
    with own_input():
        check_listed(repository.workspace, name)
        out.confirm(f"remove {name} from {directory}", yes=yes)
        repository.remove_image(name)
    out.result({"removed": name}, f"staged the removal of {name}; run `twinlock image publish`")


@image.command()
@click.argument("directory", type=DIRECTORY)
@output_options
def show(out: Output, directory: Path) -> None:
    """List what is published: images, delegations, roles with their versions and expiry.

    \b
    Example:
      twinlock image show ./image --json
    """
    view = open_image_repository(directory, None).show()
    out.result(view, _show_lines(view))


def _show_lines(view: RepositoryView) -> Iterator[str]:
    yield f"publication {view.publication}" + (f", as {' and '.join(view.wires)}" if len(view.wires) > 1 else "")
    yield ""
    roles = [
        (
            role.name,
            role.version,
            f"{role.expires:%Y-%m-%d %H:%M}Z",
            quorum(role.threshold, len(role.keyids), post_quantum=role.post_quantum),
            role.held,
        )
        for role in view.roles
    ]
    yield from table(("ROLE", "VERSION", "EXPIRES", "MUST SIGN", "KEYS HERE"), roles)
    yield ""
    images = [
        (entry.path, entry.role, entry.release_counter, ",".join(entry.hardware_ids), _bytes(entry), _software(entry))
        for entry in view.images
    ]
    if images:
        yield from table(("IMAGE", "SIGNED BY", "RELEASE", "HARDWARE", "BYTES", "SOFTWARE"), images)
    else:
        yield "no images"
    if view.delegations:
        rows = [
            (
                delegation.name,
                delegation.delegator,
                " ".join(delegation.paths),
                "any" if delegation.hardware_ids is None else ",".join(delegation.hardware_ids),
                "terminating" if delegation.terminating else "",
            )
            for delegation in view.delegations
        ]
        yield ""
        yield from table(("DELEGATED TO", "BY", "NAMES", "HARDWARE", ""), rows)


def _bytes(entry: ImageView) -> str:
    if entry.target_format == "OSTREE":
        return f"commit {entry.hashes.get('sha256', '')[:12]}"
    return str(entry.length) if entry.uri is None else f"{entry.length} hosted"


def _software(entry: ImageView) -> str:
    needs = [f"needs {name}{spec}" for name, spec in entry.dependencies.items()]
    clashes = [f"not with {name}{spec}" for name, spec in entry.conflicts.items()]
    return "; ".join([" ".join(filter(None, (entry.component, entry.version))), *needs, *clashes]) or "-"


@image.command()
@click.argument("directory", type=DIRECTORY)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 picks a free port.")
@click.option("--tls-cert", type=FILE, help="Serve over TLS with this certificate (PEM).")
@click.option("--tls-key", type=FILE, help="Its private key (PEM, not encrypted).")
@click.option("--refresh/--no-refresh", default=True, help="Renew Snapshot and Timestamp while serving.")
@serving_options
@passphrase_option
@output_options
def serve(  # noqa: PLR0913 - one parameter for each option
    out: Output,
    directory: Path,
    *,
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    refresh: bool,
    bounds: Bounds,
    passphrase_file: Path | None,
) -> None:
    """Serve the repository over HTTP until interrupted, and keep its short-lived files fresh.

    Vehicles that run aktualizr find theirs below /repo, once it is published for them (twinlock image wire), and OSTree
    commits below /treehub (twinlock image add-ostree).

    \b
    Example:
      twinlock image serve ./image --host 0.0.0.0 --port 8080
      twinlock image serve ./image --port 8444 --tls-cert tls/server.pem --tls-key tls/server.key.pem
    """
    import asyncio

    from twinlock.io.http.tls import server_context
    from twinlock.repository.serving.renewal import serve_repository
    from twinlock.trust.errors.base import UsageError

    if (tls_cert is None) != (tls_key is None):
        raise UsageError(reason="--tls-cert and --tls-key must be given together")
    tls = server_context(tls_cert, tls_key, client_ca=None) if tls_cert and tls_key else None
    repository = open_image_repository(directory, passphrase_file)
    asyncio.run(
        serve_repository(
            repository.workspace,
            host=host,
            port=port,
            refresh=refresh,
            tls=tls,
            bounds=bounds,
            started=lambda server: out.event(
                {"event": "listening", "url": server.url}, f"serving {directory} at {server.url}"
            ),
            renewed=lambda version: out.event(
                {"event": "renewed", "publication": version}, f"renewed: publication {version}"
            ),
            failed=lambda error: out.event({"event": "renewal-failed", "error": error}, f"renewal failed: {error}"),
        )
    )


def _keyring(directory: Path) -> Keyring:
    from twinlock.repository.workspace.validity import utc_now
    from twinlock.repository.workspace.workspace import open_workspace

    return open_workspace(directory, passphrase=None, clock=utc_now).keyring


def _named(directory: Path) -> Mapping[str, NamedKey]:
    return open_image_repository(directory, None).named_keys()


image.add_command(keys_group("image", "./image", _keyring, _named))
for _command in (
    add,
    add_ostree,
    replace,
    *image_clock.COMMANDS,
    publish,
    status,
    delegate,
    undelegate,
    accept,
    refresh,
    rotate,
    root_group,
    wire,
    import_command,
):
    image.add_command(_command)
