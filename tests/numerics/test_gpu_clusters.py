"""Clusters of a GPU's distances are those of the kernels."""

import numpy as np
import pytest
import torch
from gpu_twins import devices, unit
from sklearn.metrics import adjusted_rand_score

from resight.errors import ConfigError
from resight.numerics.clustering import EXACT_ON_GPU, ClusterSettings, cluster
from resight.numerics.distances import normalize


@devices
@pytest.mark.parametrize("variant", ["ice", "abmt"])
@pytest.mark.parametrize("others", [0, 8])
def test_clusters_are_those_of_the_kernels(on_device, variant, others):
    rng = np.random.default_rng(5)
    owners = rng.integers(0, 25, 500)
    vectors = normalize(rng.normal(size=(25, 16))[owners] + 0.5 * rng.normal(size=(500, 16)))
    cameras = rng.integers(0, 3, 500)
    chosen = ClusterSettings(k1=12, variant=variant, k_cross_camera=others)
    expected = cluster(vectors, chosen, people=owners, cameras=cameras)
    found = on_device(cluster, vectors, chosen, people=owners, cameras=cameras)
    assert adjusted_rand_score(found.labels, expected.labels) == 1
    assert expected.quality["ari"] > 0.8
    assert found.quality == expected.quality
    shares = ClusterSettings(k1=12, variant=variant, k_cross_camera=others, rho=0.01)
    eps = [on_device(cluster, vectors, shares, cameras=cameras), cluster(vectors, shares, cameras=cameras)]
    assert eps[0].eps == pytest.approx(eps[1].eps, abs=1e-6)


@devices
@pytest.mark.usefixtures("on_device")
def test_a_gpu_searches_more_images_exactly(device):
    vectors = unit(np.random.default_rng(0), 400)
    for size, exact in ((400, False), (399, True)):
        chosen = ClusterSettings(k1=8, approximate_from=400 // EXACT_ON_GPU)
        found = cluster(vectors[:size], chosen, device=torch.device(device))
        assert ("recall" not in found.quality) == exact
        assert "recall" in cluster(vectors[:size], chosen).quality
    with pytest.raises(ConfigError, match="variant to ice"):
        cluster(vectors, ClusterSettings(k1=8, variant="abmt", approximate_from=100), device=torch.device(device))
