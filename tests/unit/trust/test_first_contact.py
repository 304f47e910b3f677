"""First contact: which addresses a repository can be met at."""

from __future__ import annotations

import pytest

from twinlock.trust.engine.first_contact import is_base_url


@pytest.mark.parametrize(
    ("location", "usable"),
    [
        ("http://h", True),
        ("https://h:8080/a/b/", True),
        ("http://[::1]/", True),
        ("ftp://h", False),
        ("http://", False),
        ("http://h:0", False),
        ("http://h?a", False),
        ("http://h#a", False),
        ("http://h/a b", False),
        ("http://h/\n", False),
        ("http://h/\u00e9", False),
        # What the parser itself refuses.
        ("http://[", False),
        ("http://h:port", False),
        ("http://h:65536", False),
    ],
)
def test_the_base_url_of_a_repository(location: str, usable: bool) -> None:
    assert is_base_url(location) is usable
