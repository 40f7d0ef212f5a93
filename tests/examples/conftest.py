"""Makes the scripts of the example importable by their own names, as they are when run."""

import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits_sum"
sys.path.insert(0, str(EXAMPLE))
