"""Refuses files of adapters: a few matrices that are of use only with the weights of another file."""

import re
from collections.abc import Iterable

from nalu_export.errors import InputError
from nalu_export.io.text import short

_LORA = re.compile(r"(?:^|\.)lora_(?:A|B|embedding_A|embedding_B|magnitude_vector)(?:\.|$)")
# The prefix that PEFT puts before the names of the model that it wraps.
_PEFT = "base_model.model."


def refuse_adapters(names: Iterable[str]) -> None:
    """Refuse the names that PEFT saves of a model with adapters.

    Raises:
        InputError: there is such a name.
    """
    found = next((name for name in names if name.startswith(_PEFT) or _LORA.search(name)), None)
    if found is not None:
        raise InputError(
            f"holds adapters of PEFT (LoRA): {short(found)}, which change weights of another file; "
            "merge them with model = peft_model.merge_and_unload() and save model.state_dict()"
        )
