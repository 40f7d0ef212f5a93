"""A NAC as a convolution, whose files look like those of a NAC."""

from nalu_export.checkpoints.layouts.base import Layout, known

LAYOUT = Layout(
    "conv-nac",
    "a NAC whose weight is the kernel of a convolution, (c_out, c_in·k·k), in a repository whose owner is not known",
    # The file has neither the size of the kernel nor stride and padding.
    (known("NAC", "W_hat", "M_hat"),),
)
