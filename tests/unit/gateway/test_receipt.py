from __future__ import annotations

import base64
import hashlib
import hmac
import json

import hypothesis.strategies as st
import rfc8785
from hypothesis import given

from sidecar.gateway import receipt

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.one_of(texts, st.integers(-(2**53) + 1, 2**53 - 1), st.booleans(), st.none())
names = st.from_regex(r"\A[a-z_]{1,8}\Z")
answers = st.fixed_dictionaries(
    {"count": st.integers(0, 999), "records": st.lists(st.dictionaries(names, values, max_size=4), max_size=3)}
)


@given(answers)
def test_an_outsider_recomputes_the_commitment_from_the_body_alone(answer):
    commitment = receipt.commit_to(receipt.released_bytes(answer), b"n" * 32)
    sent = json.loads(receipt.with_receipt(commitment.released, "a.b.c"))
    assert sent.pop("receipt") == "a.b.c"
    nonce = base64.urlsafe_b64decode(commitment.nonce + "=")
    mac = hmac.new(nonce, rfc8785.dumps(sent), hashlib.sha256).digest()
    assert base64.urlsafe_b64encode(mac).decode().rstrip("=") == commitment.answer


def test_a_receipt_names_inquiry_page_revision_letter_and_leaf():
    claims = receipt.Claims("d", "inq", 2, 7, "1@x", "lh", "allow")
    commitment = receipt.commit_to(b"{}", b"n" * 32)
    assert claims.signed_over(commitment, b"\xff" * 32) == {
        "iss": "d",
        "iat": 7,
        "inquiry": "inq",
        "page": 2,
        "revision": "1@x",
        "letter": "lh",
        "outcome": "allow",
        "nonce": commitment.nonce,
        "answer": commitment.answer,
        "leaf": "_" * 42 + "8",
    }


def test_another_nonce_gives_another_commitment():
    assert receipt.commit_to(b"{}", b"a" * 32).answer != receipt.commit_to(b"{}", b"b" * 32).answer
