"""``sidecar letter``: sign unit letters, and read what a letter says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sidecar.cli.context import State, json_option, pass_state, print_json
from sidecar.papers.issue import Draft, issue_letter, split_basis


@click.group()
def letter() -> None:
    """Unit letters (单位公函) as signed documents."""


@letter.command("issue")
@click.option("--unit", required=True, help="Credit code of the unit that writes.")
@click.option(
    "--key", required=True, type=click.Path(path_type=Path, exists=True), help="The unit's private key (PEM)."
)
@click.option("--kid", default="", help="Name of the key in the registry. Default: its thumbprint.")
@click.option("--audience", help="Deployment that it is for. Default: this one.")
@click.option("--number", required=True, help="Letter number, e.g. 京公法字〔2026〕337号.")
@click.option("--officer", required=True, help="Number of the officer who brings it.")
@click.option(
    "--subject", "subjects", multiple=True, required=True, help="Citizen number or name/YYYY-MM-DD; again for more."
)
@click.option("--database", "databases", multiple=True, required=True, help="Database that it covers; again for more.")
@click.option(
    "--scope", type=click.Choice(["open", "sealed"]), default="open", show_default=True, help="What may be asked for."
)
@click.option("--basis", required=True, help="Legal basis: INSTRUMENT/ARTICLE.")
@click.option("--purpose", required=True, help="Purpose code.")
@click.option(
    "--days", type=click.IntRange(1, 366), default=30, show_default=True, help="Days it is valid, from today."
)
@click.option("--uses", type=click.IntRange(1, 1000), default=1, show_default=True, help="How often it may be used.")
@json_option
@pass_state
def issue(state: State, /, *, key: Path, kid: str, as_json: bool, **stated: Any) -> None:
    """Print a letter signed by a unit's key, as a compact JWS for the inquiry's `letter`."""
    stated["audience"] = stated["audience"] or state.settings.deployment.id
    stated["basis"] = split_basis(stated["basis"])
    text = issue_letter(Draft(**stated), key, state.clock.now(), kid)
    if as_json:
        print_json({"letter": text, "number": stated["number"]})
    else:
        click.echo(text)
