"""Real witnesses over HTTP: our own process and ``omniwitness``; away, back again, and shown another history."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sidecar.cli import main
from sidecar.demo.world import free_port
from sidecar.ledger import merkle, note, retire
from sidecar.ledger.checkpoint import Checkpoint
from sidecar.ledger.cosigner import Asked, Cosigner, _poster, unfinished
from sidecar.ledger.evidence import read_checkpoint, read_key
from sidecar.ledger.note import parse_verifier
from sidecar.ledger.publish import publish
from sidecar.ledger.signed import SignedFile
from sidecar.ledger.stored import StoredLog
from sidecar.ledger.tables import POSITIONS
from sidecar.ledger.verify import Keys, verify_origins
from sidecar.settings import Settings, Witness
from tests.support.signing import KEY, Bench, known, settle, turn_year
from tests.support.state import ORIGIN, open_both, settings_for
from tests.support.tools import find_kept

pytestmark = pytest.mark.functional

LOG = note.verifier(ORIGIN, KEY.public_key())
NEXT = note.verifier(f"{ORIGIN}/2027", KEY.public_key())


class Ours:
    """``sidecar witness serve`` on a folder."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder, self.port = folder / "witness", free_port()
        assert main(["witness", "init", str(self.folder), "--name", "procuracy", "--log", str(log)]) == 0
        with (self.folder / "witness.yaml").open("a", encoding="utf-8") as settings:
            settings.write(f"port: {self.port}\n")
        self.key = parse_verifier((self.folder / "witness.vkey").read_text(encoding="utf-8"))
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "sidecar.cli", "witness", "serve", str(self.folder)]
        self.process = subprocess.Popen(command)
        answers(self.port, self.process)

    def kill(self) -> None:
        self.process.terminate()
        self.process.wait(30)

    def alarms(self) -> list[str]:
        file = self.folder / "alarms.jsonl"
        return [json.loads(line)["kind"] for line in file.read_text("utf-8").splitlines()] if file.exists() else []


class Omni:
    """Transparency.dev's ``omniwitness``."""

    def __init__(self, folder: Path, _: Path) -> None:
        key, self.port = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32), free_port()
        plain = note.verifier("omni", key.public_key())
        seed = base64.b64encode(note.ED25519 + key.private_bytes_raw()).decode()
        (folder / "w.sec").write_text(f"PRIVATE+KEY+omni+{plain.key_id.hex()}+{seed}", encoding="ascii")
        logs = [
            f'  - Origin: {log.name}\n    PublicKey: "{log}"\n    URL: http://127.0.0.1:1/\n' for log in (LOG, NEXT)
        ]
        (folder / "logs.yaml").write_text("Logs:\n" + "".join(logs), encoding="ascii")
        self.key = note.verifier("omni", key.public_key(), note.COSIGNATURE)
        command = [
            find_kept("omniwitness"), "--listen", f"127.0.0.1:{self.port}", "--metrics_listen", f"127.0.0.1:{free_port()}",
            "--private_key_path", str(folder / "w.sec"), "--db_file", str(folder / "w.db"),
            "--additional_logs", str(folder / "logs.yaml"), "--public_witness_config_poll_interval", "24h",
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        answers(self.port, self.process)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)


def answers(port: int, process: subprocess.Popen) -> None:
    """Wait until the process listens."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "the witness has ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            continue
        return
    pytest.fail("the witness does not listen")


class Asking:
    """A signing ledger that asks one witness when it is told to."""

    def __init__(self, bench: Bench, witness: Ours | Omni, folder: Path) -> None:
        self.bench, self.witness = bench, witness
        settings = Witness(url=f"http://127.0.0.1:{witness.port}", verifier_file=Path("unused"))
        asked = Asked(witness.key, _poster(Settings(base=folder), settings))
        self.cosigner = Cosigner(bench.engine, bench.ledger, bench.clock, [asked], quorum=1, alert_seconds=600)
        bench.signer._told = self.cosigner.told

    def ask(self, count: int) -> None:
        self.bench.grow(count)
        self.cosigner.round()

    def cosigned(self):
        with self.bench.engine.connect() as connection:
            found = StoredLog(connection).checkpoint(witnesses=1)
        return read_checkpoint(found.cosigned, read_key(str(LOG)), [read_key(str(self.witness.key))])


@pytest.fixture
def log(tmp_path):
    """File with the log's verifier key."""
    file = tmp_path / "county.vkey"
    file.write_text(f"{LOG}\n", encoding="ascii")
    return file


@pytest.fixture(params=[Ours, Omni])
def asking(request, tmp_path, log):
    witness = request.param(tmp_path, log)
    for engine, ledger in open_both(settings_for(tmp_path)):
        made = Asking(Bench(engine, ledger, tmp_path), witness, tmp_path)
        yield made
        made.bench.sequencer.release()
    witness.kill()


def test_a_real_witness_cosigns_the_growing_log_and_refuses_another_history(asking):
    witness = asking.witness
    for count in (1, 2, 300):
        asking.ask(count)
        found = asking.cosigned()
        assert (found.size, [name for name, _ in found.witnesses]) == (asking.bench.kept().size, [witness.key.name])
    assert asking.bench.codes() == []
    forged = Checkpoint(ORIGIN, 400, merkle.leaf_hash(b"another history"))
    body = f"old 303\n{base64.b64encode(bytes(32)).decode()}\n\n{forged.signed(KEY)}"
    answer = requests.post(f"http://127.0.0.1:{witness.port}/add-checkpoint", data=body.encode(), timeout=10)
    assert answer.status_code == 422
    if isinstance(witness, Ours):
        assert witness.alarms() == ["forked"]
        kept = requests.get(f"http://127.0.0.1:{witness.port}/checkpoint/{ORIGIN}", timeout=10)
        assert read_checkpoint(kept.content, read_key(str(LOG))).size == 303


@pytest.mark.parametrize("asking", [Ours], indirect=True)
def test_a_witness_that_is_away_stops_nothing_and_goes_on_when_it_is_back(asking):
    bench = asking.bench
    asking.ask(2)
    asking.witness.kill()
    asking.ask(2)
    assert (bench.kept().size, asking.cosigned().size, bench.codes()) == (4, 2, [])
    bench.pass_(700)
    asking.cosigner.round()
    assert bench.codes() == ["witness-silent"]
    asking.witness.start()
    asking.ask(1)
    assert asking.cosigned().size == bench.kept().size > 4


def test_a_witness_answers_nothing_else(tmp_path, log):
    witness = Ours(tmp_path, log)
    url = f"http://127.0.0.1:{witness.port}"
    statuses = [
        requests.get(f"{url}{path}", timeout=10).status_code for path in ("/healthz", "/checkpoint/county", "/x")
    ]
    large = requests.post(f"{url}/add-checkpoint", data=b"x" * 70_000, timeout=10)
    wrong = requests.post(f"{url}/add-checkpoint", data=b"old 1\n", timeout=10)
    witness.kill()
    assert [*statuses, large.status_code, wrong.status_code] == [200, 404, 404, 413, 400]


def test_a_witness_is_never_made_in_the_place_of_another(tmp_path, log, capsys):
    arguments = ["witness", "init", str(tmp_path / "w"), "--name", "procuracy", "--log", str(log)]
    assert main(arguments) == 0
    assert main(arguments) == 1
    (tmp_path / "w" / "seen.json").unlink()
    assert main(["witness", "serve", str(tmp_path / "w")]) == 1
    shutil.copy(tmp_path / "w" / "witness.vkey", log)
    assert main([*arguments[:2], str(tmp_path / "v"), *arguments[3:]]) == 1
    assert "expected the key of a log" in capsys.readouterr().err


@pytest.fixture(params=["sqlite", "postgresql"])
def two_years(request, tmp_path, log):
    """A log of 300 entries and the next year's, both cosigned by two witnesses; who asks the outside one."""
    url = "sqlite:///state.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    witnesses = [Omni(tmp_path, log), Ours(tmp_path, log)]
    for engine, ledger in open_both(settings_for(tmp_path, url)):
        bench = Bench(engine, ledger, tmp_path)
        asked = [
            Asked(
                each.key,
                _poster(Settings(base=tmp_path), Witness(url=f"http://127.0.0.1:{each.port}", verifier_file=Path("-"))),
            )
            for each in witnesses
        ]
        cosigner = Cosigner(engine, ledger, bench.clock, asked, quorum=2, alert_seconds=10**9)
        bench.signer._told = cosigner.told
        bench.grow(300)
        cosigner.round()
        turn_year(bench)
        settle(bench, 3)
        cosigner.round()
        yield bench, witnesses
        bench.sequencer.release()
    for each in witnesses:
        each.kill()


def test_both_years_are_cosigned_and_outside_tools_accept_them(two_years, tmp_path):
    bench, witnesses = two_years
    assert unfinished(bench.engine, 2) == []
    keys = [read_key(str(each.key)) for each in witnesses]
    for origin, size in zip(known(bench), (300, 4), strict=True):
        with bench.engine.connect() as connection:
            found = StoredLog(connection, origin).checkpoint(witnesses=2)
        key = note.verifier(origin.name, KEY.public_key())
        statement = read_checkpoint(found.cosigned, read_key(str(key)), keys)
        assert (statement.size, len(statement.witnesses)) == (size, 2)
        folder = tmp_path / origin.label
        publish(bench.engine, folder, KEY, SignedFile(bench.file), origin=origin.name)
        assert f"Successfully fsck'd log with size {size} " in fsck(folder)
    assert witnesses[1].alarms() == ["opened"]
    assert [report.fault for report in verify_origins(bench.engine, keys=Keys(read_key(str(LOG)), tuple(keys)))] == [
        None,
        None,
    ]
    retire.destroy(bench.engine, bench.ledger, bench.clock, known(bench)[0], approvers="an, bo")
    (left,) = verify_origins(bench.engine, keys=Keys(read_key(str(LOG))))
    assert (left.origin, left.fault, len(bench.rows(POSITIONS))) == (NEXT.name, None, 4)


def fsck(folder):
    """What Tessera's ``fsck`` logs about an exported log."""
    (verifier,) = folder.glob("*.vkey")
    command = [find_kept("fsck"), f"--storage_url={folder.as_uri()}/", f"--public_key={verifier}", "--ui=false"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stderr
