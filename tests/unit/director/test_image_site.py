"""``director init`` asks what it can: the address, whether an Image repository is there, and whether the Root is its own."""

from __future__ import annotations

import shutil
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner

from tests.plain_keys import plain_keys
from tests.unit.director.world import ImageSite
from twinlock.cli.main import main
from twinlock.director.director import Director
from twinlock.repository.image_repository import ImageRepository


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TWINLOCK_PASSPHRASE", raising=False)
    monkeypatch.chdir(tmp_path)
    image = ImageRepository.create("image")
    Path("root.json").write_bytes(image.root_bytes(1))
    Path("other.json").write_bytes(ImageRepository.create("other").root_bytes(1))
    with Director.create("theirs", image_root=image.root_bytes(1), image_url="image") as director:
        Path("director.json").write_bytes(director.root_bytes(1))
    (tmp_path / "empty").mkdir()
    return tmp_path


def init(*, root: str = "root.json", image: str = "image", more: tuple[str, ...] = (), status: int) -> str:
    answer = CliRunner().invoke(
        main, plain_keys(["director", "init", "made", "--image-root", root, "--image", image, *more])
    )
    assert answer.exit_code == status, answer.output
    assert "attack" not in answer.output
    assert Path("made").exists() == (status == 0)
    return answer.output


@pytest.mark.parametrize(
    "url",
    [
        "htp://images.example",
        "http://",
        "http:///image",
        "https://images.example:99999",
        "https://images.example:0",
        "https://images.example/a b",
        "https://images.example/?key=1",
        "https://images.example/#top",
        "http://[",
        "images.example:8443",
        "nowhere",
    ],
)
@pytest.mark.usefixtures("place")
def test_an_absurd_address_is_refused_though_nobody_is_asked(url: str) -> None:
    init(image=url, more=("--offline",), status=2)
    init(image=url, status=2)
    init(status=0)


@pytest.mark.usefixtures("place")
def test_a_dead_address_is_a_fault_of_transport() -> None:
    init(image="http://127.0.0.1:1", status=4)
    init(image="http://127.0.0.1:1", more=("--offline",), status=0)


@pytest.mark.usefixtures("place")
def test_a_place_without_a_repository_is_named_as_that() -> None:
    (Path("empty") / "metadata").mkdir()
    assert "does not match the Root given" in init(image="empty", status=2)


@pytest.mark.usefixtures("place")
def test_a_wrong_root_is_noticed() -> None:
    assert "not signed under that Root" in init(root="other.json", status=2)
    init(root="other.json", more=("--offline",), status=0)


@pytest.mark.usefixtures("place")
def test_swapped_roots_are_noticed_though_nobody_is_asked() -> None:
    assert "swap the two files" in init(root="director.json", more=("--offline",), status=2)


@pytest.mark.usefixtures("place")
def test_a_file_that_is_not_a_root_is_the_operators_own_mistake() -> None:
    Path("junk.json").write_text("{}")
    init(root="junk.json", status=2)


def test_an_expired_repository_is_a_warning(place: Path) -> None:
    site = ImageSite(place / "site")
    site.publish()
    Path("root.json").write_bytes(site.root)
    assert "warning: " in init(image="site", status=0)


def test_a_repository_behind_http_is_asked(place: Path) -> None:
    shutil.copytree(place / "image" / "public", place / "served")

    class Files(SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(place / "served"))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert "does not match the Root given" in init(image=f"{url}/elsewhere", status=2)
        assert "not signed under" in init(root="other.json", image=url, status=2)
        init(image=url, status=0)
        server.shutdown()
        thread.join()
