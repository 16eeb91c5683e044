"""The story: each step asks over HTTP, and is as told only if answer, ledger and feed all are.

``DEMO_BREAK=<step>`` breaks that step's world, never its checks: papers, people, rows or processes are others than
told, and the story must fail at that very step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.demo.exchange import Answer
from sidecar.demo.people import DATABASE, QIAN, Person
from sidecar.demo.recorder import Recorded, Recorder
from sidecar.demo.telling import Row, Teller, introduce
from sidecar.demo.world import World
from sidecar.errors import SidecarError

ALLOWED = ("allow", ())


class NotAsTold(Exception):
    """A step's answer, ledger or feed is not what the story says."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """A lawful ground: instrument, article, purpose code, and the words for the application."""

    instrument: str
    article: str
    code: str
    reason: str

    @property
    def basis(self) -> dict[str, str]:
        """As the API takes it."""
        return {"instrument": self.instrument, "article": self.article}


CASE = Purpose("刑事诉讼法", "286", "case_handling", "侦办盗窃案，需查明前科情况")
PREVENTION = Purpose("刑事诉讼法", "286", "preventing_reoffending", "落实帮教措施，预防再犯罪")
VETTING = Purpose("未成年人保护法", "62", "staff_vetting", "招聘教职员工，从业查询")
NOTARISING = Purpose("公证法", "29", "notarisation", "办理公证事项，核实有关情况")
NO_GROUND = Purpose("", "", "employment", "招聘前了解应聘者")

POLICE_CASE = "示公刑立字〔2026〕15号"


@dataclass(frozen=True, slots=True)
class Told:
    """What the story says about one question.

    Attributes:
        asked: for the table.
        status: of the answer.
        entry: outcome and codes of the ledger entry; None where there can be none.
        rule: rule IDs that an allow rests on; a refusal names its own.
        alerts: what the feed gets, by the middle of the events' types.
    """

    asked: str
    status: int
    entry: tuple[str, tuple[str, ...]] | None
    rule: str = ""
    alerts: tuple[str, ...] = ()


Steps = Mapping[str, tuple[str, Callable[["Story", bool], list[Row]]]]
"""Name (for ``DEMO_BREAK``) → title and step; a step gets the story and whether its world is to be broken."""


class Story:
    """One telling, on one world."""

    def __init__(self, world: World, teller: Teller, broken: str = "") -> None:
        self.world = world
        self.teller = teller
        self.recorder = Recorder(world)
        self.alerts: list[str] = []
        self._broken = broken
        self._asked: list[tuple[Person, Answer, Told]] = []
        self._letters = time.time_ns() // 10**8  # numbers of an earlier telling are used up

    def tell(self, steps: Steps) -> bool:
        """Tell all steps; whether each went as told. Ends at the first that did not."""
        self.recorder.skip()  # what setting up and an earlier telling have recorded is no part of the story
        for name, (title, step) in steps.items():
            try:
                self.teller.step(title, step(self, name == self._broken))
            except (NotAsTold, SidecarError, OSError) as exc:
                self.teller.failed(name, str(exc))
                return False
        return True

    # --- papers --------------------------------------------------------------------------------------------------

    def letter(
        self, person: Person, subject: str, purpose: Purpose, *, scope: str = "open", uses: int = 1, signer: str = ""
    ) -> str:
        """A letter of the person's unit, signed by its key on the command line."""
        self._letters += 1
        return self.world.cli(
            "letter", "issue",
            "--unit", person.unit.code, "--key", str(self.world.unit_key(signer or person.unit.name)),
            "--number", f"示例函〔2026〕{self._letters}号", "--officer", person.number, "--subject", subject,
            "--database", DATABASE, "--scope", scope, "--basis", f"{purpose.instrument}/{purpose.article}",
            "--purpose", purpose.code, "--uses", str(uses), "--days", "30",
        ).strip()  # fmt: skip

    def application(
        self, person: Person, subject: str, purpose: Purpose, *, until: str = "undertaking", **more: str
    ) -> str:
        """A written application, taken through its states ``until`` that one; its id."""
        token = self.world.token(person)
        body = {
            "database": DATABASE, "subject": {"person_id": subject}, "scope": "sealed", "reason": purpose.reason,
            "basis": purpose.basis, "purpose": purpose.code, **more,
        }  # fmt: skip
        made = self._done(self.world.ask("POST", "/v1/applications", token, body), "application")
        number = str(made["id"])
        path = f"/v1/applications/{number}"
        for action, actor in (("submit", person), ("approve", QIAN), ("undertaking", person)):
            bodies: dict[str, Any] = {"approve": {"valid_days": 30}, "undertaking": self._undertaking(path, token)}
            answer = self.world.ask("POST", f"{path}/{action}", self.world.token(actor), bodies.get(action))
            self._done(answer, action)
            if action == until:
                break
        return number

    def _undertaking(self, path: str, token: str) -> dict[str, str]:
        """The officer's signature under exactly the wording that is shown; none while nothing is to be signed."""
        shown = self._done(self.world.ask("GET", path, token), "application")["to_sign"]
        return {"wording": shown[0]["wording"]} if shown else {}

    @staticmethod
    def _done(answer: Answer, what: str) -> Mapping[str, Any]:
        if answer.status not in {200, 201}:
            raise NotAsTold(f"{what}: expected 200 or 201, got {answer.status} {answer.json().get('code', '')}")
        return answer.json()

    # --- questions -----------------------------------------------------------------------------------------------

    def inquire(self, person: Person | str, subject: str, purpose: Purpose, **more: str) -> Answer:
        """One inquiry by somebody, or with a token of somebody's."""
        token = person if isinstance(person, str) else self.world.token(person)
        body = {
            "database": DATABASE, "subject": {"person_id": subject}, "reason": purpose.reason, "basis": purpose.basis,
            "purpose": purpose.code, **more,
        }  # fmt: skip
        return self.world.ask("POST", "/v1/inquiries", token, body)

    def told(self, person: Person, answer: Answer, told: Told) -> Answer:
        """Check an answer against what is told of it; ``rows`` will check what was recorded of it."""
        self._asked.append((person, answer, told))
        expect("status", told.status, answer.status)
        return answer

    def rows(self) -> list[Row]:
        """Check what ledger and feed got since the last step against all that was told, and make the step's rows."""
        asked, self._asked = self._asked, []
        recorded = self.recorder.news()
        expect("ledger", [told.entry for _, _, told in asked if told.entry], recorded.outcomes())
        alerts = [code for _, _, told in asked for code in told.alerts]
        expect("feed", alerts, recorded.alerts())
        self.alerts += alerts
        return [
            _row(person, answer, told, recorded.about(answer.json().get("inquiry_id", "")))
            for person, answer, told in asked
        ]


def _row(person: Person, answer: Answer, told: Told, recorded: Recorded) -> Row:
    """One question's row; its entry is the one under the answer's own id."""
    outcome, codes = told.entry or ("error", (answer.json().get("code", ""),))
    expect("entries under the answer's id", int(told.entry is not None), len(recorded.entries))
    return Row(
        who=introduce(person),
        asked=told.asked,
        decided=" ".join([outcome, str(answer.status), *codes]),
        rule=told.rule or ", ".join(answer.json().get("rules", [])),
        answer=summary(answer),
        recorded=recorded.text(),
    )


def expect(what: str, wanted: object, got: object) -> None:
    """One thing that the story tells.

    Raises:
        NotAsTold: it is otherwise.
    """
    if wanted != got:
        raise NotAsTold(f"{what}: expected {wanted}, got {got}")


def summary(answer: Answer) -> str:
    """What came back, for the table."""
    body = answer.json()
    if "records" not in body:
        missing = body.get("missing") or []
        return str(body.get("title", "")) + (f"; bring: {', '.join(missing)}" if missing else "")
    shown = [
        ", ".join(f"{k}={v}" for k, v in record.items() if not isinstance(v, dict | list)) for record in body["records"]
    ]
    counted = "1 record" if body["count"] == 1 else f"{body['count']} records"
    return "\n".join([counted, *shown])
