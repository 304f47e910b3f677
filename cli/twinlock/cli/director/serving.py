"""``twinlock director serve``: the device API of vehicles that run this project's client."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinlock.cli.director.orders import open_director
from twinlock.cli.shared.options import DIRECTORY
from twinlock.cli.shared.output import Output, output_options
from twinlock.cli.shared.passphrase import passphrase_option
from twinlock.cli.shared.serving_options import serving_options, warn_of_plain_api

if TYPE_CHECKING:
    from twinlock.io.http.bounds import Bounds
    from twinlock.repository.serving.http import RunningServer


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8081, show_default=True, help="0 picks a free port.")
@click.option(
    "--plain", is_flag=True, help="Serve without TLS: anyone who reaches the port reads any vehicle's orders."
)
@serving_options
@passphrase_option
@output_options
def serve(
    out: Output, directory: Path, *, host: str, port: int, plain: bool, bounds: Bounds, passphrase_file: Path | None
) -> None:
    """Serve the device API until interrupted: manifests, metadata, time, enrolment.

    This API does not authenticate vehicles, so it is served only with --plain, and every start
    logs a warning. Manifests are signed, and a registration needs a token.

    \b
    Example:
      twinlock director serve ./director --host 127.0.0.1 --port 8081 --plain
    """
    import asyncio

    from twinlock.cli.shared.errors import UnprotectedServingError
    from twinlock.director.api.device_api import director_application
    from twinlock.repository.serving.http import serve_until_stopped

    if not plain:
        reason = (
            "this API does not support certificates yet, so anyone who reaches it can read the orders of every vehicle"
        )
        raise UnprotectedServingError(reason=reason, option="--plain")

    def started(server: RunningServer) -> None:
        warn_of_plain_api(server.url)
        out.event({"event": "listening", "url": server.url}, f"serving {directory} at {server.url}")

    with open_director(directory, passphrase_file) as opened:
        opened.check()
        asyncio.run(
            serve_until_stopped(director_application(opened), host=host, port=port, bounds=bounds, started=started)
        )


COMMANDS = (serve,)
