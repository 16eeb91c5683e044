"""Build the baseline artefacts that the package carries, or compare them with what is committed (``--check``).

``make bundle`` runs this after a change of ``policies/``. The build is byte-identical, so that CI builds again and
compares.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from sidecar.errors import SidecarError
from sidecar.policy import artefacts
from sidecar.policy.supervisor import inspect_opa

ROOT = Path(__file__).resolve().parent.parent
BASELINE = ROOT / "sidecar" / "policy" / "baseline"


def find_opa() -> Path | None:
    """OPA by SIDECAR_OPA, PATH, or the tools cache that ``make tools`` fills."""
    tools = Path(os.environ.get("SIDECAR_TOOLS", Path.home() / ".cache" / "sidecar-tools"))
    found = os.environ.get("SIDECAR_OPA") or shutil.which("opa") or shutil.which("opa", path=str(tools / "bin"))
    return Path(found) if found else None


def main(arguments: list[str] | None = None) -> int:
    """Build and write, or build and compare; 0 only if all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with what is committed, write nothing")
    parser.add_argument("--policies", type=Path, default=ROOT / "policies", help="folder of the sources")
    parser.add_argument("--output", type=Path, default=BASELINE, help="folder of the artefacts")
    options = parser.parse_args(arguments)
    opa = find_opa()
    if opa is None:
        print("expected an OPA: set SIDECAR_OPA or run `make tools`", file=sys.stderr)
        return 1
    try:
        built = artefacts.build(options.policies, inspect_opa(opa))
    except SidecarError as exc:
        print(exc.diagnostics(), file=sys.stderr)
        return 1
    if not options.check:
        artefacts.write(built, options.output)
        print(f"{options.output}: {built.source}, built by OPA {built.opa}")
        return 0
    changed = artefacts.differences(options.output, built)
    print(f"differs from its sources: {', '.join(changed)}; run `make bundle`" if changed else "as its sources say")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
