"""``python -m twinfolio.cli``."""

import sys

from twinfolio.cli import main

sys.exit(main())
