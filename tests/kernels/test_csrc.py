"""The C++ sources: their declarations as Python declares them, and their length."""

import ctypes
import re
from pathlib import Path

import pytest

from nas.kernels import native

CSRC = Path(native.__file__).parent / "csrc"
FILES = sorted([*CSRC.glob("*.cpp"), *CSRC.glob("*.h")])
TEXT = "\n".join(path.read_text() for path in FILES)
STRUCTURES = {
    name: value
    for name, value in vars(native).items()
    if isinstance(value, type) and issubclass(value, ctypes.Structure)
}
KINDS = {"i64": "i", "double": "d"}
CTYPES = {"i64": ctypes.c_int64, "double": ctypes.c_double, "pointer": ctypes.c_void_p}


def exported(text):
    """Return the exported functions' argument kinds, as native.SIGNATURES has them."""
    text = text.replace("\\\n", " ")
    functions = {}
    for name, arguments in re.findall(r'extern "C" bool (\w+)_##suffix\(([^)]*)\)', text):
        kinds = ["p" if "*" in argument else argument.split()[0] for argument in arguments.split(",")]
        assert arguments.split(",")[-1].split() == ["int", "threads"]
        functions[name] = "".join(KINDS.get(kind, kind) for kind in kinds[:-1])
    return functions


def fields(text, name):
    """Return the fields of a C struct, name and kind, in order."""
    body = re.search(rf"struct {name} {{(.*?)\n}};", text, re.DOTALL)[1]
    found = []
    for line in re.sub(r"//[^\n]*", "", body).split(";"):
        if match := re.fullmatch(r"\s*(?:const )?(i64|double) ([\w\s,*]+)", line):
            for field in match[2].split(","):
                found.append((field.strip(" *"), CTYPES["pointer" if "*" in field else match[1]]))
    return found


def test_signatures_are_those_of_the_sources():
    assert exported(TEXT) == native.SIGNATURES


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures_are_those_of_the_sources(name):
    assert list(STRUCTURES[name]._fields_) == fields(TEXT, name)


def test_declarations_are_read():
    text = 'extern "C" bool f_##suffix(const T *x, i64 n, \\\n  double a, const Sizes *s, int threads) {'
    assert exported(text) == {"f": "pidp"}
    text = "struct S {  // two\n  const double *mean, *var;\n  double eps;\n  i64 a, b;  // c\n  i64 f() const;\n};"
    expected = [("mean", ctypes.c_void_p), ("var", ctypes.c_void_p), ("eps", ctypes.c_double)]
    assert fields(text, "S") == [*expected, ("a", ctypes.c_int64), ("b", ctypes.c_int64)]


def functions(text):
    """Yield first line, number of lines, and depth of each block that begins after a parenthesis at depth 0 or 1."""
    depth, begin, start = 0, None, 0
    for number, line in enumerate(text.splitlines(), 1):
        code = re.sub(r'//.*|"[^"]*"', "", line)
        for character in code:
            if character == "{":
                if begin is None and _opens_function(text, number, code):
                    begin, start = depth, number
                depth += 1
            elif character == "}":
                depth -= 1
                if begin == depth:
                    yield start, number - start + 1
                    begin = None


def _opens_function(text, number, code):
    lines = text.splitlines()
    head = code if "(" in code or ")" in code else lines[number - 2] + code
    return ")" in head and not re.match(r"\s*(struct|enum|namespace)\b", code)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_functions_have_at_most_60_lines(path):
    text = path.read_text()
    found = list(functions(text))
    assert found or "struct" in text
    assert [f"{path.name}:{line}: {count} lines" for line, count in found if count > 60] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_are_short_and_narrow(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 300
    assert [f"{path.name}:{number}" for number, line in enumerate(lines, 1) if len(line) > 120] == []


def test_a_long_function_is_found():
    body = "".join(f"  f({i});\n" for i in range(60))
    assert list(functions(f"struct S {{\n  int a;\n}};\n\nvoid g(int n) {{\n{body}}}\n")) == [(5, 62)]
    assert list(functions(f"struct S {{\n  void g(int n) const {{\n{body}  }}\n}};\n")) == [(2, 62)]
