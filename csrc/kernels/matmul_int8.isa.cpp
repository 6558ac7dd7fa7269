// matmul_int8: bytes times signed bytes, summed in int32 (modulo 2^32), exact at every instruction set. a [..., M, K] uint8 or int8, b [K, N] int8.
// AVX-512 multiplies four unsigned by four signed bytes at once: signed a is shifted by 128, and 128 times the columns' sums taken off. Elsewhere
// bytes become pairs of int16, whose products and sums are exact.
#include "kernels/matmul_groups.h"

namespace nnlite::NN_ISA {
namespace {

#if defined(NN_COMPILE_AVX512)
struct ByteGroups {
  using Register = __m512i;
  static constexpr int kLanes = 16, kVectors = 4, kPerGroup = 4;
  static NN_ALWAYS Register load(const uint32_t* p) { return _mm512_loadu_si512(p); }
  static NN_ALWAYS void store(uint32_t* p, Register r) { _mm512_storeu_si512(p, r); }
  static NN_ALWAYS Register splat(uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
  static NN_ALWAYS Register dot(Register acc, Register a, Register b) { return _mm512_dpbusd_epi32(acc, a, b); }
};
#elif defined(NN_COMPILE_AVX2)
struct ByteGroups {
  using Register = __m256i;
  static constexpr int kLanes = 8, kVectors = 2, kPerGroup = 2;
  static NN_ALWAYS Register load(const uint32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static NN_ALWAYS void store(uint32_t* p, Register r) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), r); }
  static NN_ALWAYS Register splat(uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }
  static NN_ALWAYS Register dot(Register acc, Register a, Register b) { return _mm256_add_epi32(acc, _mm256_madd_epi16(a, b)); }
};
#elif defined(__x86_64__) && !defined(NN_SIMD_GENERIC)
struct ByteGroups {
  using Register = __m128i;
  static constexpr int kLanes = 4, kVectors = 1, kPerGroup = 2;
  static NN_ALWAYS Register load(const uint32_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
  static NN_ALWAYS void store(uint32_t* p, Register r) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), r); }
  static NN_ALWAYS Register splat(uint32_t x) { return _mm_set1_epi32(static_cast<int>(x)); }
  static NN_ALWAYS Register dot(Register acc, Register a, Register b) { return _mm_add_epi32(acc, _mm_madd_epi16(a, b)); }
};
#else
struct ByteGroups {
  typedef int32_t Register __attribute__((vector_size(16)));
  static constexpr int kLanes = 4, kVectors = 1, kPerGroup = 2;
  static NN_ALWAYS Register load(const uint32_t* p) {
    Register r;
    __builtin_memcpy(&r, p, sizeof(r));
    return r;
  }
  static NN_ALWAYS void store(uint32_t* p, Register r) { __builtin_memcpy(p, &r, sizeof(r)); }
  static NN_ALWAYS Register splat(uint32_t x) { return static_cast<int32_t>(x) - Register{}; }
  static NN_ALWAYS Register dot(Register acc, Register a, Register b) { return acc + (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16); }
};
#endif

constexpr int64_t kPerGroup = ByteGroups::kPerGroup;

struct Int8Plan {
  GroupPlan groups;
  bool is_signed;
  int64_t a_offset, start_offset;  // in scratch: packed B, packed A, then what each column's sum starts from
};

// Rows [first, last) of A as words: bytes, shifted to unsigned where signed, or int16.
void pack_a(const Int8Plan& plan, const uint8_t* a, int64_t first, int64_t last, uint32_t* words) {
  const int64_t k = plan.groups.k;
  for (int64_t row = first; row < last; ++row) {
    const uint8_t* from = a + row * k;
    uint32_t* to = words + row * plan.groups.a_ld;
    to[plan.groups.groups - 1] = 0;
    if constexpr (kPerGroup == 4) {
      uint8_t* bytes = reinterpret_cast<uint8_t*>(to);
      const uint8_t flip = plan.is_signed ? 0x80 : 0;
      for (int64_t i = 0; i < k; ++i) bytes[i] = static_cast<uint8_t>(from[i] ^ flip);
    } else {
      int16_t* shorts = reinterpret_cast<int16_t*>(to);
      for (int64_t i = 0; i < k; ++i) shorts[i] = plan.is_signed ? static_cast<int8_t>(from[i]) : from[i];
    }
  }
}

// 16 columns of row k of B, zero outside.
NN_INLINE Vec<int32_t> columns_of_row(const int8_t* b, int64_t n, int64_t k_count, int64_t k, int64_t column) {
  if (k >= k_count || column >= n) return Vec<int32_t>::zero();
  const int8_t* from = b + k * n + column;
  if (n - column >= 16) return load_i8(from);
  int8_t part[16] = {};
  __builtin_memcpy(part, from, static_cast<size_t>(n - column));
  return load_i8(part);
}

// One panel of B as words, and what its columns start from.
void pack_b(const Int8Plan& plan, const int8_t* b, int64_t panel, uint32_t* words, int32_t* start) {
  const int64_t n = plan.groups.n, k = plan.groups.k;
  uint32_t* to = words + panel * kGroupPanel * plan.groups.groups;
  const Vec<int32_t> low_byte = splat<int32_t>(0xff), low_half = splat<int32_t>(0xffff);
  for (int64_t j = 0; j < kGroupPanel; j += 16) {
    const int64_t column = panel * kGroupPanel + j;
    Vec<int32_t> sum = Vec<int32_t>::zero();
    for (int64_t g = 0; g < plan.groups.groups; ++g) {
      const Vec<int32_t> r0 = columns_of_row(b, n, k, g * kPerGroup, column), r1 = columns_of_row(b, n, k, g * kPerGroup + 1, column);
      Vec<int32_t> word = (r0 & low_half) | shift_left<16>(r1);
      if constexpr (kPerGroup == 4) {
        const Vec<int32_t> r2 = columns_of_row(b, n, k, g * 4 + 2, column), r3 = columns_of_row(b, n, k, g * 4 + 3, column);
        word = (r0 & low_byte) | shift_left<8>(r1 & low_byte) | shift_left<16>(r2 & low_byte) | shift_left<24>(r3);
        sum = sum + (r0 + r1) + (r2 + r3);
      }
      store(reinterpret_cast<int32_t*>(to) + g * kGroupPanel + j, word);
    }
    store(start + column, kPerGroup == 4 && plan.is_signed ? Vec<int32_t>::zero() - shift_left<7>(sum) : Vec<int32_t>::zero());
  }
}

void run_int8(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  const Int8Plan& plan = *static_cast<const Int8Plan*>(state);
  char* scratch = static_cast<char*>(args.scratch);
  uint32_t* b = static_cast<uint32_t*>(args.scratch);
  uint32_t* a = reinterpret_cast<uint32_t*>(scratch + plan.a_offset);
  int32_t* start = reinterpret_cast<int32_t*>(scratch + plan.start_offset);
  const GroupPlan& groups = plan.groups;
  if (phase == 0) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      if (chunk < groups.a_chunks) {
        const int64_t last = chunk + 1 == groups.a_chunks ? groups.m : groups.m * (chunk + 1) / groups.a_chunks;
        pack_a(plan, static_cast<const uint8_t*>(args.in[0]), groups.m * chunk / groups.a_chunks, last, a);
        // Tiles may read one row past the last.
        if (last == groups.m) __builtin_memset(a + groups.m * groups.a_ld, 0, static_cast<size_t>(groups.groups) * 4);
      } else {
        pack_b(plan, static_cast<const int8_t*>(args.in[1]), chunk - groups.a_chunks, b, start);
      }
    }
    return;
  }
  int32_t* c = static_cast<int32_t*>(args.out[0]);
  run_groups<ByteGroups>(
      groups, begin, end, a, groups.a_ld, 1, b, [&](int64_t column) { return reinterpret_cast<const uint32_t*>(start + column); },
      [&](int64_t row, int64_t column, int64_t columns, const uint32_t* sums) {
        __builtin_memcpy(c + row * groups.n + column, sums, static_cast<size_t>(columns) * 4);
      });
}

void prepare_int8(Prepare& prepare) {
  const Spec& a = prepare.input(0);
  const Spec& b = prepare.input(1);
  const Spec& c = prepare.output(0);
  if ((a.dtype != DType::kUInt8 && a.dtype != DType::kInt8) || b.dtype != DType::kInt8 || c.dtype != DType::kInt32) {
    prepare.fail("takes uint8 or int8 times int8 and gives int32, but has %s, %s and %s", dtype_name(a.dtype), dtype_name(b.dtype),
                 dtype_name(c.dtype));
  }
  if (a.rank < 2 || b.rank != 2 || c.rank != a.rank || a.dim(-1) != b.dims[0]) {
    prepare.fail("a must be [..., M, K] and b [K, N]; the last axis of a has %lld, the first of b %lld elements", static_cast<long long>(a.dim(-1)),
                 static_cast<long long>(b.rank > 0 ? b.dims[0] : 0));
  }
  int64_t m = 1;
  for (int i = 0; i < a.rank - 1; ++i) {
    if (c.dims[i] != a.dims[i]) prepare.fail("the output must have the axes of a but the last");
    m *= a.dims[i];
  }
  if (c.dim(-1) != b.dims[1]) prepare.fail("the last axis of the output must have %lld elements", static_cast<long long>(b.dims[1]));
  auto* plan = static_cast<Int8Plan*>(prepare.new_state(sizeof(Int8Plan)));
  plan->is_signed = a.dtype == DType::kInt8;
  const int64_t k = b.dims[0];
  if (k == 0) prepare.fail("the inner dimension must not be 0");
  plan_groups(prepare, m, b.dims[1], k, kPerGroup, &plan->groups);
  plan->a_offset = static_cast<int64_t>(plan->groups.b_bytes);
  plan->start_offset = plan->a_offset + static_cast<int64_t>(plan->groups.a_bytes);
  prepare.need_scratch(static_cast<size_t>(plan->start_offset + plan->groups.panels * kGroupPanel * 4));
  prepare.set_cost(2.0 * static_cast<double>(m) * static_cast<double>(b.dims[1]) * static_cast<double>(k) / kPerGroup);
  prepare.set_run(run_int8);
}

NN_KERNEL("matmul_int8", prepare_int8);

}  // namespace
}  // namespace nnlite::NN_ISA
