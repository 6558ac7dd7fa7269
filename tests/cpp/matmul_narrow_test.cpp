// Products of bytes, exact at every instruction set, and of bfloat16, bit for bit the float32 product with k ascending, rounded once.
#include <stdexcept>

#include "kernel_test.h"

namespace nnlite::test {
namespace {

// All bytes, the extremes more often than others.
Buffer bytes(const Spec& spec, uint64_t seed) {
  Buffer buffer(spec);
  uint64_t state = seed;
  for (int64_t i = 0; i < spec.size(); ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const uint8_t some = static_cast<uint8_t>(state >> 40);
    buffer.at<uint8_t>(i) = state >> 62 == 0 ? 0x80 : state >> 62 == 1 ? 0xff : some;
  }
  return buffer;
}

void expect_exact(int64_t m, int64_t k, int64_t n, DType dtype) {
  const Buffer a = bytes(make_spec({m, k}, dtype), 1), b = bytes(make_spec({k, n}, DType::kInt8), 2);
  const Buffer c = run_every_way("matmul_int8", {a, b}, {make_spec({m, n}, DType::kInt32)})[0];
  const Buffer low = run_kernel("matmul_int8", {a, b}, {c.spec()}, {}, Isa::kBaseline)[0];
  EXPECT(c.same_bytes(low));
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      int64_t sum = 0;
      for (int64_t p = 0; p < k; ++p) {
        const int left = dtype == DType::kInt8 ? a.at<int8_t>(i * k + p) : a.at<uint8_t>(i * k + p);
        sum += left * b.at<int8_t>(p * n + j);
      }
      if (c.at<int32_t>(i * n + j) != sum) {
        report_failure(__FILE__, __LINE__, "m=" + show(m) + " k=" + show(k) + " n=" + show(n) + ": " + show(c.at<int32_t>(i * n + j)) + " != " + show(sum));
        return;
      }
    }
  }
}

TEST(matmul_int8_is_exact) {
  for (const DType dtype : {DType::kUInt8, DType::kInt8}) {
    for (int64_t m : {1, 2, 3, 4, 5, 6, 7, 13}) {
      for (int64_t n : {1, 7, 8, 16, 17, 63, 64, 65, 130}) expect_exact(m, 9, n, dtype);
    }
    for (int64_t k : {1, 2, 3, 4, 5, 64, 257}) expect_exact(5, k, 20, dtype);
    expect_exact(200, 130, 150, dtype);
    expect_exact(2, 70000, 3, dtype);
  }
}

TEST(matmul_int8_of_extremes_does_not_saturate) {
  const Buffer a(make_spec({1, 4}, DType::kUInt8), {uint8_t{255}, uint8_t{255}, uint8_t{255}, uint8_t{255}});
  const int8_t low = -128, high = 127;
  const Buffer b(make_spec({4, 2}, DType::kInt8), {low, high, low, high, low, high, low, high});
  const Buffer c = run_every_way("matmul_int8", {a, b}, {make_spec({1, 2}, DType::kInt32)})[0];
  EXPECT_EQ(c.at<int32_t>(0), -130560);
  EXPECT_EQ(c.at<int32_t>(1), 129540);
}

TEST(matmul_int8_of_more_axes_and_of_nothing) {
  const Buffer a = bytes(make_spec({2, 3, 5}, DType::kInt8), 3), b = bytes(make_spec({5, 4}, DType::kInt8), 4);
  Buffer flat(make_spec({6, 5}, DType::kInt8));
  std::memcpy(flat.data(), a.data(), 30);
  const Buffer c = run_every_way("matmul_int8", {a, b}, {make_spec({2, 3, 4}, DType::kInt32)})[0];
  EXPECT(std::memcmp(c.data(), run_kernel("matmul_int8", {flat, b}, {make_spec({6, 4}, DType::kInt32)})[0].data(), 96) == 0);
  EXPECT_EQ(run_every_way("matmul_int8", {Buffer(make_spec({0, 5}, DType::kInt8)), b}, {make_spec({0, 4}, DType::kInt32)})[0].size(), 0);
}

TEST(matmul_int8_refuses_what_does_not_fit) {
  const Buffer a = bytes(make_spec({3, 5}, DType::kInt8), 3), b = bytes(make_spec({5, 4}, DType::kInt8), 4), wide = random_buffer({5, 4});
  EXPECT_THROWS(run_kernel("matmul_int8", {a, wide}, {make_spec({3, 4}, DType::kInt32)}), std::invalid_argument, "uint8 or int8 times int8");
  EXPECT_THROWS(run_kernel("matmul_int8", {b, a}, {make_spec({5, 5}, DType::kInt32)}), std::invalid_argument, "the last axis of a has 4");
  EXPECT_THROWS(run_kernel("matmul_int8", {a, b}, {make_spec({3, 5}, DType::kInt32)}), std::invalid_argument, "output must have 4");
}

Spec bfloat16(std::initializer_list<int64_t> dims) { return make_spec(dims, DType::kBFloat16); }

Buffer widened(const Buffer& x) {
  Spec spec = x.spec();
  spec.dtype = DType::kFloat32;
  Buffer wide(spec);
  for (int64_t i = 0; i < spec.size(); ++i) wide.at<uint32_t>(i) = static_cast<uint32_t>(x.at<uint16_t>(i)) << 16;
  return wide;
}

void expect_rounded(int64_t m, int64_t k, int64_t n, bool transpose_a, bool transpose_b, const char* activation) {
  const Buffer a = random_buffer(transpose_a ? bfloat16({k, m}) : bfloat16({m, k}), 1), bias = random_buffer(bfloat16({n}), 3);
  const Buffer b = random_buffer(transpose_b ? bfloat16({n, k}) : bfloat16({k, n}), 2);
  const Attributes attributes = {
      {"transpose_a", int64_t{transpose_a}}, {"transpose_b", int64_t{transpose_b}}, {"bias", int64_t{1}}, {"activation", std::string(activation)}};
  const Buffer c = run_every_way("matmul", {a, b, bias}, {bfloat16({m, n})}, attributes)[0];
  const Buffer wide = run_kernel("matmul", {widened(a), widened(b), widened(bias)}, {make_spec({m, n})}, attributes)[0];
  int64_t wrong = 0;
  for (int64_t i = 0; i < m * n; ++i) {
    const uint32_t bits = wide.at<uint32_t>(i);
    wrong += c.at<uint16_t>(i) != static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
  if (wrong) report_failure(__FILE__, __LINE__, "m=" + show(m) + " k=" + show(k) + " n=" + show(n) + ": " + show(wrong) + " elements are wrong");
}

TEST(matmul_bfloat16_has_the_bits_of_float32) {
  for (int layout = 0; layout < 4; ++layout) {
    const bool ta = layout & 1, tb = layout & 2;
    for (int64_t k : {1, 2, 3, 31, 32, 33, 64, 131}) expect_rounded(7, k, 20, ta, tb, "none");
    for (int64_t m = 1; m <= 14; ++m) expect_rounded(m, 18, 66, ta, tb, "relu");
    for (int64_t n : {2, 15, 16, 17, 48, 63, 64, 65, 200}) expect_rounded(5, 40, n, ta, tb, "tanh");
    expect_rounded(250, 130, 190, ta, tb, "sigmoid");
  }
}

}  // namespace
}  // namespace nnlite::test
