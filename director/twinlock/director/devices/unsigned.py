"""JSON that vehicles send unsigned: shown to people and never trusted, so it may hold what signed files must not."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.wire.json.prescan import check_values

MAX_DEPTH = 64  # buses behind bridges take two levels each; what nests deeper could be stored and never shown


def parse_unsigned(data: bytes, what: str, *, max_values: int) -> Any:
    """Read ``data``: plain JSON with floating-point numbers, at most ``max_values`` values and ``MAX_DEPTH`` levels deep.

    Raises: LimitError for more values, before any is built; MalformedError, also for a member that is given twice.
    """
    try:
        text = data.decode()
        check_values(text, max_values, what)
        value = json.loads(text, parse_constant=_no_number, object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise MalformedError(what=what, json_path="$", reason=f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise MalformedError(what=what, json_path="$", reason=f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise MalformedError(what=what, json_path="$", reason=f"not JSON: {error}") from None
    if _depth(value) > MAX_DEPTH:
        raise MalformedError(what=what, json_path="$", reason=f"nested deeper than {MAX_DEPTH} levels")
    return value


def _depth(value: Any) -> int:
    level, depth = [value] if isinstance(value, (dict, list)) else [], 0
    while level:
        depth += 1
        inner = (child for item in level for child in (item.values() if isinstance(item, dict) else item))
        level = [child for child in inner if isinstance(child, (dict, list))]
    return depth


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is given twice")
    return members


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
