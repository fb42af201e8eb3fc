"""Builds fastdrop._core.binding: one file of kernels an instruction set, each with its own flags, chosen at run time."""

import os
import platform
import shutil
import sys
import tempfile

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

X86 = platform.machine().lower() in ("x86_64", "amd64")
ARM64 = platform.machine().lower() in ("aarch64", "arm64")
ISA_FLAGS = {"scalar": []}
if X86:
    ISA_FLAGS["avx2"] = ["-mavx2", "-mfma"]
    ISA_FLAGS["avx512"] = [
        *ISA_FLAGS["avx2"],
        "-mavx512f",
        "-mavx512bw",
        "-mavx512dq",
        "-mavx512vl",
    ]
elif ARM64:
    ISA_FLAGS["neon"] = []

# For gcc and clang. Elementwise kernels give the same bits everywhere only without contraction; -g0 keeps the wheel small.
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


class BuildCore(build_ext):
    def build_extension(self, ext):
        if not os.environ.get("FASTDROP_NO_OPENMP"):
            self.add_openmp(ext)
        for isa, flags in ISA_FLAGS.items():
            ext.extra_objects += self.compiler.compile(
                [f"csrc/isa/{isa}.c"],
                output_dir=self.build_temp,
                include_dirs=INCLUDE,
                depends=ext.depends,
                extra_postargs=ext.extra_compile_args + flags,
            )
        super().build_extension(ext)

    def add_openmp(self, ext):
        """OpenMP where a program with it compiles, links; one thread otherwise."""
        compile_flags, link_flags = OPENMP.get(sys.platform, (["-fopenmp"], ["-fopenmp"]))
        folder = tempfile.mkdtemp()
        try:
            source = os.path.join(folder, "probe.c")
            with open(source, "w") as file:
                file.write(
                    "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"
                )
            objects = self.compiler.compile(
                [source], output_dir=folder, extra_postargs=compile_flags
            )
            self.compiler.link_executable(
                objects, os.path.join(folder, "probe"), extra_postargs=link_flags
            )
        except Exception as error:  # distutils raises many kinds
            print(f"fastdrop: no OpenMP here ({error}); building for one thread", file=sys.stderr)
            return
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        ext.extra_compile_args += compile_flags
        ext.extra_link_args += link_flags


setup(
    ext_modules=[
        Extension(
            "fastdrop._core.binding",
            ["fastdrop/_core/binding.pyx", *DRIVERS],
            include_dirs=[*INCLUDE, numpy.get_include()],
            depends=files_below("csrc", (".h", ".inc", ".c")),
            define_macros=[
                ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
                ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION"),
            ]
            + ([("FD_X86", None)] if X86 else [("FD_ARM64", None)] if ARM64 else []),
            extra_compile_args=FLAGS + os.environ.get("FASTDROP_CFLAGS", "").split(),
            extra_link_args=os.environ.get("FASTDROP_LDFLAGS", "").split(),
        )
    ],
    cmdclass={"build_ext": BuildCore},
)
