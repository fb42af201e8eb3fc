"""The house: each file uses the floors below its own, and importing fastdrop loads no more than it needs."""

import ast
import importlib
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

import fastdrop

PACKAGE = pathlib.Path(fastdrop.__file__).parent
CORE = PACKAGE.parent / "csrc"
FLOORS = {
    "_distribution": 5, "_core": 5,
    "_arrays": 6, "_buffers": 6, "_files": 6, "random": 6, "runtime": 6, "safetensors": 6, "schedules": 6,
    "kernels": 7, "tensor": 7, "thin": 7, "fused": 7, "arithmetic": 7,
    "functional": 8, "stochastic": 8, "connect": 8, "learned": 8, "tokens": 8,
    "nn": 9,
    "optim": 10, "dataset": 10, "data": 10, "models": 10, "io": 10, "checkpoint": 10, "evaluation": 10, "preparation": 10,
    "streams": 10, "records": 10, "npy": 10, "archives": 10, "columns": 10, "tables": 10, "answers": 10,
    "reliability": 10, "intervals": 10, "temperature": 10, "tuning": 10,
    "pictures": 10, "rates": 10, "diagnosis": 10, "batchnorm": 10,
    "report": 10, "progress": 10, "prediction": 10, "mc": 10, "loop": 10, "train": 10, "bench": 10, "bench_cases": 10,
    "sklearn": 11, "cli": 11, "cli_train": 11, "cli_task": 11, "cli_predict": 11, "__main__": 11,
}


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE)


def part_of(path):
    """The name in FLOORS: the file, or the folder that it stands in."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


@pytest.mark.skipif(not (PACKAGE.parent / "pyproject.toml").is_file(), reason="pyproject.toml is not here")
def test_every_folder_is_installed():
    listed = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(".".join(path.parent.relative_to(PACKAGE.parent).parts) for path in PACKAGE.rglob("__init__.py"))


def imports(path):
    """(name in FLOORS, whether at the top of the module) of every import of fastdrop's own modules."""
    tree = ast.parse(path.read_text())
    inside = {id(node) for function in ast.walk(tree) if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "fastdrop" else [node.module]
        else:
            continue
        for name in names:
            if name.startswith("fastdrop."):
                yield name.split(".")[1], id(node) not in inside


def test_every_file_has_a_floor():
    assert {part_of(path) for path in modules()} | {"_core"} == set(FLOORS)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_file_looks_upwards(path):
    own = FLOORS[part_of(path)]
    for name, _ in imports(path):
        assert FLOORS.get(name, 0) <= own, f"{path.name} (floor {own}) uses {name} (floor {FLOORS[name]})"


def test_there_are_no_circles():
    graph = {}
    for path in modules():
        if part_of(path) != "nn":
            graph.setdefault(part_of(path), set()).update(name for name, top in imports(path) if top and name in FLOORS and name != part_of(path))
    done = set()
    while len(done) < len(graph):
        free = [name for name, below in graph.items() if name not in done and not (below & graph.keys()) - done]
        assert free, f"circular imports among {sorted(graph.keys() - done)}"
        done.update(free)


C_FLOORS = {
    "fd_common.h": 0, "simd": 0, "kernels": 1, "isa.inc": 2, "isa_": 2, "dispatch": 2, "parallel": 2,
    "elementwise.c": 3, "masks.c": 3, "pieces": 3, "gemm.c": 3, "gemm.h": 3, "thin.c": 3, "panels": 3, "shared.c": 3, "dropblock.c": 3,
    "connect.c": 3, "sparse.c": 3, "updates.c": 3,
    "fastdrop.h": 4,
}


@pytest.mark.skipif(not CORE.is_dir(), reason="the C sources are not here")
def test_c_files_look_downwards():
    def floor(name):
        return next(number for key, number in C_FLOORS.items() if name.startswith(key))

    seen = 0
    for path in [p for p in CORE.rglob("*") if p.is_file()]:
        own = path.relative_to(CORE).as_posix()
        for name in re.findall(r'#include "([^"]+)"', path.read_text()):
            target = (path.parent / name).resolve().relative_to(CORE.resolve()).as_posix()
            seen += 1
            if target == "fastdrop.h":
                assert floor(own) >= 2, f"{own} includes the public header"  # drivers, and what implements the runtime part of it
            else:
                assert floor(target) <= floor(own), f"{own} includes {target}"
            if floor(own) == 3:
                assert "immintrin" not in path.read_text(), f"{own} is a driver: no intrinsics"
    assert seen > 20


def test_import_loads_no_more_than_it_needs():
    code = "import sys, fastdrop; print(' '.join(sys.modules))"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & {"sklearn", "matplotlib", "torch", "tqdm", "threadpoolctl", "scipy", "pandas", "safetensors"}
    assert {name for name in loaded if name.count(".") == 1 and name.startswith("fastdrop.")} == {f"fastdrop.{name}" for name, floor in FLOORS.items()
                                                                          if floor <= 7 and name not in ("_files", "safetensors", "schedules")}


def test_public_things_are_documented():
    from fastdrop import functional, io, nn, optim, train

    for module in (fastdrop.kernels, functional, nn, optim, optim.lr_scheduler, nn.init, nn.utils, io, train):
        names = getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")])
        for name in names:
            thing = getattr(module, name)
            if callable(thing) and getattr(thing, "__module__", "").startswith("fastdrop"):
                assert (thing.__doc__ or "").strip(), f"{module.__name__}.{name}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_what_a_module_offers(path):
    """Every module says what it is, and __all__ names what is there and documented."""
    name = ".".join(("fastdrop", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    if name.endswith("__main__"):
        return
    module = importlib.import_module(name)
    assert (module.__doc__ or "").strip()
    offered = getattr(module, "__all__", [])
    assert len(set(offered)) == len(offered)
    for word in offered:
        thing = getattr(module, word)
        if callable(thing):
            assert (thing.__doc__ or "").strip(), f"{name}.{word}"


@pytest.mark.skipif(not (PACKAGE / "_core.pyx").is_file(), reason="the core's source is not here")
def test_the_core_imports_nothing_of_the_house():
    text = (PACKAGE / "_core.pyx").read_text()
    assert not re.findall(r"^\s*(?:c?import|from)\s+(?:fastdrop|\.)", text, re.M) and "import numpy" in text


def test_lazy_names_resolve():
    for name in dir(fastdrop):
        getattr(fastdrop, name)
    with pytest.raises(AttributeError, match="nothing"):
        fastdrop.nothing  # noqa: B018
