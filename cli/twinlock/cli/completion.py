"""``twinlock completion``: the script that makes a shell complete the command line."""

from __future__ import annotations

import click

from twinlock.cli.shared.output import Output, Verbatim, output_options

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@output_options
def completion(out: Output, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    Example:
      twinlock completion bash > ~/.local/share/bash-completion/completions/twinlock
      twinlock completion zsh  > ~/.zfunc/_twinlock
      twinlock completion fish > ~/.config/fish/completions/twinlock.fish
    """
    from click.shell_completion import get_completion_class

    from twinlock.cli.main import main

    completer = get_completion_class(shell)
    if completer is None:
        raise click.UsageError(f"{shell} is not a supported shell")
    script = completer(main, {}, "twinlock", "_TWINLOCK_COMPLETE").source()
    out.result({"shell": shell, "script": script}, Verbatim(script))
