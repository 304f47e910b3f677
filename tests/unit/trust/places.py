"""A driver in memory with several places for each file, which keeps every command of the engine to be looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, FetchElsewhere, Notice, Persist
from twinlock.trust.errors.base import RefusalError


class Places:
    """Serves files by name: the first of ``places`` answers a Fetch, each further one a FetchElsewhere, in order."""

    def __init__(self, *places: Mapping[str, bytes]) -> None:
        self.places = places
        self.commands: list[Command] = []
        self.asked: Counter[str] = Counter()

    def answer(self, command: Command) -> Answer:
        """Serve and note one command."""
        self.commands.append(command)
        if isinstance(command, Fetch):
            return self.places[0].get(command.name, ABSENT)
        if isinstance(command, FetchElsewhere):
            name = command.fetch.name
            self.asked[name] += 1
            return self.places[self.asked[name]].get(name) if self.asked[name] < len(self.places) else None
        return None

    @property
    def fetches(self) -> list[Fetch]:
        """What was asked of the first place."""
        return [command for command in self.commands if isinstance(command, Fetch)]

    @property
    def elsewhere(self) -> list[FetchElsewhere]:
        """What was asked of the other places."""
        return [command for command in self.commands if isinstance(command, FetchElsewhere)]

    @property
    def persisted(self) -> list[Persist]:
        """What was to be stored."""
        return [command for command in self.commands if isinstance(command, Persist)]

    @property
    def notices(self) -> list[RefusalError]:
        """What was reported."""
        return [command.error for command in self.commands if isinstance(command, Notice)]
