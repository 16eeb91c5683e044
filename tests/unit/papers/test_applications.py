"""Applications: who may do what in which state, and that no transition is without its entry."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select

from sidecar.clock import FixedClock
from sidecar.errors import CodedError, LedgerUnavailable, RequestInvalid
from sidecar.identity.types import Officer, WorkCertificate
from sidecar.keys.generate import create_age_identity, create_ring
from sidecar.keys.ring import FileKeyRing
from sidecar.keys.sealing import DataKeySealer, Sealed, WrappedKey, unseal
from sidecar.law.days import parse_day
from sidecar.ledger.open import open_ledger
from sidecar.ledger.tables import DATA_KEYS, ENTRIES, SEALED_INPUTS
from sidecar.papers import undertaking
from sidecar.papers.applications import FROM, Applications
from sidecar.papers.content import Content, ContentSealer, ContentUnreadable
from sidecar.papers.drafts import Draft
from sidecar.papers.inputs import SealedInputs
from sidecar.papers.tables import APPLICATION_EVENTS, APPLICATIONS, UNDERTAKINGS
from sidecar.policy.types import LegalParameters
from sidecar.records.types import Subject
from tests.support.state import new_state, settings_for

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
NUMBER, REASON = "11010519491231002X", "办理某案需要"
IDP, POLICE = "https://idp.example", "113399010000010114"
PARAMS = LegalParameters(
    18, "0301", 20130101, 20260101, frozenset({"cpl/286"}), {"刑事诉讼法": "cpl"}, frozenset({"case"}), frozenset()
)
DRAFT = Draft(Subject(person_id=NUMBER), "cases", "sealed", REASON, ("刑事诉讼法", "第286条"), "case", "(2024)1号")


def person(subject, *roles, issuer=IDP, unit=POLICE):
    certificate = WorkCertificate("c", "valid")
    return Officer(issuer, subject, unit, certificate, frozenset(roles), f"token-{subject}", 0)


LI = person("li", "officer", "approver")
WU = person("wu", "officer")
CHEN = person("chen", "approver", unit="113399010000020224")
WORDING = undertaking.current("zh").digest


@dataclass
class World:
    folder: Path

    def __post_init__(self):
        settings = settings_for(self.folder)
        self.clock = FixedClock(NOW)
        create_ring(self.folder / "ring", 2026)
        keys = FileKeyRing.load(self.folder / "ring", self.clock)
        self.engine = new_state(settings)
        self.ledger = open_ledger(settings, self.clock, engine=self.engine)
        self.sealer = ContentSealer.load(self.folder / "ring")
        organ = SealedInputs(DataKeySealer([create_age_identity(self.folder / "organ")], self.clock))
        self.store = Applications(self.engine, self.ledger, keys, self.sealer, self.clock, dossiers=organ)

    def draft(self, officer=LI, **change):
        stated = Draft(**{name: getattr(DRAFT, name) for name in DRAFT.__slots__} | change)
        return self.store.create(officer, stated, PARAMS, {"cases"}).application.id

    def submitted(self):
        made = self.draft()
        self.store.submit(LI, made)
        return made

    def rows(self, table):
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(select(table)).mappings()]

    def entries(self):
        return [orjson.loads(row["body"]) for row in self.rows(ENTRIES)]

    def dossier(self):
        """What the organ can read: (entry, content), in the order of the entries."""
        keys = {row["id"]: WrappedKey(row["id"], row["created"], row["wrapped"]) for row in self.rows(DATA_KEYS)}
        sealed = [
            (row["entry_id"], Sealed(row["key_id"], row["nonce"], row["ciphertext"]))
            for row in self.rows(SEALED_INPUTS)
        ]
        return sorted(
            (entry, orjson.loads(unseal(found, keys[found.key_id], entry.encode(), self.folder / "organ")))
            for entry, found in sealed
        )

    def kept(self, made):
        """What the deployment's own key still opens of an application."""
        (row,) = (row for row in self.rows(APPLICATIONS) if row["id"] == made)
        return self.sealer.open(made, row["content"])

    def close(self):
        self.ledger.close()
        self.engine.dispose()


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def test_from_draft_to_undertaking_each_step_has_its_entry(world):
    made = world.submitted()
    approved = world.store.approve(CHEN, made, copies_approved=True, valid_to=20261201).application
    assert (approved.state, approved.approver, approved.copies_approved) == ("approved", f"{IDP}|chen", True)
    signed = world.store.sign(LI, made, WORDING)
    assert signed.application == world.store.find(made)
    assert signed.application.undertaking_by == f"{IDP}|li"
    transitions = [entry["extra"]["transition"] for entry in world.entries()]
    assert transitions == [h.action for h in signed.history] == ["create", "submit", "approve", "undertaking"]
    assert [entry["id"] for entry in world.entries()] == [h.entry_id for h in signed.history]
    assert {(e["kind"], e["outcome"], e["subject"]) for e in world.entries()} == {
        ("dossier", "allow", approved.subject)
    }
    assert world.entries()[-1]["extra"]["token"] == "token-li"
    (row,) = world.rows(UNDERTAKINGS)
    assert row["wording"].hex() == WORDING == world.entries()[-1]["extra"]["wording"]


def test_nothing_is_in_clear_but_codes_and_a_pseudonym(world):
    made = world.submitted()
    view = world.store.view(LI, made)
    assert (view.content.person_id, view.content.reason, view.content.case_number) == (NUMBER, REASON, "（2024）1号")
    view = world.store.refuse(CHEN, made, codes=["basis-not-for-organ"], text="依据不足")
    assert (view.content.refusal, view.content.refusal_codes) == ("依据不足", ("basis-not-for-organ",))
    assert world.entries()[-1]["codes"] == ["basis-not-for-organ"]
    stored = b"".join(path.read_bytes() for path in world.folder.glob("state.db*"))
    for text in (NUMBER, REASON, "2024）1号", "依据不足"):
        assert text.encode() not in stored


@pytest.mark.parametrize("decide", ["approve", "refuse"])
@pytest.mark.parametrize("who", [LI, person("li", "approver", issuer="https://other.example")])
def test_deciding_ones_own_application_is_recorded_and_refused(world, decide, who):
    made = world.submitted()
    more = {"approve": {"copies_approved": False, "valid_days": 3}, "refuse": {"codes": ["reason-missing"], "text": ""}}
    with pytest.raises(CodedError) as refused:
        getattr(world.store, decide)(who, made, **more[decide])
    assert (refused.value.code, refused.value.status) == ("self-approval", 403)
    last = world.entries()[-1]
    assert (last["outcome"], last["codes"], last["officer"]) == ("refuse", ["self-approval"], f"{who.issuer}|li")
    assert world.store.find(made).state == "submitted"


def test_without_the_role_or_of_another_it_is_recorded_and_refused(world):
    made = world.submitted()
    for act, code in [
        (lambda: world.store.approve(WU, made, copies_approved=False, valid_days=1), "role-missing"),
        (lambda: world.store.create(CHEN, DRAFT, PARAMS, {"cases"}), "role-missing"),
        (lambda: world.store.withdraw(WU, made), "application-mismatch"),
    ]:
        with pytest.raises(CodedError) as refused:
            act()
        assert (refused.value.code, refused.value.status) == (code, 403)
        assert world.entries()[-1]["codes"] == [code]
    with pytest.raises(CodedError) as hidden:
        world.store.view(WU, made)
    with pytest.raises(CodedError) as unknown:
        world.store.view(WU, "0")
    assert (hidden.value.status, str(hidden.value)) == (404, str(unknown.value))


def test_an_approver_sees_no_draft(world):
    made = world.draft()
    with pytest.raises(CodedError, match="no such application"):
        world.store.view(CHEN, made)
    assert world.store.view(LI, made).content.reason == REASON


def test_of_two_who_decide_at_once_one_is_refused_and_recorded(world, monkeypatch):
    made = world.submitted()
    stale = world.store._row(made)  # what the second had read before the first committed
    world.store.refuse(CHEN, made, codes=["reason-missing"], text="")
    monkeypatch.setattr(world.store, "_row", lambda _: stale)
    with pytest.raises(CodedError) as refused:
        world.store.approve(CHEN, made, copies_approved=False, valid_days=1)
    assert (refused.value.code, refused.value.status) == ("state-conflict", 409)
    assert world.entries()[-1]["codes"] == ["state-conflict"]
    monkeypatch.undo()
    assert world.store.find(made).state == "refused"
    assert len(world.rows(APPLICATION_EVENTS)) == 3


def test_the_database_itself_keeps_an_officer_from_deciding(world, monkeypatch):
    made = world.submitted()
    monkeypatch.setattr("sidecar.papers.applications._same_person", lambda *_: False)
    with pytest.raises(CodedError, match="approve"):
        world.store.approve(LI, made, copies_approved=False, valid_days=1)
    assert world.store.find(made).state == "submitted"


def test_an_approval_ends_with_its_last_beijing_second(world):
    made = world.submitted()
    world.store.approve(CHEN, made, copies_approved=False, valid_days=1)
    world.clock.set(datetime(2026, 11, 24, 15, 59, 59, tzinfo=UTC))
    assert world.store.find(made).state == "approved"
    world.clock.set(datetime(2026, 11, 24, 16, 0, 0, tzinfo=UTC))
    assert world.store.find(made).state == "expired"
    with pytest.raises(CodedError) as refused:
        world.store.sign(LI, made, WORDING)
    assert refused.value.code == "state-conflict"


@pytest.mark.parametrize(
    "validity",
    [{}, {"valid_days": 1, "valid_to": 20261201}, {"valid_to": 20261122}, {"valid_days": -1}, {"valid_days": 4000}],
)
def test_an_approval_needs_one_possible_validity(world, validity):
    made = world.submitted()
    with pytest.raises(RequestInvalid):
        world.store.approve(CHEN, made, copies_approved=False, **validity)
    assert world.store.find(made).state == "submitted"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"subject": Subject(person_id="1")}, "identifier-invalid"),
        ({"subject": Subject(name=" ", birth_date="2000-01-01")}, "identifier-invalid"),
        ({"subject": Subject(name="张三", birth_date="2026-11-24")}, "identifier-invalid"),
        ({"subject": Subject(name="张三", birth_date="2005-02-30")}, "identifier-invalid"),
        ({"subject": Subject(name="张三")}, "identifier-invalid"),
        ({"subject": Subject(person_id="110101202611240015")}, "identifier-invalid"),
        ({"reason": " "}, "reason-missing"),
        ({"database": "x"}, "database-unknown"),
        ({"scope": "all"}, "body-invalid"),
        ({"basis": ("", "")}, "basis-missing"),
        ({"basis": ("刑事诉讼法", "1")}, "basis-not-listed"),
        ({"purpose": ""}, "purpose-missing"),
        ({"purpose": "fun"}, "purpose-unknown"),
        ({"case_number": "x" * 65}, "case-number-invalid"),
    ],
)
def test_an_incomplete_application_is_not_made(world, change, code):
    with pytest.raises(RequestInvalid) as refused:
        world.draft(**change)
    assert refused.value.code == code
    assert world.rows(APPLICATIONS) == []


def test_a_content_opens_for_its_own_application_only(world):
    first, second = (row for row in (world.draft(), world.draft()))
    sealed = {row["id"]: row["content"] for row in world.rows(APPLICATIONS)}
    sealer = ContentSealer.load(world.folder / "ring")
    assert sealer.open(first, sealed[first]).reason == REASON
    with pytest.raises(ContentUnreadable):
        sealer.open(second, sealed[first])
    with pytest.raises(ContentUnreadable):
        ContentSealer(bytes(32)).open(first, sealed[first])


BLANK = Content("", "", "", "", "")
FILED = {"person_id": NUMBER, "name": "", "birth_date": "", "reason": REASON, "case_number": "（2024）1号"}


def filed(made, refusal="", codes=()):
    return FILED | {"application": made, "refusal": refusal, "refusal_codes": list(codes)}


def test_of_a_refused_application_only_the_refusal_stays_and_the_dossier_has_the_rest(world):
    made = world.submitted()
    assert world.dossier() == []
    view = world.store.refuse(CHEN, made, codes=["basis-not-for-organ"], text="依据不足")
    assert (
        view.content == world.kept(made) == replace(BLANK, refusal="依据不足", refusal_codes=("basis-not-for-organ",))
    )
    assert world.dossier() == [(view.history[-1].entry_id, filed(made, "依据不足", ["basis-not-for-organ"]))]


def test_a_draft_that_is_withdrawn_leaves_nothing(world):
    made = world.draft()
    assert world.store.withdraw(LI, made).content == world.kept(made) == BLANK
    assert world.dossier() == []


def test_what_was_handed_in_goes_to_the_dossier_when_it_is_withdrawn(world):
    made = world.submitted()
    view = world.store.withdraw(LI, made)
    assert view.content == world.kept(made) == BLANK
    assert world.dossier() == [(view.history[-1].entry_id, filed(made))]


def test_an_approval_is_filed_at_once_and_erased_when_it_is_over(world):
    made, pending = world.submitted(), world.submitted()
    view = world.store.approve(CHEN, made, copies_approved=False, valid_days=1)
    assert world.dossier() == [(view.history[-1].entry_id, filed(made))]
    last = int(datetime(2026, 11, 24, 15, 59, 59, tzinfo=UTC).timestamp())
    assert world.store.purge(last) == 0
    assert view.content == world.kept(made) != BLANK
    assert [world.store.purge(last + 1), world.store.purge(last + 1)] == [1, 0]
    assert world.kept(made) == world.store.view(LI, made).content == BLANK
    assert world.kept(pending) != BLANK
    assert len(world.dossier()) == 1


def test_a_draft_that_nobody_hands_in_expires_and_leaves_nothing(world):
    made, filed_in_time = world.draft(), world.draft()
    last = NOW + timedelta(days=30)
    world.clock.set(last)
    assert world.store.submit(LI, filed_in_time).application.valid_to is None
    assert world.store.purge(int(last.timestamp())) == 0
    world.clock.set(last + timedelta(seconds=1))
    assert world.store.purge(int(last.timestamp()) + 1) == 1
    assert world.store.view(LI, made).application.state == "expired"
    assert world.kept(made) == BLANK != world.kept(filed_in_time)
    assert world.dossier() == []
    for action in (world.store.submit, world.store.withdraw):
        with pytest.raises(CodedError) as caught:
            action(LI, made)
        assert (caught.value.code, caught.value.status) == ("state-conflict", 409)


def test_an_approval_that_is_withdrawn_is_erased_and_filed_once(world):
    made = world.submitted()
    world.store.approve(CHEN, made, copies_approved=False, valid_days=1)
    assert world.store.withdraw(LI, made).content == world.kept(made) == BLANK
    assert len(world.dossier()) == 1


def test_a_ledger_that_fails_erases_nothing(world):
    made = world.submitted()
    world.ledger.close()
    with pytest.raises(LedgerUnavailable):
        world.store.refuse(CHEN, made, codes=["reason-missing"], text="")
    assert world.kept(made).reason == REASON


def test_a_ledger_that_fails_changes_nothing(world):
    made = world.draft()
    world.ledger.close()
    with pytest.raises(LedgerUnavailable):
        world.store.submit(LI, made)
    assert world.store.find(made).state == "draft"


class Machine(RuleBasedStateMachine):
    """One application, its officer, an approver, another officer; a model of its state beside it."""

    def __init__(self):
        super().__init__()
        self.folder = TemporaryDirectory()
        self.world = World(Path(self.folder.name))
        self.id = self.world.draft()
        self.state, self.signed, self.until, self.done, self.tried = "draft", False, None, 1, 1

    @rule(action=st.sampled_from(sorted(FROM)), who=st.sampled_from([LI, WU, CHEN]))
    def act(self, action, who):
        store, now = self.world.store, self.model()
        owner, allowed = who is LI, now in FROM[action] and not (action == "undertaking" and self.signed)
        expected = (who is CHEN if action in {"approve", "refuse"} else owner) and allowed
        acts = {
            "submit": lambda: store.submit(who, self.id),
            "withdraw": lambda: store.withdraw(who, self.id),
            "approve": lambda: store.approve(who, self.id, copies_approved=False, valid_days=2),
            "refuse": lambda: store.refuse(who, self.id, codes=["reason-missing"], text=""),
            "undertaking": lambda: store.sign(who, self.id, WORDING),
        }
        self.tried += 1
        if not expected:
            with pytest.raises(CodedError):
                acts[action]()
            return
        acts[action]()
        self.done += 1
        self.state = {"submit": "submitted", "withdraw": "withdrawn", "refuse": "refused"}.get(action, "approved")
        self.signed |= action == "undertaking"
        if action == "approve":
            self.until = parse_day((self.world.clock.now() + timedelta(days=2)).strftime("%Y%m%d"))

    @precondition(lambda self: self.state == "approved")
    @rule()
    def a_day_passes(self):
        self.world.clock.set(self.world.clock.now() + timedelta(days=1))

    def model(self):
        today = int(self.world.clock.now().strftime("%Y%m%d"))
        return "expired" if self.state == "approved" and today > self.until else self.state

    @invariant()
    def the_store_agrees_and_nothing_is_unrecorded(self):
        found = self.world.store.find(self.id)
        assert (found.state, found.undertaking_by is not None) == (self.model(), self.signed)
        assert found.approver in {None, f"{IDP}|chen"}
        assert len(self.world.rows(APPLICATION_EVENTS)) == self.done
        assert len(self.world.rows(ENTRIES)) == self.tried

    def teardown(self):
        self.world.close()
        self.folder.cleanup()


TestMachine = Machine.TestCase
TestMachine.settings = hypothesis_settings(max_examples=12, stateful_step_count=12, deadline=None)
