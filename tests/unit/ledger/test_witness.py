"""A witness cosigns one history only, and whoever asks it never waits for it; each disagreement alarms."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sidecar.clock import FixedClock
from sidecar.errors import ConfigurationError
from sidecar.ledger import merkle, note
from sidecar.ledger.checkpoint import Checkpoint
from sidecar.ledger.cosigner import Asked, Cosigner, open_cosigner, unfinished
from sidecar.ledger.evidence import read_checkpoint, read_key
from sidecar.ledger.stored import StoredLog
from sidecar.ledger.verify import Keys
from sidecar.ledger.witness import Store, Witness
from sidecar.settings import Settings
from tests.support.signing import KEY, Bench, roll_back, settle, turn_year
from tests.support.state import NOW, ORIGIN, entry

WITNESS_KEY = Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32)
LOG = note.verifier(ORIGIN, KEY.public_key())
WITNESS = note.verifier("procuracy", WITNESS_KEY.public_key(), note.COSIGNATURE)
NEXT = f"{ORIGIN}/2027"
LEAVES = [merkle.leaf_hash(bytes([n])) for n in range(9)]


class Seat:
    """A witness with a clock and its alarms; starts anew on the same store."""

    def __init__(self, folder):
        self.file = folder / "seen.json"
        self.file.write_bytes(b"{}")
        self.file.chmod(0o600)
        self.clock, self.alarms = FixedClock(NOW), []
        self.start()

    def start(self):
        self.witness = Witness(
            "procuracy", WITNESS_KEY, [LOG], Store(self.file), self.clock, alarm=self.alarms.append, silence=timedelta(minutes=5)
        )  # fmt: skip

    def pass_(self, **time):
        self.clock.set(self.clock.now() + timedelta(**time))
        self.witness.look()

    def add(self, old, leaves, *, key=KEY, proof=None, origin=ORIGIN):
        made = Checkpoint(origin, len(leaves), merkle.root(leaves))
        path = merkle.consistency_proof(leaves, min(old, len(leaves))) if proof is None else proof
        hashes = "".join(base64.b64encode(h).decode() + "\n" for h in path)
        return self.witness.add_checkpoint(f"old {old}\n{hashes}\n{made.signed(key)}".encode())

    def kinds(self):
        return [alarm.kind for alarm in self.alarms]


@pytest.fixture
def seat(tmp_path):
    return Seat(tmp_path)


def test_a_growing_log_is_cosigned_with_the_time(seat):
    for old, new in ((0, 1), (1, 1), (1, 4), (4, 9)):
        reply = seat.add(old, LEAVES[:new])
        assert reply.status == 200
        seen = seat.witness.latest(ORIGIN)
        found = read_checkpoint(seen, read_key(str(LOG)), [read_key(str(WITNESS))])
        assert (found.size, found.witnesses) == (new, (("procuracy", int(NOW.timestamp())),))
        assert seen.endswith(reply.body)
    assert seat.alarms == []


def test_it_is_told_from_where_to_go_on(seat):
    seat.add(0, LEAVES[:4])
    for old in (0, 3, 5):
        reply = seat.add(old, LEAVES)
        assert (reply.status, reply.body, reply.content_type) == (409, b"4\n", "text/x.tlog.size")
    assert seat.alarms == []


def test_what_was_seen_is_kept_before_the_answer_and_outlives_the_process(seat):
    seat.add(0, LEAVES[:4])
    seat.start()
    assert seat.witness.latest(ORIGIN) is not None
    assert seat.add(0, LEAVES[1:3]).status == 409


def test_a_fork_is_refused_and_alarmed_with_the_logs_own_signature(seat):
    seat.add(0, LEAVES[:4])
    other = LEAVES[:3] + LEAVES[5:8]
    reply = seat.add(4, other)
    assert reply.status == 422
    assert seat.kinds() == ["forked"]
    assert read_checkpoint(seat.alarms[0].note.encode(), read_key(str(LOG))).root == merkle.root(other)
    assert seat.add(4, LEAVES[:3] + LEAVES[5:6]).status == 409  # the same size
    assert seat.kinds() == ["forked", "forked"]
    assert seat.add(4, LEAVES).status == 200  # it goes on with the history that it has seen


def test_a_log_that_stays_smaller_is_alarmed_once_and_when_it_is_over(seat):
    seat.add(0, LEAVES[:6])
    assert seat.add(0, LEAVES[:4]).status == 409
    seat.pass_(seconds=30)
    assert seat.alarms == []  # it may only be late
    for _ in range(3):
        seat.pass_(seconds=40)
        seat.add(0, LEAVES[:4])
    assert seat.kinds() == ["rolled-back"]
    seat.add(6, LEAVES)
    assert seat.kinds() == ["rolled-back", "over"]


def test_silence_is_alarmed_once_and_when_it_is_over(seat):
    seat.add(0, LEAVES[:6])
    for minutes in (4, 2, 9):
        seat.pass_(minutes=minutes)
    assert seat.kinds() == ["silent"]
    seat.add(6, LEAVES[:6])
    assert seat.kinds() == ["silent", "over"]


def test_a_log_that_never_spoke_is_silent_too(seat):
    seat.pass_(minutes=6)
    assert seat.kinds() == ["silent"]


def test_requests_of_others_are_refused(seat):
    assert seat.add(0, LEAVES[:2], origin="other").status == 404
    assert seat.add(0, LEAVES[:2], key=WITNESS_KEY).status == 403
    assert seat.add(3, LEAVES[:2]).status == 400
    for body in (
        b"",
        b"old 1\n",
        b"old x\n\nnote",
        b"old 01\n\nnote",
        b"old 1\nAAAA\n\nnote",
        b"old 1\n" + b"A" * 43 + b"=\n" * 64 + b"\nn",
    ):
        assert seat.witness.add_checkpoint(body).status == 400
    assert seat.alarms == []


@pytest.mark.parametrize("content", [b"", b"[]", b'{"county": {"size": 1}}', b"\xff"])
def test_a_witness_that_has_forgotten_does_not_start(seat, content):
    seat.file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="expected the trees"):
        seat.start()
    seat.file.unlink()
    with pytest.raises(ConfigurationError):
        seat.start()


def test_a_new_origin_of_a_log_is_cosigned_and_told(seat):
    seat.add(0, LEAVES[:4])
    assert seat.add(0, LEAVES[:2], origin="county/2027").status == 200
    assert [(alarm.kind, alarm.origin) for alarm in seat.alarms] == [("opened", "county/2027")]
    assert "county/2027\n2\n" in seat.alarms[0].note
    assert seat.add(2, LEAVES[:3], origin="county/2027").status == 200
    assert seat.add(4, LEAVES[:5]).status == 200  # the end of the old year may come late
    assert seat.kinds() == ["opened"]
    seat.pass_(minutes=6)
    seat.start()
    seat.pass_(minutes=6)
    assert [(alarm.kind, alarm.origin) for alarm in seat.alarms[1:]] == [("silent", "county/2027")] * 2


@pytest.mark.parametrize("origin", ["county/x", "county/2027/1", "city/2027", "county2027"])
def test_other_names_are_none_of_the_logs(seat, origin):
    assert seat.add(0, LEAVES[:2], origin=origin).status == 404


def test_a_new_origin_signed_by_another_key_is_refused(seat):
    assert seat.add(0, LEAVES[:2], origin="county/2027", key=WITNESS_KEY).status == 403
    assert seat.alarms == []


# --- the side of the log ---------------------------------------------------------------------------------------------


class Pair(Bench):
    """A signing ledger and one witness that it asks."""

    def __init__(self, engine, ledger, folder):
        super().__init__(engine, ledger, folder)
        self.seat = Seat(folder)
        self.answers = self.away = None
        self.sent = []
        self.cosigner = self.make()
        self.signer._told = self.tell

    def tell(self, made):
        self.told.append(made)
        self.cosigner.told(made)

    def make(self, quorum=1):
        asked = Asked(WITNESS, self.post)
        return Cosigner(self.engine, self.ledger, self.clock, [asked], quorum=quorum, alert_seconds=600)

    def post(self, body):
        self.sent.append(body)
        if self.away:
            raise self.away
        reply = self.seat.witness.add_checkpoint(body)
        return self.answers or (reply.status, reply.body)

    def ask(self, count=0, seconds=1.0):
        self.grow(count, seconds)
        self.cosigner.round()

    def cosigned(self):
        with self.engine.connect() as connection:
            found = StoredLog(connection).checkpoint(witnesses=1)
        return found and read_checkpoint(found.cosigned, read_key(str(LOG)), [read_key(str(WITNESS))])


@pytest.fixture
def pair(engine, ledger, tmp_path):
    made = Pair(engine, ledger, tmp_path)
    yield made
    made.sequencer.release()


def test_each_checkpoint_is_cosigned_and_kept(pair):
    for count in (1, 3, 300):
        pair.ask(count)
        assert (pair.cosigned().size, len(pair.cosigned().witnesses)) == (pair.kept().size, 1)
    assert pair.seat.alarms == []
    assert pair.codes() == []


def test_a_new_process_goes_on_from_what_the_witness_has(pair):
    pair.ask(5)
    pair.cosigner = pair.make()
    pair.signer._told = pair.tell
    pair.ask(4)
    assert pair.cosigned().size == 9


@pytest.mark.parametrize(
    "fault",
    [
        OSError("away"),
        (500, b""),
        (403, b""),
        (200, b""),
        (200, b"\xe2\x80\x94 procuracy AAAA\n"),
        (409, b"x"),
        (409, b"9" * 30),
    ],
)
def test_a_witness_that_gives_nothing_stops_nothing_and_alerts_after_a_bounded_time(pair, fault):
    if isinstance(fault, OSError):
        pair.away = fault
    else:
        pair.answers = fault
    pair.ask(2)
    assert pair.kept().size == 2
    assert pair.codes() == []
    for _ in range(3):
        pair.ask(0, 400)
    assert pair.codes() == ["witness-silent"]
    pair.away = pair.answers = None
    pair.ask(1)
    assert pair.cosigned().size == pair.kept().size
    for _ in range(2):
        pair.ask(0, 400)
    assert pair.codes() == ["witness-silent"]


def test_without_any_checkpoint_the_silence_alerts_as_well(pair):
    pair.pass_(700)
    pair.cosigner.round()
    assert pair.codes() == ["witness-silent"]


def test_a_witness_that_has_seen_another_history_is_the_highest_alert(pair):
    pair.seat.add(0, LEAVES[:3])
    pair.ask(5)
    pair.ask(0, 61)
    assert pair.codes() == ["ledger-forked"]
    assert pair.seat.kinds() == ["forked", "forked"]
    assert pair.cosigned() is None


def test_a_witness_that_has_seen_another_tree_of_the_same_size_is_a_fork(pair):
    pair.seat.add(0, LEAVES[:3])
    pair.ask(3)
    assert pair.codes() == ["ledger-forked"]


def test_a_witness_that_has_seen_more_is_a_rollback_even_where_the_file_was_rolled_back_too(pair):
    pair.ask(3)
    early = pair.file.read_bytes()
    pair.ask(4, 60)
    roll_back(pair, 3)
    pair.file.write_bytes(early)
    pair.sequencer.release()
    pair.start()
    pair.cosigner = pair.make()
    pair.signer._told = pair.tell
    pair.ask(1, 60)
    assert pair.kept().size == 4  # nothing here knows
    assert pair.codes() == ["ledger-rolled-back"]


def test_another_sequencer_that_is_ahead_is_no_rollback(pair):
    pair.ask(3)
    behind = pair.told[0]
    pair.ask(4)
    pair.cosigner = pair.make()
    pair.cosigner.told(behind)
    pair.cosigner.round()
    assert pair.codes() == []
    assert pair.cosigned().size == 7


def test_an_attacker_with_database_and_log_key_is_caught_by_the_witness(pair):
    """He writes the whole history anew, signs it, and sets the file: nothing here contradicts it but the witness."""
    pair.ask(4)
    honest = pair.cosigned()
    forged = [merkle.leaf_hash(b"forged %d" % n) for n in range(6)]
    assert pair.seat.add(4, forged, proof=[]).status == 422
    assert pair.seat.kinds() == ["forked"]
    assert (honest.size, pair.seat.witness.latest(ORIGIN).split(b"\n")[1]) == (4, b"4")


def test_the_thread_asks_by_itself(pair):
    pair.cosigner.start()
    pair.ledger.commit(entry())
    pair.pass_(1)
    pair.sequencer.step()
    for _ in range(500):
        if pair.cosigned():
            break
        pair.cosigner._stop.wait(0.02)
    pair.cosigner.close()
    assert pair.cosigned().size == 1


# --- settings --------------------------------------------------------------------------------------------------------


def opened(tmp_path, engine, ledger, *, quorum=1, count=1, key=WITNESS, url="https://w.example/"):
    (tmp_path / "w.vkey").write_text(f"{key}\n", encoding="ascii")
    witnesses = [{"url": url, "verifier_file": "w.vkey"} for _ in range(count)]
    settings = Settings(base=tmp_path, ledger={"witnesses": witnesses, "quorum": quorum})
    return open_cosigner(settings, engine, ledger, FixedClock(NOW))


def test_witnesses_are_taken_from_the_settings(tmp_path, engine, ledger):
    assert opened(tmp_path, engine, ledger, count=0) is None
    assert opened(tmp_path, engine, ledger) is not None
    assert opened(tmp_path, engine, ledger, url="http://127.0.0.1:1") is not None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"quorum": 2}, "quorum: expected at most 1"),
        ({"count": 2}, "each name once"),
        ({"key": LOG}, "expected the key of a witness"),
        ({"key": "x"}, "cannot be read"),
        ({"url": "http://w.example/"}, "https"),
        ({"url": "file:///etc"}, "https"),
    ],
)
def test_witnesses_that_cannot_be_used_stop_the_start(tmp_path, engine, ledger, options, text):
    with pytest.raises(ConfigurationError, match=text):
        opened(tmp_path, engine, ledger, **options)


def test_the_end_of_a_year_is_cosigned_even_when_the_witness_was_away(pair):
    pair.ask(3)
    pair.away = OSError("away")
    pair.ask(2)
    turn_year(pair)
    pair.cosigner.round()
    pair.cosigner = pair.make()  # a new process reads from the database what is missing
    pair.cosigner.finish(unfinished(pair.engine, 1))
    pair.signer._told = pair.tell
    pair.away = None
    settle(pair, 1)
    pair.cosigner.round()
    assert unfinished(pair.engine, 1) == []
    seen = [
        read_checkpoint(pair.seat.witness.latest(name), Keys(read_key(str(LOG))).of(name).log)
        for name in (ORIGIN, NEXT)
    ]
    assert [(found.origin, found.size) for found in seen] == [(ORIGIN, 5), (NEXT, pair.kept().size)]
    assert pair.seat.kinds() == ["opened"]
