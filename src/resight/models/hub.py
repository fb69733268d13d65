"""Check within seconds whether weights can be downloaded; the hubs' own clients retry for a minute and log each try."""

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
"""How long a hub may take to answer."""


def reachable(url: str) -> bool:
    """Return whether the server of an address answers, with whatever status; the system's proxies are used."""
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
        return isinstance(error.reason, ssl.SSLError)  # the server answers; the hub's client may trust its certificate
    except (OSError, ValueError):
        return False


def check_reachable(url: str) -> None:
    """Check that a file was downloaded before, or can be.

    Raises:
        ConnectionError: It cannot; the message names the server.
    """
    cached = Path(torch.hub.get_dir(), "checkpoints", Path(urlsplit(url).path).name)
    if not cached.is_file() and not reachable(url):
        raise ConnectionError(f"no connection to {urlsplit(url).netloc}")


@contextmanager
def quick_hub() -> Iterator[None]:
    """Ask the Hugging Face hub once; if it does not answer, use only files that were downloaded before.

    Raises:
        ConnectionError: The file was not downloaded before, and the hub does not answer.
    """
    from huggingface_hub import constants, errors  # slow to load

    hub: Any = constants
    offline, loggers = hub.HF_HUB_OFFLINE, [logging.getLogger(name) for name in ("huggingface_hub", "timm", "httpx")]
    levels = [logger.level for logger in loggers]
    hub.HF_HUB_OFFLINE = offline or not reachable(hub.ENDPOINT)
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    except errors.LocalEntryNotFoundError as error:
        raise ConnectionError(f"no connection to {urlsplit(hub.ENDPOINT).netloc}") from error
    finally:
        hub.HF_HUB_OFFLINE = offline
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
