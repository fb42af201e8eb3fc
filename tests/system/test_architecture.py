"""Rules of the source tree: which folder may import which, sizes of files, cost of the import."""

import ast
import importlib
import pathlib
import re
import subprocess
import sys

import pytest

import fastdrop

PACKAGE = pathlib.Path(fastdrop.__file__).parent
CORE = PACKAGE.parent / "csrc"

# Which part of the package may import which. A part is a folder or a file in fastdrop/.
LOWEST = {"_core", "_utils"}
ARRAYS = {*LOWEST, "runtime", "schedules", "kernels", "random"}
TENSORS = {*ARRAYS, "autograd", "functional"}
NETWORKS = {*TENSORS, "nn", "models", "optim"}
EVERYTHING_BELOW_TRAIN = {*NETWORKS, "data", "io", "inspection", "uncertainty", "predictor"}
EVERYTHING_BELOW_CLI = {*EVERYTHING_BELOW_TRAIN, "train"}
MAY_IMPORT = {
    "_core": set(),
    "_utils": set(),
    "runtime": LOWEST,
    "schedules": LOWEST,
    "kernels": LOWEST,
    "random": {*LOWEST, "kernels"},
    "data": {"_utils", "random", "kernels"},
    "autograd": {*LOWEST, "random", "kernels"},
    "functional": {*LOWEST, "random", "kernels", "autograd"},
    "optim": {*LOWEST, "autograd", "nn"},
    "nn": {*TENSORS} - {"_core", "runtime"},
    "models": {*TENSORS, "nn"} - {"_core", "runtime"},
    "io": {*TENSORS, "nn", "models"} - {"_core", "runtime"},
    "inspection": {*NETWORKS} - {"_core"},
    "uncertainty": {*NETWORKS} - {"_core"},
    "predictor": {*NETWORKS, "io", "data", "uncertainty"} - {"_core"},
    "train": EVERYTHING_BELOW_TRAIN - {"_core"},
    "bench": EVERYTHING_BELOW_TRAIN,
    "linalg": {"functional"},
    "loop": {"train"},
    "cli": {*EVERYTHING_BELOW_CLI, "bench"} - {"_core"},
    "sklearn": EVERYTHING_BELOW_CLI - {"_core"},
    "__main__": {"cli"},
}


def modules():
    """All Python files of the package except fastdrop/__init__.py."""
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def part_of(path):
    """The folder or file in fastdrop/ that contains `path`."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def dotted(path):
    """The name of the module, as in fastdrop.nn.linear."""
    name = ".".join(("fastdrop", *path.relative_to(PACKAGE).with_suffix("").parts))
    return name.removesuffix(".__init__")


NAMES = {dotted(path) for path in modules()}


def imports(path):
    """(module, imported name or None, whether it runs on import) of each import of fastdrop.

    Imports in functions and under `if TYPE_CHECKING:` do not run when the file is imported.
    """
    tree = ast.parse(path.read_text())
    functions = [
        n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    for_types = [
        n
        for n in ast.walk(tree)
        if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"
    ]
    inside = {id(node) for part in (*functions, *for_types) for node in ast.walk(part)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found = [(node.module, alias.name) for alias in node.names]
        else:
            continue
        for module, name in found:
            if module.split(".")[0] == "fastdrop":
                if f"{module}.{name}" in NAMES:  # from fastdrop.kernels import masks
                    module, name = f"{module}.{name}", None
                yield module, name, id(node) not in inside


def test_every_part_has_a_rule():
    assert {part_of(path) for path in modules()} == set(MAY_IMPORT)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_imports_only_what_its_folder_may(path):
    own = part_of(path)
    for module, name, _ in imports(path):
        if module == "fastdrop":
            assert own in ("cli", "bench", "sklearn", "__main__"), (
                f"{path} imports {name} from fastdrop/__init__.py"
            )
            continue
        part = module.split(".")[1]
        assert part == own or part in MAY_IMPORT[own], f"{own} may not import {module}"
        if part != own:
            private = [
                word
                for word in (*module.split(".")[2:], name or "")
                if word.startswith("_") and not word.startswith("__")
            ]
            assert not private, f"{private} of {module} is private to its folder"


@pytest.mark.parametrize("folder", sorted({part_of(path) for path in modules()}))
def test_no_circles_inside_a_folder(folder):
    files = {dotted(path): path for path in modules() if part_of(path) == folder}
    graph = {}
    for own, path in files.items():
        if path.name == "__init__.py":  # it re-exports names of the folder
            continue
        graph[own] = {
            module for module, _, top in imports(path) if top and module in files and module != own
        }
        packages = {m for m in graph[own] if files[m].name == "__init__.py"}
        above = {m for m in packages if own.startswith(f"{m}.")}
        assert not above, f"{own} imports its own package {above}, which imports it"
        graph[own] -= packages
    done = set()
    while len(done) < len(graph):
        free = [
            name
            for name, below in graph.items()
            if name not in done and not (below & graph.keys()) - done
        ]
        assert free, f"circular imports among {sorted(graph.keys() - done)}"
        done.update(free)


def test_at_most_10_modules_beside_the_folders():
    assert len([path for path in PACKAGE.iterdir() if path.suffix == ".py"]) <= 10


def source_files():
    """Python and C files of the repository, as far as they are here."""
    top = PACKAGE.parent
    folders = [top / name for name in ("fastdrop", "csrc", "tests", "benchmarks", "docs")]
    files = [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in SUFFIXES and path.name != "binding.c"
    ]
    return [path for path in files if "_build" not in path.parts] + [
        path for path in [top / "setup.py"] if path.is_file()
    ]


SUFFIXES = {".py", ".pyi", ".pyx", ".pxd", ".pxi", ".c", ".h", ".inc"}


def test_no_long_lines_and_files():
    for path in source_files():
        lines = path.read_text().splitlines()
        assert len(lines) <= 500, f"{path} has {len(lines)} lines"
        wide = [i for i, line in enumerate(lines, 1) if len(line) > 100]
        assert not wide, f"{path}: lines {wide[:10]} are longer than 100 columns"


# Which folder of csrc may include which.
C_MAY_INCLUDE = {
    "base": set(),
    "simd": {"base"},
    "kernels": {"base"},
    "isa": {"base", "simd", "kernels"},
    "include": {"base"},
    "runtime": {"base", "kernels", "include"},
    "product": {"base", "kernels", "include", "runtime"},
    "ops": {"base", "kernels", "include", "runtime", "product"},
}


@pytest.mark.skipif(not CORE.is_dir(), reason="the C sources are not here")
def test_c_files_include_only_what_their_folder_may():
    seen = 0
    for path in [p for p in CORE.rglob("*") if p.suffix in {".c", ".h", ".inc"}]:
        own = path.relative_to(CORE).parts[0]
        text = path.read_text()
        for name in re.findall(r'#include "([^"]+)"', text):
            part = name.split("/")[0] if "/" in name else "include"
            assert part == own or part in C_MAY_INCLUDE[own], (
                f"{path.relative_to(CORE)} includes {name}"
            )
            seen += 1
        if own in ("product", "ops"):
            assert "immintrin" not in text, f"{path.name}: intrinsics are allowed in simd/ only"
    assert seen > 20


def test_import_loads_only_what_it_needs():
    code = "import sys, fastdrop; print(' '.join(sys.modules))"
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert not loaded & {
        "sklearn",
        "matplotlib",
        "torch",
        "tqdm",
        "threadpoolctl",
        "scipy",
        "pandas",
        "safetensors",
    }
    parts = {name.split(".")[1] for name in loaded if name.startswith("fastdrop.")}
    assert parts == {"_core", "_utils", "runtime", "random", "kernels", "autograd", "functional"}


def test_public_functions_and_classes_have_docstrings():
    from fastdrop import functional, io, nn, optim, train

    for module in (
        fastdrop.kernels,
        functional,
        nn,
        optim,
        optim.lr_scheduler,
        nn.init,
        nn.utils,
        io,
        train,
    ):
        names = getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")])
        for name in names:
            value = getattr(module, name)
            if callable(value) and getattr(value, "__module__", "").startswith("fastdrop"):
                assert (value.__doc__ or "").strip(), f"{module.__name__}.{name}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_and_the_names_in_all_have_docstrings(path):
    """Each module has a docstring. The names in its __all__ exist and have docstrings."""
    name = ".".join(("fastdrop", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
        ".__init__"
    )
    if name.endswith("__main__"):
        return
    module = importlib.import_module(name)
    assert (module.__doc__ or "").strip()
    listed = getattr(module, "__all__", [])
    assert len(set(listed)) == len(listed)
    for word in listed:
        value = getattr(module, word)
        if callable(value):
            assert (value.__doc__ or "").strip(), f"{name}.{word}"


BINDING = PACKAGE / "_core" / "binding.pyx"


@pytest.mark.skipif(not BINDING.is_file(), reason="the source of the binding is not here")
def test_the_binding_imports_nothing_of_fastdrop():
    """It may cimport its own C declarations only."""
    files = [*BINDING.parent.glob("*.px[di]"), BINDING]
    text = "\n".join(path.read_text() for path in files)
    ours = re.findall(r"^[ \t]*(?:c?import|from)\s+(?:fastdrop|\.).*$", text, re.M)
    assert len(files) > 10
    assert all(
        re.match(r"from fastdrop\._core\.fastdrop(_maps|_sequences|_thinned)? cimport ", line)
        for line in ours
    )


def test_lazy_names_resolve():
    for name in dir(fastdrop):
        getattr(fastdrop, name)
    with pytest.raises(AttributeError, match="nothing"):
        fastdrop.nothing  # noqa: B018
