"""`./scripts/demo`: a saga from nothing to its end, every kind of order, checked."""

import signal
import sys

# Until there is something to end, a Ctrl-C may end this as it ends any program, without a word.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from scripts.demonstration.main import main  # noqa: E402

sys.exit(main())
