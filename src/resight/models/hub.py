"""Whether weights can be downloaded, found out in seconds: the hubs' own clients try for a minute, and say each try."""

from __future__ import annotations

import logging
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch

SECONDS = 5.0
"""How long a hub may take to answer at all."""


def reachable(url: str) -> bool:
    """Say whether the server of an address answers, whatever it answers; proxies are used as they are set."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return False
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"{parts.scheme}://{parts.netloc}/", method="HEAD"),
            timeout=SECONDS,
        ):
            return True
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:
        return isinstance(error.reason, ssl.SSLError)  # it answers; the hub's client may know its certificate
    except (OSError, ValueError):
        return False


def check_reachable(url: str) -> None:
    """Make sure that a file can be downloaded, or was before.

    Raises:
        ConnectionError: It cannot; it names the server.
    """
    kept = Path(torch.hub.get_dir(), "checkpoints", Path(urlsplit(url).path).name)
    if not kept.is_file() and not reachable(url):
        raise ConnectionError(f"no connection to {urlsplit(url).netloc}")


@contextmanager
def quick_hub() -> Iterator[None]:
    """Let the Hugging Face hub be asked once: where it does not answer, only what was downloaded before is looked for.

    Raises:
        ConnectionError: What was asked for is not there, and the hub does not answer.
    """
    from huggingface_hub import constants, errors  # slow to load

    known: Any = constants
    offline, talkers = known.HF_HUB_OFFLINE, [logging.getLogger(name) for name in ("huggingface_hub", "timm", "httpx")]
    levels = [talker.level for talker in talkers]
    known.HF_HUB_OFFLINE = offline or not reachable(constants.ENDPOINT)
    for talker in talkers:
        talker.setLevel(logging.ERROR)
    try:
        yield
    except errors.LocalEntryNotFoundError as error:
        raise ConnectionError(f"no connection to {urlsplit(constants.ENDPOINT).netloc}") from error
    finally:
        known.HF_HUB_OFFLINE = offline
        for talker, level in zip(talkers, levels, strict=True):
            talker.setLevel(level)
