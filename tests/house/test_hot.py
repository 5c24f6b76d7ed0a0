"""Functions marked ``# hot`` in the Cython sources are free of Python calls in the C that Cython writes for them.

One innocent mask that becomes a Python integer can triple the time of a read. The mark stands alone on the line above
the function. Calls on a path that only raises are named in ``RAISING`` and let through.
"""

import pathlib
import re
import subprocess
import sys

import pytest

from sources import ROOT, files

MARK = re.compile(r"^\s*# hot\s*\n(?:\s*@.*\n)*\s*(?:cdef|cpdef|def)\b[^(\n]*?(\w+)\(", re.MULTILINE)
REFUSED = re.compile(
    r"\b(?:__Pyx_PyObject_(?:Fast)?Call\w*|PyObject_(?:Vector)?[Cc]all\w*|__Pyx_PyNumber_\w+|PyNumber_\w+"
    r"|PyLong_From\w+|__Pyx_Py(?:Long|Int)_From_\w+|__Pyx_Py(?:Long|Int)_As_\w+|__Pyx_PyObject_GetAttr\w*"
    r"|__Pyx_GetModuleGlobalName\w*|__Pyx_GetBuiltinName|PyTuple_New|PyList_New|PyDict_New|PyTuple_Pack"
    r"|PyObject_RichCompare\w*|PyObject_Hash|__Pyx_PyObject_GetItem\w*|__Pyx_PyUnicode_\w+)\(")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def marks_in(text):
    """The functions marked in a source, each as its class (empty if it has none) and its name."""
    for mark in MARK.finditer(text):
        classes = re.findall(r"^cdef class (\w+)", text[:mark.start()], re.MULTILINE)
        method = mark.group(0).lstrip("\n").startswith(" ")
        yield classes[-1] if method else "", mark.group(1)


def marked():
    """Every source with marks, and the functions marked in it."""
    for path in files("cext/*.pyx", "cext/*.pxd"):
        for owner, name in sorted(set(marks_in(path.read_text(encoding="utf-8")))):
            yield path, owner, name


def generated(source, folder):
    """The C that Cython writes for a .pyx, without comments."""
    target = pathlib.Path(folder) / (source.stem + ".c")
    subprocess.run([sys.executable, "-m", "cython", "-3", "-I", str(ROOT / "cext"), "-o", str(target), str(source)],
                   check=True, capture_output=True, timeout=120, cwd=source.parents[2])
    return COMMENT.sub("", target.read_text(encoding="utf-8"))


def body(c, module, owner, name):
    """The C bodies of the function ``name`` of ``module``: the implementation, not its argument parsing."""
    mangled = "".join(f"{len(part)}{part}_" for part in [*module.split("."), *filter(None, [owner])])
    head = re.compile(rf"^static [^;{{}}]*?\b__pyx_(?:f|pf)_{mangled}(?:\d+)?{name}\([^;{{}}]*\)\s*\{{", re.MULTILINE)
    return [c[m.end():c.index("\n}\n", m.end())] for m in head.finditer(c)]


def python_calls(bodies):
    return sorted({call.group(0).rstrip("(") for text in bodies for call in REFUSED.finditer(text)})


@pytest.fixture(scope="module")
def c_of(tmp_path_factory):
    kept = {}

    def give(source):
        if source not in kept:
            kept[source] = generated(source, tmp_path_factory.mktemp("c"))
        return kept[source]
    return give


MARKS = list(marked())


@pytest.mark.parametrize(("path", "owner", "name"), MARKS, ids=[f"{path.stem}.{name}" for path, _, name in MARKS])
def test_hot_functions_make_no_python_calls(path, owner, name, c_of):
    module = ".".join(path.relative_to(ROOT / "cext").with_suffix("").parts)
    users = [path] if path.suffix == ".pyx" else [
        user for user in files("cext/*.pyx") if re.search(rf"{module}\s+cimport\b[^#]*?\b{name}\b|\b{name}\(",
                                                          user.read_text(encoding="utf-8"))]
    bodies = [text for user in users for text in body(c_of(user), module, owner, name)]
    assert bodies, f"{name} of {path.name} is marked hot, but is in no generated C"
    assert python_calls(bodies) == []


def test_the_hottest_of_all_are_marked():
    assert {"get_plainly", "hit", "quiet"} <= {name for _, _, name in MARKS}


def test_a_python_call_is_seen(tmp_path):
    source = tmp_path / "a" / "b" / "c" / "slow.pyx"
    source.parent.mkdir(parents=True)
    source.write_text("cdef class Table:\n    cdef dict kept\n"
                      "    # hot\n    cdef object quick(self, object key):\n        return key\n"
                      "    # hot\n    cdef object slow(self, object key):\n        return key(1)\n"
                      "def use(Table t):\n    return t.slow(t.quick(1))\n")
    assert list(marks_in(source.read_text())) == [("Table", "quick"), ("Table", "slow")]
    c = generated(source, tmp_path)
    assert len(body(c, "slow", "Table", "quick")) == 1
    assert python_calls(body(c, "slow", "Table", "quick")) == []
    assert python_calls(body(c, "slow", "Table", "slow")) != []
