"""Every class of error: its text, its JSON, its copies; and that codes tell them apart."""

from __future__ import annotations

import copy
import json
import pickle
import typing
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

import twinlock.trust.errors.images
import twinlock.trust.errors.local
import twinlock.trust.errors.metadata
import twinlock.trust.errors.reports  # noqa: F401  (fills the tree)
from twinlock.trust.errors.base import Attack, RefusalError, TwinlockError, UsageError
from twinlock.trust.errors.images import CustomFieldError, HardwareError, ReleaseCounterError
from twinlock.trust.errors.metadata import LimitError, ThresholdError
from twinlock.trust.errors.reports import ReportReplayError
from twinlock.trust.errors.usage import GivenRootError, NotPublishedError

TIME = datetime(2030, 1, 1, tzinfo=UTC)
SAMPLES: dict[Any, Any] = {str: "a{b}\u00e4", int: 7, datetime: TIME, tuple[str, ...]: ("k1", "k2"), bool: True}


def _tree(cls: type[TwinlockError] = TwinlockError) -> Iterator[type[TwinlockError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from _tree(child)


CLASSES = [cls for cls in dict.fromkeys(_tree()) if cls.__module__.startswith("twinlock.trust.")]
REFUSALS = [cls for cls in CLASSES if issubclass(cls, RefusalError) and cls is not RefusalError]


def sample(cls: type[TwinlockError]) -> TwinlockError:
    """An error of this class, every field filled by its type."""
    hints = typing.get_type_hints(cls)
    return cls(**{name: SAMPLES[hints[name]] for name in cls.field_names})


def test_the_tree_is_there() -> None:
    assert len(REFUSALS) > 30


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
class TestEveryClass:
    def test_text(self, cls: type[TwinlockError]) -> None:
        error = sample(cls)
        text = str(error)
        assert text
        assert text.isprintable()
        for value in error.fields().values():
            shown = (
                "2030-01-01T00:00:00Z"
                if isinstance(value, datetime)
                else "k1, k2"
                if value == ("k1", "k2")
                else str(value)
            )
            assert shown in text
            assert f"[{shown}]" not in text, "a list reads as words, not as Python"
        assert "datetime" not in text
        assert type(error).__name__ in repr(error)

    def test_copies_are_equal_in_all_fields(self, cls: type[TwinlockError]) -> None:
        error = sample(cls)
        for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
            assert type(other) is cls
            assert other.fields() == error.fields()
            assert getattr(other, "clause", "") == getattr(error, "clause", "")
            assert str(other) == str(error)

    def test_json(self, cls: type[TwinlockError]) -> None:
        error = sample(cls)
        document = json.loads(json.dumps(error.as_json()))
        assert document["code"] == cls.code
        assert document["message"] == str(error)
        assert set(document["fields"]) == set(error.fields())
        if isinstance(error, RefusalError):
            assert document["attack"] == error.attack.value
            assert document["clause"] == error.clause

    def test_raising(self, cls: type[TwinlockError]) -> None:
        with pytest.raises(cls) as caught:
            raise sample(cls) from ValueError("cause")
        assert isinstance(caught.value.__cause__, ValueError)
        assert {caught.value: 1}[caught.value] == 1

    def test_fields_are_all_needed_and_only_by_keyword(self, cls: type[TwinlockError]) -> None:
        fields = sample(cls).fields()
        if fields:
            with pytest.raises(TypeError):
                cls(**dict(list(fields.items())[1:]))
        with pytest.raises(TypeError):
            cls(**fields, surprise=1)
        with pytest.raises(TypeError):
            cls("positional")  # type: ignore[call-arg]


def test_lists_read_as_words_and_empty_ones_as_none() -> None:
    error = ThresholdError(
        repository="director",
        role="root",
        valid=0,
        required=2,
        signed=("a", "b"),
        invalid=(),
        missing=("x",),
        unknown=(),
    )
    assert str(error) == (
        "director/root: 0 of 2 required signatures are valid "
        "(signed: a, b; invalid: none; missing: x; unknown: none; unusable: none)"
    )


def test_codes_are_unique() -> None:
    codes = [cls.code for cls in CLASSES if "code" in vars(cls)]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("cls", REFUSALS, ids=lambda cls: cls.__name__)
def test_every_refusal_says_its_clause_and_attack(cls: type[RefusalError]) -> None:
    assert cls.clause.split(" ")[0] in {"Uptane", "TUF"}
    assert isinstance(cls.attack, Attack)
    assert cls.__doc__


def test_every_attack_but_those_outside_metadata_is_named_by_some_refusal() -> None:
    outside = {Attack.DENIAL_OF_SERVICE, Attack.SLOW_RETRIEVAL}
    assert {cls.attack for cls in REFUSALS} >= set(Attack) - outside


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31mred", "\u202egnp.exe", "\ud800", "\x00", "\u2028"], ids=ascii)
def test_a_refusal_never_writes_control_characters(text: str) -> None:
    for cls in REFUSALS:
        error = sample(cls)
        fields = {name: text if isinstance(value, str) else value for name, value in error.fields().items()}
        made = cls(**fields)
        assert str(made).isprintable()
        assert str(made).encode()
        assert json.dumps(made.as_json())


def test_a_named_mistake_has_the_fields_of_its_sentence_and_no_empty_reason() -> None:
    class MissingPartError(UsageError):
        template = "{part} is missing"
        part: str

    assert MissingPartError(part="door").fields() == {"part": "door"}
    assert str(MissingPartError(part="door")) == "door is missing"


@pytest.mark.parametrize("values", [{}, {"reason": ""}])
def test_a_plain_mistake_has_a_reason(values: dict[str, str]) -> None:
    with pytest.raises(TypeError):
        UsageError(**values)


REPLAYED = {"ecu": "gw", "field": "counter", "reason": "its counter is 3, and the last one was 4"}


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ReportReplayError(**REPLAYED), "the report of gw is not new: its counter is 3, and the last one was 4"),
        (
            CustomFieldError(target="a.bin", repository="director", field="releaseCounter"),
            "a.bin: its entry at the Director has no releaseCounter",
        ),
        (
            CustomFieldError(target="a.bin", repository="image", field="mustAgree"),
            "a.bin: its entry at the Image repository has no mustAgree",
        ),
        (
            CustomFieldError(target="a.bin", repository="spare", field="mustAgree"),
            "a.bin: its entry at the repository spare has no mustAgree",
        ),
        (
            GivenRootError(repository="image", reason="why"),
            "the Root given for the Image repository cannot be used: why",
        ),
        (
            NotPublishedError(repository="director", location="http://h", reason="why"),
            "the Director at http://h does not match the Root given: why",
        ),
        (
            ReleaseCounterError(ecu="gw", target="a.bin", offered=1, installed=2),
            "a.bin: release counter 1 is lower than 2, that of the image on gw",
        ),
        (
            HardwareError(ecu="gw", target="a.bin", listed=("hw-1",), actual="hw-2"),
            "a.bin is for hardware hw-1, but the hardware of gw is hw-2",
        ),
        (LimitError(what="report in bytes", value=7, limit=6), "report in bytes: 7; the limit is 6"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, TwinlockError) else "",
)
def test_the_parts_of_a_sentence_compose(error: TwinlockError, sentence: str) -> None:
    assert str(error) == sentence
    assert error.as_json()["fields"].get("repository", "x") in ("director", "image", "spare", "x")  # as given


def test_a_replay_without_values_has_empty_ones() -> None:
    assert ReportReplayError(**REPLAYED).fields() == REPLAYED | {"offered": "", "last": ""}
