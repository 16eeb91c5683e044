from __future__ import annotations

import json
import logging

import pytest
import structlog

from sidecar.settings import Logging
from sidecar.web.logging import configure


@pytest.fixture
def lines(capsys):
    root = logging.getLogger()
    before, level = root.handlers[:], root.level

    def read():
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    yield read
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_only_names_on_the_list_are_written(lines):
    configure(Logging(level="info", format="json"))
    structlog.get_logger("x").warning("refused", code="letter-used", subject="330102200506010017", token="ey")
    (line,) = lines()
    assert set(line) == {"event", "code", "level", "timestamp"}
    assert (line["event"], line["code"], line["level"]) == ("refused", "letter-used", "warning")


def test_of_an_exception_only_its_kind_is_written(lines):
    configure(Logging(level="info", format="json"))
    try:
        int("330102200506010017x")
    except ValueError:
        structlog.get_logger("x").exception("fault")
    (line,) = lines()
    assert line["error"] == "ValueError"
    assert "330102" not in json.dumps(line)


def test_a_librarys_message_is_withheld(lines):
    configure(Logging(level="debug", format="json"))
    logging.getLogger("urllib3").error("GET /%s", "330102200506010017")
    (line,) = lines()
    assert (line["logger"], line["level"]) == ("urllib3", "error")
    assert "330102" not in json.dumps(line)


def test_what_is_below_the_level_is_not_written(lines):
    configure(Logging(level="error", format="json"))
    structlog.get_logger("x").warning("refused")
    logging.getLogger("y").warning("refused")
    assert lines() == []


def test_the_text_form_has_the_same_names(lines, capsys):
    configure(Logging(level="info", format="text"))
    structlog.get_logger("x").info("hello", code="c", subject="330102200506010017")
    text = capsys.readouterr().err
    assert "hello" in text
    assert "330102" not in text
