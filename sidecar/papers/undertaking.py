"""The confidentiality undertaking (保密承诺书) that an officer signs before anything is released (Q8).

A wording is never changed: a new one gets a new version. What is recorded is the digest of exactly what was signed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from sidecar.codes import Code
from sidecar.errors import RequestInvalid


@dataclass(frozen=True, slots=True)
class Wording:
    """One version in one language (``zh`` or ``en``)."""

    version: int
    language: str
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of version, language and text, hex."""
        return hashlib.sha256(f"{self.version}\n{self.language}\n{self.text}".encode()).hexdigest()


_ZH_1: Final = """保密承诺书

本人因办理本申请所载事项，依法查询犯罪记录，现承诺：
一、查询所得仅用于申请载明的目的和范围，不作他用。
二、对知悉的已封存犯罪记录予以保密，不向任何无权知悉的单位或者个人提供、泄露。
三、不以截屏、拍照、抄录等方式留存超出批准范围的内容；未经单独批准，不复制案卷材料。
四、使用完毕后，按照规定归档或者销毁。
五、违反上述承诺的，依法承担相应责任。
"""

_EN_1: Final = """Confidentiality undertaking

For the matter stated in this application I inquire about criminal records as the law provides. I undertake:
1. to use what I obtain for the stated purpose and scope only, and for nothing else;
2. to keep sealed criminal records confidential and to disclose them to no unit and no person without a right to know;
3. to keep no screenshots, photographs or transcripts beyond what was approved, and to copy no file without separate approval;
4. to file or destroy what I obtained as prescribed once it has been used;
5. to answer before the law where I break this undertaking.
"""

WORDINGS: Final[tuple[Wording, ...]] = (Wording(1, "zh", _ZH_1), Wording(1, "en", _EN_1))
"""All there ever were, oldest first."""


def current(language: str) -> Wording:
    """The newest wording in a language.

    Raises:
        RequestInvalid: there is none in it.
    """
    found = [wording for wording in WORDINGS if wording.language == language]
    if not found:
        raise RequestInvalid(Code.BODY_INVALID, f"language: expected one of {sorted({w.language for w in WORDINGS})}")
    return max(found, key=lambda wording: wording.version)


def read(digest: str) -> Wording:
    """The newest wording that has the digest: what is signed is what is in force.

    Raises:
        RequestInvalid: no wording in force has it.
    """
    for wording in map(current, sorted({wording.language for wording in WORDINGS})):
        if wording.digest == digest:
            return wording
    raise RequestInvalid(Code.BODY_INVALID, "wording: expected the digest of a wording that is in force")
