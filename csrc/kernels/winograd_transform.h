// The transforms of Winograd convolutions along one axis, at the points 0, +-5/8, +-3/2 and infinity: their rounding errors are half of those at
// 0, +-1, +-2 and infinity.
//
// With B, G, A as in Lavin & Gray (arXiv 1509.09308): outputs = A^T [(G w) . (B^T x)]. All products that are added are fused explicitly, so AVX2 and
// AVX-512 give the same bits. Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include "kernels/gemm_tile.h"
#include "kernels/winograd_plan.h"
#include "simd/vec.h"

namespace nnlite::NN_ISA {
namespace winograd {
namespace {

constexpr int kSide = kWinogradSide;

// One register of floats. Transforms keep a dozen values at once, so they work on what the machine has: 16, 8 or 4 lanes. Lanes never meet, so the
// bits do not depend on their number.
struct V {
  Piece<float> r;
};
constexpr int kLanes = Piece<float>::kLanes;

NN_INLINE V load(const float* p) {
  V v;
  native::load(v.r, p);
  return v;
}
// 0 < n <= kLanes. Where masks cost something, whole registers go without.
NN_INLINE V load_part(const float* p, int n) {
  if (!kMaskB && n == kLanes) return load(p);
  V v;
  native::load_part(v.r, p, n);
  return v;
}
NN_INLINE void store(float* p, V v) { native::store(p, v.r); }
NN_INLINE void stream(float* p, V v) { native::stream(p, v.r); }
NN_INLINE void store_part(float* p, V v, int n) {
  if (!kMaskB && n == kLanes) return native::store(p, v.r);
  native::store_part(p, v.r, n);
}
NN_INLINE V splat(float x) {
  V v;
  native::splat(v.r, x);
  return v;
}
NN_INLINE V operator+(V a, V b) { return {native::add(a.r, b.r)}; }
NN_INLINE V operator-(V a, V b) { return {native::sub(a.r, b.r)}; }
NN_INLINE V operator*(V a, V b) { return {native::mul(a.r, b.r)}; }
NN_INLINE V fma(V a, V b, V c) { return {native::fma(a.r, b.r, c.r)}; }
NN_INLINE V fnma(V a, V b, V c) { return {native::fnma(a.r, b.r, c.r)}; }
NN_INLINE V rounded(V a) { return {native::rounded(a.r)}; }
NN_INLINE V max(V a, V b) { return {native::max(a.r, b.r)}; }

constexpr float kA = 0.625f, kB = 1.5f;             // the points
constexpr float kA2 = kA * kA, kB2 = kB * kB;       // exact in float32, as are all products of these below
constexpr float kA3 = kA2 * kA, kB3 = kB2 * kB;

// v = B^T d.
NN_INLINE void transform_input(const V (&d)[kSide], V (&v)[kSide]) {
  const V a2 = splat(kA2), b2 = splat(kB2), a = splat(kA), b = splat(kB), sum = splat(kA2 + kB2), product = splat(kA2 * kB2);
  const V even_a = fnma(b2, d[2], d[4]), odd_a = rounded(a * fnma(b2, d[1], d[3]));
  const V even_b = fnma(a2, d[2], d[4]), odd_b = rounded(b * fnma(a2, d[1], d[3]));
  v[0] = fma(product, d[0], fnma(sum, d[2], d[4]));
  v[1] = even_a + odd_a;
  v[2] = even_a - odd_a;
  v[3] = even_b + odd_b;
  v[4] = even_b - odd_b;
  v[5] = fma(product, d[1], fnma(sum, d[3], d[5]));
}

// y = A^T m, for 4 and for 2 outputs.
NN_INLINE void transform_output(const V (&m)[kSide], V (&y)[4]) {
  const V sum_a = m[1] + m[2], odd_a = m[1] - m[2], sum_b = m[3] + m[4], odd_b = m[3] - m[4];
  y[0] = m[0] + sum_a + sum_b;
  y[1] = fma(splat(kA), odd_a, rounded(splat(kB) * odd_b));
  y[2] = fma(splat(kA2), sum_a, rounded(splat(kB2) * sum_b));
  y[3] = fma(splat(kA3), odd_a, fma(splat(kB3), odd_b, m[5]));
}
NN_INLINE void transform_output(const V (&m)[kSide], V (&y)[2]) {
  y[0] = m[0] + (m[1] + m[2]) + (m[3] + m[4]);
  y[1] = fma(splat(kA), m[1] - m[2], fma(splat(kB), m[3] - m[4], m[5]));
}

// v = A d: the transpose of the above, for kernel gradients.
NN_INLINE void transform_gradient(const V (&d)[4], V (&v)[kSide]) {
  const V even_a = fma(splat(kA2), d[2], d[0]), odd_a = rounded(splat(kA) * fma(splat(kA2), d[3], d[1]));
  const V even_b = fma(splat(kB2), d[2], d[0]), odd_b = rounded(splat(kB) * fma(splat(kB2), d[3], d[1]));
  v[0] = d[0];
  v[1] = even_a + odd_a;
  v[2] = even_a - odd_a;
  v[3] = even_b + odd_b;
  v[4] = even_b - odd_b;
  v[5] = d[3];
}
NN_INLINE void transform_gradient(const V (&d)[2], V (&v)[kSide]) {
  const V a = splat(kA), b = splat(kB);
  v[0] = d[0];
  v[1] = fma(a, d[1], d[0]);
  v[2] = fnma(a, d[1], d[0]);
  v[3] = fma(b, d[1], d[0]);
  v[4] = fnma(b, d[1], d[0]);
  v[5] = d[1];
}

// Row p of G is (1, p, p^2, ...) / N(p), the last row (.., 0, 1).
constexpr float kN0 = static_cast<float>(1.0 / (kA2 * kB2));
constexpr float kNa = static_cast<float>(1.0 / (2.0 * kA2 * (kA2 - kB2)));
constexpr float kNb = static_cast<float>(1.0 / (2.0 * kB2 * (kB2 - kA2)));

// u = G w.
NN_INLINE void transform_weights(const V (&w)[3], V (&u)[kSide]) {
  const V even_a = fma(splat(kA2), w[2], w[0]), odd_a = rounded(splat(kA) * w[1]), even_b = fma(splat(kB2), w[2], w[0]),
          odd_b = rounded(splat(kB) * w[1]);
  u[0] = splat(kN0) * w[0];
  u[1] = splat(kNa) * (even_a + odd_a);
  u[2] = splat(kNa) * (even_a - odd_a);
  u[3] = splat(kNb) * (even_b + odd_b);
  u[4] = splat(kNb) * (even_b - odd_b);
  u[5] = w[2];
}
NN_INLINE void transform_weights(const V (&w)[5], V (&u)[kSide]) {
  const V a2 = splat(kA2), b2 = splat(kB2);
  const V even_a = fma(a2, fma(a2, w[4], w[2]), w[0]), odd_a = rounded(splat(kA) * fma(a2, w[3], w[1]));
  const V even_b = fma(b2, fma(b2, w[4], w[2]), w[0]), odd_b = rounded(splat(kB) * fma(b2, w[3], w[1]));
  u[0] = splat(kN0) * w[0];
  u[1] = splat(kNa) * (even_a + odd_a);
  u[2] = splat(kNa) * (even_a - odd_a);
  u[3] = splat(kNb) * (even_b + odd_b);
  u[4] = splat(kNb) * (even_b - odd_b);
  u[5] = w[4];
}

// w = G^T u: the transpose of the above.
NN_INLINE void transform_sums(const V (&u)[kSide], V (&w)[3]) {
  const V a = rounded(splat(kNa) * (u[1] + u[2])), odd_a = rounded(splat(kNa * kA) * (u[1] - u[2]));
  const V b = rounded(splat(kNb) * (u[3] + u[4])), odd_b = rounded(splat(kNb * kB) * (u[3] - u[4]));
  w[0] = fma(splat(kN0), u[0], a + b);
  w[1] = odd_a + odd_b;
  w[2] = fma(splat(kA2), a, fma(splat(kB2), b, u[5]));
}
NN_INLINE void transform_sums(const V (&u)[kSide], V (&w)[5]) {
  const V a2 = splat(kA2), b2 = splat(kB2);
  const V a = rounded(splat(kNa) * (u[1] + u[2])), odd_a = rounded(splat(kNa * kA) * (u[1] - u[2]));
  const V b = rounded(splat(kNb) * (u[3] + u[4])), odd_b = rounded(splat(kNb * kB) * (u[3] - u[4]));
  w[0] = fma(splat(kN0), u[0], a + b);
  w[1] = odd_a + odd_b;
  w[2] = fma(a2, a, rounded(b2 * b));
  w[3] = fma(a2, odd_a, rounded(b2 * odd_b));
  w[4] = fma(splat(kA2 * kA2), a, fma(splat(kB2 * kB2), b, u[5]));
}

// Tiles [begin, end) of a batch, all in one tile row of one image.
struct Run {
  int64_t image, row, col, count;
};

// The next tiles from `tile` on that can be transformed together, before `end`.
NN_INLINE Run find_run(const WinogradGrid& grid, int64_t tile, int64_t end) {
  Run run;
  run.col = tile % grid.cols;
  run.row = tile / grid.cols % grid.rows;
  run.image = tile / grid.cols / grid.rows;
  run.count = grid.cols - run.col;
  if (run.count > end - tile) run.count = end - tile;
  if (run.count > kWinogradRun) run.count = kWinogradRun;
  return run;
}

}  // namespace
}  // namespace winograd
}  // namespace nnlite::NN_ISA
