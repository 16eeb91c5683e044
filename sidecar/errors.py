"""One error tree: every error of ours has a stable code, an HTTP status and a text for people.

Foreign exceptions are wrapped at the boundary where they arise (``raise … from exc``). Neither the text nor
``diagnostics()`` may hold a secret, a subject's identifier or anything about a record.
"""

from __future__ import annotations

from typing import ClassVar


class SidecarError(Exception):
    """Base of all errors of ours.

    Attributes:
        code: stable code, a value of ``sidecar.codes.Code`` or an operator's code in the same kebab-case.
        status: HTTP status the web layer answers with when the error reaches it.
    """

    code: ClassVar[str] = "internal-error"
    status: ClassVar[int] = 500

    def diagnostics(self) -> str:
        """What an operator should read: the text, without secrets and personal data."""
        return f"{self.code}: {self}" if str(self) else self.code


class CodedError(SidecarError):
    """An error whose code (and status) is known only where it is raised."""

    def __init__(self, code: str, text: str = "", *, status: int | None = None) -> None:
        super().__init__(text)
        self.code = code  # type: ignore[misc]  # the instance narrows the class's code
        if status is not None:
            self.status = status  # type: ignore[misc]


class ConfigurationError(SidecarError):
    """The settings, a catalog, a key file or a revision cannot be used. Start-up stops, with the fix in the text."""

    code = "configuration-invalid"


class TokenRejected(CodedError):
    """A recognised credential is bad (401). ``code`` is one of the ``token-…`` codes."""

    status = 401


class RequestInvalid(CodedError):
    """The request's shape is wrong (400, 413 or 422), found before any policy call."""

    status = 422


class PaperRejected(CodedError):
    """A letter or another paper was brought but cannot be accepted (403). ``code`` says why."""

    status = 403


class EngineUnavailable(SidecarError):
    """The policy engine did not answer, or not in a form that can be trusted (503): deny."""

    code = "engine-unavailable"
    status = 503


class RevisionUnapproved(SidecarError):
    """The policy revision at work is not the approved one (503): deny."""

    code = "revision-unapproved"
    status = 503


class LedgerUnavailable(SidecarError):
    """The ledger could not make the entry durable (503): nothing is released (P2)."""

    code = "ledger-unavailable"
    status = 503


class ClockBehind(SidecarError):
    """Our clock is behind the last entry by more than a minute (503): validities cannot be judged, so deny."""

    code = "clock-behind"
    status = 503


class ClockAway(SidecarError):
    """Our clock is more than a minute away from every witness's (503): validities cannot be judged, so deny."""

    code = "clock-away"
    status = 503


class DatabaseUnavailable(SidecarError):
    """The legacy database is down or refused us (502)."""

    code = "database-unavailable"
    status = 502


class DatabaseTimeout(SidecarError):
    """The legacy database did not answer in time (504)."""

    code = "database-timeout"
    status = 504


class ResultUnbounded(SidecarError):
    """A result is larger than what may be read to hide sealed records in it: it cannot be answered (503)."""

    code = "result-unbounded"
    status = 503


class DatabaseClosed(SidecarError):
    """The start-up canary of this database failed; it stays closed (503) and the others go on."""

    code = "database-closed"
    status = 503
