"""Device, precision, threads and processes."""

from __future__ import annotations

import atexit
import logging
import os
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from weakref import WeakSet

import numba
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from resight.compute.allocator import keep_freed_memory
from resight.compute.depthwise import QuickDepthwise
from resight.compute.processes import watch
from resight.compute.settings import DeviceSettings as DeviceSettings
from resight.errors import RunError, check_given
from resight.numerics.processor import cpu_has_bfloat16
from resight.records import Ints

if TYPE_CHECKING:
    from lightning_fabric import Fabric

logger = logging.getLogger(__name__)

Value = TypeVar("Value")
Network = TypeVar("Network", bound=nn.Module)


class Devices:
    """This process's device and its communication with other processes.

    Args:
        settings: The requested device, precision, threads and processes.
    """

    def __init__(self, settings: DeviceSettings | None = None) -> None:
        self.settings = DeviceSettings() if settings is None else settings
        check_given("settings", self.settings, DeviceSettings, "DeviceSettings(...)")
        threads = self.settings.threads or torch.get_num_threads()
        # Numba's pool sets the number of OpenMP threads, which torch shares, when it starts. So it starts first.
        numba.get_num_threads()
        torch.set_num_threads(threads)
        if self.settings.threads:
            numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
        several = self.settings.processes * self.settings.hosts > 1 or "TORCHELASTIC_RUN_ID" in os.environ
        self.fabric = _launch(self.settings) if several else None
        use_cpu = self.settings.accelerator == "cpu" or not torch.cuda.is_available()
        self._single_device = torch.device("cpu" if use_cpu else "cuda:0")
        if use_cpu:
            keep_freed_memory()

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        return self.fabric.device if self.fabric else self._single_device

    @property
    def rank(self) -> int:
        """The number of this process; process 0 writes files."""
        return self.fabric.global_rank if self.fabric else 0

    @property
    def world(self) -> int:
        """The number of processes."""
        return self.fabric.world_size if self.fabric else 1

    def shard(self, count: int) -> slice:
        """Return the part of ``count`` rows for this process; the parts are equal, only the last may be shorter."""
        size = -(-count // self.world)
        return slice(min(self.rank * size, count), min((self.rank + 1) * size, count))

    def drop_remainder(self, rows: Ints) -> Ints:
        """Drop the last rows of a batch that processes cannot share equally.

        Raises:
            RunError: There are fewer rows than processes.
        """
        if len(rows) < self.world:
            raise RunError(f"a batch of {len(rows)} images cannot be shared by {self.world} processes: use fewer")
        return rows[: len(rows) - len(rows) % self.world]

    def precision(self, purpose: Literal["training", "inference"]) -> Literal["float32", "bfloat16"]:
        """Return the precision for a purpose on this device."""
        requested = self.settings.training if purpose == "training" else self.settings.inference
        if requested != "auto":
            return requested
        if self.device.type == "cuda":
            return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
        return "bfloat16" if cpu_has_bfloat16() else "float32"

    def autocast(self, purpose: Literal["training", "inference"]) -> AbstractContextManager[Any]:
        """Return the context for the forward pass of a purpose."""
        context = ExitStack()
        if purpose == "training" and self.device.type == "cpu":
            context.enter_context(QuickDepthwise())
        if self.precision(purpose) == "bfloat16":
            context.enter_context(torch.autocast(self.device.type, dtype=torch.bfloat16))
        return context

    def to_device(self, module: Network) -> Network:
        """Move a module to the device, in the fastest memory layout for convolutions."""
        return module.to(self.device).to(memory_format=torch.channels_last)

    def adam(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        rate: float,
        weight_decay: float,
        amsgrad: bool = False,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> torch.optim.Adam:
        """Build Adam for the trainable parameters, in its fused implementation."""
        trainable = [parameter for parameter in parameters if parameter.requires_grad]
        return torch.optim.Adam(trainable, lr=rate, betas=betas, weight_decay=weight_decay, amsgrad=amsgrad, fused=True)

    def capture_graph(
        self,
        module: nn.Module,
        shape: tuple[int, ...],
        purpose: Literal["training", "inference"],
        *,
        name: str = "forward",
    ) -> None:
        """Capture a module's pass over a batch, and its gradients if it trains, as a CUDA graph, and replay it.

        A replay needs the mode that the module is in now, a batch of the same shape, and at most one pass between two
        backward passes. Every other pass runs as before. The next replay overwrites the output of the last one.

        Args:
            module: A module with all its weights on the device; it changes in place.
            shape: ``(B, 3, H, W)``, the shape of future batches.
            purpose: Decides the precision.
            name: The method that runs the pass; its only argument is the images.
        """
        if self.device.type != "cuda" or self.world > 1 or not self.settings.cuda_graphs:
            return
        trains = any(parameter.requires_grad for parameter in module.parameters())
        images = torch.zeros(shape, device=self.device).contiguous(memory_format=torch.channels_last)
        eager: Callable[[Tensor], Any] = getattr(module, name)
        statistics = [(buffer, buffer.clone()) for buffer in module.buffers()]
        module.__dict__["forward"] = eager  # torch captures the call of a module
        # Without autocast's cache, so that a replay casts the current weights.
        with torch.autocast("cuda", torch.bfloat16, enabled=self.precision(purpose) == "bfloat16", cache_enabled=False):
            torch.cuda.make_graphed_callables(module, (images,), allow_unused_input=True)
        replay: Callable[[Tensor], Any] = module.__dict__.pop("forward")
        for buffer, before_warmup in statistics:  # the warmup passes must not change the run
            buffer.copy_(before_warmup)

        def forward(images: Tensor) -> Any:
            fits = images.shape == shape and torch.is_grad_enabled() == trains
            return (replay if fits else eager)(images)

        module.__dict__[name] = forward

    def ddp(self, module: nn.Module) -> Callable[..., Any]:
        """Wrap a module so that its forward pass lets processes share gradients."""
        if not self.fabric:
            return module
        wrapped = self.fabric.setup_module(module)
        _ddp_modules.add(wrapped)
        return wrapped

    def backward(self, loss: Tensor) -> None:
        """Run the backward pass; processes average their gradients."""
        if self.fabric:
            self.fabric.backward(loss)
        else:
            loss.backward()  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Average the gradients of networks that `ddp` does not wrap over the processes."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if not self.fabric or not gradients:
            return
        mean = self.fabric.all_reduce(torch.cat([gradient.flatten() for gradient in gradients]), reduce_op="mean")
        assert isinstance(mean, Tensor)
        start = 0
        for gradient in gradients:
            gradient.copy_(mean[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of a number over the processes, detached."""
        return self.gather(value.detach().reshape(1)).mean()

    def gather(self, rows: Tensor, *, learn: bool = False) -> Tensor:
        """Join equal parts of a tensor from all processes, in their order; gradients pass only if ``learn``."""
        if not self.fabric:
            return rows
        gathered = self.fabric.all_gather(rows if learn else rows.detach(), sync_grads=learn)
        assert isinstance(gathered, Tensor)
        return gathered.flatten(0, 1)

    def gather_rows(self, rows: Tensor, count: int) -> Tensor:
        """Join the parts into which `shard` cut ``count`` rows."""
        if self.world == 1:
            return rows
        size = -(-count // self.world)
        padded = rows.new_zeros((size, *rows.shape[1:]))
        padded[: len(rows)] = rows
        return self.gather(padded)[:count]

    def broadcast(self, value: Value) -> Value:
        """Send the first process's value to all processes."""
        return self.fabric.broadcast(value) if self.fabric else value

    @torch.no_grad()
    def sync_buffers(self, *modules: nn.Module) -> None:
        """Copy the first process's buffers to all: each process has running statistics of its own images."""
        for module in modules if self.fabric else ():
            buffers = list(module.buffers())
            for buffer, first in zip(buffers, self.broadcast([buffer.cpu() for buffer in buffers]), strict=True):
                buffer.copy_(first)

    def warn_if_cpu_busy(self) -> None:
        """Warn if other programs use the cores, so that fewer threads would train faster; takes under a second.

        Threads wait for each other hundreds of times per step. One thread without its own core slows down all.
        """
        if self.device.type != "cpu" or self.world > 1 or self.settings.threads:
            return
        speeds = thread_speeds(torch.get_num_threads())
        fastest = max(speeds, key=lambda threads: speeds[threads])
        share = speeds[max(speeds)] / speeds[fastest]
        if share < CROWDED:
            logger.warning(
                "other programs, or a limit on this one, keep the machine's cores busy: with %d threads training runs "
                "at %.0f %% of its speed with %d; stop them, or give --device.threads %d",
                *(max(speeds), 100 * share, fastest, fastest),
            )

    def barrier(self) -> None:
        """Wait for every process."""
        if self.fabric:
            self.fabric.barrier()

    def describe(self) -> dict[str, str | int]:
        """Describe the device, processes, threads and precision, for the log and the run folder."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else f"{os.cpu_count()}-core CPU"
        return {
            "device": name,
            "processes": self.world,
            "threads": torch.get_num_threads(),
            "training": self.precision("training"),
            "inference": self.precision("inference"),
        }


def _launch(settings: DeviceSettings) -> Fabric:
    """Start the processes."""
    from lightning_fabric import Fabric  # takes seconds to load

    fabric = Fabric(
        accelerator=settings.accelerator,
        devices=settings.processes,
        num_nodes=settings.hosts,
        strategy="ddp",
    )
    fabric.launch()
    watch(getattr(fabric.strategy.launcher, "procs", ()))
    atexit.register(_end_communication)
    return fabric


def _end_communication() -> None:
    """End the communication between processes, and its threads.

    A thread that frees a tensor after the end of the interpreter aborts the process. The threads end with the last
    reference to the process group, and each wrapped network holds three references.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    for network in _ddp_modules:
        for module in network.modules():
            if isinstance(module, DistributedDataParallel):
                for name in ("process_group", "reducer", "logger"):
                    setattr(module, name, None)


_ddp_modules: WeakSet[nn.Module] = WeakSet()
"""The modules that `Devices.ddp` wrapped."""


CROWDED = 0.6
"""Below this share of the best speed with fewer threads, all threads are too many. On two idle cores, two threads reach
1.8 times the speed of one; next to a busy program 0.2 to 0.5 times (`benchmarks/results/threads/beside-load.json`)."""


def thread_speeds(most: int) -> dict[int, float]:
    """Measure the speed with ``most`` threads, half as many and so on, down to one.

    Args:
        most: Torch's number of threads; it is restored at the end.

    Returns:
        Images per second for each number of threads, in convolutions as small as a network's last.
    """
    candidates = [most]
    while candidates[-1] > 1:
        candidates.append(candidates[-1] // 2)
    weight, seconds = torch.zeros(32, 32, 3, 3), dict.fromkeys(candidates, 0.0)
    rounds, repeats, images = 4, 200, 4  # enough repeats that a thread on a shared core gets interrupted
    for _ in range(rounds):  # in turns, because the load of other programs changes
        for threads in candidates:
            torch.set_num_threads(threads)
            maps = torch.zeros(images * threads, 32, 16, 8).contiguous(memory_format=torch.channels_last)
            functional.conv2d(maps, weight, padding=1)
            start = time.perf_counter()
            for _ in range(repeats):
                functional.conv2d(maps, weight, padding=1)
            seconds[threads] += time.perf_counter() - start
    torch.set_num_threads(most)
    return {threads: rounds * repeats * images * threads / seconds[threads] for threads in candidates}
