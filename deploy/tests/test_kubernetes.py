"""The Helm chart: linted strictly, rendered in every shape it has, and each object held to the Kubernetes API's own schema."""

import subprocess
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

kubernetes: Any = import_module("kubernetes_validate")  # of requirements/deploy.txt, which `make check` does without
CHART = Path(__file__).parents[1] / "helm" / "interlingua"
OLDEST, NEWEST = "1.25", "1.37"
SHAPES = {
    "default": [],
    "all": [
        "autoscaling.enabled=true",
        "ingress.enabled=true,ingress.className=nginx,ingress.tlsSecret=tls",
        "keysFrom={one,two}",
        "env[0].name=KEY,env[0].valueFrom.secretKeyRef.name=s,env[0].valueFrom.secretKeyRef.key=k",
        "serviceAccount.annotations.eks\\.amazonaws\\.com/role-arn=arn:aws:iam::1:role/r",
        "imagePullSecrets[0].name=pull",
        "workers=2",
        "persistence.claim=tasks",
    ],
    "least": ["podDisruptionBudget.enabled=false", "serviceAccount.create=false"],
}


def helm(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["helm", *words], capture_output=True, text=True)


def rendered(*sets: str) -> dict[str, Any]:
    """kind -> object."""
    done = helm("template", "gateway", str(CHART), *(word for one in sets for word in ("--set", one)))
    assert done.returncode == 0, done.stderr
    return {item["kind"]: item for item in yaml.safe_load_all(done.stdout) if item}


def test_it_is_clean() -> None:
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_object_is_one_the_api_takes(shape: str, version: str) -> None:
    objects = rendered(*SHAPES[shape])
    for item in objects.values():
        kubernetes.validate(item, version, strict=True)
    always = {"ConfigMap", "Service", "Deployment"}
    extra = {"default": {"ServiceAccount", "PodDisruptionBudget"}, "least": set()}
    assert set(objects) == always | extra.get(shape, extra["default"] | {"HorizontalPodAutoscaler", "Ingress"})


def test_what_kubernetes_is_told() -> None:
    objects = rendered(*SHAPES["all"])
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert container["envFrom"] == [{"secretRef": {"name": "one"}}, {"secretRef": {"name": "two"}}]
    assert container["env"] == [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    assert container["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True and pod["securityContext"]["runAsNonRoot"] is True
    assert "replicas" not in objects["Deployment"]["spec"]  # the autoscaler's to decide
    assert objects["ServiceAccount"]["metadata"]["annotations"] == {
        "eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/r",
    }


def test_the_pod_outlives_its_drain() -> None:
    objects = rendered()
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    config = tomllib.loads(objects["ConfigMap"]["data"]["interlingua.toml"])
    pause = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > float(config["server"]["drain"].rstrip("s")) + pause


@pytest.mark.parametrize("wrong", ["config=", "replicas=many", "keysFrom=name", "terminationGracePeriodSeconds=0"])
def test_a_value_of_the_wrong_kind_is_refused(wrong: str) -> None:
    done = helm("template", "gateway", str(CHART), "--set", wrong)
    assert done.returncode != 0 and wrong.partition("=")[0] in done.stderr
