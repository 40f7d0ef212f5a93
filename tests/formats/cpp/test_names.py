"""formats.cpp.names: what a user may call a header's namespace and struct."""

import re

import pytest

from nalu_export import InputError
from nalu_export.formats.cpp.names import checked_names


@pytest.mark.parametrize(
    ("namespace", "struct", "prefix"),
    [
        ("nalu", "Model", "nalu_model"),
        ("my_company::heads", "AdderHead", "my_company_heads_adder_head"),
        ("a1::b2::c3", "X", "a1_b2_c3_x"),
        ("n", "HTTPHead2", "n_httphead2"),
    ],
)
def test_allowed(namespace: str, struct: str, prefix: str) -> None:
    names = checked_names(namespace, struct)
    assert (names.namespace, names.struct, names.prefix) == (namespace, struct, prefix)


LIKE_THIS = "expected letters, digits and single underscores, such as"


@pytest.mark.parametrize(
    ("namespace", "struct", "text"),
    [
        ("", "Model", f"namespace is ''; {LIKE_THIS} my_company::heads"),
        ("a::", "Model", f"namespace is 'a::'; {LIKE_THIS} my_company::heads"),
        ("::a", "Model", f"namespace is '::a'; {LIKE_THIS} my_company::heads"),
        ("a b", "Model", f"namespace is 'a b'; {LIKE_THIS} my_company::heads"),
        ("a;}", "Model", f"namespace is 'a;}}'; {LIKE_THIS} my_company::heads"),
        ("größe", "Model", f"namespace is 'größe'; {LIKE_THIS} my_company::heads"),
        ("nalu", "", f"struct is ''; {LIKE_THIS} AdderHead"),
        ("nalu", "2d", f"struct is '2d'; {LIKE_THIS} AdderHead"),
        ("nalu", "_X", f"struct is '_X'; {LIKE_THIS} AdderHead"),
        ("nalu", "A__b", f"struct is 'A__b'; {LIKE_THIS} AdderHead"),
        ("nalu", "A_", f"struct is 'A_'; {LIKE_THIS} AdderHead"),
        ("nalu", "A::B", f"struct is 'A::B'; {LIKE_THIS} AdderHead"),
        ("nalu", "class", "struct is 'class'; class is reserved in C++, choose another name"),
        ("std", "Model", "namespace is 'std'; std is reserved in C++, choose another name"),
        ("a::new", "Model", "namespace is 'a::new'; new is reserved in C++, choose another name"),
        ("nalu", "predict", "struct is 'predict'; every header uses this name for something else, choose another name"),
        ("a::X", "X", "namespace and struct are both X; choose two names"),
    ],
)
def test_refused(namespace: str, struct: str, text: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(text)}$"):
        checked_names(namespace, struct)


def test_a_name_is_as_long_as_a_name_is() -> None:
    checked_names("n" * 60, "S" * 60)
    with pytest.raises(InputError, match=r"^struct is 'S{60}'; expected letters"):
        checked_names("nalu", "S" * 61)
