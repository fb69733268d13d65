"""Batch norm of an encoder: ghost chunks, frozen statistics, and the neck."""

from __future__ import annotations

import copy

import pytest
import torch
from small_encoders import pictures, same, small, statistics, toy


def test_ghost_chunks_equal_chunks_run_apart_and_statistics_come_from_the_first() -> None:
    images = pictures(8)
    encoder = toy().train()
    apart = copy.deepcopy(encoder)
    encoder.ghost_batches = 4
    together = encoder(images)
    first = apart(images[:2])
    expected = statistics(apart)
    rest = [copy.deepcopy(apart)(part) for part in images[2:].split(2)]
    torch.testing.assert_close(together, torch.cat([first, *rest]), rtol=0, atol=1e-6)
    assert same(statistics(encoder), expected)


def test_running_statistics_after_ghost_chunks_by_hand() -> None:
    images = pictures(8)
    encoder = toy().train()
    encoder.ghost_batches = 4
    convolved = encoder.backbone.network[0](((images - encoder.mean) / encoder.std)[:2]).detach()
    encoder(images)
    norm = encoder.backbone.network[1]
    torch.testing.assert_close(norm.running_mean, 0.1 * convolved.mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * convolved.transpose(0, 1).flatten(1).var(1))


def test_ghost_chunks_leave_the_momentum_of_batch_norm_as_it_was() -> None:
    encoder = toy().train()
    encoder.ghost_batches = 4
    encoder(pictures(8))
    assert encoder.backbone.network[1].momentum == 0.1
    assert encoder.neck.momentum == 0.1


@pytest.mark.parametrize("count", [2, 3, 5, 9, 13])
def test_no_ghost_chunk_is_a_single_image(count: int) -> None:
    """Batch norm cannot measure one image; a batch may be small where there are few clusters."""
    encoder = toy().train()
    encoder.ghost_batches = 4
    assert encoder(pictures(count)).shape == (count, 4)


def test_ghost_chunks_do_not_matter_in_evaluation() -> None:
    encoder = toy().eval()
    vectors = encoder(pictures(8))
    encoder.ghost_batches = 4
    assert torch.equal(encoder(pictures(8)), vectors)


def test_frozen_batchnorm_leaves_the_backbones_statistics_and_moves_the_necks() -> None:
    for policy in ("frozen", "train"):
        encoder = small(batchnorm=policy).train()
        before = statistics(encoder, "backbone"), statistics(encoder, "neck")
        encoder(pictures(4))
        assert same(statistics(encoder, "backbone"), before[0]) == (policy == "frozen")
        assert not same(statistics(encoder, "neck"), before[1])


def test_frozen_batchnorm_makes_an_image_independent_of_its_batch() -> None:
    encoder = toy(batchnorm="frozen", neck_statistics="dataset").train()
    images = pictures(4)
    torch.testing.assert_close(encoder(images)[:1], encoder(images[:1]))


def test_neck_statistics_of_the_data_set_give_zero_mean_and_unit_variance() -> None:
    encoder = toy(neck_statistics="dataset").train()
    pooled = 5 + 3 * torch.randn((200, 4), generator=torch.Generator().manual_seed(0))
    encoder.set_neck_statistics(pooled)
    kept = statistics(encoder, "neck")
    features = encoder.neck(pooled).detach()
    torch.testing.assert_close(features.mean(0), torch.zeros(4), rtol=0, atol=1e-5)
    torch.testing.assert_close(features.var(0), torch.ones(4), rtol=0, atol=1e-4)
    encoder(pictures(4))
    assert same(statistics(encoder, "neck"), kept)


def test_the_necks_bias_stays_at_zero() -> None:
    encoder = toy()
    assert not encoder.neck.bias.requires_grad
    assert not encoder.neck.bias.any()
    assert encoder.neck.weight.requires_grad
