"""Make charts/sidecar/values.schema.json and README.md from the comments of values.yaml (one source, never edited by hand).

Run ``python tools/chart_docs.py`` to write them, ``--check`` to fail where they are not current.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parent.parent / "charts" / "sidecar"
DIGEST = {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"}
NAME = {"type": "string", "pattern": "^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$"}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
REQUIRED_TEXT = {"type": "string", "minLength": 1}
REFINED: dict[str, dict[str, Any]] = {
    "affinity": {"type": "object"},
    "catalogSecret": {**NAME, "minLength": 1},
    "catalogs": {**TEXTS, "minProperties": 1},
    "deployment.id": {"type": "string", "pattern": "^[a-z0-9][a-z0-9.-]{0,62}$"},
    "deployment.unit": {"type": "string", "pattern": "^[0-9A-HJ-NPQRTUWXY]{18}$"},
    "identity.issuers": {"type": "array", "items": {"type": "object"}, "minItems": 1},
    "identity.jwks": TEXTS,
    "image.digest": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
    "image.pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "image.pullSecrets": {"type": "array", "items": NAME},
    "keys.dossierRecipients": {"type": "array", "items": {"type": "string", "pattern": "^age1"}, "minItems": 1},
    "keys.secret": {**NAME, "minLength": 1},
    "ledger.logKeySecret": NAME,
    "ledger.quorum": {"type": "integer", "minimum": 1, "maximum": 16},
    "ledger.signedClaim": NAME,
    "ledger.verifiers": TEXTS,
    "ledger.witnesses": {"type": "array", "items": {"type": "object"}},
    "logging.level": {"enum": ["debug", "info", "warning", "error"]},
    "networkPolicy.egress": {"type": "array", "items": {"type": "object"}},
    "networkPolicy.ingressFrom": {"type": "array", "items": {"type": "object"}},
    "nodeSelector": TEXTS,
    "opa.image.digest": DIGEST,
    "opa.resources": {"type": "object"},
    "podDisruptionBudget.minAvailable": {"type": ["integer", "string"]},
    "podLabels": TEXTS,
    "replicas": {"type": "integer", "minimum": 1},
    "resources": {"type": "object"},
    "revision.approvers": {**TEXTS, "minProperties": 2},
    "revision.binaryFiles": TEXTS,
    "revision.files": TEXTS,
    "revision.number": {"type": "integer", "minimum": 1},
    "runAsUser": {"type": "integer", "minimum": 1},
    "server.roles": {
        "type": "array",
        "items": {"enum": ["gateway", "desk", "oversight", "workbench"]},
        "minItems": 1,
        "uniqueItems": True,
    },
    "server.threads": {"type": "integer", "minimum": 1, "maximum": 64},
    "server.workers": {"type": "integer", "minimum": 1, "maximum": 64},
    "service.port": {"type": "integer", "minimum": 1, "maximum": 65535},
    "service.type": {"enum": ["ClusterIP", "LoadBalancer", "NodePort"]},
    "storage.url": REQUIRED_TEXT,
    "tolerations": {"type": "array", "items": {"type": "object"}},
}


def comments(text: str) -> dict[str, str]:
    """Dotted path of each documented value → its ``# --`` comment."""
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    pending = ""
    for line in text.splitlines():
        if match := re.match(r"\s*# -- (.*)", line):
            pending = match[1]
        elif match := re.match(r"(\s*)([A-Za-z]\w*):", line):
            indent = len(match[1])
            path = [(i, key) for i, key in path if i < indent] + [(indent, match[2])]
            if pending:
                found[".".join(key for _, key in path)] = pending
            pending = ""
    return found


def schema_of(value: Any, path: str, docs: dict[str, str]) -> dict[str, Any]:
    """JSON schema of one value; objects that are not refined accept their own keys only."""
    described = {"description": docs[path]} if path in docs else {}
    if path in REFINED:
        return {**described, **REFINED[path]}
    if isinstance(value, dict):
        inner = {key: schema_of(item, f"{path}.{key}".lstrip("."), docs) for key, item in value.items()}
        return {**described, "type": "object", "additionalProperties": False, "properties": inner}
    kinds = {bool: "boolean", int: "integer", str: "string", list: "array"}
    return {**described, "type": kinds[type(value)]}


def leaves(value: Any, path: str, docs: dict[str, str]) -> list[tuple[str, Any]]:
    """Documented values, in order."""
    if path in docs or not isinstance(value, dict):
        return [(path, value)]
    return [leaf for key, item in value.items() for leaf in leaves(item, f"{path}.{key}".lstrip("."), docs)]


def rendered() -> dict[Path, str]:
    """Both files' texts."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    values, docs = yaml.safe_load(text), comments(text)
    root = schema_of(values, "", docs)
    root["properties"]["global"] = {"type": "object", "description": "Helm's own."}
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Values of the sidecar chart", **root}
    rows = [f"| `{path}` | {docs[path]} | `{json.dumps(value)}` |" for path, value in leaves(values, "", docs)]
    undocumented = [path for path, _ in leaves(values, "", docs) if path not in docs]
    if undocumented:
        raise SystemExit(f"values without a comment: {', '.join(undocumented)}")
    readme = (CHART / "README.md.in").read_text(encoding="utf-8").replace("@VALUES@", "\n".join(rows))
    return {
        CHART / "values.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        CHART / "README.md": readme,
    }


def main() -> None:
    """Write or check."""
    stale = [path for path, text in rendered().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        if stale:
            raise SystemExit(f"not current, run python tools/chart_docs.py: {', '.join(p.name for p in stale)}")
        return
    for path, text in rendered().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
