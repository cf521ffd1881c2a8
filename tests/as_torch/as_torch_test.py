"""``python -m grad.as_torch``: PyTorch programs as they are."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HEAD = """
import sys

import torch
import torch.backends.cudnn as cudnn
import torch.nn as nn
import torch.nn.functional as F
from torch.distributed import destroy_process_group, init_process_group
from torch.nn import Linear, NotThere
from torch.nn.modules.linear import Linear as SameLinear
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset
"""


def run(
    directory: Path, body: str, *arguments: str, head: str = HEAD
) -> subprocess.CompletedProcess[str]:
    script = directory / "script.py"
    script.write_text(head + textwrap.dedent(body))
    command = [sys.executable, "-m", "grad.as_torch", str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def printed(directory: Path, body: str, *arguments: str, head: str = HEAD) -> list[str]:
    found = run(directory, body, *arguments, head=head)
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines()


def test_a_program_trains(tmp_path: Path) -> None:
    body = """
    cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = nn.Sequential(Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    scheduler = StepLR(optimizer, 50)
    step = torch.compile(model)
    x = torch.randn(64, 3)
    for epoch in range(60):
        for (part,) in DataLoader(TensorDataset(x), batch_size=16):
            loss = F.mse_loss(step(part), part.sum(1, keepdim=True))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scheduler.step()
    print(sys.argv[1:], device, loss.item() < 0.1)
    print(isinstance(model, nn.Module), isinstance(model, DistributedDataParallel))
    print(torch.nn.functional is F, Linear is SameLinear, cudnn.benchmark)
    """
    first, second, third = printed(tmp_path, body, "a", "--lr=1")
    assert first == "['a', '--lr=1'] cpu True"
    assert second == "True False"
    assert third == "True True True"


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (
            "init_process_group('gloo')",
            "NotImplementedError: micrograd has no torch.distributed.init",
        ),
        ("torch.fft.rfft", "AttributeError: micrograd has no torch.fft.rfft (there are no complex"),
        ("NotThere(3)", "NotImplementedError: micrograd has no torch.nn.NotThere; docs/"),
        ("NotThere.name", "AttributeError: micrograd has no torch.nn.NotThere.name"),
        ("torch.not_there", "AttributeError: micrograd has no torch.not_there; docs/"),
        ("class Own(NotThere): pass", "NotImplementedError: micrograd has no torch.nn.NotThere"),
        ("import torch.not_there", "ModuleNotFoundError: No module named 'torch.not_there'"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_what_is_missing_raises_where_it_is_used(tmp_path: Path, use: str, error: str) -> None:
    found = run(tmp_path, f"\nprint('so far')\n{use}\n")
    assert found.stdout == "so far\n" and found.returncode == 1
    assert error in found.stderr
    assert use in found.stderr  # the program's own line


def test_programs_can_ask_what_there_is(tmp_path: Path) -> None:
    body = """
    print(hasattr(torch, "not_there"), hasattr(torch, "relu"), hasattr(NotThere, "x"))
    print(torch.distributed.is_available(), torch.backends.mps.is_available())
    print(torch.cuda.device_count(), torch.__version__.split("+")[0], torch.version.cuda)
    try:
        import torch._dynamo.nothing
    except ImportError:
        print("no")
    else:
        print("yes")
    """
    assert printed(tmp_path, body) == ["False True False", "False False", "0 2.13.0 None", "yes"]


def test_mixed_precision_by_the_names_that_have_the_device_in_them(tmp_path: Path) -> None:
    body = """
    from torch.cuda.amp import GradScaler, autocast, custom_fwd
    x = torch.ones(2, 2)
    with autocast():
        print((x @ x).dtype)  # of another device: nothing changes
    with torch.cpu.amp.autocast():
        print((x @ x).dtype)
    with torch.cpu.amp.autocast(False):
        print((x @ x).dtype)
    print(GradScaler(init_scale=4.0).get_scale(), callable(custom_fwd(lambda ctx: ctx)))
    try:
        x.cuda()
    except RuntimeError as error:
        print(error)
    """
    found = printed(tmp_path, body)
    assert found[:3] == ["grad.float32", "grad.bfloat16", "grad.float32"]
    assert found[3] == "4.0 True" and found[4].startswith("there is no device 'cuda:0'")


def test_distributions_have_pytorchs_modules(tmp_path: Path) -> None:
    body = """
    from torch.distributions import Categorical, constraints
    from torch.distributions.chi2 import Chi2
    from torch.distributions.half_normal import HalfNormal
    from torch.distributions.kl import kl_divergence
    from torch.distributions.studentT import StudentT
    from torch.testing import assert_close
    assert_close(kl_divergence(HalfNormal(1.0), HalfNormal(1.0)), torch.tensor(0.0))
    print(Categorical(torch.ones(3)).sample((2,)).shape, torch.distributions.Normal(0.0, 1.0))
    """
    expected = ["torch.Size([2]) Normal(loc: 0.0, scale: 1.0)"]
    assert printed(tmp_path, body, head="import torch\n") == expected


def test_modules_beside_the_script_are_found_and_served_too(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("import torch\n\nzeros = torch.zeros(2)\n")
    body = "import beside\nimport grad\nprint(isinstance(beside.zeros, grad.Tensor))\n"
    assert printed(tmp_path, body, head="") == ["True"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "grad.as_torch", str(tmp_path / "none.py")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 2 and "there is no file" in found.stderr


def test_pytorch_that_was_imported_is_not_replaced() -> None:
    code = (
        "import sys, types; sys.modules['torch'] = types.ModuleType('torch'); "
        "from grad.as_torch import install; install()"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "PyTorch has been imported" in found.stderr


def test_functions_with_the_name_of_a_module_stay_functions(tmp_path: Path) -> None:
    body = """
    import torch.nn.utils.spectral_norm
    import torch.utils.checkpoint
    from torch.nn.utils.weight_norm import WeightNorm

    layer = nn.utils.weight_norm(nn.utils.spectral_norm(nn.Linear(2, 2)), "bias")
    print(sorted(layer.state_dict()), WeightNorm.__name__, torch.utils.checkpoint.__name__)
    print(torch.nn.utils.spectral_norm is nn.utils.spectral_norm)
    """
    names, same = printed(tmp_path, body, head="import torch\nimport torch.nn as nn\n")
    assert "'weight_u'" in names and names.endswith("WeightNorm torch.utils.checkpoint")
    assert same == "True"


def test_old_programs(tmp_path: Path) -> None:
    body = """
    from torch.nn.modules.batchnorm import _BatchNorm
    from torch.nn.modules.loss import _WeightedLoss

    class Focal(_WeightedLoss):
        def forward(self, x, y):
            return F.nll_loss(F.log_softmax(x, -1), y, self.weight, reduction=self.reduction)

    torch.set_default_tensor_type("torch.DoubleTensor")
    print(torch.ones(1).dtype, torch.ones(1).type(torch.LongTensor).dtype)
    torch.set_default_tensor_type(torch.FloatTensor)
    print(torch.Tensor(2, 3).shape, torch.FloatTensor(torch.ones(2, 1).size()).shape)
    print(Focal(torch.ones(3))(torch.zeros(1, 3), torch.tensor([1])))
    print(isinstance(nn.BatchNorm2d(1), _BatchNorm), isinstance(nn.Conv2d(1, 1, 1), _BatchNorm))
    print(isinstance(nn.Conv1d(1, 1, 1), nn.modules.conv._ConvNd))
    """
    types, shapes, loss, norms, filters = printed(tmp_path, body)
    assert types.split() == ["grad.float64", "grad.int64"]
    assert shapes == "torch.Size([2, 3]) torch.Size([2, 1])" and loss == "tensor(1.0986)"
    assert norms == "True False" and filters == "True"
