"""The other processes of a run: what becomes of this one where one of them has ended."""

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
    "another process of this command has ended, killed or out of memory perhaps, and this one cannot go on alone: "
    "start the same command again"
)

_SIGNS = ("gloo", "nccl", "closed by peer", "reset by peer", "broken pipe", "tcpstore", "process group")
"""What is in the errors of torch's talk between processes, in small letters."""


def is_lost(error: BaseException) -> bool:
    """Say whether an error comes from the talk with another process, which has ended."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_initialized() or not isinstance(error, RuntimeError):
        return False
    return any(sign in str(error).lower() for sign in _SIGNS)


def watch(others: Sequence[Popen[bytes]]) -> None:
    """End this process, with a line, soon after another one has ended: it may wait for that one for ever."""

    def look() -> None:
        while all(other.poll() in (None, 0) for other in others):
            time.sleep(0.5)
        time.sleep(2)  # where it ended with an error of both, this one says it meanwhile
        logger.error(LOST)
        for other in others:
            other.kill()
        os._exit(2)

    if others:
        threading.Thread(target=look, name="resight-watch", daemon=True).start()
