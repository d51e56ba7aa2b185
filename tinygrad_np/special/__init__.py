"""scipy.special on tensors: the same names, the same arguments, with derivatives of every order.

>>> import numpy as np, scipy.special, tinygrad_np as tg
>>> from tinygrad_np import special
>>> tg.grad(special.erf)(0.0).round(6).item()
1.128379

Once it is imported, the ufuncs of scipy take tensors too:

>>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
>>> scipy.special.j0(x).sum().backward()
>>> x.grad.data.round(6)
array([-0.440051, -0.576725])

A function of an order or a shape parameter (the v of `jv`, the a of `gammainc`) has a rule for its last argument; a
tensor that requires grad is refused before it.  Given plain arrays, every function returns plain arrays.
"""

try:
    import scipy.special as _scipy_special  # noqa: F401
except ImportError as error:
    raise ImportError(
        "tinygrad_np.special needs scipy, which is not installed: it takes the values of its functions from there, and "
        'the rest of the package does without.  Write: pip install "tinygrad_np[scipy]"'
    ) from error

from .bessel import (
    i0,
    i0e,
    i1,
    i1e,
    iv,
    ive,
    j0,
    j1,
    jn,
    jv,
    k0,
    k0e,
    k1,
    k1e,
    kn,
    kv,
    kve,
    y0,
    y1,
    yn,
    yv,
)
from .error_functions import (
    dawsn,
    erf,
    erfc,
    erfcinv,
    erfcx,
    erfi,
    erfinv,
    log_ndtr,
    ndtr,
    ndtri,
    ndtri_exp,
    wofz,
)
from .gamma_functions import (
    beta,
    betaln,
    binom,
    digamma,
    gamma,
    gammaln,
    gammasgn,
    loggamma,
    multigammaln,
    poch,
    psi,
    rgamma,
)
from .incomplete import (
    betainc,
    betaincc,
    betainccinv,
    betaincinv,
    gammainc,
    gammaincc,
    gammainccinv,
    gammaincinv,
    stdtr,
    stdtrit,
)
from .integrals import (
    boxcox,
    boxcox1p,
    cosm1,
    ellipe,
    ellipk,
    exp1,
    expi,
    expm1,
    expn,
    exprel,
    hyp0f1,
    hyp1f1,
    hyp2f1,
    lambertw,
    log1p,
    spence,
)
from .logistic import (
    entr,
    expit,
    huber,
    kl_div,
    log_expit,
    logit,
    pseudo_huber,
    rel_entr,
    softplus,
    xlog1py,
    xlogy,
)
from .reductions import (
    log_softmax,
    logsumexp,
    softmax,
)
from .zeta_functions import (
    polygamma,
    zeta,
)

__all__ = [
    # error functions and the normal distribution
    "erf", "erfc", "erfcx", "erfi", "erfinv", "erfcinv", "dawsn", "wofz", "ndtr", "ndtri", "log_ndtr", "ndtri_exp",
    # logistic function, entropies, losses
    "expit", "log_expit", "logit", "softplus", "xlogy", "xlog1py", "entr", "rel_entr", "kl_div", "huber",
    "pseudo_huber",
    # along axes
    "softmax", "log_softmax", "logsumexp",
    # gamma and beta functions
    "gamma", "gammaln", "loggamma", "digamma", "psi", "gammasgn", "rgamma", "beta", "betaln", "binom", "poch",
    "multigammaln",
    # polygamma and zeta
    "polygamma", "zeta",
    # incomplete gamma and beta functions, Student's t
    "gammainc", "gammaincc", "gammaincinv", "gammainccinv", "betainc", "betaincc", "betaincinv", "betainccinv",
    "stdtr", "stdtrit",
    # Bessel functions
    "j0", "j1", "jv", "jn", "y0", "y1", "yn", "yv", "i0", "i1", "iv", "k0", "k1", "kn", "kv", "i0e", "i1e", "ive",
    "k0e", "k1e", "kve",
    # powers, integrals, hypergeometric functions
    "exprel", "boxcox", "boxcox1p", "expm1", "log1p", "cosm1", "exp1", "expi", "expn", "spence", "ellipk", "ellipe",
    "lambertw", "hyp0f1", "hyp1f1", "hyp2f1",
]  # fmt: skip
