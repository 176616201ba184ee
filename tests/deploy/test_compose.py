"""The compose file is one, and fits the image, the settings, Prometheus' configuration and Grafana's."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from starlette.routing import Route
from typer.main import get_command

from collector.aws import StreamAddress
from collector.cli.program import app
from collector.errors import SettingsError
from collector.serve.metric_routes import metric_routes
from collector.serve.server import ENDS_WITHIN_S
from collector.serve.shown import Shown
from collector.settings import Settings, load_settings

sys.path.insert(0, str(Path(__file__).parent))
from dockerfile import read_dockerfile

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
TOKEN = "0123456789abcdef0123456789abcdef"
EXAMPLE = DEPLOY / "compose.env.example"


def variables() -> dict[str, str]:
    """Return what the example of the variables sets, with a value for each secret."""
    lines = [
        line for line in EXAMPLE.read_text(encoding="utf-8").splitlines() if "=" in line and line[0] != "#"
    ]
    pairs = dict(line.split("=", 1) for line in lines)
    return {name: value or TOKEN for name, value in pairs.items()}


def interpolated(text: str, values: dict[str, str]) -> str:
    """Fill in `${NAME:-default}` and `${NAME:?complaint}`."""

    def value(match: "re.Match[str]") -> str:
        if values.get(match["name"]):
            return values[match["name"]]
        assert match["how"] == "-", f"{match['name']} is required: {match['rest']}"
        return match["rest"]

    return re.sub(r"\$\{(?P<name>\w+):(?P<how>[-?])(?P<rest>[^}]*)\}", value, text)


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(interpolated(text, variables()))
    return found


@pytest.fixture(scope="module")
def services(project: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = project["services"]
    return found


@pytest.fixture(scope="module")
def settings(services: dict[str, Any]) -> Settings:
    """Return the settings that the collector has in its container."""
    stage = read_dockerfile(DEPLOY / "Dockerfile").stages[-1]
    environ = {**stage.last("ENV").pairs({"PATH": ""}), **services["collector"]["environment"]}
    return load_settings(environ=environ, env_file=None)


def seconds(text: str) -> float:
    match = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", text)
    assert match is not None, text
    return 60.0 * int(match[1] or 0) + int(match[2] or 0)


def test_it_is_a_compose_file(project: dict[str, Any]) -> None:
    schema = json.loads((Path(__file__).parent / "schemas" / "compose.json").read_text(encoding="utf-8"))
    errors = [
        f"{one.instance_path}: {one.message}"
        for one in jsonschema_rs.Draft7Validator(schema).iter_errors(project)
    ]
    assert errors == []
    project["services"]["collector"]["porst"] = []
    try:
        assert not jsonschema_rs.Draft7Validator(schema).is_valid(project)
    finally:
        del project["services"]["collector"]["porst"]


def test_the_client_of_docker_takes_it(tmp_path: Path) -> None:
    words = ["docker", "compose"]
    if (
        not shutil.which("docker")
        or subprocess.run([*words, "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no docker compose here")
    known = tmp_path / "env"
    known.write_text("".join(f"{name}={value}\n" for name, value in variables().items()))
    words += ["--env-file", str(known), "--file", str(DEPLOY / "compose.yaml"), "config", "--quiet"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_secret_is_in_it() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    secrets = [
        line.partition("=")[0]
        for line in EXAMPLE.read_text(encoding="utf-8").splitlines()
        if line.endswith("=")
    ]
    assert secrets == ["POSTGRES_PASSWORD", "COLLECTOR_SERVE__TOKEN", "GRAFANA_PASSWORD"]
    for name in secrets:
        assert f"${{{name}:?" in text, f"it begins without {name}"
    given = re.findall(r"^\s+(\w*(?:PASSWORD|TOKEN|SECRET\w*)): (.*)$", text, re.MULTILINE)
    assert [
        value for name, value in given if not value.startswith("${") and name != "AWS_SECRET_ACCESS_KEY"
    ] == []
    assert "AWS_SECRET_ACCESS_KEY: local\n" in text  # of a Kinesis that takes any
    assert "\n.env\n" in (ROOT / ".gitignore").read_text(encoding="utf-8")


def test_images_are_of_a_version(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert re.search(r":(v?\d|compose$)", service["image"]), name


def test_what_is_ours_may_do_little(services: dict[str, Any]) -> None:
    for name in ("collector", "kinesis", "prometheus", "grafana"):
        service = services[name]
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name


def test_ports_are_open_to_this_machine_only(services: dict[str, Any]) -> None:
    ports = {name: service.get("ports", []) for name, service in services.items()}
    assert all(port.startswith("127.0.0.1:") for each in ports.values() for port in each)
    assert ports["postgres"] == []


def test_every_volume_is_named_below_and_every_file_is_there(
    project: dict[str, Any], services: dict[str, Any]
) -> None:
    named = set()
    for service in services.values():
        for volume in service.get("volumes", []):
            source, target, *mode = volume.split(":")
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source
                assert mode == ["ro"], source
            else:
                named.add(source)
            assert target.startswith("/")
    assert named == set(project["volumes"])
    context, file = services["collector"]["build"]["context"], services["collector"]["build"]["dockerfile"]
    assert (DEPLOY / context).resolve() == ROOT
    assert (ROOT / file).exists()


def test_the_image_s_volume_and_port_are_used(services: dict[str, Any], settings: Settings) -> None:
    stage = read_dockerfile(DEPLOY / "Dockerfile").stages[-1]
    assert services["collector"]["volumes"] == [f"collector-data:{stage.last('VOLUME').rest}"]
    assert services["collector"]["ports"] == [f"127.0.0.1:{settings.serve.port}:{stage.last('EXPOSE').rest}"]


def test_the_settings_know_every_variable(services: dict[str, Any], settings: Settings) -> None:
    assert settings.serve.host == "0.0.0.0"
    assert settings.serve.token is not None
    assert settings.serve.token.get_secret_value() == TOKEN
    assert settings.database.url == f"postgresql://collector:{TOKEN}@postgres:5432/market_data"
    assert settings.database.auto_migrate is True
    assert list(settings.exchanges) == ["bybit"]
    assert settings.logging.format == "json"
    environ = {**services["collector"]["environment"], "COLLECTOR_SERVE__TOKN": TOKEN}
    with pytest.raises(SettingsError):
        load_settings(environ=environ, env_file=None)


def test_hosts_are_services(services: dict[str, Any], settings: Settings) -> None:
    urls = [settings.database.url, *(one.url for one in settings.followers)]
    assert set(re.findall(r"(?:@|http://)([a-z]+):\d+", " ".join(urls))) <= set(services)
    assert set(settings.serve.hosts) == {"collector"}
    database = services["postgres"]["environment"]
    assert settings.database.url.endswith(f"/{database['POSTGRES_DB']}")
    assert f"//{database['POSTGRES_USER']}:" in settings.database.url
    assert set(services["collector"]["depends_on"]) <= set(services)


def test_the_commands_are_ones_that_the_program_has(services: dict[str, Any], settings: Settings) -> None:
    known = get_command(app).commands  # type: ignore[attr-defined]
    asked = {}
    for name in ("collector", "kinesis"):
        word, *rest = services[name]["command"]
        asked[name] = known[word].make_context(word, rest).params  # refuses an option that there is not
    (follower,) = settings.followers
    address = StreamAddress.parse(follower.url)
    stream = asked["kinesis"]
    assert follower.heartbeat is not None
    wanted = [address.stream, follower.heartbeat.stream]
    assert (address.region, wanted) == (stream["region"], stream["stream"])
    assert address.endpoint == f"http://kinesis:{stream['port']}"
    assert services["kinesis"]["ports"] == [f"127.0.0.1:{stream['port']}:{stream['port']}"]
    assert f"{stream['port']}" in services["kinesis"]["healthcheck"]["test"][-1]


def test_it_is_given_time_to_drain(services: dict[str, Any], settings: Settings) -> None:
    grace_s = seconds(services["collector"]["stop_grace_period"])
    assert grace_s >= settings.shutdown.deadline_s + ENDS_WITHIN_S + 10.0


def test_prometheus_asks_the_collector_with_its_token(
    project: dict[str, Any], services: dict[str, Any], settings: Settings
) -> None:
    asked = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = asked["scrape_configs"]
    assert job["job_name"] == "collector"
    paths = {route.path for route in metric_routes(Shown.__new__(Shown)).routes if isinstance(route, Route)}
    assert job["metrics_path"] in paths
    ((target,),) = [one["targets"] for one in job["static_configs"]]
    assert target == f"{settings.serve.hosts[0]}:{settings.serve.port}"
    (secret,) = services["prometheus"]["secrets"]
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{secret}"
    assert project["secrets"][secret] == {"environment": "COLLECTOR_SERVE__TOKEN"}
    mounted = [volume.split(":")[1] for volume in services["prometheus"]["volumes"]]
    assert set(asked["rule_files"]) <= set(mounted)
    (config,) = [
        word.partition("=")[2] for word in services["prometheus"]["command"] if "config.file" in word
    ]
    assert config in mounted


def test_promtool_takes_both_files(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here")
    rules = tmp_path / "alerts.yml"
    rules.write_text((DEPLOY / "alerts.yml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "token").write_text(TOKEN)
    text = (DEPLOY / "prometheus.yml").read_text(encoding="utf-8")
    config = tmp_path / "prometheus.yml"
    text = text.replace("/etc/prometheus/alerts.yml", str(rules)).replace(
        "/run/secrets/serve_token", str(tmp_path / "token")
    )
    config.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [promtool, "check", "config", str(config)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_finds_the_dashboard_and_its_data(services: dict[str, Any]) -> None:
    mounted = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    provisioning = DEPLOY / "grafana" / "provisioning"
    assert mounted["./grafana/provisioning"] == "/etc/grafana/provisioning"
    provider = yaml.safe_load((provisioning / "dashboards" / "collector.yml").read_text(encoding="utf-8"))
    (one,) = provider["providers"]
    assert str(Path(mounted["./grafana/collector.json"]).parent) == one["options"]["path"]
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text(encoding="utf-8"))[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    assert "127.0.0.1:9090:9090" in services["prometheus"]["ports"]
    wanted = json.loads((DEPLOY / "grafana" / "collector.json").read_text(encoding="utf-8"))["templating"][
        "list"
    ][0]
    assert (source["type"], source["isDefault"]) == (wanted["query"], True)
