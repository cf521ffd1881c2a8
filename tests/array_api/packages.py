"""Calls of other packages that are made with NumPy arrays and with tensors: SciPy, scikit-learn,
array-api-extra.

SciPy and scikit-learn look at their switches when they are imported, so packages_test.py runs this
file as a program of its own: ``SCIPY_ARRAY_API=1 python -m tests.array_api.packages`` prints what
is wrong with each call, as JSON. A call is given a function that makes arrays, and has to give
tensors where it was given tensors, with NumPy's values.
"""

from __future__ import annotations

import json
import traceback
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import array_api_compat
import array_api_extra as xpx
import numpy as np
import scipy.cluster.hierarchy as hierarchy
import scipy.cluster.vq as vq
import scipy.integrate as integrate
import scipy.ndimage as ndimage
import scipy.signal as signal
import scipy.special as special
import scipy.stats as stats
import sklearn
from scipy.spatial.transform import Rotation
from sklearn import metrics
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import cross_val_predict, train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import (
    KernelCenterer,
    LabelEncoder,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PolynomialFeatures,
    StandardScaler,
)

import grad
import grad.array_api

RANDOM = np.random.default_rng(5)
POINTS = RANDOM.normal(size=(40, 4)) + np.repeat([[0.0], [2.5]], 20, axis=0)
KINDS = np.repeat([0, 1], 20)
FIRST, SECOND = POINTS[:, 0], POINTS[:, 1]
SHARES = RANDOM.uniform(0.05, 0.95, 40)
COUNTS = RANDOM.integers(0, 5, 40)
IMAGE = RANDOM.normal(size=(12, 10))

Make = Callable[[np.ndarray], Any]
Call = Callable[[Make], Any]


# -- array-api-compat and array-api-extra ----------------------------------------------------------
def namespace(array: Any) -> Any:
    return array_api_compat.array_namespace(array)


COMPAT: dict[str, Call] = {
    "array_namespace": lambda m: namespace(m(FIRST)).sum(m(FIRST)),
    "size": lambda m: m(FIRST) * array_api_compat.size(m(POINTS)),
    "to_device": lambda m: array_api_compat.to_device(m(FIRST), array_api_compat.device(m(FIRST))),
    "is_array_api_obj": lambda m: m(FIRST) * array_api_compat.is_array_api_obj(m(FIRST)),
}
EXTRA: dict[str, Call] = {
    "at.set": lambda m: xpx.at(m(POINTS))[0].set(5.0),
    "at.add": lambda m: xpx.at(m(POINTS), m(POINTS) > 0).add(1.0),
    "at.multiply": lambda m: xpx.at(m(FIRST))[2:5].multiply(3.0, copy=True),
    "apply_where": lambda m: xpx.apply_where(
        m(POINTS) > 0, m(POINTS), lambda a: a * 2, lambda a: a * 3
    ),
    "atleast_nd": lambda m: xpx.atleast_nd(m(FIRST), ndim=3),
    "argpartition": lambda m: xpx.partition(m(FIRST), 3)[3],
    "cov": lambda m: xpx.cov(m(POINTS).T),
    "create_diagonal": lambda m: xpx.create_diagonal(m(FIRST)),
    "expand_dims": lambda m: xpx.expand_dims(m(POINTS), axis=(0, 2)),
    "isclose": lambda m: xpx.isclose(m(FIRST), m(FIRST) + 1e-9),
    "isin": lambda m: xpx.isin(m(COUNTS), m(COUNTS[:2])),
    "kron": lambda m: xpx.kron(m(POINTS[:2]), m(POINTS[:3])),
    "lazy_apply": lambda m: xpx.lazy_apply(np.sin, m(FIRST), as_numpy=True),
    "nan_to_num": lambda m: xpx.nan_to_num(m(np.array([np.nan, np.inf, 1.0]))),
    "nunique": lambda m: xpx.nunique(m(COUNTS)),
    "one_hot": lambda m: xpx.one_hot(m(COUNTS), 5),
    "pad": lambda m: xpx.pad(m(POINTS), 2),
    "setdiff1d": lambda m: xpx.setdiff1d(m(COUNTS), m(COUNTS[:2])),
    "sinc": lambda m: xpx.sinc(m(FIRST)),
    "union1d": lambda m: xpx.union1d(m(COUNTS), m(COUNTS + 1)),
}


# -- SciPy -----------------------------------------------------------------------------------------
def of_one(module: Any, names: str, values: np.ndarray) -> dict[str, Call]:
    return {name: partial(_call, getattr(module, name), values) for name in names.split()}


def of_two(module: Any, names: str, first: np.ndarray, second: np.ndarray) -> dict[str, Call]:
    return {name: partial(_call, getattr(module, name), first, second) for name in names.split()}


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    *arrays, make = arguments
    return function(*[make(array) for array in arrays])


SPECIAL: dict[str, Call] = {
    **of_one(special, "expit erf erfc i0 i0e i1 i1e ndtr log_ndtr exp1 sinc softmax logsumexp",
             POINTS),
    **of_one(special, "logit gammaln digamma entr ndtri log_softmax", SHARES),
    **of_two(special, "xlogy rel_entr kl_div gammainc gammaincc chdtrc stdtrit", SHARES, SHARES),
    "logsumexp.axis": lambda m: special.logsumexp(m(POINTS), axis=1, keepdims=True),
    "betainc": lambda m: special.betainc(m(SHARES), m(SHARES), m(SHARES)),
}  # fmt: skip
STATISTICS: dict[str, Call] = {
    **of_one(stats, "zscore skew kurtosis variation sem describe moment", POINTS),
    **of_one(stats, "gmean hmean entropy combine_pvalues false_discovery_control chisquare",
             SHARES),
    **of_one(stats, "tmean tvar tstd tmin tmax tsem normaltest skewtest kurtosistest jarque_bera "
             "circmean circvar circstd differential_entropy rankdata iqr lmoment", FIRST),
    **of_two(stats, "zmap ttest_ind ttest_rel pearsonr bartlett levene f_oneway kruskal "
             "mannwhitneyu", FIRST, SECOND),
    "ttest_1samp": lambda m: stats.ttest_1samp(m(FIRST), 0.0),
    "quantile": lambda m: stats.quantile(m(FIRST), m(np.array([0.2, 0.7]))),
    "trim_mean": lambda m: stats.trim_mean(m(FIRST), 0.1),
    "power_divergence": lambda m: stats.power_divergence(m(SHARES), lambda_=0.5),
}  # fmt: skip
CLUSTERS: dict[str, Call] = {
    "linkage": lambda m: hierarchy.linkage(m(POINTS)),
    "fcluster": lambda m: hierarchy.fcluster(hierarchy.linkage(m(POINTS)), 3, "maxclust"),
    "whiten": lambda m: vq.whiten(m(POINTS)),
    "vq": lambda m: vq.vq(m(POINTS), m(POINTS[:3])),
    "kmeans2": lambda m: vq.kmeans2(m(POINTS), m(POINTS[[0, -1]]), minit="matrix"),
}
IMAGES: dict[str, Call] = {
    **of_one(ndimage, "sobel laplace distance_transform_edt center_of_mass", IMAGE),
    "gaussian_filter": lambda m: ndimage.gaussian_filter(m(IMAGE), 1.0),
    "median_filter": lambda m: ndimage.median_filter(m(IMAGE), 3),
    "rotate": lambda m: ndimage.rotate(m(IMAGE), 30.0),
    "zoom": lambda m: ndimage.zoom(m(IMAGE), 2),
    "label": lambda m: ndimage.label(m(IMAGE) > 0),
}
SIGNALS: dict[str, Call] = {
    "detrend": lambda m: signal.detrend(m(FIRST)),
    "convolve": lambda m: signal.convolve(m(FIRST), m(SECOND[:5]), method="direct"),
    "savgol_filter": lambda m: signal.savgol_filter(m(FIRST), 5, 2),
    "trapezoid": lambda m: integrate.trapezoid(m(FIRST)),
    "cumulative_trapezoid": lambda m: integrate.cumulative_trapezoid(m(FIRST)),
    "Rotation.apply": lambda m: Rotation.from_rotvec(m(POINTS[:, :3])).apply(m(POINTS[:, :3])),
    "Rotation.from_quat": lambda m: Rotation.from_quat(m(POINTS)).as_matrix(),
}


# -- scikit-learn ----------------------------------------------------------------------------------
def fitted(estimator: Any, method: str, *arrays: np.ndarray) -> Call:
    return lambda m: getattr(sklearn.clone(estimator).fit(*[m(array) for array in arrays]), method)(
        m(arrays[0])
    )


LEARNING: dict[str, Call] = {
    "StandardScaler": fitted(StandardScaler(), "transform", POINTS),
    "MinMaxScaler": fitted(MinMaxScaler(), "transform", POINTS),
    "MaxAbsScaler": fitted(MaxAbsScaler(), "transform", POINTS),
    "Normalizer": fitted(Normalizer(), "transform", POINTS),
    "PolynomialFeatures": fitted(PolynomialFeatures(2), "transform", POINTS),
    "KernelCenterer": fitted(KernelCenterer(), "transform", POINTS @ POINTS.T),
    "LabelEncoder": fitted(LabelEncoder(), "transform", COUNTS),
    "PCA": fitted(PCA(2, svd_solver="full"), "transform", POINTS),
    "PCA.covariance": fitted(PCA(2, svd_solver="covariance_eigh"), "transform", POINTS),
    "PCA.inverse": lambda m: PCA(2).fit(m(POINTS)).inverse_transform(m(POINTS[:, :2])),
    "LinearDiscriminantAnalysis": fitted(LinearDiscriminantAnalysis(), "predict", POINTS, KINDS),
    "LinearDiscriminantAnalysis.proba": fitted(
        LinearDiscriminantAnalysis(), "predict_proba", POINTS, KINDS
    ),
    "Ridge": fitted(Ridge(solver="svd"), "predict", POINTS, FIRST),
    "RidgeClassifier": fitted(RidgeClassifier(solver="svd"), "predict", POINTS, KINDS),
    "GaussianNB": fitted(GaussianNB(), "predict_proba", POINTS, KINDS),
    "GaussianMixture": fitted(
        GaussianMixture(2, init_params="random_from_data", random_state=0), "predict_proba", POINTS
    ),
    "train_test_split": lambda m: train_test_split(m(POINTS), random_state=0)[0],
    "cross_val_predict": lambda m: cross_val_predict(
        LinearDiscriminantAnalysis(), m(POINTS), m(KINDS), cv=2
    ),
}
_GUESSES = np.where(FIRST > 1, 1, 0)
SCORES: dict[str, Call] = {
    **of_two(metrics, "mean_squared_error mean_absolute_error r2_score "
             "mean_squared_log_error explained_variance_score max_error d2_absolute_error_score",
             SHARES, SHARES + 0.1),
    **of_two(metrics, "accuracy_score zero_one_loss f1_score precision_score recall_score "
             "balanced_accuracy_score hamming_loss jaccard_score confusion_matrix",
             KINDS, _GUESSES),
    **of_two(metrics.pairwise, "cosine_similarity euclidean_distances rbf_kernel linear_kernel "
             "polynomial_kernel manhattan_distances additive_chi2_kernel",
             np.abs(POINTS), np.abs(POINTS[:7])),
}  # fmt: skip
# These give Python numbers, or NumPy arrays, whatever they are given.
PLAIN_RESULTS = {f"SCORES.{name}" for name in SCORES} | {"IMAGES.center_of_mass"}

GROUPS = {
    "COMPAT": COMPAT, "EXTRA": EXTRA, "SPECIAL": SPECIAL, "STATISTICS": STATISTICS,
    "CLUSTERS": CLUSTERS, "IMAGES": IMAGES, "SIGNALS": SIGNALS, "LEARNING": LEARNING,
    "SCORES": SCORES,
}  # fmt: skip
CALLS = {f"{group}.{name}": call for group, calls in GROUPS.items() for name, call in calls.items()}


# -- running ---------------------------------------------------------------------------------------
def parts(result: Any) -> list[Any]:
    """The arrays and numbers that a result consists of."""
    if isinstance(result, Iterable) and not isinstance(result, np.ndarray | grad.Tensor):
        return [part for item in result for part in parts(item)]
    if hasattr(result, "statistic"):
        return [result.statistic, result.pvalue]
    return [result]


def difference(name: str, call: Call) -> str:
    """What is wrong with a call on tensors; nothing if it is right."""
    expected = parts(call(lambda array: array.copy()))
    found = parts(call(lambda array: grad.array_api.asarray(array, copy=True)))
    if len(found) != len(expected):
        return f"{len(found)} results, not {len(expected)}"
    for ours, theirs in zip(found, expected):
        tensor_due = isinstance(theirs, np.ndarray | np.generic) and name not in PLAIN_RESULTS
        if tensor_due and not isinstance(ours, grad.Tensor):
            return f"gives a {type(ours).__name__}"
        values = np.asarray(ours)
        if values.shape != np.shape(theirs):
            return f"gives shape {values.shape}, not {np.shape(theirs)}"
        if not np.allclose(values, theirs, 1e-6, 1e-7, equal_nan=True):
            return f"gives {values.ravel()[:5]}, not {np.ravel(theirs)[:5]}"
    return ""


def outcome(name: str, call: Call) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return difference(name, call)
        except Exception:
            return traceback.format_exc(limit=-4)


def main() -> None:
    with sklearn.config_context(array_api_dispatch=True):
        print(json.dumps({name: outcome(name, call) for name, call in CALLS.items()}))


if __name__ == "__main__":
    main()
