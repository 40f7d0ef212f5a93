import json

import pytest

from nalu_export.checkpoints import layouts
from tests.cli.conftest import Run


def test_every_unit_that_is_read_has_a_line(run: Run) -> None:
    result = run("layouts")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    for owner in layouts.names():
        for unit in layouts.get(owner).units:
            name = f"{owner}:{unit.name}"
            assert any(line.split()[0] == name for line in lines if line.strip()) == (unit.cell is not None), name
            assert name in result.stdout
    assert any(line.split()[:2] == ["vrxacs:NALU", "1e-06"] for line in lines if line.strip())


def test_one_owner(run: Run) -> None:
    result = run("layouts", "nilabhra")
    assert result.stdout.splitlines() == [
        "nilabhra:NAC",
        "  keys    W_hat (o, i), M_hat (o, i)",
        "  under   alone, k.",
        "  turned  nilabhra:NAC-turned: (i, o) in place of (o, i), and the reverse",
        "nilabhra:NALU",
        "  keys    G (1, 1), nac.W_hat (o, i), nac.M_hat (o, i)",
        "  under   alone, k.",
        "  eps     1e-12",
        "  turned  nilabhra:NALU-turned: (i, o) in place of (o, i), and the reverse",
        "  note    the gate is σ(G) for a single number G; it does not depend on the input",
        "keys: of one layer, with shapes of o outputs and i inputs; those in parentheses occur in variants only.",
        "under: prefix of the keys; k is the number of a layer, alone is a single layer without a prefix.",
    ]


def test_the_twins_of_square_files_are_named(run: Run) -> None:
    text = " ".join(run("layouts").stdout.split())
    told = "--layout OWNER:UNIT-turned reads a layout with transposed matrices (not wassname:NAC_exact: the weight of"
    assert told in text
    assert "  turned  wassname:NAC_exact-turned" not in run("layouts", "wassname").stdout


def test_a_unit_that_is_not_read(run: Run) -> None:
    assert "stable-nalu:NAC*  known but not read in this release" in run("layouts", "stable-nalu").stdout.splitlines()


@pytest.mark.parametrize("owner", ["nobody", "../base", "base", ""])
def test_an_unknown_owner(owner: str, run: Run) -> None:
    result = run("layouts", owner)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"nalu-export: layout is '{owner}'; allowed: amg1, amg2, ")


def test_json(run: Run) -> None:
    found = json.loads(run("layouts", "goddoe", "--json").stdout)["layouts"]
    assert [row["layout"] for row in found] == ["goddoe:NAC", "goddoe:NALU"]
    assert found[1]["keys"]["G"] == "(i, o)"
    assert found[1]["eps"] == 1e-8
    assert found[1]["turned"] == "goddoe:NALU-turned"
    assert all(row["faux"] for row in found)
