"""The regression corpus: inputs that have found something, a folder a target, each told in ``corpus/README.md``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"


def names() -> list[str]:
    """Of all targets."""
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415  # a fuzzer imports it instrumented

    return list(TARGETS)


def found() -> Iterator[tuple[str, Path]]:
    """Target and file of each input."""
    for file in sorted(CORPUS.glob("*/*")):
        yield file.parent.name, file
