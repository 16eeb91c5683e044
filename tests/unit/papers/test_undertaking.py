"""The undertaking's wordings: fixed for ever, in both languages, named by digest."""

import pytest

from sidecar.errors import RequestInvalid
from sidecar.papers import undertaking
from sidecar.papers.undertaking import WORDINGS, Wording, current, read

DIGESTS = {
    (1, "zh"): "fd4d37d957cbd8449b6036fb3e6d75e86856ac03562ba84d17bcf83d870291f1",
    (1, "en"): "892b3485ebfdb3622a8a4a0104b89718c01075de3a81dcb6ff78bfc982209e87",
}
"""Of what people have signed: a changed text needs a new version, never a new digest here."""


def test_no_wording_was_ever_changed():
    assert {(wording.version, wording.language): wording.digest for wording in WORDINGS} == DIGESTS


def test_each_version_is_in_both_languages_and_promises_purpose_and_secrecy():
    assert {w.version for w in WORDINGS if w.language == "zh"} == {w.version for w in WORDINGS if w.language == "en"}
    assert "保密" in current("zh").text
    assert "目的和范围" in current("zh").text
    assert "confidential" in current("en").text


def test_an_older_wording_cannot_be_signed_any_more(monkeypatch):
    new = Wording(2, "zh", "新")
    monkeypatch.setattr(undertaking, "WORDINGS", (*WORDINGS, new))
    assert read(new.digest) == new
    assert read(current("en").digest).version == 1
    with pytest.raises(RequestInvalid):
        read(WORDINGS[0].digest)


def test_version_and_language_are_part_of_the_digest():
    texts = {Wording(1, "zh", "t").digest, Wording(2, "zh", "t").digest, Wording(1, "en", "t").digest}
    assert len(texts) == 3


@pytest.mark.parametrize("language", ["", "fr", "ZH"])
def test_there_is_none_in_another_language(language):
    with pytest.raises(RequestInvalid):
        current(language)
