"""Reads the YAML files of imports into strict models; no value of theirs, which may be a subject's, is ever repeated."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from sidecar.errors import ConfigurationError
from sidecar.law.days import day_of, parse_day
from sidecar.law.identifiers import normalise
from sidecar.settings import SettingsInvalid, load_yaml

MAX_FILE_BYTES = 4 * 1024 * 1024
"""Far above the longest list that one import takes."""


class Part(BaseModel):
    """A part of a file: no unknown members."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _day(value: Any) -> int:
    day = day_of(value) if type(value) is date else parse_day(value) if isinstance(value, str | int) else None
    if day is None:
        raise ValueError("expected a date, YYYY-MM-DD")
    return day


def _digits(value: Any) -> Any:
    # YAML reads a number of digits as an integer; none of ours begins with 0, so its text is the number again
    return str(value) if type(value) is int else value


def _text(value: Any) -> Any:
    return normalise(value) if isinstance(value, str) else value


Day = Annotated[int, BeforeValidator(_day)]
Text = Annotated[str, BeforeValidator(_text)]
Digits = Annotated[str, BeforeValidator(_digits)]
M = TypeVar("M", bound=BaseModel)


def read_file(path: Path, model: type[M]) -> tuple[M, bytes]:
    """The file as the model, and its bytes.

    Raises:
        ConfigurationError: it cannot be used; the text names the places, never their values.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise ConfigurationError(f"{path}: cannot be read: {exc.strerror}") from exc
    if len(data) > MAX_FILE_BYTES:
        raise ConfigurationError(f"{path}: expected at most {MAX_FILE_BYTES} bytes")
    try:
        return model.model_validate(load_yaml(data.decode("utf-8"))), data
    except (UnicodeDecodeError, yaml.YAMLError, SettingsInvalid):
        # without the cause: its text may quote the file
        raise ConfigurationError(f"{path}: cannot be read as YAML in UTF-8 with unique keys") from None
    except ValidationError as exc:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors(include_input=False))
        raise ConfigurationError(f"{path}: {problems}") from None
