"""Let `python -m resight` be `resight`."""

import sys

from resight.cli.main import main

sys.exit(main())
