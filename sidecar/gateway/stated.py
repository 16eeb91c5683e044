"""An inquiry's facts where its body belongs to a legacy system: ``Inquiry-…`` headers, or an application's own (Q5, R22).

Header values are percent-encoded UTF-8 (RFC 3986 §2.1), so that Chinese text passes every reader on the way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from sidecar.codes import Code, Scope
from sidecar.errors import RequestInvalid
from sidecar.gateway.body import MAX_REASON, TEXT_LIMITS
from sidecar.gateway.read import as_stated

PREFIX: Final = "inquiry-"

_NAMES: Final[Mapping[str, str]] = {
    "inquiry-application": "application",
    "inquiry-basis-article": "article",
    "inquiry-basis-instrument": "instrument",
    "inquiry-case-number": "case_number",
    "inquiry-letter": "letter",
    "inquiry-purpose": "purpose",
    "inquiry-reason": "reason",
    "inquiry-scope": "scope",
}
_LIMITS: Final[Mapping[str, int]] = {
    **TEXT_LIMITS,
    "application": TEXT_LIMITS["application_id"],
    "reason": MAX_REASON,
    "scope": 10,
}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is stated beside the subject; blank is missing, which the policy judges (Q5)."""

    scope: str = Scope.OPEN.value
    reason: str = ""
    instrument: str = ""
    article: str = ""
    purpose: str = ""
    case_number: str = ""
    letter: str = ""
    application: str = ""

    @property
    def by_application(self) -> bool:
        """Whether an application is all that is stated (a letter may be there beside it)."""
        said = (self.reason, self.instrument, self.article, self.purpose, self.case_number)
        return bool(self.application) and not any(said)


def read(headers: Mapping[str, str]) -> Facts:
    """The facts of the ``Inquiry-…`` headers.

    Raises:
        RequestInvalid: ``field-unknown`` or ``body-invalid`` (422); the text names the header, never its value.
    """
    given = {name: value for name, value in headers.items() if name.startswith(PREFIX)}
    if not given.keys() <= _NAMES.keys():
        raise RequestInvalid(Code.FIELD_UNKNOWN, "an Inquiry header is not known")
    said = {_NAMES[name]: _text(name, value).strip() for name, value in given.items()}
    scope = said.setdefault("scope", Scope.OPEN.value)
    if scope not in {each.value for each in Scope}:
        raise RequestInvalid(Code.BODY_INVALID, "Inquiry-Scope: expected open or sealed")
    said["case_number"] = as_stated(said.get("case_number", ""))
    return Facts(**said)


def _text(name: str, value: str) -> str:
    member = _NAMES[name]
    try:
        text = unquote_to_bytes(value.encode("ascii")).decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        raise _invalid(name) from None
    if len(text) > _LIMITS[member] or _CONTROL.search(text):
        raise _invalid(name)
    return text


def _invalid(name: str) -> RequestInvalid:
    most = _LIMITS[_NAMES[name]]
    return RequestInvalid(
        Code.BODY_INVALID,
        f"{name}: expected percent-encoded UTF-8 of at most {most} characters without control characters",
    )
