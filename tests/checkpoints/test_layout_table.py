"""Every known layout as data, and docs/checkpoints.md, which says the same."""

from pathlib import Path

import pytest

from nalu_export.checkpoints import layouts
from nalu_export.checkpoints.layout_table import rows

DOCS = Path(__file__).parents[2] / "docs" / "checkpoints.md"


def test_every_unit_of_every_owner_is_a_row() -> None:
    units = {f"{owner}:{unit.name}" for owner in layouts.names() for unit in layouts.get(owner).units}
    assert {row["layout"] for row in rows()} == units
    assert len(rows()) == len(units)


def test_variants_share_a_row() -> None:
    (row,) = [row for row in rows("stable-nalu") if row["layout"] == "stable-nalu:NALU"]
    assert list(row["keys"])[:3] == ["G_add", "nac_add.W_hat", "nac_add.M_hat"]
    assert set(row["keys"]) >= {"(G_mul)", "(nac_mul.W_hat)", "(bias_add)", "(bias_mul)"}
    assert row["places"] == ["layer_{}.layer.", "layer.", "", "{}."]


@pytest.mark.parametrize("row", [row for row in rows() if row["read"]], ids=lambda row: row["layout"])
def test_the_docs_say_what_the_files_say(row: dict[str, object]) -> None:
    keys = row["keys"]
    assert isinstance(keys, dict)
    (line,) = [
        line for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{row['layout']}` |")
    ]
    _, _, found, places, eps, quirks, _ = (cell.strip() for cell in line.split("|"))
    assert found == ", ".join(f"`{name}` {shape}".strip() for name, shape in keys.items())
    assert places == ", ".join(f"`{place.replace('{}', 'k')}`" if place else "alone" for place in row["places"])  # type: ignore[attr-defined]
    assert eps == ("" if row["eps"] is None else f"{row['eps']:g}")
    assert quirks == "; ".join(row["quirks"])  # type: ignore[arg-type]


def test_the_docs_name_what_is_not_read() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert [row["layout"] for row in rows() if f"`{row['layout']}`" not in text] == []


@pytest.mark.parametrize("owner", layouts.names())
def test_a_file_is_named_after_its_owner_and_says_where_it_comes_from(owner: str) -> None:
    layout = layouts.get(owner)
    assert layout.owner == owner == owner.lower()
    assert layout.source
    for unit in layout.units:
        if unit.cell is not None:
            targets = [key.target for key in unit.keys.values() if key.target]
            assert len(targets) == len(set(targets))
            assert all(key.shape is not None for key in unit.keys.values())
            # A stored weight computes as it is; raw parameters beside it have no target.
            assert bool(unit.options.get("stored")) == (
                "W" in targets and "W_hat" not in targets and "bias" not in targets
            )
