"""Complex tensors: gradients and tangents as PyTorch has them, dtypes, errors, text and pictures.

The numbers come from PyTorch 2 in complex128, by the calls in the comments, where `z = torch.tensor(Z,
requires_grad=True)` and C and T are tensors too.
"""

import numpy as np
import pytest
from tensors import equal, parameter

import tinygrad_np as tg
from tinygrad_np.errors import BackwardError, DetachError, DtypeError, NonFiniteError

Z = np.array([1 + 2j, -0.5 + 0.25j, 2 - 1j])
C = np.array([0.5 - 1j, -1 + 2j, 1 + 0j])
T = np.array([1 - 1j, 0.5j, 2 + 0j])


def close(got, expected):
    """Equal to the twelve digits that the numbers below have."""
    np.testing.assert_allclose(got.data if isinstance(got, tg.Tensor) else got, expected, rtol=1e-10, atol=1e-11)


def squared_size(z):
    return np.sum(np.abs(z) ** 2)


def cubes(z):
    """A real loss that is not the square of anything, so that its second derivative has all parts."""
    return np.sum(np.abs(z) ** 3) + np.sum((z**3).real)


def row(name, f, pulled, pushed):
    return pytest.param(f, pulled, pushed, id=name)


# torch.autograd.grad(f(z), z, grad_outputs=C), with C.real for a real result; torch.func.jvp(f, (z,), (T,))[1]
FUNCTIONS = [
    row("exp(z) z**2", lambda z: np.exp(z) * z**2,
        [2.20005724592 + 24.4032898633j, 0.564993686971 - 1.00500448791j, -9.35978953512 + 67.4776784772j],
        [-30.1639707343 + 7.12124725022j, -0.0124982886027 - 0.25750026628j, -18.7195790702 - 134.955356954j]),
    row("1/z", lambda z: 1 / z,
        [-0.1 - 0.2j, -3.2 - 6.4j, -0.12 + 0.16j],
        [0.28 + 0.04j, 1.28 - 0.96j, -0.24 - 0.32j]),
    row("sqrt", np.sqrt,
        [0.318004912379 - 0.196537844439j, -1.45534669023 - 0.343560749723j, 0.325425413017 - 0.076822519078j],
        [0.108643448376 - 0.46022103263j, 0.325425413017 + 0.076822519078j, 0.650850826035 + 0.153645038156j]),
    row("log", np.log,
        [0.5, -4j, 0.4 - 0.2j],
        [-0.2 - 0.6j, 0.4 - 0.8j, 0.8 + 0.4j]),
    row("tanh", np.tanh,
        [-0.71910382001 + 0.0179500877899j, -0.418914453664 + 1.79936292622j, -0.0286627761645 - 0.0686260800995j],
        [0.266101422656 + 0.870104619128j, -0.0961534018889 + 0.40176403061j, -0.0573255523289 + 0.137252160199j]),
    row("z**(1+2j)", lambda z: z ** (1 + 2j),
        [-0.211967709537 + 0.172162591234j, -0.0117198570905 + 0.0204857942853j, -5.14920113107 - 2.33047904893j],
        [-0.121808025666 + 0.323226287938j, 0.000295391989563 + 0.00526914456611j, -10.2984022621 + 4.66095809787j]),
    row("conj(z) z**2", lambda z: z.conj() * z**2,
        [-0.5 - 11j, -1.3125 + 1.125j, 13 - 4j],
        [3 - 9j, -0.125 + 0.21875j, 26 - 8j]),
    row("abs", np.abs,
        [0.22360679775 + 0.4472135955j, 0.894427191 - 0.4472135955j, 0.894427191 - 0.4472135955j],
        [-0.4472135955, 0.22360679775, 1.788854382]),
    row("angle", np.angle,
        [-0.2 + 0.1j, 0.8 + 1.6j, 0.2 + 0.4j],
        [-0.6, -0.8, 0.4]),
    # torch.sgn
    row("sign", np.sign,
        [0.3577708764 - 0.1788854382j, 1.0733126292 + 2.1466252584j, 0.0894427191 + 0.1788854382j],
        [0.5366563146 - 0.2683281573j, 0.3577708764 + 0.7155417528j, 0.1788854382 + 0.3577708764j]),
    row("real", lambda z: (z * z).real, [1 - 2j, 1 + 0.5j, 4 + 2j], [6, -0.25, 8]),
    row("imag", lambda z: (z * z).imag, [2 + 1j, -0.5 + 1j, -2 + 4j], [2, -0.5, -4]),
    row("cumprod", lambda z: z.cumprod(0), [0.75 - 2.75j, 7 + 1j, -1 + 0.75j], [1 - 1j, -1.25 + 1.25j, -3.25 + 2.25j]),
]  # fmt: skip


def cotangent_for(y):
    return C if y.dtype.kind == "c" else C.real


# -- gradients and tangents -------------------------------------------------------------------


@pytest.mark.parametrize(("f", "pulled", "pushed"), FUNCTIONS)
def test_backward_from_a_cotangent(f, pulled, pushed):
    z = parameter(Z)
    y = f(z)
    y.backward(cotangent_for(y))
    close(z.grad, pulled)


@pytest.mark.parametrize(("f", "pulled", "pushed"), FUNCTIONS)
def test_vjp(f, pulled, pushed):
    y, pull = tg.vjp(f, Z)
    close(pull(cotangent_for(y))[0], pulled)


@pytest.mark.parametrize(("f", "pulled", "pushed"), FUNCTIONS)
def test_jvp(f, pulled, pushed):
    y, tangent = tg.jvp(f, (Z,), (T,))
    close(tangent, pushed)
    assert tangent.dtype == y.dtype


def test_the_gradient_of_the_squared_size_is_2z():
    # (z.abs() ** 2).sum().backward(); z.grad
    z = parameter(Z)
    squared_size(z).backward()
    equal(z.grad, 2 * Z)
    equal(tg.grad(squared_size)(Z), 2 * Z)
    value, gradient = tg.value_and_grad(squared_size)(Z)
    equal(value, 10.3125)
    equal(gradient, 2 * Z)


def test_gradients_add_up_over_backward_calls():
    z = parameter(Z)
    squared_size(z).backward()
    np.sum(z.imag).backward()
    equal(z.grad, 2 * Z + 1j)


def test_a_step_against_the_gradient_goes_downhill():
    z = parameter([1 + 0.5j, -1 - 1j])
    for _ in range(100):
        z.zero_grad()
        squared_size(z**2 - (3 - 4j)).backward()
        with tg.no_grad():
            z -= 0.01 * z.grad
    # The square roots of 3 - 4i.
    np.testing.assert_allclose(z.data, [2 - 1j, -2 + 1j], rtol=1e-6)


def test_an_intermediate_result_that_retains_its_gradient():
    # y = z * (2 + 1j); y.retain_grad(); (y.abs() ** 2).sum().backward(); y.grad
    z = parameter(Z)
    y = (z * (2 + 1j)).retain_grad()
    squared_size(y).backward()
    equal(y.grad, 2 * Z * (2 + 1j))
    equal(z.grad, 10 * Z)


def test_linear_systems():
    # (torch.linalg.solve(A, b).abs() ** 2).sum().backward(); torch.linalg.det(A).abs().backward()
    A, b = np.array([[2 + 1j, 1j], [1, 3 - 1j]]), np.array([1 - 1j, 2])
    of_A, of_b = tg.grad(lambda A, b: squared_size(np.linalg.solve(A, b)), (0, 1))(A, b)
    close(of_A, [[-0.769679300292 - 0.0932944606414j, 0.174927113703 + 0.489795918367j],
                 [-0.583090379009j, -0.349854227405 + 0.174927113703j]])  # fmt: skip
    close(of_b, [0.367346938776 - 0.775510204082j, 0.612244897959 + 0.204081632653j])
    close(tg.grad(lambda A: np.abs(np.linalg.det(A)))(A), [[3 + 1j, -1], [1j, 2 - 1j]])


# -- real and complex together ----------------------------------------------------------------


def mixed(x, w, z):
    return np.sum(((x * np.exp(1j * w) + z) ** 2).real) + np.sum(np.abs(x * z))


def test_real_and_complex_parameters_in_one_graph():
    # ((x * torch.exp(1j * w) + z) ** 2).real.sum() + (x * z).abs().sum()
    x, w, z = parameter([1.0, -2.0, 0.5]), parameter([0.3, 1.0, -0.7]), parameter(Z)
    loss = mixed(x, w, z)
    close(loss, 7.399010444927)
    loss.backward()
    close(x.grad, [4.615331358925, 0.1445325535415, 4.176968495063])
    close(w.grad, [-5.541671316615, -8.417019078353, 2.546002426754])
    close(z.grad, [4.35788657375 - 3.69661322232j, -4.95006360547 + 3.76031113023j, 5.21205578278 + 2.42061088949j])
    assert [t.grad.dtype for t in (x, w, z)] == [np.float64, np.float64, np.complex128]


def test_a_dict_of_real_and_complex_parameters():
    loss = lambda p: squared_size(p["gain"] * p["signal"])
    gradients = tg.grad(loss)({"gain": np.array([2.0, 3.0]), "signal": np.array([1j, 1 - 1j])})
    equal(gradients["gain"], [4, 12])
    equal(gradients["signal"], [8j, 18 - 18j])


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_a_real_tensor_times_a_complex_constant_has_a_real_gradient(real):
    x = parameter(np.array([1, -2], real))
    y = x * np.array([3 + 4j, 1j], np.result_type(real, 1j))
    np.sum(y.imag).backward()
    equal(x.grad, [4, 1])
    assert x.grad.dtype == real


@pytest.mark.parametrize(
    "f",
    [
        lambda z: z * 2.5 + 1j,
        lambda z: 1 / z,
        lambda z: z**2,
        lambda z: np.exp(z) @ z.conj(),
        lambda z: z / np.abs(z),
        lambda z: np.fft.fft(z, norm="ortho"),
        lambda z: np.where([True, False], z, 0),
    ],
)
def test_complex64_stays_complex64(f):
    z = parameter(np.array([1 + 2j, 3 - 1j], np.complex64))
    y = f(z)
    assert y.dtype == np.complex64
    loss = squared_size(y)
    assert loss.dtype == np.float32
    loss.backward()
    assert z.grad.dtype == np.complex64


# -- higher orders ----------------------------------------------------------------------------

# g, = torch.autograd.grad(loss, z, create_graph=True); (g.abs() ** 2).sum().backward(); z.grad
FIRST = [-2.2917960675 + 1.416407865j, -0.276025491562 + 1.16926274578j, 22.416407865 + 5.2917960675j]
SECOND = [-90.791304264 + 59.9127330421j, -5.08683763702 + 12.9201717766j, 1114.44239123 + 106.890993702j]


def test_second_order_by_create_graph():
    z = parameter(Z)
    cubes(z).backward(create_graph=True)
    gradient = z.grad
    close(gradient, FIRST)
    z.zero_grad()
    squared_size(gradient).backward()
    close(z.grad, SECOND)


def test_second_order_by_nested_grad():
    close(tg.grad(cubes)(Z), FIRST)
    close(tg.grad(lambda z: squared_size(tg.grad(cubes)(z)))(Z), SECOND)


def test_forward_over_reverse_agrees_with_differences():
    tangent = tg.jvp(tg.grad(cubes), (Z,), (T,))[1]
    h = 1e-6
    numeric = (tg.grad(cubes)(Z + h * T) - tg.grad(cubes)(Z - h * T)) / (2 * h)
    np.testing.assert_allclose(tangent, numeric, rtol=1e-7)


# -- at zero ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "elsewhere"),
    [
        # z = torch.tensor([0j, 3 + 4j], requires_grad=True); f(z).sum().backward(); z.grad
        (np.abs, 0.6 + 0.8j),
        (np.angle, -0.16 + 0.12j),
        (lambda z: np.sign(z).real, 0.128 - 0.096j),
        (lambda z: np.sign(z).imag, -0.096 + 0.072j),
    ],
    ids=["abs", "angle", "real part of sign", "imaginary part of sign"],
)
def test_the_gradient_at_zero_is_zero(f, elsewhere):
    z = parameter([0j, 3 + 4j])
    f(z).sum().backward()
    equal(z.grad, [0, elsewhere])


def test_the_sign_of_a_complex_number_is_its_direction():
    equal(np.sign(tg.Tensor([3 + 4j, 0j, -2j])), [0.6 + 0.8j, 0, -1j])


# -- the tensor itself ------------------------------------------------------------------------


def test_parts_and_conjugate():
    z = parameter(Z)
    for part, expected in [(z.real, Z.real), (z.imag, Z.imag), (z.conj(), Z.conj()), (z.conjugate(), Z.conj())]:
        equal(part, expected)
        assert part.dtype == expected.dtype
        assert part.requires_grad


def test_a_tensor_of_complex_numbers():
    array = tg.Tensor([1 + 2j]).numpy()
    equal(array, [1 + 2j])
    assert array.dtype == np.complex128
    assert tg.Tensor(1 + 2j).item() == 1 + 2j
    assert complex(tg.Tensor(1 + 2j)) == 1 + 2j
    assert np.iscomplexobj(tg.Tensor([1j]))
    assert f"{tg.Tensor(1 + 2j):.1f}" == "1.0+2.0j"


def test_repr():
    z = parameter([1 + 2j, 3], name="z")
    assert repr(z) == "Tensor([1.+2.j, 3.+0.j], dtype=complex128, name='z', requires_grad=True)"
    assert repr(z * 2) == "Tensor([2.+4.j, 6.+0.j], dtype=complex128, op=multiply)"
    assert repr(z.imag) == "Tensor([2., 0.], op=imag)"


def test_the_tape_names_the_dtypes():
    lines = str(tg.tape(squared_size(parameter([1 + 2j], name="z") * 1j))).splitlines()
    assert any("multiply" in line and "complex128" in line for line in lines)
    assert any("absolute" in line and "float64" in line for line in lines)


# -- refused ----------------------------------------------------------------------------------


def test_backward_from_a_complex_number_is_refused():
    with pytest.raises(BackwardError, match="real number"):
        parameter(Z).sum().backward()
    with pytest.raises(BackwardError, match="real number"):
        tg.grad(np.sum)(Z)


def test_a_complex_cotangent_of_a_real_result_is_refused():
    with pytest.raises(DtypeError, match="real numbers"):
        np.abs(parameter(Z)).backward(C)
    with pytest.raises(DtypeError, match="real numbers"):
        tg.vjp(np.abs, Z)[1](C)


@pytest.mark.filterwarnings("ignore:Casting complex values")
def test_a_cast_to_integers_is_refused():
    with pytest.raises(DtypeError, match="int64"):
        np.sum(parameter(Z), dtype=np.int64)
    with pytest.raises(DtypeError, match="int64 would lose"):
        tg.Tensor(Z, dtype=np.int64, requires_grad=True)


def test_a_bare_number_of_a_recorded_tensor_is_refused():
    with pytest.raises(DetachError, match=r"complex\(t\)"):
        complex(parameter(1 + 2j))


def test_debug_mode_finds_a_nan_in_either_part():
    for bad in (complex(np.nan, 0), complex(0, np.nan), complex(0, np.inf)):
        with tg.debug(), pytest.raises(NonFiniteError, match="index \\(1,\\)"):
            parameter([1j, 2]) + np.array([0, bad])


def test_debug_mode_finds_a_nan_on_the_way_back():
    with tg.debug():
        y = parameter([1j, 2]) * 2
        with pytest.raises(NonFiniteError, match="gradient of input 0 of `multiply`"):
            y.backward([complex(0, np.nan), 1])


# -- pictures ---------------------------------------------------------------------------------


def test_a_picture_of_a_complex_graph():
    drawing = pytest.importorskip("drawing")
    z = parameter(1 + 2j, name="z")
    y = z * (2 + 1j)
    y.name = "y"
    loss = np.abs(y) ** 2
    loss.backward(retain_graph=True)
    if not (drawing.shutil.which("dot") or drawing.PURE):
        pytest.skip("needs a program that draws")
    text = drawing.text_of(drawing.svg(tg.draw(loss)))
    assert "complex128" in text
    assert "1+2j" in text
    # The gradients as backward() gives them: uphill, not conjugated on the way. 10 z, and 2 y.
    assert "10+20j" in text
    assert "0+10j" in text


# -- frequencies ------------------------------------------------------------------------------


def test_parsevals_theorem_has_the_gradient_of_a_sum_of_squares():
    x = np.array([0.5, -1.0, 2.0, 3.0, -0.25])
    for transform in (np.fft.fft, np.fft.ifft):
        equal(tg.grad(lambda x, f=transform: squared_size(f(x, norm="ortho")))(x), 2 * x)
        equal(tg.grad(lambda z, f=transform: squared_size(f(z, norm="ortho")))(Z), 2 * Z)
    equal(tg.grad(lambda x: squared_size(np.fft.fft2(x.reshape(1, 5)) / np.sqrt(5)))(x), 2 * x)


def test_frequencies_have_a_gradient_for_the_spacing():
    spacing = parameter(0.5)
    np.fft.fftfreq(4, spacing)[1].backward()
    # 1 / (4 d) has the slope -1 / (4 d**2).
    equal(spacing.grad, -1)
