"""``make bench``: run every benchmark and print, for each, what it takes and how that compares to its floor.

A floor is the cheapest work that could give the same answer (the signatures, hashes and parsing that cannot be left
out), measured in the same run. So the ratio means the same on every machine; the milliseconds do not.
"""

from __future__ import annotations

from bench import images, refresh
from bench.measure import Result


def main() -> None:
    """Run all of them."""
    print(f"{'benchmark':<44} {'ours':>11} {'floor':>11} {'ratio':>7}")
    for result in (*refresh.results(), *images.results()):
        show(result)


def show(result: Result) -> None:
    """Print one line."""
    print(f"{result.name:<44} {result.ours_s * 1e3:>8.2f} ms {result.floor_s * 1e3:>8.2f} ms {result.ratio:>6.2f}x")


main()
