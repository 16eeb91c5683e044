"""The story's steps in front of the archive: a legacy client keeps its calls and changes the address.

Each answer is compared with what the archive itself says over the records that may be seen.
"""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from sidecar.demo import archive, legacy
from sidecar.demo.archive_catalog import ARCHIVE
from sidecar.demo.exchange import Answer, send
from sidecar.demo.people import HAN, Person
from sidecar.demo.story import ALLOWED, CASE, POLICE_CASE, Story, expect
from sidecar.demo.telling import Row, introduce
from sidecar.demo.world import World, write_archive

PROXY: Final = f"/proxy/{ARCHIVE}"

OPENED: Final = replace(legacy.UNMARKED, FARQ="20250102", JARQ="20250601")
"""The unmarked record as an adult's: what a broken world has."""


def archive_json(story: Story, broken: bool) -> list[Row]:
    """JSON through the proxy, with token and headers: byte for byte what the archive says of an open record but the marks."""
    path = f"/persons/{legacy.OPEN.SFZH}/records?page=1&size=20"
    facts = {
        "Inquiry-Reason": "" if broken else quote(CASE.reason),
        "Inquiry-Basis-Instrument": quote(CASE.instrument),
        "Inquiry-Basis-Article": quote(CASE.article),
        "Inquiry-Purpose": CASE.code,
        "Inquiry-Case-Number": quote(POLICE_CASE),
    }
    token = {"Authorization": f"Bearer {story.world.token(HAN)}"}
    answer = send(story.world.url, "GET", PROXY + path, {**token, **facts})
    bare = send(story.world.archive_url, "GET", "/da" + path, _login(story.world))
    expect("status", 200, answer.status)
    expect("body", _without_marks(bare.body), answer.body)
    expect("type", bare.headers["content-type"], answer.headers["content-type"])
    return _told(story, answer, "the archive's JSON, through the proxy", "the archive's own bytes, but the cover mark")


def _without_marks(body: bytes) -> bytes:
    """The archive's answer without cover mark and joint case, which this inquirer may not see (R16b)."""
    answer = json.loads(body)
    for record in answer["data"]["list"]:
        del record["FMBJ"], record["GTFZ"]
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()


def archive_soap(story: Story, broken: bool) -> list[Row]:
    """SOAP in an inquiry session: a person with an unmarked sealed record is answered like one without records."""
    if broken:
        write_archive(story.world, (OPENED, *legacy.TOLD))
    user, word = _session(story, HAN, legacy.UNMARKED.SFZH)
    login = {"Authorization": f"Basic {base64.b64encode(f'{user}:{word}'.encode()).decode()}"}
    kind = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '"urn:archive#getRecords"'}
    answer = send(story.world.url, "POST", f"{PROXY}/soap", login | kind, _query(legacy.UNMARKED.SFZH))
    nobody = send(story.world.archive_url, "POST", "/da/soap", _login(story.world) | kind, _query(legacy.NOBODY))
    expect("status", 200, answer.status)
    expect("body", nobody.body, answer.body)
    expect("sessions' entries and its call's", [ALLOWED] * 2, (recorded := story.recorder.news()).outcomes())
    expect("one inquiry", 1, len({entry["id"] for entry in recorded.entries}))
    asked, came = "the archive's SOAP, in a session", "what the archive says of a person without records"
    return [Row(introduce(HAN), asked, "allow 200", "Q13, S13", came, recorded.text())]


def archive_write(story: Story, broken: bool) -> list[Row]:
    """A call that writes: it is not declared, so it is not there, and the prosecutor hears of it."""
    path = f"{PROXY}/persons/{legacy.OPEN.SFZH}/records"
    token = {"Authorization": f"Bearer {story.world.token(HAN)}"}
    answer = send(story.world.url, "GET" if broken else "DELETE", path, token)
    expect("status", 405, answer.status)
    recorded = story.recorder.news()
    expect("ledger", [("refuse", ("method-not-allowed",))], recorded.outcomes())
    expect("feed", ["undeclared-route"], recorded.alerts())
    story.alerts.append("undeclared-route")
    decided = "refuse 405 method-not-allowed"
    return [Row(introduce(HAN), "DELETE through the proxy", decided, "A1, R18", "nothing", recorded.text())]


def _told(story: Story, answer: Answer, asked: str, came: str) -> list[Row]:
    recorded = story.recorder.news()
    expect("ledger", [ALLOWED], recorded.outcomes())
    expect("receipt", True, bool(answer.headers.get("inquiry-receipt")))
    return [Row(introduce(HAN), asked, "allow 200", "Q1, Q9", came, recorded.text())]


def _session(story: Story, person: Person, subject: str) -> tuple[str, str]:
    body = {
        "database": ARCHIVE, "subject": {"person_id": subject}, "reason": CASE.reason, "basis": CASE.basis,
        "purpose": CASE.code, "case_number": POLICE_CASE,
    }  # fmt: skip
    opened = story.world.ask("POST", "/v1/sessions", story.world.token(person), body)
    expect("status of the session", 201, opened.status)
    return opened.json()["username"], opened.json()["password"]


def _query(number: str) -> bytes:
    return archive.QUERY.format(soap=archive.SOAP, space=archive.SPACE, number=number).encode()


def _login(world: World) -> dict[str, str]:
    """As the archive's own clients log in; through the sidecar nobody needs to."""
    word = (world.folder / ARCHIVE / archive.PASSWORD).read_text(encoding="ascii")
    return {"Authorization": f"Basic {base64.b64encode(f'{archive.USER}:{word}'.encode()).decode()}"}
