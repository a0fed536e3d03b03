"""The same as `python -m benchmarks`."""

import sys

from benchmarks.__main__ import main

sys.exit(main())
