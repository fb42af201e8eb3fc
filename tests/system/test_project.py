"""The distribution's name, its build, and the pages and tools for contributors."""

import os
import pathlib
import re
import runpy
import subprocess
import sys
import tomllib

import pytest

import fastdrop as fd
from fastdrop._core import distribution
from fastdrop._utils import optional, plotting

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TESTS = ROOT / "tests"
in_clone = pytest.mark.skipif(
    not (ROOT / ".github").is_dir(), reason="the tests do not stand in a clone of the repository"
)


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def python(code, *paths, **environment):
    """A process that finds this fastdrop, then `paths`."""
    path = os.pathsep.join(str(p) for p in (pathlib.Path(fd.__file__).parent.parent, *paths))
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
    )


# ---- the name ----


@in_clone
def test_the_name_and_version_of_the_distribution():
    about = project()["project"]
    assert about["name"] == distribution.NAME == "fastdrop-nn"
    assert about["scripts"] == {"fastdrop": "fastdrop.cli:main"}
    assert about["version"] == fd.__version__
    assert f"\nversion: {fd.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## [{fd.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


@in_clone
def test_no_text_tells_to_install_the_unrelated_distribution():
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    files += [*(ROOT / "fastdrop").rglob("*.py"), *(ROOT / "fastdrop").rglob("*.pyi")]
    assert len(files) > 50
    for path in files:
        wrong = re.findall(r"pip install[^\n]*\bfastdrop(?:\[|[ '\"`]*$)", path.read_text(), re.M)
        assert not wrong, f"{path}: {wrong}"


def fake_distribution(folder, name, *, top_level=None, files=()):
    info = folder / f"{name.replace('-', '_')}-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    if top_level is not None:
        (info / "top_level.txt").write_text(f"{top_level}\n")
    return folder


def test_other_owners_of_the_package(tmp_path):
    for name in ("fastdrop-nn", "FastDrop.NN"):
        fake_distribution(tmp_path, name, top_level="fastdrop")
    fake_distribution(tmp_path, "fastdrop-tools", top_level="fastdrop_tools")
    fake_distribution(tmp_path, "other", files=["fastdrops/a.py", "other/fastdrop/a.py"])
    assert distribution.others([str(tmp_path)]) == []
    assert distribution.others_text([]) == ""
    fake_distribution(tmp_path, "fastdrop", files=["fastdrop/__init__.py", "fastdrop/server.py"])
    fake_distribution(tmp_path, "a-fork", top_level="fastdrop")
    found = distribution.others([str(tmp_path)])
    assert [(name, version) for name, version, _ in found] == [
        ("a-fork", "0.1.0"),
        ("fastdrop", "0.1.0"),
    ]
    assert {pathlib.Path(where) for _, _, where in found} == {tmp_path}
    text = distribution.others_text(found)
    assert f"fastdrop 0.1.0 in {tmp_path}" in text
    assert "pip uninstall a-fork fastdrop, then" in text
    assert text.endswith("pip install --force-reinstall --no-deps fastdrop-nn.")


def test_the_folder_of_an_old_build_is_no_other_owner(tmp_path, monkeypatch):
    package = tmp_path / "fastdrop" / "_core"
    monkeypatch.setattr(distribution, "__file__", str(package / "distribution.py"))
    info = tmp_path / "fastdrop.egg-info"
    info.mkdir()
    (info / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: fastdrop\nVersion: 0.1.0\n")
    (info / "top_level.txt").write_text("fastdrop\n")
    assert len(distribution.others([str(tmp_path)])) == 1
    (info / "SOURCES.txt").write_text("setup.py\n")
    assert distribution.others([str(tmp_path)]) == []
    monkeypatch.undo()
    assert len(distribution.others([str(tmp_path)])) == 1


def test_show_config_and_info_name_another_owner(tmp_path):
    folder = fake_distribution(tmp_path, "fastdrop", files=["fastdrop/__init__.py"])
    for code in (
        "import fastdrop; fastdrop.show_config()",
        "from fastdrop.cli import main; main(['info'])",
    ):
        done = python(code, folder)
        assert done.returncode == 0, done.stderr
        warning = [line for line in done.stdout.splitlines() if line.startswith("warning: ")]
        assert len(warning) == 1
        assert f"fastdrop 0.1.0 in {tmp_path}" in warning[0]


def test_an_import_does_not_look_for_other_owners():
    code = "import sys, fastdrop; print({'importlib.metadata', 'fastdrop._core.distribution'}"
    done = python(f"{code} & set(sys.modules))")
    assert done.stdout.strip() == "set()", done.stdout + done.stderr


FAILS = """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "fastdrop._core.binding":
            raise ImportError({message!r})
sys.meta_path.insert(0, Finder())
import fastdrop
"""


def test_a_core_that_cannot_be_loaded(tmp_path):
    folder = fake_distribution(tmp_path, "fastdrop", files=["fastdrop/__init__.py"])
    last = python(FAILS.format(message="no such file"), folder).stderr.splitlines()[-1]
    assert last.startswith("ImportError: fastdrop's C core could not be loaded (no such file). ")
    assert f"fastdrop 0.1.0 in {tmp_path}" in last
    message = "libgomp.so.1: cannot open shared object file: No such file or directory"
    last = python(FAILS.format(message=message), folder).stderr.splitlines()[-1]
    assert "The OpenMP library libgomp.so.1 is missing" in last
    assert "libgomp1" in last
    assert "uninstall" not in last


def test_help_where_no_other_owner_is_installed(monkeypatch):
    monkeypatch.setattr(distribution, "others", list)
    assert "build the core first: pip install -e ." in distribution.core_import_help("no file")
    assert "brew install libomp" in distribution.core_import_help(
        "Library not loaded: libomp.dylib"
    )


def test_missing_extras_name_the_packages(monkeypatch):
    expected = "pip install a b, or pip install 'fastdrop-nn[train]'"
    assert optional.install_hint("a b", "train") == expected
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"needs matplotlib \(pip install matplotlib, or pip"):
        plotting.figure(1, 1)


@in_clone
def test_messages_name_extras_that_exist():
    extras = project()["project"]["optional-dependencies"]
    used = set()
    for path in (ROOT / "fastdrop").rglob("*.py"):
        used |= set(re.findall(r'install_hint\([^)]*, ["\'](\w+)["\']\)', path.read_text()))
    assert {"train", "sklearn"} <= used <= extras.keys()


# ---- the build ----


@pytest.fixture
def setup_py(monkeypatch):
    """Runs setup.py without building; returns its names and the arguments of setup()."""
    setuptools = pytest.importorskip("setuptools")
    pytest.importorskip("Cython")

    def run(**environment):
        for name in ("ARCHFLAGS", "_PYTHON_HOST_PLATFORM", "CC"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        given = {}
        monkeypatch.setattr(setuptools, "setup", given.update)
        monkeypatch.chdir(ROOT)
        return runpy.run_path(str(ROOT / "setup.py")), given

    return run


@in_clone
def test_a_build_looks_at_the_target_machine(setup_py, tmp_path):
    compiler = tmp_path / "some-cc"
    compiler.write_text('#!/bin/sh\n[ "$2" = -dumpmachine ] && echo $1\n')
    compiler.chmod(0o755)
    for environment, machine, isas in (
        ({"_PYTHON_HOST_PLATFORM": "linux-aarch64"}, "arm64", {"scalar", "neon"}),
        ({"_PYTHON_HOST_PLATFORM": "linux-x86_64"}, "x86_64", {"scalar", "avx2", "avx512"}),
        ({"_PYTHON_HOST_PLATFORM": "macosx-11.0-arm64"}, "arm64", {"scalar", "neon"}),
        ({"ARCHFLAGS": "-arch arm64"}, "arm64", {"scalar", "neon"}),
        ({"ARCHFLAGS": "-arch x86_64"}, "x86_64", {"scalar", "avx2", "avx512"}),
        ({"ARCHFLAGS": "-arch arm64 -arch x86_64"}, "", {"scalar"}),
        ({"CC": f"{compiler} aarch64-linux-gnu"}, "arm64", {"scalar", "neon"}),
        ({"CC": f"{compiler} x86_64-linux-gnu"}, "x86_64", {"scalar", "avx2", "avx512"}),
        ({"CC": f"{compiler} riscv64-linux-gnu"}, "riscv64", {"scalar"}),
    ):
        names, given = setup_py(**environment)
        assert names["MACHINE"] == machine, environment
        bf16 = {"scalar_bf16"} | ({"avx512_bf16", "amx_bf16"} if machine == "x86_64" else set())
        assert set(names["ISA_FLAGS"]) == isas | bf16, environment
        macros = {name for name, _ in given["ext_modules"][0].define_macros}
        expected = {"arm64": {"FD_ARM64"}, "x86_64": {"FD_X86"}}.get(machine, set())
        assert macros & {"FD_ARM64", "FD_X86"} == expected, environment


@in_clone
def test_a_compiler_that_does_not_answer(setup_py):
    names, _ = setup_py(CC="false")
    assert names["MACHINE"]  # the platform of this Python


@in_clone
def test_the_source_distribution_lists_files_that_exist():
    for line in (ROOT / "MANIFEST.in").read_text().splitlines():
        command, *names = line.split()
        if command == "include":
            assert all((ROOT / name).is_file() for name in names), line
        elif command == "graft":
            assert (ROOT / names[0]).is_dir(), line


@in_clone
def test_public_ci_covers_the_pythons_that_are_promised():
    about = project()["project"]
    promised = re.findall(r":: (3\.\d+)", "\n".join(about["classifiers"]))
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    assert promised
    assert re.search(r"python: \[(.*?)\]", workflow).group(1) == ", ".join(
        f'"{version}"' for version in promised
    )
    assert promised[0] == about["requires-python"].removeprefix(">=")
    wheels = project()["tool"]["cibuildwheel"]["build"]
    assert wheels == [f"cp{version.replace('.', '')}-*" for version in promised]
    oldest = next(d for d in about["dependencies"] if d.startswith("numpy>=")).removeprefix(
        "numpy>="
    )
    assert f'numpy: "{oldest}.*"' in workflow


# ---- skipped tests ----


def test_a_skip_is_a_failure_where_everything_must_run(tmp_path):
    (tmp_path / "test_a.py").write_text(
        "import pytest\n"
        "def test_module(): pytest.importorskip('no_such_module')\n"
        "def test_data(): pytest.skip('FASTDROP_DATA is not set')\n"
        "@pytest.mark.skipif(True, reason='never')\n"
        "def test_mark(): pass\n"
        "@pytest.mark.xfail(strict=True)\n"
        "def test_expected(): assert False\n"
        "def test_good(): pass\n"
    )
    (tmp_path / "test_b.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "helpers.require_all", "-p"]
    command += ["no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    command.append("--continue-on-collection-errors")
    for value, counts in (
        ("0", "1 passed, 4 skipped, 1 xfailed"),
        ("1", "1 failed, 1 passed, 1 skipped, 1 xfailed, 2 errors"),
    ):
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(TESTS), "FASTDROP_REQUIRE_ALL": value},
            capture_output=True,
            text=True,
        )
        assert counts in done.stdout.splitlines()[-1], done.stdout
        assert done.returncode == (0 if value == "0" else 1)
        said = "FASTDROP_REQUIRE_ALL is set, but the test was skipped" in done.stdout
        assert said == (value == "1")


# ---- the checks ----


def checks(*names):
    return subprocess.run([ROOT / ".ci" / "checks", *names], capture_output=True, text=True)


@in_clone
def test_every_listed_check_is_a_function_of_the_script():
    script = (ROOT / ".ci" / "checks").read_text()
    groups = dict(line.split(": ") for line in checks("-l").stdout.splitlines())
    assert groups.keys() == {"lint", "types", "all"}
    names = groups["all"].split()
    assert len(names) > 8 and {*groups["lint"].split(), *groups["types"].split()} < set(names)
    for name in names:
        assert re.search(rf"^{name}\(\) {{", script, re.M), name
    wrong = checks("no-such-check")
    assert wrong.returncode == 2 and "no-such-check" in wrong.stderr


@in_clone
def test_the_tools_of_the_checks_are_named_in_one_place():
    files = [ROOT / name for name in (".ci/run", "noxfile.py", ".pre-commit-config.yaml")]
    for path in files:
        text = path.read_text()
        assert ".ci/checks" in text
        assert not re.search(r"ruff|codespell|zizmor|check-jsonschema|basedpyright", text), path


# ---- the pages for contributors ----

PLACEHOLDER = re.compile(r"NAME|[*{}<>]|\.\.\.")


def pages():
    return [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "architecture").glob("*.md"))]


@in_clone
def test_the_pages_name_files_that_exist():
    known = ("csrc/", "fastdrop/", "tests/", "docs/", "benchmarks/", ".ci/", ".github/")
    seen = 0
    for page in pages():
        for word in re.findall(r"`([^`\s]+)`", page.read_text()):
            if word.startswith(known) and not PLACEHOLDER.search(word):
                seen += 1
                assert (ROOT / word.split("::")[0]).exists(), f"{page.name} names {word}"
    assert seen > 40


@in_clone
def test_the_drawing_is_a_picture():
    from xml.etree import ElementTree

    page = ROOT / "docs/architecture/index.md"
    for name in re.findall(r"\]\(([\w-]+\.svg)\)|\} ([\w-]+\.svg)", page.read_text()):
        tree = ElementTree.parse(page.parent / (name[0] or name[1]))
        assert tree.getroot().tag.endswith("svg")
