"""Python runs this at the start of a process that has this folder in PYTHONPATH: it breaks the product on purpose.

`TANDEM_BREAK=NAME` names one of `breaking.process_breaks`. No code of the product knows of it.
"""

import os
import sys
from pathlib import Path

if name := os.environ.get("TANDEM_BREAK"):
    sys.path.append(str(Path(__file__).parents[2]))
    from breaking.process_breaks import PROCESS_BREAKS

    PROCESS_BREAKS[name]()
