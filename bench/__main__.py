"""``make bench``: every benchmark in turn. Each also runs alone, as ``python -m bench.NAME``.

A floor is work on the same input that cannot be left out (signatures, parsing, hashing), a peer is another client on
the same files. Both are measured in the same run as we are, in turn, so a ratio means the same on every machine; the
milliseconds do not.
"""

from __future__ import annotations

from dataclasses import replace

from bench import anchor, checkins, images, imports, options, poll, refresh

PROGRAMS = {program.NAME: program for program in (refresh, poll, anchor, imports, images, checkins)}


def main() -> None:
    """Run all of them, or the one that ``--only`` names."""
    chosen = options.parse(__doc__)
    if chosen.only in PROGRAMS:
        PROGRAMS[chosen.only].run(replace(chosen, only=None))
        return
    for program in PROGRAMS.values():
        program.run(chosen)


if __name__ == "__main__":
    main()
