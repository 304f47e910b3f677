"""The walk over delegations on small trees: who answers, who is asked again, and whose word counts where several speak."""

from __future__ import annotations

import copy

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.vehicle import Store
from twinlock.testing.simulator.world import START
from twinlock.trust.engine.commands import Answer, Command, Fetch, FetchElsewhere, Persist, drive
from twinlock.trust.engine.delegation import Found, find_image
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.errors.metadata import ThresholdError
from twinlock.trust.names import HardwareId, TargetPath

KEYS = KeyPool()
PATH = TargetPath("brake/brake-1.bin")


class Tree:
    """A repository whose Targets list nothing; ``find`` refreshes and searches it from the start."""

    def __init__(self) -> None:
        self.image = RepositorySimulator("image", KEYS, lambda: START)
        self.asked: list[str] = []

    def grow(self, **children: str) -> None:
        """Delegate every brake image from each role to each of its children, named by letters, and publish all."""
        for parent, names in children.items():
            for name in names:
                self.image.delegate(parent, name, ["brake/*"])

    def find(self, hardware_id: str | None = None) -> Found:
        image = self.image
        image.publish(*(role for role in image.bodies if role not in ("root", "timestamp", "snapshot")))
        store = Store({1: image.files["1.root.json"]})
        self.asked = []

        def answer(command: Command) -> Answer:
            if isinstance(command, Persist):
                store.apply(command)
                return None
            if isinstance(command, FetchElsewhere):
                return None  # there is one place
            assert isinstance(command, Fetch)
            self.asked.append(command.role)
            return image.serve(command)

        trusted = drive(refresh_repository(store.restore("image"), START), answer)
        self.asked = []
        kind = None if hardware_id is None else HardwareId(hardware_id)
        return drive(find_image(trusted, PATH, kind, START), answer)

    def several(self, names: str, needed: int) -> None:
        """``needed`` of the roles named by letters have to agree."""
        keys, roles = {}, []
        for name in names:
            self.image.add_role(name)
            key = self.image.signers[name][0]
            keys[key.keyid] = key.public
            roles.append({"name": name, "keyids": [key.keyid], "threshold": 1})
        several = {"paths": ["*/*"], "terminating": False, "min_roles_in_agreement": needed, "roles": roles}
        self.image.bodies["targets"]["delegations"] = {"keys": keys, "roles": [], "prioritized_delegations": [several]}

    def list(self, role: str, data: bytes = b"image") -> None:
        self.image.add_image(PATH, data, role=role)


@pytest.fixture
def tree() -> Tree:
    return Tree()


def test_the_chain_to_the_answer_in_order_of_the_walk(tree: Tree) -> None:
    tree.grow(targets="ae", a="bc", c="d")
    tree.list("d")
    tree.list("e")
    assert tree.find().chain == ("targets", "a", "c", "d")
    assert tree.asked == ["a", "b", "c", "d"]


def test_nobody_lists_it(tree: Tree) -> None:
    tree.grow(targets="ab", a="c", b="c")
    found = tree.find()
    assert (found.entry, found.chain) == (None, ())
    assert tree.asked == ["a", "c", "b"]
    assert set(found.trusted.delegated) == {"a", "b", "c"}


def test_a_role_is_verified_under_each_of_its_delegators(tree: Tree) -> None:
    tree.grow(targets="ab", a="c", b="c")
    stranger = KEYS("stranger")
    delegations = tree.image.bodies["b"]["delegations"]
    delegations["keys"] = {stranger.keyid: stranger.public}
    delegations["roles"][0]["keyids"] = [stranger.keyid]
    with pytest.raises(ThresholdError) as caught:
        tree.find()
    assert (caught.value.role, caught.value.missing) == ("c", (stranger.keyid,))


def test_a_cycle_ends_where_it_closes(tree: Tree) -> None:
    tree.grow(targets="a", a="b", b="ac")
    assert tree.find().entry is None
    assert tree.asked == ["a", "b", "c"]
    tree.list("c")
    assert tree.find().chain == ("targets", "a", "b", "c")


def test_a_terminating_delegation_ends_the_whole_search_after_its_subtree(tree: Tree) -> None:
    tree.grow(targets="ad", a="b", b="c")
    tree.image.bodies["a"]["delegations"]["roles"][0]["terminating"] = True
    tree.list("d")
    found = tree.find()
    assert (found.entry, found.chain) == (None, ())
    assert tree.asked == ["a", "b", "c"]
    tree.list("c")
    assert tree.find().chain == ("targets", "a", "b", "c")


def test_hardware_and_pattern_decide_who_is_asked(tree: Tree) -> None:
    tree.grow(targets="abc")
    roles = tree.image.bodies["targets"]["delegations"]["roles"]
    roles[0]["hardwareIds"] = ["other-1"]
    roles[1]["paths"] = ["gateway/*", "brake/*/*", "*"]
    tree.find("brake-7")
    assert tree.asked == ["c"]
    tree.find()
    assert tree.asked == ["a", "c"]
    roles[0]["hardwareIds"] = ["other-1", "brake-7"]
    tree.find("brake-7")
    assert tree.asked == ["a", "c"]


def test_a_bin_that_does_not_list_it_leaves_the_search_to_the_next_role(tree: Tree) -> None:
    tree.grow(targets="ab")
    key = tree.image.key("bin")
    bins = {"keyids": [key.keyid], "threshold": 1, "bit_length": 1, "name_prefix": "bin"}
    tree.image.bodies["a"]["delegations"] = {"keys": {key.keyid: key.public}, "succinct_roles": bins}
    for name in ("bin-0", "bin-1"):
        tree.image.add_role(name, [key])
    tree.list("b")
    assert tree.find().chain == ("targets", "b")
    assert len(tree.asked) == 3
    for name in ("bin-0", "bin-1"):
        tree.list(name)
    assert tree.find().chain == ("targets", "a", tree.asked[1])


# several roles


@pytest.mark.parametrize("lists", ["bc", "bcd", "cd"])
def test_members_that_list_nothing_do_not_count(tree: Tree, lists: str) -> None:
    tree.several("abcd", 2)
    for role in lists:
        tree.list(role)
    assert tree.find().chain == ("targets", lists[0])
    assert tree.asked == ["a", "b", "c", "d"]


@pytest.mark.parametrize("lists", ["", "a", "d"])
def test_too_few_members_are_as_nobody(tree: Tree, lists: str) -> None:
    tree.several("abcd", 2)
    for role in lists:
        tree.list(role)
    found = tree.find()
    assert (found.entry, found.chain) == (None, ())


def test_the_group_of_the_earliest_member_wins_with_the_words_of_that_member(tree: Tree) -> None:
    tree.several("abcde", 2)
    tree.list("a", b"alone")
    for role, data in {"b": b"one", "c": b"two", "d": b"two", "e": b"one"}.items():
        tree.list(role, data)
        tree.image.bodies[role]["targets"][PATH]["custom"]["by"] = role
    found = tree.find()
    assert found.entry is not None
    assert (found.entry.length, found.entry.custom["by"], found.chain) == (3, "b", ("targets", "b"))


@pytest.mark.parametrize(
    ("change", "agrees"),
    [
        ({"length": 6}, False),
        ({"hashes": {"sha256": "0" * 64}}, False),
        ({"custom": {"mustAgree": {"releaseCounter": 1}}}, False),
        ({"custom": {"mustAgree": {"releaseCounter": 2, "x": 1}}}, False),
        ({"custom": {}}, False),
        ({"custom": {"mustAgree": {"releaseCounter": 2}, "name": "other"}}, True),
        ({"custom": {"mustAgree": {"releaseCounter": 2}, "targetFormat": "BINARY"}}, True),
        ({"custom": {"mustAgree": {"releaseCounter": 2}, "targetFormat": "OSTREE"}}, False),
    ],
)
def test_what_members_have_to_agree_on(tree: Tree, change: dict[str, object], agrees: bool) -> None:
    tree.several("ab", 2)
    entry = tree.image.add_image(PATH, b"image", role="a", mustAgree={"releaseCounter": 2})
    tree.image.bodies["b"]["targets"][PATH] = copy.deepcopy(entry) | change
    assert (tree.find().entry is not None) is agrees


def test_hardware_ids_agree_in_any_order(tree: Tree) -> None:
    tree.several("ab", 2)
    kinds = [f"kind-{number}" for number in range(40)]
    for role, listed in {"a": kinds, "b": kinds[::-1]}.items():
        tree.image.add_image(PATH, b"image", role=role, hardwareIds=listed)
    assert tree.find().chain == ("targets", "a")
    tree.image.bodies["b"]["targets"][PATH]["custom"]["hardwareIds"] = kinds[1:]
    assert tree.find().entry is None


def test_what_one_member_has_visited_hides_nothing_from_the_next(tree: Tree) -> None:
    tree.several("ab", 2)
    tree.grow(a="c", b="c", c="d")
    tree.list("d")
    assert tree.find().chain == ("targets", "a", "c", "d")
