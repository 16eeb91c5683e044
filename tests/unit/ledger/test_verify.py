"""Verification names the first bad position and what is wrong with it, in a database and in an export alike."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from sidecar.clock import FixedClock
from sidecar.errors import ConfigurationError
from sidecar.ledger import merkle, note
from sidecar.ledger import verify as verifier
from sidecar.ledger.checkpoint import Checkpoint
from sidecar.ledger.entry import encode
from sidecar.ledger.evidence import read_key
from sidecar.ledger.export import export
from sidecar.ledger.open import open_ledger
from sidecar.ledger.sequencer import Sequencer
from sidecar.ledger.tables import CHECKPOINTS, ENTRIES, NODES, POSITIONS, STATE, WRITERS
from sidecar.ledger.verify import JUDGED, Alert, Export, Kept, Keys, padded, verify, verify_database
from sidecar.oversight.projector import JUDGED_FIELDS
from sidecar.oversight.tables import EVENTS
from tests.support.state import NOW, ORIGIN, entry

SIZE = 8


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    """What is wrong stands now within a block, now at its edge."""
    monkeypatch.setattr(verifier, "BLOCK", 3)


def event_body(seq, place):
    """A CloudEvent as the projector writes it."""
    return json.dumps(
        {"sequence": str(seq), "type": "t", "severity": "low", "position": str(place.position),
         "leafhash": place.leaf_hash.hex(), "data": {"kind": "inquiry", "position": place.position, "rules": ["R18"]}}
    ).encode()  # fmt: skip


@pytest.fixture
def log(settings, engine, ledger):
    """Eight positions of two writers in turn, and one entry without position."""
    other = open_ledger(settings, FixedClock(NOW), engine=engine)
    sequencer = Sequencer(engine, ledger, FixedClock(NOW), [])
    for n in range(SIZE):
        (other if n % 2 else ledger).commit(entry())
        sequencer.step()
    other.close()
    ledger.commit(entry())
    with engine.begin() as connection:
        rows = connection.execute(select(POSITIONS).order_by(POSITIONS.c.position)).all()
        connection.execute(
            EVENTS.insert(),
            [
                {"seq": n + 1, "id": str(n), "type": "t", "severity": "low", "position": 3 * n,
                 "leaf_hash": rows[3 * n].leaf_hash, "time": "", "body": event_body(n + 1, rows[3 * n])}
                for n in range(2)
            ],
        )  # fmt: skip
    yield engine
    sequencer.release()


def change(engine, *statements) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)


def row(engine, position: int):
    with engine.connect() as connection:
        return connection.execute(select(POSITIONS).where(POSITIONS.c.position == position)).one()


def at(engine, position: int):
    place = row(engine, position)
    return (ENTRIES.c.writer == place.writer) & (ENTRIES.c.writer_seq == place.writer_seq)


def found(engine) -> tuple[str, int] | None:
    fault = verify_database(engine).fault
    return (fault.kind, fault.position) if fault else None


def test_a_good_log_verifies_with_its_root(log):
    done = []
    with log.connect() as connection:
        leaves = connection.execute(select(POSITIONS.c.leaf_hash).order_by(POSITIONS.c.position)).scalars().all()
    report = verify_database(log, progress=lambda *p: done.append(p))
    assert (report.ok, report.size, report.pending, report.events, report.writers) == (True, SIZE, 1, 2, 2)
    assert report.root == merkle.root(leaves)
    assert done[-1] == (SIZE, SIZE)
    assert verify_database(log, kept=[Kept("a note", n, merkle.root(leaves[:n])) for n in (8, 5, 0)]).ok


def test_a_changed_body_is_found(log):
    with log.connect() as connection:
        body = connection.execute(select(ENTRIES.c.body).where(at(log, 4))).scalar_one()
    change(log, ENTRIES.update().where(at(log, 4)).values(body=body.replace(b'"inquiry"', b'"inquirY"')))
    assert found(log) == ("changed", 4)


def test_a_changed_body_with_its_leaf_hash_made_anew_is_found_by_the_chain(log):
    with log.connect() as connection:
        body = connection.execute(select(ENTRIES.c.body).where(at(log, 4))).scalar_one()
    forged = body.replace(b'"inquiry"', b'"inquirY"')
    leaf = merkle.leaf_hash(padded(forged))
    change(
        log,
        ENTRIES.update().where(at(log, 4)).values(body=forged, leaf_hash=leaf),
        POSITIONS.update().where(POSITIONS.c.position == 4).values(leaf_hash=leaf),
    )
    assert found(log) == ("changed", 4)


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"a": 1}', b'{"pad":"0"}', b'{"b":1,"a":2}', b'"' + b"x" * 9000 + b'"']
)
def test_a_body_that_is_not_canonical_is_found(log, body):
    change(log, ENTRIES.update().where(at(log, 2)).values(body=body))
    assert found(log) == ("changed", 2)


def test_a_dropped_entry_is_found(log):
    change(log, ENTRIES.delete().where(at(log, 5)))
    assert found(log) == ("dropped", 5)


def test_a_dropped_position_is_found(log):
    change(log, POSITIONS.delete().where(POSITIONS.c.position == 5))
    assert found(log) == ("dropped", 5)


def test_a_position_cut_out_with_those_behind_moved_up_is_found(log):
    change(log, POSITIONS.delete().where(POSITIONS.c.position == 2))
    for position in range(3, SIZE):
        change(log, POSITIONS.update().where(POSITIONS.c.position == position).values(position=position - 1))
    assert found(log) == ("dropped", 3)


def swap(log, a: int, b: int) -> None:
    table = POSITIONS.update()
    for old, new in ((a, 99), (b, a), (99, b)):
        change(log, table.where(POSITIONS.c.position == old).values(position=new))


def test_two_entries_of_one_writer_in_the_wrong_order_are_found(log):
    swap(log, 2, 4)
    assert found(log) == ("reordered", 2)


def test_entries_of_two_writers_in_the_wrong_order_are_found(log):
    swap(log, 2, 3)
    assert found(log) == ("reordered", 0)


def test_truncated_positions_are_found(log):
    change(log, POSITIONS.delete().where(POSITIONS.c.position >= 6))
    assert found(log) == ("truncated", 6)


def test_truncation_with_size_and_tree_set_back_is_found_by_the_cursors(log):
    tree = merkle.Range()
    for position in range(6):
        tree.append(row(log, position).leaf_hash)
    change(
        log,
        POSITIONS.delete().where(POSITIONS.c.position >= 6),
        STATE.update().values(size=6, roots=b"".join(tree.roots)),
    )
    assert found(log) == ("truncated", 6)


def leaves_of(engine):
    with engine.connect() as connection:
        return connection.execute(select(POSITIONS.c.leaf_hash).order_by(POSITIONS.c.position)).scalars().all()


def test_what_was_kept_elsewhere_finds_a_log_written_anew(log):
    kept = [Kept("a note", 3, merkle.root(leaves_of(log)[:3])), Kept("the witness", 5, merkle.EMPTY_ROOT)]
    fault = verify_database(log, kept=kept).fault
    assert (fault.kind, fault.position) == ("forked", 3)
    assert "not those of the witness; up to 3 all agree" in fault.text


def test_what_was_kept_elsewhere_finds_a_log_that_was_set_back_as_a_whole(log):
    fault = verify_database(log, kept=[Kept("the witness", SIZE + 1, merkle.EMPTY_ROOT)]).fault
    assert (fault.kind, fault.position) == ("rolled-back", SIZE)
    assert "expected the 9 entries of the witness, got 8" in fault.text


KEY, WITNESS = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
KEYS = Keys(
    read_key(str(note.verifier(ORIGIN, KEY.public_key()))),
    (read_key(str(note.verifier("w", WITNESS.public_key(), note.COSIGNATURE))),),
)


def checkpoint(engine, size, root=None, key=KEY, cosigner=None):
    """Store a checkpoint as the signer does."""
    made = Checkpoint(ORIGIN, size, root or merkle.root(leaves_of(engine)[:size]))
    lines = note.cosign(made.text(), "w", cosigner, 7).encode() if cosigner else b""
    row = {"size": size, "root": made.root, "time": 0, "minute": size, "note": made.signed(key).encode()}
    change(engine, CHECKPOINTS.insert().values({**row, "cosignatures": lines, "witnesses": int(bool(lines))}))


def test_every_stored_checkpoint_is_checked(log):
    checkpoint(log, 3)
    checkpoint(log, 6, cosigner=WITNESS)
    report = verify_database(log, keys=KEYS)
    assert (report.fault, report.checkpoints) == (None, 2)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"key": WITNESS}, ("checkpoint", 4)),
        ({"cosigner": KEY}, None),  # of an unknown key
        ({"root": merkle.leaf_hash(b"x")}, ("forked", 0)),
    ],
)
def test_a_checkpoint_that_is_not_the_logs_is_found(log, options, fault):
    checkpoint(log, 4, **options)
    found = verify_database(log, keys=KEYS).fault
    assert ((found.kind, found.position) if found else None) == fault


def test_a_stored_checkpoint_beyond_the_log_shows_a_rollback(log):
    checkpoint(log, SIZE + 3, merkle.EMPTY_ROOT)
    assert found(log) == ("rolled-back", SIZE)


def test_a_checkpoint_stored_under_another_size_is_found(log):
    checkpoint(log, 4)
    change(log, CHECKPOINTS.update().values(size=5, root=merkle.root(leaves_of(log)[:5])))
    fault = verify_database(log, keys=KEYS).fault
    assert (fault.kind, fault.position) == ("checkpoint", 5)


def test_a_changed_cosignature_is_found(log):
    checkpoint(log, 4, cosigner=WITNESS)
    line = note.cosign(Checkpoint(ORIGIN, 4, merkle.EMPTY_ROOT).text(), "w", WITNESS, 7)
    change(log, CHECKPOINTS.update().values(cosignatures=line.encode()))
    assert verify_database(log, keys=KEYS).fault.text == "the signature of w is bad"


def test_a_changed_root_of_a_tile_is_found(log):
    change(log, NODES.insert().values(level=1, number=0, hash=bytes(32)))
    assert found(log) == ("changed", 0)


ALERT = Alert("t", "low", ("R18",))


def test_alerts_are_recomputed_from_the_entries(log):
    places = iter(range(SIZE))
    right = verify_database(log, judge=lambda fields, revision: [[ALERT] if next(places) in {0, 3} else []])
    assert (right.fault, right.unjudged) == (None, 0)
    either = verify_database(log, judge=lambda fields, revision: [[], [ALERT]])
    assert either.fault is None
    assert verify_database(log, judge=lambda fields, revision: None).unjudged == SIZE


@pytest.mark.parametrize(
    ("alerts", "text"),
    [
        ([ALERT], "the entry at 1 raises t (low), the feed has nothing"),
        ([], "the entry at 0 raises nothing, the feed has t (low)"),
        ([Alert("t", "high", ("R18",))], "raises t (high)"),
    ],
)
def test_an_alert_that_was_dropped_added_or_weakened_is_found(log, alerts, text):
    fault = verify_database(log, judge=lambda fields, revision: [alerts]).fault
    assert fault.kind == "event"
    assert text in fault.text


@pytest.mark.parametrize(
    "body",
    [b"{", b"{}", b"[]", b'{"data": 1}', None],
)
def test_an_event_that_says_something_else_than_its_entry_is_found(log, body):
    place = row(log, 0)
    forged = event_body(1, place).replace(b'"inquiry"', b'"policy"') if body is None else body
    change(log, EVENTS.update().where(EVENTS.c.seq == 1).values(body=forged))
    assert found(log) == ("event", 1)


def test_a_waiting_entry_that_was_dropped_is_found(log, ledger):
    ledger.commit(entry())
    with log.connect() as connection:
        waiting = connection.execute(
            select(ENTRIES.c.writer, ENTRIES.c.writer_seq)
            .join(WRITERS, (WRITERS.c.id == ENTRIES.c.writer) & (ENTRIES.c.writer_seq > WRITERS.c.integrated_seq))
            .order_by(ENTRIES.c.writer_seq)
        ).first()
    change(
        log, ENTRIES.delete().where((ENTRIES.c.writer == waiting.writer) & (ENTRIES.c.writer_seq == waiting.writer_seq))
    )
    assert found(log) == ("dropped", -1)


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (EVENTS.delete().where(EVENTS.c.seq == 1), ("event", 1)),
        (EVENTS.update().where(EVENTS.c.seq == 2).values(position=4), ("event", 2)),
        (EVENTS.update().where(EVENTS.c.seq == 2).values(position=400), ("event", 2)),
        (EVENTS.update().where(EVENTS.c.seq == 2).values(leaf_hash=b"x" * 32), ("event", 2)),
    ],
)
def test_events_that_do_not_follow_from_the_log_are_found(log, statement, fault):
    change(log, statement)
    assert found(log) == fault


@pytest.fixture
def exported(log, tmp_path):
    assert export(log, tmp_path / "export") == SIZE
    return tmp_path / "export"


def lines(folder, name="entries.jsonl"):
    return (folder / name).read_text().splitlines(keepends=True)


def test_an_export_verifies_to_the_same_report(log, exported):
    assert verify(Export(exported)) == verify_database(log)


def test_an_export_never_goes_into_a_folder_with_something_in_it(log, exported):
    with pytest.raises(ConfigurationError, match="empty folder"):
        export(log, exported)
    shutil.rmtree(exported)


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda e: [*e[:3], e[3].replace("inquiry", "inquirY"), *e[4:]], ("changed", 3)),
        (lambda e: [*e[:3], *e[4:]], ("dropped", 3)),
        (lambda e: [*e[:3], e[2], *e[3:]], ("duplicate", 3)),
        (lambda e: e[:6], ("truncated", 6)),
        (lambda e: [*e, e[-1].replace('"position": 7', '"position": 8')], ("duplicate", 8)),
    ],
)
def test_a_changed_export_is_found(exported, edit, fault):
    (exported / "entries.jsonl").write_text("".join(edit(lines(exported))))
    report = verify(Export(exported))
    assert (report.fault.kind, report.fault.position) == fault


def test_an_event_of_an_entry_that_is_not_exported_is_found(exported):
    events = lines(exported, "events.jsonl")
    (exported / "events.jsonl").write_text(events[0] + events[1].replace('"position": 3', '"position": 300'))
    assert verify(Export(exported)).fault.kind == "event"


def test_entries_alike_in_what_is_judged_are_judged_once(settings, engine, ledger):
    for revision in ("", "1-a", "1-a", "", "2-b", "1-a"):
        ledger.commit(entry(revision=revision))
    sequencer = Sequencer(engine, ledger, FixedClock(NOW), [])
    sequencer.step()
    sequencer.release()
    asked = []

    def judge(fields, revision):
        asked.append((fields["revision"], revision))
        return [[]]

    assert verify_database(engine, judge=judge).ok
    assert asked == [("", ""), ("1-a", "1-a"), ("", "1-a"), ("2-b", "2-b")]


def test_what_alerts_depend_on_is_remembered_whole():
    assert {*JUDGED_FIELDS} <= {*JUDGED}


FIELDS = ("answer", "basis", "channel", "database", "filter", "kind", "officer", "purpose", "revision", "time", "unit")


@given(
    st.dictionaries(st.sampled_from(FIELDS), st.text() | st.text('ab,"\\page:{}', max_size=12)),
    st.lists(st.text("a-9A", max_size=4), max_size=3),
    st.dictionaries(st.sampled_from(["page", "pad", "a"]), st.text(max_size=3)),
    st.integers(0, 10**10),
)
def test_the_quick_look_takes_nothing_that_the_thorough_one_would_not(fields, codes, extra, page):
    body, leaf = encode(replace(entry(), **fields, codes=tuple(codes), extra=extra, page=page))
    usual = verifier._usual(body, verifier._Judged(None, ""))
    plain = "".join(fields.values())
    assert (usual is not None) == (
        plain.isascii()
        and (plain.isprintable() and not set(plain) & {'"', "\\"})
        and not extra
        and all(set(code) <= set("a-9") and code for code in codes)
        and page < 10**9
    )
    assert usual is None or usual[0] == b"\0" + leaf.data == b"\0" + padded(body)


@pytest.mark.parametrize(
    "change",
    [
        (b'"page":', b'"pad":"0","page":'),
        (b'"page":', b'"paddock":"0","page":'),
        (b'"page":0', b'"page":00'),
        (b'"page":0', b'"page":0.0'),
        (b'"v":1', b'"v":1 '),
        (b'"v":1', b'"v":1,"w":1'),
        (b'"unit":""', b'"unit":"\\u0061"'),
        (b'"unit":""', b'"unit":"","unit":""'),
        (b'"codes":[]', b'"codes":[,]'),
        (b'"codes":[]', b'"codes":["a",]'),
    ],
)
def test_the_quick_look_leaves_any_other_shape_to_the_thorough_one(change):
    body = encode(entry())[0]
    assert verifier._usual(body, verifier._Judged(None, ""))
    assert body.count(change[0]) == 1
    assert verifier._usual(body.replace(*change), verifier._Judged(None, "")) is None


@given(
    st.dictionaries(
        st.text("aqpdz", min_size=1, max_size=4), st.integers() | st.text(max_size=8) | st.lists(st.integers())
    )
)
def test_the_pad_stands_where_canonical_json_has_it(value):
    value.pop("pad", None)
    body = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    data = padded(body)
    assert len(data) in {2048, 8192}
    whole = json.loads(data)
    assert set(whole.pop("pad")) <= {"0"}
    assert whole == value
    again = json.dumps(json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert again == data
