"""The one rule of redirects: the server that answers chooses the path, and nothing else."""

from __future__ import annotations

import pytest

from twinlock.io.http.redirects import MOST_REDIRECTS, RedirectChain
from twinlock.trust.errors.local import FetchError

URL = "http://host:80/a/x%20y.json?old=1"

FOLLOWED = {
    b"/y": "http://host:80/y",
    b"y": "http://host:80/a/y",
    b"../y": "http://host:80/y",
    b"?q=1": "http://host:80/a/x%20y.json?q=1",
    b"": URL,
    b"http://host/y": "http://host/y",
    b"HTTP://HOST:80/y": "http://HOST:80/y",
    b"//host/y": "http://host/y",
    b"/y#part": "http://host:80/y",
    # What is encoded stays so, in the case that it has; what is not, is encoded once.
    b"/%2e%2E%2f%7e%41%25": "http://host:80/%2e%2E%2f%7e%41%25",
    b"/100%": "http://host:80/100%",
    b"/a b\r\nX: 1": "http://host:80/a%20b%0D%0AX:%201",
    b"/\xc3\xa9\xff\x00": "http://host:80/%C3%A9%FF%00",
    b'/"<>\\^`{|}': "http://host:80/%22%3C%3E%5C%5E%60%7B%7C%7D",
    b"/!$&'()*+,;=:@[]~-._": "http://host:80/!$&'()*+,;=:@[]~-._",
}

REFUSED = {
    b"http://other/y": "another origin",
    b"//other/y": "another origin",
    b"https://host/y": "another origin",
    b"https://host:80/y": "another origin",
    b"http://host:81/y": "another origin",
    b"http://host.other/y": "another origin",
    b"http://other\\@host/y": "a user name or a password",
    b"http://user@host/y": "a user name or a password",
    b"http://user:TEST@host:80/y": "a user name or a password",
    b"http://host@other/y": "another origin",
    b"http://h\xc3\xb6st/y": "another origin",
    b"ftp://host/y": "another origin",
    b"file:///etc/passwd": "another origin",
    b"javascript:1": "another origin",
    b"http://[": "not a URL",
    b"http://host:abc/": "not a URL",
    b"http://host:99999/": "not a URL",
}


@pytest.mark.parametrize(("location", "place"), FOLLOWED.items())
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_same_origin_is_followed(location: bytes, place: str, status: int) -> None:
    chain = RedirectChain(URL)
    assert chain.follow(status, location)
    assert chain.place == place


@pytest.mark.parametrize(("location", "reason"), REFUSED.items())
def test_another_origin_is_refused(location: bytes, reason: str) -> None:
    chain = RedirectChain(URL)
    with pytest.raises(FetchError) as caught:
        chain.follow(302, location)
    assert (caught.value.url, caught.value.status) == (URL, 302)
    assert reason in caught.value.reason
    assert caught.value.reason.isascii()
    assert chain.place == URL


def test_a_long_address_is_cut_in_the_reason() -> None:
    with pytest.raises(FetchError) as caught:
        RedirectChain(URL).follow(302, b"http://other/" + b"\xff" * 10_000)
    assert len(caught.value.reason) < 300


@pytest.mark.parametrize("status", [200, 206, 300, 304, 305, 306, 404, 500])
def test_no_other_status_leads_on(status: int) -> None:
    assert not RedirectChain(URL).follow(status, b"/y")


def test_only_a_get_with_a_place_to_go_leads_on() -> None:
    assert not RedirectChain(URL).follow(302, None)
    for method in ("PUT", "POST", "HEAD"):
        assert not RedirectChain(URL, method).follow(302, b"/y")


def test_a_chain_ends_after_three() -> None:
    chain = RedirectChain(URL)
    for number in range(MOST_REDIRECTS):
        assert chain.follow(302, f"/{number}".encode())
    assert chain.place == "http://host:80/2"
    with pytest.raises(FetchError, match="more than 3 redirects"):
        chain.follow(302, b"/3")


def test_each_redirect_is_judged_from_the_one_before() -> None:
    chain = RedirectChain("http://me:TEST@host/a/x")
    assert chain.follow(302, b"y")
    assert chain.place == "http://me:TEST@host/a/y"
    assert chain.follow(302, b"http://host/b/z")
    assert chain.place == "http://host/b/z"
    assert chain.follow(302, b"w")
    assert chain.place == "http://host/b/w"
