"""The demo from beginning to end: make the world, tell the story, serve until Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from rich.console import Console

from sidecar.demo import legacy
from sidecar.demo.people import PEOPLE
from sidecar.demo.steps import STEPS
from sidecar.demo.story import Story
from sidecar.demo.telling import Teller
from sidecar.demo.world import Choice, DemoFailed, World, again, build, choose, wait_while_serving

FAILED = 1


def run(
    folder: Path, environment: Mapping[str, str], console: Console, *, once: bool, reuse: bool, only: Sequence[str]
) -> int:
    """Run the demo; 0 only if every step went as told.

    Args:
        folder: where its state goes.
        environment: ``DEMO_DB``, ``DEMO_ENGINE``, ``DEMO_BREAK``, ``SIDECAR_OPA``.
        console: where the story is told.
        once: end after the story.
        reuse: tell it on the world that is in the folder; where another demo serves it, end after the story.
        only: names of the steps to tell; all of them where there is none.

    Raises:
        DemoFailed: the world cannot be made.
    """
    broken = environment.get("DEMO_BREAK", "")
    if broken and broken not in STEPS:
        raise DemoFailed(f"DEMO_BREAK: expected one of {', '.join(STEPS)}, got {broken}")
    choice = choose(environment)
    teller = Teller(console)
    teller.plain(_headline(choice))
    signal.signal(signal.SIGTERM, _interrupt)
    with (again if reuse else build)(folder, choice, teller.note) as world:
        steps = {name: step for name, step in STEPS.items() if not only or name in only}
        if not Story(world, teller, broken).tell(steps):
            return FAILED
        teller.plain(f"All {len(steps)} steps went as told.\n")
        if not once and world.processes:
            _serve(world, teller)
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends the demo as Ctrl-C does: everything it started is ended."""
    del number, frame
    raise KeyboardInterrupt


def _headline(choice: Choice) -> str:
    engine = "OPA server" if choice.engine == "opa" else "WebAssembly in process (no OPA is used)"
    return f"Demo on {choice.database}, policies by {engine}.\n"


def _serve(world: World, teller: Teller) -> None:
    """Say what can be tried, and go on until Ctrl-C."""
    teller.plain(_commands(world))
    try:
        wait_while_serving(world)
    except KeyboardInterrupt:
        teller.plain("\nEnding.")


def _commands(world: World) -> str:
    sidecar = f".venv/bin/sidecar --config {_shown(world.config)}"
    people = ", ".join(f"{person.name} ({person.title})" for person in PEOPLE)
    body = (
        f'{{"database": "county", "subject": {{"person_id": "{legacy.OPEN.SFZH}"}}, "reason": "侦办盗窃案", '
        '"basis": {"instrument": "刑事诉讼法", "article": "286"}, "purpose": "case_handling", "case_number": "示公刑立字〔2026〕15号"}'
    )
    return "\n".join(
        (
            f"Serving at {world.url} until Ctrl-C. Try, in another terminal:",
            "",
            f"  curl -s {world.url}/v1/inquiries -H 'Content-Type: application/json' \\",
            f'    -H "Authorization: Bearer $({sidecar} demo token han)" \\',
            f"    -d '{body}'",
            f"  curl -s '{world.url}/oversight/v1/events?after=0' -H \"Authorization: Bearer $({sidecar} demo token zhou)\"",
            f"  {sidecar} ledger verify",
            f"  {sidecar} policy show",
            f"  {sidecar} doctor",
            "",
            f"People: {people}.",
        )
    )


def _shown(file: Path) -> str:
    """The path as one would type it here."""
    try:
        return str(file.relative_to(Path.cwd()))
    except ValueError:
        return str(file)
