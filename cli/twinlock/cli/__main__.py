"""``python -m twinlock.cli``: the same command, without its script on the path."""

from twinlock.cli.start import main

if __name__ == "__main__":
    main()
