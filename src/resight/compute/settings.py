"""Settings of the device, read, checked and printed without loading torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from resight.config.types import check_types
from resight.errors import MOST_THREADS, ConfigError

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class DeviceSettings:
    """Device, precision, threads and processes of a run.

    Attributes:
        accelerator: `auto` (a GPU if there is one), `cpu` or `cuda`.
        processes: Number of processes that share a batch on one host; one GPU each, or CPU processes.
        hosts: Number of hosts; start the same command on each, through torchrun or SLURM.
        training: Precision of training: `auto` is bfloat16 on GPUs and processors that compute in it.
        inference: Precision of feature extraction, with the same choices.
        threads: CPU threads of each process; 0 leaves the choice to torch.
        cuda_graphs: On one GPU, capture the networks' passes over a batch as CUDA graphs and replay them. Otherwise
            small networks wait for the processor, which launches each of their hundreds of kernels.
    """

    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    processes: int = 1
    hosts: int = 1
    training: Precision = "auto"
    inference: Precision = "auto"
    threads: int = 0
    cuda_graphs: bool = True

    def __post_init__(self) -> None:
        check_types(self)
        if self.processes < 1 or self.hosts < 1 or self.threads < 0:
            raise ConfigError(
                "device.processes and device.hosts must be 1 or more and device.threads 0 or more, found "
                f"{self.processes}, {self.hosts}, {self.threads}"
            )
        if self.threads > MOST_THREADS:
            raise ConfigError(f"device.threads must be at most {MOST_THREADS}, found {self.threads}: as many as cores")
        if self.accelerator == "cuda":
            import torch  # takes seconds to load, and other settings do not need it

            if not torch.cuda.is_available():
                raise ConfigError("device.accelerator is cuda, but torch finds no GPU: use cpu or auto")
