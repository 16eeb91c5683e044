"""Runs fuzzers under atheris, one after the other: ``python -m tests.fuzz.run [TARGET …]``; ``FUZZ_SECONDS`` each (60).

What a fuzzer learns is kept in ``.fuzz/corpus``, a finding in ``.fuzz/findings``: it belongs into ``tests/fuzz/corpus`` with
a line that says what it found, once it is mended.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.fuzz.corpus import CORPUS, names

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".fuzz"
LONGEST = 65_536
"""Bytes of an input."""


def fuzz(name: str, arguments: list[str]) -> None:
    """One fuzzer, in this process; ends it."""
    import atheris  # noqa: PLC0415  # only here: it is no part of the tests' environment

    with atheris.instrument_imports(include=["sidecar", "json"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415  # instrumented while it is imported
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name].run)
    atheris.Fuzz()


def run(name: str, seconds: int) -> bool:
    """One fuzzer as a process of its own; whether it found nothing."""
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415  # not instrumented here

    learned, findings, words = KEPT / "corpus" / name, KEPT / "findings", KEPT / f"{name}.dict"
    for folder in (learned, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds):
        (learned / f"seed-{number}").write_bytes(seed)
    words.write_text("".join(f'"{_quoted(word)}"\n' for word in TARGETS[name].words), encoding="ascii")
    command = [
        sys.executable, "-m", "tests.fuzz.run", "--one", name, str(learned), str(CORPUS / name), *([f"-dict={words}"] if TARGETS[name].words else []), f"-max_len={LONGEST}",
        f"-max_total_time={seconds}", f"-artifact_prefix={findings}/{name}-", "-rss_limit_mb=2048", "-timeout=20", "-print_final_stats=1",
    ]  # fmt: skip
    (CORPUS / name).mkdir(exist_ok=True)
    return subprocess.run(command, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode == 0


def _quoted(word: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in word)


def main(arguments: list[str]) -> int:
    """All fuzzers, or those that are named."""
    if arguments[:1] == ["--one"]:
        fuzz(arguments[1], arguments[2:])
    seconds = int(os.environ.get("FUZZ_SECONDS", "60"))
    failed = [name for name in arguments or names() if not run(name, seconds)]
    print(f"findings: {', '.join(failed) or 'none'}")  # noqa: T201  # a command
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
