"""Images that another host serves: which addresses may be listed, and what their bytes are, read once and not kept.

    measured = hash_uri("https://cdn.example.org/fw-2.bin", PUBLIC_HOSTS, max_bytes=1 << 30)

Anyone who lists an address makes this machine, and then every vehicle, connect to it. So it has to be https, on a public
address that is checked after the name was resolved and then connected to as it is, and nothing of ours is sent along.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, cast
from urllib.parse import SplitResult, urlsplit

from twinlock.io.http.network_faults import network_reason, place_of
from twinlock.io.http.outgoing import CountedConnection, Deadline, RateFloor
from twinlock.io.http.redirects import RedirectChain
from twinlock.repository.errors import ImageUriError
from twinlock.repository.store.image_files import FileDigest, Progress, hash_stream
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.local import FetchError, TransportError

MAX_URI_CHARACTERS = 2_048
MAX_HOSTED_BYTES = 16 << 30
"""The largest image whose length was not stated before; the files of whole vehicles are smaller."""

_PORT = 443
_FRAMING_BYTES = 1 << 16  # of the head; chunks of a server that means well add a few bytes to thousands
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")  # all that IANA allots as global unicast
_SPECIAL_V6 = tuple(  # of these what the registry of special purposes (RFC 6890) keeps from hosts
    map(
        ipaddress.IPv6Network,
        ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3ffe::/16", "3fff::/20"),
    )
)
_UNICAST_V4 = (ipaddress.IPv4Address("1.0.0.0"), ipaddress.IPv4Address("223.255.255.255"))
_SPECIAL_V4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            *("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
            *("192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16"),
            *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        ),
    )
)
_NO_ADDRESS = ("https://example.com", "https://example.com/")  # what generators write where there is no address

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: Address) -> bool:
    """Whether an address is one of the public Internet: by what is allotted to it, so that nothing else passes.

    An IPv4 address that is written inside one of IPv6 where every network reads it so is judged by itself. All other addresses
    that a translator could lead inside are refused.
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or (ipaddress.IPv4Address(address.packed[-4:]) if address in _NAT64 else None)
        if inner is None:
            return address in _UNICAST_V6 and not any(address in network for network in _SPECIAL_V6)
        address = inner
    first, last = _UNICAST_V4
    return first <= address <= last and not any(address in network for network in _SPECIAL_V4)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideHosts:
    """The hosts that images may be listed at: ``permits`` judges every address that a name has.

    ``tls`` (None: the system's authorities) is what their certificates are judged by. An answer has to begin within
    ``timeout_s`` seconds, and each silence of that length ends it; after ``grace_s`` it may not be slower than the floor.
    """

    permits: Callable[[Address], bool] = is_public
    tls: ssl.SSLContext | None = field(default=None, compare=False)
    timeout_s: float = 30.0
    grace_s: float = 15.0


PUBLIC_HOSTS = OutsideHosts()


def check_uri(uri: str, hosts: OutsideHosts) -> SplitResult:
    """Refuse an address that no image may be listed with, as far as it shows without asking the network.

    Raises: ImageUriError.
    """
    if len(uri) > MAX_URI_CHARACTERS or not uri.isascii() or not uri.isprintable() or " " in uri:
        raise ImageUriError(
            uri=uri[:80], reason=f"the address is not plain ASCII, or is longer than {MAX_URI_CHARACTERS} characters"
        )
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError as error:
        raise ImageUriError(uri=uri, reason=f"the address is not a URL ({error})") from None
    if parts.scheme != "https" or not parts.hostname:
        raise ImageUriError(uri=uri, reason="the address does not begin with https:// and a host")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ImageUriError(uri=uri, reason="the address holds a user name, a password or a fragment")
    if uri in _NO_ADDRESS:
        raise ImageUriError(uri=uri, reason="aktualizr ignores this URL")
    literal = _literal(parts.hostname)
    if literal is not None and not hosts.permits(literal):
        raise _not_permitted(uri, literal)
    return parts


def check_reachable(uri: str, hosts: OutsideHosts) -> None:
    """``check_uri``, and that its name has permitted addresses alone. A name that cannot be resolved here passes.

    Raises: ImageUriError.
    """
    parts = check_uri(uri, hosts)
    try:
        _addresses(uri, parts, hosts)
    except TransportError:  # a signer may have no network; staging the image has connected
        return


def hash_uri(
    uri: str, hosts: OutsideHosts, *, max_bytes: int = MAX_HOSTED_BYTES, progress: Progress = lambda _: None
) -> FileDigest:
    """The length and digests of what ``uri`` serves, which is read once and kept nowhere.

    Raises: ImageUriError; EndlessDataError above ``max_bytes``; TransportError, FetchError.
    """
    chain, tls = RedirectChain(uri), hosts.tls or ssl.create_default_context()
    while True:
        parts = check_uri(chain.place, hosts)
        with _faults(uri), closing(_connection(parts, hosts, tls)) as connection:
            with Deadline(hosts.timeout_s) as deadline:
                line = _connect(chain.place, parts, hosts, tls, deadline)
                counted = CountedConnection(line, uri, max_bytes=max_bytes + max_bytes // 8 + _FRAMING_BYTES)
                connection.sock = cast("socket.socket", counted)
                response = _request(connection, parts)
            location = response.headers.get("Location")
            if not chain.follow(response.status, None if location is None else location.encode("latin-1")):
                _check_image(uri, response)
                counted.floor = RateFloor(uri, grace_s=hosts.grace_s)
                return _measured(_Bounded(response, uri, max_bytes), progress)


def _request(connection: http.client.HTTPSConnection, parts: SplitResult) -> http.client.HTTPResponse:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Accept-Encoding": "identity", "User-Agent": "twinlock", "Connection": "close"}
    connection.request("GET", target, headers=headers)
    return connection.getresponse()


def _check_image(uri: str, response: http.client.HTTPResponse) -> None:
    """Refuse an answer that is not the plain bytes of an image. Raises: FetchError, TransportError."""
    if response.status != 200:
        raise FetchError(url=uri, status=response.status, reason="an image was expected")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise TransportError(url=uri, reason="the host sends the image compressed, and vehicles ask for plain bytes")


def _measured(body: _Bounded, progress: Progress) -> FileDigest:
    claimed = body.response.length
    if claimed is not None and claimed > body.max_bytes:
        raise EndlessDataError(what=body.uri, limit_bytes=body.max_bytes)
    measured = hash_stream(cast("BinaryIO", body), progress)
    if claimed is not None and measured.length != claimed:
        raise TransportError(url=body.uri, reason=f"the answer broke off after {measured.length} of {claimed} bytes")
    return measured


@dataclass(slots=True)
class _Bounded:
    """A body that ends in a refusal as soon as it is longer than ``max_bytes``."""

    response: http.client.HTTPResponse
    uri: str
    max_bytes: int
    received: int = 0

    def read(self, size: int, /) -> bytes:
        chunk = self.response.read1(size)
        self.received += len(chunk)
        if self.received > self.max_bytes:
            raise EndlessDataError(what=self.uri, limit_bytes=self.max_bytes)
        return chunk


def _connection(parts: SplitResult, hosts: OutsideHosts, tls: ssl.SSLContext) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection(parts.hostname or "", parts.port or _PORT, timeout=hosts.timeout_s, context=tls)


def _connect(
    uri: str, parts: SplitResult, hosts: OutsideHosts, tls: ssl.SSLContext, deadline: Deadline
) -> ssl.SSLSocket:
    """TLS to an address that was checked: the name is not resolved a second time."""
    failure: OSError | None = None
    for address in _addresses(uri, parts, hosts):
        try:
            plain = deadline.connect((str(address), parts.port or _PORT), hosts.timeout_s)
        except OSError as error:
            failure = error
            continue
        try:
            return tls.wrap_socket(plain, server_hostname=parts.hostname)
        except OSError:
            plain.close()
            raise
    raise failure or TransportError(url=uri, reason="its host has no address")


def _addresses(uri: str, parts: SplitResult, hosts: OutsideHosts) -> list[Address]:
    """Every address of the host. One that is not permitted refuses the name. Raises: ImageUriError, TransportError."""
    try:
        resolved = socket.getaddrinfo(parts.hostname, parts.port or _PORT, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TransportError(url=uri, reason=network_reason(error, place_of(uri))) from None
    addresses = [ipaddress.ip_address(str(item[4][0]).partition("%")[0]) for item in resolved]
    for address in addresses:
        if not hosts.permits(address):
            raise _not_permitted(uri, address)
    return list(dict.fromkeys(addresses))


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _not_permitted(uri: str, address: Address) -> ImageUriError:
    reason = f"its host has the address {address}, which is private, of this machine, or otherwise not public"
    return ImageUriError(uri=uri, reason=reason)


@contextmanager
def _faults(uri: str) -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise TransportError(url=uri, reason=network_reason(error, place_of(uri))) from error
