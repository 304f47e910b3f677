"""The command ``twinlock``: a group that loads each part only when it is called.

``--help`` imports no part at all, so it is fast and works wherever the base packages are installed.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from twinlock.cli.shared.exit_status import EXIT_INTERRUPTED, EXIT_READER_GONE, exit_status
from twinlock.cli.shared.output import Output, as_twinlock_error, leave_reader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Lazy(NamedTuple):
    """A subcommand that is not loaded yet: where it is (``module:attribute``) and one line about it."""

    location: str
    help: str


COMMANDS: dict[str, Lazy] = {
    "up": Lazy("twinlock.cli.up:up", "Run both repositories here, with embedded defaults."),
    "image": Lazy("twinlock.cli.image.group:image", "The Image repository: which images are genuine."),
    "supplier": Lazy(
        "twinlock.cli.supplier.supplier:supplier", "A supplier's workspace: sign images delegated to you."
    ),
    "director": Lazy("twinlock.cli.director.group:director", "The Director: which vehicle installs what, now."),
    "audit": Lazy("twinlock.cli.director.status:audit", "Who did what at a Director."),
    "primary": Lazy("twinlock.cli.ecu.primary:primary", "A vehicle's Primary: fetch, verify, distribute, report."),
    "secondary": Lazy("twinlock.cli.ecu.secondary:secondary", "A Secondary ECU: verify and install its own images."),
    "trusted": Lazy("twinlock.cli.ecu.trusted:trusted", "What a client trusts, and why."),
    "completion": Lazy("twinlock.cli.completion:completion", "Print the completion script of a shell."),
}


class LazyGroup(click.Group):
    """A click group whose subcommands are imported on use, and whose usage errors look like all other errors."""

    def __init__(self, *args: Any, lazy: Mapping[str, Lazy], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The subcommands, in the order of a first use."""
        return [*self.lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one subcommand."""
        lazy = self.lazy.get(cmd_name)
        if lazy is None:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = lazy.location.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{lazy.location} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in self.lazy.items()])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 - click's signature
        **extra: Any,
    ) -> Any:
        """Run the command line and exit. Errors before a command starts are rendered here."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        as_json = "--json" in (sys.argv[1:] if args is None else args)
        try:
            status = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            if sys.stdout is not None:
                sys.stdout.flush()
        except SystemExit:
            if type(sys.stdout).__name__.endswith("PacifyFlushWrapper"):  # click's answer to a closed pipe
                sys.exit(EXIT_READER_GONE)
            raise
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except click.ClickException as error:
            _fail(_usage_error(error), as_json=as_json)
        except (click.Abort, KeyboardInterrupt):
            Output().note("interrupted")
            sys.exit(EXIT_INTERRUPTED)
        except BrokenPipeError:
            leave_reader()
        except Exception as error:  # noqa: BLE001 - the last line of defence: a subcommand that cannot be imported
            _fail(error, as_json=as_json)
        sys.exit(status if isinstance(status, int) else 0)


def _usage_error(error: click.ClickException) -> Exception:
    from twinlock.cli.shared.errors import CommandLineError

    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else "twinlock"
    sentence = " ".join(error.format_message().split()).rstrip(".")
    return CommandLineError(reason=sentence, command=path)


def _fail(raised: Exception, *, as_json: bool) -> NoReturn:
    """Show an error from before any command had parsed its options."""
    error = as_twinlock_error(raised)
    Output(json=as_json).error(error)
    sys.exit(exit_status(error))


def _show_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001
    if value:
        from importlib.metadata import version

        click.echo(f"twinlock {version('twinlock')}")
        ctx.exit()


@click.group("twinlock", cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Software updates for vehicles that stay safe even if a server is compromised.

    Two repositories each hold one lock: the Image repository decides which images are genuine, the Director which
    of them a vehicle installs now. A vehicle installs an image only when both agree.

    \b
    Example:
      twinlock image init ./image
      twinlock image add ./image firmware/brake.bin --help
      twinlock up --help
    """
