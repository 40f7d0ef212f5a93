"""nalu_export.graph.signature: what forward takes, as messages show it."""

from typing import Any

import pytest
from torch import Tensor, nn

from nalu_export.graph.signature import needed, shown


class Several(nn.Module):
    def forward(self, x: Tensor, ids: Tensor, mask: Tensor | None = None, *rest: Tensor, scale: float) -> Tensor:
        return x


class Any_(nn.Module):  # noqa: N801
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return args


@pytest.mark.parametrize(
    ("model", "text", "names"),
    [
        (Several(), "Several.forward(x, ids, mask=None, *rest, scale)", ["x", "ids", "scale"]),
        (Any_(), "Any_.forward(*args, **kwargs)", []),
        (nn.Linear(1, 1), "Linear.forward(input)", ["input"]),
    ],
)
def test_a_signature(model: nn.Module, text: str, names: list[str]) -> None:
    assert (shown(model), needed(model)) == (text, names)


def test_a_forward_that_python_cannot_read() -> None:
    model = nn.Identity()
    model.forward = max  # type: ignore[method-assign, assignment]
    assert shown(model).startswith("Identity.forward(")
    assert needed(model) == []
