"""Write the test vectors, or check that they are what this program would write.

    python metadata-fixtures/generate.py            # write the tree again
    python metadata-fixtures/generate.py --check    # exit status 1 if anything differs

Deterministic: keys come from their names, times are fixed, and nothing else varies. The scenarios themselves are in
``tests/attacks``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from cases.capture import capture  # noqa: E402  (the two paths above come first)
from cases.manifests import manifest_files, manifest_keys  # noqa: E402
from cases.tree import Tree, lay_out  # noqa: E402

from tests.attacks.catalogue import every_scenario  # noqa: E402

MADE = ("valid", "hostile", "shared", "KEYS.md")


def make_tree() -> Tree:
    """All files by relative path."""
    cases = [capture(entry) for _, entry in sorted(every_scenario().items()) if entry.fixture]
    return lay_out(cases, manifest_keys()) | manifest_files()


def read_tree(root: Path) -> Tree:
    """The files that are there now, of those that this program makes."""
    paths = [path for name in MADE for path in [root / name, *(root / name).rglob("*")] if path.is_file()]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def write_tree(root: Path, tree: Tree) -> None:
    """Replace what is there by ``tree``."""
    for name in MADE:
        if (root / name).is_dir():
            shutil.rmtree(root / name)
    for name, data in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def differences(there: Tree, made: Tree) -> list[str]:
    """The paths that are missing, too many, or of other content."""
    return sorted(path for path in there.keys() | made.keys() if there.get(path) != made.get(path))


def main() -> int:
    """Run the program; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--into", type=Path, default=HERE, help="another directory than this one")
    arguments = parser.parse_args()
    tree = make_tree()
    if not arguments.check:
        write_tree(arguments.into, tree)
        print(f"{sum(path.endswith('case.json') for path in tree)} cases, {sum(map(len, tree.values()))} bytes")
        return 0
    wrong = differences(read_tree(arguments.into), tree)
    for path in wrong:
        print(f"differs: {path}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
