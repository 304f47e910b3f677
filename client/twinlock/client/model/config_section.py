"""One JSON object of a configuration, whose members are taken one by one, each with an error that names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from twinlock.client.model.errors import ConfigurationError
from twinlock.io.files.operator_files import check_path
from twinlock.trust.errors.local import StorageError
from twinlock.trust.errors.metadata import UnsafePathError

T = TypeVar("T")


@dataclass(slots=True)
class ConfigSection:
    """One JSON object of the file. Each field is taken once; any left at the end are unknown."""

    path: Path
    where: str
    values: dict[str, Any]
    children: list[ConfigSection] = field(default_factory=list)

    def fail(self, name: str, reason: str) -> ConfigurationError:
        """The error about the member ``name``."""
        return ConfigurationError(path=str(self.path), field=f"{self.where}{name}", reason=reason)

    def take(self, name: str, kind: type[T] | tuple[type, ...], default: Any = ...) -> Any:
        """The member ``name``, if it is of ``kind``. Raises: ConfigurationError."""
        value = self.values.pop(name, default)
        if value is ...:
            raise self.fail(name, "is missing")
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if value is not default and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
            raise self.fail(name, f"must be {' or '.join(_KINDS[kind] for kind in kinds)}")
        return value

    def convert(self, name: str, convert: Callable[[str], T]) -> T:
        """The text of a member, converted. Raises: ConfigurationError."""
        value = self.take(name, str)
        try:
            return convert(value)
        except UnsafePathError as error:
            raise self.fail(name, f"is not usable: {error.reason}") from None
        except ValueError as error:
            raise self.fail(name, f"is not usable: {error}") from None

    def file(self, name: str, default: Any = ...) -> Any:
        """A path of an operator, as text. Raises: ConfigurationError."""
        value = self.take(name, str, default)
        if value is None:
            return None
        try:
            check_path(Path(value), "use")
        except StorageError as error:
            raise self.fail(name, f"is not usable: {error.reason}") from None
        return value

    def section(self, name: str) -> ConfigSection:
        """The object in a member. Raises: ConfigurationError."""
        child = ConfigSection(self.path, f"{self.where}{name}.", dict(self.take(name, dict, {})))
        self.children.append(child)
        return child

    def sections(self, name: str) -> list[ConfigSection]:
        """The objects in a list. Raises: ConfigurationError."""
        items = self.take(name, list, [])
        children = []
        for number, item in enumerate(items):
            if not isinstance(item, dict):
                raise self.fail(f"{name}[{number}]", "must be an object")
            children.append(ConfigSection(self.path, f"{self.where}{name}[{number}].", dict(item)))
        self.children.extend(children)
        return children

    def finish(self, value: T) -> T:
        """Return ``value`` if no member is left that nothing took. Raises: ConfigurationError."""
        for child in self.children:
            child.finish(None)
        if self.values:
            raise self.fail(", ".join(sorted(self.values)), "is unknown")
        return value


_KINDS: Mapping[type, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
