"""Change one thing in a source file, run the tests that should see it, and list the changes that none of them saw.

    cp -a . /tmp/copy && OMP_NUM_THREADS=1 PYTHONPATH=/tmp/copy/src python scripts/mutate.py /tmp/copy \\
        --share 0.2 --out mutants.json losses/triplet.py=tests/losses/test_triplet.py,tests/losses/test_soft.py

Files are below src/resight, tests below the copy, which is written to: it must not be the tree that you work in. Torch
and the like are imported once and each change is tried in a fork. `--only N` tries the one numbered N, to look at it;
words after a `:` deselect tests, `tests/test_x.py:kill:processes`. Changes of messages, types and logs are not made.
"""

from __future__ import annotations

import argparse
import ast
import copy
import gc
import importlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

HEAVY = ("torch", "torch._dynamo", "torchvision", "timm", "numba", "faiss", "sklearn.cluster", "scipy.sparse", "hypothesis.strategies",
         "pytest", "jsonargparse", "rich", "safetensors.torch", "PIL.Image", "matplotlib.figure", "lightning_fabric")  # fmt: skip
QUICK = ["-x", "-q", "--assert=plain", "-p", "_hypothesis_pytestplugin", "-p", "no:cacheprovider",
         "-p", "no:unraisableexception", "-p", "no:threadexception"]  # fmt: skip
COMPARE = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
           ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In}  # fmt: skip
OPERATE = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
           ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.And: ast.Or,
           ast.Or: ast.And}  # fmt: skip
RENAME = {
    "max": "min",
    "amax": "amin",
    "argmax": "argmin",
    "sum": "mean",
    "floor": "ceil",
    "any": "all",
    "zeros": "ones",
}
RENAME |= {other: name for name, other in RENAME.items()}
LOGS = ("logger", "warnings", "progress")


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """Give each way to change this node alone: what is to stand in its place."""

    def altered(**fields: object) -> ast.AST:
        other = copy.copy(node)
        for name, value in fields.items():
            setattr(other, name, value)
        return other

    match node:
        case ast.Compare(ops=ops):
            yield from (altered(ops=[*ops[:i], COMPARE[type(op)](), *ops[i + 1 :]]) for i, op in enumerate(ops))
        case ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.BoolOp(op=op) if type(op) in OPERATE:
            yield altered(op=OPERATE[type(op)]())
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.Constant(value=bool(value)):
            yield altered(value=not value)
        case ast.Constant(value=int(value)):
            yield altered(value=value + 1)
        case ast.Constant(value=float(value)):
            yield altered(value=2 * value or 1.0)
        case ast.If(test=test) | ast.IfExp(test=test):
            yield altered(test=ast.UnaryOp(ast.Not(), test))
        case ast.comprehension(ifs=[_, *_]):
            yield altered(ifs=[])
        case ast.With(items=items, body=body) if "torch" in ast.unparse(items[0]) or "autocast" in ast.unparse(items):
            yield ast.If(ast.Constant(1), body, [])
        case ast.FunctionDef(decorator_list=[ast.Call(), *rest]):
            yield altered(decorator_list=rest)
    match node:
        case ast.Expr(value=ast.Call()) | ast.AugAssign():
            yield ast.Pass()
        case ast.Call(func=func, args=args, keywords=keywords):
            yield from (
                altered(keywords=[k for k in keywords if k is not one]) for one in keywords if one.arg != "device"
            )
            if len(args) > 1 and ast.dump(args[0]) != ast.dump(args[1]):
                yield altered(args=[args[1], args[0], *args[2:]])
            name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
            if name in RENAME:
                other = copy.copy(func)
                setattr(other, "attr" if isinstance(func, ast.Attribute) else "id", RENAME[name])
                yield altered(func=other)
            if isinstance(func, ast.Attribute) and name in ("detach", "clone", "float", "train", "eval", "copy"):
                yield func.value


def walk(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Give every node whose change could be seen, with its parent, field and place there."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "type_params"):
            continue
        for place, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or isinstance(child, (ast.Raise, ast.JoinedStr, ast.Assert)):
                continue
            if isinstance(child, (ast.Expr, ast.Call)) and ast.unparse(child).startswith(LOGS):
                continue
            yield node, field, place, child
            yield from walk(child)


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """Give (line, what became what, the whole changed source) of every change."""
    tree = ast.parse(source)
    for parent, field, place, node in walk(tree):
        for other in changes(node):
            holder = getattr(parent, field)
            for value in (other, node):  # there and back
                if place is None:
                    setattr(parent, field, value)
                else:
                    holder[place] = value
                if value is other:
                    text = ast.unparse(ast.fix_missing_locations(tree))
            before, after = (ast.unparse(each).splitlines() or [""] for each in (node, other))
            first = next((i for i, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), 0)
            yield getattr(node, "lineno", 0), f"{before[first].strip()}  ->  {after[first].strip()}", text


def run(tests: list[str], limit: float) -> str:
    """Run tests in a fork; give killed, survived or slow."""
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1), os.dup2(quiet, 2)
        import hypothesis
        import pytest

        phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]  # nobody reads the smallest example
        hypothesis.settings.register_profile("once", deadline=None, database=None, phases=phases)
        paths = [test.split(":")[0] for test in tests]
        words = [word for test in tests for word in test.split(":")[1:]]
        chosen = ["-k", "not (" + " or ".join(words) + ")"] if words else []
        os._exit(int(pytest.main([*QUICK, "--hypothesis-profile=once", "-m", "not slow and not gpu", *paths, *chosen])))
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return "survived" if os.waitstatus_to_exitcode(status) == 0 else "killed"
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "slow"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("pairs", nargs="+", metavar="FILE=TEST,TEST")
    parser.add_argument("--share", type=float, default=1.0, help="of a file's changes, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for one change")
    parser.add_argument("--only", type=int, nargs="*")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    for name in HEAVY:
        importlib.import_module(name)
    gc.freeze()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # what was changed is put back
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    out = options.out.resolve()
    os.chdir(options.tree)
    kept = json.loads(out.read_text()) if out.is_file() else {}
    for pair in options.pairs:
        name, tests = pair.split("=")
        path = Path("src/resight") / name
        source, stamp = path.read_text(), path.stat()
        found = dict(enumerate(mutants(source)))
        drawn = sorted(random.Random(options.seed).sample(sorted(found), max(1, round(options.share * len(found)))))
        start = time.monotonic()
        assert run(tests.split(","), 600) == "survived", f"{tests} fail as they are"
        print(f"{name}: {len(drawn)} of {len(found)}, tests {time.monotonic() - start:.1f} s", flush=True)
        result = {"possible": len(found), "tried": 0, "killed": 0, "survived": []}
        for number in options.only or drawn:
            line, what, text = found[number]
            for cached in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
                cached.unlink()
            try:
                path.write_text(text)
                verdict = run(tests.split(","), options.limit)
            finally:
                path.write_text(source)
                os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
            result["tried"] += 1
            result["killed"] += verdict != "survived"
            if verdict == "survived":
                result["survived"].append({"number": number, "line": line, "change": what})
                print(f"  {name}:{line} #{number} {what}", flush=True)
        kept[name] = result
        out.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
        print(f"{name}: {result['killed']} of {result['tried']} seen, {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
