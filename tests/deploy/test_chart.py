"""The Helm chart: rendered by Helm, valid for Kubernetes, without rights, and what it tells Tocsin is understood."""

import json
import re
from functools import cache
from itertools import pairwise

import pytest
import yaml
from jsonschema_rs import validator_for
from typer.main import get_command

import charts
from tocsin.cli.main import app
from tocsin.spec.cluster import TOPIC
from tocsin.spec.load import load_config
from tocsin.spec.packs import load_packs

# what the objects of others may say, by the documentation of KEDA 2 and the Prometheus operator
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
FOREIGN = {
    "ScaledObject": {
        "type": "object",
        "additionalProperties": False,
        "required": ["scaleTargetRef", "triggers"],
        "properties": {
            "scaleTargetRef": {"type": "object", "required": ["name"]},
            "minReplicaCount": {"type": "integer"},
            "maxReplicaCount": {"type": "integer"},
            "pollingInterval": {"type": "integer"},
            "advanced": {"type": "object", "properties": {"horizontalPodAutoscalerConfig": {"type": "object"}}},
            "triggers": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["type", "metadata"],
                    "properties": {
                        "type": {"enum": ["kafka", "cpu"]},
                        "metricType": {"enum": ["Utilization", "AverageValue"]},
                        "metadata": TEXTS,
                        "authenticationRef": TEXTS,
                    },
                },
            },
        },
    },
    "ServiceMonitor": {
        "type": "object",
        "additionalProperties": False,
        "required": ["selector", "endpoints"],
        "properties": {
            "selector": {"type": "object"},
            "targetLabels": {"type": "array", "items": {"type": "string"}},
            "endpoints": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "port": {"type": "string"},
                        "path": {"type": "string"},
                        "interval": {"type": "string"},
                        "authorization": {"type": "object", "properties": {"credentials": TEXTS}},
                    },
                },
            },
        },
    },
}
ROLES = {
    "usual": {"edge", "engine", "control"},
    "fixed": {"engine", "control"},
    "bucket": {"edge", "engine", "control", "api"},
    "topic": {"edge", "engine", "control"},
    "watched": {"edge", "engine", "control", "api"},
}
COMMANDS = {"edge": "worker", "engine": "worker", "control": "control", "api": "replica"}


@cache
def made(name):
    return charts.objects(charts.kept(name)[1])


def found(name, kind):
    return [each for each in made(name) if each["kind"] == kind]


def pods(name):
    sets = found(name, "Deployment") + found(name, "StatefulSet")
    return {each["metadata"]["name"].removeprefix("watch-tocsin-"): each["spec"] for each in sets}


def containers(name):
    for role, spec in pods(name).items():
        (container,) = spec["template"]["spec"]["containers"]
        yield role, spec["template"]["spec"], container


def test_sets_are_kept_of_this_chart():
    assert charts.SETS == ["bucket", "fixed", "topic", "usual", "watched"]
    for name in charts.SETS:
        assert charts.kept(name)[0] == charts.digest(), "the chart changed: python -m tests.charts"


@pytest.mark.parametrize("name", charts.SETS)
def test_nothing_runs_with_rights_or_writes_into_the_image(name):
    seen = set()
    for role, pod, container in containers(name):
        seen.add(role)
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert all("hostPath" not in volume for volume in pod["volumes"])
        assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {"/data", "/tmp", "/etc/tocsin"}
    assert seen == ROLES[name]


@pytest.mark.parametrize("name", charts.SETS)
def test_every_role_is_probed_and_may_be_evicted_one_at_a_time(name):
    budgets = {each["metadata"]["name"]: each["spec"] for each in found(name, "PodDisruptionBudget")}
    for role, pod, container in containers(name):
        assert container["startupProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert {"name": "http", "containerPort": 8642, "protocol": "TCP"} in container["ports"]
        budget = budgets[f"watch-tocsin-{role}"]
        assert budget["maxUnavailable"] == 1
        assert budget["selector"]["matchLabels"]["app.kubernetes.io/component"] == role
        assert pod["terminationGracePeriodSeconds"] >= 30


@pytest.mark.parametrize("name", charts.SETS)
def test_names_that_are_referred_to_are_there(name):
    there = {(each["kind"], each["metadata"]["name"]) for each in made(name)}
    given = {("ConfigMap", "tocsin-of-mine"), ("PersistentVolumeClaim", "shared"), ("ServiceAccount", "default")}
    labels = [spec["template"]["metadata"]["labels"] for spec in pods(name).values()]
    for role, pod, container in containers(name):
        assert ("ServiceAccount", pod["serviceAccountName"]) in there | given
        for volume in pod["volumes"]:
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in there | given
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in there | given
        claimed = {each["metadata"]["name"] for each in pods(name)[role].get("volumeClaimTemplates", ())}
        volumes = {volume["name"] for volume in pod["volumes"]} | claimed
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    for kind in ("Service", "NetworkPolicy", "PodDisruptionBudget"):
        for each in found(name, kind):
            spec = each["spec"]
            chosen = spec.get("podSelector", spec.get("selector"))
            chosen = chosen.get("matchLabels", chosen)
            assert any(chosen.items() <= of.items() for of in labels), each["metadata"]["name"]
    for kind in ("HorizontalPodAutoscaler", "ScaledObject"):
        for each in found(name, kind):
            target = each["spec"]["scaleTargetRef"]
            assert (target["kind"], target["name"]) in there
            assert "replicas" not in pods(name)[target["name"].removeprefix("watch-tocsin-")]


def test_workers_follow_the_lag_of_the_log():
    (scaled,) = found("usual", "ScaledObject")
    busy, trigger = (each["metadata"] for each in scaled["spec"]["triggers"])
    (config,) = found("usual", "ConfigMap")
    cluster = yaml.safe_load(config["data"]["tocsin.yaml"])["cluster"]
    assert trigger["topic"] == f"{cluster['prefix']}.log"
    assert trigger["consumerGroup"] == cluster["group"]
    assert trigger["bootstrapServers"].split(",") == cluster["brokers"]
    assert scaled["spec"]["maxReplicaCount"] <= cluster["partitions"]
    (plain,) = (
        each for each in found("watched", "HorizontalPodAutoscaler") if each["metadata"]["name"].endswith("engine")
    )
    assert str(plain["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"]) == busy["value"]
    assert plain["spec"]["metrics"][1]["external"]["metric"]["selector"]["matchLabels"] == {
        "consumergroup": "tocsin-engine", "topic": "tocsin.log",
    }  # fmt: skip
    assert plain["spec"]["behavior"] == scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]


@pytest.mark.parametrize("name", charts.SETS)
def test_every_role_is_a_command_of_the_program(name):
    for role, _, container in containers(name):
        command, *options = container["args"]
        known = get_command(app).commands[command]
        assert command == COMMANDS[role]
        known.make_context(command, list(options))
        assert ("--no-engine" in options) == (role == "edge")


def cluster_of(name, path):
    """What the chart tells Tocsin of the cluster."""
    (config,) = found(name, "ConfigMap")
    file = path / "tocsin.yaml"
    file.write_text(config["data"]["tocsin.yaml"])
    return load_config(file, {}, load_packs()).config.cluster


@pytest.mark.parametrize("name", ["usual", "fixed"])
def test_the_configuration_is_one_that_tocsin_takes(name, tmp_path):
    cluster = cluster_of(name, tmp_path)
    for _, _, container in containers(name):
        mount = next(each for each in container["volumeMounts"] if each["name"] == "shared")
        assert cluster.snapshots.startswith(mount["mountPath"])


def policy(name, role):
    (found_one,) = (e for e in found(name, "NetworkPolicy") if e["metadata"]["name"] == f"watch-tocsin-{role}")
    return found_one["spec"]


@pytest.mark.parametrize("name", ["bucket", "watched"])
def test_replicas_of_the_pages_reach_control_and_nothing_that_is_written_to(name):
    (api,) = (container for role, _, container in containers(name) if role == "api")
    control = dict(pairwise(api["args"]))["--control"]
    (service,) = (e for e in found(name, "Service") if f"http://{e['metadata']['name']}:80" == control)
    assert service["spec"]["selector"]["app.kubernetes.io/component"] == "control"
    assert {mount["name"] for mount in api["volumeMounts"]} == {"config", "data", "tmp", "keys"}
    (pages,) = (e["spec"] for e in found(name, "Service") if e["metadata"]["name"] == "watch-tocsin-api")
    assert pages["selector"]["app.kubernetes.io/component"] == "api"
    to = {"podSelector": {"matchLabels": service["spec"]["selector"]}}
    assert {"to": [to], "ports": [{"port": "http", "protocol": "TCP"}]} in policy(name, "api")["egress"]
    (entry,) = policy(name, "control")["ingress"]
    others = {"namespaceSelector": {}} in entry["from"]
    assert others or {"podSelector": {"matchLabels": pages["selector"]}} in entry["from"]
    update = pods(name)["api"]["strategy"]["rollingUpdate"]
    assert update == {"maxUnavailable": 0, "maxSurge": 1}


def test_with_a_bucket_nothing_is_shared_but_a_secret_and_engines_alone_may_write_there(tmp_path):
    cluster = cluster_of("bucket", tmp_path)
    values = charts.values_of("bucket")
    assert cluster.snapshots == values["snapshots"]["bucket"]
    assert cluster.s3.endpoint == values["snapshots"]["endpoint"]
    assert [each["spec"]["accessModes"] for each in found("bucket", "PersistentVolumeClaim")] == []
    for role, pod, container in containers("bucket"):
        if role == "api":
            continue  # it redacts nothing
        mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
        assert mounts[cluster.shared]["readOnly"] is True
        volumes = {each["name"]: each for each in pod["volumes"]}
        assert volumes[mounts[cluster.shared]["name"]]["secret"]["secretName"] == values["keysSecret"]
        given = [path for path in mounts if cluster.s3.credentials_file.startswith(f"{path}/")]
        assert bool(given) == (role == "engine")
        for path in given:
            assert volumes[mounts[path]["name"]]["secret"]["secretName"] == "tocsin-bucket"


def test_with_a_topic_nothing_is_shared_but_a_secret(tmp_path):
    cluster = cluster_of("topic", tmp_path)
    assert cluster.snapshots == TOPIC
    assert found("topic", "PersistentVolumeClaim") == []
    for _, pod, container in containers("topic"):
        mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
        assert mounts[cluster.shared]["readOnly"] is True
        volumes = {each["name"]: each for each in pod["volumes"]}
        assert volumes[mounts[cluster.shared]["name"]]["secret"]["secretName"] == "tocsin-keys"
        assert "shared" not in volumes


def test_objects_of_others_say_what_those_document():
    for name, kind in (("usual", "ScaledObject"), ("watched", "ServiceMonitor")):
        (each,) = found(name, kind)
        validator_for(FOREIGN[kind]).validate(each["spec"])


def test_every_value_has_its_place_in_the_schema():
    schema = json.loads((charts.CHART / "values.schema.json").read_text())
    values = yaml.safe_load((charts.CHART / "values.yaml").read_text())
    check = validator_for(schema)
    check.validate(values)
    used = set()
    for path in (charts.CHART / "templates").iterdir():
        used |= {tuple(way.split(".")) for way in re.findall(r"\.Values\.([A-Za-z0-9.]+)", path.read_text())}
    for way in used:
        at = values
        for step in way:
            assert step in at, f".Values.{'.'.join(way)} is not in values.yaml"
            at = at[step]
    assert not check.is_valid({**values, "replicas": 3})
    assert not check.is_valid({**values, "podSecurityContext": {"runAsNonRoot": False}})
    assert not check.is_valid({**values, "kafka": {**values["kafka"], "bootstrap": "kafka"}})


@pytest.mark.soak
@pytest.mark.parametrize("name", charts.SETS)
def test_helm_renders_what_is_kept_and_kubernetes_takes_it(name):
    pytest.importorskip("helm_python", reason="uv sync --group deploy")
    from kubernetes_validate import validate

    text = charts.rendered(charts.values_of(name))
    assert text == charts.kept(name)[1]
    for version in ("1.28", "1.37"):
        for each in charts.objects(text):
            if each["kind"] not in FOREIGN:
                validate(each, version, strict=True)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "kafka.bootstrap is empty"),
        ({"kafka": {"bootstrap": "kafka:9092"}}, "keysSecret is empty"),
        (
            {"kafka": {"bootstrap": "kafka:9092", "partitions": 8}, "keysSecret": "keys"},
            "12 engine workers and 8 partitions",
        ),
        ({"kafka": {"bootstrap": "kafka"}}, "does not match pattern"),
        (
            {"kafka": {"bootstrap": "kafka:9092"}, "keysSecret": "keys", "api": {"replicas": 2}},
            "name a ClickHouse cluster",
        ),
        (
            {
                "kafka": {"bootstrap": "kafka:9092"},
                "keysSecret": "keys",
                "api": {"replicas": 2},
                "config": {"telemetry": {"cluster": "main"}},
            },
            "name a PostgreSQL",
        ),
        (
            {
                "kafka": {"bootstrap": "kafka:9092"},
                "keysSecret": "keys",
                "snapshots": {"topic": True, "bucket": "s3://tocsin"},
            },
            "snapshots lie in one of them",
        ),
        ({"engine": {"autoscaling": {"kind": "cpu"}}}, "must be one of"),
    ],
)
def test_what_can_not_be_right_is_refused_in_words(values, told):
    helm = pytest.importorskip("helm_python", reason="uv sync --group deploy")
    with pytest.raises(helm.HelmError, match=told):
        charts.rendered(values)
