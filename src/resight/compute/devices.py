"""Where things run: device, precision, threads and processes."""

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
    """The device of this process and its talk with the others.

    Args:
        settings: What was asked for.
    """

    def __init__(self, settings: DeviceSettings | None = None) -> None:
        self.settings = DeviceSettings() if settings is None else settings
        check_given("settings", self.settings, DeviceSettings, "DeviceSettings(...)")
        threads = self.settings.threads or torch.get_num_threads()
        # Numba's pool sets the number of OpenMP threads, which is torch's too, when it starts: so it starts first.
        numba.get_num_threads()
        torch.set_num_threads(threads)
        if self.settings.threads:
            numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
        several = self.settings.processes * self.settings.hosts > 1 or "TORCHELASTIC_RUN_ID" in os.environ
        self.fabric = _launched(self.settings) if several else None
        self._alone = "cpu" if self.settings.accelerator == "cpu" or not torch.cuda.is_available() else "cuda:0"

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        return self.fabric.device if self.fabric else torch.device(self._alone)

    @property
    def rank(self) -> int:
        """The number of this process, 0 for the one that writes."""
        return self.fabric.global_rank if self.fabric else 0

    @property
    def world(self) -> int:
        """How many processes there are."""
        return self.fabric.world_size if self.fabric else 1

    def shard(self, count: int) -> slice:
        """Give the part of ``count`` rows that this process works on; the parts are equal, the last may be short."""
        size = -(-count // self.world)
        return slice(min(self.rank * size, count), min((self.rank + 1) * size, count))

    def drop_remainder(self, rows: Ints) -> Ints:
        """Leave out the last rows of a batch that processes cannot share equally.

        Raises:
            RunError: There are fewer rows than processes.
        """
        if len(rows) < self.world:
            raise RunError(f"a batch of {len(rows)} images cannot be shared by {self.world} processes: use fewer")
        return rows[: len(rows) - len(rows) % self.world]

    def precision(self, purpose: Literal["training", "inference"]) -> Literal["float32", "bfloat16"]:
        """Say which precision a purpose runs in here."""
        asked = self.settings.training if purpose == "training" else self.settings.inference
        if asked != "auto":
            return asked
        if self.device.type == "cuda":
            return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
        return "bfloat16" if cpu_has_bfloat16() else "float32"

    def autocast(self, purpose: Literal["training", "inference"]) -> AbstractContextManager[Any]:
        """Give the context in which a purpose's forward pass runs."""
        context = ExitStack()
        if purpose == "training" and self.device.type == "cpu":
            context.enter_context(QuickDepthwise())
        if self.precision(purpose) == "bfloat16":
            context.enter_context(torch.autocast(self.device.type, dtype=torch.bfloat16))
        return context

    def to_device(self, module: Network) -> Network:
        """Move a module to the device, in the layout that convolutions are fastest in."""
        return module.to(self.device).to(memory_format=torch.channels_last)

    def adam(
        self, parameters: Iterable[nn.Parameter], *, rate: float, weight_decay: float, amsgrad: bool = False
    ) -> torch.optim.Adam:
        """Give Adam for those of the parameters that learn, in one pass over each."""
        learning = [parameter for parameter in parameters if parameter.requires_grad]
        return torch.optim.Adam(learning, lr=rate, weight_decay=weight_decay, amsgrad=amsgrad, fused=True)

    def capture_graph(
        self,
        module: nn.Module,
        shape: tuple[int, ...],
        purpose: Literal["training", "inference"],
        *,
        name: str = "forward",
    ) -> None:
        """Record a module's pass over a batch, and its gradients where it learns, to be replayed from now on.

        Replayed is a pass in the mode the module is in now, over a batch of the same shape, and only one between two
        backward passes; every other one is run as before. What comes out of a replay is overwritten by the next one.

        Args:
            module: On the device, all its weights too; it is changed in place.
            shape: ``(B, 3, H, W)`` of the batches to come.
            purpose: Decides the precision.
            name: The method that makes the pass, of images alone.
        """
        if self.device.type != "cuda" or self.world > 1 or not self.settings.cuda_graphs:
            return
        learns = any(parameter.requires_grad for parameter in module.parameters())
        images = torch.zeros(shape, device=self.device).contiguous(memory_format=torch.channels_last)
        plain: Callable[[Tensor], Any] = getattr(module, name)
        statistics = [(buffer, buffer.clone()) for buffer in module.buffers()]
        module.__dict__["forward"] = plain  # what torch records is a module's call
        # Without the cache of autocast, so that a replay casts the weights of its own time.
        with torch.autocast("cuda", torch.bfloat16, enabled=self.precision(purpose) == "bfloat16", cache_enabled=False):
            torch.cuda.make_graphed_callables(module, (images,), allow_unused_input=True)
        replay: Callable[[Tensor], Any] = module.__dict__.pop("forward")
        for buffer, before in statistics:  # the passes that warm up are none of the run's
            buffer.copy_(before)

        def forward(images: Tensor) -> Any:
            fits = images.shape == shape and torch.is_grad_enabled() == learns
            return (replay if fits else plain)(images)

        module.__dict__[name] = forward

    def ddp(self, module: nn.Module) -> Callable[..., Any]:
        """Give what runs a module's forward pass so that processes share its gradients."""
        if not self.fabric:
            return module
        wrapped = self.fabric.setup_module(module)
        _wrapped.add(wrapped)
        return wrapped

    def backward(self, loss: Tensor) -> None:
        """Run the backward pass; processes average their gradients."""
        if self.fabric:
            self.fabric.backward(loss)
        else:
            loss.backward()  # type: ignore[no-untyped-call]

    def mean(self, value: Tensor) -> Tensor:
        """Give the mean of a number over the processes, detached."""
        return self.gather(value.detach().reshape(1)).mean()

    def gather(self, rows: Tensor, *, learn: bool = False) -> Tensor:
        """Join equal parts of a tensor from all processes, in their order; gradients pass only where they learn."""
        if not self.fabric:
            return rows
        gathered = self.fabric.all_gather(rows if learn else rows.detach(), sync_grads=learn)
        assert isinstance(gathered, Tensor)
        return gathered.flatten(0, 1)

    def gather_rows(self, rows: Tensor, count: int) -> Tensor:
        """Join the parts that `share` cut ``count`` rows into."""
        if self.world == 1:
            return rows
        size = -(-count // self.world)
        padded = rows.new_zeros((size, *rows.shape[1:]))
        padded[: len(rows)] = rows
        return self.gather(padded)[:count]

    def broadcast(self, value: Value) -> Value:
        """Give the first process' value to all."""
        return self.fabric.broadcast(value) if self.fabric else value

    @torch.no_grad()
    def sync_buffers(self, *modules: nn.Module) -> None:
        """Give all processes the first one's buffers: running statistics that each has of its own share of images."""
        for module in modules if self.fabric else ():
            buffers = list(module.buffers())
            for buffer, first in zip(buffers, self.broadcast([buffer.cpu() for buffer in buffers]), strict=True):
                buffer.copy_(first)

    def warn_if_cpu_busy(self) -> None:
        """Warn where fewer threads would train faster, since other programs use the cores; takes under a second.

        Threads wait for each other hundreds of times in a step, and one that has no core of its own holds up all.
        """
        if self.device.type != "cpu" or self.world > 1 or self.settings.threads:
            return
        speeds = thread_speeds(torch.get_num_threads())
        quickest = max(speeds, key=lambda threads: speeds[threads])
        share = speeds[max(speeds)] / speeds[quickest]
        if share < CROWDED:
            logger.warning(
                "other programs, or a limit on this one, keep the machine's cores busy: with %d threads training runs "
                "at %.0f %% of its speed with %d; stop them, or give --device.threads %d",
                *(max(speeds), 100 * share, quickest, quickest),
            )

    def barrier(self) -> None:
        """Wait for every process."""
        if self.fabric:
            self.fabric.barrier()

    def describe(self) -> dict[str, str | int]:
        """Say what runs where, for the log and the run folder."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else f"{os.cpu_count()}-core CPU"
        return {
            "device": name,
            "processes": self.world,
            "threads": torch.get_num_threads(),
            "training": self.precision("training"),
            "inference": self.precision("inference"),
        }


def _launched(settings: DeviceSettings) -> Fabric:
    """Start the processes; only here is the library for it loaded, which takes seconds."""
    from lightning_fabric import Fabric

    fabric = Fabric(
        accelerator=settings.accelerator,
        devices=settings.processes,
        num_nodes=settings.hosts,
        strategy="ddp",
    )
    fabric.launch()
    watch(getattr(fabric.strategy.launcher, "procs", ()))
    atexit.register(_part)
    return fabric


def _part() -> None:
    """End the processes' talk, and its threads: one that lets go of a tensor after the interpreter has ended aborts us.

    They end with the last reference to the process group, and each wrapped network holds three.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    for network in _wrapped:
        for module in network.modules():
            if isinstance(module, DistributedDataParallel):
                for name in ("process_group", "reducer", "logger"):
                    setattr(module, name, None)


_wrapped: WeakSet[nn.Module] = WeakSet()
"""What `Devices.wrap` gave to several processes."""


CROWDED = 0.6
"""Of the speed that fewer threads have, what all must reach; alone on two cores they have 1.8 times that of one, and
beside one busy program 0.2 to 0.5 (`benchmarks/results/threads/beside-load.json`)."""


def thread_speeds(most: int) -> dict[int, float]:
    """Measure how much some threads get done together: ``most``, half as many and so on, down to one.

    Args:
        most: Threads that torch has; it has them again at the end.

    Returns:
        Images a second for each number of threads, in convolutions as small as a network's last.
    """
    tried = [most]
    while tried[-1] > 1:
        tried.append(tried[-1] // 2)
    weight, seconds = torch.zeros(32, 32, 3, 3), dict.fromkeys(tried, 0.0)
    rounds, row, images = 4, 200, 4  # a row is long enough that a thread is interrupted where it shares its core
    for _ in range(rounds):  # in turns, since what else runs comes and goes
        for threads in tried:
            torch.set_num_threads(threads)
            maps = torch.zeros(images * threads, 32, 16, 8).contiguous(memory_format=torch.channels_last)
            functional.conv2d(maps, weight, padding=1)
            begun = time.perf_counter()
            for _ in range(row):
                functional.conv2d(maps, weight, padding=1)
            seconds[threads] += time.perf_counter() - begun
    torch.set_num_threads(most)
    return {threads: rounds * row * images * threads / seconds[threads] for threads in tried}
