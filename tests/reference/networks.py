"""Twins of the layers that a backbone of attention has."""

from __future__ import annotations

import torch.nn.functional as F
from torch import einsum, stack


def residual_unit(unit, maps, stride):
    """He et al., 2016: norm, ReLU and convolution, three times; added to the maps, resized where they must be."""

    def normed(norm, x):
        each = zip(x.unbind(1), norm.running_mean, norm.running_var, norm.weight, norm.bias, strict=True)
        return stack([weight * (c - mean) / (var + norm.eps) ** 0.5 + bias for c, mean, var, weight, bias in each], 1)

    active = normed(unit.norm1, maps).clamp(min=0)
    inner = einsum("bchw,oc->bohw", active, unit.conv1.weight[:, :, 0, 0])
    inner = F.pad(normed(unit.norm2, inner).clamp(min=0), (1, 1, 1, 1))
    rows, columns = maps.shape[2:]
    windows = [[inner[:, :, y : y + rows, x : x + columns] for x in range(3)] for y in range(3)]
    inner = sum(
        einsum("bchw,oc->bohw", windows[y][x], unit.conv2.weight[:, :, y, x]) for y in range(3) for x in range(3)
    )[:, :, ::stride, ::stride]
    inner = einsum("bchw,oc->bohw", normed(unit.norm3, inner).clamp(min=0), unit.conv3.weight[:, :, 0, 0])
    if unit.shortcut is None:
        return maps + inner
    resized = einsum("bchw,oc->bohw", active, unit.shortcut.weight[:, :, 0, 0])
    return resized[:, :, ::stride, ::stride] + inner


def soft_mask(mask, maps):
    """Wang et al., 2017, figure 2, from the outside in: what is inside a pooling and its interpolation is a map too."""

    def inside(outer, level):
        pooled = F.max_pool2d(outer, 3, stride=2, padding=1)
        map_ = residual_unit(mask.down[level], pooled, 1)
        if level + 1 < len(mask.down):
            map_ = residual_unit(mask.skip[level], map_, 1) + inside(map_, level + 1)
        map_ = residual_unit(mask.up[level], map_, 1)
        return F.interpolate(map_, outer.shape[2:], mode="bilinear")

    return mask.weigh(inside(maps, 0))
