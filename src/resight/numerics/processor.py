"""The features of this processor."""

from __future__ import annotations

import torch


def cpu_has_bfloat16() -> bool:
    """Return whether this processor multiplies in bfloat16 (AVX-512 BF16 or AMX)."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
