"""``sidecar papers import`` and ``register import``: a bad file is told in one line and imports nothing of itself."""

from __future__ import annotations

import functools
import json

import pytest
import yaml
from sqlalchemy import delete, func, select

from sidecar.cli import main
from sidecar.cli.context import State
from sidecar.clock import FixedClock
from sidecar.demo import legacy
from sidecar.demo.people import POLICE
from sidecar.ledger.tables import ENTRIES
from sidecar.papers.tables import APPLICATION_EVENTS, APPLICATIONS, LETTERS, SEAL_REGISTER
from tests.support.world import NOW, World

NUMBER, NAME = legacy.SEALED.SFZH, "张三"
PEOPLE = ["--registrar", "张三", "--confirmed-by", "李四"]
BASIS = {"instrument": "刑事诉讼法", "article": "286"}
LETTER = {
    "unit": POLICE.code, "number": "示公函字〔2026〕41号", "officer": "p1", "subjects": [NUMBER], "databases": ["county"],
    "scope": "open", "basis": BASIS, "purpose": "case_handling", "valid_from": "2026-11-23", "valid_to": "2026-11-30",
}  # fmt: skip
APPLICATION = {
    "issuer": "https://idp.example", "officer": "p1", "unit": POLICE.code, "person_id": NUMBER, "database": "county",
    "scope": "sealed", "basis": BASIS, "purpose": "case_handling", "reason": "办理案件", "case_number": "A3301",
    "approver": {"issuer": "https://idp.example", "officer": "q1"}, "valid_to": "2026-12-31",
}  # fmt: skip
DECISION = {
    "effect": "seal", "database": "county", "record_key": "330102-0007", "number": "（2024）浙0102刑封12号",
    "authority": "示例县人民法院", "date": "2024-05-06", "ground": "s1", "subject": {"person_id": NUMBER, "name": NAME},
}  # fmt: skip
GOOD = {
    "papers": {"papers": 1, "letters": [LETTER], "applications": [APPLICATION]},
    "register": {"register": 1, "decisions": [DECISION]},
}
TABLES = (LETTERS, APPLICATIONS, SEAL_REGISTER)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory, world_keys):
    """A deployment with an active revision, and its settings as a file."""
    world = World(tmp_path_factory.mktemp("world"), keys=world_keys)
    settings = world.settings.model_dump(mode="json", exclude={"base"})
    (world.folder / "sidecar.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    yield world
    world.close()


@pytest.fixture
def run(deployment, monkeypatch, capsys):
    """Write a file, run ``<group> import`` on it; exit status, output, error."""
    monkeypatch.setattr("sidecar.cli.root.State", functools.partial(State, clock=FixedClock(NOW)))
    with deployment.state.begin() as connection:
        for table in (APPLICATION_EVENTS, *TABLES):
            connection.execute(delete(table))

    def command(group, content, *options):
        file = deployment.folder / "file.yaml"
        file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        config = str(deployment.folder / "sidecar.yaml")
        status = main(["--config", config, group, "import", str(file), *(options or (*PEOPLE, "--json"))])
        return status, *capsys.readouterr()

    return command


def counted(world):
    """Rows of the papers' tables, and entries."""
    with world.state.connect() as connection:
        return [connection.execute(select(func.count()).select_from(t)).scalar_one() for t in (*TABLES, ENTRIES)]


def test_papers_are_imported_once(deployment, run):
    before = counted(deployment)
    status, out, _ = run("papers", GOOD["papers"])
    first = json.loads(out)
    assert (status, first["letters"], first["new"]) == (0, 1, 2)
    once = counted(deployment)
    assert once == [1, 1, 0, before[3] + 1]
    status, out, _ = run("papers", GOOD["papers"])
    assert (status, json.loads(out)) == (0, first | {"new": 0})
    assert counted(deployment) == once


def test_decisions_are_imported_once(deployment, run):
    before = counted(deployment)
    assert run("register", GOOD["register"])[:2] == (0, '{\n  "decisions": 1,\n  "new": 2\n}\n')
    once = counted(deployment)
    assert once == [0, 0, 2, before[3] + 1]
    assert json.loads(run("register", GOOD["register"])[1])["new"] == 0
    assert counted(deployment) == once


def test_what_was_done_is_told_to_people(run):
    assert run("register", GOOD["register"], *PEOPLE)[1] == "1 decisions, 2 new rows\n"
    text, identifier = run("papers", GOOD["papers"], *PEOPLE)[1].splitlines()
    assert text == "1 letters, 1 applications, 2 new"
    assert len(identifier) == 36


def members(group, **change):
    return {"papers": {"papers": 1}, "register": {"register": 1}}[group] | change


HALF_BAD = [
    ("papers", members("papers", letters=[LETTER, LETTER | {"number": "41"}]), "letters.1"),
    ("papers", members("papers", letters=[LETTER, LETTER | {"number": "示公函字〔2026〕1号", "uses": 0}]), "letters.1"),
    ("papers", members("papers", letters=[LETTER], applications=[APPLICATION | {"reason": ""}]), "applications.0"),
    ("papers", members("papers", letters=[LETTER], applications=[APPLICATION | {"database": "x"}]), "applications.0"),
    ("papers", members("papers", letters=[LETTER], applications=[APPLICATION | {"valid_to": "2026-11-22"}]), "valid_to"),
    ("papers", members("papers", letters=[LETTER | {"extra": NAME}]), "letters.0.extra"),
    ("papers", members("papers", letters=[LETTER | {"subjects": [NAME + "/2026-11-24"]}]), "letters.0"),
    ("papers", members("papers", letters=[LETTER, LETTER]), "letters.1: expected each once, got letters.0 again"),
    ("papers", members("papers", applications=[APPLICATION] * 2), "applications.1: expected each once"),
    ("papers", members("papers"), "expected letters or applications, got none"),
    ("papers", GOOD["register"], "papers"),
    ("register", members("register", decisions=[DECISION, DECISION | {"number": ""}]), "decisions.1.number"),
    ("register", members("register", decisions=[DECISION, DECISION | {"effect": "hide"}]), "decisions.1.effect"),
    ("register", members("register", decisions=[DECISION, DECISION | {"database": "x"}]), "decisions.1"),
    ("register", members("register", decisions=[DECISION, DECISION | {"date": "2026-11-24"}]), "decisions.1"),
    ("register", members("register", decisions=[DECISION, DECISION | {"subject": {"name": NAME}}]), "decisions.1"),
    ("register", members("register", decisions=[DECISION] * 2), "decisions.1: expected each once, got decisions.0 again"),
    ("register", members("register", decisions=[]), "decisions"),
    ("register", members("register", register=2, decisions=[DECISION]), "register"),
    ("register", GOOD["papers"], "register"),
]  # fmt: skip


@pytest.mark.parametrize(("group", "content", "place"), HALF_BAD, ids=[f"{c[0]}-{n}" for n, c in enumerate(HALF_BAD)])
def test_of_a_file_that_is_bad_in_one_place_nothing_is_imported(deployment, run, group, content, place):
    before = counted(deployment)
    status, out, error = run(group, content)
    assert (status, out, error.count("\n")) == (1, "", 1)
    assert error.startswith("error: configuration-invalid:")
    assert place in error
    assert NAME not in error
    assert NUMBER not in error
    assert counted(deployment) == before


GB18030 = yaml.safe_dump(GOOD["register"], allow_unicode=True).encode("gb18030")


@pytest.mark.parametrize("group", ["papers", "register"])
@pytest.mark.parametrize(
    "content",
    [
        GB18030,
        "register: 1".encode("utf-16"),
        b"",
        b"\xff\xfe",
        b"[]",
        b"papers: 1\npapers: 1\n",
        b"register: 1\nregister: 1\n",
        b"papers: [",
        b"\x00",
        b"papers: &a [*a]",
        b"!!python/object:os.system {}",
        b"papers: 2026-02-30",
        b"{" * 3000,
        b" " * (4 * 1024 * 1024 + 1),
    ],
    ids=range(14),
)
def test_a_file_that_cannot_be_read_is_told_in_one_line(deployment, run, group, content):
    before = counted(deployment)
    status, out, error = run(group, content)
    assert (status, out, error.count("\n")) == (1, "", 1)
    assert error.startswith("error: configuration-invalid:")
    assert "file.yaml" in error
    assert counted(deployment) == before


@pytest.mark.parametrize("group", ["papers", "register"])
def test_one_person_alone_imports_nothing(deployment, run, group):
    before = counted(deployment)
    status, _, error = run(group, GOOD[group], "--registrar", "张三", "--confirmed-by", " 张 三 ")
    assert (status, error.startswith("error: self-approval:")) == (1, True)
    assert run(group, GOOD[group], "--registrar", "张三")[0] == 2
    assert counted(deployment) == before


def test_a_letter_that_says_something_else_than_the_registered_one_refuses_the_file(deployment, run):
    assert run("papers", members("papers", letters=[LETTER]))[0] == 0
    before = counted(deployment)
    content = members("papers", letters=[LETTER | {"number": "示公函字〔2026〕42号"}, LETTER | {"uses": 5}])
    status, _, error = run("papers", content)
    assert (status, error.startswith("error: state-conflict:")) == (1, True)
    assert "letters.1" in error
    assert counted(deployment) == before


def test_a_file_that_is_not_there_is_a_wrong_command_line(deployment, capsys):
    config = str(deployment.folder / "sidecar.yaml")
    for group in GOOD:
        assert main(["--config", config, group, "import", str(deployment.folder / "none.yaml"), *PEOPLE]) == 2
        assert "does not exist" in capsys.readouterr().err
