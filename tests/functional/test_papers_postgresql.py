"""Applications, letters and the seal register on PostgreSQL: each transition is its one statement there too."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import orjson
import pytest
from sqlalchemy import func, select

from sidecar.clock import FixedClock
from sidecar.errors import CodedError
from sidecar.identity.types import Officer, WorkCertificate
from sidecar.keys.generate import add_pseudonym_year, create_age_identity, create_ring
from sidecar.keys.ring import FileKeyRing
from sidecar.keys.sealing import DataKeySealer
from sidecar.ledger.tables import SEALED_INPUTS
from sidecar.ledger.verify import verify_database
from sidecar.papers import undertaking
from sidecar.papers.applications import Applications
from sidecar.papers.content import ContentSealer
from sidecar.papers.drafts import Draft
from sidecar.papers.inputs import SealedInputs
from sidecar.papers.paper_letters import PaperLetter, PaperLetters
from sidecar.papers.register import SealRegister, import_register
from sidecar.papers.tables import LETTERS, UNDERTAKINGS
from sidecar.policy.types import LegalParameters
from sidecar.records.types import Subject
from tests.support.state import NOW, open_both, settings_for

pytestmark = pytest.mark.functional

NUMBER, IDP, POLICE = "11010519491231002X", "https://idp.example", "113399010000010114"
PARAMS = LegalParameters(
    18, "0301", 20130101, 20260101, frozenset({"cpl/286"}), {"刑事诉讼法": "cpl"}, frozenset({"case"}), frozenset()
)
NEXT_YEAR = datetime(2027, 1, 5, tzinfo=UTC)
BASIS, PERSON, WORDING = ("刑事诉讼法", "286"), Subject(person_id=NUMBER), undertaking.current("zh").digest
LI = Officer(IDP, "li", POLICE, WorkCertificate("c", "valid"), frozenset({"officer"}), "t", 0)
CHEN = replace(LI, subject="chen", roles=frozenset({"approver", "archive_clerk"}))


@pytest.fixture
def state(tmp_path, postgres_url):
    yield from open_both(settings_for(tmp_path, postgres_url))


@pytest.fixture
def ring(tmp_path):
    create_ring(tmp_path / "ring", 2026)
    return FileKeyRing.load(tmp_path / "ring", FixedClock(NOW))


def test_an_application_goes_its_way(state, ring, tmp_path):
    engine, ledger = state
    sealer, organ = ContentSealer.load(tmp_path / "ring"), create_age_identity(tmp_path / "organ")
    inputs = SealedInputs(DataKeySealer([organ], FixedClock(NOW)))
    store = Applications(engine, ledger, ring, sealer, FixedClock(NOW), dossiers=inputs)
    draft = Draft(PERSON, "cases", "sealed", "办理案件", BASIS, "case")
    first, second, third = (store.create(LI, draft, PARAMS, {"cases"}).application.id for _ in range(3))
    for made in (first, second, third):
        store.submit(LI, made)
    assert store.withdraw(LI, third).content.reason == ""
    store.refuse(CHEN, second, codes=["reason-missing"], text="不足")
    store.approve(CHEN, first, copies_approved=True, valid_days=3)
    store.sign(LI, first, WORDING)
    with pytest.raises(CodedError):
        store.sign(LI, first, WORDING)
    assert store.view(LI, second).content.refusal == "不足"
    found = store.view(LI, first)
    assert (found.application.copies_approved, found.application.undertaking_by) == (True, f"{IDP}|li")
    assert [line.action for line in found.history] == ["create", "submit", "approve", "undertaking"]
    with engine.connect() as connection:
        assert connection.execute(select(UNDERTAKINGS.c.wording)).scalar_one().hex() == WORDING
        assert connection.execute(select(func.count()).select_from(SEALED_INPUTS)).scalar_one() == 3
    assert [store.purge(found.application.valid_to + late) for late in (0, 1, 1)] == [0, 1, 0]
    assert store.view(LI, first).content.reason == ""
    assert verify_database(engine).ok


def test_a_letter_is_registered_once(state, ring):
    engine, ledger = state
    letter = PaperLetter(
        POLICE, "京公法字〔2026〕1号", "li", (NUMBER,), ("cases",), "open", BASIS, "case", 20261101, 20261130
    )
    letters = PaperLetters(ledger, ring, FixedClock(NOW))
    letters.register(CHEN, letter, PARAMS, {"cases"})
    with pytest.raises(CodedError):
        letters.register(CHEN, letter, PARAMS, {"cases"})
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(LETTERS)).scalar_one() == 1


def test_a_register_of_several_statements_is_imported_whole(state, ring, tmp_path):
    engine, ledger = state
    decision = {
        "effect": "seal", "database": "cases", "number": "1", "authority": "法院", "date": "2024-05-06", "ground": "s1",
        "subject": {"person_id": NUMBER, "name": "张三"},
    }  # fmt: skip
    file = tmp_path / "register.yaml"
    file.write_bytes(
        orjson.dumps({"register": 1, "decisions": [decision | {"record_key": str(n)} for n in range(120)]})
    )
    people = {"registrar": "张三", "confirmed_by": "李四"}
    for new in (240, 0):
        done = import_register(file, engine=engine, ledger=ledger, clock=FixedClock(NOW), keys=ring, **people)
        assert done.new == new
    marks = SealRegister(engine, ring).marks(SimpleNamespace(database="cases", target=PERSON))
    assert len(marks.sealed) == 120
    assert SealRegister(engine, ring).lost_keys() == ()
    (tmp_path / "ring" / "pseudonym-2026.key").unlink()
    add_pseudonym_year(tmp_path / "ring", 2027)
    left = SealRegister(engine, FileKeyRing.load(tmp_path / "ring", FixedClock(NEXT_YEAR)))
    assert left.lost_keys() == (ring.pseudonym("person_id", NUMBER, 2026)[0],)
    assert left.marks(SimpleNamespace(database="cases", target=PERSON)) == marks
    assert verify_database(engine).ok
