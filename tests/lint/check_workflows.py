# SPDX-License-Identifier: MIT
"""What CI services are told: files that can be read, whose make targets exist."""
import re

from check_docs import make_targets
from source import of_kind, text

# what Actions know of a workflow, a job and a step; another word would be ignored in silence
KEYS = {"workflow": {"name", "on", "jobs", "env", "permissions"},
        "job": {"runs-on", "timeout-minutes", "container", "steps", "needs", "if", "env"},
        "step": {"name", "uses", "with", "run", "if", "env"}}

# what a push to main goes through; `make check` begins with lint
ORDER = ["deps", "check", "deb", "cross", "check-images", "bundle", "publish"]
LEAVES = {"bundle", "publish"}


def _unknown(kind, found):
    return sorted(set(found) - KEYS[kind])


def _problems_of_step(step, targets):
    for key in _unknown("step", step):
        yield f"a step has no \"{key}\""
    if ("run" in step) == ("uses" in step):
        yield f"a step runs a command or uses an action: {step}"
    for words in re.findall(r"(?:^|&&|;|\n)\s*make((?: +[\w=./-]+)*)", step.get("run", "")):
        for word in words.split():
            if "=" not in word and not word.startswith("-") and word not in targets:
                yield f"there is no target \"{word}\""


def _made(step):
    """The targets that a step makes, in their order."""
    words = [word for call in re.findall(r"(?:^|&&|;|\n)\s*make((?: +\S+)*)", step.get("run", "")) for word in call.split()]
    return [word for word in words if re.fullmatch(r"[a-z][\w-]*", word)]


def _problems_of_order(workflow):
    """Each service does the same, in this order; what leaves the house is of a push to main alone."""
    if workflow.get("on", {}).get("push", {}).get("branches") != ["main"]:
        yield "it does not run for each push to main, and for no other"
    steps = [(target, step) for job in workflow.get("jobs", {}).values() for step in job.get("steps", []) for target in _made(step)]
    if [target for target, _ in steps] != ORDER:
        yield f"it makes {' '.join(target for target, _ in steps)}, not {' '.join(ORDER)}"
    for target, step in steps:
        if target in LEAVES and "github.event_name == 'push'" not in step.get("if", ""):
            yield f"make {target} is not only of a push"


def _problems(workflow, targets):
    # YAML 1.1, which the parser speaks, takes a bare `on` for true
    workflow = {"on" if key is True else key: value for key, value in workflow.items()}
    for key in _unknown("workflow", workflow):
        yield f"a workflow has no \"{key}\""
    for key in {"on", "jobs"} - set(workflow):
        yield f"\"{key}\" is missing"
    for name, job in workflow.get("jobs", {}).items():
        for key in _unknown("job", job):
            yield f"{name}: a job has no \"{key}\""
        if not job.get("runs-on") or not job.get("steps"):
            yield f"{name}: runs-on or steps are missing"
        for step in job.get("steps", []):
            yield from (f"{name}: {problem}" for problem in _problems_of_step(step, targets))
    yield from _problems_of_order(workflow)


def workflows_call_what_exists():
    try:
        import yaml
    except ImportError as e:
        raise LookupError("python3-yaml is not installed: installer/deps.sh test") from e
    for path in of_kind(".yml", below=[".forgejo/", ".github/"]):
        try:
            workflow = yaml.safe_load(text(path))
        except yaml.YAMLError as e:
            yield f"{path}: {e}"
            continue
        yield from (f"{path}: {problem}" for problem in _problems(workflow, make_targets()))


CHECKS = [workflows_call_what_exists]
