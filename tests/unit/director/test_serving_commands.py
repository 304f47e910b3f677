"""``twinlock director serve``: what has to be asked for, and what every start says."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from click.testing import CliRunner

from tests.unit.director.world import ImageSite
from twinlock.cli.main import main
from twinlock.director.director import Director
from twinlock.repository.workspace.validity import utc_now


def _director(place: Path) -> Path:
    site = ImageSite(place / "image", now=utc_now())
    site.publish()
    Director.create(place / "director", image_root=site.root, image_url=str(site.path)).close()
    return place / "director"


def test_the_plain_api_is_off_unless_asked_for_and_every_start_says_so(tmp_path: Path) -> None:
    directory = _director(tmp_path)
    refused = CliRunner().invoke(main, ["director", "serve", str(directory), "--port", "0"])
    assert refused.exit_code == 2
    assert "--plain" in refused.output
    logging.getLogger().handlers.clear()

    words = ["director", "serve", str(directory), "--port", "0", "--plain", "--json", "--max-connections", "7"]
    with subprocess.Popen(
        [sys.executable, "-m", "twinlock.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "NO_COLOR": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = json.loads(process.stdout.readline())["url"]
        with urllib.request.urlopen(f"{url}/readyz") as answer:
            assert answer.status == 200
            assert answer.headers["Server"] == "twinlock"
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read().decode()
        assert process.wait(20) == 0
    assert f"{url} is served without TLS" in said
    line = next(json.loads(text) for text in said.splitlines() if '"event": "request"' in text)
    assert (line["client"], line["route"], line["status"]) == ("127.0.0.1", "/readyz", 200)
