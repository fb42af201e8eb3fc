"""Entry point of ``python -m fastdrop.cli``."""

import sys

from fastdrop.cli import main

sys.exit(main())
