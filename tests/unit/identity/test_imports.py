"""Import of the registry: two people, one entry, all or nothing."""

from datetime import UTC, datetime

import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from sidecar.clock import FixedClock
from sidecar.errors import CodedError, ConfigurationError, LedgerUnavailable
from sidecar.identity import imports
from sidecar.identity.imports import import_units, revoke_token
from sidecar.identity.registry import Registry
from sidecar.identity.tables import REGISTRY_REVISIONS, UNITS
from sidecar.keys.generate import create_signing_key
from sidecar.keys.jwk import public_jwk
from sidecar.ledger.open import open_ledger
from sidecar.ledger.tables import ENTRIES
from sidecar.storage.metadata import METADATA
from tests.support.state import new_state, settings_for

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
POLICE, SCHOOL = "113399010000010114", "123399010000040443"
IDP = "https://idp.example"
ORGANS = {"public_security", "school"}
FILE = f"""
registry: 1
units:
  - code: {POLICE}
    name: 示例县公安局
    organ: public_security
    region: "339901"
    keys:
      - {{file: police.pub.pem, valid_from: 2026-01-01, valid_to: 2028-12-31}}
officers:
  - {{issuer: {IDP}, subject: "330101", state: suspended}}
"""


class World:
    def __init__(self, folder):
        self.folder = folder
        settings = settings_for(folder)
        self.clock = FixedClock(NOW)
        self.engine = new_state(settings)
        self.ledger = open_ledger(settings, self.clock, engine=self.engine)
        self.key = create_signing_key(folder, "police")
        self.file = folder / "units.yaml"

    def run(self, text=FILE, **more):
        self.file.write_text(text, encoding="utf-8")
        people = {"registrar": "张三", "confirmed_by": "李四"} | more
        return import_units(
            self.file, engine=self.engine, ledger=self.ledger, clock=self.clock, organs=ORGANS, **people
        )

    @property
    def registry(self):
        return Registry(self.engine, self.clock, 1.0)

    def entries(self):
        with self.engine.connect() as connection:
            rows = connection.execute(select(ENTRIES.c.body).order_by(ENTRIES.c.writer_seq))
            return [orjson.loads(body) for (body,) in rows]

    def count(self, table):
        with self.engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.ledger.close()
    made.engine.dispose()


def keyed(text):
    """A file with one unit whose one key is ``text``."""
    return FILE.replace("{file: police.pub.pem, valid_from: 2026-01-01, valid_to: 2028-12-31}", text)


def test_an_import_is_seen_and_recorded(world):
    summary = world.run()
    assert (summary.revision, summary.units, summary.keys, summary.officers, summary.changed) == (1, 1, 1, 1, True)
    registry = world.registry
    assert registry.unit(POLICE).organ == "public_security"
    assert registry.unit_key(POLICE, world.key.kid) is not None
    assert registry.officer_state(IDP, "330101") == "suspended"
    (entry,) = world.entries()
    assert (entry["kind"], entry["officer"], entry["channel"]) == ("registry", "张三", "cli")
    assert entry["extra"] == {"action": "import", "confirmed_by": "李四", "digest": summary.digest, "number": "1"}


def test_the_same_again_changes_and_records_nothing(world):
    world.run()
    again = world.run()
    assert (again.revision, again.changed) == (1, False)
    assert len(world.entries()) == 1
    assert world.count(UNITS) == 1


def test_what_a_file_does_not_name_stays_unless_it_is_the_whole(world):
    world.run()
    other = f"registry: 1\nunits: [{{code: {SCHOOL}, name: 一中, organ: school, state: suspended}}]"
    assert world.run(other).revision == 2
    assert world.registry.unit(SCHOOL).state == "suspended"
    assert world.registry.unit(POLICE) is not None
    assert world.registry.officer_state(IDP, "330101") == "suspended"
    assert world.run(other, replace=True).revision == 3
    assert world.registry.unit(POLICE) is None
    assert world.registry.unit_key(POLICE, world.key.kid) is None
    assert world.registry.officer_state(IDP, "330101") == "active"


def test_an_empty_first_import_makes_a_revision(world):
    assert world.run("registry: 1").revision == 1


@pytest.mark.parametrize(
    ("registrar", "confirmed_by"),
    [("张三", "张三"), ("张三", " 张 三 "), ("Zhang", "ZHANG"), ("Ｚhang", "Zhang"), ("", "李四"), ("张三", " ")],
)
def test_one_person_alone_cannot_change_the_registry(world, registrar, confirmed_by):
    with pytest.raises(CodedError, match="another person") as caught:
        world.run(registrar=registrar, confirmed_by=confirmed_by)
    assert (caught.value.code, caught.value.status) == ("self-approval", 403)
    assert world.count(REGISTRY_REVISIONS) == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Input should be a valid dictionary"),
        ("registry: 2", "registry"),
        ("registry: 1\nregistry: 1", "duplicate key"),
        ("registry: [", "cannot be read as YAML"),
        ("registry: 1\nunit: []", "Extra inputs"),
        (FILE.replace(POLICE, POLICE[:-1] + "5"), "units.0.code: Value error, credit code: the check character"),
        (FILE.replace(POLICE, "[1]"), "units.0.code"),
        (FILE.replace("organ: public_security", "organ: club"), "expected an organ of"),
        (FILE.replace('"339901"', '"3399"'), "units.0.region"),
        (FILE.replace("state: suspended", "state: asleep"), "officers.0.state"),
        (FILE.replace("2026-01-01", "2029-01-01"), "valid_from before valid_to"),
        (FILE.replace("2026-01-01", "soon"), "expected a date"),
        (FILE.replace("2026-01-01", "2026-02-30"), "day is out of range"),
        (FILE.replace("2026-01-01", "1.5"), "expected a date"),
        (FILE.replace("2026-01-01", '"2026-02-30"'), "expected a date"),
        ("[" * 5000, "cannot be read"),
        (FILE.replace("police.pub.pem", "none.pem"), "cannot be read: No such file"),
        (FILE.replace("police.pub.pem", "police.pem"), "expected a public key in PEM"),
        (keyed("{valid_from: 2026-01-01, valid_to: 2028-12-31}"), "exactly one of file and jwk"),
        (keyed("{jwk: {kty: oct, k: AAAA}, valid_from: 2026-01-01, valid_to: 2028-12-31}"), "public Ed25519, P-256"),
        (keyed("{jwk: {kty: EC, x: .nan}, valid_from: 2026-01-01, valid_to: 2028-12-31}"), "public Ed25519, P-256"),
        (keyed("{jwk: {? [1] : 2}, valid_from: 2026-01-01, valid_to: 2028-12-31}"), "unhashable"),
    ],
)
def test_a_bad_file_is_refused_with_its_place_and_changes_nothing(world, text, problem):
    with pytest.raises(ConfigurationError, match=r"units\.yaml") as caught:
        world.run(text)
    assert problem in str(caught.value)
    assert world.count(UNITS) == 0
    assert world.entries() == []


def test_names_appear_once(world):
    unit = f"{{code: {SCHOOL}, name: a, organ: school}}"
    with pytest.raises(ConfigurationError, match=f"{SCHOOL} once, got it twice"):
        world.run(f"registry: 1\nunits: [{unit}, {unit}]")


def test_missing_large_and_foreign_files_are_refused(world, monkeypatch):
    with pytest.raises(ConfigurationError, match="No such file"):
        import_units(
            world.folder / "none.yaml",
            engine=world.engine,
            ledger=world.ledger,
            clock=world.clock,
            organs=ORGANS,
            registrar="a",
            confirmed_by="b",
        )
    monkeypatch.setattr(imports, "MAX_FILE_BYTES", 10)
    with pytest.raises(ConfigurationError, match="at most 10 bytes"):
        world.run()
    monkeypatch.undo()
    world.file.write_bytes(b"\xff\xfe")
    monkeypatch.setattr(type(world.file), "write_text", lambda *_, **__: None)
    with pytest.raises(ConfigurationError, match="cannot be read as YAML"):
        world.run()


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 1024),
        x25519.X25519PrivateKey.generate(),
    ],
)
def test_weak_and_other_keys_are_refused(world, key):
    kinds = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    world.key.public.write_bytes(key.public_key().public_bytes(*kinds))
    with pytest.raises(ConfigurationError, match="expected a public"):
        world.run()


def test_keys_may_be_given_as_jwk_with_their_names(world):
    ed, big = Ed25519PrivateKey.generate().public_key(), rsa.generate_private_key(65537, 2048).public_key()
    bare = {name: value for name, value in public_jwk(big).items() if name not in {"alg", "kid"}}
    days = {"valid_from": "2026-01-01", "valid_to": "2028-12-31"}
    keys = [
        {"jwk": public_jwk(ed, "own"), **days},
        {"jwk": public_jwk(ed, "own"), "kid": "given", **days},
        {"jwk": bare, **days},
    ]
    unit = {"code": SCHOOL, "name": "一中", "organ": "school", "keys": keys}
    world.run(orjson.dumps({"registry": 1, "units": [unit]}).decode())
    registry = world.registry
    assert registry.unit_key(SCHOOL, "own").algorithms == {"EdDSA"}
    assert registry.unit_key(SCHOOL, "given").key == ed
    assert registry.unit_key(SCHOOL, str(public_jwk(big)["kid"])).algorithms == {"PS256", "RS256"}


def test_a_long_name_of_a_key_is_refused(world):
    jwk = orjson.dumps({**public_jwk(Ed25519PrivateKey.generate().public_key(), "k" * 129)}).decode()
    with pytest.raises(ConfigurationError, match="at most 128 characters, got 129"):
        world.run(keyed(f"{{jwk: {jwk}, valid_from: 2026-01-01, valid_to: 2028-12-31}}"))


def test_a_published_private_key_is_refused(world):
    jwk = orjson.dumps({**public_jwk(Ed25519PrivateKey.generate().public_key()), "d": "AAAA"}).decode()
    with pytest.raises(ConfigurationError, match="expected a public"):
        world.run(keyed(f"{{jwk: {jwk}, valid_from: 2026-01-01, valid_to: 2028-12-31}}"))


def test_a_key_without_its_unit_is_refused(tmp_path):
    merged = {"units": {}, "keys": {("u", "k"): {}}, "officers": {}}
    with pytest.raises(ConfigurationError, match=r"got none for \['u'\]"):
        imports._check_references(tmp_path, merged)


def test_of_two_imports_at_once_one_wins_and_the_other_leaves_nothing(world, monkeypatch):
    inner = imports._current
    stale = inner(world.engine)
    world.run()
    monkeypatch.setattr(imports, "_current", lambda _: stale)
    with pytest.raises(CodedError, match="another import came first") as caught:
        world.run(f"registry: 1\nunits: [{{code: {SCHOOL}, name: a, organ: school}}]")
    assert (caught.value.code, caught.value.status) == ("state-conflict", 409)
    assert world.count(UNITS) == 1
    assert len(world.entries()) == 1
    assert world.registry.unit(SCHOOL) is None


def test_p2_without_the_ledger_nothing_is_imported(world, monkeypatch):
    def down(*_):
        raise LedgerUnavailable("down")

    monkeypatch.setattr(world.ledger, "commit", down)
    with pytest.raises(LedgerUnavailable):
        world.run()
    assert world.registry.unit(POLICE) is None
    monkeypatch.undo()
    assert world.run().revision == 1


def test_without_tables_the_text_names_the_fix(world):
    METADATA.drop_all(world.engine)
    with pytest.raises(LedgerUnavailable, match="sidecar db upgrade"):
        world.run()
    with pytest.raises(LedgerUnavailable, match="cannot be written"):
        imports._stage(world.engine, "b", {"units": {("a",): {"code": "a"}}, "keys": {}, "officers": {}})
    with pytest.raises(LedgerUnavailable, match="cannot be removed"):
        imports._unstage(world.engine, "b")


def test_a_token_is_taken_back_with_an_entry_and_twice_is_once(world):
    until = int(NOW.timestamp()) + 600
    for _ in range(2):
        revoke_token(
            ledger=world.ledger,
            clock=world.clock,
            issuer=IDP,
            token_id="t-1",
            expires=until,
            registrar="张三",
            confirmed_by="李四",
        )
    assert world.registry.token_revoked(IDP, "t-1")
    assert [entry["extra"]["action"] for entry in world.entries()] == ["revoke_token"] * 2
    with pytest.raises(CodedError, match="another person"):
        revoke_token(
            ledger=world.ledger,
            clock=world.clock,
            issuer=IDP,
            token_id="t-2",
            expires=until,
            registrar="张三",
            confirmed_by="张三",
        )
