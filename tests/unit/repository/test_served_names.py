"""Files under the names that URLs decode to: any web server finds them, and names that no client could fetch are refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from tuf.ngclient import Updater

from tests.unit.repository.conftest import START, HandClock
from tests.unit.repository.reading import Reader
from twinlock.director.catalogue.source import open_source
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.store.object_names import METADATA, metadata_object, served_name
from twinlock.repository.suppliers.workspace import SupplierWorkspace
from twinlock.repository.workspace.validity import utc_now
from twinlock.trust.engine.commands import ABSENT
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.metadata import UnsafePathError
from twinlock.trust.names import role_file

ROLE = "tier2 sub"
UNFETCHABLE = ["a#b.bin", "x%2Fy.bin", "50%.bin"]


def publish_role(root: Path, role: str, clock: HandClock | None = None) -> ImageRepository:
    """A repository that delegates ``s/*`` to ``role``, which lists ``s/x.bin``."""
    now = clock or utc_now
    repository = ImageRepository.create(root / "image", clock=now)
    place = SupplierWorkspace.create(root / "place", role=role, clock=now)
    (root / "x.bin").write_bytes(b"firmware")
    place.add_image(root / "x.bin", "s/x.bin", hardware_ids=["hw-1"], release_counter=1)
    place.sign()
    repository.delegate(role, keys=[place.public_key_file], paths=["s/*"])
    repository.accept(root / "place/outbox")
    repository.publish()
    return repository


def use_encoded_names(repository: ImageRepository) -> None:
    """Put the store back to what the version before wrote."""
    folder = repository.path / "public/metadata"
    (folder / f"1.{ROLE}.json").rename(folder / f"1.{role_file(ROLE)}.json")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("timestamp.json", "timestamp.json"),
        ("1.tier2%20sub.json", "1.tier2 sub.json"),
        ("1.a%2Fb.json", "1.a/b.json"),
        ("1.%C3%BC.json", "1.ü.json"),
        ("1...%2Fx.json", "1.../x.json"),
        ("1.a%2F..%2F..%2Fc.json", "1.a%2F..%2F..%2Fc.json"),
        ("1.a%2F.b.json", "1.a%2F.b.json"),
        ("1.a%2F%2Fb.json", "1.a%2F%2Fb.json"),
        ("1.a%5Cb.json", "1.a%5Cb.json"),
        ("1.a%2520b.json", "1.a%2520b.json"),
        ("1.a.json%2Fb.json", "1.a.json%2Fb.json"),
        ("1.%FF.json", "1.%FF.json"),
    ],
)
def test_the_name_that_a_url_decodes_to(file: str, name: str) -> None:
    assert served_name(file) == name


def test_roles_never_share_a_name() -> None:
    roles = ["a b", "a%20b", "a%2520b", "a/b", "a%2Fb", "a", "a.json/b", "../a", "a/../b"]
    assert len({metadata_object(role, 1) for role in roles}) == len(roles)


def test_a_role_with_a_space_has_its_plain_name_in_the_store(tmp_path: Path, clock: HandClock) -> None:
    repository = publish_role(tmp_path, ROLE, clock)
    assert (tmp_path / "image/public/metadata/1.tier2 sub.json").is_file()
    assert Reader(repository.store, repository.root_bytes(1)).find("s/x.bin", START).entry
    assert open_source(str(tmp_path / "image"))("1.tier2%20sub.json", 10**6) is not ABSENT


def test_a_store_with_encoded_names_is_read_and_gets_the_others(tmp_path: Path, clock: HandClock) -> None:
    repository = publish_role(tmp_path, ROLE, clock)
    use_encoded_names(repository)
    assert open_source(str(tmp_path / "image"))("1.tier2%20sub.json", 10**6) is not ABSENT
    again = ImageRepository.open(tmp_path / "image", clock=clock)
    assert [str(image.path) for image in again.show().images] == ["s/x.bin"]
    again.refresh()
    names = set(again.store.names(METADATA.rstrip("/")))
    assert {"metadata/1.tier2 sub.json", "metadata/1.tier2%20sub.json"} <= names
    assert Reader(again.store, again.root_bytes(1)).find("s/x.bin", START).entry
    again.rotate("timestamp")


@pytest.mark.parametrize("name", UNFETCHABLE)
def test_an_image_name_that_other_clients_cannot_fetch_is_refused(tmp_path: Path, clock: HandClock, name: str) -> None:
    (tmp_path / "x.bin").write_bytes(b"x")
    for place in (
        ImageRepository.create(tmp_path / "i", clock=clock),
        SupplierWorkspace.create(tmp_path / "p", role="acme", clock=clock),
    ):
        with pytest.raises(UsageError, match="other TUF clients put the name into a URL as it is"):
            place.add_image(tmp_path / "x.bin", name, hardware_ids=["hw-1"], release_counter=1)
    assert not list(tmp_path.glob("*/**/targets/**/*.bin"))


def test_an_image_name_that_reads_like_another_is_refused(tmp_path: Path, clock: HandClock) -> None:
    (tmp_path / "x.bin").write_bytes(b"x")
    repository = ImageRepository.create(tmp_path / "i", clock=clock)
    with pytest.raises(UsageError, match=r"hidden character U\+202E"):
        repository.add_image(tmp_path / "x.bin", "a\u202efdp.bin", hardware_ids=["hw-1"], release_counter=1)
    assert repository.status().staged_images == ()


@pytest.mark.parametrize(
    "role", ["50%", "a%2Fb", "a//b", "a/.b", "a/../../c", "a.json/b", "a\\b", "acme\u200b", "../x", ".acme", "..."]
)
def test_a_role_name_that_no_web_server_finds_is_refused(tmp_path: Path, clock: HandClock, role: str) -> None:
    with pytest.raises((UsageError, UnsafePathError), match=r"name|find"):
        SupplierWorkspace.create(tmp_path / "p", role=role, clock=clock)
    other = SupplierWorkspace.create(tmp_path / "q", role="fine", clock=clock)
    repository = ImageRepository.create(tmp_path / "i", clock=clock)
    with pytest.raises((UsageError, UnsafePathError), match=r"name|find"):
        repository.delegate(role, keys=[other.public_key_file], paths=["s/*"])
    assert repository.status().staged_delegations == ()
    other.sign()
    ours = SupplierWorkspace.create(tmp_path / "r", role="ours", clock=clock)
    with pytest.raises((UsageError, UnsafePathError), match=r"name|find"):
        ours.delegate(role, keys=[other.public_key_file], paths=["s/*"], outbox=tmp_path / "q/outbox")
    assert ours.show().delegations == ()
    assert not (tmp_path / "p").exists()


@contextmanager
def nginx(folder: Path, root: Path) -> Iterator[str]:
    """nginx with its plain static configuration in front of ``root``; yields its URL."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir()
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr notice; events {{}}\n"
        f"http {{ access_log off; {paths} server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n"
    )
    with Popen(["nginx", "-e", "stderr", "-c", str(folder / "nginx.conf")], stderr=PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            assert any("start worker" in line or "nginx/" in line for line in server.stderr), "nginx did not start"
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@pytest.mark.system
@pytest.mark.parametrize("role", [ROLE, "a/b", "ü", "acme"])
def test_python_tuf_finds_the_role_behind_nginx(tmp_path: Path, role: str) -> None:
    repository = publish_role(tmp_path, role)
    with nginx(tmp_path / "nginx", tmp_path / "image/public") as url:
        with urlopen(f"{url}/metadata/1.{role_file(role)}.json") as answer:
            assert answer.status == 200
        (tmp_path / "cache").mkdir()
        updater = Updater(
            str(tmp_path / "cache"),
            f"{url}/metadata/",
            str(tmp_path / "cache"),
            f"{url}/targets/",
            bootstrap=repository.root_bytes(1),
        )
        found = updater.get_targetinfo("s/x.bin")
        assert found is not None
        assert Path(updater.download_target(found)).read_bytes() == b"firmware"


@pytest.mark.system
def test_encoded_names_were_not_found_behind_nginx_until_a_command_wrote(tmp_path: Path) -> None:
    use_encoded_names(publish_role(tmp_path, ROLE))
    with nginx(tmp_path / "nginx", tmp_path / "image/public") as url:
        wanted = f"{url}/metadata/1.{quote(ROLE)}.json"
        with pytest.raises(HTTPError, match="404"):
            urlopen(wanted)
        ImageRepository.open(tmp_path / "image").refresh()
        with urlopen(wanted) as answer:
            assert answer.status == 200
