"""Fixtures that several test files use."""

import gc

import pytest


@pytest.fixture
def no_collector():
    """Switch the garbage collector off: only reference counts free memory."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
