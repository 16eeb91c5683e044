"""A published log is the tree of its entries, signed once for each history and never against it."""

from __future__ import annotations

import threading

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, update

from sidecar.clock import FixedClock
from sidecar.errors import ConfigurationError, LedgerUnavailable
from sidecar.ledger import merkle
from sidecar.ledger.checkpoint import Checkpoint, open_checkpoint
from sidecar.ledger.entry import encode
from sidecar.ledger.note import parse_verifier
from sidecar.ledger.publish import publish
from sidecar.ledger.sequencer import Sequencer
from sidecar.ledger.signed import LogRefused, SignedFile, nothing_signed
from sidecar.ledger.tables import ENTRIES, POSITIONS, STATE
from sidecar.ledger.tiles import bundles, tiles, unpack
from sidecar.ledger.verify import verify_database
from tests.support.state import NOW, ORIGIN, entry

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
OTHER = update(ENTRIES).where(ENTRIES.c.writer_seq == 2).values(body=encode(entry())[0])


@pytest.fixture
def grow(engine, ledger):
    sequencer = Sequencer(engine, ledger, FixedClock(NOW), [])

    def step(count):
        for _ in range(count):
            ledger.commit(entry())
        while sequencer.step():
            pass

    yield step
    sequencer.release()


@pytest.fixture
def signed(tmp_path):
    file = tmp_path / "log.signed"
    file.write_bytes(nothing_signed(ORIGIN))
    file.chmod(0o600)
    return SignedFile(file)


def opened(folder):
    log = parse_verifier((folder / f"{ORIGIN}.vkey").read_text())
    return open_checkpoint((folder / "checkpoint").read_bytes(), log)


@pytest.mark.parametrize("size", [0, 1, 3, 257])
def test_the_folder_holds_the_whole_tree_and_its_signed_root(engine, grow, signed, tmp_path, size):
    grow(size)
    done, folder = publish(engine, tmp_path / "log", KEY, signed), tmp_path / "log"
    report = verify_database(engine)
    assert opened(folder) == done == Checkpoint(ORIGIN, size, report.root) == signed.last()
    entries = [e for bundle in bundles(size) for e in unpack((folder / bundle.path).read_bytes())]
    assert merkle.root([merkle.leaf_hash(e) for e in entries]) == done.root
    files = {str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()}
    expected = {t.path for t in tiles(size)} | {b.path for b in bundles(size)}
    assert files == expected | {"checkpoint", f"{ORIGIN}.vkey"}


def test_a_log_that_has_grown_is_signed_again(engine, grow, signed, tmp_path):
    for number, size in enumerate((2, 2, 5)):
        grow(size - signed.last().size)
        assert publish(engine, tmp_path / str(number), KEY, signed).size == size


def refused(engine, folder, signed, text, error=LogRefused):
    before = signed.last()
    with pytest.raises(error, match=text):
        publish(engine, folder, KEY, signed)
    assert not (folder / "checkpoint").exists()
    assert signed.last() == before


def test_a_log_rolled_back_behind_a_signed_tree_is_refused(engine, grow, signed, tmp_path):
    grow(3)
    publish(engine, tmp_path / "first", KEY, signed)
    with engine.begin() as connection:
        connection.execute(delete(POSITIONS).where(POSITIONS.c.position == 2))
        leaves = [row.leaf_hash for row in connection.execute(POSITIONS.select().order_by(POSITIONS.c.position))]
        tree = merkle.Range()
        for leaf in leaves:
            tree.append(leaf)
        connection.execute(update(STATE).values(size=tree.size, roots=b"".join(tree.roots)))
    refused(engine, tmp_path / "second", signed, "a tree of 3 entries was signed before, there are 2")


def test_another_history_is_refused_even_where_it_is_whole(engine, grow, signed, tmp_path):
    grow(4)
    signed.keep(Checkpoint(ORIGIN, 3, merkle.leaf_hash(b"another history")))
    refused(engine, tmp_path / "log", signed, "the first 3 entries are not those")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (delete(POSITIONS).where(POSITIONS.c.position == 1), "position 1 has no entry"),
        (delete(ENTRIES).where(ENTRIES.c.writer_seq == 2), "position 1 has no entry"),
        (
            update(ENTRIES).where(ENTRIES.c.writer_seq == 2).values(body=b'{"v":1}'),
            "position 1 has an entry that cannot",
        ),
        (
            update(ENTRIES).where(ENTRIES.c.writer_seq == 2).values(body=b"[" * 400),
            "position 1 has an entry that cannot",
        ),
        (OTHER, "position 1 has another leaf hash"),
        (update(STATE).values(roots=bytes(64)), "another tree than the sequencer stored"),
        (delete(POSITIONS).where(POSITIONS.c.position == 2), "another tree than the sequencer stored"),
    ],
    ids=["position", "entry", "form", "depth", "body", "roots", "end"],
)
def test_a_log_that_is_not_whole_is_never_signed(engine, grow, signed, tmp_path, change, text):  # noqa: PLR0917  # fixtures
    grow(3)
    with engine.begin() as connection:
        connection.execute(change)
    refused(engine, tmp_path / "log", signed, text)


def test_a_folder_with_something_in_it_is_left_alone(engine, signed, tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "mine").touch()
    refused(engine, tmp_path / "log", signed, "empty folder", ConfigurationError)


def test_a_place_that_cannot_be_written_is_named(engine, signed, tmp_path):
    (tmp_path / "file").touch()
    refused(engine, tmp_path / "file" / "log", signed, "file/log: cannot be written", ConfigurationError)


def test_what_was_signed_for_another_origin_is_not_mixed_up(engine, signed, tmp_path):
    signed.keep(Checkpoint("other", 0, merkle.EMPTY_ROOT))
    refused(engine, tmp_path / "log", signed, "expected origin 'county', got 'other'", ConfigurationError)


def test_a_database_without_a_ledger_is_told(engine, signed, tmp_path):
    STATE.drop(engine)
    refused(engine, tmp_path / "log", signed, "does not answer", LedgerUnavailable)


@pytest.mark.parametrize("content", [b"", b"\xff", b"county\n1\n"])
def test_a_damaged_file_of_what_was_signed_stops_everything(signed, tmp_path, engine, content):
    (tmp_path / "log.signed").write_bytes(content)
    with pytest.raises(ConfigurationError, match="expected the last signed checkpoint"):
        publish(engine, tmp_path / "log", KEY, signed)
    (tmp_path / "log.signed").unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        publish(engine, tmp_path / "other", KEY, signed)


def test_only_one_process_signs_at_a_time(signed, tmp_path):
    inside = threading.Event()
    with signed.locked():
        waiting = threading.Thread(target=lambda: _enter(SignedFile(tmp_path / "log.signed"), inside))
        waiting.start()
        assert not inside.wait(0.05)
    waiting.join(5)
    assert inside.is_set()


def _enter(file, inside):
    with file.locked():
        inside.set()


def test_without_a_place_for_the_lock_nothing_is_signed(tmp_path):
    with (
        pytest.raises(ConfigurationError, match="cannot be opened"),
        SignedFile(tmp_path / "none" / "log.signed").locked(),
    ):
        pass
