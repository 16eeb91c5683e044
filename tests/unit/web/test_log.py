"""The ledger as a tiled log under ``/log/``: for prosecutors, whole, and nothing beyond the signed checkpoint."""

from __future__ import annotations

import base64
import json
import uuid

import jwt
import pytest
from werkzeug.test import Client

from sidecar.demo import legacy
from sidecar.demo.people import PROCURATORATE
from sidecar.ledger import evidence, merkle
from sidecar.ledger.tiles import unpack
from sidecar.ledger.verify import verify_database
from tests.support.log import SignedLog
from tests.support.state import entry
from tests.support.world import World

PATHS = (
    "/log/checkpoint",
    "/log/tile/0/000",
    "/log/tile/entries/000",
    f"/log/proof/{uuid.UUID(int=1)}",
    "/log/2026/checkpoint",
    "/log/2026/tile/0/000",
)

QUESTION = {
    "database": "county",
    "subject": {"person_id": legacy.OPEN.SFZH},
    "reason": "审理案件",
    "basis": {"instrument": "刑事诉讼法", "article": "第二百八十六条"},
    "purpose": "case_handling",
}


class Reader:
    """A prosecutor's client, and the log's key."""

    def __init__(self, world):
        self.world, self.log, self.client = world, SignedLog(world), Client(world.app)
        self.token = world.token("zhou", PROCURATORATE, ("prosecutor",))

    def get(self, path, token=None):
        return self.client.get(path, headers={"Authorization": f"Bearer {token or self.token}"})

    def checkpoint(self):
        key = evidence.read_key(str(self.log.verifier))
        return evidence.read_checkpoint(self.get("/log/checkpoint").data, key)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory, world_keys):
    world = World(tmp_path_factory.mktemp("log"), keys=world_keys)
    reader = Reader(world)
    yield reader
    reader.log.close()
    world.close()


@pytest.fixture(scope="module")
def reader(fresh):
    for _ in range(300):
        fresh.world.gateway.ports.ledger.commit(entry())
    fresh.log.sign()
    return fresh


def test_before_anything_is_signed_there_is_nothing(fresh):
    assert [fresh.get(path).status_code for path in PATHS] == [404] * len(PATHS)


@pytest.mark.parametrize("path", PATHS)
def test_the_log_is_for_prosecutors_only(reader, path):
    assert reader.client.get(path).status_code == 401
    answer = reader.get(path, reader.world.token())
    assert (answer.status_code, answer.get_json()["code"]) == (403, "role-missing")


def test_the_checkpoint_is_the_signed_tree_and_is_not_kept(reader):
    answer = reader.get("/log/checkpoint")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    found, report = reader.checkpoint(), verify_database(reader.world.state)
    assert (found.origin, found.size, found.root) == ("county", report.size, report.root)


def test_tiles_and_entries_lead_to_the_signed_root(reader):
    size = reader.checkpoint().size
    full, rest = reader.get("/log/tile/0/000"), reader.get(f"/log/tile/0/001.p/{size - 256}")
    above = reader.get("/log/tile/1/000.p/1")
    for answer in (full, rest, above):
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    leaves = [(full.data + rest.data)[n : n + 32] for n in range(0, size * 32, 32)]
    assert merkle.root(leaves) == reader.checkpoint().root
    assert above.data == merkle.root(leaves[:256])
    entries = unpack(reader.get("/log/tile/entries/000").data) + unpack(
        reader.get(f"/log/tile/entries/001.p/{size - 256}").data
    )
    assert [merkle.leaf_hash(each) for each in entries] == leaves


def test_a_partial_tile_of_any_smaller_size_is_served(reader):
    assert reader.get("/log/tile/0/000.p/7").data == reader.get("/log/tile/0/000").data[: 7 * 32]


@pytest.mark.parametrize(
    "path",
    [
        "0/001", "0/001.p/200", "1/000", "1/001.p/1", "2/000.p/1", "8/000.p/1", "00/000", "-1/000", "0/000.p/0", "0/000.p/256",
        "0/000.p/01", "0/0", "0/x000/000", "0/x001/000", "0/000/", "0/", "entries/001", "entries/0", "x/000", "0/０００",
    ],
)  # fmt: skip
def test_what_the_signed_tree_does_not_hold_or_is_written_otherwise_is_404(reader, path):
    assert reader.get(f"/log/tile/{path}").status_code == 404


def test_what_waits_for_its_signature_is_not_served(reader):
    size = reader.checkpoint().size
    reader.world.gateway.ports.ledger.commit(entry())
    assert reader.get(f"/log/tile/0/001.p/{size - 255}").status_code == 404
    reader.log.sign()
    assert reader.get(f"/log/tile/0/001.p/{size - 255}").status_code == 200


def test_parameters_are_refused(reader):
    assert reader.get("/log/checkpoint?a=1").status_code == 422
    assert reader.get("/log/tile/0/000?a=1").status_code == 422


# --- proofs ----------------------------------------------------------------------------------------------------------


def test_a_receipt_resolves_to_a_proof_that_is_checked_without_us(reader):
    answer = reader.world.ask(QUESTION)
    receipt = jwt.decode(json.loads(answer.body)["receipt"], options={"verify_signature": False})
    path = f"/log/proof/{receipt['inquiry']}?leaf={receipt['leaf']}"
    assert reader.get(path).status_code == 404  # not signed yet
    reader.log.sign()
    proof = reader.get(path)
    assert proof.headers["Content-Type"] == "text/plain; charset=utf-8"
    leaf = base64.urlsafe_b64decode(receipt["leaf"] + "=")
    key = evidence.read_key(str(reader.log.verifier))
    index, statement = evidence.check_proof(proof.data, leaf, key)
    assert statement == reader.checkpoint()
    assert index < statement.size
    assert reader.get(f"/log/proof/{receipt['inquiry']}").data == proof.data
    with pytest.raises(evidence.EvidenceInvalid, match="not at"):
        evidence.check_proof(proof.data, bytes(32), key)


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 404), ("?leaf=" + "A" * 43, 404), ("?leaf=A", 422), ("?leaf=%C3%A9", 422), ("?leaf=a&leaf=b", 422), ("?x=1", 422)],
)  # fmt: skip
def test_an_unknown_inquiry_has_no_proof(reader, query, status):
    assert reader.get(f"/log/proof/{uuid.UUID(int=1)}{query}").status_code == status


def test_each_years_log_is_found_by_its_label(reader):
    reader.log.sign()
    origin = reader.world.settings.deployment.id
    assert reader.get("/log/origins").get_json() == {"origins": [{"origin": origin, "label": "2026", "closed": False}]}
    for path in ("checkpoint", "tile/0/000", "tile/entries/000"):
        assert reader.get(f"/log/2026/{path}").data == reader.get(f"/log/{path}").data
        assert reader.get(f"/log/2027/{path}").status_code == 404
