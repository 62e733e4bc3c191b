"""The Helm chart renders what Kubernetes and Flink's operator take, refuses unknown values, and keeps to policy."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployments.deploy_tools import ran, tool
from deployments.helm_chart import VALUES, containers, flink_faults, rendered
from typer.testing import CliRunner

from tandem.app import app
from tandem.pipelines.launchables import launchable
from tandem.pipelines.unbounded.config import parse
from tandem.runners.options.reading import read_arguments


@pytest.fixture(scope="module")
def made() -> list[dict[str, Any]]:
    return rendered(VALUES)


def named(made: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = (one for one in made if one["kind"] == kind and one["metadata"]["name"] == name)
    return found


def changed(path: str, value: Any) -> dict[str, Any]:
    values = copy.deepcopy(VALUES)
    *into, last = path.split(".")
    place = values
    for part in into:
        place = place.setdefault(part, {})
    if value is None:
        del place[last]
    else:
        place[last] = value
    return values


def test_kubernetes_takes_it(made: list[dict[str, Any]], tmp_path: Path) -> None:
    file = tmp_path / "made.yaml"
    file.write_text(yaml.safe_dump_all(one for one in made if one["kind"] != "FlinkDeployment"), encoding="utf-8")
    for version in ("1.29", "1.37"):
        said = ran(tool("kubernetes-validate"), "--strict", "-k", version, str(file))
        assert said.count("passed") == len(made) - 1, said


def test_flinks_operator_takes_it(made: list[dict[str, Any]]) -> None:
    assert flink_faults(named(made, "FlinkDeployment", "demo-flink")) == []


BROKEN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "an unknown field": lambda spec: spec.update(taskmanager={}),
    "an unknown field of a pod": lambda spec: spec["podTemplate"]["spec"].update(contaners=[]),
    "an unknown field of a sidecar": lambda spec: spec["taskManager"]["podTemplate"]["spec"]["containers"][0].update(
        cmd=1
    ),
    "another Flink": lambda spec: spec.update(flinkVersion="v9_99"),
    "replicas that are no number": lambda spec: spec["taskManager"].update(replicas="two"),
}


@pytest.mark.parametrize("breaks", BROKEN.values(), ids=BROKEN)
def test_flinks_operator_refuses_what_is_wrong(made: list[dict[str, Any]], breaks: Callable[[Any], Any]) -> None:
    wrong = copy.deepcopy(named(made, "FlinkDeployment", "demo-flink"))
    breaks(wrong["spec"])
    assert flink_faults(wrong) != []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("live.lane", 4, id="a value that there isn't"),
        pytest.param("serve.volume.sise", "1Gi", id="a value of a value that there isn't"),
        pytest.param("home", "/data", id="a folder as home"),
        pytest.param("home", None, id="no home"),
        pytest.param("store.host", None, id="no store"),
        pytest.param("store.password", "secret", id="a password"),
        pytest.param("store.sslmode", "disable", id="connections that aren't encrypted"),
        pytest.param("definitions", {}, id="no definition"),
        pytest.param("live.lanes", "four", id="lanes that are no number"),
        pytest.param("live.subscription", "clicks", id="a subscription's short name"),
        pytest.param("live.subscription", "", id="no subscription"),
        pytest.param("backfill.schedule", "hourly", id="a schedule that isn't cron's"),
        pytest.param("image.digest", "sha256:1234", id="half a digest"),
        pytest.param("networkPolicies.egress", [{"two": []}], id="a rule of the network that there isn't"),
        pytest.param(
            "networkPolicies.egress", [{"to": [{"ipblock": {}}]}], id="a peer of the network that there isn't"
        ),
    ],
)
def test_values_that_are_wrong_are_refused(path: str, value: Any) -> None:
    rendered(changed(path, value), code=1)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(changed("store.caSecret", "ca"), id="a certificate authority of one's own"),
        pytest.param(changed("cloud", {"credentialsSecret": "gcp"}), id="credentials of Google in a secret"),
        pytest.param(
            changed("cloud", {"environmentSecret": "aws"}) | {"home": "s3://demo/clicks"}, id="credentials of S3"
        ),
        pytest.param(changed("live.enabled", False), id="without live"),
        pytest.param(changed("serve.enabled", False), id="without answers"),
        pytest.param(changed("alerts.enabled", True), id="with alerts"),
        pytest.param(
            changed(
                "networkPolicies.egress", [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 5432}]}]
            ),
            id="a rule of the network",
        ),
        pytest.param(changed("image.pullSecrets", ["pull"]), id="a registry that asks who one is"),
        pytest.param(changed("definitions", {"clicks": "a", "other_one": "b"}), id="two definitions"),
    ],
)
def test_other_values(values: dict[str, Any], tmp_path: Path) -> None:
    made = rendered(values)
    for one in made:
        if one["kind"] == "FlinkDeployment":
            assert flink_faults(one) == []
    plain = [one for one in made if one["kind"] not in ("FlinkDeployment", "PrometheusRule")]
    file = tmp_path / "made.yaml"
    file.write_text(yaml.safe_dump_all(plain), encoding="utf-8")
    assert ran(tool("kubernetes-validate"), "--strict", "--no-warn", str(file)).count("passed") == len(plain)


def test_no_policy_fails(made: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "made.yaml").write_text(yaml.safe_dump_all(made), encoding="utf-8")
    done = ran(tool("checkov"), "-d", str(tmp_path), "--framework", "kubernetes", "--skip-download", "-o", "json")
    found = json.loads(done)
    assert found["summary"]["failed"] == 0
    assert found["summary"]["passed"] > 300
    skipped = found["results"]["skipped_checks"]
    assert {check["check_id"] for check in skipped} <= {"CKV_K8S_8", "CKV_K8S_9", "CKV_K8S_43"}
    assert all(check["check_result"]["suppress_comment"] for check in skipped)


def test_every_container_is_unprivileged_and_has_limits(made: list[dict[str, Any]]) -> None:
    all_of_them = [one for thing in made for one in containers(thing)]
    assert len(all_of_them) == 7
    for one in all_of_them:
        security = one["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        if one["name"] != "flink-main-container":  # its entry point writes its configuration
            assert security["readOnlyRootFilesystem"] is True
            assert one["resources"]["limits"].keys() >= {"cpu", "memory"}


def test_no_secret_is_in_it(made: list[dict[str, Any]]) -> None:
    assert not [one for one in made if one["kind"] == "Secret"]
    text = json.dumps(made)
    assert "password_from=file:/run/secrets/store/password" in text
    assert "tandem:" not in [url.split("@")[0].rpartition("/")[2] for url in text.split("postgresql://")[1:]]


def test_arguments_are_ones_that_tandem_takes(
    made: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANDEM_HOME", VALUES["home"])
    file = str(Path(__file__).parents[3] / "examples/clicks/clicks.yaml")

    def arguments(kind: str, name: str) -> list[str]:
        (one,) = (c for c in containers(named(made, kind, name)))
        return [word.replace("/definitions/clicks.yaml", file) for word in one["args"]]

    config, _ = parse(read_arguments("live", arguments("Deployment", "demo-live")[1:]))
    assert (config.lanes, config.take_over, config.home.journal) == (4, True, "gs://demo-tandem/clicks/journal")
    for job in ("backfill", "reconcile"):
        cron = f"demo-{job}" + ("-clicks" if job == "reconcile" else "")
        assert launchable(job).sketch(read_arguments(job, arguments("CronJob", cron)[1:]))
    shown = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "300"}).output
    for word in arguments("Deployment", "demo-serve")[1:]:
        assert word.partition("=")[0] in shown


def test_probes_ask_whether_it_lives_and_is_ready(made: list[dict[str, Any]]) -> None:
    (serve,) = containers(named(made, "Deployment", "demo-serve"))
    paths = {probe: serve[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"startupProbe": "/health/live", "livenessProbe": "/health/live", "readinessProbe": "/health/ready"}


def test_each_task_manager_has_workers_beside_it(made: list[dict[str, Any]]) -> None:
    spec = named(made, "FlinkDeployment", "demo-flink")["spec"]
    (workers,) = spec["taskManager"]["podTemplate"]["spec"]["containers"]
    assert workers["command"][-1] == "50000"
    (live,) = containers(named(made, "Deployment", "demo-live"))
    assert "--environment_config=localhost:50000" in live["args"]
    assert "--flink_master=demo-flink-rest:8081" in live["args"]
    assert spec["flinkConfiguration"]["state.checkpoints.dir"] == "gs://demo-tandem/clicks/flink/checkpoints"


def test_flink_alone_asks_the_api_server(made: list[dict[str, Any]]) -> None:
    """It keeps who leads, and what another JobManager needs, in config maps; nothing else of ours has a token."""
    spec = named(made, "FlinkDeployment", "demo-flink")["spec"]
    pod = spec["podTemplate"]["spec"]
    mount = "/var/run/secrets/kubernetes.io/serviceaccount"
    holders = {one["name"] for one in containers(spec) if mount in [m["mountPath"] for m in one["volumeMounts"]]}
    assert holders == {"flink-main-container"}
    (volume,) = (one for one in pod["volumes"] if "projected" in one)
    given = {name: source for each in volume["projected"]["sources"] for name, source in each.items()}
    assert given["serviceAccountToken"]["path"] == "token"
    assert given["configMap"]["name"] == "kube-root-ca.crt"
    assert given["downwardAPI"]["items"][0]["path"] == "namespace"
    pods = [pod, *(p for one in made for p in pod_specs(one) if "serviceAccountName" in p)]
    assert [one["automountServiceAccountToken"] for one in pods] == [False] * 5
    policies = {one["metadata"]["name"]: one["spec"] for one in made if one["kind"] == "NetworkPolicy"}
    ports = {port["port"] for rule in policies["demo-flink"]["egress"] for port in rule["ports"]}
    assert {443, 6443} <= ports


def pod_specs(thing: Any) -> list[dict[str, Any]]:
    if isinstance(thing, dict):
        own = [thing] if "containers" in thing else []
        return own + [spec for value in thing.values() for spec in pod_specs(value)]
    return [spec for value in thing for spec in pod_specs(value)] if isinstance(thing, list) else []


def test_nothing_is_let_in_but_what_is_named(made: list[dict[str, Any]]) -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in made if one["kind"] == "NetworkPolicy"}
    assert policies["demo-pipelines"]["ingress"] == []
    assert policies["demo-serve"]["ingress"][0]["from"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}
    ]
    for name in ("demo-pipelines", "demo-flink"):
        assert policies[name]["policyTypes"] == ["Ingress", "Egress"]


def test_disruptions_take_one_at_a_time(made: list[dict[str, Any]]) -> None:
    budgets = {one["metadata"]["name"]: one["spec"] for one in made if one["kind"] == "PodDisruptionBudget"}
    assert budgets.keys() == {"demo-taskmanagers", "demo-jobmanagers", "demo-serve"}
    assert all(spec["maxUnavailable"] == 1 for spec in budgets.values())
