"""Every error has a code of its own, every refusal a clause, and the page of codes is that of the classes."""

from __future__ import annotations

import re
from collections import Counter

from tests.architecture.codes import PAGE, errors, page
from twinlock.trust.errors.base import RefusalError

_CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def test_no_two_errors_have_one_code() -> None:
    assert not {code for code, times in Counter(error.code for error in errors()).items() if times > 1}


def test_every_code_is_plain() -> None:
    assert not [error.code for error in errors() if not _CODE.fullmatch(error.code)]


def test_every_refusal_names_the_clause_it_enforces() -> None:
    refusals = [error for error in errors() if issubclass(error, RefusalError) and error is not RefusalError]
    assert len(refusals) > 30
    assert not [
        error.code for error in refusals if not re.match(r"(Uptane 2\.1\.0|TUF 1\.0\.34|TAP \d+) ", error.clause + " ")
    ]


def test_every_error_says_what_it_is() -> None:
    assert not [
        error.__name__ for error in errors() if not error.__doc__ or error.__doc__.startswith(f"{error.__name__}(")
    ]


def test_the_page_of_codes_is_current() -> None:
    assert PAGE.read_text() == page(), "run `make fix`"
