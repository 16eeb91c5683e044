"""The interface as OpenAPI 3.1, made from the models and one table of operations (OAS 3.1.0, RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter

from sidecar import __version__
from sidecar.codes import Role
from sidecar.web import models

PROBLEM: Final = "application/problem+json"
JSON: Final = "application/json"
_REF: Final = "#/components/schemas/{model}"

TITLES: Final[Mapping[int, str]] = {
    200: "Done.",
    201: "Made.",
    202: "A person decides.",
    400: "The body has no meaning or two.",
    401: "No good token.",
    403: "Refused.",
    404: "There is no such thing.",
    405: "Not with this method.",
    409: "Something is missing that can still be brought, or the state does not allow it.",
    413: "The body is too large.",
    415: "The body is of another type.",
    422: "The request is not of this form.",
    500: "A fault; nothing is released.",
    502: "The database cannot be reached.",
    503: "No decision, no record or no database: nothing is released.",
    504: "The database did not answer in time.",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the path, the query or a header."""

    name: str
    where: str
    schema: Mapping[str, Any]
    description: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: what it takes, whom it serves, what it answers.

    Attributes:
        roles: roles of which one is needed; empty: anybody.
        request: model of the body; None without one.
        statuses: status → model of the body; None where it is a problem document.
        content: content type of answers that are no problem.
    """

    method: str
    path: str
    summary: str
    tag: str
    roles: tuple[str, ...]
    statuses: Mapping[int, Any]
    request: Any = None
    parameters: tuple[Parameter, ...] = ()
    content: str = JSON


_AUTHENTICATED: Final[dict[int, Any]] = {401: None, 403: None, 422: None, 500: None, 503: None}
_BODY: Final[dict[int, Any]] = {400: None, 413: None, 415: None}
_CURSOR = Parameter(
    "after", "query", {"type": "integer", "minimum": 0, "maximum": 2**53 - 1, "default": 0}, "Events after this one."
)
_LIMIT = Parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, "Most events.")
_IDEMPOTENCY = Parameter(
    "Idempotency-Key",
    "header",
    {"type": "string", "maxLength": 128, "pattern": r"^[!-+\--~]*$"},
    "Repeats of a request with the same key count as one use of the letter.",
)

_ID = Parameter("id", "path", {"type": "string", "format": "uuid"}, "Id of the application.")
_LEVEL = Parameter("level", "path", {"type": "integer", "minimum": 0, "maximum": 7}, "Level of the tile.")
_NUMBER = Parameter(
    "number",
    "path",
    {"type": "string", "pattern": r"^(x[0-9]{3}/){0,5}[0-9]{3}(\.p/[0-9]{1,3})?$"},
    "Number of the tile in groups of three digits; behind it the width of a partial one.",
)
_INQUIRY = Parameter("inquiry", "path", {"type": "string", "format": "uuid"}, "Id of the inquiry.")
_LABEL = Parameter(
    "label", "path", {"type": "string", "pattern": r"^[0-9]{4}(\.[0-9]{1,3})?$"}, "Label of the log: its year."
)
_LEAF = Parameter(
    "leaf",
    "query",
    {"type": "string", "pattern": "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"},
    "`leaf` of the receipt, which tells the pages of an inquiry apart.",
)
_OF_THE_LOG: Final[dict[int, Any]] = {200: str, 404: None, **_AUTHENTICATED}
_TILE_ANSWERS: Final[dict[int, Any]] = {200: bytes, 404: None, **_AUTHENTICATED}

_PEOPLE = (Role.OFFICER, Role.APPROVER)
_ABOUT_ONE: Final[dict[int, Any]] = {200: models.Application, 404: None, **_AUTHENTICATED}


def _transition(action: str, summary: str, role: str, request: Any = None) -> Operation:
    statuses = {409: None, **_ABOUT_ONE, **_BODY}
    return Operation(
        "post", f"/v1/applications/{{id}}/{action}", summary, "applications", (role,), statuses, request, (_ID,)
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        "post",
        "/v1/inquiries",
        "Inquire about a person's records, or search open ones.",
        "inquiries",
        (Role.OFFICER,),
        {200: models.InquiryAnswer, 202: None, 409: None, 502: None, 504: None, **_BODY, **_AUTHENTICATED},
        models.InquiryBySubject | models.InquiryBySearch,
        (_IDEMPOTENCY,),
    ),
    Operation(
        "post",
        "/v1/sessions",
        "Open an inquiry session for a legacy client that can send neither token nor headers.",
        "inquiries",
        (Role.OFFICER,),
        {201: models.SessionOpened, 202: None, 409: None, **_BODY, **_AUTHENTICATED},
        models.NewSession,
    ),
    Operation(
        "get",
        "/v1/databases",
        "Names of the databases and the fields that may be filtered and sorted on.",
        "inquiries",
        (Role.OFFICER, Role.WINDOW, Role.APPROVER, Role.ARCHIVE_CLERK),
        {200: models.Databases, **_AUTHENTICATED},
    ),
    Operation(
        "post",
        "/v1/applications",
        "Make a draft of an application.",
        "applications",
        (Role.OFFICER,),
        {201: models.Application, **_BODY, **_AUTHENTICATED},
        models.NewApplication,
    ),
    Operation(
        "get",
        "/v1/applications/{id}",
        "An application, for its officer or an approver.",
        "applications",
        _PEOPLE,
        _ABOUT_ONE,
        parameters=(_ID,),
    ),
    _transition("submit", "Hand a draft in.", Role.OFFICER),
    _transition("withdraw", "Take an application back.", Role.OFFICER),
    _transition("approve", "Approve another person's application.", Role.APPROVER, models.Approval),
    _transition("refuse", "Refuse another person's application.", Role.APPROVER, models.ApplicationRefusal),
    _transition("undertaking", "Sign the confidentiality undertaking.", Role.OFFICER, models.Signature),
    Operation(
        "post",
        "/v1/letters",
        "Register a paper letter, so that its uses are counted.",
        "inquiries",
        (Role.ARCHIVE_CLERK,),
        {201: models.LetterRegistered, 409: None, **_BODY, **_AUTHENTICATED},
        models.NewLetter,
    ),
    Operation(
        "get", "/v1/keys", "Public keys with which receipts are verified.", "inquiries", (), {200: models.KeySet}
    ),
    Operation(
        "get",
        "/oversight/v1/events",
        "Alerts to the procuratorate as CloudEvents 1.0, in order, without gaps.",
        "oversight",
        (Role.PROSECUTOR,),
        {200: models.Events, **_AUTHENTICATED},
        parameters=(_CURSOR, _LIMIT),
    ),
    Operation(
        "get",
        "/log/origins",
        "The ledger's logs, one a calendar year (Beijing); the present one is also served without its label.",
        "log",
        (Role.PROSECUTOR,),
        {200: models.LogOrigins, **_AUTHENTICATED},
    ),
    Operation(
        "get",
        "/log/checkpoint",
        "The ledger's newest signed checkpoint with its cosignatures (C2SP tlog-checkpoint).",
        "log",
        (Role.PROSECUTOR,),
        _OF_THE_LOG,
        content="text/plain",
    ),
    Operation(
        "get",
        "/log/tile/{level}/{number}",
        "A hash tile of the ledger (C2SP tlog-tiles).",
        "log",
        (Role.PROSECUTOR,),
        _TILE_ANSWERS,
        parameters=(_LEVEL, _NUMBER),
        content="application/octet-stream",
    ),
    Operation(
        "get",
        "/log/tile/entries/{number}",
        "An entry bundle of the ledger (C2SP tlog-tiles).",
        "log",
        (Role.PROSECUTOR,),
        _TILE_ANSWERS,
        parameters=(_NUMBER,),
        content="application/octet-stream",
    ),
    Operation(
        "get",
        "/log/{label}/checkpoint",
        "The newest signed checkpoint of a year's log with its cosignatures (C2SP tlog-checkpoint).",
        "log",
        (Role.PROSECUTOR,),
        _OF_THE_LOG,
        parameters=(_LABEL,),
        content="text/plain",
    ),
    Operation(
        "get",
        "/log/{label}/tile/{level}/{number}",
        "A hash tile of a year's log (C2SP tlog-tiles).",
        "log",
        (Role.PROSECUTOR,),
        _TILE_ANSWERS,
        parameters=(_LABEL, _LEVEL, _NUMBER),
        content="application/octet-stream",
    ),
    Operation(
        "get",
        "/log/{label}/tile/entries/{number}",
        "An entry bundle of a year's log (C2SP tlog-tiles).",
        "log",
        (Role.PROSECUTOR,),
        _TILE_ANSWERS,
        parameters=(_LABEL, _NUMBER),
        content="application/octet-stream",
    ),
    Operation(
        "get",
        "/log/proof/{inquiry}",
        "The inclusion proof of an inquiry's entry (C2SP tlog-proof).",
        "log",
        (Role.PROSECUTOR,),
        _OF_THE_LOG,
        parameters=(_INQUIRY, _LEAF),
        content="text/plain",
    ),
    Operation(
        "get",
        "/policy/v1/revisions",
        "The latest revisions of the policy, the active one first.",
        "policy",
        (Role.SECURITY_OFFICER,),
        {200: models.Revisions, **_AUTHENTICATED},
    ),
    Operation("get", "/healthz", "Whether the process answers.", "operator", (), {200: models.Health}),
    Operation(
        "get",
        "/readyz",
        "Whether inquiries can be answered.",
        "operator",
        (),
        {200: models.Readiness, 503: models.Readiness},
    ),
    Operation("get", "/metrics", "Counters for Prometheus.", "operator", (), {200: str}, content="text/plain"),
    Operation("get", "/openapi.json", "This description.", "operator", (), {200: dict[str, Any]}),
    Operation("get", "/docs", "This description for people.", "operator", (), {200: str}, content="text/html"),
    Operation(
        "get", "/docs/reason-codes", "The reason codes of problems.", "operator", (), {200: str}, content="text/html"
    ),
)


@dataclass(slots=True)
class _Schemas:
    """Schemas met so far, by name."""

    found: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: Any, mode: Any) -> dict[str, Any]:
        """The schema of a type; what it refers to goes among the components."""
        schema = TypeAdapter(kind).json_schema(mode=mode, ref_template=_REF)
        self.found |= schema.pop("$defs", {})
        if isinstance(kind, type) and issubclass(kind, models.Model):
            self.found[kind.__name__] = schema
            return {"$ref": _REF.format(model=kind.__name__)}
        return schema


@cache
def document() -> dict[str, Any]:
    """The whole description. Its caller MUST not change it."""
    schemas = _Schemas()
    problem = schemas.of(models.Problem, "serialization")
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, schemas, problem)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sealed records sidecar",
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.found.items())),
            "securitySchemes": {"officer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _operation(operation: Operation, schemas: _Schemas, problem: Mapping[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": f"{operation.method}_{operation.path.strip('/').replace('/', '_').replace('{', '').replace('}', '')}",
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": {
            str(status): _answer(status, model, operation, schemas, problem)
            for status, model in sorted(operation.statuses.items())
        },
    }
    if operation.roles:
        described["security"] = [{"officer": []}]
        described["x-roles"] = [str(role) for role in operation.roles]
    if operation.request is not None:
        schema = schemas.of(operation.request, "validation")
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    if operation.parameters:
        described["parameters"] = [_parameter(parameter) for parameter in operation.parameters]
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.where == "path",
        "schema": dict(parameter.schema),
        "description": parameter.description,
    }


def _answer(
    status: int, model: Any, operation: Operation, schemas: _Schemas, problem: Mapping[str, Any]
) -> dict[str, Any]:
    kind, schema = (PROBLEM, problem) if model is None else (operation.content, schemas.of(model, "serialization"))
    return {"description": TITLES[status], "content": {kind: {"schema": schema}}}
