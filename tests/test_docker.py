"""What can be held of the Dockerfiles without an engine that builds them."""

import fnmatch
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
DOCKER = CHECKOUT / "docker"
FILES = sorted(DOCKER.glob("Dockerfile.*"))


def instructions(file):
    """Keyword and rest of every instruction; lines that go on are one."""
    text = "\n".join(
        line for line in file.read_text("utf-8").splitlines() if not line.lstrip().startswith("#")
    )
    joined = text.replace("\\\n", " ").splitlines()
    return [tuple(line.strip().split(None, 1)) for line in joined if line.strip()]


def of(file, keyword):
    return [rest for name, rest in instructions(file) if name == keyword]


def defaults(file):
    """What the build's arguments are, unless they are given."""
    return dict(rest.split("=", 1) for rest in of(file, "ARG") if "=" in rest)


def resolved(file, text):
    given = defaults(file)
    return re.sub(r"\$\{(\w+)\}", lambda match: given[match[1]], text)


def test_there_is_one_for_cpus_and_one_for_gpus():
    assert [file.suffix for file in FILES] == [".cpu", ".gpu"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_base_is_named_exactly(file):
    (base,) = of(file, "FROM")
    # A version to the last digit and a release of Debian, to which a digest can be added.
    assert re.fullmatch(r"python:3\.11\.\d+-slim-[a-z]+", resolved(file, base))
    assert base == "${BASE}", "a digest is given as --build-arg BASE"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_it_does_not_run_as_root(file):
    *_, user = of(file, "USER")
    name = resolved(file, user)
    assert name not in {"root", "0"}
    (created,) = (rest for rest in of(file, "RUN") if "useradd" in rest)
    assert created.split()[-1] == name
    names = [keyword for keyword, _ in instructions(file)]
    assert "RUN" not in names[names.index("USER") :]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_is_copied_is_there_and_not_ignored(file):
    patterns = [
        line
        for line in (CHECKOUT / ".dockerignore").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    assert patterns[0] == "*"
    let_in = [pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")]
    copied = []
    for rest in of(file, "COPY"):
        *sources, _target = (word for word in rest.split() if not word.startswith("--"))
        copied += sources
    assert {"requirements.txt", "pyproject.toml", "pipelines", "bundles"} <= {*copied}
    for source in copied:
        assert (CHECKOUT / source).exists(), source
        assert any(fnmatch.fnmatch(source, pattern) for pattern in let_in), source


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_packages_are_those_of_the_repository_with_their_exact_versions(file):
    commands = [
        shlex.split(part.strip())
        for rest in of(file, "RUN")
        for part in rest.split("&&")
        if part.strip().startswith("pip install")
    ]
    assert ["pip", "install", "--requirement", "requirements.txt"] in commands
    options_with_values = {"--index-url", "--requirement"}
    for command in commands:
        words = iter(command[2:])
        for word in words:
            if word in options_with_values:
                next(words)
            elif not word.startswith("-") and word != ".":
                assert "==" in word, word
    pinned = (CHECKOUT / "pyproject.toml").read_text("utf-8")
    (setuptools,) = (word for command in commands for word in command if "setuptools" in word)
    assert f'requires = ["{setuptools}"]' in pinned
    hosts = set(re.findall(r"https?://([^/\s\"]+)", file.read_text("utf-8")))
    assert hosts == ({"download.pytorch.org"} if file.suffix == ".cpu" else set())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_health_check_ports_and_entry(file):
    text = file.read_text("utf-8")
    (check,) = of(file, "HEALTHCHECK")
    program, script = re.findall(r'"([^"]+)"', check.partition("CMD")[2])
    assert program == "python"
    assert f"COPY --chmod=0644 docker/health.py {script}" in text
    assert {"8080", "11112"} <= {*of(file, "EXPOSE")[0].split()}
    assert not of(file, "ENTRYPOINT"), "SageMaker runs `docker run IMAGE train`"
    assert "COPY --chmod=0755 docker/train /usr/local/bin/train" in text
    assert re.findall(r'"([^"]+)"', of(file, "CMD")[0])[:2] == ["plainfilm", "serve"]


def test_the_entry_hands_the_process_over_and_tells_why_it_failed(tmp_path):
    program = tmp_path / "bin" / "plainfilm"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$$ $*"\nexit 7\n', "utf-8")
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    with subprocess.Popen(
        [str(DOCKER / "train")], env={"PATH": path}, stdout=subprocess.PIPE, text=True
    ) as entry:
        said, _ = entry.communicate()
    assert said == f"{entry.pid} sagemaker train\n", "the same process, so that it gets signals"
    assert entry.returncode == 7
