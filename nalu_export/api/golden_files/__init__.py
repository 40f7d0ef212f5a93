"""The content of a golden file, and its two forms: a binary one for programs in any language, and one for numpy."""

from nalu_export.api.golden_files.binary import from_bin, to_bin
from nalu_export.api.golden_files.npz import from_arrays, to_npz
from nalu_export.api.golden_files.record import Golden, GoldenInput, GoldenOutput, checked

__all__ = ["Golden", "GoldenInput", "GoldenOutput", "checked", "from_arrays", "from_bin", "to_bin", "to_npz"]
