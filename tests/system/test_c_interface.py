"""The public C header, its declarations for Cython, and the types of the binding agree."""

import ast
import ctypes
import inspect
import pathlib
import re
import shutil
import subprocess

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import _core
from fastdrop import kernels as K
from fastdrop._core import binding

INCLUDE = pathlib.Path(fd.get_include())
HEADERS = (
    *("base/types.h", "fastdrop_maps.h", "fastdrop_sequences.h", "fastdrop_thinned.h"),
    "fastdrop.h",
)
SOURCE = pathlib.Path(_core.__file__).parent
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
in_clone = pytest.mark.skipif(
    not (ROOT / "csrc").is_dir(), reason="the C sources are not beside the tests"
)
with_cython_files = pytest.mark.skipif(
    not (SOURCE / "binding.pyx").is_file(), reason="the sources of the binding are not here"
)


def compiler(name):
    """Path of a C or C++ compiler; the test is skipped without one."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} on this machine")
    return found


# ---- the header ----


def test_the_header_and_what_it_includes():
    found = {p.relative_to(INCLUDE).as_posix() for p in INCLUDE.rglob("*") if p.is_file()}
    assert found == set(HEADERS)
    text = "".join((INCLUDE / name).read_text() for name in HEADERS)
    assert set(re.findall(r"#include (\S+)", text)) == {
        '"base/types.h"',
        '"fastdrop_maps.h"',
        '"fastdrop_sequences.h"',
        '"fastdrop_thinned.h"',
        "<stddef.h>",
        "<stdint.h>",
    }


@in_clone
def test_the_package_has_the_headers_of_the_sources():
    """After a change of a header the core must be built again."""
    for name in HEADERS:
        source = ROOT / "csrc" / name if "/" in name else ROOT / "csrc/include" / name
        assert (INCLUDE / name).read_bytes() == source.read_bytes()


@pytest.mark.parametrize(("name", "standard"), [("gcc", "c11"), ("g++", "c++17")])
def test_the_header_compiles_alone(name, standard, tmp_path):
    source = tmp_path / "alone.c"
    source.write_text('#include "fastdrop.h"\n')
    language = ["-x", "c++"] if name == "g++" else []
    flags = [f"-std={standard}", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    done = subprocess.run(
        [compiler(name), *flags, f"-I{INCLUDE}", *language, source], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@in_clone
def test_a_c_program_that_uses_the_header(tmp_path):
    library = tmp_path / "use_header.so"
    source = ROOT / "tests" / "csrc" / "use_header.c"
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(
        [compiler("gcc"), *flags, f"-I{INCLUDE}", source, "-o", library, "-ldl"], check=True
    )
    x = np.arange(1, 601, dtype=np.float32).reshape(6, 100)
    y = np.empty_like(x)
    pointer = ctypes.POINTER(ctypes.c_float)
    status = ctypes.CDLL(str(library)).use_header(
        str(binding.__file__).encode(),
        y.ctypes.data_as(pointer),
        x.ctypes.data_as(pointer),
        ctypes.c_ssize_t(6),
        ctypes.c_ssize_t(100),
        ctypes.c_uint64(12345),
    )
    assert status == 0
    assert np.array_equal(y, K.dropout(x, 0.5, seed=12345))
    assert 0 < np.count_nonzero(y) < y.size


# ---- the declarations for Cython ----


def declared(text):
    """("const float *", "x", "") of a declaration: its type, name and array length."""
    text = " ".join(text.replace("(void)", "()").split())
    text = re.sub(r" (noexcept|nogil)\b", "", text)
    if "(*" in text:  # a pointer to a function
        return text
    match = re.fullmatch(r"(.*?)\s*(\**)\s*(\w+)((?:\[\w*\])*)", text)
    return f"{match[1]} {match[2]}".strip(), match[3], match[4]


def fields(text):
    """The fields of `const float *x, *w`, one by one."""
    first, *others = text.split(",")
    base = re.match(r"(?:const )?\w+", first)[0]
    return [declared(first)] + [declared(f"{base} {other}") for other in others]


def signature(text):
    """(declaration of the result and name, declarations of the parameters)"""
    before, parameters = re.fullmatch(r"(.*?\bfd_\w+)\s*\((.*)\)", " ".join(text.split())).groups()
    # ptrdiff_t is signed and as wide as Py_ssize_t
    found = [declared(p) for p in parameters.split(",") if p.strip() not in ("", "void")]
    return declared(before), found


def of_headers(*names):
    """(structs, functions) of public headers, in order."""
    text = "\n".join((INCLUDE / name).read_text() for name in names)
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
    structs = {
        name: [field for part in body.split(";") if part.strip() for field in fields(part.strip())]
        for body, name in re.findall(r"typedef struct \{(.*?)\}\s*(\w+);", text, re.S)
    }
    found = re.findall(r"^((?:const )?\w+ \*?fd_\w+\([^;]*\));", text, re.M)
    return structs, [signature(function) for function in found]


def of_pxd(name):
    """(structs, functions) of the declarations for Cython, in order."""
    text = (SOURCE / name).read_text()
    text = text[text.index("cdef extern from") :]
    text = re.sub(r",\n\s+(?=(?:const )?\w+ \**\w+[,)])", ", ", text)  # wrapped parameters
    structs, functions, current = {}, [], None
    for line in text.splitlines()[1:]:
        indent = len(line) - len(line.lstrip())
        line = line.strip()
        if line.startswith("ctypedef struct "):
            current = structs.setdefault(line.removeprefix("ctypedef struct ")[:-1], [])
        elif indent == 8 and current is not None:
            current.extend(fields(line))
        elif "fd_" in line and "(" in line:
            current = None
            functions.append(signature(line))
    return structs, functions


@with_cython_files
@pytest.mark.parametrize(
    ("pxd", "headers"),
    [
        ("fastdrop.pxd", ("base/types.h", "fastdrop.h")),
        ("fastdrop_maps.pxd", ("fastdrop_maps.h",)),
        ("fastdrop_sequences.pxd", ("fastdrop_sequences.h",)),
        ("fastdrop_thinned.pxd", ("fastdrop_thinned.h",)),
    ],
)
def test_the_declarations_for_cython_are_those_of_the_header(pxd, headers):
    structs, functions = of_headers(*headers)
    declared_structs, declared_functions = of_pxd(pxd)
    assert len(structs) >= 4
    assert len(functions) >= 3
    assert declared_structs == structs
    assert list(declared_structs) == list(structs)
    assert declared_functions == functions


def test_every_array_call_takes_one_struct():
    """A recorded training step keeps the structs and repeats the calls."""
    structs, functions = of_headers(*HEADERS)
    arguments = {name: parameters for (_, name, _), parameters in functions}
    for name in structs:
        if name.endswith("_args"):
            assert arguments[name.removesuffix("_args")] == [(f"const {name} *", "args", "")]
    assert arguments["fd_gemm"] == [("const fd_product *", "args", "")]
    several = {name for name, parameters in arguments.items() if len(parameters) > 1}
    assert several == {
        "fd_stream_key",
        "fd_panels_length",
        "fd_bf16_panels_length",
        "fd_isa_name",
        "fd_recurrent_workspace",
    }


@with_cython_files
def test_cython_files_are_short():
    paths = [path for path in SOURCE.iterdir() if path.suffix in (".pyx", ".pxd", ".pxi")]
    assert len(paths) > 10
    for path in paths:
        assert len(path.read_text().splitlines()) <= 400, path


# ---- the types of the binding ----


def parameters_of(node):
    """(name, whether it has a default) of each parameter of a function in a .pyi file."""
    names = [argument.arg for argument in node.args.args]
    first = len(names) - len(node.args.defaults)
    return [(name, i >= first) for i, name in enumerate(names)]


def test_the_types_of_the_binding():
    """The stubs have every public name of the binding, and no other, with its parameters."""
    trees = [ast.parse((SOURCE / name).read_text()) for name in ("binding.pyi", "scopes.pyi")]
    typed = {}
    for node in [node for tree in trees for node in tree.body]:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            typed[node.name] = node
        elif isinstance(node, ast.AnnAssign):
            typed[node.target.id] = node
    public = {name for name in vars(binding) if not name.startswith("_")}
    assert {name for name in typed if not name.startswith("_")} == public
    for name in public:
        thing, node = getattr(binding, name), typed[name]
        if isinstance(node, ast.FunctionDef):
            expected = [
                (p.name, p.default is not inspect.Parameter.empty)
                for p in inspect.signature(thing).parameters.values()
            ]
            assert parameters_of(node) == expected, name
            assert node.returns is not None
            assert all(argument.annotation is not None for argument in node.args.args), name
        elif isinstance(node, ast.AnnAssign):
            assert type(thing).__name__ == node.annotation.id, name


def test_the_types_of_the_stream():
    tree = ast.parse((SOURCE / "binding.pyi").read_text())
    node = next(n for n in tree.body if isinstance(n, ast.ClassDef))
    typed = [n.target.id for n in node.body if isinstance(n, ast.AnnAssign)]
    assert node.name == "Stream"
    methods = {n.name for n in node.body if isinstance(n, ast.FunctionDef) and n.name[0] != "_"}
    public = {name for name in vars(_core.Stream) if not name.startswith("_")}
    assert set(typed) | methods == public
    init = next(n for n in node.body if getattr(n, "name", "") == "__init__")
    assert [name for name, _ in parameters_of(init)] == ["self", *typed]


def test_the_package_lists_the_names_of_the_binding():
    public = {name for name in vars(binding) if not name.startswith("_")}
    assert set(_core.__all__) == {"binding", *public}
    assert len(_core.__all__) == len(set(_core.__all__))
