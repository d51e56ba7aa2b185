"""`python -m tinygrad_np graph script.py -o graph.html`: what it draws, of which script, and how it ends."""

import json
import os
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from drawing import use

import tinygrad_np as tg
from tinygrad_np.cli import main
from tinygrad_np.engine.op import OPS, Variadic
from tinygrad_np.engine.profile import profiling
from tinygrad_np.engine.tape import recording

START = "import numpy as np, tinygrad_np as tg\nx = tg.Tensor([1.0, 2.0], requires_grad=True, name='x')\n"


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Whatever a script does, its run leaves the program as it was."""
    argv, path, folder = sys.argv[:], sys.path[:], os.getcwd()
    yield
    os.chdir(folder)
    assert (sys.argv, sys.path) == (argv, path)
    assert recording.get() is True
    assert profiling.get() is None
    functions = [op.run if isinstance(op, Variadic) else op.call.__globals__["function"] for op in OPS]
    assert functions == [op.function for op in OPS]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Draws what a script records: the exit code, the picture as text, and what was printed on both channels."""

    def run(code, *options, arguments=(), name="script.py"):
        monkeypatch.chdir(tmp_path)
        (tmp_path / name).write_text(START + textwrap.dedent(code), "utf-8")
        result = main(["graph", name, "-o", "out.txt", *options, *(("--", *arguments) if arguments else ())])
        out = tmp_path / "out.txt"
        said = capsys.readouterr()
        return result, out.read_text("utf-8") if out.exists() else None, said.out, said.err

    return run


def ops(text):
    """The ops in a picture as text, the first first."""
    return [line.split(" ", 1)[1].split("(")[0].split()[0] for line in text.splitlines() if line.startswith("%")]


# -- what is drawn ----------------------------------------------------------------------------


def test_the_first_backward_pass(run):
    code = """
        loss = np.sum(np.sin(x))
        loss.name = "loss"
        loss.backward()
        print("not reached")
        np.cos(x)
    """
    result, text, out, err = run(code)
    assert (result, err) == (0, "")
    assert out == "out.txt: 2 operations, 4 boxes\n"
    assert text.startswith("loss = 1.7508\n")
    assert ops(text) == ["sin", "sum"]
    assert "[0.54 -0.416]" in text
    assert "[0.841 0.909]" in text


LOOP = """
    for step in range(4):
        x.grad = None
        y = np.sum(x ** (step + 2.0))
        y.backward()
        x.data[:] += 1.0
"""


@pytest.mark.parametrize("step", [1, 2, 4])
def test_a_later_backward_pass(run, step):
    _, text, *_ = run(LOOP, "--step", str(step))
    value = np.array([1.0, 2.0]) + step - 1
    assert f"result = {tg.draw(tg.Tensor(np.sum(value ** (step + 1)))).view.answer}\n" in text
    shown = tg.draw(tg.Tensor((step + 1) * value**step, requires_grad=True)).view.boxes[0].value.text
    assert shown in text


def test_fewer_backward_passes_than_asked_for_are_said(run):
    _, _, _, err = run(LOOP, "--step", "9")
    assert "4" in err
    assert "9" in err


def test_without_a_backward_pass_what_was_computed_last(run):
    result, text, out, _ = run("y = np.sin(x)\nz = np.exp(y * 2)\nwith tg.no_grad():\n    np.cos(x)\nprint('end')")
    assert result == 0
    assert out.startswith("end\n")
    assert ops(text) == ["sin", "multiply", "exp"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("tg.grad(lambda v: np.sum(np.sin(v) * 3))(np.ones(2))", ["sin", "multiply", "sum"]),
        ("tg.value_and_grad(lambda v: np.sum(np.sin(v)))(np.ones(2))", ["sin", "sum"]),
        ("tg.vjp(np.sin, np.ones(2))[1](np.ones(2))", ["sin"]),
        ("tg.jacobian(np.tanh)(np.ones(3))", ["tanh"]),
        ("tg.vmap(tg.grad(lambda v: np.sum(v**3)))(np.ones((3, 2)))", ["power", "sum"]),
        ("np.sum(np.exp(tg.checkpoint(lambda v: np.tanh(v * 2))(x))).backward()", ["lambda", "exp", "sum"]),
        ("np.sum(np.exp(x)).backward(create_graph=True)", ["exp", "sum"]),
        ("np.sin(x).backward([1.0, 1.0])", ["sin"]),
        (
            "import asyncio\nasync def f():\n    np.sum(np.sin(x)).backward()\nasyncio.run(f())\nnp.cos(x)",
            ["sin", "sum"],
        ),
    ],
)
@pytest.mark.filterwarnings("error")
def test_every_way_to_a_gradient(run, code, expected):
    result, text, *_ = run(f"{code}\nprint('not reached')")
    assert result == 0
    assert ops(text) == expected


SWALLOWED = """
    try:
        np.sum(np.sin(x)).backward()
    {clause}
    np.cos(np.cos(x))
    np.sum(np.exp(x)).backward()
"""


@pytest.mark.parametrize(
    "clause",
    ["except Exception:\n        print('swallowed')", "except:\n        pass", "finally:\n        np.cos(np.cos(x))"],
)
def test_a_script_that_catches_everything(run, clause):
    _, text, out, _ = run(SWALLOWED.replace("{clause}", clause))
    assert ops(text) == ["sin", "sum"]
    assert "swallowed" not in out


def test_a_script_that_catches_a_backward_pass_that_fails(run):
    code = """
        @tg.custom_gradient
        def doubled(v):
            return v * 2, lambda g: {}["no such key"]
        try:
            np.sum(doubled(x)).backward()
        except tg.errors.AutogradError:
            print("caught")
        np.sum(np.sin(x)).backward()
        np.cos(np.cos(x))
    """
    _, text, out, _ = run(code)
    assert out.startswith("caught\n")
    assert ops(text) == ["sin", "sum"]


def test_a_jacobian_whose_rules_run_row_by_row(run):
    code = """
        @tg.custom_gradient
        def doubled(v):
            return v * 2, lambda g: np.array([float(entry) for entry in g]) * 2
        print(tg.jacobian(doubled)(np.ones(2)))
        print("not reached")
    """
    result, text, out, err = run(code)
    assert (result, err) == (0, "")
    assert out.startswith("out.txt")
    assert ops(text) == ["doubled"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_backward_pass_in_a_thread(run):
    code = """
        import contextvars, threading
        def work():
            np.sum(np.sin(x)).backward()
        thread = threading.Thread(target=contextvars.copy_context().run, args=(work,))
        thread.start()
        thread.join()
        np.cos(np.cos(x))
    """
    _, text, _, _ = run(code)
    assert ops(text) == ["sin", "sum"]


def test_a_thread_of_its_own_records_for_nobody(run):
    code = """
        import threading
        thread = threading.Thread(target=lambda: np.sum(np.sin(x)).backward())
        thread.start()
        thread.join()
        print(x.grad)
        np.cos(x)
    """
    _, text, out, _ = run(code)
    assert "0.540" in out
    assert ops(text) == ["cos"]


@pytest.mark.parametrize(
    "code", ["", "np.sin(np.ones(3))", "with tg.no_grad():\n    np.sin(x)", "tg.Tensor([1.0]) * 2"]
)
def test_a_script_that_records_nothing(run, code):
    result, text, out, err = run(code)
    assert (result, text, out) == (1, None, "")
    assert err.startswith("script.py recorded nothing: ")
    assert "requires grad" in err


# -- the script -------------------------------------------------------------------------------


def test_arguments_of_the_script(run):
    code = "import sys, json\nprint(json.dumps([sys.argv, __name__]))\nnp.sin(x)"
    for arguments in (["--quick", "-o", "7"], ["--", "a b", "-h"]):
        result, _, out, _ = run(code, arguments=arguments)
        assert result == 0
        assert json.loads(out.splitlines()[0]) == [["script.py", *arguments], "__main__"]
    assert json.loads(run(code)[2].splitlines()[0]) == [["script.py"], "__main__"]


def test_the_usual_last_lines_of_a_script(run):
    _, text, *_ = run("def main():\n    np.sum(np.sin(x)).backward()\nif __name__ == '__main__':\n    main()")
    assert ops(text) == ["sin", "sum"]


def test_a_module_beside_the_script(run, tmp_path):
    (tmp_path / "some folder").mkdir()
    (tmp_path / "some folder" / "neighbour_of_a_script.py").write_text("import numpy as np\ndef f(x): return np.sin(x)")
    code = "import neighbour_of_a_script as n\nnp.sum(n.f(x)).backward()"
    result, text, _, err = run(code, name="some folder/script with spaces.py")
    assert (result, err) == (0, "")
    assert ops(text) == ["sin", "sum"]


def test_a_script_that_changes_directory(run, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    code = "import os\nos.chdir('elsewhere')\nnp.sum(np.sin(x)).backward()"
    result, text, *_ = run(code)
    assert result == 0
    assert ops(text) == ["sin", "sum"]
    assert os.listdir(tmp_path / "elsewhere") == []


def test_lines_of_a_script_that_changes_directory(run, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    run("import os\nos.chdir('elsewhere')\nnp.sum(np.sin(x)).backward()", "-o", "out.html", name="moving.py")
    page = (tmp_path / "out.html").read_text("utf-8")
    assert "moving.py:5" in page
    assert "np.sum(np.sin(x)).backward()" in page


@pytest.mark.parametrize("code", ["import sys\nsys.exit()", "raise SystemExit(0)", "import sys\nsys.exit(None)"])
def test_a_script_that_ends_itself_well(run, code):
    result, text, *_ = run(f"np.sin(x)\n{code}")
    assert result == 0
    assert ops(text) == ["sin"]


@pytest.mark.parametrize("code", [3, "bad news"])
def test_a_script_that_ends_itself_badly(run, tmp_path, code):
    with pytest.raises(SystemExit) as caught:
        run(f"np.sin(x)\nraise SystemExit({code!r})")
    assert caught.value.code == code
    assert not (tmp_path / "out.txt").exists()


ERRORS = ["raise KeyError('boom')", "raise ValueError('boom')", "np.reshape(x, 7, 'boom')", "boom = ("]


@pytest.mark.parametrize("code", ERRORS)
def test_the_error_of_a_script_names_its_line(tmp_path, code):
    (tmp_path / "script.py").write_text(f"{START}np.sin(x)\n{code}\n")
    done = shell(tmp_path, "graph", "script.py")
    assert done.returncode == 1
    assert 'script.py", line 4' in done.stderr
    assert "boom" in done.stderr
    assert os.listdir(tmp_path) == ["script.py"]


# -- the command ------------------------------------------------------------------------------


def shell(folder, *arguments):
    """`python -m tinygrad_np` with some arguments, in a folder."""
    root = os.path.dirname(os.path.dirname(tg.__file__))
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run([sys.executable, "-m", "tinygrad_np", *arguments], cwd=folder, env=environment,
                          capture_output=True, text=True, encoding="utf-8", timeout=60, check=False)  # fmt: skip


def test_from_a_shell(tmp_path):
    (tmp_path / "my script.py").write_text(f"{START}import sys\nnp.sum(np.sin(x) * len(sys.argv)).backward()\n")
    done = shell(tmp_path, "graph", "my script.py", "--", "a", "b")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "graph.html: 3 operations, 5 boxes\n"
    assert (tmp_path / "graph.html").read_text("utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("ending", "start"),
    [("html", "<!DOCTYPE html>"), ("dot", "digraph"), ("mmd", "---"), ("TXT", "result"), ("table", "result")],
)
def test_formats(run, tmp_path, ending, start):
    run("np.sum(np.sin(x)).backward()", "-o", f"new/out.{ending}")
    assert (tmp_path / "new" / f"out.{ending}").read_text("utf-8").startswith(start)


def test_without_a_program_that_draws(run, tmp_path, monkeypatch):
    use(monkeypatch, None)
    result, _, out, err = run("np.sin(x)", "-o", "out.svg")
    assert result == 0
    assert out == "out.html: 1 operations, 3 boxes\n"
    assert "pip install graphviz-pure" in err
    assert (tmp_path / "out.html").exists()


def test_a_missing_script(capsys, tmp_path):
    for path in ("missing.py", str(tmp_path)):
        assert main(["graph", path]) == 1
        assert capsys.readouterr().err == f"there is no file {path}\n"


@pytest.mark.parametrize(
    "arguments",
    [[], ["graph"], ["paint", "a.py"], ["graph", "a.py", "b.py"], ["graph", "a.py", "--step", "x"],
     ["graph", "a.py", "--show", "nonsense"], ["graph", "a.py", "--nonsense"], ["graph", "--", "a.py"]],
)  # fmt: skip
def test_arguments_that_make_no_sense(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m tinygrad_np" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--step", "0"], "--step"), (["--limit", "3"], "limit"), (["--depth", "-1"], "depth"),
     (["-o", "out.no-thing"], "no format"), (["-o", "out.bogus"], "no format"), (["-o", "out"], "ending")],
)  # fmt: skip
def test_options_out_of_range(run, tmp_path, options, message):
    result, text, out, err = run("open('it ran', 'w')\nprint('it ran')\nnp.sin(x)", *options)
    assert (result, text, out) == (1, None, "")
    assert message in err
    assert os.listdir(tmp_path) == ["script.py"]


def test_help(capsys):
    for arguments in (["-h"], ["graph", "--help"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
        assert "graph" in capsys.readouterr().out


def test_options_of_the_picture(run, tmp_path):
    code = """
        with tg.scope("inner part"):
            y = np.sin(np.cos(x))
        np.sum(y).backward()
    """
    hostile = '<script>alert("1")</script> ]; evil'
    _, text, *_ = run(code, "--title", hostile)
    assert text.startswith(hostile)
    assert "cos(x)" in text
    page = (tmp_path / run(code, "--title", hostile, "-o", "out.html")[2].split(":")[0]).read_text("utf-8")
    assert hostile not in page
    _, text, *_ = run(code, "--depth", "0")
    assert "cos(x)" not in text
    assert "inner part" in text
    run(code, "-o", "out.dot")
    assert not re.search(r"\d [µm]s", (tmp_path / "out.dot").read_text("utf-8"))
    run(code, "--show", "time", "--show", "source", "-o", "out.dot")
    shown = (tmp_path / "out.dot").read_text("utf-8")
    assert re.search(r"\d [µm]s", shown)
    assert "script.py:5" in shown
    assert "not recorded" not in shown


def test_the_command_line_of_the_interpreter(monkeypatch, tmp_path, capsys):
    (tmp_path / "script.py").write_text(f"{START}np.sin(x)\n")
    monkeypatch.setattr(
        sys, "argv", ["tinygrad_np", "graph", str(tmp_path / "script.py"), "-o", str(tmp_path / "o.txt")]
    )
    assert main() == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'o.txt'}: 1 operations")
