"""``twinlock up``: both repositories on embedded defaults, in one directory and one process."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinlock.cli.shared.output import Output, output_options
from twinlock.cli.shared.passphrase import new_passphrase, passphrase_for, passphrase_option, plain_keys_option
from twinlock.cli.shared.serving_options import check_plain, warn_of_plain_api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twinlock.director.director import Director
    from twinlock.repository.image_repository import ImageRepository
    from twinlock.repository.keys.private_keys import Passphrase

_PORT = click.IntRange(0, 65535)


@click.command()
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("twinlock-data"),
    show_default=True,
    help="Where both repositories are, or will be made.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--image-port", type=_PORT, default=8080, show_default=True, help="0 picks a free port.")
@click.option("--director-port", type=_PORT, default=8081, show_default=True, help="0 picks a free port.")
@click.option("--plain", is_flag=True, help="Let --host be an address that other machines reach, without TLS.")
@plain_keys_option
@passphrase_option
@output_options
def up(
    out: Output,
    directory: Path,
    *,
    host: str,
    image_port: int,
    director_port: int,
    plain: bool,
    plain_keys: bool,
    passphrase_file: Path | None,
) -> None:
    """Run an Image repository and a Director until interrupted; create them the first time.

    It renews what expires. Use the other commands while this one runs; it prints
    how. All keys are in the same directory, which suits trials only; they are encrypted under a passphrase, which is
    asked for unless one is given. Without --plain only this machine reaches the Director, and each start warns of that.

    \b
    Example:
      twinlock up
      twinlock up --plain-keys
      twinlock up --dir ./fleet --image-port 9000 --director-port 9001
    """
    check_plain(host, plain=plain)
    _check_fresh(directory, image_port, director_port)
    places = directory / "image", directory / "director"
    # Asked once for both repositories, and a second time only when keys are made.
    passphrase = (
        passphrase_for(passphrase_file) if _are_made(*places) else new_passphrase(passphrase_file, plain=plain_keys)
    )
    image = _open_image(out, places[0], passphrase)
    with _open_director(out, places[1], image, passphrase) as director:
        director.check()
        asyncio.run(_serve(out, image, director, host=host, ports=(image_port, director_port)))
    out.event({"event": "stopped"}, "stopped")


def _check_fresh(directory: Path, *ports: int) -> None:
    """Check, before anything is made, that both servers can have a place and a port of their own. Raises: UsageError."""
    from twinlock.trust.errors.base import UsageError

    if ports[0] and ports[0] == ports[1]:
        raise UsageError(reason=f"--image-port and --director-port are both {ports[0]}; give each server its own port")
    held = sorted(each.name for each in directory.iterdir()) if directory.is_dir() else []
    if held and not {"image", "director"} & set(held):
        reason = (
            f"--dir {directory} holds something else ({held[0]}); name a new directory, or one that `twinlock up` made"
        )
        raise UsageError(reason=reason)


def _are_made(image: Path, director: Path) -> bool:
    return _has_image(image) and _has_director(director)


def _has_image(place: Path) -> bool:
    # Timestamp is what the first publication writes last; without it, making the repository was cut off, or is to come.
    return (place / "public" / "metadata" / "timestamp.json").exists()


def _has_director(place: Path) -> bool:
    from twinlock.director.setup.config import CONFIG

    return (place / CONFIG).exists()


def _open_image(out: Output, place: Path, passphrase: Passphrase) -> ImageRepository:
    from twinlock.repository.image_repository import ImageRepository

    if _has_image(place):
        return ImageRepository.open(place, passphrase=passphrase)
    made = ImageRepository.create(place, passphrase=passphrase)
    out.note(f"made an Image repository in {place}")
    return made


def _open_director(out: Output, place: Path, image: ImageRepository, passphrase: Passphrase) -> Director:
    from twinlock.director.director import Director

    if _has_director(place):
        return Director.open(place, passphrase=passphrase)
    made = Director.create(
        place, image_root=image.root_bytes(), image_url=str(image.path.absolute()), passphrase=passphrase
    )
    out.note(f"made a Director in {place}")
    return made


async def _serve(out: Output, image: ImageRepository, director: Director, *, host: str, ports: tuple[int, int]) -> None:
    from twinlock.director.api.device_api import director_application
    from twinlock.repository.serving.http import serve_until_stopped, serving
    from twinlock.repository.serving.renewal import keep_fresh, whole_application
    from twinlock.repository.store.treehub import read_treehub

    stop = asyncio.Event()
    app = whole_application(image.store, renewing=image.workspace, treehub=lambda: read_treehub(image.path))
    async with serving(app, host=host, port=ports[0]) as first:
        renewing = asyncio.create_task(
            keep_fresh(
                image.workspace,
                stop=stop,
                renewed=lambda version: out.event(
                    {"event": "renewed", "publication": version}, f"renewed: publication {version}"
                ),
                failed=lambda error: out.event({"event": "renewal-failed", "error": error}, f"renewal failed: {error}"),
            )
        )
        try:
            await serve_until_stopped(
                director_application(director),
                host=host,
                port=ports[1],
                stop=stop,
                started=lambda second: _say_ready(out, (image.path, first.url), (director.path, second.url)),
            )
        finally:
            stop.set()
            await renewing


def _say_ready(out: Output, image: tuple[Path, str], director: tuple[Path, str]) -> None:
    warn_of_plain_api(director[1])
    event = {
        "event": "listening",
        "image": {"directory": str(image[0]), "url": image[1]},
        "director": {"directory": str(director[0]), "url": director[1]},
    }
    out.event(event, _next_steps(image, director))


def _next_steps(image: tuple[Path, str], director: tuple[Path, str]) -> Iterator[str]:
    place, other = shlex.quote(str(image[0])), shlex.quote(str(director[0]))
    root = shlex.quote(str(image[0] / "public" / "metadata" / "1.root.json"))
    yield f"Image repository  {image[1]}  in {image[0]}"
    yield f"Director          {director[1]}  in {director[0]}"
    yield ""
    yield "Add an image, in another terminal:"
    yield f"  twinlock image add {place} FILE gw/gateway-1.0.bin --hardware-id gw-1 --release-counter 1"
    yield f"  twinlock image publish {place}"
    yield "Build a vehicle and register it:"
    yield f"  twinlock director root {other} --output director-root.json"
    yield "  twinlock primary init ./gateway --vehicle VIN1 --ecu ecu-gw --hardware-id gw-1 \\"
    yield f"    --director-url {director[1]}/vehicles/VIN1 --image-url {image[1]} \\"
    yield f"    --director-root director-root.json --image-root {root}"
    yield f"  twinlock primary describe ./gateway | twinlock director register {other} -"
    yield "Update it:"
    yield "  twinlock primary update ./gateway"
    yield f"  twinlock director assign {other} VIN1 ecu-gw=gw/gateway-1.0.bin"
    yield "  twinlock primary update ./gateway"
    yield ""
    yield "Ctrl-C stops both."
