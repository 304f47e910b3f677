"""A publisher, its server and a client, and what one run of the client looked like from the server.

Belongs here: what the tests of the clients share. Does not belong here: assertions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.aktualizr.clients import Client
from tests.aktualizr.publisher import Delegation, Publisher
from tests.aktualizr.result import Run
from tests.aktualizr.server import Answer, Seen, Served

PRIMARY = "test-primary-0001"
ECU = {PRIMARY: "test-hw"}
FIRST = "fw-1.0.bin"


@dataclass
class Trial:
    """One vehicle of one publisher. ``seen`` are the requests of the last run."""

    publisher: Publisher
    served: Served
    client: Client
    seen: list[Seen] = field(default_factory=list)

    def once(self) -> Run:
        """Run the client."""
        start = len(self.served.log)
        run = self.client.once()
        self.seen = self.served.log[start:]
        return run

    @property
    def lines(self) -> list[str]:
        """The last run's requests, without device data and events, whose order the real client does not promise."""
        optional = ("/system_info", "/core/installed", "/events")
        return [str(seen) for seen in self.seen if not seen.path.startswith(optional)]

    @property
    def gets(self) -> list[str]:
        """The paths that the last run asked for."""
        return [seen.path for seen in self.seen if seen.method == "GET"]

    @property
    def manifests(self) -> list[dict[str, Any]]:
        """The manifests of the last run, as the server saw them."""
        return [seen.json["signed"] for seen in self.seen if seen.path == "/director/manifest"]

    @property
    def report(self) -> dict[str, Any] | None:
        """The result in the last manifest, if it has one."""
        wrapped = self.manifests[-1].get("installation_report")
        return wrapped["report"] if wrapped else None

    @property
    def code(self) -> str | None:
        """The result code that was reported."""
        return self.report["result"]["code"] if self.report else None

    @property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Kind and content of the last run's events, sorted: the real client sends them from a thread of their own."""
        batches = [seen.json for seen in self.seen if seen.path == "/events"]
        found = [(event["eventType"]["id"], event["event"]) for batch in batches for event in batch]
        return sorted(found, key=str)

    def answer(self, line: str, *answers: Answer) -> None:
        """Answer ``METHOD path`` so from now on, or as before when there are no ``answers``."""
        self.served.answers[line] = list(answers)

    def release(
        self,
        name: str,
        content: bytes = b"",
        *,
        ecus: Mapping[str, str] | None = None,
        to: Delegation | None = None,
        correlation: str = "urn:test",
    ) -> None:
        """Publish and assign an image; its content is made from its name unless given."""
        content = content or f"content of {name}".encode()
        self.publisher.release(name, content, ecus or ECU, to=to, correlation=correlation)

    def assign(self, name: str, *, correlation: str = "urn:test", **more: Any) -> None:
        """Assign a published image to the Primary."""
        self.publisher.assign(name, ECU, correlation=correlation, **more)
