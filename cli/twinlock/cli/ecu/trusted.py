"""``twinlock trusted``: what a client trusts, and why. Reads the client's state; never changes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twinlock.cli.ecu.running import own_map, refusal_lines
from twinlock.cli.shared.exit_status import EXIT_REFUSED
from twinlock.cli.shared.output import Output, output_options, table
from twinlock.cli.shared.own_input import own_input

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twinlock.client.ecu.config import EcuSettings
    from twinlock.client.storage.state import TrustedState

_DIRECTORY = click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
_KEYID_DIGITS = 12  # enough to distinguish keys by eye


@click.group()
def trusted() -> None:
    """What a client trusts, and why.

    \b
    Example:
      twinlock trusted show ./gateway
      twinlock trusted why firmware/brake.bin ./gateway
    """


@trusted.command()
@_DIRECTORY
@output_options
def show(out: Output, directory: Path) -> None:
    """Show every trusted role: version, expiry, and the keys that signed it. DIRECTORY is a Primary's or Secondary's.

    \b
    Example:
      twinlock trusted show ./gateway
    """
    from twinlock.client.ecu.clock import system_clock
    from twinlock.client.inspect.why_trusted import what_is_trusted

    settings = _settings(directory)
    with _open(settings) as state:
        trust = what_is_trusted(settings, state, system_clock())
    out.result(trust, list(_show_lines(trust)))


@trusted.command()
@click.argument("target")
@_DIRECTORY
@output_options
def why(out: Output, target: str, directory: Path) -> None:
    """Show the chain of roles and keys that makes image TARGET trusted, or the check that refuses it.

    The exit status is 1 if it is not trusted.

    \b
    Example:
      twinlock trusted why firmware/brake.bin ./gateway
    """
    from twinlock.client.ecu.clock import system_clock
    from twinlock.client.inspect.why_trusted import why_trusted
    from twinlock.trust.names import target_path

    settings = _settings(directory)
    with own_input():
        path = target_path(target)
    with _open(settings) as state:
        explanation = why_trusted(settings, state, path, system_clock())
    out.result(explanation, list(_why_lines(explanation)))
    if not explanation["trusted"]:
        raise SystemExit(EXIT_REFUSED)


def _open(settings: EcuSettings) -> TrustedState:
    from twinlock.client.ecu.disk_space import open_to_read

    return open_to_read(settings)


def _settings(directory: Path) -> EcuSettings:
    from twinlock.cli.shared.errors import NotProvisionedError
    from twinlock.client.ecu.config import load_primary, load_secondary, read_map

    primary, secondary = directory / "primary.json", directory / "secondary.json"
    settings: EcuSettings
    if primary.is_file():
        settings, path = load_primary(primary), primary
    elif secondary.is_file():
        settings, path = load_secondary(secondary), secondary
    else:
        raise NotProvisionedError(directory=str(directory), files="primary.json or secondary.json")
    with own_map(path):
        read_map(settings)
    return settings


def _show_lines(trust: dict[str, Any]) -> Iterator[str]:
    yield f"{trust['ecu']} of {trust['vehicle']}"
    for repository in trust["repositories"]:
        yield ""
        yield f"{repository['name']}:"
        rows = [_row(role) for role in repository["roles"]]
        rows += [(role["role"], role["version"], "", "verified again at each use") for role in repository["delegated"]]
        yield from table(("ROLE", "VERSION", "EXPIRES", "SIGNED BY"), rows)
    yield ""
    yield from refusal_lines(trust)


def _why_lines(explanation: dict[str, Any]) -> Iterator[str]:
    verdict = "trusted" if explanation["trusted"] else "not trusted"
    yield f"{explanation['target']} is {verdict}" + (
        f" for {', '.join(explanation['ecus'])}" if explanation["ecus"] else ""
    )
    if explanation["entry"] is not None:
        hashes = ", ".join(
            f"{name} {digest[:_KEYID_DIGITS]}..." for name, digest in explanation["entry"]["hashes"].items()
        )
        yield f"{explanation['entry']['length']} bytes, {hashes}, release counter {explanation['entry']['releaseCounter']}"
    rows = [
        (link["repository"], *_row(link), {True: "yes", False: "no"}.get(link.get("lists"), ""))
        for link in explanation["chain"]
    ]
    yield from table(("REPOSITORY", "ROLE", "VERSION", "EXPIRES", "SIGNED BY", "LISTS IT"), rows)
    refusal = explanation["refusal"]
    if refusal is not None:
        yield f"error[{refusal['code']}]: {refusal['message']}"
        if refusal["attack"] != "none":
            yield f"attack: {refusal['attack']} (refused by {refusal['clause']})"


def _row(role: dict[str, Any]) -> tuple[Any, ...]:
    expires = role["expires"] + (" (expired)" if role["expired"] else "")
    keys = ", ".join(keyid[:_KEYID_DIGITS] for keyid in role["signedBy"])
    return role["role"], role["version"], expires, f"{keys} ({len(role['signedBy'])} of {role['required']} needed)"
