"""Several processes that train together, started by ``accelerate launch``; a single one is all of them.

Whatever goes wrong in one process is told to the others before they wait for it, so none of them waits for ever.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from MyoScarSegLib.errors import Cancelled, ModelError
from MyoScarSegLib.utils.device import resolve_device, resolve_precision
from MyoScarSegLib.utils.progress import CancelToken

if TYPE_CHECKING:
    from accelerate import Accelerator

_T = TypeVar("_T")
# The others wait while the main process looks at the validation patients, which may take longer than the usual ten minutes.
_TIMEOUT = timedelta(hours=1)
_WELL, _CANCELLED, _FAILED = range(3)


def open_accelerator(device: str, precision: str) -> Accelerator:
    """Accelerate's view of this process, whose ``device`` and ``precision`` (``no``, ``bf16``, ``fp16``) ``auto`` leaves to what
    ``accelerate launch`` was told, else to what is there; one of several processes gets its device from accelerate.

    Raises:
        ModelError: the device is not there or cannot do this precision.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import InitProcessGroupKwargs, patch_environment

    told_cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    chosen = torch.device("cpu") if told_cpu else resolve_device(device)
    if precision == "auto":
        launched = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
        bf16 = resolve_precision("auto", chosen) == torch.bfloat16
        precision = launched if launched in ("bf16", "fp16") else "bf16" if bf16 else "no"
    if precision == "fp16" and chosen.type == "cpu":
        raise ModelError("The processor cannot train in fp16. Choose the precision no or bf16.")
    alone = not torch.distributed.is_initialized() and int(os.environ.get("WORLD_SIZE", "1")) == 1
    if alone:
        # Accelerate keeps its first device and precision as long as the process lives; another training may want others.
        AcceleratorState._reset_state(reset_partial_state=True)
    with patch_environment(**({"ACCELERATE_TORCH_DEVICE": chosen} if alone else {})):
        return Accelerator(
            mixed_precision=precision, cpu=chosen.type == "cpu", kwargs_handlers=[InitProcessGroupKwargs(timeout=_TIMEOUT)]
        )


class Processes:
    """This process among those that train together.

    Attributes:
        accelerator: of this process.
        count, index: how many there are, and which of them this is.
        main: whether this one writes the files.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self.count: int = accelerator.num_processes
        self.index: int = accelerator.process_index
        self.main: bool = accelerator.is_main_process

    def check(self, cancel: CancelToken | None = None, error: Exception | None = None) -> None:
        """Go on only if all processes go on: each tells whether it was asked to stop, and what went wrong (``error``), which is
        raised here. All of them must call this. Raises Cancelled if any was asked to stop, ModelError if another one failed.
        """
        mine = _WELL if cancel is None or not cancel.cancelled else _CANCELLED
        if error is not None:
            mine = _CANCELLED if isinstance(error, Cancelled) else _FAILED
        worst = max(self.exchange(mine))
        if error is not None:
            raise error
        if worst == _FAILED:
            raise ModelError("Another process of this training failed; its own message says why.")
        if worst == _CANCELLED:
            raise Cancelled()

    def exchange(self, mine: _T) -> list[_T]:
        """What every process gives, in their order. All of them must call this."""
        if self.count == 1:
            return [mine]
        from accelerate.utils import gather_object

        return list(gather_object([mine]))

    def together(self, work: Callable[[], _T], cancel: CancelToken | None = None) -> _T:
        """What ``work`` returns here if it succeeds in all, else an error as of :meth:`check`. All of them must call this."""
        result: Any = None
        failure: Exception | None = None
        try:
            result = work()
        except Exception as error:  # of any kind: it is raised again as soon as the others know
            failure = error
        self.check(cancel, failure)
        done: _T = result
        return done

    def in_main(self, work: Callable[[], _T]) -> _T:
        """What ``work`` returns in the main process, which alone does it, in all of them, or an error as of :meth:`together`. All
        of them must call this.
        """
        told: list[Any] = [self.together(lambda: work() if self.main else None)]
        if self.count > 1:
            from accelerate.utils import broadcast_object_list

            broadcast_object_list(told)
        result: _T = told[0]
        return result

    def sum_gradients(self, parameters: Sequence[torch.Tensor]) -> None:
        """Sum the gradients over the processes, in one message; a parameter without one has zeros.

        Not by DistributedDataParallel: a process may have no window in a step's last part, and windows differ in what they use.
        """
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        if self.count == 1:
            return
        grads = [p.grad for p in parameters if p.grad is not None]
        flat = self.accelerator.reduce(torch.cat([g.flatten() for g in grads]), reduction="sum")
        for grad, part in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
            grad.copy_(part.view_as(grad))
