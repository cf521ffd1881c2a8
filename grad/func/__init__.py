"""Functions of functions, as in ``torch.func``: gradients, Jacobians, maps over batches.

Order to read: tree.py (nested arguments), standing.py (running a function on values that are not
there), mapping.py and vmap.py (batches), level.py and derivatives.py (gradients), forward.py
(derivatives along a direction), jacobian.py, modules.py (modules as functions of their parameters),
functional_forms.py (what PyTorch needs and we do not).
"""

from __future__ import annotations

from grad.func.derivatives import grad, grad_and_value, vjp
from grad.func.forward import jvp, linearize
from grad.func.functional_forms import functionalize, replace_all_batch_norm_modules_
from grad.func.jacobian import hessian, jacfwd, jacrev
from grad.func.modules import functional_call, stack_module_state
from grad.func.vmap import vmap

__all__ = [
    "functional_call",
    "functionalize",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "replace_all_batch_norm_modules_",
    "stack_module_state",
    "vjp",
    "vmap",
]
