"""``sidecar bypass-watch``: reads of the legacy databases that did not go through the sidecar (A1d)."""

from __future__ import annotations

import json
import signal
import threading

import click

from sidecar.cli.context import State, json_option, pass_state, print_json
from sidecar.cli.database import database_and_ledger
from sidecar.errors import LedgerUnavailable
from sidecar.keys.ring import YearKeys
from sidecar.law.days import beijing_day
from sidecar.oversight.bypass.open import open_watch
from sidecar.oversight.bypass.watch import BypassWatch, Report
from sidecar.policy.revisions import load_active


@click.command("bypass-watch")
@click.option("--once", is_flag=True, help="Look once; exit status 1 where anything was found.")
@click.option(
    "--from-start", is_flag=True, help="Read audits that were never looked at from their start, not from now on."
)
@json_option
@pass_state
def bypass_watch(state: State, once: bool, from_start: bool, as_json: bool) -> int:
    """Watch the legacy databases' own audits for reads that no inquiry made.

    Whatever reads the watched tables or services without an inquiry's id, or with one that has no entry in the ledger,
    becomes an entry and an alert for the procuratorate. It is recorded once, whatever is killed meanwhile. Without
    --once it looks every `bypass.poll_ms` until it is told to end, and prints what it has recorded, with --json one object
    a line. Of the keys it needs the year's pseudonym key only.
    """
    settings = state.settings
    with database_and_ledger(state) as (engine, ledger):
        revision = load_active(engine, settings)
        keys = YearKeys(settings.path(settings.keys.directory))

        def keyed(kind: str, value: str) -> str:
            return keys.keyed_hash(kind, value, beijing_day(state.clock.now()) // 10000)

        watch = open_watch(settings, revision, engine=engine, ledger=ledger, clock=state.clock, keyed=keyed)
        if once:
            return _once(watch, from_start=from_start, as_json=as_json)
        _follow(watch, settings.bypass.poll_ms / 1000, from_start=from_start, as_json=as_json)
    return 0


def _once(watch: BypassWatch, *, from_start: bool, as_json: bool) -> int:
    reports = list(watch.look(from_start=from_start))
    if as_json:
        print_json([report.document() for report in reports])
    else:
        for report in reports:
            _tell(report)
    return 1 if any(report.findings for report in reports) else 0


def _tell(report: Report) -> None:
    document = report.document()
    click.echo(
        f"{report.source}: {report.records} records up to {document['until']}: {report.own} reads of inquiries, "
        f"{report.findings} past the sidecar in {len(report.entries)} entries"
    )
    for found in report.found:
        for name, text in sorted(found.items()):
            if name.startswith("found_"):
                click.echo(f"  {text}")


def _follow(watch: BypassWatch, seconds: float, *, from_start: bool, as_json: bool) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    failing = False
    while True:
        try:
            for report in watch.look(from_start=from_start):
                if report.entries:
                    click.echo(json.dumps(report.document(), sort_keys=True)) if as_json else _tell(report)
            failing = False
        except LedgerUnavailable as exc:  # it goes on where it stood
            if not failing:
                click.echo(f"waiting: {exc.diagnostics()}", err=True)
            failing = True
        if stop.wait(seconds):
            return
