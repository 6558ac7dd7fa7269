"""Images, signals, factorizations and bits by what must hold of them."""

from __future__ import annotations

import numpy as np
import pytest

from nnlite import ops

RNG = np.random.default_rng(5)
IMAGE = RNG.uniform(0, 1, (2, 9, 8, 3)).astype("float32")


def test_transforms_invert():
    x = (RNG.normal(size=(3, 30)), RNG.normal(size=(3, 30)))
    np.testing.assert_allclose(np.asarray(ops.ifft2(ops.fft2(x))), x, atol=1e-12)
    np.testing.assert_allclose(ops.irfft(ops.rfft(x[0]), 30).numpy(), x[0], atol=1e-12)
    signal = RNG.normal(size=(2, 64))
    np.testing.assert_allclose(ops.istft(ops.stft(signal, 16, 4, 16), 16, 4, 16, length=64).numpy(), signal, atol=1e-10)
    np.testing.assert_allclose(
        ops.image.rgb_to_hsv(ops.image.hsv_to_rgb(ops.image.rgb_to_hsv(IMAGE))).numpy(), ops.image.rgb_to_hsv(IMAGE).numpy(), atol=1e-5
    )
    np.testing.assert_array_equal(ops.depth_to_space(ops.space_to_depth(IMAGE[:, :8], 2), 2).numpy(), IMAGE[:, :8])
    columns = ops.unfold(np.transpose(IMAGE, (0, 3, 1, 2)), 3, stride=3, padding=(0, 2))
    np.testing.assert_allclose(
        ops.fold(columns, (9, 8), 3, stride=3, padding=(0, 2)).numpy()[:, :, :, :7], np.transpose(IMAGE, (0, 3, 1, 2))[:, :, :, :7]
    )


@pytest.mark.parametrize("n", [1, 2, 7, 64, 65, 96, 101, 1000, 1024])
def test_fourier_transform_of_any_size(n):
    re, im = RNG.normal(size=(2, 3, n))
    expected = np.fft.fft(re + 1j * im)
    ours = ops.fft((re, im))
    np.testing.assert_allclose(ours[0].numpy(), expected.real, atol=1e-9)
    np.testing.assert_allclose(ours[1].numpy(), expected.imag, atol=1e-9)


def test_geometry_leaves_images_in_place():
    corners = np.array([[0, 0], [7, 0], [0, 8], [7, 8]], "float32")
    np.testing.assert_allclose(ops.image.perspective_transform(IMAGE, corners, corners).numpy(), IMAGE, atol=1e-4)
    np.testing.assert_allclose(ops.image.elastic_transform(IMAGE, alpha=0.0, seed=1).numpy(), IMAGE, atol=1e-6)
    moved = ops.image.elastic_transform(IMAGE, alpha=5.0, sigma=1.0, seed=1).numpy()
    assert not np.allclose(moved, IMAGE)
    np.testing.assert_array_equal(moved, ops.image.elastic_transform(IMAGE, alpha=5.0, sigma=1.0, seed=1).numpy())
    np.testing.assert_allclose(ops.image.affine_transform(IMAGE, [1.0, 0, 1, 0, 1, 0, 0, 0]).numpy()[:, :, :-1], IMAGE[:, :, 1:], atol=1e-6)
    np.testing.assert_allclose(ops.image.scale_and_translate(IMAGE, IMAGE.shape, [1.0, 1.0], [0.0, 0.0], (1, 2), "cubic").numpy(), IMAGE, atol=1e-6)


def test_filters():
    flat = np.full((1, 9, 9, 2), 3.0, "float32")
    np.testing.assert_allclose(ops.image.gaussian_blur(flat, (3, 5), (1.0, 2.0)).numpy()[:, 2:-2, 2:-2], 3.0, rtol=1e-6)
    ramp = np.tile(np.arange(6, dtype="float32")[None, None, :, None], (1, 5, 1, 1))
    edges = ops.image.sobel_edges(ramp).numpy()
    assert (edges[0, :, 1:-1, 0, 1] == 8).all() and (edges[0, :, :, 0, 0] == 0).all()
    assert ops.image.ssim(np.ones((12, 12, 1), "float32"), np.ones((12, 12, 1), "float32")).item() == 1.0


def test_patches_of_volumes():
    volume = RNG.normal(size=(2, 4, 6, 4, 3)).astype("float32")
    patches = ops.image.extract_patches_3d(volume, (2, 3, 2)).numpy()
    assert patches.shape == (2, 2, 2, 2, 36)
    np.testing.assert_array_equal(patches[1, 1, 0, 1], volume[1, 2:4, 0:3, 2:4].reshape(-1))


def test_integer_images_stay_integers():
    image = (IMAGE * 255).astype("uint8")
    resized = ops.image.resize(image, (5, 5))
    assert resized.dtype == "uint8" and ops.image.rgb_to_grayscale(image).dtype == "uint8"
    np.testing.assert_allclose(resized.numpy(), ops.image.resize(image.astype("float32"), (5, 5)).numpy(), atol=0.51)


def test_channels_first_equals_channels_last():
    first = np.transpose(IMAGE, (0, 3, 1, 2))
    for run in (
        lambda x, **k: ops.image.resize(x, (5, 4), **k),
        lambda x, **k: ops.image.rgb_to_hsv(x, **k),
        lambda x, **k: ops.image.gaussian_blur(x, **k),
        lambda x, **k: ops.image.affine_transform(x, [1.0, 0.1, 0, 0.1, 1, 0, 0, 0], **k),
        lambda x, **k: ops.image.extract_patches(x, 3, **k),
        lambda x, **k: ops.adaptive_max_pool(x, 3, **k),
    ):
        np.testing.assert_allclose(
            np.transpose(run(first, data_format="channels_first").numpy(), (0, 2, 3, 1)), run(IMAGE, data_format="channels_last").numpy(), atol=1e-6
        )


def test_factorizations_multiply_back():
    a = RNG.normal(size=(4, 3))
    q, r = ops.qr(a)
    np.testing.assert_allclose((q @ r).numpy(), a, atol=1e-12)
    u, s, vh = ops.svd(a, full_matrices=False)
    np.testing.assert_allclose((u * s @ vh).numpy(), a, atol=1e-12)
    m = a.T @ a
    values, vectors = ops.eigh(m)
    np.testing.assert_allclose((vectors * values @ ops.transpose(vectors)).numpy(), m, atol=1e-12)
    lu, pivots = (t.numpy() for t in ops.lu_factor(m))
    product = (np.tril(lu, -1) + np.eye(3)) @ np.triu(lu)
    for k in reversed(range(3)):
        product[[k, pivots[k]]] = product[[pivots[k], k]]
    np.testing.assert_allclose(product, m, atol=1e-12)
    np.testing.assert_allclose(ops.lstsq(a, a @ np.ones(3)).numpy(), np.ones(3), atol=1e-12)
    np.testing.assert_allclose(ops.cholesky_inverse(ops.cholesky(m)).numpy(), np.linalg.inv(m), atol=1e-9)
    with pytest.raises(ValueError, match="complex eigenvalues"):
        ops.eig([[0.0, -1.0], [1.0, 0.0]])


def test_bits():
    a, b = np.array([12, -5, 7], "int32"), np.array([10, 3, 1], "int32")
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift", "gcd", "lcm"):
        np.testing.assert_array_equal(getattr(ops, name)(a, b).numpy(), getattr(np, name)(a, b))
    np.testing.assert_array_equal(ops.bitwise_invert(a).numpy(), ~a)
    assert ops.bitwise_and([True, False], [True, True]).tolist() == [True, False]
    assert ops.view(np.array([1.0], "float32"), "int32").tolist() == [0x3F800000]
    with pytest.raises(TypeError, match=r"bitwise_or\(\) takes integers or booleans; received dtype float32"):
        ops.bitwise_or(1.5, 2)
