"""A served publisher with one assigned image, and the clients that can be had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.aktualizr.clients import CLIENTS
from tests.aktualizr.config import Config, TlsFiles
from tests.aktualizr.publisher import Publisher
from tests.aktualizr.server import serving
from tests.aktualizr.trial import FIRST, Trial

MakeTrial = Callable[..., Trial]


@pytest.fixture(params=sorted(CLIENTS))
def make_trial(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeTrial]:
    """Makes trials with settings of :class:`Config`; ``server_tls`` serves over TLS."""
    with ExitStack() as stack:

        def make(*, server_tls: TlsFiles | None = None, publisher: Publisher | None = None, **settings: Any) -> Trial:
            served = stack.enter_context(serving(publisher or Publisher(), server_tls))
            config = Config(**{"server": served.url, "report_network": False, "report_config": False, **settings})
            folder = tmp_path / f"vehicle-{served.url.rpartition(':')[2]}"
            trial = Trial(served.publisher, served, CLIENTS[request.param](config, folder))
            trial.release(FIRST)
            return trial

        yield make


@pytest.fixture
def trial(make_trial: MakeTrial) -> Trial:
    """A new vehicle, and an image assigned to it."""
    return make_trial()


@pytest.fixture
def updated(trial: Trial) -> Trial:
    """A vehicle that has installed the first image."""
    assert trial.once().success
    return trial
