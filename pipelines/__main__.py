"""`python -m pipelines` is the command `plainfilm`."""

import sys

from pipelines.cli import main

sys.exit(main())
