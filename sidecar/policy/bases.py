"""Names of legal bases: however an instrument and its article are cited, one key of the revision's allow-list (Q2, R14)."""

from __future__ import annotations

import re
from functools import lru_cache

from sidecar.law.identifiers import IdentifierInvalid, normalise
from sidecar.law.terms import NUMERALS
from sidecar.policy.types import LegalParameters

_ARTICLE = re.compile(
    r"第?(?P<number>[0-9]{1,4}|[一二三四五六七八九十百零]{1,7})条(?:之(?P<inserted>[0-9]{1,2}|[一二三四五六七八九十]{1,3}))?"
    r"(?:第[0-9一二三四五六七八九十]{1,3}款)?(?:第?[(（]?[0-9一二三四五六七八九十]{1,3}[)）]?项)?"
)


def article(text: str) -> str:
    """The article's number as the allow-list writes it.

    第二百八十六条, 第286条 and 286 are ``286``; an inserted 第一百二十条之三 is ``120-3``; paragraph and item are left out,
    because the list names articles. What has none of these forms stays as it is, in upper case.
    """
    match = _ARTICLE.fullmatch(text)
    if match is None:
        return text.upper()
    number, inserted = _number(match["number"]), _number(match["inserted"] or "")
    return f"{number}-{inserted}" if inserted else number


def _number(text: str) -> str:
    return text if text.isascii() else str(NUMERALS.get(text, text))


@lru_cache(maxsize=4096)
def _normal(text: str) -> str:
    try:
        return normalise(text)
    except IdentifierInvalid:
        return ""  # invisible characters: no list has such a name


def basis_key(instrument: str, cited: str, params: LegalParameters) -> str:
    """``<instrument>/<article>`` where the allow-list names it, else ""."""
    identity = params.instruments.get(_normal(instrument), "")
    key = f"{identity}/{article(_normal(cited))}"
    return key if key in params.bases else ""
