"""The examples of many machines: the script runs with a stub of SLURM, the manifests are valid."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from bundle_fixture import write_png, write_tiny_bundle
from process_fixture import run_command

from pipelines.ingest.shard import Shard

EXAMPLES = Path(__file__).resolve().parents[1] / "docs" / "examples"
SLURM = EXAMPLES / "slurm.sh"


def slurm(
    folder: Path, *, exits: int = 0, **given: object
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the script with an `srun` that writes down what it was asked to run."""
    (folder / "bin").mkdir(exist_ok=True)
    stub = folder / "bin" / "srun"
    stub.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{folder}/asked"\nexit {exits}\n')
    stub.chmod(0o755)
    environment = {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        **{name: str(value) for name, value in given.items()},
    }
    done = subprocess.run(
        ["bash", SLURM], env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    asked = folder / "asked"
    return done, asked.read_text("utf-8").splitlines() if asked.exists() else []


def test_the_tasks_of_an_array_and_the_merge_make_one_set_of_tables(tmp_path):
    bundle, films = write_tiny_bundle(tmp_path / "tiny"), tmp_path / "my films"
    for number in range(4):
        write_png(films / f"{number}.png", seed=number)
    given = {"BUNDLE": bundle.root, "INPUT": films, "OUTPUT": tmp_path / "out"}
    for task in (0, 1):
        array = {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_COUNT": 2}
        done, asked = slurm(tmp_path, **given, **array)
        assert done.returncode == 0, done.stderr
        assert asked[0] == "plainfilm"
        assert run_command(*asked[1:]).returncode == 0
    done, asked = slurm(tmp_path, **given, MERGE=1)
    assert (done.returncode, asked) == (0, ["plainfilm", "merge", str(tmp_path / "out")])
    merged = run_command(*asked[1:])
    assert "4 inputs: 4 predicted" in merged.stdout, merged.stderr


def test_the_script_passes_on_how_it_ended(tmp_path):
    given = {"BUNDLE": "b", "INPUT": "i", "OUTPUT": "o"}
    given |= {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "1"}
    assert [slurm(tmp_path, exits=status, **given)[0].returncode for status in (3, 1, 2)] == [
        0,
        1,
        2,
    ]
    assert slurm(tmp_path, **{**given, "INPUT": ""})[0].returncode != 0
    subprocess.run(["bash", "-n", SLURM], check=True, timeout=30)


def test_a_job_with_a_cluster_of_its_own_ends_it_and_says_how_it_ended(tmp_path):
    for name, script in {
        "ray": f'echo "ray $*" >> "{tmp_path}/asked"; test -n "$RAY_AUTH_TOKEN"',
        "srun": 'while [ "$1" != ray ]; do shift; done; "$@"; exec sleep 60',
        "plainfilm": f'echo "plainfilm $*" >> "{tmp_path}/asked"; exit $EXITS',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    given = {"BUNDLE": "b", "INPUT": "my films", "OUTPUT": "o", "WAIT": "1"}
    given |= {"SLURM_JOB_NUM_NODES": "2", "SLURM_CPUS_PER_TASK": "8"}
    for exits, expected in (("3", 0), ("1", 1)):
        (tmp_path / "asked").unlink(missing_ok=True)
        done = subprocess.run(
            ["bash", EXAMPLES / "ray_slurm.sh"],
            env={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "EXITS": exits, **given},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == expected, done.stderr
        head, other, predict, stop = (tmp_path / "asked").read_text("utf-8").splitlines()
        (address,) = re.findall(r"--node-ip-address=(\S+) --port=6379 --num-cpus=8", head)
        assert other == f"ray start --address={address}:6379 --num-cpus=8 --block"
        assert predict == f"plainfilm predict b my films o --executor ray --address {address}:6379"
        assert stop == "ray stop"


@pytest.fixture(scope="module")
def jobs() -> list[dict]:
    return list(yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text("utf-8")))


def test_the_manifests_are_valid(jobs):
    validate = pytest.importorskip(
        "kubernetes_validate", reason="kubernetes-validate is not installed"
    )
    for job in jobs:
        validate.validate(job, "1.33", strict=True)
    jobs[0]["spec"]["completion"] = 3
    with pytest.raises(validate.ValidationError):
        validate.validate(jobs[0], "1.33", strict=True)
    del jobs[0]["spec"]["completion"]


def test_every_shard_of_the_job_exists_and_nobody_is_root(jobs):
    predict, merge = jobs
    command = predict["spec"]["template"]["spec"]["containers"][0]["command"][-1]
    (count,) = re.findall(r"\$JOB_COMPLETION_INDEX/(\d+)", command)
    assert int(count) == predict["spec"]["completions"]
    assert Shard.parse(f"{predict['spec']['completions'] - 1}/{count}")
    claims = [
        {v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v}
        for job in (predict, merge)
        if (volumes := job["spec"]["template"]["spec"]["volumes"])
    ]
    assert claims == [{"films", "results"}, {"results"}]
    for job in jobs:
        pod = job["spec"]["template"]["spec"]
        assert pod["restartPolicy"] == "Never"
        assert pod["securityContext"]["runAsNonRoot"] is True
        (container,) = pod["containers"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"].keys() == {"requests", "limits"}
        mounted = {each["name"] for each in container["volumeMounts"]}
        assert mounted == {each["name"] for each in pod["volumes"]}


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(("exits", "expected"), [(0, 0), (3, 0), (1, 1), (2, 2)])
def test_a_pod_ends_as_its_job_expects(jobs, tmp_path, place, exits, expected):
    stub = tmp_path / "plainfilm"
    stub.write_text(f'#!/bin/sh\necho "$@"\nexit {exits}\n')
    stub.chmod(0o755)
    command = jobs[place]["spec"]["template"]["spec"]["containers"][0]["command"]
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "JOB_COMPLETION_INDEX": "7"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == expected, done.stderr
    said = ["predict pneumonia_classification /films /results --shard 7/16", "merge /results"]
    assert done.stdout.strip() == said[place]
