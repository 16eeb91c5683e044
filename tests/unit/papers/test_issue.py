"""Letters that are signed here: normalised, whole Beijing days, refused where a reader would refuse them."""

import jwt
import orjson
import pytest

from sidecar.errors import ConfigurationError
from sidecar.keys.generate import create_signing_key
from sidecar.law.days import day_last_second, day_start
from sidecar.papers.issue import claims_of, issue_letter, split_basis
from tests.support.papers import NOW, NUMBER, PERSON, draft


def test_letter_is_valid_for_so_many_beijing_days():
    claims = claims_of(draft(days=30), NOW)
    assert claims["nbf"] == day_start(20261123).timestamp()
    assert claims["exp"] == day_last_second(20261222).timestamp()


def test_identifiers_are_written_normalised():
    claims = claims_of(draft(number="京公法字[2026]337号", subjects=[PERSON.lower()]), NOW)
    assert (claims["number"], claims["subjects"]) == (NUMBER, [PERSON])


@pytest.mark.parametrize(
    "changes",
    [{"unit": "1"}, {"number": "1"}, {"subjects": ["1"]}, {"scope": "x"}, {"uses": 0}, {"days": 0}, {"days": 10**9}],
    ids=str,
)
def test_letter_that_would_be_refused_is_not_signed(changes):
    with pytest.raises(ConfigurationError, match="letter: "):
        claims_of(draft(**changes), NOW)


def test_key_file_names_the_key_by_its_thumbprint(tmp_path):
    made = create_signing_key(tmp_path, "unit")
    text = issue_letter(draft(), made.private, NOW)
    assert jwt.get_unverified_header(text) == {"alg": "EdDSA", "kid": made.kid, "typ": "unit-letter+jws"}
    assert orjson.loads(jwt.PyJWS().decode_complete(text, options={"verify_signature": False})["payload"])["uses"] == 1


def test_basis_is_split_at_the_last_stroke():
    assert split_basis("a/b/286") == ("a/b", "286")
    for text in ("286", "/286", "law/", ""):
        with pytest.raises(ConfigurationError):
            split_basis(text)
