#include "core/spec.h"

#include "core/philox.h"
#include "core/spec_text.h"
#include "kernel_test.h"

namespace nnlite {

TEST(spec_sizes) {
  const Spec spec = test::make_spec({2, 3, 5}, DType::kFloat64);
  EXPECT_EQ(spec.size(), 30);
  EXPECT_EQ(spec.bytes(), 240u);
  EXPECT_EQ(spec.dim(-1), 5);
  EXPECT_EQ(Spec().size(), 1);
  EXPECT_EQ(test::make_spec({4, 0}).size(), 0);
}

TEST(dtype_names_round_trip) {
  for (int i = 0; i <= static_cast<int>(DType::kBool); ++i) {
    DType parsed;
    EXPECT(parse_dtype(dtype_name(static_cast<DType>(i)), &parsed));
    EXPECT_EQ(static_cast<int>(parsed), i);
  }
  DType parsed;
  EXPECT(!parse_dtype("float16", &parsed));
}

TEST(spec_text) {
  EXPECT_EQ(spec_text(test::make_spec({2, 3})), "float32 (2, 3)");
  EXPECT_EQ(spec_text(test::make_spec({7}, DType::kBool)), "bool (7,)");
  EXPECT_EQ(spec_text(Spec()), "float32 ()");
}

// The known answers of Random123's kat_vectors for philox4x32 with 10 rounds.
TEST(philox_known_answers) {
  const struct {
    PhiloxBlock counter;
    uint32_t key[2];
    PhiloxBlock expected;
  } cases[] = {
      {{{0, 0, 0, 0}}, {0, 0}, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
      {{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, {0xffffffff, 0xffffffff}, {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
      {{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, {0xa4093822, 0x299f31d0}, {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}},
  };
  for (const auto& c : cases) {
    const PhiloxBlock block = philox4x32(c.counter, c.key[0], c.key[1]);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(block.words[i], c.expected.words[i]);
  }
}

TEST(philox_block_places_seed_call_and_block) {
  const PhiloxBlock direct = philox4x32({{3, 1, 7, 2}}, 5, 4);
  const PhiloxBlock named = philox_block((uint64_t{4} << 32) | 5, (uint64_t{2} << 32) | 7, (uint64_t{1} << 32) | 3);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(direct.words[i], named.words[i]);
}

}  // namespace nnlite
