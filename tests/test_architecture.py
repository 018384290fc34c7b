"""The architecture, executable: who may import whom, and what the package never does.

A number is a layer. A module imports only from lower layers of its own room, and from the rooms its own room stands
on; so no import cycle can exist. The rooms above the engine do not know one another's insides: a picture that shows
flow, and a page that shows both, enter the room below by its front door, and get plain data there.
"""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tinygrad_rnn"
FILES = {path: path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*.py"))}

# Room -> the rooms it may import from, besides itself. The front door (the files of the package's root) opens to all.
ROOMS = {
    "engine": set(),
    "nn": {"engine"},
    "trace": {"engine"},
    "graph": {"engine", "trace"},
    "debug": {"engine", "trace", "graph"},
}

# The layers inside the engine: a module imports only from those with a smaller number.
ENGINE = {
    "primitives": 0.0,
    "decorators": 0.0,
    "files": 0.0,
    "annotate": 0.1,
    "numpy_advice": 0.0,
    "numpy_protocol": 0.1,
    "arguments": 0.2,
    "indexing": 0.3,
    "sweep": 1.0,
    "tensor": 2.0,
    "functions": 3.0,
    "derivatives": 3.0,
    "observed": 4.0,
    "check": 4.0,
}

# The layers of the pictures: a sub-package imports only from itself and from those with a smaller number.
GRAPH = {
    "text": 0,  # labels and numbers as text
    "views": 1,  # tape -> plain data
    "looks": 2,  # plain data -> shapes, strokes and text
    "layout": 3,  # -> coordinates
    "chain": 4,  # -> coordinates, of cells
    "pictures": 5,  # -> DOT text -> PNG, SVG and PDF
    "plots": 6,
    "animation": 6,
    "__init__": 7,
}

NEVER_IMPORTED = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "ctypes"}
NEVER_CALLED = {"eval", "exec", "compile", "__import__", "system", "popen", "getoutput", "getstatusoutput"}
SCRIPTS = {Path("graph/pictures/bundled.py")}  # run as processes of their own, and imported by nobody
ONLY_WHERE_NEEDED = {"matplotlib", "PIL", "pygraphviz", "tqdm", "safetensors"}  # extras: imported inside functions only


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported_modules(path, nodes=None):
    """Every module that a file imports, as an absolute dotted name; `from . import x` gives both forms' best guess."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    package = parts[:-1]  # for a module and for an __init__.py alike: the folder
    for node in nodes or ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            origin = list(package[: len(package) - node.level + 1]) if node.level else []
            origin += node.module.split(".") if node.module else []
            for alias in node.names:
                if (ROOT.joinpath(*origin, alias.name + ".py")).exists() or ROOT.joinpath(*origin, alias.name).is_dir():
                    yield ".".join([*origin, alias.name])
                else:
                    yield ".".join(origin)


def ours(path):
    """The module of each thing that a file imports from this package, as its path: room/module, or room/part/module."""
    for name in imported_modules(path):
        head, *rest = name.split(".")
        if head == "tinygrad_rnn":
            inside = "/".join(rest)
            yield inside if inside and not PACKAGE.joinpath(inside).is_dir() else f"{inside}/__init__".strip("/")


def graph_of_imports():
    return {relative.with_suffix("").as_posix(): set(ours(path)) for path, relative in FILES.items()}


def test_every_room_and_every_engine_module_is_in_the_tables():
    rooms = {relative.parts[0] for relative in FILES.values() if len(relative.parts) > 1}
    assert rooms <= set(ROOMS)
    assert {r.stem for r in FILES.values() if r.parts[0] == "engine"} == {*ENGINE, "__init__"}


@pytest.mark.parametrize("path", FILES, ids=[str(r) for r in FILES.values()])
def test_a_room_imports_only_the_rooms_it_stands_on(path):
    room = FILES[path].parts[0] if len(FILES[path].parts) > 1 else None
    if room is None:
        return  # the front door
    for imported in ours(path):
        other, _, module = imported.partition("/")
        assert other == room or other in ROOMS[room], f"{FILES[path]} imports {imported}"
        assert other in (room, "engine") or module == "__init__", f"{FILES[path]} enters {other} by {module}"


@pytest.mark.parametrize("module", sorted(ENGINE))
def test_an_engine_module_imports_only_from_lower_layers(module):
    for room, imported in (name.split("/") for name in ours(PACKAGE / "engine" / f"{module}.py")):
        assert room == "engine"
        assert ENGINE[imported] < ENGINE[module], f"{module} ({ENGINE[module]}) imports {imported} ({ENGINE[imported]})"


GRAPH_FILES = {path: relative for path, relative in FILES.items() if relative.parts[0] == "graph"}


def part_of_graph(name):
    """text of graph/text/labels, __init__ of graph/__init__."""
    return name.split("/")[1]


def test_every_part_of_the_pictures_is_in_the_table():
    assert {part_of_graph(relative.with_suffix("").as_posix()) for relative in GRAPH_FILES.values()} == set(GRAPH)


@pytest.mark.parametrize("path", GRAPH_FILES, ids=[str(r) for r in GRAPH_FILES.values()])
def test_a_part_of_the_pictures_imports_only_from_itself_and_from_lower_layers(path):
    part = part_of_graph(GRAPH_FILES[path].with_suffix("").as_posix())
    for imported in (part_of_graph(name) for name in ours(path) if name.startswith("graph/")):
        assert imported == part or GRAPH[imported] < GRAPH[part], f"{part} ({GRAPH[part]}) imports {imported}"


def test_there_is_no_import_cycle_anywhere():
    remaining = graph_of_imports()
    assert len(remaining) > 15  # the reader of imports sees the files
    assert "engine/primitives" in remaining["engine/tensor"]  # and what is in them
    assert "graph/text/labels" in remaining["graph/looks/style"]
    while remaining:
        free = [name for name, imports in remaining.items() if not (imports - {name}) & remaining.keys()]
        assert free, f"these import one another in a circle: {sorted(remaining)}"
        for name in free:
            del remaining[name]


def test_rooms_are_entered_from_outside_by_their_front_door_or_a_named_module_never_by_a_private_name():
    for path, relative in FILES.items():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ImportFrom) and (node.level > 1 or (node.level == 1 and len(relative.parts) == 1)):
                private = [a.name for a in node.names if a.name.startswith("_") and not a.name.startswith("__")]
                assert not private, f"{relative}, line {node.lineno}: {private}"


def test_no_file_is_called_after_nothing():
    assert not {r.stem for r in FILES.values()} & {"utils", "util", "helpers", "helper", "common", "core", "misc"}


# Hygiene, by syntax trees ------------------------------------------------------------------------------------------


def offences(tree):
    """(line, what) for each thing in a syntax tree that this package never does."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [a.name for a in node.names] + ([node.module or ""] if isinstance(node, ast.ImportFrom) else [])
            for name in names:
                if name.split(".")[0] in NEVER_IMPORTED:
                    yield node.lineno, f"imports {name}"
                if isinstance(node, ast.ImportFrom) and node.module == "os" and name in NEVER_CALLED:
                    yield node.lineno, f"imports os.{name}"
        elif isinstance(node, ast.Call):
            called = node.func
            plain = called.id if isinstance(called, ast.Name) else None
            method = called.attr if isinstance(called, ast.Attribute) else None
            of = called.value.id if method and isinstance(called.value, ast.Name) else None
            if plain in NEVER_CALLED or (method in NEVER_CALLED and of in {"os", "subprocess", "builtins"}):
                yield node.lineno, f"calls {plain or method}"
            for keyword in node.keywords:
                value = keyword.value
                if keyword.arg == "shell" and not (isinstance(value, ast.Constant) and value.value is False):
                    yield node.lineno, "calls with shell="
                if keyword.arg == "allow_pickle" and not (isinstance(value, ast.Constant) and value.value is False):
                    yield node.lineno, "calls with allow_pickle="
            if method == "load" and of == "np" and "allow_pickle" not in {k.arg for k in node.keywords}:
                yield node.lineno, "calls np.load without saying allow_pickle=False"
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            yield node.lineno, "a bare except would swallow an interrupt"


@pytest.mark.parametrize("path", FILES, ids=[str(r) for r in FILES.values()])
def test_no_pickle_no_eval_no_exec_no_shell(path):
    assert not [f"line {line}: {what}" for line, what in offences(tree_of(path))]


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import numpy, marshal",
        "def f(s):\n    return eval(s)",
        "exec('x = 1')",
        "__import__('os')",
        "import os\nos.system('ls')",
        "from os import system",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "import subprocess\nsubprocess.run('ls', shell=flag)",
        "import subprocess\nsubprocess.getoutput('ls')",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "try:\n    f()\nexcept:\n    pass",
    ],
)
def test_the_reader_of_syntax_trees_sees_what_it_is_to_see(source):
    assert list(offences(ast.parse(source)))


def test_the_reader_of_syntax_trees_leaves_clean_code_alone():
    clean = "import re\npattern = re.compile('x')\nimport subprocess\nsubprocess.run(['ls'], shell=False)"
    assert not list(offences(ast.parse(clean)))


def test_what_runs_as_a_process_of_its_own_is_imported_by_nobody():
    scripts = {"/".join([*r.parts[:-1], r.stem]) for r in SCRIPTS & set(FILES.values())}
    assert not [name for name, imports in graph_of_imports().items() if imports & scripts]


@pytest.mark.parametrize("path", [p for p in FILES if FILES[p] not in SCRIPTS], ids=lambda p: str(FILES[p]))
def test_extras_are_imported_where_they_are_used_not_at_the_top(path):
    top_level = [n for n in tree_of(path).body if isinstance(n, (ast.Import, ast.ImportFrom))]
    heads = {name.split(".")[0] for name in imported_modules(path, top_level)} if top_level else set()
    assert not heads & ONLY_WHERE_NEEDED


# Importing ---------------------------------------------------------------------------------------------------------

# Runs in a process of its own: an audit hook sees every file that is opened, every socket and every child process.
IMPORT_UNDER_AUDIT = """
import json, sys
import numpy                                  # numpy's own imports are not ours to answer for
try:
    import graphviz
except ImportError:
    pass
seen = []

def hook(event, args):
    if event == "open" and isinstance(args[0], (str, bytes)):
        writing = isinstance(args[1], str) and any(c in args[1] for c in "wax+")
        name = args[0] if isinstance(args[0], str) else args[0].decode()
        if writing or not name.endswith((".py", ".pyc", ".pyd", ".so")):
            seen.append([event, name, str(args[1])])
    elif event.split(".")[0] in {"socket", "subprocess", "shutil", "urllib", "ftplib", "http", "tempfile", "pickle"}:
        seen.append([event, str(args)])
    elif event in {"os.system", "os.exec", "os.fork", "os.posix_spawn", "os.remove", "os.rename", "os.mkdir", "exec.x"}:
        seen.append([event, str(args)])

sys.addaudithook(hook)
import tinygrad_rnn
modules = sorted(m for m in sys.modules if "." not in m)
print(json.dumps({"seen": seen, "modules": modules}))
"""


def run_python(source, *flags):
    return subprocess.run(
        [sys.executable, "-B", *flags, "-c", source], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_importing_touches_neither_network_nor_files_and_loads_no_extra():
    done = run_python(IMPORT_UNDER_AUDIT)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["seen"] == []
    assert not set(found["modules"]) & (ONLY_WHERE_NEEDED | {"pickletools", "torch", "hypothesis", "pytest"})


def test_importing_is_clean_when_warnings_are_errors():
    done = run_python("import tinygrad_rnn", "-W", "error")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr == ""


def test_star_import_and_dir_give_only_public_names():
    done = run_python("from tinygrad_rnn import *\nprint([n for n in dir() if not n.startswith('__')])")
    assert done.returncode == 0, done.stderr
    names = set(ast.literal_eval(done.stdout))
    assert {"Tensor", "grad", "scope", "steps", "no_grad", "nn", "debug", "trace_gradient"} <= names
    assert not names & {"engine", "graph", "trace", "annotations"}
    assert not [n for n in names if n.startswith("_")]
