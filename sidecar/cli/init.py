"""``sidecar init``: a first catalog for a database that nobody described."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import click
from rich.console import Console

from sidecar.cli.context import State, json_option, pass_state, print_json
from sidecar.errors import ConfigurationError
from sidecar.policy.types import Joint, RecordKind
from sidecar.records import draft
from sidecar.records.catalog import Penalty, parse
from sidecar.records.connectors.sql import open_driver
from sidecar.records.driver import Limits
from sidecar.records.propose import NONE, SURE, Guess, Proposal, Table, propose
from sidecar.records.survey import survey

TIMEOUT_MS = 30_000
"""A sample of a large table on an old server."""

_MEANINGS = {
    "attributes.kind": tuple(map(str, RecordKind)),
    "attributes.joint": tuple(map(str, Joint)),
    "attributes.sentence_months": get_args(Penalty),
}
_ASKED = (
    "subject.person_id", "subject.name", "attributes.minor.birth", "attributes.minor.offences", "attributes.sentence_months",
    "attributes.kind", "attributes.joint", "attributes.seal_mark", "attributes.concluded", "released.crime",
)  # fmt: skip


@click.command("init")
@click.argument("database")
@click.option(
    "--dsn-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="File with the database's URL.",
)
@click.option("--table", help="Propose this table; by default the one that looks most like criminal records.")
@click.option("--schema", help="Schema of the tables; by default the connection's own.")
@click.option(
    "--rows", type=click.IntRange(1, 100_000), default=500, show_default=True, help="Rows read of each table."
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Catalog to write. Default: DATABASE.yaml."
)
@click.option("--yes", is_flag=True, help="Ask nothing: take what is sure, leave out the rest.")
@json_option
@pass_state
def init(
    state: State, /, *, database: str, dsn_file: Path, table: str | None, schema: str | None, rows: int, out: Path | None,
    yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Propose a catalog for DATABASE from its live columns and the shapes of their values, and write it.

    Reads only. Values are looked at here and leave nothing behind but names of columns, formats, and codes whose meaning
    is known or was given. Whatever is not sure is left out, hence withheld, unless you say what it is. With --json
    nothing is asked. Read the file against the database, then run `sidecar check --rows`.
    """
    target = out or Path(f"{database}.yaml")
    if target.exists():
        raise ConfigurationError(f"{target} is there already: move it away, or name another file with --out")
    tables = _tables(state, database, dsn_file, rows, schema)
    proposal = _found(propose(tables, table), table)
    if not yes and not as_json:
        proposal = _asked(proposal, tables)
    text = draft.write(proposal, database, _relative(dsn_file, target), schema)
    parse(text, str(target))
    target.write_text(text, encoding="utf-8")
    if as_json:
        print_json({**draft.document(proposal), "file": str(target)})
        return
    _tell(proposal)
    click.echo(f"wrote {target}: read it, then add it to policy.catalogs and run `sidecar check --rows 10000`")


def _tables(state: State, database: str, dsn_file: Path, rows: int, schema: str | None) -> list[Table]:
    try:
        dsn = dsn_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{dsn_file} cannot be read") from exc
    driver = open_driver(dsn, dsn_file.parent, database, Limits(TIMEOUT_MS, 1), state.clock)
    try:
        return survey(driver, rows, schema)
    finally:
        driver.close()


def _found(proposal: Proposal | None, table: str | None) -> Proposal:
    if proposal is None:
        raise ConfigurationError(f"no table{f' {table}' if table else ''} to propose a catalog for")
    return proposal


def _relative(dsn_file: Path, target: Path) -> str:
    folder = target.resolve().parent
    path = dsn_file.resolve()
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _asked(proposal: Proposal, tables: list[Table]) -> Proposal:
    """The proposal after a person looked at it: columns first, then codes."""
    click.echo(f"table {proposal.table}, key {', '.join(proposal.key) or 'not found'}")
    answers = {part: _column(part, proposal) for part in _ASKED}
    changed = _found(propose(tables, proposal.table, answers), proposal.table)
    return replace(changed, guesses=tuple(_with_codes(guess) for guess in changed.guesses))


def _column(part: str, proposal: Proposal) -> str:
    guess = proposal.of(part)
    own = draft.column(guess) if guess is not None else NONE
    known = [name for name in dict.fromkeys((own, *proposal.others.get(part, ()))) if name != NONE]
    sure = f", {guess.confidence:.0%}: {guess.reason}" if guess is not None else ""
    default = own if guess is not None and guess.confidence >= SURE else NONE
    answer: str = click.prompt(
        f"{part} ({' '.join(known) or 'no column fits'}{sure}); {NONE} for none", default=default
    )
    return answer


def _with_codes(guess: Guess) -> Guess:
    """The guess with the codes that a person explains; what is not explained stays unknown."""
    place = draft.MEANINGS.get(guess.part)
    if place is None or not guess.open:
        return guess
    told = {}
    for code in guess.open:
        meaning = click.prompt(
            f"{guess.part}: what is {code!r}", type=click.Choice([*_MEANINGS[guess.part], "unknown"]), default="unknown"
        )
        if meaning != "unknown":
            told[code] = meaning
    codes = {**guess.value[place], **told}
    return replace(guess, value={**guess.value, place: codes}, confidence=1.0 if codes else guess.confidence)


def _tell(proposal: Proposal) -> None:
    console = Console()
    for guess in proposal.guesses:
        mark = "[green]taken[/]   " if draft.taken(guess) else "[yellow]left out[/]"
        unmapped = f"; {len(guess.open)} codes are not mapped" if guess.open else ""
        console.print(f"{mark} {guess.confidence:4.0%} ", end="")
        console.print(f"{guess.part}: {draft.column(guess)}: {guess.reason}{unmapped}", markup=False, highlight=False)
