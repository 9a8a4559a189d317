"""`./scripts/demo`: a whole saga from start to end, with an order of every kind, checked."""

import signal
import sys

# Until something has been started, Ctrl-C ends this process by the default action, without a message.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from scripts.demonstration.main import main  # noqa: E402

sys.exit(main())
