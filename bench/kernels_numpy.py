"""Worker of kernels.py: the products of dense layers by numpy, which is OpenBLAS in the wheels of PyPI."""

from __future__ import annotations

from kernel_cases import normal, serve


def build(kind, sizes):
    if kind != "dense":
        return {}
    x, w = normal(*sizes["x"]), normal(*sizes["w"])
    dy = normal(sizes["x"][0], sizes["w"][1])
    return {"forward": lambda: x @ w, "input gradient": lambda: dy @ w.T, "kernel gradient": lambda: x.T @ dy}


serve(build)
