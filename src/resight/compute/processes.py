"""What happens to this process when another process of the run ends."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from subprocess import Popen

logger = logging.getLogger(__name__)

LOST = (
    "another process of this command ended (perhaps killed, or out of memory), and this one cannot continue alone: "
    "rerun the same command"
)

_SIGNS = ("gloo", "nccl", "closed by peer", "reset by peer", "broken pipe", "tcpstore", "process group")
"""Words in the errors of torch's communication between processes, in lower case."""


def is_lost(error: BaseException) -> bool:
    """Return whether an error comes from the communication with another process that ended."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_initialized() or not isinstance(error, RuntimeError):
        return False
    return any(sign in str(error).lower() for sign in _SIGNS)


def watch(others: Sequence[Popen[bytes]]) -> None:
    """End this process, with a message, soon after another one fails: it might wait for that process forever."""

    def poll() -> None:
        while all(other.poll() in (None, 0) for other in others):
            time.sleep(0.5)
        time.sleep(2)  # if both failed with an error, this process reports it meanwhile
        logger.error(LOST)
        for other in others:
            other.kill()
        os._exit(2)

    if others:
        threading.Thread(target=poll, name="resight-watch", daemon=True).start()
