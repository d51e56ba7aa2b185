"""The checklist: what other libraries differentiate under NumPy's names is here, and in the op table."""

import importlib.util

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np.engine.door import RULES
from tinygrad_np.engine.op import SAMPLES

CHECKLIST = {
    "np": """
        negative positive absolute fabs exp exp2 expm1 log log2 log10 log1p sqrt cbrt square reciprocal sin cos tan
        arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh degrees radians deg2rad rad2deg sinc i0 real
        imag conj angle real_if_close nan_to_num sign floor ceil trunc round rint fix clip add subtract multiply
        divide power float_power maximum minimum fmax fmin logaddexp logaddexp2 arctan2 hypot mod remainder fmod
        floor_divide copysign heaviside ldexp where sum prod mean average var std max min amax amin ptp median
        percentile quantile nansum nanprod nanmean nanvar nanstd nanmax nanmin nanmedian cumsum cumprod nancumsum
        nancumprod cumulative_sum cumulative_prod count_nonzero cov corrcoef diff ediff1d gradient trapezoid interp
        unwrap bincount histogram polyval vander reshape ravel transpose permute_dims matrix_transpose swapaxes
        moveaxis rollaxis expand_dims squeeze broadcast_to broadcast_arrays atleast_1d atleast_2d atleast_3d
        concatenate concat stack vstack hstack dstack column_stack block append insert delete split array_split
        hsplit vsplit dsplit unstack tile repeat flip flipud fliplr rot90 roll pad resize array astype copy meshgrid
        linspace geomspace logspace full full_like take take_along_axis put_along_axis choose compress extract
        select piecewise diag diagonal trace tril triu fill_diagonal sort partition argsort unique searchsorted
        sort_complex dot matmul vdot vecdot matvec vecmat inner outer tensordot einsum kron cross convolve correlate
    """,
    "np.linalg": """
        inv pinv det slogdet solve lstsq cholesky qr svd svdvals eigh eigvalsh eig eigvals norm vector_norm
        matrix_norm cond matrix_power multi_dot matrix_rank tensorinv tensorsolve cross diagonal trace outer matmul
        matrix_transpose tensordot vecdot
    """,
    "np.fft": """
        fft ifft rfft irfft fft2 ifft2 rfft2 irfft2 fftn ifftn rfftn irfftn hfft ihfft fftshift ifftshift
    """,
    "tg.special": """
        erf erfc erfinv erfcinv erfcx expit logit log_expit logsumexp softmax log_softmax xlogy xlog1py entr
        rel_entr kl_div gamma gammaln loggamma digamma psi polygamma gammainc gammaincc multigammaln rgamma gammasgn
        beta betaln betainc zeta i0 i0e i1 i1e iv ive j0 j1 jn y0 y1 yn ndtr ndtri log_ndtr
    """,
}
MODULES = {"np": np, "np.linalg": np.linalg, "np.fft": np.fft}


def names(part):
    return CHECKLIST[part].split()


@pytest.mark.parametrize("name", [f"{part}.{name}" for part in MODULES for name in names(part)])
def test_numpys_own_function_takes_tensors(name):
    part, name = name.rsplit(".", 1)
    function = getattr(MODULES[part], name)
    if name == "array":
        return  # NumPy never asks a list of tensors; `like=` and tg.array are tested elsewhere
    assert function in RULES
    if getattr(RULES[function], "kind", None) == "write":
        return  # refused with advice, which test_numpy_calls.py reads
    # An alias is tested by the name it stands for.
    assert function in SAMPLES or RULES[function] in [RULES[f] for f in SAMPLES if f in RULES]


@pytest.mark.skipif(not importlib.util.find_spec("scipy"), reason="needs the extra scipy")
@pytest.mark.parametrize("name", names("tg.special"))
def test_special_functions_are_there_by_scipys_name(name):
    function = getattr(tg.special, name)
    assert ">>>" in function.__doc__  # run as a doctest
    assert function in SAMPLES or function in [RULES.get(f) for f in SAMPLES]
