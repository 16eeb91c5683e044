"""Builds the two artefacts of one source digest, byte for byte the same wherever they are built (P4).

The Rego bundle is for the OPA server, the WebAssembly module for the process; the filter is compiled once and travels
as ``filters/data.json`` in the bundle and beside the module. The bundle's revision is the digest of what is in it: a
deployment's number stands in its manifest, so that no OPA is needed to make a revision of ready artefacts.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import orjson

from sidecar.errors import ConfigurationError
from sidecar.policy import decode, tarball
from sidecar.policy.filter import translate
from sidecar.policy.lint import lint, lint_data
from sidecar.policy.opa import OpaTransport
from sidecar.policy.params import legal_parameters
from sidecar.policy.supervisor import OpaBinary, OpaProcess, run_opa
from sidecar.policy.types import FilterNode, LegalParameters
from sidecar.policy.wasm import WasmEngine

BUNDLE = "bundle.tar.gz"
"""Rego with data, for the OPA server."""

WASM = "policy.wasm"
"""The module for the process."""

FILTER = "filter.json"
"""The compiled filter, as OPA answered it (UCAST)."""

PARAMS = "params.json"
"""The legal parameters, as they stand in the sources."""

CAPABILITIES = "capabilities.json"
"""The built-ins that both engines have; the sources may use no other."""

MANIFEST = "manifest.json"
"""Digests of artefacts and sources."""

NAMES = (BUNDLE, FILTER, PARAMS, WASM)
"""The artefacts, sorted."""

ROOTS = ("filters", "params", "sidecar")
"""What the bundle owns in the OPA server."""

UCAST = "application/vnd.opa.ucast.all+json"
"""The compile API's dialect-neutral answer."""

FORMAT = 1
"""Version of the artefacts' manifest."""


def digest(data: bytes) -> str:
    """``sha256:`` and the hexadecimal SHA-256."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def canonical(value: Any) -> bytes:
    """Canonical JSON: sorted keys, no blanks; for the texts, integers and booleans used here equal to RFC 8785."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


@dataclass(frozen=True, slots=True)
class Artefacts:
    """The artefacts of one source digest.

    Attributes:
        files: bytes by name, exactly ``NAMES``.
        source: digest over the sources' names and digests.
        bundle_revision: revision in the bundle: digest of sources and filter.
        opa: version of the OPA that built them.
        sources: digest of each source file.
    """

    files: Mapping[str, bytes]
    source: str
    bundle_revision: str
    opa: str
    sources: Mapping[str, str]

    def manifest(self) -> bytes:
        """The manifest's text; it ends with a newline, as it is committed."""
        document = {
            "artefacts": {name: digest(self.files[name]) for name in NAMES},
            "bundle_revision": self.bundle_revision,
            "format": FORMAT,
            "opa": self.opa,
            "source": self.source,
            "sources": dict(self.sources),
        }
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2) + b"\n"

    def params(self) -> LegalParameters:
        """The typed parameters."""
        return legal_parameters(parse(self.files[PARAMS], PARAMS))

    def filter(self) -> FilterNode:
        """The filter's tree."""
        return translate(parse(self.files[FILTER], FILTER))

    def data(self) -> dict[str, Any]:
        """The data document for the WebAssembly module: the same as the bundle's."""
        return {"params": parse(self.files[PARAMS], PARAMS), "filters": parse(self.files[FILTER], FILTER)}


def parse(data: bytes, name: str) -> Any:
    """Parse JSON.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise ConfigurationError(f"{name}: expected JSON: {exc}") from exc


def sources(folder: Path) -> dict[str, bytes]:
    """The source files that decide: Rego without tests, parameters and capabilities, by relative name.

    Raises:
        ConfigurationError: the folder lacks parameters, capabilities or any Rego.
    """
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted((folder / "sidecar").rglob("*.rego"))
        if not path.name.endswith("_test.rego")
    }
    if not found:
        raise ConfigurationError(f"{folder}: expected Rego below sidecar/")
    for name in ("params/data.json", CAPABILITIES):
        try:
            found[name] = (folder / name).read_bytes()
        except OSError as exc:
            raise ConfigurationError(f"{folder}: expected {name}") from exc
    return found


def source_digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """Digest of each source file."""
    return {name: digest(files[name]) for name in sorted(files)}


def build(folder: Path, binary: OpaBinary) -> Artefacts:
    """Check the sources and build their artefacts.

    1. check (strict, capabilities, schemas), 2. lint operands, 3. compile the filter and translate it, 4. pack the
    bundle, 5. compile the module and load it, which refuses built-ins of the host.

    Args:
        folder: the policies; not changed.
        binary: the OPA to build with.

    Raises:
        ConfigurationError: the sources are refused; the text says where.
        EngineUnavailable: the filter could not be compiled, or the module needs the host.
    """
    files = sources(folder)
    check(folder, files, binary)
    params = parse(files["params/data.json"], "params/data.json")
    legal_parameters(params)
    ucast = canonical(compile_filter(files, binary))
    translate(orjson.loads(ucast))
    digests = source_digests(files)
    source = digest(canonical(digests))
    revision = digest(canonical({"filter": digest(ucast), "source": source}))
    artefacts = Artefacts(
        files={
            BUNDLE: _bundle(files, revision, orjson.loads(ucast)),
            FILTER: ucast,
            PARAMS: files["params/data.json"],
            WASM: compile_wasm(files, binary),
        },
        source=source,
        bundle_revision=revision,
        opa=binary.text,
        sources=digests,
    )
    WasmEngine(artefacts.files[WASM], artefacts.data(), revision=revision, pool=1).close()
    return artefacts


def check(folder: Path, files: Mapping[str, bytes], binary: OpaBinary) -> None:
    """``opa check`` and the operand lint.

    Raises:
        ConfigurationError: with everything that was found.
    """
    arguments = ["check", "--strict", "--capabilities", str(folder / CAPABILITIES)]
    if (folder / "schemas").is_dir():
        arguments += ["--schema", str(folder / "schemas")]
    rego = [name for name in files if name.endswith(".rego")]
    run_opa(binary, [*arguments, *(str(folder / name) for name in rego), str(folder / "params")])
    data = {"params": parse(files["params/data.json"], "params/data.json")}
    found = lint_data(data)
    for name in rego:
        tree = run_opa(binary, ["parse", "--format", "json", "--json-include", "locations", str(folder / name)])
        found += lint(orjson.loads(tree), data, name)
    if found:
        raise ConfigurationError("; ".join(map(str, found)))


def _bundle(files: Mapping[str, bytes], revision: str, ucast: Any = None) -> bytes:
    manifest = {"revision": revision, "roots": list(ROOTS), "rego_version": 1}
    packed = {name: data for name, data in files.items() if name.endswith(".rego")}
    packed["params/data.json"] = files["params/data.json"]
    packed["filters/data.json"] = canonical(ucast if ucast is not None else {})
    packed[".manifest"] = canonical(manifest)
    return tarball.pack(packed)


def compile_filter(files: Mapping[str, bytes], binary: OpaBinary) -> Any:
    """Ask an OPA server of our own to compile the filter; returns its answer, sorted.

    Raises:
        EngineUnavailable: the server did not answer.
        ConfigurationError: the rule is outside the fragment that compiles; OPA's text says why.
    """
    body = orjson.dumps({"unknowns": ["input.record"], "input": {}})
    with tempfile.TemporaryDirectory(prefix="opa-") as folder:
        path = Path(folder) / "opa.sock"
        server = OpaProcess(binary, _bundle(files, "building"), socket_path=path, guarded=False)
        server.start()
        transport = OpaTransport(path, timeout_ms=10_000)
        try:
            status, answer = transport.post(f"/v1/compile/{decode.FILTER_ENTRYPOINT}", body, {"Accept": UCAST})
        finally:
            transport.drop()
            server.stop()
    if status != 200:
        raise ConfigurationError(f"the filter does not compile ({status}): {answer.decode('utf-8', 'replace')[:500]}")
    return _sorted(parse(answer, FILTER))


def _sorted(node: Any) -> Any:
    """OPA lists sets and bodies in hash order; lists here are alternatives, parts or values, and order says nothing."""
    if isinstance(node, dict):
        return {key: _sorted(value) for key, value in node.items()}
    return sorted(map(_sorted, node), key=canonical) if isinstance(node, list) else node


def compile_wasm(files: Mapping[str, bytes], binary: OpaBinary) -> bytes:
    """Compile the module in a folder of its own, by relative names: the module holds the names of its sources.

    Raises:
        ConfigurationError: OPA refused.
    """
    with tempfile.TemporaryDirectory(prefix="opa-") as folder:
        root = Path(folder) / "sources"
        for name, data in files.items():
            target = root / name if name != CAPABILITIES else root.with_name(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        arguments = ["build", "--target", "wasm", "--prune-unused", "--output", "../wasm.tar.gz"]
        arguments += ["--capabilities", f"../{CAPABILITIES}"]
        for entrypoint in decode.ENTRYPOINTS:
            arguments += ["--entrypoint", entrypoint]
        run_opa(binary, [*arguments, "--bundle", "."], folder=root)
        module = tarball.unpack(root.with_name("wasm.tar.gz").read_bytes()).get(WASM)
    if module is None:
        raise ConfigurationError("opa build made no policy.wasm")
    return module


def load(files: Mapping[str, bytes]) -> Artefacts:
    """Artefacts from their files, each verified against the manifest among them.

    Raises:
        ConfigurationError: a file is missing, or is not the one that the manifest names.
    """
    manifest = parse(files.get(MANIFEST, b""), MANIFEST)
    try:
        expected = manifest["artefacts"]
        if manifest["format"] != FORMAT or set(expected) != set(NAMES):
            raise ConfigurationError(f"{MANIFEST}: expected format {FORMAT} and {NAMES}")
        for name in NAMES:
            if name not in files or digest(files[name]) != expected[name]:
                raise ConfigurationError(f"{name}: expected {expected[name]}")
        return Artefacts(
            files={name: files[name] for name in NAMES},
            source=manifest["source"],
            bundle_revision=manifest["bundle_revision"],
            opa=manifest["opa"],
            sources=manifest["sources"],
        )
    except (KeyError, TypeError) as exc:
        raise ConfigurationError(f"{MANIFEST}: expected the manifest of artefacts") from exc


def baseline() -> Artefacts:
    """The artefacts that the package carries.

    Raises:
        ConfigurationError: the package is damaged.
    """
    folder = resources.files("sidecar.policy").joinpath("baseline")
    try:
        return load({name: folder.joinpath(name).read_bytes() for name in (*NAMES, MANIFEST)})
    except OSError as exc:
        raise ConfigurationError("the package carries no baseline artefacts") from exc


def read(folder: Path) -> Artefacts:
    """Artefacts from a folder.

    Raises:
        ConfigurationError: as ``load``, or a file cannot be read.
    """
    try:
        return load({name: (folder / name).read_bytes() for name in (*NAMES, MANIFEST)})
    except OSError as exc:
        raise ConfigurationError(f"{folder}: expected built artefacts: {exc.strerror}") from exc


def write(artefacts: Artefacts, folder: Path) -> None:
    """Write artefacts and manifest into a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        (folder / name).write_bytes(artefacts.files[name])
    (folder / MANIFEST).write_bytes(artefacts.manifest())


def differences(folder: Path, built: Artefacts) -> list[str]:
    """Names of the files in a folder that are not what was built, sorted; empty when all are."""
    expected = {**built.files, MANIFEST: built.manifest()}
    return sorted(
        name for name, data in expected.items() if not (folder / name).is_file() or (folder / name).read_bytes() != data
    )


def stale(folder: Path, artefacts: Artefacts) -> list[str]:
    """Source files that changed since the artefacts were built, sorted; needs no OPA."""
    now = source_digests(sources(folder))
    return sorted(
        name for name in now.keys() | artefacts.sources.keys() if now.get(name) != artefacts.sources.get(name)
    )
