"""Letters: what is accepted, and with which code everything else is refused."""

from datetime import UTC, datetime, timedelta

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from sidecar.errors import LedgerUnavailable
from sidecar.keys.jwk import b64url
from sidecar.papers.issue import claims_of, sign_letter
from sidecar.papers.letters import LetterReader
from sidecar.papers.tables import LETTERS, REVOKED_LETTERS
from sidecar.papers.types import Absent, Invalid, Letter
from tests.support.papers import AUDIENCE, DRAFT, NOW, NUMBER, OFFICER, PARAMS, PERSON, UNIT, Units, draft, sign
from tests.support.papers import verification_key as known
from tests.support.state import new_state, settings_for

KEY = Ed25519PrivateKey.generate()
OTHER = Ed25519PrivateKey.generate()
CURVE = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def engine(tmp_path):
    made = new_state(settings_for(tmp_path))
    yield made
    made.dispose()


@pytest.fixture
def units():
    return Units({(UNIT, "k"): known(KEY, "k")})


@pytest.fixture
def reader(engine, units):
    return LetterReader(units, engine, audience=AUDIENCE, cache_size=2)


def read(reader, text, now=NOW, officer=OFFICER):
    return reader.read(text, officer, now, PARAMS)


def claims(**changes):
    made = claims_of(DRAFT, NOW) | changes
    return {name: value for name, value in made.items() if value is not ...}


def signed(**changes):
    return sign(claims(**changes), KEY)


def register(engine, **changes):
    row = {
        "unit": UNIT,
        "number": NUMBER,
        "officer": "110",
        "subjects": orjson.dumps(["2026-ab p"]).decode(),
        "databases": '["cases"]',
        "scope": "open",
        "instrument": "law",
        "article": "286",
        "purpose": "case",
        "first_day": 20261123,
        "last_day": 20261124,
        "uses": 3,
        "registered_by": "i|w",
        "registered": 0,
    } | changes
    with engine.begin() as connection:
        connection.execute(insert(LETTERS).values(**row))


def test_signed_letter_is_read_whole(reader):
    letter = read(reader, sign_letter(DRAFT, KEY, NOW, "k"))
    assert isinstance(letter, Letter)
    assert (letter.issuer, letter.number, letter.officer) == (UNIT, NUMBER, "110")
    assert (letter.subjects, letter.databases) == ({PERSON}, {"cases"})
    assert (letter.scope, letter.basis, letter.purpose) == ("sealed", "law/286", "case")
    assert (letter.uses, letter.kind) == (1, "jws")


@pytest.mark.parametrize("text", ["", "  ", "\u3000"])
def test_blank_is_absent(reader, text):
    assert read(reader, text) == Absent()


def test_missing_count_of_uses_is_one(reader):
    assert read(reader, signed(uses=...)).uses == 1


def test_unlisted_basis_stays_as_stated(reader):
    assert read(reader, signed(basis={"instrument": "x", "article": "9"})).basis == "x/9"


@pytest.mark.parametrize("number", ["京公法字[2026]337号", " 京公法字【２０２６】337号"])
def test_spellings_of_a_number_share_one_counter(reader, number):
    assert read(reader, signed(number=number)).counter == f"{UNIT}|{NUMBER}"


@pytest.mark.parametrize(
    ("subject", "name"),
    [(PERSON.lower(), PERSON), ("张三/2005-06-01", "张三/2005-06-01"), ("３3010220050601003X", PERSON)],
)
def test_subjects_are_normalised(reader, subject, name):
    assert read(reader, signed(subjects=[subject])).subjects == {name}


BEGIN = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)  # midnight in Beijing
END = BEGIN + timedelta(days=1)


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (BEGIN - timedelta(milliseconds=1), "letter-not-yet-valid"),
        (BEGIN, None),
        (END - timedelta(milliseconds=1), None),
        (END, "letter-expired"),
    ],
)
def test_validity_is_whole_beijing_days_for_both_kinds(engine, reader, now, code):
    register(engine, number="京公法字〔2026〕1号", last_day=20261123)
    for text in (signed(), signed(nbf=int(NOW.timestamp()), exp=int(NOW.timestamp())), "京公法字〔2026〕1号"):
        found = read(reader, text, now)
        assert found == Invalid(code) if code else isinstance(found, Letter)


@pytest.mark.parametrize(
    "changes",
    [
        {name: ...}
        for name in ("number", "officer", "subjects", "databases", "scope", "basis", "purpose", "nbf", "exp", "iss")
    ]
    + [
        {"iss": "91350100M000100Y44"},
        {"number": "337"},
        {"subjects": []},
        {"subjects": ["330102200506010031"]},
        {"subjects": ["张三/2005-02-30"]},
        {"subjects": ["x"] * 101},
        {"databases": "cases"},
        {"databases": [""]},
        {"scope": "all"},
        {"scope": ["open"]},
        {"scope": {"open": 1}},
        {"subjects": ["110101202611240015"]},
        {"subjects": ["张三/2026-11-24"]},
        {"basis": "286"},
        {"basis": "/286"},
        {"basis": "law/"},
        {"basis": ["law", "286"]},
        {"basis": {"instrument": "law"}},
        {"basis": {"instrument": ["law"], "article": 286}},
        {"officer": "1\u200b10"},
        {"uses": 0},
        {"uses": True},
        {"uses": 1.5},
        {"uses": None},
        {"nbf": True},
        {"exp": 1e300},
        {"exp": -1},
        {"exp": 0},
    ],
    ids=str,
)
def test_letter_of_another_form_is_malformed(reader, changes):
    assert read(reader, signed(**changes)) == Invalid("letter-malformed")


@pytest.mark.parametrize(
    "aud",
    ["other", ["other"], [], None, 1, {"county": 1}, ..., [AUDIENCE, "other"], ["other", AUDIENCE], [AUDIENCE] * 2],
)
def test_letter_for_another_deployment_is_refused(reader, aud):
    assert read(reader, signed(aud=aud)) == Invalid("letter-audience-mismatch")


def test_a_list_of_this_deployment_alone_is_this_deployment(reader):
    assert isinstance(read(reader, signed(aud=[AUDIENCE])), Letter)


@pytest.mark.parametrize("basis", ["law/286", "刑事诉讼法／第286条", {"instrument": "law", "article": "286"}])
def test_a_basis_is_stated_in_parts_or_as_text(reader, basis):
    assert read(reader, signed(basis=basis)).basis == "law/286"


def test_somebody_born_today_is_no_one_to_come(reader):
    assert read(reader, signed(subjects=["张三/2026-11-23"])).subjects == {"张三/2026-11-23"}


def raw(header, payload):
    """A letter over exactly these bytes, well signed."""
    signing = f"{b64url(header)}.{b64url(payload)}"
    return f"{signing}.{b64url(KEY.sign(signing.encode()))}"


HEADER = b'{"alg":"EdDSA","kid":"k","typ":"unit-letter+jws"}'


def test_a_letter_that_names_a_member_twice_is_malformed(reader):
    payload = orjson.dumps(claims())
    assert isinstance(read(reader, raw(HEADER, payload)), Letter)
    twice = [
        (HEADER, payload[:-1] + b',"uses":1}'),
        (HEADER, payload[:-1] + b',"\\u0075ses":9}'),
        (HEADER, payload.replace(b'"article":', b'"article":"287","article":')),
        (HEADER[:-1] + b',"kid":"k"}', payload),
    ]
    for parts in twice:
        assert read(reader, raw(*parts)) == Invalid("letter-malformed")


@pytest.mark.parametrize("depth", [100, 900, 1000, 1023, 5000])
def test_a_letter_of_any_depth_is_read_without_error(reader, depth):
    payload = orjson.dumps(claims())[:-1] + b',"more":' + b"[" * depth + b"]" * depth + b"}"
    assert isinstance(read(reader, raw(HEADER, payload)), Letter | Invalid)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("张三的公函", "letter-malformed"),
        ("京公法字2026年337号", "letter-malformed"),
        ("京公法字〔2026〕0号", "letter-malformed"),
        ("eyJhbGciOiJFZERTQSJ9.e30", "letter-malformed"),
        ("a.b.c", "letter-malformed"),
        ("a.b.c.d", "letter-malformed"),
        ("A" * 20000, "letter-malformed"),
        ("京公法字〔2026〕338号", "letter-unknown"),
    ],
)
def test_only_a_well_formed_number_is_unknown(reader, text, code):
    assert read(reader, text) == Invalid(code)


@pytest.mark.parametrize(
    "text",
    [
        sign(claims(), OTHER),
        sign(claims(), KEY, kid="unknown"),
        sign(claims(), KEY, kid=None),
        sign(claims(), ec.generate_private_key(ec.SECP256R1()), "ES256"),
        sign(claims(), b"0" * 32, "HS256"),
        sign(claims(iss="91350100M000100Y43"[:-1] + "3"), OTHER),
    ],
    ids=["key", "kid", "no-kid", "algorithm", "hmac", "issuer"],
)
def test_letter_that_no_key_of_the_unit_signed_is_forged(reader, text):
    assert read(reader, text) == Invalid("letter-forged")


def test_unsigned_letter_is_refused(reader):
    text = jwt.PyJWS().encode(
        orjson.dumps(claims()), "", algorithm="none", headers={"kid": "k", "typ": "unit-letter+jws"}
    )
    assert read(reader, text) == Invalid("letter-malformed")
    assert read(reader, text + "AAAA") == Invalid("letter-forged")


@pytest.mark.parametrize(
    "header", [{"typ": "jwt"}, {"typ": "receipt+jwt"}, {"jku": "https://x"}, {"crit": ["b64"]}, {"jwk": {}}]
)
def test_header_of_something_else_is_malformed(reader, header):
    assert read(reader, sign(claims(), KEY, **header)) == Invalid("letter-malformed")


@given(place=st.integers(0, 10_000), char=st.sampled_from("Aa0_-.xZ"))
@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
def test_changed_letter_is_never_another_letter(reader, place, char):
    text = signed()
    place %= len(text)
    changed = text[:place] + char + text[place + 1 :]
    found = read(reader, changed)
    assert isinstance(found, Invalid) or found == read(reader, text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([*claims(), "instrument", "article"]) | st.text()
NEAR = st.sampled_from(["open", NUMBER, PERSON, UNIT, "law/286", "/", "k", "EdDSA", 1795363200, 0, True])


@given(changes=st.dictionaries(NAMES, JSON | NEAR | st.lists(NEAR, max_size=3), min_size=1, max_size=3))
@settings(
    max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
def test_any_json_in_any_claim_is_read_without_error(reader, changes):
    found = read(reader, sign(claims() | changes, KEY))
    assert isinstance(found, Letter) or found.code.startswith("letter-")


@given(header=st.dictionaries(st.sampled_from(["alg", "kid", "typ", "b64", "crit", "cty"]), JSON | NEAR, min_size=1))
@settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
def test_any_json_in_the_header_is_read_without_error(reader, header):
    stated = {"alg": "EdDSA", "kid": "k", "typ": "unit-letter+jws"} | header
    found = read(reader, raw(orjson.dumps(stated), orjson.dumps(claims())))
    assert isinstance(found, Letter) or found.code.startswith("letter-")


@given(signature=st.binary(max_size=80), alg=st.sampled_from(["ES256", "EdDSA"]))
@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
def test_any_bytes_as_signature_are_read_without_error(reader, units, signature, alg):
    units.keys[UNIT, "e"] = known(CURVE, "e")
    header = orjson.dumps({"alg": alg, "kid": "e" if alg == "ES256" else "k", "typ": "unit-letter+jws"})
    found = read(reader, f"{b64url(header)}.{b64url(orjson.dumps(claims()))}.{b64url(signature)}")
    assert found in (Invalid("letter-forged"), Invalid("letter-malformed"))


@given(text=st.text(st.characters(codec=None, exclude_categories=()), min_size=1))
@settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
def test_any_text_is_read_without_error(reader, text):
    assert isinstance(read(reader, text), Absent | Invalid)


def test_paper_letter_is_found_by_any_spelling_of_its_number(engine, reader):
    register(engine)
    letter = read(reader, "京公法字【2026】337号")
    assert isinstance(letter, Letter)
    assert (letter.kind, letter.uses, letter.basis, letter.subjects) == ("paper", 3, "law/286", {"2026-ab p"})


def test_paper_letter_of_another_unit_is_unknown(engine, reader):
    register(engine, unit="12100000400000000X")
    assert read(reader, NUMBER) == Invalid("letter-unknown")


def test_letter_taken_back_is_refused_at_once(engine, reader):
    register(engine)
    text = signed()
    assert isinstance(read(reader, text), Letter)
    with engine.begin() as connection:
        connection.execute(insert(REVOKED_LETTERS).values(counter=f"{UNIT}|{NUMBER}", revoked=0))
    assert read(reader, text) == Invalid("letter-revoked")
    assert read(reader, NUMBER) == Invalid("letter-revoked")


def test_remembered_letter_ends_with_its_key_and_its_validity(reader, units):
    text = signed()
    assert isinstance(read(reader, text), Letter)
    assert read(reader, text, END) == Invalid("letter-expired")
    del units.keys[UNIT, "k"]
    assert read(reader, text) == Invalid("letter-forged")


def test_remembered_letter_is_verified_anew_under_a_changed_key(reader, units):
    text = signed()
    read(reader, text)
    units.keys[UNIT, "k"] = known(OTHER, "k")
    assert read(reader, text) == Invalid("letter-forged")


@pytest.mark.parametrize(("size", "verified"), [(0, 4), (1, 4), (2, 2)])
def test_cache_is_bounded(engine, units, monkeypatch, size, verified):
    reader = LetterReader(units, engine, audience=AUDIENCE, cache_size=size)
    counted = []
    original = jwt.PyJWS.decode_complete
    monkeypatch.setattr(jwt.PyJWS, "decode_complete", lambda *a, **k: counted.append(1) or original(*a, **k))
    texts = [sign_letter(draft(number=f"京公法字〔2026〕{n}号"), KEY, NOW, "k") for n in (1, 2)]
    for text in texts * 2:
        assert isinstance(read(reader, text), Letter)
    assert len(counted) == verified


def test_closed_database_is_not_an_invalid_letter(engine, reader, tmp_path):
    engine.dispose()
    (tmp_path / "state.db").unlink()
    with pytest.raises(LedgerUnavailable):
        read(reader, NUMBER)
