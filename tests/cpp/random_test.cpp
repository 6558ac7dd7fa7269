#include "bfloat16_test.h"
#include "core/philox.h"

namespace nnlite::test {
namespace {

Buffer make_key(int64_t seed, int64_t call) { return Buffer(make_spec({2}, DType::kInt64), {seed, call}); }

uint32_t word(int64_t seed, int64_t call, uint64_t i) {
  return philox_block(static_cast<uint64_t>(seed), static_cast<uint64_t>(call), i / 4).words[i % 4];
}
uint64_t double_word(int64_t seed, int64_t call, uint64_t i) {
  return word(seed, call, 2 * i) | static_cast<uint64_t>(word(seed, call, 2 * i + 1)) << 32;
}

const int64_t kSizes[] = {0, 1, 2, 3, 5, 16, 31, 63, 64, 65, 127, 129, 1000, 16384, 16385, 50001};
const int64_t kSeed = 0x123456789abcdef, kCall = 0x7654321fedcba;

// The vectors that Random123 publishes with the generator.
TEST(philox_known_answers) {
  const auto words = [](PhiloxBlock counter, uint32_t k0, uint32_t k1) { return philox4x32(counter, k0, k1); };
  const auto expect = [](PhiloxBlock got, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    EXPECT(got.words[0] == a && got.words[1] == b && got.words[2] == c && got.words[3] == d);
  };
  expect(words({{0, 0, 0, 0}}, 0, 0), 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8);
  expect(words({{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffff, 0xffffffff), 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd);
  expect(words({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0), 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1);
}

TEST(random_bits_are_the_words_of_the_key) {
  for (int64_t n : kSizes) {
    const Buffer words = run_every_way("random_bits", {make_key(kSeed, kCall)}, {make_spec({n}, DType::kInt32)})[0];
    const Buffer pairs = run_every_way("random_bits", {make_key(-3, 1)}, {make_spec({n}, DType::kInt64)})[0];
    const Buffer bytes = run_every_way("random_bits", {make_key(0, 0)}, {make_spec({n}, DType::kUInt8)})[0];
    const Buffer bools = run_every_way("random_bits", {make_key(0, 0)}, {make_spec({n}, DType::kBool)})[0];
    int64_t wrong = 0;
    for (int64_t i = 0; i < n; ++i) {
      wrong += words.at<uint32_t>(i) != word(kSeed, kCall, i);
      wrong += pairs.at<uint64_t>(i) != double_word(-3, 1, i);
      wrong += bytes.at<uint8_t>(i) != (word(0, 0, i) & 0xff);
      wrong += bools.at<uint8_t>(i) != (word(0, 0, i) & 1);
    }
    EXPECT_EQ(wrong, 0);
  }
}

TEST(random_uniform_takes_the_top_bits) {
  for (int64_t n : kSizes) {
    const Buffer single = run_every_way("random_uniform", {make_key(kSeed, kCall)}, {make_spec({n})})[0];
    const Buffer twice = run_every_way("random_uniform", {make_key(kSeed, kCall)}, {make_spec({n}, DType::kFloat64)})[0];
    int64_t wrong = 0;
    for (int64_t i = 0; i < n; ++i) {
      wrong += single.at<float>(i) != static_cast<float>(word(kSeed, kCall, i) >> 8) * 0x1p-24f;
      wrong += twice.at<double>(i) != static_cast<double>(double_word(kSeed, kCall, i) >> 11) * 0x1p-53;
    }
    EXPECT_EQ(wrong, 0);
  }
}

constexpr double kTwoPi = 6.283185307179586;

TEST(random_normal_is_box_muller) {
  for (int64_t n : kSizes) {
    const Buffer single = run_every_way("random_normal", {make_key(kSeed, kCall)}, {make_spec({n})})[0];
    const Buffer twice = run_every_way("random_normal", {make_key(kSeed, kCall)}, {make_spec({n}, DType::kFloat64)})[0];
    for (int64_t i = 0; i < n; ++i) {
      const int64_t j = i & ~int64_t{1};
      const double u = static_cast<double>(static_cast<float>(word(kSeed, kCall, j) >> 1)) * 0x1p-31 + 0x1p-32;
      const double t = kTwoPi * word(kSeed, kCall, j + 1) * 0x1p-32;
      const double expected = std::sqrt(-2 * std::log(u)) * (i == j ? std::cos(t) : std::sin(t));
      // Near u = 1 the rounding of u to float is all there is of log(u).
      EXPECT_NEAR(single.at<float>(i), expected, 1e-6 * (1 + std::fabs(expected)) + (u > 0.999 ? 6e-4 : 0));
      const double u2 = static_cast<double>(double_word(kSeed, kCall, j) >> 11) * 0x1p-53 + 0x1p-54;
      const double t2 = kTwoPi * static_cast<double>(double_word(kSeed, kCall, j + 1)) * 0x1p-64;
      const double expected2 = std::sqrt(-2 * std::log(u2)) * (i == j ? std::cos(t2) : std::sin(t2));
      EXPECT_NEAR(twice.at<double>(i), expected2, 1e-14);
    }
  }
}

TEST(random_normal_has_the_moments_of_a_normal) {
  const int64_t n = 1 << 18;
  const Buffer x = run_kernel("random_normal", {make_key(7, 3)}, {make_spec({n})})[0];
  double sum = 0, squares = 0, cubes = 0, fourths = 0, neighbours = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double v = x.at<float>(i);
    sum += v;
    squares += v * v;
    cubes += v * v * v;
    fourths += v * v * v * v;
    neighbours += v * x.at<float>(i ^ 1);
  }
  // Five standard errors of each.
  const double e = 5 / std::sqrt(static_cast<double>(n));
  EXPECT_NEAR(sum / n, 0, e);
  EXPECT_NEAR(squares / n, 1, e * 1.5);
  EXPECT_NEAR(cubes / n, 0, e * 4);
  EXPECT_NEAR(fourths / n, 3, e * 10);
  EXPECT_NEAR(neighbours / n, 0, e * 1.5);
}

TEST(random_numbers_continue_past_32_bits_of_key) {
  const Buffer a = run_kernel("random_bits", {make_key(1, 0)}, {make_spec({64}, DType::kInt32)})[0];
  const Buffer b = run_kernel("random_bits", {make_key(1 + (int64_t{1} << 32), 0)}, {make_spec({64}, DType::kInt32)})[0];
  const Buffer c = run_kernel("random_bits", {make_key(1, int64_t{1} << 32)}, {make_spec({64}, DType::kInt32)})[0];
  EXPECT(!a.same_bytes(b) && !a.same_bytes(c) && !b.same_bytes(c));
}

template <class T>
void check_dropout(int64_t n, double rate, DType dtype) {
  const Buffer x = random_buffer(make_spec({n}, dtype), 11, 1, 2);
  if (n > 2) x.at<T>(n / 2) = static_cast<T>(NAN);
  if (n > 3) x.at<T>(n / 3) = static_cast<T>(INFINITY);
  const Buffer y = run_every_way("dropout", {x, make_key(kSeed, kCall)}, {x.spec()}, {{"rate", rate}})[0];
  int64_t wrong = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double uniform = (word(kSeed, kCall, i) >> 8) * 0x1p-24;
    const T expected = uniform >= static_cast<float>(rate) ? x.at<T>(i) * static_cast<T>(1 / (1 - rate)) : T(0);
    wrong += std::memcmp(&y.at<T>(i), &expected, sizeof(T)) != 0 && !(std::isnan(expected) && std::isnan(y.at<T>(i)));
  }
  EXPECT_EQ(wrong, 0);
}

TEST(dropout_keeps_elements_whose_uniform_reaches_the_rate) {
  for (int64_t n : kSizes) {
    for (double rate : {0.0, 0.1, 0.5, 0.7, 0.999999999, 1.0}) {
      check_dropout<float>(n, rate, DType::kFloat32);
      check_dropout<double>(n, rate, DType::kFloat64);
    }
  }
}

TEST(dropout_of_bfloat16) {
  for (int64_t n : kSizes) expect_bfloat16_like_float32("dropout", {random_buffer({n}), make_key(4, 5)}, {make_spec({n})}, {{"rate", 0.4}}, 0);
}

TEST(dropout_of_a_batch_does_not_depend_on_what_follows) {
  const Buffer key = make_key(5, 9), x = random_buffer({1000});
  const Buffer whole = run_kernel("dropout", {x, key}, {x.spec()}, {{"rate", 0.3}})[0];
  Buffer head(make_spec({333}));
  std::memcpy(head.data(), x.data(), head.spec().bytes());
  const Buffer part = run_kernel("dropout", {head, key}, {head.spec()}, {{"rate", 0.3}})[0];
  EXPECT(std::memcmp(part.data(), whole.data(), part.spec().bytes()) == 0);
}

TEST(random_kernels_reject_what_does_not_fit) {
  EXPECT_THROWS(run_kernel("random_uniform", {Buffer(make_spec({2}, DType::kInt32))}, {make_spec({3})}), std::invalid_argument,
                "int64 tensor of shape (2,)");
  EXPECT_THROWS(run_kernel("random_normal", {make_key(1, 1)}, {make_spec({3}, DType::kInt32)}), std::invalid_argument, "float32 or float64");
  EXPECT_THROWS(run_kernel("random_bits", {make_key(1, 1)}, {make_spec({3})}), std::invalid_argument, "got float32");
  EXPECT_THROWS(run_kernel("dropout", {random_buffer({3}), make_key(1, 1)}, {make_spec({3})}, {{"rate", 1.5}}), std::invalid_argument,
                "rate must be in [0, 1], got 1.5");
}

}  // namespace
}  // namespace nnlite::test
