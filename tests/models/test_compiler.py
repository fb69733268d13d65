"""torch's compiler is loaded when it is used, and not before."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import resight.models.backbones
from resight.models.compiler import lazy_compiler
assert "torch._dynamo" not in sys.modules
with lazy_compiler():
    import torch
    marked = torch.compiler.disable(lambda x: x + 1)
    from torch._dynamo.utils import is_compile_supported
assert marked(1) == 2
assert "torch._dynamo" not in sys.modules
assert is_compile_supported("cpu") == torch._dynamo.utils.is_compile_supported("cpu")
assert marked(1) == 2
seen = []
def kept(graph, example):
    seen.append(str(graph.graph))
    return graph.forward
assert torch.compile(lambda x: 2 * marked(x), backend=kept)(torch.ones(2)).tolist() == [4, 4]
assert seen and not any("+ 1" in text or "operator.add" in text for text in seen), seen
with lazy_compiler():
    assert torch._dynamo.utils is sys.modules["torch._dynamo.utils"]
"""


def test_what_timm_marks_stays_marked_and_the_compiler_works() -> None:
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=500)
    assert ran.returncode == 0, ran.stderr
