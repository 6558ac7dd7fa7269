// matmul and matmul_pack. With a fused multiply-add every element of C must be, bit for bit, the sum that starts at zero and adds a*b for k ascending: one
// oracle for all tile shapes, tails, layouts, packings, batches and instruction sets.
#include <cmath>
#include <limits>
#include <stdexcept>

#include "kernel_test.h"

namespace nnlite {
namespace {

using test::Buffer;
using test::make_spec;
using test::random_buffer;

struct Product {
  int64_t m, k, n;
  bool transpose_a = false, transpose_b = false;
};

template <class T>
constexpr DType kTypeOf = std::is_same_v<T, float> ? DType::kFloat32 : DType::kFloat64;

#if defined(__FP_FAST_FMAF)
constexpr bool kBaselineFuses = true;  // ARM: every CPU has a fused multiply-add
#else
constexpr bool kBaselineFuses = false;
#endif

template <class T>
T multiply_add(Isa isa, T a, T b, T c) {
  if (kBaselineFuses || isa != Isa::kBaseline) return std::fma(a, b, c);
  const volatile T product = a * b;
  return product + c;
}

// One matrix of C by the definition.
template <class T>
Buffer oracle(Isa isa, const Product& p, const Buffer& a, const Buffer& b, const Buffer* bias = nullptr) {
  Buffer c(make_spec({p.m, p.n}, kTypeOf<T>));
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      T sum = 0;
      for (int64_t k = 0; k < p.k; ++k) {
        sum = multiply_add(isa, a.at<T>(p.transpose_a ? k * p.m + i : i * p.k + k), b.at<T>(p.transpose_b ? j * p.k + k : k * p.n + j), sum);
      }
      c.at<T>(i * p.n + j) = bias ? sum + bias->at<T>(j) : sum;
    }
  }
  return c;
}

template <class T>
Buffer operand(int64_t rows, int64_t columns, bool transposed, uint64_t seed) {
  return random_buffer(transposed ? make_spec({columns, rows}, kTypeOf<T>) : make_spec({rows, columns}, kTypeOf<T>), seed);
}

Attributes layout(const Product& p) { return {{"transpose_a", int64_t{p.transpose_a}}, {"transpose_b", int64_t{p.transpose_b}}}; }

int64_t packed_elements(int64_t k, int64_t n) { return k * ((n + 15) / 16 * 16); }

template <class T>
void expect_exact(const Product& p, test::Order order = test::Order::kWhole) {
  const Buffer a = operand<T>(p.m, p.k, p.transpose_a, 1), b = operand<T>(p.k, p.n, p.transpose_b, 2);
  for (Isa isa : test::runnable_isas()) {
    const Buffer expected = oracle<T>(isa, p, a, b);
    const Buffer c = test::run_kernel("matmul", {a, b}, {expected.spec()}, layout(p), isa, order, 2)[0];
    if (!c.same_bytes(expected)) {
      test::report_failure(__FILE__, __LINE__, "wrong bits: m=" + test::show(p.m) + " k=" + test::show(p.k) + " n=" + test::show(p.n) + " ta=" +
                                                   test::show(p.transpose_a) + " tb=" + test::show(p.transpose_b) + " " + isa_name(isa));
    }
  }
}

template <class T>
void expect_exact_all_layouts(int64_t m, int64_t k, int64_t n) {
  for (int t = 0; t < 4; ++t) expect_exact<T>({m, k, n, (t & 1) != 0, (t & 2) != 0});
}

}  // namespace

TEST(matmul_every_small_tile) {
  for (int64_t m = 1; m <= 18; ++m) {
    for (int64_t n : {1, 2, 5, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 48, 50, 63, 64, 65, 81, 130}) expect_exact<float>({m, 7, n});
  }
  for (int64_t m = 1; m <= 18; ++m) {
    for (int64_t n : {1, 3, 4, 5, 8, 9, 16, 17, 24, 27, 32, 33, 67}) expect_exact<double>({m, 5, n});
  }
}

TEST(matmul_every_layout) {
  for (int64_t m : {1, 6, 13, 32}) {
    for (int64_t k : {1, 2, 13, 16, 33}) {
      for (int64_t n : {1, 10, 16, 32, 64, 79}) {
        expect_exact_all_layouts<float>(m, k, n);
        expect_exact_all_layouts<double>(m, k, n);
      }
    }
  }
}

TEST(matmul_long_k_and_copied_b) {
  expect_exact_all_layouts<float>(5, 1301, 70);
  expect_exact_all_layouts<float>(101, 530, 37);
  expect_exact_all_layouts<double>(98, 515, 41);
  expect_exact<float>({7, 600, 512});   // rows of B 2 KiB apart
  expect_exact<float>({20, 1024, 64});  // rows of A 4 KiB apart
  expect_exact<float>({512, 300, 20, true});
}

// A second matrix too large to be packed as a whole: every chunk copies its own part.
TEST(matmul_large_b_of_few_rows) { expect_exact<float>({97, 4100, 260, true}, test::Order::kTeam); }

// Columns that fill no vector: their tiles compute the transpose.
TEST(matmul_few_columns) {
  for (int64_t m : {32, 47, 130}) {
    for (int64_t n : {2, 8, 10, 12, 13}) {
      expect_exact_all_layouts<float>(m, 33, n);
      expect_exact_all_layouts<float>(m, 270, n);
    }
  }
  for (auto order : {test::Order::kBackwards, test::Order::kTeam}) {
    expect_exact<float>({1000, 500, 10}, order);
    expect_exact<float>({1001, 200, 10, true}, order);
  }
}

// Products whose A is copied, because its rows collide in the cache, and whose B is packed by a first phase.
TEST(matmul_copied_a_and_packing_phase) {
  for (auto order : {test::Order::kBackwards, test::Order::kTeam}) {
    expect_exact<float>({256, 261, 257, true}, order);
    expect_exact<float>({512, 258, 257, true}, order);
    expect_exact<double>({256, 257, 256, true}, order);
    expect_exact<float>({256, 258, 260, true, true}, order);
    expect_exact<double>({128, 256, 256, true, true}, order);
    expect_exact<float>({97, 1024, 256}, order);
    expect_exact<float>({200, 90, 300}, order);
    expect_exact<float>({99, 260, 130, false, true}, order);
  }
}

TEST(matmul_single_row_and_single_column) {
  for (int64_t size : {2, 40, 257}) {
    for (int64_t k : {3, 64, 700}) {
      expect_exact_all_layouts<float>(1, k, size);
      expect_exact_all_layouts<float>(size, k, 1);
      expect_exact_all_layouts<double>(size, k, 1);
    }
  }
}

TEST(matmul_chunks_do_not_matter) {
  for (auto order : {test::Order::kBackwards, test::Order::kTeam}) {
    for (int t = 0; t < 4; ++t) {
      expect_exact<float>({150, 130, 200, (t & 1) != 0, (t & 2) != 0}, order);
      expect_exact<float>({30, 300, 300, (t & 1) != 0, (t & 2) != 0}, order);
      expect_exact<float>({700, 600, 33, (t & 1) != 0, (t & 2) != 0}, order);
    }
    expect_exact<float>({2000, 600, 1}, order);
    expect_exact<float>({1, 1100, 1500}, order);
  }
}

// A row alone has the bits it has among others, whatever tile or blocking it falls into.
TEST(matmul_row_alone_equals_row_in_batch) {
  const Buffer b = random_buffer({300, 90}, 2), bias = random_buffer({90}, 3), a = random_buffer({130, 300}, 1);
  for (Isa isa : test::runnable_isas()) {
    const Buffer all = test::run_kernel("matmul", {a, b, bias}, {make_spec({130, 90})}, {{"bias", int64_t{1}}}, isa)[0];
    for (int64_t row : {0, 5, 64, 129}) {
      Buffer one(make_spec({1, 300}));
      std::memcpy(one.data(), a.as<float>() + row * 300, 300 * sizeof(float));
      const Buffer c = test::run_kernel("matmul", {one, b, bias}, {make_spec({1, 90})}, {{"bias", int64_t{1}}}, isa)[0];
      EXPECT(std::memcmp(c.data(), all.as<float>() + row * 90, 90 * sizeof(float)) == 0);
    }
  }
}

TEST(matmul_avx2_equals_avx512) {
  test::run_every_way("matmul", {random_buffer({70, 200}, 1), random_buffer({200, 75}, 2)}, {make_spec({70, 75})});
  test::run_every_way("matmul", {random_buffer({70, 200}, 1), random_buffer({75, 200}, 2), random_buffer({75}, 3)}, {make_spec({70, 75})},
                      {{"transpose_b", int64_t{1}}, {"bias", int64_t{1}}, {"activation", std::string("tanh")}});
}

TEST(matmul_batches_broadcast) {
  const Product p{6, 20, 18};
  const struct {
    Spec a, b, c;
  } cases[] = {
      {make_spec({5, 6, 20}), make_spec({5, 20, 18}), make_spec({5, 6, 18})},
      {make_spec({5, 6, 20}), make_spec({20, 18}), make_spec({5, 6, 18})},
      {make_spec({6, 20}), make_spec({5, 20, 18}), make_spec({5, 6, 18})},
      {make_spec({3, 1, 6, 20}), make_spec({4, 20, 18}), make_spec({3, 4, 6, 18})},
      {make_spec({1, 4, 6, 20}), make_spec({3, 1, 20, 18}), make_spec({3, 4, 6, 18})},
      {make_spec({3, 4, 6, 20}), make_spec({1, 1, 20, 18}), make_spec({3, 4, 6, 18})},
      {make_spec({0, 6, 20}), make_spec({0, 20, 18}), make_spec({0, 6, 18})},
  };
  for (const auto& c : cases) {
    const Buffer a = random_buffer(c.a, 1), b = random_buffer(c.b, 2);
    for (Isa isa : test::runnable_isas()) {
      const Buffer all = test::run_kernel("matmul", {a, b}, {c.c}, {}, isa)[0];
      const int64_t inner = c.c.rank == 4 ? c.c.dims[1] : c.c.dims[0];
      for (int64_t i = 0; i < c.c.size() / (6 * 18); ++i) {
        const auto matrix_of = [&](const Buffer& x, int64_t elements) {
          const Spec& s = x.spec();
          const int64_t low = s.rank > 2 && s.dim(-3) > 1 ? i % inner : 0;
          const int64_t high = s.rank > 3 && s.dim(-4) > 1 ? i / inner : 0;
          Buffer one(&x == &a ? make_spec({6, 20}) : make_spec({20, 18}));
          std::memcpy(one.data(), x.as<float>() + (high * (s.rank > 2 ? s.dim(-3) : 1) + low) * elements, elements * sizeof(float));
          return one;
        };
        const Buffer expected = oracle<float>(isa, p, matrix_of(a, 120), matrix_of(b, 360));
        EXPECT(std::memcmp(expected.data(), all.as<float>() + i * 108, 108 * sizeof(float)) == 0);
      }
    }
  }
}

TEST(matmul_batch_of_large_and_of_many) {
  for (auto order : {test::Order::kWhole, test::Order::kTeam}) {
    for (Isa isa : test::runnable_isas()) {
      const Buffer a = random_buffer({3, 100, 150}, 1), b = random_buffer({3, 80, 150}, 2);
      const Buffer all = test::run_kernel("matmul", {a, b}, {make_spec({3, 100, 80})}, {{"transpose_b", int64_t{1}}}, isa, order, 2)[0];
      const Buffer many_a = random_buffer({300, 9, 40}, 3), many_b = random_buffer({300, 9, 1}, 4);
      const Buffer many = test::run_kernel("matmul", {many_a, many_b}, {make_spec({300, 40, 1})}, {{"transpose_a", int64_t{1}}}, isa, order, 2)[0];
      const auto part = [](const Buffer& x, const Spec& spec, int64_t i) {
        Buffer one(spec);
        std::memcpy(one.data(), x.as<char>() + i * spec.bytes(), spec.bytes());
        return one;
      };
      const Product p{100, 150, 80, false, true}, q{40, 9, 1, true};
      for (int64_t i = 0; i < 3; ++i) {
        const Buffer expected = oracle<float>(isa, p, part(a, make_spec({100, 150}), i), part(b, make_spec({80, 150}), i));
        EXPECT(part(all, make_spec({100, 80}), i).same_bytes(expected));
      }
      for (int64_t i = 0; i < 300; i += 23) {
        const Buffer expected = oracle<float>(isa, q, part(many_a, make_spec({9, 40}), i), part(many_b, make_spec({9, 1}), i));
        EXPECT(part(many, make_spec({40, 1}), i).same_bytes(expected));
      }
    }
  }
}

TEST(matmul_packed_equals_unpacked) {
  for (DType dtype : {DType::kFloat32, DType::kFloat64}) {
    for (int64_t n : {1, 7, 16, 40, 64, 70, 127, 160}) {
      for (int64_t m : {1, 5, 100}) {
        const int64_t k = 37;
        const Buffer a = random_buffer(make_spec({m, k}, dtype), 1), b = random_buffer(make_spec({k, n}, dtype), 2);
        Buffer b_transposed(make_spec({n, k}, dtype));
        const size_t size = dtype_size(dtype);
        for (int64_t i = 0; i < k * n; ++i) std::memcpy(b_transposed.as<char>() + (i % n * k + i / n) * size, b.as<char>() + i * size, size);
        for (Isa isa : test::runnable_isas()) {
          const Spec packed_spec = make_spec({packed_elements(k, n)}, dtype);
          const Buffer packed = test::run_kernel("matmul_pack", {b}, {packed_spec}, {}, isa)[0];
          const Buffer turned = test::run_kernel("matmul_pack", {b_transposed}, {packed_spec}, {{"transpose_b", int64_t{1}}}, isa, test::Order::kTeam, 2)[0];
          EXPECT(packed.same_bytes(turned));
          const Buffer plain = test::run_kernel("matmul", {a, b}, {make_spec({m, n}, dtype)}, {}, isa)[0];
          const Buffer c = test::run_kernel("matmul", {a, packed}, {make_spec({m, n}, dtype)}, {{"packed", int64_t{1}}, {"n", n}}, isa)[0];
          EXPECT(c.same_bytes(plain));
        }
      }
    }
  }
}

TEST(matmul_pack_layout) {
  const Buffer b = random_buffer({3, 70}, 1);
  for (Isa isa : test::runnable_isas()) {
    const Buffer packed = test::run_kernel("matmul_pack", {b}, {make_spec({3 * 80})}, {}, isa)[0];
    for (int64_t k = 0; k < 3; ++k) {
      for (int64_t j = 0; j < 80; ++j) {
        const float value = packed.at<float>(j < 64 ? k * 64 + j : 3 * 64 + k * 16 + (j - 64));
        EXPECT_EQ(value, j < 70 ? b.at<float>(k * 70 + j) : 0.0f);
      }
    }
  }
}

TEST(matmul_bias_and_activation) {
  for (const Product& p : {Product{33, 20, 70}, Product{9, 1000, 21}, Product{50, 140, 10}, Product{40, 12, 1}, Product{40, 12, 1, true}, Product{1, 12, 40, false, true}}) {
    const Buffer a = operand<float>(p.m, p.k, p.transpose_a, 1), b = operand<float>(p.k, p.n, p.transpose_b, 2), bias = random_buffer({p.n}, 3);
    for (Isa isa : test::runnable_isas()) {
      const Buffer sum = oracle<float>(isa, p, a, b, &bias);
      Attributes attributes = layout(p);
      attributes["bias"] = int64_t{1};
      const auto run = [&](const char* activation) {
        attributes["activation"] = std::string(activation);
        return test::run_kernel("matmul", {a, b, bias}, {sum.spec()}, attributes, isa)[0];
      };
      EXPECT(run("none").same_bytes(sum));
      const Buffer relu = run("relu"), tanh = run("tanh"), sigmoid = run("sigmoid");
      for (int64_t i = 0; i < sum.size(); ++i) {
        const double x = sum.at<float>(i);
        EXPECT_EQ(relu.at<float>(i), x > 0 ? static_cast<float>(x) : 0.0f);
        EXPECT_NEAR(tanh.at<float>(i), std::tanh(x), 1e-6);
        EXPECT_NEAR(sigmoid.at<float>(i), 1 / (1 + std::exp(-x)), 1e-6);
      }
    }
  }
}

// One bad element of A spoils its row, one of B its column, and nothing else: padding is never multiplied in.
template <class T>
void check_column_sums(const Product& p) {
  const Buffer a = operand<T>(p.m, p.k, p.transpose_a, 1), b = operand<T>(p.k, p.n, false, 2), ones(make_spec({1, p.k}, kTypeOf<T>));
  for (int64_t i = 0; i < p.k; ++i) ones.at<T>(i) = 1;
  Attributes attributes = layout(p);
  attributes["column_sums"] = int64_t{1};
  const auto both = test::run_every_way("matmul", {a, b}, {make_spec({p.m, p.n}, kTypeOf<T>), make_spec({p.n}, kTypeOf<T>)}, attributes);
  EXPECT(both[0].same_bytes(test::run_kernel("matmul", {a, b}, {make_spec({p.m, p.n}, kTypeOf<T>)}, layout(p))[0]));
  EXPECT(both[1].same_bytes(oracle<T>(active_isa(), {1, p.k, p.n}, ones, b)));
}

TEST(matmul_adds_up_columns) {
  for (const bool transposed : {false, true}) {
    for (const Product& p : {Product{2, 1, 2}, {3, 5, 7}, {64, 300, 192}, {14, 1111, 65}, {784, 32, 64}, {200, 700, 130}, {130, 2049, 512}, {5, 0, 6},
                             {512, 520, 1024}}) {
      check_column_sums<float>({p.m, p.k, p.n, transposed});
      check_column_sums<double>({p.m, p.k, p.n, transposed});
    }
  }
}

TEST(matmul_nan_and_inf_stay_where_they_belong) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  for (int64_t n : {5, 16, 19, 64, 67}) {
    for (int64_t m : {3, 100}) {
      constexpr int64_t k = 34;
      Buffer a = random_buffer({m, k}, 1), b = random_buffer({k, n}, 2);
      a.at<float>(2 * k + 16) = nan;
      b.at<float>(16 * n + 4) = inf;
      for (Isa isa : test::runnable_isas()) {
        const Buffer c = test::run_kernel("matmul", {a, b}, {make_spec({m, n})}, {{"activation", std::string("relu")}}, isa)[0];
        const Buffer packed = test::run_kernel("matmul_pack", {b}, {make_spec({packed_elements(k, n)})}, {}, isa)[0];
        const Buffer again = test::run_kernel("matmul", {a, packed}, {make_spec({m, n})}, {{"packed", int64_t{1}}, {"n", n}}, isa)[0];
        for (int64_t i = 0; i < m; ++i) {
          for (int64_t j = 0; j < n; ++j) {
            EXPECT_EQ(std::isnan(c.at<float>(i * n + j)), i == 2);
            EXPECT_EQ(std::isnan(again.at<float>(i * n + j)), i == 2);
            EXPECT_EQ(std::isinf(again.at<float>(i * n + j)), i != 2 && j == 4);
          }
        }
      }
    }
  }
}

TEST(matmul_empty_dimensions) {
  for (Isa isa : test::runnable_isas()) {
    const Buffer bias = random_buffer({40}, 1);
    for (int64_t transpose : {0, 1}) {
      const Buffer b(transpose ? make_spec({40, 0}) : make_spec({0, 40}));
      const Attributes attributes = {{"bias", int64_t{1}}, {"transpose_b", transpose}};
      const Buffer c = test::run_kernel("matmul", {Buffer(make_spec({3, 0})), b, bias}, {make_spec({3, 40})}, attributes, isa)[0];
      for (int64_t i = 0; i < 120; ++i) EXPECT_EQ(c.at<float>(i), bias.at<float>(i % 40));
      const Buffer single = test::run_kernel("matmul", {Buffer(make_spec({3, 0})), Buffer(transpose ? make_spec({1, 0}) : make_spec({0, 1}))},
                                             {make_spec({3, 1})}, {{"transpose_b", transpose}}, isa)[0];
      for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(single.at<float>(i), 0.0f);
    }
    test::run_kernel("matmul", {Buffer(make_spec({0, 5})), random_buffer({5, 7})}, {make_spec({0, 7})}, {}, isa);
    test::run_kernel("matmul", {random_buffer({4, 5}), Buffer(make_spec({5, 0}))}, {make_spec({4, 0})}, {}, isa);
    test::run_kernel("matmul", {Buffer(make_spec({0, 5})), random_buffer({5, 1})}, {make_spec({0, 1})}, {}, isa);
    test::run_kernel("matmul_pack", {Buffer(make_spec({5, 0}))}, {make_spec({0})}, {}, isa);
    test::run_kernel("matmul_pack", {Buffer(make_spec({0, 9}))}, {make_spec({0})}, {}, isa);
  }
}

// Integers as arithmetic modulo 2^64; the low bytes are the result at every width.
int64_t integer_at(const Buffer& x, int64_t i) {
  switch (x.spec().dtype) {
    case DType::kInt8: return x.at<int8_t>(i);
    case DType::kUInt8: return x.at<uint8_t>(i);
    case DType::kInt32: return x.at<int32_t>(i);
    default: return x.at<int64_t>(i);
  }
}

TEST(matmul_integers_wrap) {
  for (DType dtype : {DType::kInt8, DType::kUInt8, DType::kInt32, DType::kInt64}) {
    const double high = dtype == DType::kInt8 ? 127 : dtype == DType::kUInt8 ? 255 : 2e9, low = dtype == DType::kUInt8 ? 0 : -high;
    for (int t = 0; t < 4; ++t) {
      const Product p{5, 9, 11, (t & 1) != 0, (t & 2) != 0};
      const Buffer a = random_buffer(p.transpose_a ? make_spec({2, 9, 5}, dtype) : make_spec({2, 5, 9}, dtype), 1, low, high);
      const Buffer b = random_buffer(p.transpose_b ? make_spec({11, 9}, dtype) : make_spec({9, 11}, dtype), 2, low, high);
      const Buffer bias = random_buffer(make_spec({11}, dtype), 3, low, high);
      Attributes attributes = layout(p);
      attributes["bias"] = int64_t{1};
      const Buffer c = test::run_every_way("matmul", {a, b, bias}, {make_spec({2, 5, 11}, dtype)}, attributes)[0];
      attributes["activation"] = std::string("relu");
      const Buffer clamped = test::run_every_way("matmul", {a, b, bias}, {c.spec()}, attributes)[0];
      for (int64_t i = 0; i < 110; ++i) {
        const int64_t matrix = i / 55, row = i % 55 / 11, column = i % 11;
        uint64_t sum = static_cast<uint64_t>(integer_at(bias, column));
        for (int64_t k = 0; k < 9; ++k) {
          const int64_t at_a = matrix * 45 + (p.transpose_a ? k * 5 + row : row * 9 + k), at_b = p.transpose_b ? column * 9 + k : k * 11 + column;
          sum += static_cast<uint64_t>(integer_at(a, at_a)) * static_cast<uint64_t>(integer_at(b, at_b));
        }
        EXPECT(std::memcmp(&sum, c.as<char>() + i * dtype_size(dtype), dtype_size(dtype)) == 0);
        EXPECT_EQ(integer_at(clamped, i), integer_at(c, i) > 0 ? integer_at(c, i) : 0);
      }
    }
  }
}

// bfloat16: the bits of the float32 product of the widened inputs, rounded once to nearest even.
TEST(matmul_bfloat16_is_the_rounded_float32_product) {
  const struct {
    Spec a, b, c;
    bool transpose_a, transpose_b;
  } cases[] = {
      {make_spec({5, 40}), make_spec({40, 19}), make_spec({5, 19}), false, false},    {make_spec({3, 70, 33}), make_spec({33, 1}), make_spec({3, 70, 1}), false, false},
      {make_spec({40, 5}), make_spec({40, 130}), make_spec({5, 130}), true, false},   {make_spec({200, 90}), make_spec({300, 90}), make_spec({200, 300}), false, true},
      {make_spec({4, 9, 7}), make_spec({4, 7, 8}), make_spec({4, 9, 8}), false, false}, {make_spec({6, 0}), make_spec({0, 3}), make_spec({6, 3}), false, false},
      {make_spec({0, 4}), make_spec({4, 3}), make_spec({0, 3}), false, false},
  };
  const auto narrow = [](Spec spec) {
    spec.dtype = DType::kBFloat16;
    return spec;
  };
  const auto widen = [](const Buffer& x) {
    Spec spec = x.spec();
    spec.dtype = DType::kFloat32;
    Buffer wide(spec);
    for (int64_t i = 0; i < spec.size(); ++i) wide.at<uint32_t>(i) = static_cast<uint32_t>(x.at<uint16_t>(i)) << 16;
    return wide;
  };
  for (const auto& c : cases) {
    const Buffer a = random_buffer(narrow(c.a), 1), b = random_buffer(narrow(c.b), 2), bias = random_buffer(narrow(make_spec({c.c.dim(-1)})), 3);
    const Attributes attributes = {{"transpose_a", int64_t{c.transpose_a}}, {"transpose_b", int64_t{c.transpose_b}}, {"bias", int64_t{1}}};
    const Buffer result = test::run_every_way("matmul", {a, b, bias}, {narrow(c.c)}, attributes)[0];
    const Buffer wide = test::run_kernel("matmul", {widen(a), widen(b), widen(bias)}, {c.c}, attributes)[0];
    for (int64_t i = 0; i < c.c.size(); ++i) {
      const uint32_t bits = wide.at<uint32_t>(i);
      EXPECT_EQ(result.at<uint16_t>(i), static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16));
    }
  }
}

TEST(matmul_refuses_what_does_not_fit) {
  const auto run = [](const Spec& a, const Spec& b, const Spec& c, const Attributes& attributes = {}) {
    test::run_kernel("matmul", {Buffer(a), Buffer(b)}, {c}, attributes);
  };
  EXPECT_THROWS(run(make_spec({2, 3}), make_spec({4, 5}), make_spec({2, 5})), std::invalid_argument, "a has 3 and b has 4");
  EXPECT_THROWS(run(make_spec({3}), make_spec({3, 5}), make_spec({5})), std::invalid_argument, "rank 2 or more");
  EXPECT_THROWS(run(make_spec({2, 3}), make_spec({3, 5}), make_spec({2, 6})), std::invalid_argument, "must be 2 x 5, but are 2 x 6");
  EXPECT_THROWS(run(make_spec({2, 2, 3}), make_spec({3, 3, 5}), make_spec({2, 2, 5})), std::invalid_argument, "do not broadcast");
  EXPECT_THROWS(run(make_spec({2, 2, 3}), make_spec({3, 5}), make_spec({2, 5})), std::invalid_argument, "must have rank 3");
  EXPECT_THROWS(run(make_spec({2, 3}), make_spec({3, 5}, DType::kFloat64), make_spec({2, 5})), std::invalid_argument, "one dtype");
  EXPECT_THROWS(run(make_spec({2, 3}, DType::kBool), make_spec({3, 5}, DType::kBool), make_spec({2, 5}, DType::kBool)), std::invalid_argument, "must be numbers");
  EXPECT_THROWS(run(make_spec({2, 3}), make_spec({3, 5}), make_spec({2, 5}), {{"activation", std::string("swish")}}), std::invalid_argument, "'swish'");
  EXPECT_THROWS(run(make_spec({2, 3}), make_spec({3, 5}), make_spec({2, 5}), {{"bias", int64_t{1}}}), std::invalid_argument, "expected 3 inputs");
  EXPECT_THROWS(run(make_spec({2, 3}), make_spec({47}), make_spec({2, 5}), {{"packed", int64_t{1}}, {"n", int64_t{5}}}), std::invalid_argument, "must hold 48");
  EXPECT_THROWS(run(make_spec({2, 3}), make_spec({3, 5}), make_spec({2, 5}), {{"column_sums", int64_t{1}}}), std::invalid_argument, "expected 2 outputs");
}

}  // namespace nnlite
