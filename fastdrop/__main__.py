"""`python -m fastdrop` is the command line."""

import sys

from fastdrop.cli import main

sys.exit(main())
