"""The memory bank beside its equation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import reference
from resight.models.memory import InstanceMemory


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("momentum", [0.0, 0.2, 1.0])
def test_features_move_as_the_equation_says(normalize: bool, momentum: float) -> None:
    start = F.normalize(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)))
    batch = torch.randn(3, 4, generator=torch.Generator().manual_seed(1), requires_grad=True)
    memory, rows = InstanceMemory(6, 4, normalize=normalize), [4, 0, 3]
    assert memory.is_empty
    memory.fill(start.numpy())
    assert not memory.is_empty
    memory.update(torch.tensor(rows), batch, momentum=momentum)
    expected = reference.updated_memory(start, rows, batch.detach(), momentum, normalize)
    np.testing.assert_allclose(memory.features.numpy(), expected, atol=1e-6)
    np.testing.assert_array_equal(memory.features[[1, 2, 5]], start[[1, 2, 5]])
    assert not memory.features.requires_grad
    assert list(memory.state_dict()) == ["features"]
