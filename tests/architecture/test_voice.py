"""Plain English in what people read: words that a native engineer would not write stay out of the product and its documents."""

from __future__ import annotations

import io
import re
import subprocess
import tokenize
from typing import TYPE_CHECKING

import pytest

from tests.architecture.source import PARTS, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# By what to write instead. Case does not count. A pattern is banned here once nothing is left of it; see CONTRIBUTING.md.
BANNED = {
    "state what the module is": r"\bbelongs? here",
    "name the actor": r"\b(nobody|somebody|anybody|whoever)\b",
    "forever": r"\bfor ever\b",
    "again": r"\banew\b|\bafresh\b",
    "most severe": r"\bgravest\b",
    "the command to run": r"\bto make it so\b|\bmakes it so\b",
    "repair": r"\bmend(s|ed|ing)?\b|\bamiss\b",
    "differently": r"\botherwise than\b",
}
FOLDERS = (*PARTS, "docs", "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")

# Banned in prose alone (comments, docstrings, sentences), in the parts and the documents of ``PLAIN``.
BANNED_IN_PROSE = {
    "state, report, show, trust": r"\b(tell(s|ing)?|told|say(s|ing)?|said|believe[sd]?|wish(es|ed)?|hears?|heard)\b",
    "is not a": r"(?<!there )\b(is|are|was|were) no (?!longer\b|more\b|such\b)[a-z]",
    "next to, in addition to": r"\bbesides?\b",
    "accept, revoke, withhold, publish, omit, continue": (
        r"\b(take|takes|took|taken|taking) (back|in|away)\b|\b(hold|holds|held|holding) back\b|"
        r"\b(give|gives|gave|given|giving) out\b|\b(leave|leaves|left|leaving) away\b|\b(go|goes|went|gone|going) on with\b"
    ),
    "remains, is": r"\b(stands|stood)\b(?! for)",
    "ignore, skip": r"\bpass(es|ed)? over\b",
    "no longer": r"\b(not|no|nothing) [^.;:]*\bany more\b",
}
PLAIN = ("client", "director", "io", "repository", "testing", "cli", "trust", "docs", "README.md", "CONTRIBUTING.md")
MADE = "docs/codes.md"  # from the docstrings of all parts; judged where they are
NO_REFERENT = r"reason=f?[\"']it "
NO_REFERENT_BEFORE = (
    r"\breason = f?[\"']it "  # not in the engine: a text there that has a name is judged with its mutants
)


def hits(pattern: str, lines: str) -> list[str]:
    """The lines with a banned word, outside of code in backticks, addresses of links, and plain words that look like one."""
    return [
        line.strip()
        for line in lines.splitlines()
        if re.search(pattern, re.sub(r"`[^`]*`|\]\([^)]*\)|has no say", "", line), re.IGNORECASE)
    ]


def prose(source: str) -> str:
    """The comments and sentences of a Python source."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    kinds = {tokenize.COMMENT, tokenize.STRING}
    return "\n".join(token.string for token in tokens if token.type in kinds and " " in token.string)


def written(*folders: str) -> Iterator[Path]:
    listed = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = (ROOT / name for name in listed.split() if name.endswith((".py", ".md")) and name != MADE)
    yield from (path for path in paths if path.is_file())


def wrong(pattern: str, paths: Iterator[Path], read: Callable[[Path], str]) -> dict[str, list[str]]:
    return {str(path.relative_to(ROOT)): lines for path in paths if (lines := hits(pattern, read(path)))}


def read_prose(path: Path) -> str:
    return prose(path.read_text()) if path.suffix == ".py" else path.read_text()


@pytest.mark.parametrize("better", BANNED)
def test_no_text_has_a_banned_word(better: str) -> None:
    assert len(list(written(*FOLDERS))) > 400
    assert not wrong(BANNED[better], written(*FOLDERS), lambda path: path.read_text()), f"better: {better}"


@pytest.mark.parametrize("better", BANNED_IN_PROSE)
def test_no_sentence_of_these_folders_has_a_banned_word(better: str) -> None:
    assert len(list(written(*PLAIN))) > 150
    assert not wrong(BANNED_IN_PROSE[better], written(*PLAIN), read_prose), f"better: {better}"


def test_a_reason_names_its_subject() -> None:
    assert not wrong(NO_REFERENT, written(*PLAIN), lambda path: path.read_text())
    outside = (folder for folder in PLAIN if folder != "trust")
    assert not wrong(NO_REFERENT_BEFORE, written(*outside), lambda path: path.read_text())


@pytest.mark.parametrize(
    ("better", "line"),
    [
        ("state what the module is", "Belongs here: routes."),
        ("name the actor", "a key that nobody names"),
        ("name the actor", "Nobody names this key"),
        ("forever", "kept for ever"),
        ("again", "it is signed anew"),
        ("most severe", "the gravest attack"),
        ("the command to run", "staged; publish to make it so"),
        ("repair", "the next Root mends it"),
        ("differently", "listed otherwise than before"),
        ("state, report, show, trust", "the header says which"),
        ("state, report, show, trust", "what the Director told the vehicle"),
        ("is not a", "the source is no file"),
        ("next to, in addition to", "the file beside it"),
        ("next to, in addition to", "Beside these: the limit of a bundle"),
        ("accept, revoke, withhold, publish, omit, continue", "take back the certificate"),
        ("accept, revoke, withhold, publish, omit, continue", "the delegation is held back"),
        ("accept, revoke, withhold, publish, omit, continue", "Take back the certificate"),
        ("remains, is", "the refusal stands"),
        ("ignore, skip", "unknown members are passed over"),
        ("ignore, skip", "Passes over unknown members"),
        ("no longer", "it is not used any more"),
    ],
)
def test_the_detector_sees_its_fault(better: str, line: str) -> None:
    assert hits((BANNED | BANNED_IN_PROSE)[better], line)
    assert not hits((BANNED | BANNED_IN_PROSE)[better], "Run `nobody for ever`; it signs again. There is no such file.")


def test_prose_is_what_a_source_says_to_people() -> None:
    assert prose('told = state["told"]  # what it said') == "# what it said"
    assert hits(NO_REFERENT, 'raise StorageError(reason=f"it is {size} bytes long")')
    assert hits(NO_REFERENT_BEFORE, '    reason = "it is too long"')
