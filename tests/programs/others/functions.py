"""Functions of one's own, checked; hooks; gradients of samples by torch.func; a Hessian; checkpoints."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Function, Variable, gradcheck
from torch.autograd.functional import hessian, jacobian
from torch.func import functional_call, grad, jacrev, jvp, stack_module_state, vmap
from torch.utils.checkpoint import checkpoint


class LinearFunction(Function):
    @staticmethod
    def forward(ctx, input, weight, bias=None):
        ctx.save_for_backward(input, weight, bias)
        output = input.mm(weight.t())
        if bias is not None:
            output += bias.unsqueeze(0).expand_as(output)
        return output

    @staticmethod
    def backward(ctx, grad_output):
        input, weight, bias = ctx.saved_tensors
        grad_input = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            grad_input = grad_output.mm(weight)
        if ctx.needs_input_grad[1]:
            grad_weight = grad_output.t().mm(input)
        if bias is not None and ctx.needs_input_grad[2]:
            grad_bias = grad_output.sum(0)
        return grad_input, grad_weight, grad_bias


class MyReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        ctx.mark_non_differentiable()
        return input.clamp(min=0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        grad_input = grad_output.clone()
        grad_input[input < 0] = 0
        return grad_input


class RoundSTE(Function):
    @staticmethod
    def forward(x):
        return x.round()

    @staticmethod
    def setup_context(ctx, inputs, output):
        (ctx.shape,) = (inputs[0].shape,)

    @staticmethod
    def backward(ctx, grad_output):
        assert grad_output.shape == ctx.shape
        return grad_output


torch.manual_seed(0)
linear = LinearFunction.apply
double = [
    torch.randn(*shape, dtype=torch.double, requires_grad=True) for shape in ((4, 3), (2, 3), (2,))
]
assert gradcheck(linear, tuple(double), eps=1e-6, atol=1e-4)
x = Variable(torch.randn(5), requires_grad=True)
MyReLU.apply(RoundSTE.apply(x * 3)).sum().backward()
assert torch.equal(x.grad, 3.0 * ((x * 3).round() >= 0).float())

seen = []
h = x.register_hook(lambda g: g * 2)
y = (x**2).sum()
y.backward(retain_graph=True)
h.remove()
z = torch.randn(3, requires_grad=True)
mid = z.exp()
mid.retain_grad()
mid.register_hook(lambda g: seen.append(g.shape))
mid.sum().backward()
assert torch.allclose(mid.grad, torch.ones(3)) and seen == [torch.Size([3])]

net = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
params = {k: v.detach() for k, v in net.named_parameters()}
buffers = {k: v.detach() for k, v in net.named_buffers()}
data, targets = torch.randn(6, 3), torch.randint(0, 2, (6,))


def compute_loss(params, buffers, sample, target):
    predictions = functional_call(net, (params, buffers), (sample.unsqueeze(0),))
    return F.cross_entropy(predictions, target.unsqueeze(0))


per_sample = vmap(grad(compute_loss), in_dims=(None, None, 0, 0))(params, buffers, data, targets)
F.cross_entropy(net(data), targets).backward()
for name, p in net.named_parameters():
    assert torch.allclose(per_sample[name].mean(0), p.grad, atol=1e-6), name
models = [nn.Linear(3, 2) for _ in range(4)]
stacked, stacked_buffers = stack_module_state(models)
base = nn.Linear(3, 2).to("meta") if hasattr(torch, "empty_meta") else nn.Linear(3, 2)
out = vmap(lambda p, b, d: functional_call(base, (p, b), (d,)), in_dims=(0, 0, None))(
    stacked, stacked_buffers, data
)
torch.testing.assert_close(out[2], models[2](data))
assert jacrev(torch.sin)(torch.ones(3)).shape == (3, 3)
value, tangent = jvp(torch.cos, (torch.zeros(2),), (torch.ones(2),))
assert jacobian(lambda v: v**2, torch.ones(3)).diagonal().tolist() == [2, 2, 2]
assert hessian(lambda v: (v**3).sum(), torch.ones(2)).tolist() == [[6, 0], [0, 6]]
inputs = torch.randn(2, 3, requires_grad=True)
checkpoint(net, inputs, use_reentrant=False).sum().backward()
(g,) = torch.autograd.grad(net(inputs).pow(2).sum(), inputs, create_graph=True)
penalty = ((g.norm(2, dim=1) - 1) ** 2).mean()
penalty.backward()
with torch.autograd.set_detect_anomaly(False), torch.set_grad_enabled(True):
    assert torch.is_grad_enabled() and (inputs * 2).grad_fn is not None
print("ok", penalty.item())
