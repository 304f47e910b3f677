"""A pytest plugin that collects the tests once, learns which lines each runs, and then forks for every mutant.

In the fork the code of the file's functions is exchanged, and the tests that run the changed statement are run, those
that are about this file first, until one fails. Used as ``-p mutation.judging`` in a copy of the project; the variable of the
environment names a file with the job, see ``Job``.

Belongs here: what has to happen inside of pytest's process. Does not belong here: what to make of the outcome.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import accumulate, zip_longest
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import pytest

from mutation.explained import FILE, identity_of, read
from mutation.ledger import read_ledger
from mutation.measured import Measured, Tested
from mutation.mutants import Mutant, Source
from mutation.outcomes import Outcomes, TestDigests

JOB = "TWINLOCK_MUTATION_JOB"
SLOW_S = 2.0  # a test that takes more time of a processor is left out
QUICK_S = 1.0  # so long are the tests that every mutant meets before the rest of them
PATIENCE = 20  # a mutant that takes this many times longer than its tests take on the unbroken code hangs
MEMORY_BYTES = 6 * 2**30
_SURVIVED = "survived"


class Job(NamedTuple):
    """``folder`` is where the sources are, ``files`` those to break, ``report`` the file to write,
    ``measured`` where what the tests do is kept for the next time, ``kept`` the outcomes; ``names`` are the tests,
    ``ledger`` is the file of functions judged before, or empty; ``quick`` leaves what quick tests do not notice unjudged."""

    folder: str
    files: tuple[str, ...]
    processes: int
    report: str
    measured: str
    kept: str
    names: tuple[str, ...]
    ledger: str = ""
    quick: bool = False

    def sources(self) -> list[Source]:
        """The files to break."""
        return [Source(path, (Path(self.folder) / path).read_text(encoding="utf-8")) for path in self.files]

    def outcomes(self) -> Outcomes:
        """What is known from before."""
        tests = TestDigests(Path(self.folder).parents[2], self.names)
        ledger = Path(self.ledger).read_text(encoding="utf-8") if self.ledger else ""
        return Outcomes(Path(self.kept), tests, read_ledger(ledger), read(FILE.read_text(encoding="utf-8")))


class _Failures:
    """Listens for failed tests."""

    def __init__(self) -> None:
        self.seen = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count it."""
        self.seen += report.failed


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Judge every mutant instead of running the tests as they are."""
    job = Job(**json.loads(Path(os.environ[JOB]).read_text(encoding="utf-8")))
    tests = _measure(session, job)
    failing = [item.nodeid for item, test in zip(session.items, tests, strict=True) if not test.passes]
    report = {"failing": failing, "tests": len(session.items)}
    Path(job.report).write_text(json.dumps(report), encoding="utf-8")
    for count, outcome in enumerate(_Judge(session, job, tests).all_mutants(), 1):
        if outcome["killer"] is None:
            told = f"[{count}] {outcome['path']}:{outcome['line']}: {outcome['change']}"
            print(told, file=sys.__stderr__, flush=True)
    return True


# the tests as they are


def _measure(session: pytest.Session, job: Job) -> list[Tested]:
    """Run the tests on the unbroken code, in as many processes as are allowed; but not those known from before."""
    known = Measured(Path(job.measured), Path(job.folder).parents[2])
    measured = {number: found for number, item in enumerate(session.items) if (found := known.get(item.nodeid))}
    new = [number for number in range(len(session.items)) if number not in measured]
    parts = [new[first :: job.processes] for first in range(job.processes)]
    for child in [_Child(partial(_trace, session, part, job)) for part in parts if part]:
        answer = child.answer()
        if answer is None:
            raise RuntimeError("the tests did not come to an end on the unbroken code")
        for number, (seconds, lines, passes) in json.loads(answer).items():
            measured[int(number)] = Tested(seconds, {path: set(numbers) for path, numbers in lines.items()}, passes)
    known.save({session.items[number].nodeid: test for number, test in measured.items()})
    return [measured[number] for number in range(len(session.items))]


def _trace(session: pytest.Session, numbers: list[int], job: Job) -> str:
    from coverage import Coverage

    _own_directory(session, job)
    coverage = Coverage(data_file=None, config_file=False, include=[f"{job.folder}/*"])
    coverage.start()
    tests: dict[int, tuple[float, dict[str, list[int]], bool]] = {}
    for item, number, following in _with_next(session, numbers):
        coverage.switch_context(str(number))
        started = (
            time.process_time()
        )  # not by the clock of the wall: another machine, or a busy one, chooses the same tests
        # Twice: the first property in a process has tables to build, and is refused as slow for that.
        passes = _passes(session, item, following) or _passes(session, item, following)
        tests[number] = (time.process_time() - started, {}, passes)
    coverage.stop()
    data = coverage.get_data()
    for file in data.measured_files():
        path = str(Path(file).relative_to(job.folder))
        for line, contexts in data.contexts_by_lineno(file).items():
            for context in contexts:
                if context:
                    tests[int(context)][1].setdefault(path, []).append(line)
    return json.dumps(tests)


def _with_next(session: pytest.Session, numbers: list[int]) -> Iterator[tuple[pytest.Item, int, pytest.Item | None]]:
    # Nothing for no numbers: a mutant that no test runs survives, and one whose process dies would count as killed.
    for number, following in zip_longest(numbers, numbers[1:]):
        yield session.items[number], number, None if following is None else session.items[following]


def _passes(session: pytest.Session, item: pytest.Item, following: pytest.Item | None) -> bool:
    failures = _Failures()
    session.config.pluginmanager.register(failures)
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
    session.config.pluginmanager.unregister(failures)
    return not failures.seen


# one process for each mutant


def _own_directory(session: pytest.Session, job: Job) -> None:
    """Temporary files where no other process has any. pytest decided where before the fork, hence the private name."""
    factory = session.config._tmp_path_factory  # type: ignore[attr-defined]  # noqa: SLF001
    factory._given_basetemp = Path(job.report).parent / f"tmp-{os.getpid()}"  # noqa: SLF001


class _Child:
    """A fork that computes one text. ``answer`` waits for it; None if it died or was too slow."""

    def __init__(self, work: Callable[[], str], limit_s: float = 3600) -> None:
        self.deadline = time.monotonic() + limit_s
        self.reading, writing = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                os.close(self.reading)
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
                with os.fdopen(writing, "wb") as stream:
                    stream.write(work().encode())
            finally:
                os._exit(0)
        os.close(writing)

    def done(self) -> bool:
        """Whether it has ended, by itself or by running out of time."""
        if time.monotonic() > self.deadline:
            os.kill(self.pid, signal.SIGKILL)
            return True
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def answer(self) -> str | None:
        """What it wrote."""
        with os.fdopen(self.reading, "rb") as stream:
            data = stream.read()
        os.waitpid(self.pid, 0)
        return data.decode() or None


class _Work(NamedTuple):
    """A mutant and the tests to run now; ``known`` is how many run it in all."""

    source: Source
    number: int
    tests: list[int]
    known: int

    @property
    def mutant(self) -> Mutant:
        """The mutant itself."""
        return self.source.mutants[self.number]


class _Judge:
    def __init__(self, session: pytest.Session, job: Job, tests: list[Tested]) -> None:
        self.session = session
        self.job = job
        self.tests = tests
        self.by_line: dict[tuple[str, int], list[int]] = {}
        for number, test in enumerate(tests):
            if test.passes and test.seconds < SLOW_S:
                for path in job.files:
                    for line in test.lines.get(path, ()):
                        self.by_line.setdefault((path, line), []).append(number)
        self.outcomes = job.outcomes()
        self.explained = read(FILE.read_text(encoding="utf-8"))
        self.killers: dict[
            str, dict[int, set[str]]
        ] = {}  # by file, the tests and the functions whose mutants they noticed
        self.numbers = {item.nodeid: number for number, item in enumerate(session.items)}
        self.functions = [
            found
            for found in gc.get_objects()
            if isinstance(found, FunctionType) and found.__code__.co_filename.startswith(job.folder)
        ]
        gc.collect()
        gc.freeze()  # the garbage collector of a fork would otherwise copy all memory by looking at it

    def all_mutants(self) -> Iterator[dict[str, Any]]:
        """Judge all that are left; the outcome names the test that noticed, or None. Each is kept before it is told.

        What the quick tests do not notice waits for the end: a survivor takes as long as hundreds of others, and one
        that is explained is the least news.
        """
        late: list[_Work] = []
        for work, answer in self._answers(map(self._quick_work, self._mutants())):
            if answer == _SURVIVED and len(work.tests) < work.known:
                if work.tests:
                    print(f"not noticed by quick tests: {work.mutant}", file=sys.__stderr__, flush=True)
                late.append(work)
            else:
                yield self._outcome(work, answer)
        if self.job.quick:
            return
        late.sort(key=lambda work: identity_of(work.mutant._asdict()) in self.explained)
        for work, answer in self._answers(map(self._rest_of, late)):
            yield self._outcome(work, answer)

    def _answers(self, works: Iterable[_Work]) -> Iterator[tuple[_Work, str | None]]:
        running: list[tuple[_Child, _Work]] = []
        for work in works:
            running.append((self._start(work), work))
            while len(running) >= self.job.processes:
                yield from _finished(running)
        while running:
            yield from _finished(running)

    def _mutants(self) -> Iterator[tuple[Source, int]]:
        for source in self.job.sources():
            for number, mutant in enumerate(source.mutants):
                known = self.outcomes.get(source, number)
                if known is not None and known["killer"] in self.numbers:
                    self._remember(mutant, self.numbers[known["killer"]])
                elif known is None and mutant.function:
                    yield source, number

    def _remember(self, mutant: Mutant, test: int) -> None:
        self.killers.setdefault(mutant.path, {}).setdefault(test, set()).add(mutant.function)

    def _tests_of(self, source: Source, number: int) -> list[int]:
        mutant = source.mutants[number]
        lines = range(mutant.lines[0], mutant.lines[1] + 1)
        found = {test for line in lines for test in self.by_line.get((source.path, line), ())}
        killers = self.killers.get(source.path, {})

        def promise(test: int) -> tuple[bool, bool, float, float]:
            functions = killers.get(test, set())
            noticed = mutant.function in functions
            return not noticed, not functions, -self._share(test, source.path), self.tests[test].seconds

        return sorted(found, key=promise)

    def _share(self, test: int, path: str) -> float:
        """How much of what a test runs is in the file: a test of its own rules notices first."""
        lines = self.tests[test].lines
        return len(lines[path]) / sum(map(len, lines.values()))

    def _quick_work(self, entry: tuple[Source, int]) -> _Work:
        tests = self._tests_of(*entry)
        spent = accumulate(self.tests[test].seconds for test in tests)
        quick = [test for test, seconds in zip(tests, spent, strict=True) if seconds < QUICK_S]
        work = _Work(*entry, quick, len(tests))
        return work._replace(tests=[]) if identity_of(work.mutant._asdict()) in self.explained else work

    def _rest_of(self, work: _Work) -> _Work:
        done = {*work.tests}
        rest = [test for test in self._tests_of(work.source, work.number) if test not in done]
        return work._replace(tests=rest)

    def _start(self, work: _Work) -> _Child:
        def result() -> str:
            _own_directory(self.session, self.job)
            self._exchange(work.source, work.number)
            for item, test, following in _with_next(self.session, work.tests):
                if not _passes(self.session, item, following):
                    return f"killed {test}"
            return _SURVIVED

        return _Child(result, 60 + PATIENCE * sum(self.tests[test].seconds for test in work.tests))

    def _exchange(self, source: Source, number: int) -> None:
        """Give every living function of the file its code from the mutant."""
        file_name = str(Path(self.job.folder) / source.path)
        codes = dict(_codes(source.compiled(number, file_name)))
        for function in self.functions:
            old = function.__code__
            if old.co_filename == file_name:
                function.__code__ = codes[old.co_qualname, old.co_firstlineno]
        for function in list(vars(sys.modules[_module_of(source.path)]).values()):
            if hasattr(function, "cache_clear"):
                function.cache_clear()

    def _outcome(self, work: _Work, answer: str | None) -> dict[str, Any]:
        killer = "it hung or died" if answer is None else None
        if answer is not None and answer.startswith("killed"):
            test = int(answer.split()[1])
            self._remember(work.mutant, test)
            killer = self.session.items[test].nodeid
        outcome = {**work.mutant._asdict(), "killer": killer, "tests": work.known}
        self.outcomes.add(work.source, work.number, outcome)
        return outcome


def _finished(running: list[tuple[_Child, _Work]]) -> Iterator[tuple[_Work, str | None]]:
    time.sleep(0.001)
    for entry in [entry for entry in running if entry[0].done()]:
        running.remove(entry)
        yield entry[1], entry[0].answer()


def _codes(code: CodeType) -> Iterator[tuple[tuple[str, int], CodeType]]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield (inner.co_qualname, inner.co_firstlineno), inner
            yield from _codes(inner)


def _module_of(path: str) -> str:
    return "twinlock.trust." + path.removesuffix(".py").replace("/", ".")
