"""``sidecar serve``, ``db``, ``check``, ``doctor`` and ``openapi``: running a deployment."""

from __future__ import annotations

import platform
from dataclasses import asdict
from typing import get_args

import click
from rich.console import Console

from sidecar import __version__
from sidecar.cli.context import State, json_option, pass_state, print_json, progress
from sidecar.cli.database import database
from sidecar.ledger.open import create_ledger
from sidecar.ledger.roles import Part
from sidecar.papers.roles import grants
from sidecar.policy.supervisor import find_opa
from sidecar.serve.preflight import Finding, Preflight
from sidecar.storage import migrate


@click.command()
@pass_state
def serve(state: State) -> None:
    """Serve until SIGTERM: gateway workers, sequencer and, where it is the engine, OPA.

    Refuses to start where answers would be wrong or entries lost, and says what to do. SIGHUP takes up changed settings
    and a newly activated revision.
    """
    from sidecar.serve.start import serve as run  # noqa: PLC0415  # brings the server

    run(state.file, state.clock)


@click.group()
def db() -> None:
    """The state database."""


@db.command("upgrade")
@json_option
@pass_state
def upgrade(state: State, as_json: bool) -> None:
    """Bring the state database to this release's schema; make database file and ledger where there are none."""
    with database(state, create=True) as engine:
        applied = migrate.upgrade(engine)
        created = create_ledger(engine, state.settings.deployment.id, state.clock)
    if as_json:
        print_json({"applied": list(applied), "schema": migrate.head(), "ledger_created": created})
    else:
        click.echo(
            f"schema {migrate.head()}: {len(applied)} migrations applied" + (", ledger created" if created else "")
        )


@db.command("grants")
@click.argument("role")
@click.option("--part", type=click.Choice(get_args(Part)), default="gateway", show_default=True, help="What it serves.")
def db_grants(role: str, part: Part) -> None:
    """Print the rights of a PostgreSQL ROLE, as SQL for the tables' owner: `sidecar db grants web | psql`."""
    for statement in grants(part, role):
        click.echo(f"{statement};")


@click.command()
@click.option("--rows", type=click.IntRange(0, 1_000_000), default=0, show_default=True, help="Live rows to grade on.")
@click.option("--qualify", is_flag=True, help="Try each database's dialect on awkward texts, with --rows on live rows.")
@json_option
@pass_state
def check(state: State, rows: int, qualify: bool, as_json: bool) -> int:
    """Check what `serve` checks before it starts; exit status 0 only if it would start with every database open.

    With --rows each catalog is graded on so many live rows as well: how many are sealed and by which rule, which
    attributes stay undecidable, which codes are not mapped, and whether the compiled filter and the classification of
    single records agree; it fails if they do not. It says the most rows of one person, and which index a look-up lacks.
    Counts and names only: no value of a row is shown; --json names rows with a fault by their key's pseudonym.
    """
    preflight = Preflight(state.settings, state.clock, rows, qualified=qualify)
    findings = list(progress(preflight.findings(), "checking"))
    _tell(findings, as_json)
    return 0 if all(finding.ok for finding in findings) else 1


def _tell(findings: list[Finding], as_json: bool) -> None:
    if as_json:
        print_json([_document(finding) for finding in findings])
        return
    console = Console()
    for finding in findings:
        mark = "[green]ok[/]  " if finding.ok else "[red]FAIL[/]"
        console.print(f"{mark} {finding.name}: ", end="")
        console.print(finding.text, markup=False, highlight=False)


def _document(finding: Finding) -> dict[str, object]:
    found: dict[str, object] = {"check": finding.name, "ok": finding.ok, "text": finding.text}
    if finding.grade is not None:
        found["grade"] = asdict(finding.grade)
    return found


@click.command()
@json_option
@pass_state
def doctor(state: State, as_json: bool) -> int:
    """Say what this deployment consists of, which parts are there, and what is wrong with it."""
    facts = _facts(state)
    findings = list(Preflight(state.settings, state.clock).findings())
    if as_json:
        print_json({"facts": facts, "findings": [{"check": f.name, "ok": f.ok, "text": f.text} for f in findings]})
    else:
        for name, text in facts.items():
            click.echo(f"     {name}: {text}")
        _tell(findings, as_json=False)
    return 0 if all(finding.ok for finding in findings) else 1


def _facts(state: State) -> dict[str, str]:
    """Versions and places; no secret."""
    opa = find_opa(state.settings)
    return {
        "sidecar": __version__,
        "python": platform.python_version(),
        "settings": str(state.config or "defaults and environment"),
        "opa": f"{opa.path} {opa.text}" if opa else "none: the policies run as WebAssembly",
        "listens on": f"{state.settings.server.bind}:{state.settings.server.port}",
    }


@click.command()
def openapi() -> None:
    """Print the API's description, OpenAPI 3.1 as JSON."""
    from sidecar.web.openapi import document  # noqa: PLC0415  # brings the web application

    print_json(document())
