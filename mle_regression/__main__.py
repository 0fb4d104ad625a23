"""``python -m mle_regression``: one command for one's own file."""

import sys

from mle_regression.command_line.main import main

if __name__ == "__main__":
    sys.exit(main())
