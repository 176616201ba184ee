"""The manifests are ones that Kubernetes takes, and fit the image, the settings and what is served."""

import json
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from starlette.routing import Route
from typer.main import get_command

from collector.cli.program import app
from collector.errors import SettingsError
from collector.serve.access import OPEN_PATHS
from collector.serve.health_routes import health_routes
from collector.serve.server import ENDS_WITHIN_S
from collector.serve.shown import Shown
from collector.settings import Settings, load_settings
from collector.version import __version__

sys.path.insert(0, str(Path(__file__).parent))
from dockerfile import read_dockerfile

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
SCHEMAS = json.loads((Path(__file__).parent / "schemas" / "kubernetes.json").read_text(encoding="utf-8"))
MANIFESTS = {
    path.name: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.name != "kustomization.yaml"
}
SECRETS = {
    "COLLECTOR_SERVE__TOKEN": "0123456789abcdef",
    "COLLECTOR_DATABASE__URL": "postgresql://me:word@db/market",
}


def complaints(manifest: dict[str, Any]) -> list[str]:
    """Return what the schema of its kind says of a manifest."""
    schema = {"$ref": f"#/$defs/{SCHEMAS['kinds'][manifest['kind']]}", "$defs": SCHEMAS["$defs"]}
    found = jsonschema_rs.Draft202012Validator(schema).iter_errors(manifest)
    return [f"{one.instance_path}: {one.message}" for one in found]


@pytest.fixture(scope="module")
def pod() -> dict[str, Any]:
    found: dict[str, Any] = MANIFESTS["stateful-set.yaml"]["spec"]["template"]["spec"]
    return found


@pytest.fixture(scope="module")
def container_of_pod(pod: dict[str, Any]) -> dict[str, Any]:
    (found,) = pod["containers"]
    return dict(found)


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """Return the file of the ConfigMap."""
    path = tmp_path / "collector.yaml"
    path.write_text(MANIFESTS["config.yaml"]["data"]["collector.yaml"], encoding="utf-8")
    return path


@pytest.fixture
def settings_of_pod(settings_file: Path) -> Settings:
    stage = read_dockerfile(ROOT / "deploy" / "Dockerfile").stages[-1]
    environ = {**stage.last("ENV").pairs({"PATH": ""}), **SECRETS}
    return load_settings(settings_file, environ=environ, env_file=None)


@pytest.mark.parametrize("name", MANIFESTS)
def test_it_is_of_its_kind(name: str) -> None:
    assert complaints(MANIFESTS[name]) == []


def test_a_manifest_that_is_wrong_is_seen() -> None:
    wrong = json.loads(json.dumps(MANIFESTS["stateful-set.yaml"]))
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    wrong["spec"]["replicas"] = "one"
    assert len(complaints(wrong)) == 2


def test_kustomize_takes_every_file_but_the_example() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
    assert {*listed["resources"], "secret.example.yaml"} == set(MANIFESTS)
    assert "secret.example.yaml" not in listed["resources"]
    (image,) = listed["images"]
    assert image == {"name": "market-collector", "newTag": __version__}


def test_the_labels_lead_from_one_to_the_other() -> None:
    spec = MANIFESTS["stateful-set.yaml"]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == labels
    assert MANIFESTS["service.yaml"]["spec"]["selector"] == labels
    assert MANIFESTS["network-policy.yaml"]["spec"]["podSelector"]["matchLabels"] == labels
    assert spec["serviceName"] == MANIFESTS["service.yaml"]["metadata"]["name"]
    assert (
        spec["template"]["spec"]["serviceAccountName"]
        == MANIFESTS["service-account.yaml"]["metadata"]["name"]
    )


def test_there_is_one_of_it() -> None:
    assert MANIFESTS["stateful-set.yaml"]["spec"]["replicas"] == 1


def test_it_may_do_little(pod: dict[str, Any], container_of_pod: dict[str, Any]) -> None:
    user, group = read_dockerfile(ROOT / "deploy" / "Dockerfile").stages[-1].last("USER").rest.split(":")
    allowed = pod["securityContext"]
    assert (allowed["runAsUser"], allowed["runAsGroup"]) == (int(user), int(group))
    assert allowed["fsGroup"] == int(group)
    assert allowed["runAsNonRoot"] is True
    assert allowed["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container_of_pod["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container_of_pod["resources"]["limits"]["memory"]


def test_probes_ask_what_is_served_to_all(
    container_of_pod: dict[str, Any], settings_of_pod: Settings
) -> None:
    served = {route.path for route in health_routes(Shown.__new__(Shown)).routes if isinstance(route, Route)}
    (port,) = container_of_pod["ports"]
    assert port["containerPort"] == settings_of_pod.serve.port
    paths = {}
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container_of_pod[name]["httpGet"]
        assert asked["port"] == port["name"]
        assert asked["path"] in served & OPEN_PATHS
        paths[name] = asked["path"]
    assert paths == {"startupProbe": "/live", "livenessProbe": "/live", "readinessProbe": "/ready"}
    (of_service,) = MANIFESTS["service.yaml"]["spec"]["ports"]
    assert (of_service["targetPort"], of_service["port"]) == (port["name"], port["containerPort"])


def test_it_is_restarted_later_than_it_says_that_it_hangs(
    container_of_pod: dict[str, Any], settings_of_pod: Settings
) -> None:
    probe = container_of_pod["livenessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= settings_of_pod.health.wedged_after_s


def test_it_is_given_time_to_drain(pod: dict[str, Any], settings_of_pod: Settings) -> None:
    least_s = settings_of_pod.shutdown.deadline_s + ENDS_WITHIN_S + 10.0
    assert pod["terminationGracePeriodSeconds"] >= least_s


def test_the_settings_take_the_file_and_the_variables(
    container_of_pod: dict[str, Any], settings_of_pod: Settings
) -> None:
    assert {one["name"] for one in container_of_pod["env"]} == set(SECRETS)
    assert settings_of_pod.serve.host == "0.0.0.0"
    assert settings_of_pod.serve.hosts[0] == MANIFESTS["service.yaml"]["metadata"]["name"]
    assert settings_of_pod.database.url == SECRETS["COLLECTOR_DATABASE__URL"]
    assert settings_of_pod.exchanges["bybit"].symbols


def test_secrets_come_from_the_secret(container_of_pod: dict[str, Any]) -> None:
    example = MANIFESTS["secret.example.yaml"]
    wanted = [one["valueFrom"]["secretKeyRef"] for one in container_of_pod["env"]]
    assert {one["name"] for one in wanted} == {example["metadata"]["name"]}
    assert {one["key"] for one in wanted} == set(example["stringData"])
    assert set(example["stringData"].values()) == {""}


def test_the_example_of_the_secret_is_refused(settings_file: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(settings_file, environ=dict.fromkeys(SECRETS, ""), env_file=None)
    assert "serve" in str(refused.value)
    assert "database.url" in str(refused.value)


def test_what_is_written_is_on_the_claim(
    pod: dict[str, Any], container_of_pod: dict[str, Any], settings_of_pod: Settings
) -> None:
    mounts = {one["name"]: one for one in container_of_pod["volumeMounts"]}
    (claim,) = MANIFESTS["stateful-set.yaml"]["spec"]["volumeClaimTemplates"]
    stage = read_dockerfile(ROOT / "deploy" / "Dockerfile").stages[-1]
    assert mounts[claim["metadata"]["name"]]["mountPath"] == stage.last("VOLUME").rest
    assert Path(settings_of_pod.retention.path).is_relative_to(stage.last("VOLUME").rest)
    assert {one["name"] for one in pod["volumes"]} | {claim["metadata"]["name"]} == set(mounts)
    assert mounts["config"]["readOnly"] is True
    word, *rest = container_of_pod["args"]
    asked = get_command(app).commands[word].make_context(word, rest).params  # type: ignore[attr-defined]
    assert (
        str(asked["config"])
        == f"{mounts['config']['mountPath']}/{next(iter(MANIFESTS['config.yaml']['data']))}"
    )
    (volume,) = [one for one in pod["volumes"] if one["name"] == "config"]
    assert volume["configMap"]["name"] == MANIFESTS["config.yaml"]["metadata"]["name"]
    free = int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi")) * 2**30
    assert free > settings_of_pod.spool.max_bytes + settings_of_pod.health.disk_free_bytes
