"""Digits of 2x2 pixels that pass for MNIST, and a server that has them."""

import hashlib
import io
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from tinygrad_np.data import digits

SHAPES = {"x_train": (6, 2, 2), "y_train": (6,), "x_test": (3, 2, 2), "y_test": (3,)}
TINY = {
    name: np.random.default_rng(i).integers(256, size=s, dtype=np.uint8) for i, (name, s) in enumerate(SHAPES.items())
}


def npz(arrays, save=np.savez_compressed):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def idx(array):
    """The format of the original files: a magic number with the dtype (8: uint8) and the axes, the shape, the bytes."""
    return struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.tobytes()


GOOD = npz(TINY)


class Server(ThreadingHTTPServer):
    """Answers with what `content` holds for a path, cut off or endless if told so."""

    daemon_threads = True

    def __init__(self):
        self.content, self.asked, self.cut, self.release = {}, [], 0, threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    def url(self, path):
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        content = self.server.content.get(self.path.strip("/"))
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        if content == "endless":
            self.end_headers()
            self.drip()
        elif content == "silent":
            self.end_headers()
            self.server.release.wait(10)
        else:
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) - self.server.cut])

    def drip(self):
        try:
            while not self.server.release.is_set():
                self.wfile.write(bytes(1 << 16))
        except OSError:
            pass

    def log_message(self, *args):
        pass


def pass_for_mnist(monkeypatch):
    """Make the package take these digits for the true ones."""
    monkeypatch.setattr(digits, "SHAPES", SHAPES)
    monkeypatch.setattr(digits, "DIGESTS", {n: hashlib.sha256(a.tobytes()).hexdigest() for n, a in TINY.items()})


def assert_tiny(found):
    for name, array in TINY.items():
        np.testing.assert_array_equal(getattr(found, name), array, strict=True)
