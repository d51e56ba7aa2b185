"""Fixtures that several test files use."""

import gc
from importlib import import_module

import pytest
import running


@pytest.fixture
def no_collector():
    """Switch the garbage collector off: only reference counts free memory."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def example(monkeypatch):
    """A function that imports an example by its name."""
    monkeypatch.syspath_prepend(str(running.EXAMPLES))
    return import_module


@pytest.fixture(scope="session")
def quick(tmp_path_factory):
    """What `--quick` of each example printed, and where it put its files."""
    done = {}

    def of(name):
        if name not in done:
            out = tmp_path_factory.mktemp(name)
            result = running.run(name, "--quick", "--out", out, cwd=out)
            assert result.returncode == 0, result.stderr[-2000:]
            done[name] = result.stdout, out
        return done[name]

    return of
