"""Load weights from files of this or another library: matched to the network by name and shape, never unpickled."""

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

_FOREIGN_FORMATS = {
    **dict.fromkeys((".npz", ".npy"), "arrays of numpy"),
    ".onnx": "an ONNX graph",
    **dict.fromkeys((".engine", ".trt", ".plan"), "a TensorRT engine"),
    **dict.fromkeys((".h5", ".hdf5", ".keras", ".tflite", ".pb"), "a model of Keras or TensorFlow"),
    **dict.fromkeys((".pdparams", ".pdmodel"), "a model of PaddlePaddle"),
    **dict.fromkeys((".caffemodel", ".prototxt"), "a model of Caffe"),
    **dict.fromkeys((".yaml", ".yml", ".json", ".txt", ".py"), "text"),
}
_EXPECTED = "expected .safetensors, or a .pth that holds plain tensors"
_AVERAGE_WORDS = ("teacher", "ema", "momentum", "mean")
"""If two networks in a file fit equally well, the moving average is taken, which is what is evaluated."""

_MAX_DEPTH = 4
"""How deeply dicts in a file may be nested."""


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_state(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a file of weights; pickled code is never run.

    Returns:
        Each tensor by its name; names of nested dicts are joined by dots.

    Raises:
        WeightsError: The file is missing, damaged, of another format, or needs pickle to load.
    """
    name = printable(path)
    if path.is_dir():
        raise WeightsError(f"'{name}' is a folder: name the file of weights in it")
    if not path.is_file():
        hint = (
            choice(str(path), ["synthetic", "imagenet", "none"])
            or f"; the default backbone '{DEFAULT_BACKBONE}' needs no file"
        )
        raise WeightsError(f"no weights at '{name}'{hint}")
    try:
        content = load_file(path) if _is_safetensors(path) else _load_torch(path)
    except WeightsError:
        raise
    except Exception as error:  # readers raise errors of many kinds for damaged files
        raise WeightsError(f"'{name}' cannot be read as weights ({_describe_file(path)}); {_EXPECTED}") from error
    state = dict(_flatten(content))
    if not state:
        raise WeightsError(f"'{name}' holds no state dict of tensors, but {_describe(content)}; {_EXPECTED}")
    return state


def fit(network: nn.Module, state: State, source: str) -> str:
    """Copy the weights of a file into a network, under whatever prefix the file has them.

    Args:
        network: The network.
        state: Each tensor of the file by its name.
        source: The name of the file, for messages.

    Returns:
        A note for the user: which tensors were left out, and whether two networks in the file fit; or an empty string.

    Raises:
        WeightsError: A tensor of the network is missing, of another shape, quantized or not finite.
    """
    needed = network.state_dict()
    for published, ours in ((".IN.", ".instance."), (".BN.", ".batch.")):  # names in the published files of IBN-Net
        state = {name.replace(published, ours): value for name, value in state.items()}
    names, prefix, other_prefixes = _match_names(network, needed, state)
    usable = {
        name: value
        for name, file_name in names.items()
        if (value := state.get(prefix + file_name)) is not None and value.shape == needed[name].shape
    }
    missing = [name for name in needed if name not in usable and not name.endswith("num_batches_tracked")]
    if missing:
        raise WeightsError(_describe_misfit(needed, state, names, prefix, missing, printable(source)))
    for name, value in usable.items():
        if needed[name].is_floating_point() and not value.is_floating_point():
            dtype, needed_dtype = (str(tensor.dtype).removeprefix("torch.") for tensor in (value, needed[name]))
            raise WeightsError(
                f"weights of '{printable(source)}': '{printable(name)}' is {dtype}, but the network computes with "
                f"{needed_dtype}: use weights that are not quantized"
            )
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise WeightsError(
                f"weights of '{printable(source)}': '{printable(name)}' has nan or inf: use another file"
            )
    network.load_state_dict(usable, strict=False)
    used = {prefix + names[name] for name in usable}
    return _describe_rest(prefix, other_prefixes, [name for name in state if name not in used])


def _describe_file(path: Path) -> str:
    """Return what a file is that no reader of weights can read."""
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
    """Return whether a file is safetensors, by its name or its first bytes."""
    with path.open("rb") as file:
        start = file.read(9)
    return path.suffix == ".safetensors" or (len(start) == 9 and start[8:] == b"{" and start[4:8] == bytes(4))


def _load_torch(path: Path) -> Any:
    name = printable(path)
    if path.suffix.lower() in _FOREIGN_FORMATS:
        raise WeightsError(f"'{name}' is {_FOREIGN_FORMATS[path.suffix.lower()]}, not weights of PyTorch: {_EXPECTED}")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
        if any(member.endswith("constants.pkl") for member in members):
            raise WeightsError(
                f"'{name}' is a TorchScript program, which could run any code: save only its weights with "
                "torch.save(torch.jit.load(OLD).state_dict(), NEW)"
            )
        if members and all(member.endswith(".npy") for member in members):
            raise WeightsError(f"'{name}' is arrays of numpy, not weights of PyTorch: {_EXPECTED}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        match = re.search(r"(?:GLOBAL|class|global) ([\w.]+\.\w+)", str(error))
        if match is None:
            raise
        raise WeightsError(
            f"'{name}' holds Python objects besides tensors ({match[1]}), and loading them could run any code: if "
            "you trust the file, save its tensors: torch.save(torch.load(OLD, weights_only=False)['state_dict'], NEW), "
            "or .state_dict() instead of ['state_dict'] if it is a whole network"
        ) from error


def _flatten(content: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Yield each tensor of nested dicts with its name, joined by dots; those of an optimizer are skipped."""
    if not isinstance(content, Mapping) or depth > _MAX_DEPTH:
        return
    for name, value in content.items():
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        elif isinstance(name, str) and "optim" not in name.lower():
            yield from _flatten(value, f"{prefix}{name}.", depth + 1)


def _describe(content: Any) -> str:
    if isinstance(content, Mapping):
        return f"a dict of {_sample([str(name) for name in content])}" if content else "an empty dict"
    return f"a {type(content).__name__}"


def _match_names(network: nn.Module, needed: State, state: State) -> tuple[dict[str, str], str, list[str]]:
    """Find the prefix under which a file has most tensors of a network.

    Returns:
        For each tensor of the network its name in the file without the prefix, the prefix, and other prefixes that fit
        as well.
    """
    candidates = []
    for names in ({name: name for name in needed}, _sequential_names(network, needed)):
        counts = Counter[str]()
        for file_name in state:
            for start in _part_starts(file_name):
                name = names.get(file_name[start:])
                if name is not None and needed[name].shape == state[file_name].shape:
                    counts[file_name[:start]] += 1
        most = max(counts.values(), default=0)
        candidates.append((most, names, [prefix for prefix, count in counts.items() if count == most]))
    _, names, prefixes = max(candidates, key=lambda candidate: candidate[0])
    prefixes = sorted(prefixes, key=lambda prefix: not any(word in prefix.lower() for word in _AVERAGE_WORDS))
    prefix, *other_prefixes = prefixes or [""]
    return {name: file_name for file_name, name in names.items()}, prefix, other_prefixes


def _sequential_names(network: nn.Module, needed: State) -> dict[str, str]:
    """Return the tensors' names by those in an `nn.Sequential` of the network's children, as ReID code often saves."""
    positions = {child: str(position) for position, (child, _) in enumerate(network.named_children())}
    names = {}
    for name in needed:
        child, dot, rest = name.partition(".")
        names[positions.get(child, child) + dot + rest] = name
    return names


def _part_starts(name: str) -> Iterator[int]:
    """Yield where each part of a dotted name starts."""
    yield 0
    yield from (match.end() for match in re.finditer(r"\.", name))


def _describe_misfit(
    needed: State, state: State, names: Mapping[str, str], prefix: str, missing: Sequence[str], source: str
) -> str:
    """Return why weights do not fit: a shape that differs, or missing names next to those that the file has."""
    text = f"weights of '{source}' do not fit the network, {len(missing)} of its {len(needed)} tensors are missing"
    for name in missing:
        if (file_name := prefix + names[name]) in state:
            return (
                f"{text} or of another shape: '{printable(file_name)}' is {tuple(state[file_name].shape)} in the file, "
                f"{tuple(needed[name].shape)} in the network: is it the same backbone?"
            )
    return (
        f"{text}: the file has {_sample(list(state))}, {counted(len(state), 'name')}; the network needs "
        f"{_sample(missing)}: is it the same backbone?"
    )


def _describe_rest(prefix: str, other_prefixes: Sequence[str], unused: Sequence[str]) -> str:
    notes = []
    if other_prefixes:
        notes.append(f"those under '{printable(prefix)}' are used; '{printable(other_prefixes[0])}' would fit as well")
    unused = [name for name in unused if not name.endswith("num_batches_tracked")]
    unused = [name for name in unused if not name.startswith(tuple(other_prefixes))]
    if unused:
        notes.append(f"{counted(len(unused), 'tensor is', 'tensors are')} left out: {_sample(unused)}")
    return "; ".join(notes)


def _sample(names: Sequence[str]) -> str:
    """Return the first names of a list, for messages."""
    text = ", ".join(f"'{printable(name)[:80]}'" for name in names[:3])
    return f"{text}, ..." if len(names) > 3 else text
