"""Plain English in what people read: words that a native engineer would not write stay out of the product and its documents."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.architecture.source import PARTS, ROOT

# By the word that it is to be replaced by. A pattern is banned here once nothing is left of it; see CONTRIBUTING.md.
BANNED = {
    "say what the module is": r"[Bb]elongs? here",
    "name the actor": r"\b([Nn]obody|[Ss]omebody|[Aa]nybody|[Ww]hoever)\b",
    "forever": r"\bfor ever\b",
    "again": r"\b[Aa]new\b|\bafresh\b",
    "most severe": r"\bgravest\b",
    "the command to run": r"\bto make it so\b|\bmakes it so\b",
}
FOLDERS = (*PARTS, "docs", "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")


def found(pattern: str, text: str) -> list[str]:
    """The lines of ``text`` with a banned word, outside of code in backticks."""
    return [line.strip() for line in text.splitlines() if re.search(pattern, re.sub(r"`[^`]*`", "", line))]


@pytest.mark.parametrize("better", BANNED)
def test_no_text_has_a_banned_word(better: str) -> None:
    listed = subprocess.run(["git", "ls-files", *FOLDERS], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in listed.split() if name.endswith((".py", ".md")) and (ROOT / name).is_file()]
    assert len(paths) > 400
    wrong = {str(path.relative_to(ROOT)): lines for path in paths if (lines := found(BANNED[better], path.read_text()))}
    assert not wrong, f"better: {better}"


@pytest.mark.parametrize(
    ("better", "line"),
    [
        ("say what the module is", "Belongs here: routes."),
        ("name the actor", "a key that nobody names"),
        ("forever", "kept for ever"),
        ("again", "it is signed anew"),
        ("most severe", "the gravest attack"),
        ("the command to run", "staged; publish to make it so"),
    ],
)
def test_the_detector_sees_its_fault(better: str, line: str) -> None:
    assert found(BANNED[better], line)
    assert not found(BANNED[better], "Run `nobody for ever`; it signs again.")
