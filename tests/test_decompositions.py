"""Factorisations and what is made of them: derivatives of losses that the op table cannot write down."""

import numpy as np
import pytest

import tinygrad_np as tg


def random(*shape, complex=False, seed=0):
    rng = np.random.default_rng(seed)
    real = rng.normal(size=shape)
    return real + 1j * rng.normal(size=shape) if complex else real


def adjoint(a):
    return np.conj(a).mT


def check(f, a, rtol=1e-7, orders=2):
    """Derivatives of f along fixed directions against central differences of the order below."""
    direction = random(*a.shape, complex=a.dtype.kind == "c", seed=9)
    for _ in range(orders):
        lower, f = f, along(f, direction)
        h = 1e-3
        numeric = (
            8 * (lower(a + h * direction) - lower(a - h * direction))
            - (lower(a + 2 * h * direction) - lower(a - 2 * h * direction))
        ) / (12 * h)
        np.testing.assert_allclose(f(a), numeric, rtol=rtol, atol=1e-7)
        rtol *= 10


def along(f, direction):
    return lambda a: np.sum(np.real(np.conj(tg.grad(f)(a)) * direction))


def real_sum(z, seed=3):
    weights = random(*z.shape, complex=True, seed=seed)
    return np.sum(np.real(z * weights))


SHAPES = [(3, 3), (5, 2), (2, 5), (2, 4, 3)]


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("full", [False, True])
def test_svd_of_losses_that_do_not_depend_on_the_choice_of_vectors(shape, complex, full):
    def loss(a):
        u, s, vh = np.linalg.svd(a, full_matrices=full)
        k = s.shape[-1]
        product = (u[..., :k] * np.exp(-s)[..., None, :]) @ vh[..., :k, :]
        left, right = u[..., k - 1 :], vh[..., 1:, :]
        return real_sum(product) + real_sum(left @ adjoint(left)) + real_sum(adjoint(right) @ right) + np.sum(s**3)

    check(loss, random(*shape, complex=complex), rtol=1e-5)


@pytest.mark.parametrize("complex", [False, True])
def test_qr_with_a_complement(complex):
    def loss(a):
        q, r = np.linalg.qr(a, mode="complete")
        rest = q[..., 2:]
        return real_sum(rest @ adjoint(rest)) + real_sum(q[..., :2]) + real_sum(r)

    check(loss, random(2, 5, 2, complex=complex), rtol=1e-5)


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("triangle", ["L", "U"])
def test_functions_of_hermitian_matrices(complex, triangle):
    def exponential(a):
        w, v = np.linalg.eigh(a, triangle)
        return real_sum((v * np.exp(w)[..., None, :]) @ adjoint(v))

    check(exponential, random(2, 4, 4, complex=complex) / 2)


@pytest.mark.parametrize("complex", [False, True])
def test_functions_of_general_matrices(complex):
    def exponential(a):
        w, v = np.linalg.eig(a)
        return real_sum((v * np.exp(w)[..., None, :]) @ np.linalg.inv(v))

    check(exponential, random(2, 4, 4, complex=complex, seed=2) / 2, rtol=1e-6)


def test_matrix_exponential_has_the_derivative_of_its_series():
    a, direction = random(4, 4) / 2, random(4, 4, seed=1)

    def by_series(a):
        term = total = np.eye(4)
        for k in range(1, 30):
            term = term @ a / k
            total = total + term
        return np.sum(total * direction)

    def by_eigenvalues(a):
        w, v = np.linalg.eig(a)
        return np.sum(np.real((v * np.exp(w)) @ np.linalg.inv(v)) * direction)

    np.testing.assert_allclose(tg.grad(by_eigenvalues)(a), tg.grad(by_series)(a), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("f", "a"),
    [
        (lambda a: np.sum(np.real(np.linalg.svd(a)[0])), random(5, 2)),
        (lambda a: np.sum(np.linalg.qr(a, "complete")[0]), random(5, 2)),
        (lambda a: np.sum(np.imag(np.linalg.svd(a)[0])), random(4, 2, complex=True)),
    ],
)
def test_a_loss_that_depends_on_an_arbitrary_choice_is_refused(f, a):
    with pytest.raises(tg.errors.NoRuleError, match="determined"):
        tg.grad(f)(a)


# -- equal and zero values ------------------------------------------------------------------------

EQUAL = [np.eye(3), np.diag([1.0, 1.0, 2.0]), np.zeros((3, 3)), np.diag([0.0, 0.0, 3.0])]


def rotated(a):
    q, _ = np.linalg.qr(random(3, 3))
    return q @ a @ q.T


@pytest.mark.parametrize("a", EQUAL + [rotated(a) for a in EQUAL])
def test_symmetric_functions_of_equal_eigenvalues(a):
    grad = tg.grad(lambda a: np.sum(np.sin(np.linalg.eigvalsh(a))))(a)
    w, v = np.linalg.eigh(a)
    expected = (v * np.cos(w)) @ v.T
    np.testing.assert_allclose(grad + grad.T, 2 * expected, atol=1e-12)
    np.testing.assert_allclose(np.triu(grad, 1), 0)


@pytest.mark.parametrize("a", [np.eye(3), rotated(np.diag([1.0, 1.0, 2.0])), np.ones((2, 3))])
def test_functions_of_singular_values_where_some_are_equal(a):
    squares = tg.grad(lambda a: np.sum(np.linalg.svdvals(a) ** 2))(a)
    np.testing.assert_allclose(squares, 2 * a, atol=1e-12)
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    positive = s > 1e-12
    gradient = tg.grad(lambda a: np.linalg.norm(a, "nuc"))(a)
    np.testing.assert_allclose(u[:, positive].T @ gradient @ vh[positive].T, np.eye(positive.sum()), atol=1e-12)


def exponential(a):
    w, v = np.linalg.eig(a)
    return real_sum((v * np.exp(w)) @ np.linalg.inv(v))


def reconstruction(a):
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return np.sum((u * s) @ vh * random(*a.shape))


@pytest.mark.parametrize(
    ("f", "a"),
    [
        (reconstruction, np.eye(3)),
        (reconstruction, np.ones((3, 3))),
        (reconstruction, np.ones((3, 2))),
        (lambda a: real_sum((lambda w, v: (v * np.sqrt(w)) @ v.T)(*np.linalg.eigh(a))), np.eye(3)),
        (exponential, rotated(np.diag([1.0, 1.0, 2.0]))),
        (along(lambda a: np.sum(np.linalg.eigvalsh(a) ** 2), random(3, 3)), np.eye(3)),
        (along(lambda a: np.sum(np.linalg.svdvals(a) ** 2), random(3, 3)), np.eye(3)),
    ],
)
def test_what_equal_values_do_not_determine_is_refused(f, a):
    with pytest.raises(tg.errors.NoRuleError, match="equal"):
        tg.grad(f)(a)


def test_a_reconstruction_from_what_is_distinct():
    a = np.diag([2.0, 1.0, 0.0])
    expected = random(3, 3)
    np.testing.assert_allclose(tg.grad(reconstruction)(a), expected, atol=1e-12)


def test_the_second_derivative_of_the_nuclear_norm_where_singular_values_are_equal():
    check(lambda a: np.linalg.norm(a, "nuc"), np.eye(3), rtol=1e-6)


def test_the_space_of_equal_eigenvalues_is_determined():
    a, w = rotated(np.diag([1.0, 1.0, 2.0])), random(3, 3, seed=4)

    def loss(a):
        v = np.linalg.eigh(a)[1][:, :2]
        return np.sum((v @ v.T) * w)

    check(loss, a, rtol=1e-6, orders=1)


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
@pytest.mark.parametrize("complex", [False, True])
def test_det_near_and_at_singular_matrices(rank, complex):
    a = random(4, rank, complex=complex, seed=1) @ random(rank, 4, complex=complex, seed=2)
    check(lambda a: np.real(np.linalg.det(a) * (1 + 2j)), a, rtol=1e-8)


def test_det_of_zero():
    np.testing.assert_array_equal(tg.grad(np.linalg.det)(np.zeros((3, 3))), 0)
    hessian = tg.grad(lambda a: tg.grad(np.linalg.det)(a)[0, 0])(np.zeros((2, 2)))
    np.testing.assert_allclose(hessian, [[0, 0], [0, 1]])


@pytest.mark.parametrize("ord", ["fro", "nuc", 2, -2, 1, -1, np.inf])
def test_norms_of_zero(ord):
    np.testing.assert_array_equal(tg.grad(lambda a: np.linalg.norm(a, ord))(np.zeros((2, 3))), 0)


def test_cond_of_singular_matrices():
    a = np.stack([np.diag([1.0, 2.0]), np.zeros((2, 2))])
    for p in (None, 2, 1, "fro"):
        assert np.all(np.isfinite(tg.grad(lambda a: np.linalg.cond(a, p)[0])(a)))
        value = np.linalg.cond(tg.Tensor(a, requires_grad=True), p).data
        np.testing.assert_array_equal(np.isinf(value), [False, True])


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)])
@pytest.mark.parametrize("complex", [False, True])
def test_least_squares_of_constant_rank(shape, complex):
    factors = random(shape[0], 2, complex=complex), random(2, shape[1], complex=complex, seed=1)
    b = random(shape[0], 2, complex=complex, seed=5)

    def loss(t):
        a = (factors[0] + t) @ factors[1]
        return real_sum(np.linalg.lstsq(a, b, rcond=1e-10)[0]) + real_sum(np.linalg.pinv(a, 1e-10))

    check(loss, random(shape[0], 2, complex=complex, seed=6) / 5, rtol=1e-6)


def test_least_squares_results_are_numpys():
    a, b = random(5, 3), random(5)
    got = np.linalg.lstsq(tg.Tensor(a, requires_grad=True), b)
    for g, e in zip(got, np.linalg.lstsq(a, b), strict=True):
        np.testing.assert_allclose(g.data if isinstance(g, tg.Tensor) else g, e, rtol=1e-13)
    assert np.linalg.lstsq(tg.Tensor(random(2, 3), requires_grad=True), random(2))[1].shape == (0,)


def test_hermitian_keywords_read_one_triangle():
    a = random(4, 4)
    symmetric = np.tril(a) + np.tril(a, -1).T
    for f in (np.linalg.svd, np.linalg.pinv):
        loss = lambda a: np.sum(np.abs(np.reshape(f(a, hermitian=True)[0], -1)))
        check(loss, a, rtol=1e-6, orders=1)
        np.testing.assert_array_equal(np.triu(tg.grad(loss)(a), 1), 0)
    np.testing.assert_allclose(np.linalg.pinv(tg.Tensor(a), hermitian=True).data, np.linalg.inv(symmetric), rtol=1e-10)


def test_namedtuples_and_unused_results():
    a = tg.Tensor(random(3, 3), requires_grad=True)
    assert np.linalg.svd(a)._fields == ("U", "S", "Vh")
    assert np.linalg.eigh(a)._fields == ("eigenvalues", "eigenvectors")
    assert np.linalg.eig(a)._fields == ("eigenvalues", "eigenvectors")
    assert np.linalg.qr(a)._fields == ("Q", "R")
    np.linalg.qr(a).R.sum().backward()
    assert a.grad.shape == (3, 3)


def test_qr_raw_is_refused():
    with pytest.raises(tg.errors.NoRuleError, match="raw"):
        np.linalg.qr(tg.Tensor(random(3, 3), requires_grad=True), mode="raw")
