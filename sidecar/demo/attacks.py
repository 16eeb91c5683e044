"""Attacks on the ledger by whoever holds it, on copies: altered, truncated, written anew as a whole, set back.

Each is told with what catches it: our verifier, Tessera's ``fsck`` where it is installed, and the procuratorate's witness.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import requests

from sidecar.demo.story import Story, expect
from sidecar.demo.telling import Row
from sidecar.demo.world import World, free_port, wait_for
from sidecar.keys.files import read_ed25519_private
from sidecar.ledger import entry, merkle
from sidecar.ledger.checkpoint import Checkpoint
from sidecar.ledger.evidence import read_checkpoint, read_key
from sidecar.ledger.verify import Export, Kept, verify
from sidecar.serve.process import end, spawn
from sidecar.serve.witness import create

ATTACKER = "whoever holds\nthe database"
OWNER = "whoever holds\ndatabase and\nlog key"
FSCK_SECONDS = 30
"""On a bad full tile fsck may not return."""

ANSWER_SECONDS = 30.0

ACCEPTED = "Successfully fsck'd log"
Lines = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Copy:
    """An export of the ledger: JSON lines, and tiles with the signed checkpoint and its key."""

    lines: Path
    tiles: Path

    @property
    def verifier(self) -> Path:
        """The log's verifier key."""
        return next(self.tiles.glob("*.vkey"))

    @property
    def checkpoint(self) -> Path:
        """The signed checkpoint."""
        return self.tiles / "checkpoint"

    def size(self) -> int:
        """The signed size."""
        return int(self.checkpoint.read_text("utf-8").split("\n")[1])

    def entries(self) -> Lines:
        """The exported entries."""
        return [json.loads(line) for line in (self.lines / "entries.jsonl").read_text("utf-8").splitlines()]

    def write(self, entries: Lines) -> None:
        """Put others in their place."""
        text = "".join(json.dumps(each, sort_keys=True) + "\n" for each in entries)
        (self.lines / "entries.jsonl").write_text(text, encoding="utf-8")


_EXPORTS: WeakKeyDictionary[Story, Path] = WeakKeyDictionary()


def copied(story: Story) -> Copy:
    """A copy of the export that was made when the story first asked for one."""
    folder = story.world.folder / "attacks"
    if story not in _EXPORTS:
        shutil.rmtree(folder, ignore_errors=True)
        story.world.cli("ledger", "export", "--format", "tiles", str(folder / "export" / "tiles"))
        story.world.cli("ledger", "export", str(folder / "export" / "lines"))
        _EXPORTS[story] = folder / "export"
    shutil.rmtree(folder / "copy", ignore_errors=True)
    shutil.copytree(_EXPORTS[story], folder / "copy")
    return Copy(folder / "copy" / "lines", folder / "copy" / "tiles")


def verdict(copy: Copy, *, kept: bool = False) -> str:
    """What `sidecar ledger verify --export` finds in a copy: ``intact``, or the kind of fault and where.

    ``kept``: whoever verifies has kept the signed checkpoint.
    """
    trees = []
    if kept:
        found = read_checkpoint(copy.checkpoint.read_bytes(), read_key(copy.verifier.read_text("utf-8")))
        trees = [Kept("the kept checkpoint", found.size, found.root)]
    fault = verify(Export(copy.lines), kept=trees).fault
    return f"{fault.kind} at {fault.position}" if fault else "intact"


def outside(copy: Copy) -> str:
    """What Tessera's fsck says of the tiles; empty where it is not installed."""
    tools = Path(os.environ.get("SIDECAR_TOOLS") or Path.home() / ".cache" / "sidecar-tools")
    found = shutil.which("fsck", path=str(tools / "bin"))
    if found is None:
        return ""
    command = [found, f"--storage_url={copy.tiles.as_uri()}/", f"--public_key={copy.verifier}", "--ui=false"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=FSCK_SECONDS)
    except subprocess.TimeoutExpired:
        return "refused"
    return "accepted" if ACCEPTED in done.stderr else "refused"


def _told(asked: str, found: str, more: str, who: str = ATTACKER) -> list[Row]:
    return [Row(who, asked, f"caught:\n{found}", "E3", more, "sidecar ledger verify")]


def altered(story: Story, broken: bool) -> list[Row]:
    """One refusal is turned into an allow, in the rows and in the tiles."""
    copy = copied(story)
    expect("verdicts before", ("intact", True), (verdict(copy, kept=True), outside(copy) in {"accepted", ""}))
    entries = copy.entries()
    victim = next(each for each in entries if '"outcome":"refuse"' in each["body"])
    if not broken:
        victim["body"] = victim["body"].replace('"outcome":"refuse"', '"outcome":"allow"')
        copy.write(entries)
        _alter_tiles(copy.tiles)
    found = verdict(copy)
    expect("verdict", f"changed at {victim['position']}", found)
    tool = outside(copy)
    expect("the outside tool", True, tool in {"refused", ""})
    return _told("turns a refusal into an allow", found, f"Tessera's fsck: {tool or 'not installed'}")


def _alter_tiles(tiles: Path) -> None:
    for bundle in (file for file in (tiles / "tile" / "entries").rglob("*") if file.is_file()):
        bundle.write_bytes(bundle.read_bytes().replace(b'"outcome":"refuse"', b'"outcome":"allow_"'))


def truncated(story: Story, broken: bool) -> list[Row]:
    """The last entries are cut off."""
    copy = copied(story)
    entries = copy.entries()
    if not broken:
        copy.write(entries[:-2])
        shutil.rmtree(copy.tiles / "tile" / "entries")
    found = verdict(copy)
    expect("verdict", f"truncated at {len(entries) - 2}", found)
    tool = outside(copy)
    expect("the outside tool", True, tool in {"refused", ""})
    return _told("cuts the last two entries off", found, f"Tessera's fsck: {tool or 'not installed'}")


def forked(story: Story, broken: bool) -> list[Row]:
    """The whole history is written anew, with every hash and a good signature: only who kept a checkpoint sees it."""
    copy = copied(story)
    with witness(story.world, copy) as seat:
        expect("the witness, at the true ledger", 200, seat.offer(0, copy.checkpoint.read_bytes()))
        tree = merkle.Range()
        if not broken:
            tree = _anew(copy)
            expect("the forgery by itself", "intact", verdict(copy))
        found = verdict(copy, kept=True)
        expect("verdict", "forked at 0", found)
        forgery = _signed(story.world, copy, tree)
        expect("whether the witness refuses the forgery", True, seat.offer(copy.size(), forgery) in {409, 422})
        expect("the witness's alarms", ["forked"], seat.alarms())
    return _told(
        "writes it all anew, and signs it",
        found,
        "the witness refuses it and alarms,\nwith the log's own signature",
        OWNER,
    )


def rolled_back(story: Story, broken: bool) -> list[Row]:
    """The ledger is set back to a whole, earlier state, as by a restored backup."""
    copy = copied(story)
    with witness(story.world, copy) as seat:
        expect("the witness, at the true ledger", 200, seat.offer(0, copy.checkpoint.read_bytes()))
        size = len(copy.entries())
        tree = merkle.Range()
        if not broken:
            tree = _set_back(copy, size - 3)
            expect("the earlier state by itself", "intact", verdict(copy))
        found = verdict(copy, kept=True)
        expect("verdict", f"rolled-back at {size - 3}", found)
        expect("the witness, at the earlier state", 409, seat.offer(0, _signed(story.world, copy, tree)))
    return _told(
        "sets it back by three entries",
        found,
        "the witness has seen more, refuses it,\nand alarms if it stays so",
        OWNER,
    )


def _anew(copy: Copy) -> merkle.Range:
    """Every refusal becomes an allow, and every hash is made to fit."""
    chains: dict[str, bytes] = {}
    tree = merkle.Range()
    entries = copy.entries()
    for each in entries:
        each["body"] = each["body"].replace('"outcome":"refuse"', '"outcome":"allow"')
        leaf = entry.leaf(each["body"].encode()).hash
        writer = each["writer"]
        chains[writer] = merkle.chain_next(chains.get(writer, merkle.chain_start(writer)), leaf)
        each["leaf_hash"], each["chain"] = _text(leaf), _text(chains[writer])
        tree.append(leaf)
    copy.write(entries)
    _finish(copy, tree, {})
    return tree


def _set_back(copy: Copy, size: int) -> merkle.Range:
    """Only the first ``size`` entries, with size, tree and cursors to match."""
    entries = copy.entries()[:size]
    tree = merkle.Range()
    cursors: dict[str, int] = {}
    for each in entries:
        tree.append(base64.b64decode(each["leaf_hash"]))
        cursors[each["writer"]] = each["writer_seq"]
    copy.write(entries)
    _finish(copy, tree, {"size": size, "cursors": cursors})
    return tree


def _finish(copy: Copy, tree: merkle.Range, more: dict[str, Any]) -> None:
    """What stands beside the entries: the manifest is made to fit; what could contradict is left out."""
    manifest = json.loads((copy.lines / "manifest.json").read_text("utf-8"))
    manifest |= {"roots": _text(b"".join(tree.roots)), **more}
    (copy.lines / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    for name in ("pending.jsonl", "events.jsonl", "checkpoints.jsonl"):
        (copy.lines / name).write_text("", encoding="utf-8")


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _signed(world: World, copy: Copy, tree: merkle.Range) -> bytes:
    """The log key signs what it is told to."""
    origin = copy.checkpoint.read_text("utf-8").partition("\n")[0]
    key = read_ed25519_private(world.folder / "keys" / "log.pem")
    return Checkpoint(origin, tree.size, tree.root()).signed(key).encode()


@dataclass(frozen=True, slots=True)
class Seat:
    """The procuratorate's witness, as a process."""

    folder: Path
    url: str

    def offer(self, old: int, checkpoint: bytes) -> int:
        """Ask it to cosign; the answer's status."""
        body = f"old {old}\n\n".encode() + checkpoint
        return requests.post(f"{self.url}/add-checkpoint", data=body, timeout=ANSWER_SECONDS).status_code

    def alarms(self) -> list[str]:
        """Kinds of its alarms."""
        text = (self.folder / "alarms.jsonl").read_text("utf-8")
        return [str(json.loads(line)["kind"]) for line in text.splitlines()]


@contextlib.contextmanager
def witness(world: World, copy: Copy) -> Iterator[Seat]:
    """A fresh witness for the length of the ``with``."""
    folder, port = copy.lines.parent / "witness", free_port()
    shutil.rmtree(folder, ignore_errors=True)
    create(folder, "procuratorate.example", [copy.verifier])
    with (folder / "witness.yaml").open("a", encoding="utf-8") as settings:
        settings.write(f"port: {port}\n")
    seat = Seat(folder, f"http://127.0.0.1:{port}")
    process = spawn([sys.executable, "-m", "sidecar.cli", "witness", "serve", str(folder)], world.log)
    try:
        wait_for("the witness's start", lambda: _answers(seat.url))
        yield seat
    finally:
        end(process, 30.0)


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError):
        return requests.get(f"{url}/healthz", timeout=ANSWER_SECONDS).ok
    return False


Step = Callable[[Story, bool], list[Row]]

ATTACKS: dict[str, tuple[str, Step]] = {
    "ledger-altered": ("An altered ledger is caught", altered),
    "ledger-truncated": ("A truncated ledger is caught", truncated),
    "ledger-forked": ("A ledger written anew is caught by the witness", forked),
    "ledger-rolled-back": ("A ledger that was set back is caught", rolled_back),
}
"""Steps of the story, by name."""
