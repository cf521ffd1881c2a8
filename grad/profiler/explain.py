"""`grad.explain`: what a function becomes: its graph, the groups, the kernels and their code.

The function runs once, with every plan made anew, and an observer (engine/observe.py) keeps what
each plan was made of. What is shown is what ``GRAD_DEBUG=3`` to ``5`` print, as objects: read
`Explanation`, then `KernelExplanation`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from grad import engine
from grad.compile import Compiled
from grad.compile.tree import with_places
from grad.engine.observe import Made, Observer, attach, detach
from grad.engine.recording import recording
from grad.errors import CaptureError
from grad.nn.compiled import CompiledModule
from grad.runtime.buffer_pool import readable

if TYPE_CHECKING:
    from grad.codegen.backend import Backend
    from grad.kernel.ir import Kernel


@dataclass(frozen=True, slots=True)
class KernelExplanation:
    """One kernel.

    Attributes:
        name: what it does, and the shape of what it is for.
        group: what it computes and stores, and why that and no more.
        step: the step of its plan in which it begins; kernels of one step run at the same time.
        nbytes: bytes it must move at least. operations: additions and multiplications.
    """

    name: str
    group: str
    step: int
    nbytes: int
    operations: float
    _kernel: Kernel
    _backend: Backend

    @property
    def ir(self) -> str:
        """The kernel in the compiler's own language, which reads like Python."""
        return str(self._kernel)

    @property
    def llvm(self) -> str:
        """Its code as LLVM IR, a module for each phase."""
        return self._backend.code(self._kernel)

    @property
    def assembly(self) -> str:
        """Its machine code for this computer, in assembly language.

        Raises DeviceError for ``GRAD_BACKEND=reference``, which has none.
        """
        return self._backend.assembly(self._kernel)

    def __str__(self) -> str:
        return f"{self.group}\n{self.ir}"


class PlanExplanation(NamedTuple):
    """What is computed in one go.

    Attributes:
        graph: the values, after simplification; one line each.
        groups: which values each kernel computes, with the reason of each border.
        kernels: in the order of their groups.
        kernel_count: how often a run starts kernels; independent ones start together.
        seconds: what compiling took (less where code was found on disk).
        temporary_bytes: memory for values that only other kernels of the plan read.
    """

    graph: str
    groups: str
    kernels: tuple[KernelExplanation, ...]
    kernel_count: int
    seconds: float
    temporary_bytes: int


class Explanation(NamedTuple):
    """What a function becomes, see `explain`; printing it shows graph, groups and kernels.

    Attributes:
        plans: what was computed in one go each, in order.
        result: what the function returned.
    """

    plans: tuple[PlanExplanation, ...]
    result: Any

    @property
    def kernels(self) -> tuple[KernelExplanation, ...]:
        """The kernels of all plans."""
        return tuple(kernel for plan in self.plans for kernel in plan.kernels)

    @property
    def kernel_count(self) -> int:
        """How often kernels are started, in all plans."""
        return sum(plan.kernel_count for plan in self.plans)

    def text(self, level: int = 3) -> str:
        """In words: 3 graph and groups, 4 the kernels' IR too, 5 their code too (as GRAD_DEBUG)."""
        return "\n".join(line for plan in self.plans for line in _lines(plan, level))

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Explanation: kernels {len(self.kernels)}, plans {len(self.plans)}>"


def explain(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Explanation:
    """Run ``function(*args, **kwargs)`` once, and say what it was compiled to.

    `function` may be a function of tensors, a module, or a whole training step, whose effects take
    place; one that is compiled is shown as it would be recorded. Tensors that it returns are
    computed. Every plan is made anew, however often the function has run before.

    Raises:
        CaptureError: inside of a function that `grad.compile` records.

    Example:
        >>> x = grad.ones(256, 64)
        >>> explanation = grad.explain(lambda x: x.relu().softmax(1), x)
        >>> explanation.kernel_count
        1
        >>> print(explanation.kernels[0].ir)
    """
    if recording.recorder is not None:
        raise CaptureError("explain: a recorded function computes nothing; call it outside.")
    function = _plain(function)
    engine.realize([tensor.node for tensor in _tensors((args, kwargs))])
    notes = _Notes()
    with engine.cache.apart():
        attach(notes)
        try:
            result = function(*args, **kwargs)
            engine.realize([tensor._storage.node for tensor in _tensors(result)])
        finally:
            detach(notes)
    return Explanation(tuple(notes.plans), result)


class _Notes(Observer):
    """Keeps what is made."""

    def __init__(self) -> None:
        self.plans: list[PlanExplanation] = []

    def planned(self, made: Made, start: int, end: int) -> None:
        kernels = tuple(
            KernelExplanation(
                name=low.kernel.name,
                group=made.draft.group(number),
                step=step,
                nbytes=works[0].nbytes,
                operations=sum(work.operations for work in works),
                _kernel=low.kernel,
                _backend=made.backend,
            )
            for number, (low, step, works) in enumerate(
                zip(made.draft.lowered, made.starts, made.works, strict=True)
            )
        )
        self.plans.append(
            PlanExplanation(
                graph=str(made.draft.program),
                groups="\n".join(kernel.group for kernel in kernels),
                kernels=kernels,
                kernel_count=made.plan.kernel_count,
                seconds=(end - start) / 1e9,
                temporary_bytes=made.plan.arena_bytes,
            )
        )


def _lines(plan: PlanExplanation, level: int) -> Iterator[str]:
    """What `Explanation.text` says of one plan."""
    yield from (plan.graph, plan.groups)
    if level >= 4:
        yield from (kernel.ir for kernel in plan.kernels)
    if level >= 5:
        yield from (kernel.llvm for kernel in plan.kernels)
    yield (
        f"{plan.kernel_count} kernels one after another, {plan.seconds * 1e3:.1f} ms to compile, "
        f"{readable(plan.temporary_bytes)} for values in between"
    )
    for kernel in plan.kernels:
        yield (
            f"    step {kernel.step}: {kernel.name}, {readable(kernel.nbytes)}, "
            f"{kernel.operations:.3g} operations"
        )


def _plain(function: Any) -> Any:
    """The function that was compiled, or the function itself."""
    if isinstance(function, Compiled):
        return function.function
    return function._orig_mod if isinstance(function, CompiledModule) else function


def _tensors(value: Any) -> list[Any]:
    found: list[Any] = []
    with_places(value, found)
    return found
