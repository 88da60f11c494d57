"""`python -m llama`: the command `llama`, for processes that start it themselves."""

import sys

from llama.cli.main import main

sys.exit(main())
