"""Build fastdrop's C core: one table of kernels an instruction set, chosen at run time.

Each file of kernels has its own compiler flags.
"""

import itertools
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


def target_machine(environ=os.environ):
    """The machine to compile for: "x86_64", "arm64" or another name; "" for several at once.

    A cross build names it in ARCHFLAGS (macOS) or _PYTHON_HOST_PLATFORM (crossenv, cibuildwheel).
    Otherwise the compiler is asked: -dumpmachine prints the machine that its programs run on. The
    machine that runs the build (platform.machine()) is never asked: it may be another one.
    """
    flags = shlex.split(environ.get("ARCHFLAGS", ""))
    archs = {arch for flag, arch in itertools.pairwise(flags) if flag == "-arch"}
    if archs:
        return machine_name(archs.pop()) if len(archs) == 1 else ""
    named = environ.get("_PYTHON_HOST_PLATFORM")
    if named:
        return machine_name(named.rsplit("-", 1)[-1])
    compiler = shlex.split(environ.get("CC") or sysconfig.get_config_var("CC") or "")
    if compiler:
        try:
            triple = subprocess.run(
                [*compiler, "-dumpmachine"], capture_output=True, text=True, timeout=60, check=True
            ).stdout.strip()
        except (OSError, subprocess.SubprocessError):  # not gcc or clang
            triple = ""
        if "-" in triple:
            return machine_name(triple.split("-")[0])
    return machine_name(sysconfig.get_platform().rsplit("-", 1)[-1])


def machine_name(name):
    """One spelling for each machine that has kernels of its own."""
    name = name.lower()
    return {"amd64": "x86_64", "aarch64": "arm64"}.get(name, name)


if sys.platform == "darwin" and sysconfig.get_platform().endswith("universal2"):
    # A universal Python compiles each file for two machines, which instruction-set flags forbid.
    os.environ.setdefault("ARCHFLAGS", f"-arch {platform.machine()}")
MACHINE = target_machine()
ISA_FLAGS = {"scalar": [], "scalar_bf16": []}
# Tables that a compiler may be too old for: a program that tells, and the macro if it compiles.
OPTIONAL_ISAS = {}
if MACHINE == "x86_64":
    ISA_FLAGS["avx2"] = ["-mavx2", "-mfma"]
    ISA_FLAGS["avx512"] = [
        *ISA_FLAGS["avx2"],
        "-mavx512f",
        "-mavx512bw",
        "-mavx512dq",
        "-mavx512vl",
    ]
    ISA_FLAGS["avx512_bf16"] = [*ISA_FLAGS["avx512"], "-mavx512bf16"]
    ISA_FLAGS["amx_bf16"] = [*ISA_FLAGS["avx512_bf16"], "-mamx-tile", "-mamx-bf16"]
    OPTIONAL_ISAS["avx512_bf16"] = (
        "FD_AVX512_BF16",
        "__m512 sum(__m512 c, __m512i a) "
        "{ return _mm512_dpbf16_ps(c, (__m512bh)a, _mm512_cvtne2ps_pbh(c, c)); }",
    )
    OPTIONAL_ISAS["amx_bf16"] = (
        "FD_AMX_BF16",
        "void sum(void *p) { _tile_loadconfig(p); _tile_dpbf16ps(0, 1, 2); _tile_release(); }",
    )
elif MACHINE == "arm64":
    ISA_FLAGS["neon"] = []
MACHINE_MACROS = {"x86_64": [("FD_X86", None)], "arm64": [("FD_ARM64", None)]}.get(MACHINE, [])

# For gcc and clang. Elementwise kernels give the same bits on every instruction set only without
# contraction (a*b + c in one rounding). -g0 makes the wheel four times smaller.
FLAGS = ["-std=c11", "-O2", "-g0", "-ffp-contract=off"]
OPENMP = {"darwin": (["-Xpreprocessor", "-fopenmp"], ["-lomp"])}


def files_below(folder, suffixes):
    return sorted(
        os.path.join(base, name)
        for base, _, names in os.walk(folder)
        for name in names
        if name.endswith(suffixes)
    )


# everything in csrc but the tables of kernels, which have flags of their own
DRIVERS = [
    path for path in files_below("csrc", ".c") if os.path.basename(os.path.dirname(path)) != "isa"
]
INCLUDE = ["csrc", "csrc/include"]
# The public header and those that it includes: copied to fastdrop/include, where
# fastdrop.get_include() finds them.
HEADERS = {
    "fastdrop.h": "csrc/include/fastdrop.h",
    "fastdrop_maps.h": "csrc/include/fastdrop_maps.h",
    "fastdrop_sequences.h": "csrc/include/fastdrop_sequences.h",
    "fastdrop_thinned.h": "csrc/include/fastdrop_thinned.h",
    "base/types.h": "csrc/base/types.h",
}


class BuildCore(build_ext):
    """Compiles the core and copies the public headers into the package."""

    def run(self):
        super().run()
        for built, in_source in self.header_copies().items():
            self.copy_header(built)
            if self.inplace:
                self.copy_header(in_source)

    def header_copies(self):
        """Path below the build folder -> path below the source folder."""
        paths = [os.path.join("fastdrop", "include", *name.split("/")) for name in HEADERS]
        return {os.path.join(self.build_lib, path): path for path in paths}

    def copy_header(self, path):
        self.mkpath(os.path.dirname(path))
        name = os.path.relpath(path, path[: path.rindex("include") + len("include")])
        self.copy_file(HEADERS[name.replace(os.sep, "/")], path)

    def get_outputs(self):
        return [*super().get_outputs(), *self.header_copies()]

    def get_output_mapping(self):  # an editable installation with links to the source
        return {**super().get_output_mapping(), **(self.header_copies() if self.inplace else {})}

    def build_extension(self, ext):
        if not os.environ.get("FASTDROP_NO_OPENMP"):
            self.add_openmp(ext)
        for isa, flags in ISA_FLAGS.items():
            if isa in OPTIONAL_ISAS:
                macro, source = OPTIONAL_ISAS[isa]
                error = self.refusal(f"#include <immintrin.h>\n{source}\n", flags)
                if error:
                    print(f"fastdrop: no kernels for {isa} here ({error})", file=sys.stderr)
                    continue
                ext.define_macros.append((macro, None))
            ext.extra_objects += self.compiler.compile(
                [f"csrc/isa/{isa}.c"],
                output_dir=self.build_temp,
                include_dirs=INCLUDE,
                depends=ext.depends,
                extra_postargs=ext.extra_compile_args + flags,
            )
        super().build_extension(ext)

    def refusal(self, program, compile_flags, link_flags=None):
        """Why a program does not compile, or link if there are link_flags; None if it does."""
        folder = tempfile.mkdtemp()
        try:
            source = os.path.join(folder, "probe.c")
            with open(source, "w") as file:
                file.write(program)
            objects = self.compiler.compile(
                [source], output_dir=folder, extra_postargs=compile_flags
            )
            if link_flags is not None:
                self.compiler.link_executable(
                    objects, os.path.join(folder, "probe"), extra_postargs=link_flags
                )
        except Exception as error:  # distutils raises many kinds
            return error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return None

    def add_openmp(self, ext):
        """OpenMP where a program with it compiles, links; one thread otherwise."""
        compile_flags, link_flags = OPENMP.get(sys.platform, (["-fopenmp"], ["-fopenmp"]))
        program = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"
        error = self.refusal(program, compile_flags, link_flags)
        if error:
            print(f"fastdrop: no OpenMP here ({error}); building for one thread", file=sys.stderr)
            return
        ext.extra_compile_args += compile_flags
        ext.extra_link_args += link_flags


setup(
    ext_modules=[
        Extension(
            "fastdrop._core.binding",
            ["fastdrop/_core/binding.pyx", *DRIVERS],
            include_dirs=[*INCLUDE, numpy.get_include()],
            depends=[
                *files_below("csrc", (".h", ".inc", ".c")),
                *files_below("fastdrop/_core", (".pxd", ".pxi")),
            ],
            define_macros=[
                ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
                ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION"),
            ]
            + MACHINE_MACROS,
            extra_compile_args=FLAGS + os.environ.get("FASTDROP_CFLAGS", "").split(),
            extra_link_args=os.environ.get("FASTDROP_LDFLAGS", "").split(),
        )
    ],
    cmdclass={"build_ext": BuildCore},
)
