"""A receipt resolves to a proof that is checked without database and settings."""

from __future__ import annotations

import base64
import json

import jwt
import pytest
import yaml

from sidecar.cli import main
from sidecar.demo import legacy
from tests.support.log import SignedLog
from tests.support.world import DEPLOYMENT, World


@pytest.fixture(scope="module")
def proven(tmp_path_factory, world_keys):
    folder = tmp_path_factory.mktemp("proof")
    world = World(folder, keys=world_keys)
    log = SignedLog(world)
    question = {"database": "county", "subject": {"person_id": legacy.OPEN.SFZH}, "reason": "审理案件"}
    receipt = json.loads(world.ask(question).body)["receipt"]
    log.sign()
    waiting = json.loads(world.ask(question).body)["receipt"]
    (folder / "receipt.jws").write_text(receipt + "\n", encoding="ascii")
    (folder / "county.vkey").write_text(f"{log.verifier}\n", encoding="ascii")
    (folder / "keys.json").write_bytes(world.services.public_keys().body)
    settings = {"deployment": {"id": DEPLOYMENT}, "storage": {"url": world.settings.storage.url}}
    (folder / "sidecar.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    claims = jwt.decode(receipt, options={"verify_signature": False})
    leaf = base64.urlsafe_b64decode(claims["leaf"] + "=")
    yield folder, {"receipt": receipt, "file": str(folder / "receipt.jws"), "waiting": waiting, "leaf": claims["leaf"],
                   "hex": leaf.hex(), "id": claims["inquiry"]}  # fmt: skip
    log.close()
    world.close()


def run(folder, *arguments):
    return main(["--config", str(folder / "sidecar.yaml"), "ledger", "prove", *arguments])


def check(proof, what, *more):
    key = str(proof.parent / "county.vkey")
    return main(["ledger", "prove", what, "--check", str(proof), "--verifier", key, *more])


@pytest.mark.parametrize("name", ["receipt", "file", "leaf", "hex", "id"])
def test_whatever_names_the_entry_leads_to_its_proof(proven, capsys, monkeypatch, name):
    folder, names = proven
    proof = folder / "proof.tlog-proof"
    assert run(folder, names[name], "--output", str(proof)) == 0
    capsys.readouterr()
    monkeypatch.chdir("/")  # no settings, no database
    assert check(proof, names["receipt"], "--keys", str(folder / "keys.json")) == 0
    assert "stands at position" in capsys.readouterr().out
    assert check(proof, names["hex"], "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["origin"], facts["position"] < facts["size"], facts["witnesses"]) == (DEPLOYMENT, True, {})


def test_a_proof_is_of_one_entry_only(proven, capsys):
    folder, names = proven
    assert run(folder, names["id"]) == 0
    proof = folder / "printed.tlog-proof"
    proof.write_text(capsys.readouterr().out, encoding="utf-8")
    assert check(proof, names["leaf"]) == 0
    assert check(proof, names["waiting"]) == 1
    assert "not-found" in capsys.readouterr().err


def test_what_is_not_signed_or_not_there_has_no_proof(proven, capsys):
    folder, names = proven
    assert run(folder, names["waiting"]) == 1
    assert "no such entry" in capsys.readouterr().err
    assert run(folder, "A" * 43) == 1
    assert "no such entry" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("nothing", "expected a receipt, an inquiry's id, or a leaf hash"),
        ("eyJhbGciOiJub25lIn0.e30.", "expected a JWS of type"),
        ("ey.x.y", "not one of the deployment"),
        ("missing.jws", "missing.jws"),
    ],
)
def test_what_names_nothing_is_refused(proven, capsys, what, text):
    assert run(proven[0], what) != 0
    assert text in capsys.readouterr().err


def test_a_receipt_of_others_is_refused_where_keys_are_given(proven, capsys):
    folder, names = proven
    foreign = folder / "foreign.json"
    foreign.write_text('{"keys": []}', encoding="ascii")
    assert run(folder, names["receipt"], "--keys", str(foreign)) == 1
    head, body, signature = names["receipt"].split(".")
    forged = ".".join((head, body, signature[::-1]))
    assert run(folder, forged, "--keys", str(folder / "keys.json")) == 1
    assert "not one of the deployment" in capsys.readouterr().err


def test_a_check_needs_a_key_and_a_leaf(proven, capsys):
    folder, names = proven
    assert (
        run(folder, names["id"], "--check", str(folder / "receipt.jws"), "--verifier", str(folder / "county.vkey")) == 2
    )
    assert run(folder, names["leaf"], "--check", str(folder / "receipt.jws")) == 2
    assert check(folder / "receipt.jws", names["leaf"]) == 1
    assert (
        run(folder, names["leaf"], "--check", str(folder / "receipt.jws"), "--verifier", str(folder / "keys.json")) == 1
    )
    assert "expected a verifier key" in capsys.readouterr().err
