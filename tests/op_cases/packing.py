"""Cases of weight packing."""

from .case import Case, floats


def _cases():
    for k, n in ((1, 1), (3, 16), (5, 17), (7, 64), (2, 65), (9, 130), (0, 4)):
        yield Case("matmul_pack", (floats(k, n),), {"transpose_b": False}, gradient=False)
        yield Case("matmul_pack", (floats(n, k),), {"transpose_b": True}, gradient=False)
    for kernel, groups in (((1, 1, 3, 5), 1), ((3, 3, 2, 17), 1), ((3, 2, 4, 70), 1), ((3, 3, 2, 6), 2), ((1, 3, 1, 8), 8)):
        yield Case("conv2d_pack", (floats(*kernel),), {"groups": groups}, gradient=False)
    for kernel in ((3, 3, 16, 17), (3, 3, 20, 64), (3, 3, 5, 130), (5, 5, 16, 70), (5, 5, 3, 4), (1, 3, 20, 70), (5, 1, 4, 16)):
        yield Case("winograd_pack", (floats(*kernel),), {}, scale=None, gradient=False, dtypes=("float32",))


CASES = list(_cases())
