"""Change one thing in a source file, run the tests that should see it, and list the changes that none of them saw.

    cp -a . /tmp/copy && cd /tmp/copy && export OMP_NUM_THREADS=1 PYTHONPATH=src
    python scripts/mutate.py --share 0.2 --out mutants.json losses/triplet.py=tests/losses/test_triplet.py

Files are below src/resight and tests below the working directory, which is written to: never run it in the tree that
you work in. Give several tests with commas between them; words after a colon deselect some of a file, as in
tests/methods/test_contract.py:kill:processes. Torch and the like are imported once and each change is tried in a fork;
NUMBA_DISABLE_JIT=1 saves the compilation of loops. Changes of messages, types and logs are not made.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
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
from typing import Any

import hypothesis
import pytest

HEAVY = "torch torch._dynamo torchvision timm numba faiss sklearn.cluster hypothesis.strategies rich"
QUICK = "-x -q --assert=plain --hypothesis-profile=once -p _hypothesis_pytestplugin "
QUICK += "-p no:cacheprovider -p no:unraisableexception -p no:threadexception"
OTHER = "Lt LtE, Gt GtE, Eq NotEq, Is IsNot, In NotIn, Add Sub, Mult Div, BitAnd BitOr, And Or, max min, amax amin, "
OTHER += "argmax argmin, sum mean, floor ceil, any all, zeros ones"
OTHER = {a: b for pair in OTHER.split(", ") for one, two in [pair.split()] for a, b in ((one, two), (two, one))}
DROPPED = ("detach", "clone", "float", "train", "eval", "copy")
UNSEEN = ("device", "strict")  # what these say changes nothing here
EITHER = ("min", "max", "minimum", "maximum", "logaddexp", "isinstance")  # two values may change places


def changes(node: Any) -> Iterator[ast.AST]:
    """Give each way to change this node alone: what is to stand in its place."""

    def altered(**fields: Any) -> ast.AST:
        other = copy.copy(node)
        for name, value in fields.items():
            setattr(other, name, value)
        return other

    match node:
        case ast.Compare(ops=ops):
            others = [getattr(ast, OTHER[type(op).__name__])() for op in ops]
            yield from (altered(ops=[*ops[:i], other, *ops[i + 1 :]]) for i, other in enumerate(others))
        case ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.BoolOp(op=op) if not isinstance(op, ast.MatMult):
            yield altered(op=getattr(ast, OTHER.get(type(op).__name__, "Mult"))())
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
        case ast.With(items=[item, *_], body=body) if "torch" in ast.unparse(item) or "autocast" in ast.unparse(item):
            yield ast.If(ast.Constant(1), body, [])
        case ast.FunctionDef(decorator_list=[ast.Call() as call, *rest]) if "no_grad" in ast.unparse(call):
            yield altered(decorator_list=rest)
        case ast.Call(func=func, args=args, keywords=keywords):
            yield from (altered(keywords=[k for k in keywords if k is not e]) for e in keywords if e.arg not in UNSEEN)
            field = "attr" if isinstance(func, ast.Attribute) else "id"
            name = getattr(func, field, "")
            if len(args) > 1 and ast.dump(args[0]) != ast.dump(args[1]) and name not in EITHER:
                yield altered(args=[args[1], args[0], *args[2:]])
            if name in OTHER:
                named = copy.copy(func)
                setattr(named, field, OTHER[name])
                yield altered(func=named)
            if isinstance(func, ast.Attribute) and name in DROPPED:
                yield func.value
    if isinstance(node, ast.AugAssign) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield ast.Pass()


def walk(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Give every node whose change could be seen, with its parent, field and place there."""
    for field, value in ast.iter_fields(node):
        for place, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            said = isinstance(child, (ast.Expr, ast.Call)) and ast.unparse(child).startswith(("logger", "progress"))
            told = (
                getattr(child, "arg", "") in UNSEEN
                or isinstance(child, (ast.Raise, ast.JoinedStr, ast.Assert))
                or field in ("annotation", "returns")
            )
            if isinstance(child, ast.AST) and not said and not told:
                yield node, field, place, child
                yield from walk(child)


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """Give (line, what became what, the whole changed source) of every change."""
    tree = ast.parse(source)
    for parent, field, place, node in walk(tree):
        holder, key = (vars(parent), field) if place is None else (getattr(parent, field), place)
        for other in changes(node):
            holder[key] = other
            text = ast.unparse(ast.fix_missing_locations(tree))
            holder[key] = node
            lines = [ast.unparse(each).splitlines() or [""] for each in (node, other)]
            one, two = next((pair for pair in zip(*lines, strict=False) if pair[0] != pair[1]), ("", ""))
            yield getattr(node, "lineno", 0), f"{one.strip()}  ->  {two.strip()}", text


def seen(tests: str, limit: float) -> bool:
    """Run tests in a fork: whether one failed, or they took too long."""
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        files = [test.split(":")[0] for test in tests.split(",")]
        words = [word for test in tests.split(",") for word in test.split(":")[1:]]
        chosen = ["-m", "not slow", *(["-k", f"not ({' or '.join(words)})"] if words else [])]
        os._exit(int(pytest.main([*QUICK.split(), *chosen, *files])))
    end = time.monotonic() + limit
    try:
        while time.monotonic() < end:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return status != 0
            time.sleep(0.02)
        return True
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):  # what it has started ends too
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="+", metavar="FILE=TEST,TEST")
    parser.add_argument("--share", type=float, default=1.0, help="of a file's changes, drawn at random")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for one change")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of changes, to try them again")
    parser.add_argument("--out", type=Path, required=True, help="a JSON file, which is added to")
    options = parser.parse_args()
    for name in HEAVY.split():
        importlib.import_module(name)
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)  # nobody reads the smallest example
    hypothesis.settings.register_profile("once", deadline=None, database=None, phases=phases)
    gc.freeze()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # what was changed is put back
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    kept = json.loads(options.out.read_text()) if options.out.is_file() else {}
    for pair in options.pairs:
        name, tests = pair.split("=")
        path = Path("src/resight") / name
        source, stamp = path.read_text(), path.stat()
        found = list(mutants(source))
        drawn = sorted(random.Random(0).sample(range(len(found)), round(options.share * len(found))))
        assert not seen(tests, 900), f"{tests} fail as they are"
        result: dict[str, Any] = {"possible": len(found), "tried": 0, "survived": []}
        for number in options.only or drawn:
            line, what, text = found[number]
            for cached in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
                cached.unlink()
            try:
                path.write_text(text)
                result["tried"] += 1
                if not seen(tests, options.limit):
                    result["survived"].append({"number": number, "line": line, "change": what})
                    print(f"{name}:{line} #{number} {what}", flush=True)
            finally:
                path.write_text(source)
                os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
            kept[name] = result
            options.out.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
        print(f"{name}: {len(result['survived'])} of {result['tried']} unseen, of {len(found)} possible", flush=True)


if __name__ == "__main__":
    main()
