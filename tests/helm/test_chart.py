"""What the chart of deploy/helm makes is as Kubernetes wants it and keeps the service's promises. 'make helm' runs it.

No cluster is asked: that of these manifests a service comes up is not shown here.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from django.core.management import load_command_class

from conftest import PROJECT
from sessions_project.health import PROBES
from tests.helm.conftest import (
    CHART,
    OF_AN_OPERATOR,
    OLDEST,
    RELEASE,
    VALUES,
    Manifest,
    container,
    environment,
    manifests,
    of_kind,
    pod_template,
    render,
    rendered,
    run_helm,
    workloads,
)
from tests.test_docker import dockerfile, image_environment, values, variables_read

NAME = f"{RELEASE}-player-sessions"
ALWAYS = {"Deployment", "Service", "Job", "CronJob", "PodDisruptionBudget", "NetworkPolicy"}
SWITCHED_ON = {"HorizontalPodAutoscaler", "Ingress", *OF_AN_OPERATOR}
# The second is the newest whose schemas are here.
VERSIONS = [OLDEST, "1.37"]
SECRETS = {"SECRET_KEY", "SECRET_KEY_FALLBACKS", "CASSANDRA_PASSWORD"}
# Alerts that node_exporter's files and disks make: there are none of these here.
OF_MACHINES = {"PlayerSessionsErasuresPending", "CassandraDiskFills"}


# --- As helm and Kubernetes want it -----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", VALUES.values(), ids=VALUES)
def test_helm_has_nothing_to_say_of_it(options: list[str]) -> None:
    ended = run_helm("lint", "--strict", "--kube-version", OLDEST, str(CHART), *options)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 chart(s) linted, 0 chart(s) failed" in ended.stdout


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_as_its_schema_says(version: str, chart: list[Manifest], tmp_path: Path) -> None:
    """Strictly: a name that Kubernetes does not know would be dropped without a word."""
    validate = os.environ.get("KUBERNETES_VALIDATE") or shutil.which("kubernetes-validate")
    if not validate:
        pytest.skip("no kubernetes-validate: 'make helm' installs it")
    ours = [one for one in chart if one["kind"] not in OF_AN_OPERATOR]
    (tmp_path / "manifests.yaml").write_text(yaml.safe_dump_all(ours))
    command = [validate, "--strict", "--kubernetes-version", version, str(tmp_path / "manifests.yaml")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("passed for resource") == len(ours), ended.stdout


def test_parts_are_there_when_they_are_switched_on(defaults: list[Manifest], everything: list[Manifest]) -> None:
    assert {one["kind"] for one in defaults} == ALWAYS
    assert {one["kind"] for one in everything} == ALWAYS | SWITCHED_ON
    off = manifests("--set", "audit.enabled=false,networkPolicy.enabled=false")
    assert {one["kind"] for one in off} == ALWAYS - {"CronJob", "NetworkPolicy"}


def test_names_are_of_the_release_and_differ(chart: list[Manifest]) -> None:
    names = [(one["kind"], one["metadata"]["name"]) for one in chart]
    assert len(set(names)) == len(names)
    assert all(name.startswith(NAME) for _, name in names)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("settings.LOG_SLOW=1", "LOG_SLOW"),
        ("settings.SECRET_KEY=x", "SECRET_KEY"),
        ("redis.url=redis://:password@redis:6379/0", "/redis/url"),
        ("replica=3", "replica"),
        ("workers=0", "/workers"),
        ("ingress.enabled=true", "ingress.host is empty"),
    ],
)
def test_an_impossible_value_is_refused(value: str, complaint: str) -> None:
    ended = render("--set-string" if "settings" in value else "--set", value)
    assert ended.returncode != 0
    assert complaint in ended.stderr


# --- Settings ---------------------------------------------------------------------------------------------------------


def test_pods_are_given_only_settings_of_the_service(chart: list[Manifest]) -> None:
    for one in workloads(chart):
        assert {*environment(one)} - variables_read() == set(), one["metadata"]["name"]
        assert {"SECRET_KEY", "ALLOWED_HOSTS", "AUTH", "CASSANDRA_HOSTS", "REDIS_URL"} <= {*environment(one)}


def test_no_service_of_the_namespace_is_taken_for_a_setting(chart: list[Manifest]) -> None:
    """A Service "cassandra" would come as CASSANDRA_PORT=tcp://10.0.0.1:9042."""
    assert [pod_template(one)["spec"]["enableServiceLinks"] for one in workloads(chart)] == [False] * 3


def test_secrets_are_only_named(chart: list[Manifest], everything: list[Manifest]) -> None:
    assert of_kind(chart, "Secret") == []
    for one in workloads(chart):
        given = environment(one)
        assert all("secretKeyRef" in given[name] for name in SECRETS & {*given})
    for one in workloads(everything):
        assert environment(one)["REDIS_URL"] == {"secretKeyRef": {"name": "sessions-secret", "key": "REDIS_URL"}}


def test_tables_are_made_by_a_role_of_their_own(everything: list[Manifest]) -> None:
    roles = {one["kind"]: environment(one)["CASSANDRA_USER"]["secretKeyRef"]["name"] for one in workloads(everything)}
    assert roles == {"Deployment": "service-role", "CronJob": "service-role", "Job": "schema-role"}


def test_files_of_certificates_are_those_that_are_mounted(everything: list[Manifest]) -> None:
    for one in workloads(everything):
        [mount] = [mount for mount in container(one)["volumeMounts"] if mount["name"] == "cassandra-tls"]
        assert mount["readOnly"]
        files = {name: path for name, path in environment(one).items() if name.endswith("_FILE")}
        assert files == {
            "CASSANDRA_CA_FILE": f"{mount['mountPath']}/ca.crt",
            "CASSANDRA_CERT_FILE": f"{mount['mountPath']}/tls.crt",
            "CASSANDRA_KEY_FILE": f"{mount['mountPath']}/tls.key",
        }


def test_the_names_of_the_service_and_the_ingress_are_allowed(everything: list[Manifest]) -> None:
    hosts = environment(of_kind(everything, "Deployment")[0])["ALLOWED_HOSTS"].split(",")
    assert hosts == [NAME, f"{NAME}.games", f"{NAME}.games.svc", "sessions.example.org", "api.example.org"]


def test_a_new_keyspace_has_three_copies(defaults: list[Manifest]) -> None:
    [job] = of_kind(defaults, "Job")
    assert environment(job)["CASSANDRA_REPLICATION"] == "datacenter1=3"


# --- Pods -------------------------------------------------------------------------------------------------------------


def test_pods_may_do_little(chart: list[Manifest]) -> None:
    """As the standard "restricted" of Kubernetes wants it, and a file system that cannot be written to."""
    [user, group] = values("USER", dockerfile())[-1].split(":")
    for one in workloads(chart):
        pod = pod_template(one)["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": int(user),
            "runAsGroup": int(group),
            "fsGroup": int(group),
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert container(one)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not {"hostNetwork", "hostPID", "hostIPC"} & {*pod}


def test_only_tmp_can_be_written_to_and_has_a_size(chart: list[Manifest]) -> None:
    for one in workloads(chart):
        volumes = {volume["name"]: volume for volume in pod_template(one)["spec"]["volumes"]}
        writable = [mount for mount in container(one)["volumeMounts"] if not mount.get("readOnly")]
        assert writable == [{"name": "tmp", "mountPath": "/tmp"}]
        assert volumes["tmp"]["emptyDir"].keys() == {"medium", "sizeLimit"}


def test_probes_ask_at_the_services_own_addresses(chart: list[Manifest]) -> None:
    web = container(of_kind(chart, "Deployment")[0])
    ports = {one["name"]: one["containerPort"] for one in web["ports"]}
    assert str(ports["http"]) == image_environment()["PORT"]
    asked = {kind: web[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert {one["path"] for one in asked.values()} == {*PROBES}
    assert {one["port"] for one in asked.values()} == {"http"}
    # A store that is away is no reason to start the process anew.
    assert asked["startup"]["path"] == asked["liveness"]["path"] == "/livez"
    assert asked["readiness"]["path"] == "/readyz"


def test_readiness_is_waited_for_as_long_as_it_may_take(defaults: list[Manifest], everything: list[Manifest]) -> None:
    """/readyz reads twice, each time for up to CASSANDRA_TIMEOUT_SECONDS: 2, and 2.5 there."""
    waits = [
        container(of_kind(chart, "Deployment")[0])["readinessProbe"]["timeoutSeconds"]
        for chart in (defaults, everything)
    ]
    assert waits == [6, 8]


def test_a_pod_that_stops_answers_what_it_has_begun(chart: list[Manifest]) -> None:
    [deployment] = of_kind(chart, "Deployment")
    server = (PROJECT / "sessions_project/__main__.py").read_text()
    pause = container(deployment)["lifecycle"]["preStop"]["sleep"]["seconds"]
    kill_timeout = int(re.search(r"--workers-kill-timeout=(\d+)", server)[1])
    assert pod_template(deployment)["spec"]["terminationGracePeriodSeconds"] > pause + kill_timeout
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_pods_are_spread_over_machines_and_zones(chart: list[Manifest]) -> None:
    template = pod_template(of_kind(chart, "Deployment")[0])
    spread = template["spec"]["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    for one in spread:
        assert one["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_memory_is_bounded_and_cpu_is_asked_for(chart: list[Manifest]) -> None:
    [deployment] = of_kind(chart, "Deployment")
    resources = container(deployment)["resources"]
    assert resources["requests"]["cpu"] == environment(deployment)["WEB_WORKERS"]
    assert resources["limits"].keys() == {"memory"}


def test_the_autoscaler_alone_says_how_many(defaults: list[Manifest], everything: list[Manifest]) -> None:
    assert of_kind(defaults, "Deployment")[0]["spec"]["replicas"] == 2
    assert "replicas" not in of_kind(everything, "Deployment")[0]["spec"]
    [scaler] = of_kind(everything, "HorizontalPodAutoscaler")
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (3, 12)
    assert scaler["spec"]["scaleTargetRef"]["name"] == NAME


# --- Jobs -------------------------------------------------------------------------------------------------------------


def test_one_job_makes_the_tables_before_anything_else(chart: list[Manifest]) -> None:
    [job] = of_kind(chart, "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert [one["kind"] for one in chart if "helm.sh/hook" in one["metadata"].get("annotations", {})] == ["Job"]


def test_jobs_run_commands_of_the_service(chart: list[Manifest]) -> None:
    for kind, name, app in (("Job", "sync_cassandra", "events"), ("CronJob", "audit_store", "events")):
        [one] = of_kind(chart, kind)
        words = [*container(one)["command"], *container(one).get("args", [])]
        assert words[:3] == ["python", "manage.py", name]
        options = load_command_class(app, name).create_parser("manage.py", name).parse_args(words[3:])
        assert options.wait > 0 if name == "sync_cassandra" else options.fix


def test_audits_never_overlap(chart: list[Manifest]) -> None:
    [audit] = of_kind(chart, "CronJob")
    assert audit["spec"]["concurrencyPolicy"] == "Forbid"


# --- Who reaches whom -------------------------------------------------------------------------------------------------


def test_services_lead_to_the_web_pods(chart: list[Manifest]) -> None:
    labels = pod_template(of_kind(chart, "Deployment")[0])["metadata"]["labels"].items()
    jobs = [pod_template(one)["metadata"]["labels"].items() for one in chart if one["kind"] in ("Job", "CronJob")]
    for selector in [
        *(one["spec"]["selector"] for one in of_kind(chart, "Service")),
        *(one["spec"]["selector"]["matchLabels"] for one in of_kind(chart, "PodDisruptionBudget")),
        *(one["spec"]["selector"]["matchLabels"] for one in of_kind(chart, "Deployment")),
    ]:
        assert selector.items() <= labels
        assert not any(selector.items() <= one for one in jobs)


def test_metrics_are_reached_by_a_service_of_their_own(everything: list[Manifest]) -> None:
    [monitor] = of_kind(everything, "ServiceMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    [service] = [one for one in of_kind(everything, "Service") if wanted <= one["metadata"]["labels"].items()]
    assert [one["name"] for one in service["spec"]["ports"]] == [monitor["spec"]["endpoints"][0]["port"]]
    # The alerts ask for this job.
    assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "player-sessions"
    assert 'up{job="player-sessions"}' in (PROJECT / "deploy/prometheus/alerts.yml").read_text()


def test_pods_talk_to_nobody_else(everything: list[Manifest]) -> None:
    [policy] = of_kind(everything, "NetworkPolicy")
    selected = policy["spec"]["podSelector"]["matchLabels"].items()
    assert all(selected <= pod_template(one)["metadata"]["labels"].items() for one in workloads(everything))
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    into = {rule["ports"][0]["port"]: rule["from"] for rule in policy["spec"]["ingress"]}
    out_of = {rule["ports"][0]["port"]: rule.get("to") for rule in policy["spec"]["egress"]}
    assert {*into} == {one["containerPort"] for one in container(of_kind(everything, "Deployment")[0])["ports"]}
    assert into[8000] != into[9464]
    assert out_of.keys() == {53, 9142, 6380}
    assert out_of[9142]
    assert out_of[6380]


def test_an_ingress_has_the_bounds_of_the_proxy(everything: list[Manifest]) -> None:
    """Those of docker/nginx.conf."""
    nginx = (PROJECT / "docker/nginx.conf").read_text()
    both = {one["spec"]["rules"][0]["http"]["paths"][0]["path"]: one for one in of_kind(everything, "Ingress")}
    bounds = {
        path: {name.rpartition("/")[2]: value for name, value in one["metadata"]["annotations"].items()}
        for path, one in both.items()
    }
    assert f"client_max_body_size {bounds['/']['proxy-body-size']};" in nginx
    assert f"proxy_connect_timeout {bounds['/']['proxy-connect-timeout']}s;" in nginx
    assert f"proxy_read_timeout {bounds['/']['proxy-read-timeout']}s;" in nginx
    assert f"proxy_next_upstream {bounds['/']['proxy-next-upstream']};" in nginx
    assert f"proxy_read_timeout {bounds['/api/v1/reports/starts/']['proxy-read-timeout']}s;" in nginx
    assert environment(of_kind(everything, "Deployment")[0])["BEHIND_TLS_PROXY"] == "True"


# --- Alerts -----------------------------------------------------------------------------------------------------------


def test_the_alerts_are_those_of_the_repository(everything: list[Manifest]) -> None:
    [rule] = of_kind(everything, "PrometheusRule")
    written = yaml.safe_load((PROJECT / "deploy/prometheus/alerts.yml").read_text())
    wanted = {one["alert"]: one for group in written["groups"] for one in group["rules"]}
    here = {one["alert"]: one for group in rule["spec"]["groups"] for one in group["rules"]}
    assert here.keys() == wanted.keys() - OF_MACHINES
    changed = {name for name, one in here.items() if one != wanted[name]}
    assert changed == {"PlayerSessionsNotAudited"}
    assert rule["metadata"]["labels"]["release"] == "prometheus"


def test_an_audit_that_does_not_run_sets_off_its_alert(
    promtool: str, everything: list[Manifest], tmp_path: Path
) -> None:
    """Three clusters: one whose audit ended yesterday, one whose last ended three days ago, one that never ran."""
    [rule] = of_kind(everything, "PrometheusRule")
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rule["spec"]))
    job = f'{{namespace="games", cronjob="{NAME}-audit"}}'
    day, made = 86_400, f"kube_cronjob_created{job}"
    ended = f"kube_cronjob_status_last_successful_time{job}"
    cases = [
        ([(made, -9 * day), (ended, -day)], []),
        ([(made, -9 * day), (ended, -3 * day)], ["PlayerSessionsNotAudited"]),
        ([(made, -day)], []),
        ([(made, -3 * day)], ["PlayerSessionsNotAudited"]),
        ([], ["PlayerSessionsNotAudited"]),
    ]
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": f"{value}x30"} for name, value in series],
            "promql_expr_test": [
                {
                    "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": "25m",
                    "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in alerts],
                }
            ],
        }
        for series, alerts in cases
    ]
    (tmp_path / "tests.yml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests})
    )
    command = [promtool, "test", "rules", str(tmp_path / "tests.yml")]
    ended_well = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended_well.returncode == 0, ended_well.stdout + ended_well.stderr


def test_a_store_that_is_not_audited_here_has_no_alert_for_it() -> None:
    assert "PlayerSessionsNotAudited" not in rendered("--set", "audit.enabled=false,monitoring.enabled=true")
