"""The entry point of ``twinlock``: an interrupt while the command is still loading ends it quietly."""

import os
import signal
import sys

_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def main() -> None:
    """Load the command and run it."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    from twinlock.cli.main import main as command

    signal.signal(signal.SIGINT, signal.default_int_handler)
    command(prog_name="twinlock" if sys.argv[0].endswith("__main__.py") else None)


if __name__ == "__main__":
    main()
