"""python -m diffeditor.cli COMMAND ..."""

import sys

from diffeditor.cli import main

if __name__ == "__main__":
    sys.exit(main())
