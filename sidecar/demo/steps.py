"""The steps of the story, in order; each says what is told of it, and breaks its own world when it is asked to."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from sidecar.demo import faults, legacy
from sidecar.demo.archived import archive_json, archive_soap, archive_write
from sidecar.demo.attacks import ATTACKS
from sidecar.demo.people import HAN, LI, SUN, WANG, WU, ZHAO, ZHOU
from sidecar.demo.recorder import alert
from sidecar.demo.story import (
    ALLOWED,
    CASE,
    NO_GROUND,
    NOTARISING,
    POLICE_CASE,
    PREVENTION,
    VETTING,
    Story,
    Told,
    expect,
    summary,
)
from sidecar.demo.telling import Row, introduce
from sidecar.demo.world import World, ready, wait_for


def complete_papers(story: Story, broken: bool) -> list[Row]:
    """Police with letter, approved application and undertaking: the file."""
    subject = legacy.SEALED.SFZH
    application = story.application(
        LI, subject, CASE, until="submit" if broken else "undertaking", case_number=POLICE_CASE
    )
    letter = story.letter(LI, subject, CASE, scope="sealed")
    answer = story.inquire(
        LI, subject, CASE, scope="sealed", case_number=POLICE_CASE, letter=letter, application_id=application
    )
    story.told(LI, answer, Told("the sealed file, with all papers", 200, ALLOWED, "Q5, Q8, Q9"))
    records = answer.json()["records"]
    expect("records", 2, len(records))
    expect("narrative of each", [legacy.SEALED.BZ.decode("gb18030")] * 2, [r.get("story") for r in records])
    return story.rows()


def no_letter(story: Story, broken: bool) -> list[Row]:
    """The same without the letter."""
    subject = legacy.SEALED.SFZH
    application = story.application(LI, subject, CASE, case_number=POLICE_CASE)
    more = {"letter": story.letter(LI, subject, CASE, scope="sealed")} if broken else {}
    answer = story.inquire(
        LI, subject, CASE, scope="sealed", case_number=POLICE_CASE, application_id=application, **more
    )
    story.told(LI, answer, Told("the same, without the unit's letter", 403, ("refuse", ("letter-missing",))))
    expect("missing", ["letter"], answer.json()["missing"])
    return story.rows()


def forged_token(story: Story, broken: bool) -> list[Row]:
    """A token under the right name and key id, signed by somebody else."""
    genuine = story.world.token(LI)
    header = jwt.get_unverified_header(genuine)
    claims = jwt.decode(genuine, options={"verify_signature": False})
    forged = jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"kid": header["kid"]})
    answer = story.inquire(genuine if broken else forged, legacy.OPEN.SFZH, CASE, case_number=POLICE_CASE)
    expect("status", 401, answer.status)
    expect("code", "token-signature", answer.json().get("code"))
    _finish_minute(story.world)
    recorded = story.recorder.news()
    attempts = recorded.outcomes("attempts")
    expect("ledger", ([], [("refuse", ("token-signature",))]), (recorded.outcomes(), attempts))
    expect("feed", ["token-signature"], recorded.alerts())
    story.alerts.append("token-signature")
    who, asked = "somebody\nas 民警 李敏", "anything, with a forged token"
    return [Row(who, asked, "refuse 401 token-signature", "Q1, R18", summary(answer), recorded.text())]


def _finish_minute(world: World) -> None:
    """SIGHUP: the workers start anew, and record the attempts that they count by the minute."""
    before = world.running().get("gateway")
    world.reload()
    wait_for("the reload", lambda: world.running().get("gateway") not in {None, before} and ready(world))


def letter_twice(story: Story, broken: bool) -> list[Row]:
    """A one-time letter, used twice."""
    letter = story.letter(WANG, legacy.OPEN.SFZH, VETTING, uses=2 if broken else 1)
    first = Told("with a one-time letter", 200, ALLOWED, "Q5, R17")
    story.told(WANG, story.inquire(WANG, legacy.OPEN.SFZH, VETTING, letter=letter), first)
    again = Told("with the same letter again", 403, ("refuse", ("letter-used",)), "R17, R18", ("letter-replayed",))
    story.told(WANG, story.inquire(WANG, legacy.OPEN.SFZH, VETTING, letter=letter), again)
    return story.rows()


def other_person(story: Story, broken: bool) -> list[Row]:
    """A letter that names another person."""
    subject = legacy.OPEN.SFZH
    letter = story.letter(WANG, subject if broken else legacy.NOBODY, VETTING)
    answer = story.inquire(WANG, subject, VETTING, letter=letter)
    code = "letter-subject-mismatch"
    story.told(WANG, answer, Told("with a letter for another person", 403, ("refuse", (code,)), alerts=(code,)))
    return story.rows()


def three_answers(story: Story, broken: bool) -> list[Row]:
    """A school with a lawful basis, about a sealed person, a person without record, and one with an open record."""
    if broken:  # the unmarked record is an adult's
        faults.change_case(story.world, legacy.UNMARKED, FARQ="20250102")
    answers = []
    subjects = (
        ("a person with a sealed record", legacy.UNMARKED.SFZH),
        ("a person without record", legacy.NOBODY),
        ("a person with an open record", legacy.OPEN.SFZH),
    )
    for asked, subject in subjects:
        letter = story.letter(WANG, subject, VETTING)
        answer = story.inquire(WANG, subject, VETTING, letter=letter)
        answers.append(story.told(WANG, answer, Told(asked, 200, ALLOWED, "Q12, Q13, R16")))
    sealed, nobody, opened = answers
    expect("answer about the sealed person, but for ids, receipt and Date", nobody.anonymous(), sealed.anonymous())
    expect("records of the open one", 1, opened.json()["count"])
    story.teller.bytes("Sealed person: the answer's bytes (own ids, receipt and Date put out)", sealed)
    story.teller.bytes("Person without record: the same bytes", nobody)
    return story.rows()


def employer(story: Story, broken: bool) -> list[Row]:
    """An employer without basis."""
    ground = VETTING if broken else NO_GROUND
    more = {"letter": story.letter(ZHAO, legacy.OPEN.SFZH, ground)} if broken else {}
    answer = story.inquire(ZHAO, legacy.OPEN.SFZH, ground, **more)
    told = Told("an applicant's record, without basis", 403, ("refuse", ("basis-missing", "letter-missing")))
    story.told(ZHAO, answer, told)
    return story.rows()


def court(story: Story, broken: bool) -> list[Row]:
    """A court without case number."""
    more = {"case_number": "（2026）浙0199刑初12号"} if broken else {}
    answer = story.inquire(SUN, legacy.OPEN.SFZH, CASE, **more)
    story.told(SUN, answer, Told("for a trial, without case number", 403, ("refuse", ("case-number-missing",))))
    return story.rows()


def three_fields(story: Story, broken: bool) -> list[Row]:
    """Another unit with complete papers: whether punished, the crime, the term, and nothing else."""
    subject = legacy.SEALED.SFZH
    application = story.application(WU, subject, NOTARISING, until="approve" if broken else "undertaking")
    letter = story.letter(WU, subject, NOTARISING, scope="sealed")
    answer = story.inquire(WU, subject, NOTARISING, scope="sealed", letter=letter, application_id=application)
    story.told(WU, answer, Told("the sealed record, with all papers", 200, ALLOWED, "Q9, R15"))
    expect("fields of each record", [THREE_FIELDS] * 2, [sorted(r) for r in answer.json()["records"]])
    return story.rows()


THREE_FIELDS = ["crime", "punished", "term"]


def sixty_months(story: Story, broken: bool) -> list[Row]:
    """Seventeen at the offence: exactly 60 months is sealed, 61 is not."""
    if broken:
        faults.change_case(story.world, legacy.SIXTY, XQ_YUE=61)
    exactly, more = (legacy.SIXTY, "17 years, exactly 60 months", 0), (legacy.SIXTY_ONE, "17 years, 61 months", 1)
    return _open_questions(story, "S1, S2", exactly, more)


def birthday(story: Story, broken: bool) -> list[Row]:
    """An offence on the 18th birthday is a minor's, the day after an adult's."""
    if broken:
        faults.change_case(story.world, legacy.ON_BIRTHDAY, FARQ="20230602")
    on, after = (legacy.ON_BIRTHDAY, "offence on the 18th birthday", 0), (legacy.AFTER_BIRTHDAY, "the day after", 1)
    return _open_questions(story, "S5", on, after)


def _open_questions(story: Story, rule: str, *cases: tuple[legacy.Case, str, int]) -> list[Row]:
    """Open-scope questions about one case after the other, and how many records each shows."""
    for case, asked, count in cases:
        answer = story.inquire(HAN, case.SFZH, CASE, case_number=POLICE_CASE)
        story.told(HAN, answer, Told(f"open records: {asked}", 200, ALLOWED, rule))
        expect(f"records, {asked}", count, answer.json()["count"])
    return story.rows()


def engine_down(story: Story, broken: bool) -> list[Row]:
    """OPA killed in the middle, or an unapproved revision swapped in: 503, recorded, nothing released."""
    opa = story.world.choice.engine == "opa"
    code = "engine-unavailable" if opa else "revision-unapproved"
    asked = "while OPA is killed" if opa else "with an unapproved revision swapped in"
    fault = faults.opa_killed if opa else faults.revision_swapped
    with contextlib.nullcontext() if broken else fault(story.world):
        down = story.inquire(HAN, legacy.OPEN.SFZH, PREVENTION, case_number=POLICE_CASE)
    wait_for("the engine's return", lambda: ready(story.world))
    story.told(HAN, down, Told(asked, 503, ("error", (code,)), "P1", (code,)))
    expect("released", None, down.json().get("records"))
    _again(story)
    return story.rows()


def ledger_down(story: Story, broken: bool) -> list[Row]:
    """The ledger cannot be written: nothing is released."""
    token = story.world.token(HAN)
    with contextlib.nullcontext() if broken else faults.ledger_unavailable(story.world):
        down = story.inquire(token, legacy.OPEN.SFZH, CASE, case_number=POLICE_CASE)
    wait_for("the ledger's return", lambda: ready(story.world))
    story.told(HAN, down, Told("while the ledger is unavailable", 503, None, "P2, E3"))
    expect("code", "ledger-unavailable", down.json().get("code"))
    expect("the crime in the answer", False, legacy.OPEN.ZM.encode() in down.raw)
    _again(story)
    return story.rows()


def _again(story: Story) -> None:
    """The same question once the fault is over."""
    answer = story.inquire(HAN, legacy.OPEN.SFZH, CASE, case_number=POLICE_CASE)
    story.told(HAN, answer, Told("again, the fault is over", 200, ALLOWED, "Q1, Q9"))
    expect("records", 1, answer.json()["count"])


def feed(story: Story, broken: bool) -> list[Row]:
    """The feed as the prosecutor sees it; officers may not read it."""
    if broken:
        letter = story.letter(WANG, legacy.NOBODY, VETTING)
        story.inquire(WANG, legacy.OPEN.SFZH, VETTING, letter=letter)
    story.recorder.news()
    expect("alerts", story.alerts, [alert(event) for event in story.recorder.events])
    refused = story.world.ask("GET", "/oversight/v1/events?after=0", story.world.token(LI))
    expect("an officer's attempt to read the feed", 403, refused.status)
    story.recorder.news()
    return [
        Row(
            introduce(ZHOU),
            f"event {event['sequence']}",
            str(event["severity"]),
            ", ".join(event["data"].get("rules", [])),
            str(event["type"]),
            f"entry at position {event['position']}\n{event['data'].get('unit', '')} {event['data'].get('officer', '')}",
        )
        for event in story.recorder.events
    ]


def verification(story: Story, broken: bool) -> list[Row]:
    """The ledger verifies: every entry, chain, position and event."""
    if broken:
        faults.tamper(story.world)
    done = story.world.try_cli("ledger", "verify", "--json")
    report = json.loads(done.stdout or "{}")
    expect("exit status of `sidecar ledger verify`", (0, None), (done.returncode, report.get("fault")))
    expect("entries that wait for a position", 0, report["pending"])
    text = f"{report['size']} entries of {report['writers']} writers, {report['events']} events"
    return [Row("anybody with\nthe export", "sidecar ledger verify", "intact", "E2", text, f"root {report['root']}")]


Step = Callable[[Story, bool], list[Row]]

STEPS: Mapping[str, tuple[str, Step]] = {
    "complete-papers": ("Police with complete papers and an approved application", complete_papers),
    "no-letter": ("The same without letter", no_letter),
    "forged-token": ("A forged token", forged_token),
    "letter-twice": ("A one-time letter used twice", letter_twice),
    "other-person": ("A letter for another person", other_person),
    "three-answers": ("A school with a lawful basis asks about three people", three_answers),
    "employer": ("An employer without basis", employer),
    "court": ("A court without case number", court),
    "three-fields": ("Another unit gets three fields", three_fields),
    "sixty-months": ("Exactly 60 and 61 months", sixty_months),
    "birthday": ("The offence on and after the 18th birthday", birthday),
    "archive-json": ("An old HTTP service's JSON, through the proxy", archive_json),
    "archive-soap": ("Its SOAP, in an inquiry session, about a person with a sealed record", archive_soap),
    "archive-write": ("A call that writes", archive_write),
    "engine-down": ("The policy engine fails", engine_down),
    "ledger-down": ("The ledger is unavailable", ledger_down),
    "feed": ("The feed as the prosecutor sees it", feed),
    **ATTACKS,
    "verification": ("The ledger's verification", verification),
}
"""Name (for ``DEMO_BREAK``) → title and step, in the order of the story."""
