"""The Helm chart renders for every supported topology, is valid for Kubernetes, and secure by default."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from sidecar import settings
from tests.support.tools import find

pytestmark = pytest.mark.functional

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "sidecar"
TOPOLOGIES = sorted(CHART.glob("values-*.yaml"))
KUBERNETES = "1.37.0"


def helm(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run([find("helm"), *arguments], capture_output=True, text=True, check=check, timeout=60)


def render(values: Path, *extra: str) -> list[dict[str, Any]]:
    out = helm("template", "county", str(CHART), "--namespace", "justice", "-f", str(values), *extra).stdout
    return [document for document in yaml.safe_load_all(out) if document]


def pod(documents: list[dict[str, Any]]) -> dict[str, Any]:
    [deployment] = [d for d in documents if d["kind"] == "Deployment"]
    return deployment["spec"]["template"]["spec"]


@pytest.fixture(params=TOPOLOGIES, ids=lambda p: p.stem)
def rendered(request) -> list[dict[str, Any]]:
    return render(request.param)


def test_three_topologies_are_supported():
    assert [p.stem for p in TOPOLOGIES] == ["values-postgresql-opa", "values-postgresql-wasm", "values-sqlite-wasm"]


@pytest.mark.parametrize("values", TOPOLOGIES, ids=lambda p: p.stem)
def test_chart_lints_without_a_complaint(values):
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART), "-f", str(values)).stdout


def test_every_object_is_valid_for_kubernetes(rendered):
    for document in rendered:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_every_container_is_confined(rendered):
    spec = pod(rendered)
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["initContainers"] + spec["containers"]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True, container["name"]
        assert context["allowPrivilegeEscalation"] is False, container["name"]
        assert context["capabilities"] == {"drop": ["ALL"]}, container["name"]
        assert "@sha256:" in container["image"], container["name"]


def test_keys_come_from_secrets_only(rendered):
    volumes = {v["name"]: v for v in pod(rendered)["volumes"]}
    assert "secret" in volumes["keys"]
    assert "secret" in volumes["dsn"]
    for document in rendered:
        assert "PRIVATE KEY" not in json.dumps(document)
        assert document["kind"] != "Secret"


def test_the_log_key_and_what_it_has_signed_are_mounted_where_the_settings_look(tmp_path):
    documents = render(CHART / "values-postgresql-opa.yaml")
    volumes = {v["name"]: v for v in pod(documents)["volumes"]}
    assert volumes["log-key"]["secret"]["defaultMode"] == 0o440
    assert "persistentVolumeClaim" in volumes["log-signed"]
    mounts = {m["name"]: m["mountPath"] for m in pod(documents)["containers"][0]["volumeMounts"]}
    file = tmp_path / "sidecar.yaml"
    [config] = [d for d in documents if d["kind"] == "ConfigMap" and d["metadata"]["name"].endswith("-settings")]
    file.write_text(config["data"]["sidecar.yaml"], encoding="utf-8")
    read = settings.load(file).ledger
    assert (f"/etc/sidecar/{read.log_key.parent}", str(read.signed_file.parent)) == (
        mounts["log-key"],
        mounts["log-signed"],
    )
    [witness] = read.witnesses
    assert f"/etc/sidecar/{witness.verifier_file.parent}" == mounts["witnesses"]
    assert "log-key" not in {v["name"] for v in pod(render(CHART / "values-sqlite-wasm.yaml"))["volumes"]}


def test_network_is_closed_but_for_what_is_named(rendered):
    [policy] = [d for d in rendered if d["kind"] == "NetworkPolicy"]
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert all(rule.get("from") for rule in policy["spec"]["ingress"])
    assert all(rule.get("to") for rule in policy["spec"]["egress"])


def test_probes_ask_health_and_readiness(rendered):
    sidecar = pod(rendered)["containers"][0]
    assert sidecar["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert sidecar["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_opa_shares_a_socket_with_the_sidecar_and_listens_nowhere_else():
    spec = pod(render(CHART / "values-postgresql-opa.yaml"))
    opa = next(c for c in spec["containers"] if c["name"] == "opa")
    assert "--addr=unix:///var/run/sidecar/opa.sock" in opa["args"]
    assert [m["name"] for m in opa["volumeMounts"]] == ["run"]
    assert not any(c["name"] == "opa" for c in pod(render(CHART / "values-postgresql-wasm.yaml"))["containers"])


def test_the_rendered_settings_are_the_settings_the_sidecar_reads(rendered, tmp_path):
    [config] = [d for d in rendered if d["kind"] == "ConfigMap" and d["metadata"]["name"].endswith("-settings")]
    file = tmp_path / "sidecar.yaml"
    file.write_text(config["data"]["sidecar.yaml"], encoding="utf-8")
    read = settings.load(file)
    assert read.deployment.id == "county"
    assert len(read.policy.approvers) == 2
    assert [str(p) for p in read.policy.catalogs] == ["catalogs/county.yaml"]


def test_a_changed_configuration_starts_new_pods():
    def checksum(*extra: str) -> str:
        [deployment] = [d for d in render(TOPOLOGIES[0], *extra) if d["kind"] == "Deployment"]
        return deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"]

    assert checksum() != checksum("--set", "server.threads=3")


@pytest.mark.parametrize(
    ("wrong", "fix"),
    [
        (["--set", "storage.url=sqlite:////var/lib/sidecar/state.db"], "set replicas to 1"),
        (["--set", "storage.url=sqlite:////x", "--set", "replicas=1"], "name a claim"),
        (["--set", "opa.image.digest="], "opa.enabled to false"),
        (["--set", "storage.url=postgresql+psycopg://u:secret@h/d"], "storage.passwordSecret"),
        (["--set", "image.digest=latest"], "sha256"),
        (["--set", "replica=3"], "replica"),
        (["--set", "deployment.unit=91350100M000100"], "deployment/unit"),
        (["--set", "keys.secret="], "keys/secret"),
        (["--set", "ledger.signedClaim="], "belong together"),
        (["--set", "ledger.logKeySecret=", "--set", "ledger.signedClaim="], "name ledger.logKeySecret"),
        (["--set-json", 'revision.approvers={"only":"x"}'], "approvers"),
        (["--set-json", 'catalogs={"County A":"x"}'], "County A"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_value_fails_early_and_names_the_fix(wrong, fix):
    base = CHART / "values-postgresql-opa.yaml"
    nulls = ["--set", "revision.approvers.first=null"] if "only" in " ".join(wrong) else []
    nulls += ["--set", "revision.approvers.second=null"] if nulls else []
    result = helm("template", "county", str(CHART), "-f", str(base), *nulls, *wrong, check=False)
    assert result.returncode != 0
    assert fix in result.stderr


def test_schema_and_readme_are_made_from_the_comments_of_the_values():
    subprocess.run([sys.executable, str(ROOT / "tools" / "chart_docs.py"), "--check"], check=True, timeout=60)
