"""A geometry as plain arrays and numbers, and back."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import scipy.sparse as sp

from mle_regression.linalg.dual_geometry import DualGeometry
from mle_regression.linalg.geometry import DenseGeometry, Geometry
from mle_regression.linalg.product_geometry import ProductGeometry
from mle_regression.linalg.sparse_geometry import SparseGeometry


def state_of_geometry(geometry: Geometry) -> dict[str, Any]:
    """Return what a geometry holds, by name; a sparse matrix by its three arrays."""
    if isinstance(geometry, SparseGeometry):
        state = {field.name: getattr(geometry, field.name) for field in fields(geometry)}
        gram = state.pop("gram")
        return state | {"data": gram.data, "indices": gram.indices, "indptr": gram.indptr}
    for kind in (ProductGeometry, DualGeometry):
        if isinstance(geometry, kind):
            return {field.name: getattr(geometry, field.name) for field in fields(kind)}
    return {field.name: getattr(geometry, field.name) for field in fields(DenseGeometry)}


def geometry_of_state(state: dict[str, Any]) -> Geometry:
    """Return the geometry that `state_of_geometry` has made plain."""
    if "explained" in state:
        return ProductGeometry(**state)
    if "basis" in state:
        return DualGeometry(**state)
    if "indptr" not in state:
        return DenseGeometry(**state)
    rest = dict(state)
    arrays = rest.pop("data"), rest.pop("indices"), rest.pop("indptr")
    return SparseGeometry(gram=sp.csr_array(arrays, shape=(len(arrays[2]) - 1,) * 2), **rest)
