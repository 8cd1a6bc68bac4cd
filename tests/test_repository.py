"""Rules for the whole repository: sizes, names, words, files that load, and a wheel that works without the clone."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from nas.core.version import __version__

ROOT = Path(__file__).resolve().parent.parent
FILES = [
    path
    for folder in ("nas", "tests", "benchmarks", "gpu", ".")
    for path in sorted((ROOT / folder).glob("*.py" if folder == "." else "**/*.py"))
]
SOURCES = [path for path in FILES if "tests" not in path.parts]
PROSE = [
    path
    for pattern in ("*.md", "docs/**/*.md", "conf/**/*.yaml", "nas/**/*.cpp", "nas/**/*.h", "Makefile")
    for path in sorted(ROOT.glob(pattern))
]
SHIPPED = [
    path
    for folder in ("conf", "search_spaces", "cells", ".github")
    for ending in ("yaml", "yml")
    for path in sorted((ROOT / folder).rglob(f"*.{ending}"))
]

# Words that this project once used for a package, a session, a failure, … and that a reader had to translate. A name
# behind a dot (math.floor, std::floor) and a whole quoted word (a setting's former name) are meant.
FORBIDDEN = re.compile(
    r"(?<![\w.])(?<!::)(?<!\")"
    r"(?:floors?|house|rooms?|sittings?|mishaps?|strangers?|looked over|look over|taken up|take up|goes on with|"
    r"in front of|one behind the other)\b",
    re.IGNORECASE,
)
SHARED_TEST_CODE = ("tests.helpers", "tests.faults", "tests.fuzz")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_holds_one_idea(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_function_is_read_at_a_glance(path):
    functions = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)]
    long = {f.name: f.end_lineno - f.lineno + 1 for f in functions if f.end_lineno - f.lineno + 1 > 40}
    assert not long


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_nothing_is_evaluated_or_unpickled(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("eval", "exec", "pickle.load", "pickle.loads", "yaml.unsafe_load")
            if called == "torch.load":
                assert any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords)


def test_the_package_prints_escaped_lines():
    printing = {"nas/core/terminal.py", "nas/runtime/progress.py"}  # these escape what they print
    for path in (path for path in SOURCES if name(path).startswith("nas/") and name(path) not in printing):
        calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        raw = [n.lineno for n in calls if ast.unparse(n.func) in ("print", "sys.stdout.write", "sys.stderr.write")]
        assert not raw, f"{name(path)}: use nas.core.terminal.print_lines"


@pytest.mark.parametrize("path", [p for p in FILES if p != Path(__file__).resolve()] + PROSE, ids=name)
def test_prose_needs_no_translation(path):
    lines = enumerate(path.read_text().splitlines(), 1)
    assert not [f"{number}: {line.strip()}" for number, line in lines if FORBIDDEN.search(line)]


@pytest.mark.parametrize("line", ["# the Floor below", "a stranger's file", "in front of it", "int room = 3;"])
def test_forbidden_words_are_found(line):
    assert FORBIDDEN.search(line)


@pytest.mark.parametrize("line", ["math.floor(x)", "x.floor()", "std::floor(x)", "mushroom", 'old = {"mishaps": 1}'])
def test_words_of_code_are_allowed(line):
    assert not FORBIDDEN.search(line)


@pytest.mark.parametrize("path", [path for path in FILES if "tests" in path.parts], ids=name)
def test_no_test_imports_another(path):
    nodes = list(ast.walk(ast.parse(path.read_text())))
    modules = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    modules += [f"{'.' * node.level}{node.module or ''}" for node in nodes if isinstance(node, ast.ImportFrom)]
    tests = [module for module in modules if module.startswith((".", "tests", "test_", "conftest"))]
    assert not [module for module in tests if not module.startswith(SHARED_TEST_CODE) or ".test_" in module]


def public_names(path: Path) -> set[str]:
    """Return the public names that a module defines at its top level, except for type variables."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) in ("TypeVar", "ParamSpec"):
                continue
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}
    return {n for n in names if not n.startswith("_")}


def test_a_public_name_is_defined_once():
    modules = defaultdict(list)
    for path in sorted((ROOT / "nas").rglob("*.py")):
        for public in public_names(path) - {"main"}:
            modules[public].append(name(path))
    assert not {public: paths for public, paths in modules.items() if len(paths) > 1}


@pytest.mark.parametrize("path", SHIPPED, ids=name)
def test_a_shipped_yaml_file_loads(path):
    assert isinstance(yaml.safe_load(path.read_text()) or {}, dict)  # some presets hold comments alone


@pytest.mark.parametrize("path", [path for path in PROSE if path.suffix == ".md"], ids=name)
def test_named_tests_exist(path):
    named = re.findall(r"`(tests/[\w/]+\.py)", path.read_text())
    assert not [test for test in named if not (ROOT / test).exists()]


def test_the_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (__version__, "MIT")


def test_the_wheel_works_without_the_clone(tmp_path):
    """Built, unpacked elsewhere and run from there: spaces, cells and configuration travel as package data."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(site),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "import nas; assert 'site/nas' in nas.__file__, nas.__file__\n"
        "from nas.cli.main import main as small; small(['draw', 'darts_v2', '-o', 'cell.svg'])\n"
        "from nas.cli.search import main; sys.argv[0] = 'nas-search'; main()"
    )
    settings = ["space=tiny", "data=digits", "data.limit=64", "channels=2", "cells=3", "batch_size=16", "epochs=1"]
    run = subprocess.run(
        [sys.executable, "-P", "-c", code, str(site), *settings, "run.dir=out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert (site / "nas/py.typed").exists()
    assert list(site.glob("*.dist-info/licenses/LICENSE"))
    assert (tmp_path / "cell.svg").exists()
    assert (tmp_path / "out/genotype.yaml").exists()
