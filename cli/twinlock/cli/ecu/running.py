"""What the commands for ECUs share: finding a configuration, showing a cycle, running until stopped."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinlock.cli.shared.output import Output, error_lines
from twinlock.cli.shared.own_input import own_input

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence

    from twinlock.client.model.results import CycleResult


def cycle_lines(result: CycleResult) -> Iterator[str]:
    """One cycle, for people: the outcome, then each installation, each problem with its attack and clause."""
    yield f"cycle: {result.outcome.value}" + ("" if result.reported else " (not reported to the Director)")
    for done in result.installed:
        yield f"  {done.ecu} runs {done.image.path}"
    for problem in result.problems:
        where = f" [{problem.ecu}]" if problem.ecu else ""
        first, *rest = error_lines(problem.error)
        yield f"  {problem.error.kind.value} at {problem.step.value}{where}: {first}"
        yield from (f"    {line}" for line in rest)
    for notice in result.notices:
        yield f"  notice, {notice.kind.value}: {next(iter(error_lines(notice)))}"
    yield from weaker_lines(result.missing_guarantees)


def weaker_lines(weaker: Sequence[str]) -> Iterator[str]:
    """The guarantees that a lax policy dropped, if any."""
    if weaker:
        yield f"  weaker: {', '.join(weaker)}"


def wire_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of ``init`` for the wire profiles of the repositories and the policy."""
    import click

    choice = click.Choice(["tuf", "aktualizr"])
    for name in ("image", "director"):
        title = "Image repository" if name == "image" else "Director"
        help_text = f"The wire profile of the {title}."
        command = click.option(f"--{name}-wire", type=choice, default="tuf", show_default=True, help=help_text)(command)
    return click.option(
        "--policy",
        type=click.Choice(["strict", "lax"]),
        default="strict",
        show_default=True,
        help="lax accepts repositories that others run, and names the guarantees that they lack.",
    )(command)


def chosen_wires(options: Mapping[str, Any]) -> dict[str, str]:
    """The profiles that ``wire_options`` gave, as far as they are not ``tuf``."""
    chosen = {name: options[f"{name}_wire"] for name in ("director", "image")}
    return {name: wire for name, wire in chosen.items() if wire != "tuf"}


def refusal_lines(status: dict[str, Any]) -> Iterator[str]:
    """How the last cycle failed, if it did, and which guarantees its last verdict lacked."""
    yield from weaker_lines((status["lastDecision"] or {}).get("weaker", ()))
    yield from evidence_lines(status["evidence"])
    refusal = status["lastRefusal"]
    if refusal is None:
        yield "the last cycle succeeded, or there was none yet"
        return
    yield f"last cycle, {refusal['kind']} at {refusal['step']}: error[{refusal['code']}]: {refusal['detail']}"
    if refusal["attack"] != "none":
        yield f"attack: {refusal['attack']} (refused by {refusal['clause']})"


def evidence_lines(events: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What no Director has acknowledged yet, the most severe first."""
    for event in events:
        often = f", {event['count']} times until {event['last']}" if event["count"] > 1 else ""
        latest = f"; last: {event['latest']}" if event["latest"] else ""
        met = f"{event['code']} ({event['first']}{often}): {event['detail']}{latest}"
        yield f"not acknowledged: {event['kind']} at {event['step']}: {met}"


def config_file(directory: Path, name: str) -> Path:
    """The configuration file in ``directory``. Raises: NotProvisionedError if there is none."""
    from twinlock.cli.shared.errors import NotProvisionedError

    path = directory / name
    if not path.is_file():
        raise NotProvisionedError(directory=str(directory), files=name)
    return path


@contextlib.contextmanager
def own_map(configuration: Path) -> Iterator[None]:
    """Judge the map that ``configuration`` names as the operator's own file inside the block. Raises: OwnInputError."""
    from twinlock.trust.errors.metadata import LimitError, MalformedError

    hint = f"correct the map that {configuration} names (by default map.json in the same directory)"
    with own_input(MalformedError, LimitError, hints={"malformed": hint, "limit": hint}):
        yield


def read_root(path: Path, name: str, wire: str = "tuf") -> bytes:
    """A Root file that an operator gave for the repository ``name``, which the profile ``wire`` reads; an error names the file.

    Raises: OperatorFileError, OwnInputError.
    """
    from twinlock.io.files.operator_files import read_operator_file
    from twinlock.trust.engine.first_contact import check_given_root
    from twinlock.trust.names import RepositoryName
    from twinlock.trust.wire.profiles import PROFILES

    root = read_operator_file(path, "the Root")
    with own_input(given=str(path)):
        check_given_root(RepositoryName(name), root, wire=PROFILES[wire])
    return root


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises: UsageError, StorageError."""
    from twinlock.io.files.operator_files import read_json_object

    return read_json_object(path, "the description")


def check_identifiers(options: Mapping[str, Any]) -> None:
    """Check what ``init`` is to call the ECU. Raises: OwnInputError, which names the option."""
    from twinlock.trust.names import identifier

    for name in ("vehicle", "ecu", "hardware_id"):
        with own_input(given=f"--{name.replace('_', '-')}"):
            identifier(options[name])


def factory_image(options: dict[str, Any]) -> tuple[str, Path] | None:
    """The factory image that the options name, None for none."""
    return (options["factory_name"], options["factory_image"]) if options["factory_image"] else None


def image_name(installed: dict[str, Any] | None) -> str:
    """The name of an installed image, as ``primary show`` has it."""
    return "(unknown)" if installed is None else str(installed["path"])


async def until_stopped(running: Coroutine[Any, Any, None]) -> None:
    """Run until SIGINT or SIGTERM, and then end it in order, so that state and sockets are closed."""
    import contextlib
    import signal

    task = asyncio.ensure_future(running)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(RuntimeError, NotImplementedError):  # not in the main thread, or not on this system
            loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


class ImageProgress:
    """Progress bars, one after another, as images arrive."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._path: str | None = None
        self._bar: Any = None
        self._advance: Callable[[int], None] | None = None
        self._done = 0

    def __enter__(self) -> Callable[[str, int, int], None]:
        return self._show

    def __exit__(self, *_exception: object) -> None:
        self._end()

    def _show(self, path: str, received: int, length: int) -> None:
        if path != self._path:
            self._end()
            self._path, self._done = path, 0
            self._bar = self._out.progress(length, path)
            self._advance = self._bar.__enter__()
        if self._advance is not None:
            self._advance(received - self._done)
        self._done = received

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None
