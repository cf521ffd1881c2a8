"""Every module beside PyTorch's: its text, its state, its results and its gradients.

The cases are those of PyTorch's database of modules and of `module_cases.py`. Each makes the module
in both libraries, gives ours PyTorch's weights through a state dict, and compares, in training and
in evaluation; what must raise has to raise the same. The summary at the end of a run says how many
cases agree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import grad
from grad import nn
from grad.settings import settings

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")

from tests.peers.module_cases import (  # noqa: E402
    DTYPE,
    NAMES,
    NOT_CALLED,
    Case,
    cases,
    common,
    failures,
)
from tests.peers.op_db_values import (  # noqa: E402
    NotComparable,
    Raised,
    difference,
    error_difference,
    ours,
    tensors_in,
)

# What stays different, with what is found: docs/differences.md has the reasons.
DIFFERENT = {"CrossMapLRN2d": "values: ", "FractionalMaxPool3d": "the random samples have shape"}


pytestmark = pytest.mark.usefixtures("one_thread")


def test_every_module_has_cases():
    missing = {
        name
        for name, value in vars(nn).items()
        if isinstance(value, type) and issubclass(value, nn.Module) and hasattr(torch.nn, name)
    } - {*NAMES, *NOT_CALLED}
    assert not missing


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_as_pytorch(name: str, record_property: Callable[[str, Any], None]) -> None:
    passed, skipped, found = 0, 0, []
    # Interpreted, for time: this is about what modules mean, not about kernels.
    with settings.override(backend="reference"):
        for case in cases(name):
            try:
                message = _differs(case)
            except NotComparable:
                skipped += 1
                continue
            except Exception as error:
                message = f"{type(error).__name__}: {error}"
            passed += message is None
            found += [f"{case}: {message}"] * (message is not None)
        for failure in failures(name):
            try:
                message = _failure_differs(name, failure)
            except NotComparable:
                skipped += 1
                continue
            passed += message is None
            found += [message] * (message is not None)
    listed = len(found) if name in DIFFERENT else 0
    record_property("modules", (name, passed, len(found) - listed, listed, skipped))
    if name in DIFFERENT:
        assert found, f"{name} is no longer different"
        assert all(DIFFERENT[name] in message for message in found), found
        return
    assert not found, "\n".join(map(str, found))


# -- one case --------------------------------------------------------------------------------------
def _differs(case: Case) -> str | None:
    args, kwargs = case.made_with
    theirs = getattr(torch.nn, case.name)(*args, **kwargs)
    mine = getattr(nn, case.name)(*_told(args), **_told(kwargs))
    differs = _text_differs(mine, theirs) or _state_differs(mine, theirs)
    if differs:
        return differs
    mine, theirs = mine.to(_told(DTYPE)), theirs.to(DTYPE)
    if any(isinstance(p, torch.nn.UninitializedParameter) for p in theirs.parameters()) or any(
        isinstance(b, torch.nn.UninitializedBuffer) for b in theirs.buffers()
    ):
        with torch.no_grad(), grad.no_grad():
            theirs(*case.inputs, **case.settings)
            mine(*_told(case.inputs), **_told(case.settings))
        differs = _text_differs(mine, theirs) or _state_differs(mine, theirs)
        if differs:
            return differs
    with torch.no_grad():  # zeros and ones would hide mistakes
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    mine.load_state_dict(_told(dict(theirs.state_dict())))
    mine.train(case.training)
    theirs.train(case.training)
    differs = _calls_differ(case, mine, theirs)
    if differs:
        return differs
    back = {name: torch.tensor(value.numpy()) for name, value in mine.state_dict().items()}
    theirs.load_state_dict(back)
    return _values_differ(mine, theirs)


def _text_differs(mine: Any, theirs: Any) -> str | None:
    found, expected = repr(mine), repr(theirs)
    if "<function" in expected:  # an address
        return None
    found = found.replace("grad.", "torch.")
    return None if found == expected else f"text: {found}, not {expected}"


def _state_differs(mine: Any, theirs: Any) -> str | None:
    found, expected = (
        [(name, _shape(value), str(value.dtype).split(".")[-1]) for name, value in state.items()]
        for state in (mine.state_dict(), theirs.state_dict())
    )
    if found != expected:
        return f"state: {found}, not {expected}"
    found, expected = (
        [(name, p.requires_grad) for name, p in module.named_parameters()]
        for module in (mine, theirs)
    )
    return None if found == expected else f"parameters: {found}, not {expected}"


def _shape(value: Any) -> Any:
    lazy = isinstance(
        value,
        torch.nn.UninitializedParameter
        | torch.nn.UninitializedBuffer
        | nn.UninitializedParameter
        | nn.UninitializedBuffer,
    )
    return None if lazy else tuple(value.shape)


def _calls_differ(case: Case, mine: Any, theirs: Any) -> str | None:
    their_leaves, our_leaves = _leaves((case.inputs, case.settings))
    # Copies, which a module that works in place may change.
    (inputs, named), (our_inputs, our_named) = _copied(their_leaves), _copied(our_leaves)
    expected = theirs(*inputs, **named)
    found = mine(*our_inputs, **our_named)
    if _is_random(theirs):
        shapes = [tuple(t.shape) for t in tensors_in(expected)]
        if [tuple(t.shape) for t in tensors_in(found)] != shapes:
            return "shapes"
        raise NotComparable("drawn by chance")
    differs = difference(found, expected)
    if differs:
        return differs
    differs = difference(list(_flat(our_inputs)), list(_flat(inputs)))
    if differs:
        return f"inputs afterwards: {differs}"
    total, our_total = 0, 0
    for one, its in zip(tensors_in(found), tensors_in(expected), strict=True):
        if its.requires_grad != one.requires_grad:
            return f"requires_grad: {one.requires_grad}"
        if its.requires_grad:
            weight = torch.randn_like(its)
            total = total + (its * weight).sum()
            our_total = our_total + (one * ours(weight)).sum()
    if isinstance(total, torch.Tensor):
        total.backward()
        assert not isinstance(our_total, int)
        our_total.backward()
    named_leaves = [
        (f"input {n}", a, b)
        for n, (a, b) in enumerate(zip(_flat(our_leaves), _flat(their_leaves), strict=True))
    ] + [
        (name, a, b)
        for (name, a), b in zip(mine.named_parameters(), theirs.parameters(), strict=True)
    ]
    for name, a, b in named_leaves:
        if (a.grad is None) != (b.grad is None):
            return f"gradient of {name}: {a.grad}, not {b.grad}"
        differs = None if b.grad is None else difference(a.grad, b.grad)
        if differs:
            return f"gradient of {name}: {differs}"
    return _values_differ(mine, theirs)


def _values_differ(mine: Any, theirs: Any) -> str | None:
    found, expected = mine.state_dict(), theirs.state_dict()
    differs = difference([found[name] for name in expected], list(expected.values()))
    return None if differs is None else f"state: {differs}"


def _is_random(theirs: Any) -> bool:
    """Whether a call of PyTorch's module draws numbers."""
    for module in theirs.modules():
        kind = type(module).__name__
        if kind.startswith("FractionalMaxPool") and module._random_samples is None:
            return True
        if not module.training:
            continue
        if kind == "RReLU" and module.lower != module.upper:
            return True
        if "Dropout" in kind and 0 < module.p < 1:
            return True
        if isinstance(getattr(module, "dropout", None), float) and module.dropout > 0:
            return True
    return False


# -- values of both --------------------------------------------------------------------------------
def _told(value: Any) -> Any:
    """PyTorch's value as ours."""
    if isinstance(value, torch.nn.utils.rnn.PackedSequence):
        return nn.utils.rnn.PackedSequence(*[None if v is None else ours(v) for v in value])
    if type(value) in (list, tuple):
        return type(value)(map(_told, value))
    if isinstance(value, dict):
        return {key: _told(item) for key, item in value.items()}
    if isinstance(value, torch.nn.Module):
        return _module(value)
    name = getattr(value, "__name__", "")
    if callable(value) and value is getattr(torch.nn.functional, name, None):
        return getattr(nn.functional, name)
    return ours(value)


def _module(theirs: Any) -> Any:
    """A layer that is given to a constructor, with its weights."""
    kind = type(theirs).__name__
    if kind == "TransformerEncoderLayer":
        width = theirs.self_attn.embed_dim
        made = nn.TransformerEncoderLayer(
            width,
            theirs.self_attn.num_heads,
            theirs.linear1.out_features,
            theirs.dropout.p,
            _told(theirs.activation),
            theirs.norm1.eps,
            theirs.self_attn.batch_first,
            theirs.norm_first,
            theirs.linear1.bias is not None,
            dtype=_told(theirs.linear1.weight.dtype),
        )
        made.load_state_dict(_told(dict(theirs.state_dict())))
        return made
    raise NotComparable(f"a {kind} as an argument")


def _leaves(value: Any) -> tuple[Any, Any]:
    theirs = _each(value, lambda t: t.detach().clone().requires_grad_(t.requires_grad))
    return theirs, _told(theirs)


def _each(value: Any, function: Callable[[Any], Any]) -> Any:
    """`value` with what `function` makes of its tensors."""
    if isinstance(value, torch.Tensor | grad.Tensor):
        return function(value)
    if type(value) in (list, tuple):
        return type(value)([_each(item, function) for item in value])
    if isinstance(value, dict):
        return {key: _each(item, function) for key, item in value.items()}
    return value


def _copied(value: Any) -> Any:
    return _each(value, lambda tensor: tensor.clone())


def _flat(value: Any) -> list[Any]:
    return [tensor for tensor in tensors_in(value) if tensor.dtype.is_floating_point]


# -- what must raise -------------------------------------------------------------------------------
def _failure_differs(name: str, failure: Any) -> str | None:
    given = failure.module_error_input
    made, call = given.constructor_input, given.forward_input
    raised: list[Raised] = []
    for space, told in ((torch.nn, lambda value: value), (nn, _told)):
        try:
            module = getattr(space, name)(*told(made.args), **told(made.kwargs)).to(told(DTYPE))
            if failure.error_on == common.ModuleErrorEnum.FORWARD_ERROR:
                module(*told(call.args), **told(call.kwargs))
        except NotComparable:
            raise
        except Exception as error:
            raised.append(type(error))
        else:
            raised.append(None)
    differs = error_difference(*raised)
    return differs and f"{name}{made.args}{made.kwargs}: {differs}"
