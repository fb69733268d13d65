"""Run the command `resight` as `python -m resight`."""

import sys

from resight.cli.main import main

sys.exit(main())
