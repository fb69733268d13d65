"""What GCL sees and draws of a batch."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Views(NamedTuple):
    """The ``S`` images of a shard, what the generator makes of them, and what the identity encoder sees in both.

    Images are ``(S, 3, H, W)``, normalized as the encoder's trunk takes them.

    Attributes:
        images: x.
        features: ``(S, D)`` f.
        code: ``(S, C * 4)`` f_id.
        reconstructed: x'_ori, of the code and the own structure.
        novel: x'_new, of the code and the turned structure.
        novel_features: ``(S, D)`` f'_new.
        cycled: x''_ori, of the novel view's code and the own structure.
        codes: ``(S, C * 4)`` each, the codes that eq. 5.2 compares with f_id.
    """

    images: Tensor
    features: Tensor
    code: Tensor
    reconstructed: Tensor
    novel: Tensor
    novel_features: Tensor
    cycled: Tensor
    codes: tuple[Tensor, Tensor]

    @property
    def generated(self) -> tuple[Tensor, Tensor, Tensor]:
        """The three generated images of each image."""
        return self.reconstructed, self.novel, self.cycled
