"""The sequencer's tree is signed as it grows; a tree that contradicts a signed one never is."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, update

from sidecar.clock import FixedClock
from sidecar.errors import ConfigurationError
from sidecar.ledger import merkle, signed, signer
from sidecar.ledger.checkpoint import Checkpoint, open_checkpoint
from sidecar.ledger.note import verifier
from sidecar.ledger.sequencer import Sequencer
from sidecar.ledger.signed import LogRefused, SignedFile, nothing_signed
from sidecar.ledger.signer import FROZEN_SECONDS, SILENCE_SECONDS, Signer, open_signer
from sidecar.ledger.stored import StoredLog
from sidecar.ledger.tables import ENTRIES, NODES, POSITIONS, STATE
from sidecar.ledger.verify import verify_database
from tests.support.signing import KEY, Bench, roll_back
from tests.support.state import NOW, ORIGIN, entry


@pytest.fixture
def bench(engine, ledger, tmp_path):
    made = Bench(engine, ledger, tmp_path)
    yield made
    made.sequencer.release()


def test_each_growth_is_signed_and_kept_outside_the_database(bench):
    for size in (1, 3, 260):
        bench.grow(size - bench.kept().size)
        assert bench.kept() == Checkpoint(ORIGIN, size, verify_database(bench.engine).root)
        served = bench.rows()[-1]
        log = verifier(ORIGIN, KEY.public_key())
        assert open_checkpoint(bytes(served.note), log) == bench.kept()
    assert [made.size for made in bench.told] == [1, 3, 260]


def test_within_the_interval_nothing_is_signed_again(bench):
    bench.grow(1)
    bench.grow(1, seconds=0.1)
    assert bench.kept().size == 1
    bench.pass_(0.5)
    bench.sequencer.step()
    assert bench.kept().size == 2


def test_in_silence_the_same_tree_is_signed_once_a_minute(bench):
    bench.grow(1)
    bench.grow(0, SILENCE_SECONDS / 2)
    assert len(bench.told) == 1
    bench.grow(0, SILENCE_SECONDS)
    assert [made.size for made in bench.told] == [1, 1]
    assert bench.told[0].note == bench.told[1].note
    (row,) = bench.rows()
    assert row.time == bench.told[1].time > bench.told[0].time


def test_of_a_minute_the_last_checkpoint_is_kept(bench):
    for _ in range(4):
        bench.grow(1)
    bench.grow(1, seconds=60)
    assert [row.size for row in bench.rows()] == [4, 5]


def test_the_roots_of_full_tiles_are_stored_and_those_of_an_older_log_are_added(bench):
    bench.grow(300)
    leaves = [bytes(row.leaf_hash) for row in bench.rows(POSITIONS)]
    assert [(r.level, r.number, bytes(r.hash)) for r in bench.rows(NODES)] == [(1, 0, merkle.root(leaves[:256]))]
    bench.change(delete(NODES))
    with bench.engine.connect() as connection:
        assert StoredLog(connection).hashes(1, 0, 1) == [merkle.root(leaves[:256])]
    bench.grow(220)
    assert [(r.level, r.number) for r in bench.rows(NODES)] == [(1, 0), (1, 1)]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_rollback_freezes_signing_also_once_the_log_has_grown_beyond(bench, restarted):
    bench.grow(5)
    before = bench.kept()
    roll_back(bench, 3)
    if restarted:
        bench.sequencer.release()
        bench.start()
    for _ in range(6):
        bench.grow(1, FROZEN_SECONDS)
    assert bench.kept() == before
    assert [row.size for row in bench.rows()] in ([], [5])
    assert bench.codes() == ["ledger-rolled-back", "ledger-forked"]
    assert verify_database(bench.engine).ok  # by itself the log is whole: what was signed shows the rollback


def test_signing_goes_on_by_itself_once_the_signed_tree_is_back(bench):
    bench.grow(2)
    good = bench.rows(STATE)[0]
    bench.change(update(STATE).values(roots=bytes(32)))
    bench.grow(0, SILENCE_SECONDS)
    assert bench.codes() == ["ledger-damaged"]
    bench.change(update(STATE).values(roots=good.roots))
    bench.grow(0, FROZEN_SECONDS)
    bench.grow(0, FROZEN_SECONDS)
    assert bench.kept().size == 3  # with the entry that reports the fault


def test_a_missing_file_of_the_last_signature_is_reported_once_and_nothing_is_signed(bench):
    bench.grow(1)
    bench.file.unlink()
    for _ in range(3):
        bench.grow(1, FROZEN_SECONDS)
    assert bench.codes() == ["log-unsigned"]
    assert len(bench.told) == 1


def test_the_file_of_another_log_is_refused(bench):
    bench.file.write_bytes(nothing_signed("other"))
    with bench.engine.connect() as connection, pytest.raises(ConfigurationError, match="expected origin 'county'"):
        bench.signer.step(connection)


def test_what_another_process_has_signed_is_gone_on_from(bench, engine):
    bench.grow(2)
    other = Signer(KEY, SignedFile(bench.file), bench.clock)
    for _ in range(3):
        bench.ledger.commit(entry())
    Sequencer(engine, bench.ledger, bench.clock, []).step()  # is not the holder
    plain = bench.sequencer
    plain._publisher = None
    plain.step()
    with engine.connect() as connection:
        assert other.step(connection).size == 5
    bench.start()
    bench.pass_(1)
    with engine.connect() as connection:
        assert bench.signer.step(connection) == bench.kept()


class Killed(BaseException):
    """Ends a process as kill -9 does: nothing of ours runs afterwards."""


@pytest.mark.parametrize("where", ["keep", "store"])
@pytest.mark.parametrize("before", [True, False])
def test_killed_between_two_steps_it_never_contradicts_itself(bench, monkeypatch, where, before):
    bench.grow(2)
    notes = [made.note for made in bench.told]
    owner = signed.SignedFile if where == "keep" else signer
    real = getattr(owner, where)

    def killed(*arguments):
        if not before:
            real(*arguments)
        raise Killed

    bench.ledger.commit(entry())
    with monkeypatch.context() as patch:
        patch.setattr(owner, where, killed)
        bench.pass_(1)
        with pytest.raises(Killed):
            bench.sequencer.step()
    bench.sequencer.release()
    bench.start()
    bench.grow(2)
    notes += [made.note for made in bench.told]
    assert bench.codes() == []
    assert bench.kept().size == 5
    log = verifier(ORIGIN, KEY.public_key())
    leaves = [bytes(row.leaf_hash) for row in bench.rows(POSITIONS)]
    for note in notes:
        checkpoint = open_checkpoint(note, log)
        assert merkle.root(leaves[: checkpoint.size]) == checkpoint.root


def test_a_body_that_was_changed_before_it_got_its_position_is_never_signed(bench):
    bench.ledger.commit(entry())
    bench.change(update(ENTRIES).values(body=b'{"v":1}'))
    bench.ledger._drop_writer()
    bench.grow(0)
    bench.grow(0)
    assert bench.codes() == ["ledger-damaged"]
    assert bench.kept().size == 1


@pytest.mark.parametrize("what", ["leaves", "entries"])
def test_missing_rows_are_a_damage(bench, what):
    bench.grow(3)
    bench.change(delete(POSITIONS).where(POSITIONS.c.position == 1))
    with bench.engine.connect() as connection, pytest.raises(LogRefused, match=r"expected 3 .* from 0 on, got 2"):
        getattr(StoredLog(connection), what)(0, 3)


def test_an_entry_that_cannot_be_read_is_a_damage(bench):
    bench.grow(1)
    bench.change(update(ENTRIES).values(body=b"no JSON"))
    with bench.engine.connect() as connection, pytest.raises(LogRefused, match="cannot be read") as refused:
        StoredLog(connection).entries(0, 1)
    assert refused.value.code == "ledger-damaged"


def test_without_a_log_key_nothing_is_signed(settings, ledger):
    assert open_signer(settings, ledger, FixedClock(NOW)) is None


@pytest.mark.parametrize(
    ("content", "mode", "text"),
    [
        (nothing_signed(ORIGIN), 0o606, "can be written by everybody"),
        (b"county\n1\n", 0o600, "expected the last signed checkpoint"),
        (b"\xff", 0o600, "expected the last signed checkpoint"),
        (None, 0o600, "cannot be read"),
    ],
)
def test_a_file_of_the_last_signature_that_is_not_trustworthy_is_refused(tmp_path, content, mode, text):
    file = tmp_path / "log.signed"
    if content is not None:
        file.write_bytes(content)
        file.chmod(mode)
    with pytest.raises(ConfigurationError, match=text):
        SignedFile(file).last()


def test_a_volumes_group_may_own_the_file_of_the_last_signature(tmp_path):
    file = tmp_path / "log.signed"
    file.write_bytes(nothing_signed(ORIGIN))
    file.chmod(0o660)
    assert SignedFile(file).last().size == 0
