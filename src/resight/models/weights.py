"""Weights out of files, of this library or of another: found by what fits the network, and never unpickled."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from resight.config.hints import choice
from resight.errors import WeightsError, counted
from resight.files import printable
from resight.models.packaged import DEFAULT_BACKBONE

State = Mapping[str, Tensor]

_FOREIGN = {
    **dict.fromkeys((".npz", ".npy"), "arrays of numpy"),
    ".onnx": "an ONNX graph",
    **dict.fromkeys((".engine", ".trt", ".plan"), "a TensorRT engine"),
    **dict.fromkeys((".h5", ".hdf5", ".keras", ".tflite", ".pb"), "a model of Keras or TensorFlow"),
    **dict.fromkeys((".pdparams", ".pdmodel"), "a model of PaddlePaddle"),
    **dict.fromkeys((".caffemodel", ".prototxt"), "a model of Caffe"),
    **dict.fromkeys((".yaml", ".yml", ".json", ".txt", ".py"), "text"),
}
_WANTED = "expected .safetensors, or a .pth that holds plain tensors"
_FOLLOWING = ("teacher", "ema", "momentum", "mean")
"""Of two networks in a file that fit alike, the one whose name says that it follows the other is what is evaluated."""

_DEEPEST = 4


def file_digest(path: Path) -> str:
    """Give the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_state(path: Path) -> dict[str, Tensor]:
    """Read all tensors in a file of weights, without pickle's powers.

    Returns:
        Each tensor by its name; the names of what is nested in others are joined by dots.

    Raises:
        WeightsError: The file is absent, damaged, of another kind, or needs pickle to load.
    """
    where = printable(path)
    if path.is_dir():
        raise WeightsError(f"'{where}' is a folder: name the file of weights in it")
    if not path.is_file():
        hint = choice(str(path), ["imagenet", "none"]) or f"; the default backbone '{DEFAULT_BACKBONE}' needs no file"
        raise WeightsError(f"no weights at '{where}'{hint}")
    try:
        content = load_file(path) if _is_safetensors(path) else _loaded(path)
    except WeightsError:
        raise
    except Exception as error:  # the readers raise many kinds for damaged files
        raise WeightsError(f"'{where}' cannot be read as weights ({_flaw(path)}); {_WANTED}") from error
    state = dict(_tensors(content))
    if not state:
        raise WeightsError(f"'{where}' holds no state dict of tensors, but {_described(content)}; {_WANTED}")
    return state


def fit(network: nn.Module, state: State, source: str) -> str:
    """Copy into a network what a file holds of it, under whatever prefix.

    Args:
        network: What is filled.
        state: Each tensor of the file by its name.
        source: What the file is called, for people.

    Returns:
        What its user should know: what of the file is left out, and whether it holds two networks that fit; or nothing.

    Raises:
        WeightsError: A tensor of the network is absent, of another shape or not finite.
    """
    own = network.state_dict()
    for theirs, ours in ((".IN.", ".instance."), (".BN.", ".batch.")):  # as the authors of IBN-Net publish theirs
        state = {name.replace(theirs, ours): value for name, value in state.items()}
    names, prefix, others = _best(network, own, state)
    usable = {
        name: value
        for name, theirs in names.items()
        if (value := state.get(prefix + theirs)) is not None and value.shape == own[name].shape
    }
    missing = [name for name in own if name not in usable and not name.endswith("num_batches_tracked")]
    if missing:
        raise WeightsError(_misfit(own, state, names, prefix, missing, printable(source)))
    for name, value in usable.items():
        if own[name].is_floating_point() and not value.is_floating_point():
            kind = str(value.dtype).removeprefix("torch.")
            raise WeightsError(
                f"weights of '{printable(source)}': '{printable(name)}' is of {kind}, and the network computes with "
                f"{str(own[name].dtype).removeprefix('torch.')}: give weights that are not quantized"
            )
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise WeightsError(
                f"weights of '{printable(source)}': '{printable(name)}' holds nan or inf: take another file"
            )
    network.load_state_dict(usable, strict=False)
    taken = {prefix + names[name] for name in usable}
    return _note(prefix, others, [name for name in state if name not in taken])


def _flaw(path: Path) -> str:
    """Say what a file is that no reader of weights reads."""
    with path.open("rb") as file:
        start = file.read(256)
    if not start:
        return "it is empty"
    if start.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS: 'git lfs pull' fetches what it points to"
    if zipfile.is_zipfile(path):
        return "it is an archive of other files"
    if start.startswith(b"PK"):
        return "it is cut short"
    if not re.search(rb"[^\t\n\r -~]", start):
        return "it is text"
    return "it is damaged, or of another kind"


def _is_safetensors(path: Path) -> bool:
    """Say whether a file is one of safetensors: by its content, and by its name where that says nothing."""
    with path.open("rb") as file:
        start = file.read(9)
    return path.suffix == ".safetensors" or (len(start) == 9 and start[8:] == b"{" and start[4:8] == bytes(4))


def _loaded(path: Path) -> Any:
    where = printable(path)
    if path.suffix.lower() in _FOREIGN:
        raise WeightsError(f"'{where}' is {_FOREIGN[path.suffix.lower()]}, no weights of PyTorch: {_WANTED}")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            inside = archive.namelist()
        if any(name.endswith("constants.pkl") for name in inside):
            raise WeightsError(
                f"'{where}' is a TorchScript program, which could run anything: save its weights alone, by "
                "torch.save(torch.jit.load(OLD).state_dict(), NEW)"
            )
        if inside and all(name.endswith(".npy") for name in inside):
            raise WeightsError(f"'{where}' is arrays of numpy, no weights of PyTorch: {_WANTED}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        found = re.search(r"(?:GLOBAL|class|global) ([\w.]+\.\w+)", str(error))
        if found is None:
            raise
        raise WeightsError(
            f"'{where}' holds Python objects beside its tensors ({found[1]}), and reading them could run anything: "
            "where you trust it, save the tensors alone: torch.save(torch.load(OLD, weights_only=False)['state_dict'], "
            "NEW), or of its .state_dict() where it is a whole network"
        ) from error


def _tensors(content: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Give the tensors in nested dicts, each by its names joined by dots; an optimizer's are no weights."""
    if not isinstance(content, Mapping) or depth > _DEEPEST:
        return
    for name, value in content.items():
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        elif isinstance(name, str) and "optim" not in name.lower():
            yield from _tensors(value, f"{prefix}{name}.", depth + 1)


def _described(content: Any) -> str:
    if isinstance(content, Mapping):
        return f"a dict of {_sample([str(name) for name in content])}" if content else "an empty dict"
    return f"a {type(content).__name__}"


def _best(network: nn.Module, own: State, state: State) -> tuple[dict[str, str], str, list[str]]:
    """Find under which prefix a file holds most of a network.

    Returns:
        The name without its prefix of each of the network's tensors in the file, the prefix, and other prefixes that
        fit as well.
    """
    choices = []
    for names in (_named(own), _numbered(network, own)):
        fits = Counter[str]()
        for theirs in state:
            for place in _starts(theirs):
                name = names.get(theirs[place:])
                if name is not None and own[name].shape == state[theirs].shape:
                    fits[theirs[:place]] += 1
        most = max(fits.values(), default=0)
        choices.append((most, names, [prefix for prefix, number in fits.items() if number == most]))
    most, names, prefixes = max(choices, key=lambda choice: choice[0])
    prefixes = sorted(prefixes, key=lambda prefix: not any(word in prefix.lower() for word in _FOLLOWING))
    prefix, *others = prefixes or [""]
    return {name: theirs for theirs, name in names.items()}, prefix, others


def _named(own: State) -> dict[str, str]:
    return {name: name for name in own}


def _numbered(network: nn.Module, own: State) -> dict[str, str]:
    """Give the names that a network's tensors have in an `nn.Sequential` of its children, as re-id code often saves."""
    places = {child: str(place) for place, (child, _) in enumerate(network.named_children())}
    found = {}
    for name in own:
        child, dot, rest = name.partition(".")
        found[places.get(child, child) + dot + rest] = name
    return found


def _starts(name: str) -> Iterator[int]:
    """Give where a dotted name begins without its leading parts: none, one, two of them and so on."""
    yield 0
    yield from (found.end() for found in re.finditer(r"\.", name))


def _misfit(
    own: State, state: State, names: Mapping[str, str], prefix: str, missing: Sequence[str], source: str
) -> str:
    """Say why weights do not fit: shapes that differ, or names that are absent beside those that the file has."""
    text = f"weights of '{source}' do not fit the network, {len(missing)} of its {len(own)} tensors absent"
    for name in missing:
        if (theirs := prefix + names[name]) in state:
            found, needed = tuple(state[theirs].shape), tuple(own[name].shape)
            return (
                f"{text} or of another shape: '{printable(theirs)}' is {found} in the file, {needed} in the network: "
                "is it the same backbone?"
            )
    return (
        f"{text}: the file has {_sample(list(state))}, {counted(len(state), 'name')}; the network needs "
        f"{_sample(missing)}: is it the same backbone?"
    )


def _note(prefix: str, others: Sequence[str], left: Sequence[str]) -> str:
    notes = []
    if others:
        notes.append(f"those under '{printable(prefix)}' are taken; '{printable(others[0])}' would fit as well")
    left = [name for name in left if not name.endswith("num_batches_tracked") and not name.startswith(tuple(others))]
    if left:
        notes.append(f"{counted(len(left), 'tensor is', 'tensors are')} left out: {_sample(left)}")
    return "; ".join(notes)


def _sample(names: Sequence[str]) -> str:
    """Show some names of many."""
    shown = ", ".join(f"'{printable(name)[:80]}'" for name in names[:3])
    return f"{shown}, ..." if len(names) > 3 else shown
