"""What workers do in tests, where other processes can import it."""

import os
import signal
from pathlib import Path


def die_once(mark, function, *args):
    """Kills its process the first time."""
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return function(*args)
