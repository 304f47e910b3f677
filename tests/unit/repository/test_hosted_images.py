"""Images that another host serves: read once over real TLS, listed by their address, and which addresses are refused."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import json
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest
from aiohttp import web

from tests.aktualizr.authority import Authority
from tests.unit.repository.conftest import START
from tests.unit.repository.reading import AktualizrReader, Reader
from tests.unit.repository.test_publish import tree
from twinlock.io.http.tls import server_context
from twinlock.repository.errors import ImageUriError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.serving.http import serving
from twinlock.repository.store.hosted import (
    MAX_URI_CHARACTERS,
    PUBLIC_HOSTS,
    OutsideHosts,
    check_reachable,
    check_uri,
    hash_uri,
    is_public,
)
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.local import FetchError, SlowRetrievalError, TransportError

IMAGE = b"TEST image of another host\n" * 10_000
NAME = "maps/maps-7.bin"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Host:
    """A web server on loopback with a certificate of a TEST authority. ``headers`` are those of all requests."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.headers: list[dict[str, str]] = []
        self.answers: dict[str, Handler] = {}
        self.url = ""

    @property
    def hosts(self) -> OutsideHosts:
        """The rule that permits this machine's own address, and believes the TEST authority."""
        context = ssl.create_default_context(cafile=self.authority.ca)
        return OutsideHosts(permits=lambda address: address.is_loopback, tls=context, timeout_s=5)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        if request.path in self.answers:
            return await self.answers[request.path](request)
        return web.Response(body=IMAGE)

    @contextmanager
    def running(self) -> Iterator[Host]:
        files = self.authority.issue("host")
        tls = server_context(files.certificate, files.key, client_ca=None)
        started, stop = Event(), asyncio.Event()
        loop = asyncio.new_event_loop()

        async def run() -> None:
            app = web.Application()
            app.router.add_get("/{name:.*}", self.answer)
            async with serving(app, tls=tls, shutdown_s=0.2) as server:
                self.url = server.url
                started.set()
                await stop.wait()

        thread = Thread(target=lambda: loop.run_until_complete(run()))
        thread.start()
        try:
            assert started.wait(10)
            yield self
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()
            loop.close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with Host(tmp_path / "authority").running() as host:
        yield host


@pytest.fixture
def widened(filled: ImageRepository, host: Host) -> ImageRepository:
    """The repository with the rule for addresses that lets this machine's own pass."""
    filled.publish_for_aktualizr()
    return ImageRepository.open(filled.path, clock=filled.workspace.clock, hosts=host.hosts)


def add(repository: ImageRepository, uri: str) -> None:
    repository.add_hosted(uri, NAME, hardware_ids=["hw-9"], release_counter=7)


def test_an_image_is_read_once_and_listed_by_its_address(widened: ImageRepository, host: Host) -> None:
    before = set(widened.store.names("targets"))
    steps: list[int] = []
    uri = f"{host.url}/maps/maps-7.bin?edition=2"
    view = widened.add_hosted(uri, NAME, hardware_ids=["hw-9"], release_counter=7, progress=steps.append)
    assert sum(steps) == view.length == len(IMAGE)
    assert (view.uri, view.target_format) == (uri, "file")
    assert view.hashes["sha256"] == hashlib.sha256(IMAGE).hexdigest()
    widened.publish()
    assert len(host.headers) == 1
    assert not {"Authorization", "Cookie"} & host.headers[0].keys()
    assert set(widened.store.names("targets")) == before
    theirs = AktualizrReader(widened.store).find(NAME, START).entry
    ours = Reader(widened.store, widened.root_bytes()).find(NAME, START).entry
    assert theirs is not None
    assert ours is not None
    assert (theirs.download_url, theirs.length, theirs.custom["targetFormat"]) == (uri, len(IMAGE), "BINARY")
    assert (ours.download_url, ours.custom["uri"]) == (None, uri)  # in the tuf form only a Director gives addresses


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://cdn.example.org/x", "does not begin with https://"),
        ("ftp://cdn.example.org/x", "does not begin with https://"),
        ("https:///x", "does not begin with https:// and a host"),
        ("https://user@cdn.example.org/x", "a user name, a password or a fragment"),
        ("https://user:TEST@cdn.example.org/x", "a user name, a password or a fragment"),
        ("https://cdn.example.org/x#y", "a user name, a password or a fragment"),
        ("https://cdn.example.org:99999/x", "not a URL"),
        ("https://[::1/x", "not a URL"),
        ("https://cdn.example.org/ü", "plain ASCII"),
        ("https://cdn.example.org/a b", "plain ASCII"),
        ("https://cdn.example.org/\x00", "plain ASCII"),
        ("https://cdn.example.org/" + "x" * MAX_URI_CHARACTERS, "longer than"),
        ("https://example.com/", "aktualizr ignores this URL"),
        ("https://127.0.0.1/x", "not public"),
        ("https://10.1.2.3:8443/x", "not public"),
        ("https://169.254.169.254/latest", "not public"),
        ("https://[::1]/x", "not public"),
        ("https://[fe80::1%25eth0]/x", "not public"),
        ("https://[::ffff:192.168.0.1]/x", "not public"),
        ("https://[64:ff9b::7f00:1]/x", "not public"),
        ("https://[2002:7f00:1::]/x", "not public"),
        ("https://0.0.0.0/x", "not public"),
        ("https://224.0.0.1/x", "not public"),
    ],
)
def test_addresses_that_no_image_may_have(filled: ImageRepository, uri: str, words: str) -> None:
    before = tree(filled)
    with pytest.raises(ImageUriError, match=words) as caught:
        add(filled, uri)
    assert caught.value.uri in uri
    assert tree(filled) == before


def test_a_name_of_this_machine_is_refused_once_it_is_resolved(filled: ImageRepository) -> None:
    check_uri("https://localhost/x", PUBLIC_HOSTS)
    with pytest.raises(ImageUriError, match="not public"):
        add(filled, "https://localhost/x")
    with pytest.raises(ImageUriError, match="not public"):
        check_reachable("https://localhost/x", PUBLIC_HOSTS)
    check_reachable("https://unresolvable.invalid/x", PUBLIC_HOSTS)
    with pytest.raises(TransportError, match="cannot be resolved"):
        hash_uri("https://unresolvable.invalid/x", PUBLIC_HOSTS)


@pytest.mark.parametrize(
    "address",
    [
        *("93.184.216.34", "1.0.0.0", "9.255.255.255", "172.32.0.1", "192.0.1.1", "198.20.0.1", "223.255.255.255"),
        *("2606:2800:220:1::1", "2001:200::1", "2a00:1450::1", "3fff:1000::1", "64:ff9b::5db8:d822", "::ffff:8.8.8.8"),
    ],
)
def test_public_addresses(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *("0.1.2.3", "10.1.2.3", "100.64.0.1", "127.0.0.2", "169.254.169.254", "172.16.0.1", "192.0.0.8", "192.0.2.1"),
        *(
            "192.88.99.1",
            "192.168.1.1",
            "198.19.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
        ),
        *("::", "::1", "::8.8.8.8", "::10.0.0.1", "::ffff:0:10.0.0.1", "::ffff:0:8.8.8.8", "::ffff:10.0.0.1"),
        *("64:ff9b::10.0.0.1", "64:ff9b:1::1", "64:ff9b:1:ffff::a00:1", "100::1", "100:0:0:1::1", "1000::1", "4000::1"),
        *(
            "2001::1",
            "2001:2::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:808:808::1",
            "2002:a00:1::1",
            "3fff::1",
            "5f00::1",
        ),
        *("fc00::1", "fd00::1", "fe80::1", "fec0::1", "ff02::1", "ff0e::1"),
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


def says(status: int = 200, body: bytes = IMAGE, **headers: str) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return answer


async def breaks_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(len(IMAGE))})
    await response.prepare(request)
    await response.write(IMAGE[:1000])
    assert request.transport is not None
    request.transport.close()
    return response


async def never_ends(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while request.transport is not None and not request.transport.is_closing():
        await response.write(IMAGE)
        await asyncio.sleep(0)  # writing to a client that has gone never waits, and nothing else would run
    return response


async def drips_its_head(request: web.Request) -> web.StreamResponse:
    while request.transport is not None and not request.transport.is_closing():
        request.transport.write(b"H")
        await asyncio.sleep(0.02)
    return web.Response()


async def drips_its_body(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while request.transport is not None and not request.transport.is_closing():
        await response.write(b"x")
        await asyncio.sleep(0.02)
    return response


def frames(first: bytes, piece: bytes, pause_s: float) -> Handler:
    """A chunked body that goes on inside its framing: ``first``, then ``piece`` again and again."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + first)
        while not request.transport.is_closing():
            request.transport.write(piece)
            await asyncio.sleep(pause_s)
        return web.Response()

    return answer


SLOW = "the floor is 1000"


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (drips_its_head, TransportError, "no complete answer"),
        (drips_its_body, SlowRetrievalError, SLOW),
        (frames(b"1;", b"a", 0.02), SlowRetrievalError, SLOW),
        (frames(b"1\r\nx\r\n0\r\n", b"a: b\r\n", 0.02), SlowRetrievalError, SLOW),
        (frames(b"1\r\nx\r\n0\r\n", b"a: b\r\n" * 10_000, 0), EndlessDataError, "more than"),
    ],
    ids=["head", "body", "size of a chunk", "trailers", "trailers without end"],
)
def test_a_host_that_drips_is_given_up_on(host: Host, answer: Handler, error: type[Exception], words: str) -> None:
    host.answers["/x"] = answer
    started = time.monotonic()
    with pytest.raises(error, match=words):
        hash_uri(f"{host.url}/x", replace(host.hosts, timeout_s=1.0, grace_s=0.5), max_bytes=1 << 20)
    assert time.monotonic() - started < 5


def test_what_a_host_may_do_instead_of_serving_the_image(host: Host) -> None:
    def refused(answer: Handler, error: type[Exception], words: str, max_bytes: int = 1 << 20) -> None:
        host.answers["/x"] = answer
        with pytest.raises(error, match=words):
            hash_uri(f"{host.url}/x", host.hosts, max_bytes=max_bytes)

    refused(says(404), FetchError, "404")
    refused(says(206), FetchError, "206")
    refused(says(Content_Encoding="gzip"), TransportError, "compressed")
    refused(says(), EndlessDataError, "more than the limit of 1000 bytes", 1000)
    refused(never_ends, EndlessDataError, "more than the limit of 1000000 bytes", 1_000_000)
    refused(breaks_off, TransportError, "broke off")
    refused(says(302, Location="/x"), FetchError, "redirects")
    refused(says(302, Location="https://cdn.example.org/x"), FetchError, "another origin")
    refused(says(302, Location=host.url.replace("https", "http") + "/y"), FetchError, "another origin")
    refused(says(302, Location=host.url.replace("https://", "https://a:TEST@") + "/y"), FetchError, "password")
    refused(says(302, Location="https://[::1/x"), FetchError, "not a URL")
    host.answers["/x"] = says(302, Location="/other")
    assert hash_uri(f"{host.url}/x", host.hosts).length == len(IMAGE)


def test_a_redirect_to_a_host_asks_for_the_path_as_it_was_sent(host: Host) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.raw_path)
        return web.Response(body=IMAGE)

    host.answers["/a/b%20c.bin"] = answer
    host.answers["/x"] = says(302, Location="/a%2Fb%2520c.bin")
    assert hash_uri(f"{host.url}/x", host.hosts).length == len(IMAGE)
    assert asked == ["/a%2Fb%2520c.bin"]


def test_a_certificate_that_nobody_vouches_for(host: Host) -> None:
    with pytest.raises(TransportError, match="certificate"):
        hash_uri(f"{host.url}/x", replace(host.hosts, tls=None))
    assert host.headers == []


def test_an_image_of_no_bytes_is_none(widened: ImageRepository, host: Host) -> None:
    host.answers["/empty"] = says(body=b"")
    with pytest.raises(UsageError, match="serves no bytes"):
        add(widened, f"{host.url}/empty")


def test_the_address_is_judged_again_before_it_is_published(widened: ImageRepository, host: Host) -> None:
    """What was staged under a wider rule, or written into the draft by hand, is not published under the usual one."""
    add(widened, f"{host.url}/x")
    usual = ImageRepository.open(widened.path, clock=widened.workspace.clock)
    before = tree(usual)
    with pytest.raises(ImageUriError, match="not public"):
        usual.publish()
    assert tree(usual) == before
    draft = json.loads((usual.path / "draft.json").read_text())
    draft["roles"]["targets"]["images"][NAME]["custom"]["uri"] = "http://cdn.example.org/x"
    (usual.path / "draft.json").write_text(json.dumps(draft))
    with pytest.raises(ImageUriError, match="https://"):
        widened.publish()
    usual.remove_image(NAME)
    assert not usual.publish().changed
