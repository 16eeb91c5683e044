"""Who asks: frozen types made by verified credentials and the registry (R17, R18)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkCertificate:
    """工作证: ``state`` is valid | expired | suspended | revoked | missing, judged on the Beijing day of the request."""

    number: str
    state: str


@dataclass(frozen=True, slots=True)
class Officer:
    """A verified token holder.

    Attributes:
        issuer: ``iss`` of the token.
        subject: ``sub``: the officer's number at the issuer.
        unit: unified social credit code (GB 32100) of the unit.
        certificate: work certificate.
        roles: roles granted by the token *and* allowed to its issuer.
        token_id: ``jti``.
        expires: POSIX seconds of ``exp``.
    """

    issuer: str
    subject: str
    unit: str
    certificate: WorkCertificate
    roles: frozenset[str]
    token_id: str
    expires: int


@dataclass(frozen=True, slots=True)
class Unit:
    """A registered unit. ``organ`` is a kind of organ of the policy's parameters; ``state`` is active | suspended."""

    code: str
    name: str
    organ: str
    region: str
    state: str
