"""Attributes of a package that load their module on first use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from twinlock.trust.lazy import lazy_exports

PACKAGE = "package_with_lazy_exports"
EXPORTED = {"near": ["beta", "alpha"], "folder.far": ["gamma"]}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a package with two modules, none of it imported yet."""
    for name, text in {
        "__init__": "zeta = 0",
        "near": "alpha, beta, hidden = 'a', 'b', 'h'",
        "folder/__init__": "",
        "folder/far": "gamma = 'c'",
    }.items():
        file = tmp_path / PACKAGE / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield PACKAGE
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def loaded(package: str) -> set[str]:
    """Which modules of the package are imported."""
    return {name.removeprefix(f"{package}.") for name in sys.modules if name.startswith(f"{package}.")}


def test_a_name_loads_the_module_that_defines_it_and_no_other(package: str) -> None:
    load, _ = lazy_exports(package, EXPORTED)
    assert loaded(package) == set()
    assert load("alpha") == "a"
    assert loaded(package) == {"near"}
    assert (load("beta"), load("gamma")) == ("b", "c")
    assert loaded(package) == {"near", "folder", "folder.far"}


def test_a_name_that_was_loaded_is_an_ordinary_attribute(package: str) -> None:
    load, _ = lazy_exports(package, EXPORTED)
    load("gamma")
    found = vars(sys.modules[package])
    assert found["gamma"] == "c"
    assert not {"alpha", "beta"} & found.keys()


@pytest.mark.parametrize("name", ["hidden", "near", "delta"])
def test_a_name_that_is_not_exported(package: str, name: str) -> None:
    load, _ = lazy_exports(package, EXPORTED)
    with pytest.raises(AttributeError) as caught:
        load(name)
    assert str(caught.value) == f"module '{PACKAGE}' has no attribute '{name}'"
    assert loaded(package) == set()


def test_all_names_are_listed_in_order_whether_they_are_loaded_or_not(package: str) -> None:
    _, names = lazy_exports(package, EXPORTED | {"many": [f"name{number}" for number in range(10)]})
    listed = names()
    assert listed == sorted(listed)
    own = [name for name in listed if not name.startswith("__")]
    assert own == ["alpha", "beta", "gamma", *(f"name{number}" for number in range(10)), "zeta"]
    assert "__name__" in listed
    assert loaded(package) == set()
