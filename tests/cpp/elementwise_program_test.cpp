// Programs: broadcasting, several instructions and results, fused sums.
#include "elementwise_program.h"

namespace nnlite::test {
namespace {

// The element of `spec` that index i of `whole` reads.
int64_t broadcast_index(const Spec& whole, const Spec& spec, int64_t i) {
  int64_t index = 0, stride = 1;
  for (int d = whole.rank - 1; d >= 0; --d) {
    const int own = d - (whole.rank - spec.rank);
    const int64_t at = i % whole.dims[d];
    i /= whole.dims[d];
    if (own < 0) continue;
    if (spec.dims[own] != 1) index += at * stride;
    stride *= spec.dims[own];
  }
  return index;
}

void check_broadcast(const Spec& whole, const Spec& a_spec, const Spec& b_spec) {
  const Buffer a = random_buffer(a_spec, 1), b = random_buffer(b_spec, 2);
  const Buffer y = run_every_way("elementwise", {a, b}, {whole}, single_op("subtract", 2, whole.dtype))[0];
  for (int64_t i = 0; i < whole.size(); ++i) {
    EXPECT_NEAR(value_at(y, i), value_at(a, broadcast_index(whole, a_spec, i)) - value_at(b, broadcast_index(whole, b_spec, i)), 2e-7);
  }
}

TEST(elementwise_broadcasting) {
  const auto f = [](std::initializer_list<int64_t> dims) { return make_spec(dims); };
  check_broadcast(f({}), f({}), f({}));
  check_broadcast(f({1}), f({}), f({1}));
  check_broadcast(f({7}), f({7}), f({}));
  check_broadcast(f({0}), f({0}), f({1}));
  check_broadcast(f({3, 0}), f({3, 1}), f({0}));
  check_broadcast(f({40, 10}), f({40, 10}), f({10}));
  check_broadcast(f({40, 10}), f({40, 1}), f({40, 10}));
  check_broadcast(f({40, 10}), f({40, 1}), f({10}));
  check_broadcast(f({1000, 10}), f({1000, 1}), f({1, 10}));
  check_broadcast(f({3, 3000}), f({3, 1}), f({3000}));
  check_broadcast(f({3, 3000}), f({3, 3000}), f({3000}));
  check_broadcast(f({3, 20000}), f({3, 1}), f({20000}));
  check_broadcast(f({2, 5, 7}), f({2, 1, 7}), f({5, 1}));
  check_broadcast(f({2, 5, 600}), f({2, 1, 600}), f({5, 1}));
  check_broadcast(f({4, 6, 3, 33}), f({4, 1, 3, 1}), f({6, 1, 33}));
  check_broadcast(f({2, 3, 2, 3, 2, 3, 2, 3}), f({1, 3, 1, 3, 1, 3, 1, 3}), f({2, 1, 2, 1, 2, 1, 2, 1}));
  check_broadcast(f({5, 1, 1, 9000}), f({5, 1, 1, 1}), f({1, 9000}));
  check_broadcast(f({50, 2000}), f({50, 2000}), f({50, 1}));
}

TEST(elementwise_broadcasting_of_other_item_sizes) {
  for (const DType dtype : {DType::kFloat64, DType::kUInt8, DType::kInt64, DType::kBFloat16}) {
    const Spec whole = make_spec({6, 1, 45}, dtype), row = make_spec({45}, dtype), column = make_spec({6, 1, 1}, dtype);
    const Buffer a = random_buffer(row, 1, 0, 40), b = random_buffer(column, 2, 0, 40);
    const Buffer y = run_every_way("elementwise", {a, b}, {whole}, single_op("maximum", 2, dtype))[0];
    for (int64_t i = 0; i < whole.size(); ++i) EXPECT_EQ(value_at(y, i), std::fmax(value_at(a, i % 45), value_at(b, i / 45)));
  }
}

TEST(elementwise_program_of_many_instructions) {
  for (const int64_t n : {1, 5, 16, 1000, 50000}) {
    const Spec spec = make_spec({n});
    const Buffer x = random_buffer(spec, 1), y = random_buffer(spec, 2), s = random_buffer(make_spec({}), 3);
    // r3 = 2; r4 = x * 2; r5 = r4 + y; r6 = r5 > s; r7 = where(r6, r5, x); r8 = cast(r6, int32)
    const Attributes program = ProgramBuilder()
                                   .op("constant", {}, DType::kFloat32, 2.0)
                                   .op("multiply", {0, 3})
                                   .op("add", {4, 1})
                                   .op("greater", {5, 2}, DType::kBool)
                                   .op("where", {6, 5, 0})
                                   .op("cast", {6}, DType::kInt32)
                                   .give({7, 8, 5, 7, 0, 3});
    const auto out = run_every_way("elementwise", {x, y, s}, {spec, make_spec({n}, DType::kInt32), spec, spec, spec, spec}, program);
    for (int64_t i = 0; i < n; ++i) {
      const float sum = x.at<float>(i) * 2.0f + y.at<float>(i);
      const bool more = sum > s.at<float>(0);
      EXPECT_EQ(out[0].at<float>(i), more ? sum : x.at<float>(i));
      EXPECT_EQ(out[1].at<int32_t>(i), static_cast<int32_t>(more));
      EXPECT_EQ(out[2].at<float>(i), sum);
      EXPECT_EQ(out[3].at<float>(i), out[0].at<float>(i));
      EXPECT_EQ(out[4].at<float>(i), x.at<float>(i));
      EXPECT_EQ(out[5].at<float>(i), 2.0f);
    }
  }
}

// A program that also returns its intermediate registers runs them one by one; without them frequent groups run as one instruction.
TEST(elementwise_groups_of_instructions_keep_their_bits) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kBFloat16}) {
    const auto compare = [&](ProgramBuilder program, std::vector<int64_t> intermediate, int64_t result) {
      const Spec spec = make_spec({1003}, dtype);
      const Buffer dy = random_buffer(spec, 1, -3, 3), y = random_buffer(spec, 2);
      std::vector<int64_t> all = {result};
      std::vector<Spec> specs = {spec};
      for (const int64_t r : intermediate) {
        all.push_back(r);
        specs.push_back(make_spec({1003}, program.dtypes[r - 2] == "bool" ? DType::kBool : dtype));
      }
      const Buffer grouped = run_every_way("elementwise", {dy, y}, {spec}, program.give({result}))[0];
      EXPECT(grouped.same_bytes(run_kernel("elementwise", {dy, y}, specs, program.give(all))[0]));
    };
    const auto zero = ProgramBuilder().op("constant", {}, dtype, 0.0), one = ProgramBuilder().op("constant", {}, dtype, 1.0);
    compare(ProgramBuilder(zero).op("greater", {1, 2}, DType::kBool).op("where", {3, 0, 2}, dtype), {3}, 4);
    compare(ProgramBuilder(one).op("subtract", {2, 1}, dtype).op("multiply", {1, 3}, dtype).op("multiply", {0, 4}, dtype), {3, 4}, 5);
    compare(ProgramBuilder(one).op("square", {1}, dtype).op("subtract", {2, 3}, dtype).op("multiply", {4, 0}, dtype), {3, 4}, 5);
    compare(ProgramBuilder().op("subtract", {0, 1}, dtype).op("square", {2}, dtype), {2}, 3);
  }
}

TEST(elementwise_groups_only_what_matches) {
  const Spec spec = make_spec({2});
  const Buffer dy(spec, {5.f, 7.f}), y(spec, {0.5f, -2.f});
  // y > 1, not y > 0; and where's other branch is 3.
  const auto one =
      ProgramBuilder().op("constant", {}, DType::kFloat32, 1.0).op("constant", {}, DType::kFloat32, 0.0).op("constant", {}, DType::kFloat32, 3.0);
  const Buffer a =
      run_every_way("elementwise", {dy, y}, {spec}, ProgramBuilder(one).op("greater", {1, 2}, DType::kBool).op("where", {5, 0, 3}).give({6}))[0];
  EXPECT_EQ(a.at<float>(0), 0.f);
  const Buffer b =
      run_every_way("elementwise", {dy, y}, {spec}, ProgramBuilder(one).op("greater", {1, 3}, DType::kBool).op("where", {5, 0, 4}).give({6}))[0];
  EXPECT_EQ(b.at<float>(0), 5.f);
  EXPECT_EQ(b.at<float>(1), 3.f);
}

TEST(elementwise_works_in_place) {
  const Spec spec = make_spec({5003});
  const Buffer x = random_buffer(spec, 1), y = random_buffer(spec, 2);
  const Attributes program = ProgramBuilder().op("multiply", {0, 1}).op("tanh", {2}).op("add", {3, 1}).give({4});
  const Buffer want = run_kernel("elementwise", {x, y}, {spec}, program)[0];
  const Step step("elementwise", {spec, spec}, {spec}, program, active_isa());
  run_step(step, {x, y}, {y});
  EXPECT(y.same_bytes(want));
}

TEST(elementwise_constants_of_every_dtype) {
  for (const DType dtype :
       {DType::kFloat32, DType::kFloat64, DType::kBFloat16, DType::kInt32, DType::kInt64, DType::kUInt8, DType::kInt8, DType::kBool}) {
    const Spec spec = make_spec({3, 7}, dtype);
    const Buffer y = run_every_way("elementwise", {}, {spec}, ProgramBuilder().op("constant", {}, dtype, 1.0).give({0}))[0];
    for (int64_t i = 0; i < 21; ++i) EXPECT_EQ(value_at(y, i), 1.0);
  }
}

// Sum over the leading (or trailing) `axes` axes of a * b, b broadcast.
void check_sum(const Spec& a_spec, const Spec& b_spec, int axes, bool leading, DType dtype) {
  Spec specs[2] = {a_spec, b_spec};
  for (Spec& spec : specs) spec.dtype = dtype;
  const Buffer a = random_buffer(specs[0], 1), b = random_buffer(specs[1], 2, 0, 1);
  Spec out;
  out.dtype = dtype;
  out.rank = a_spec.rank - axes;
  for (int d = 0; d < out.rank; ++d) out.dims[d] = a_spec.dims[leading ? axes + d : d];
  Attributes program = ProgramBuilder().op("multiply", {0, 1}, dtype).give({2});
  program["reduce"] = std::string("sum");
  std::vector<int64_t> list;
  for (int k = 0; k < axes; ++k) list.push_back(leading ? k : out.rank + k);
  program["reduce_axes"] = list;
  const Buffer y = run_every_way("elementwise", {a, b}, {out}, program)[0];
  std::vector<double> want(out.size(), 0.0), size(out.size(), 0.0);
  const int64_t count = out.size() > 0 ? a_spec.size() / std::max<int64_t>(out.size(), 1) : 0;
  for (int64_t i = 0; i < a_spec.size(); ++i) {
    const int64_t j = leading ? i % out.size() : i / count;
    const double term = value_at(a, i) * value_at(b, broadcast_index(a_spec, b_spec, i));
    want[j] += term;
    size[j] += std::fabs(term);
  }
  for (int64_t j = 0; j < out.size(); ++j) EXPECT_NEAR(value_at(y, j), want[j], (dtype == DType::kFloat64 ? 1e-15 : 3e-7) * (size[j] + 1e-3));
}

TEST(elementwise_fused_sums) {
  const auto f = [](std::initializer_list<int64_t> dims) { return make_spec(dims); };
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    for (const bool leading : {false, true}) {
      check_sum(f({1}), f({}), 1, leading, dtype);
      check_sum(f({37}), f({}), 1, leading, dtype);
      check_sum(f({100000}), f({1}), 1, leading, dtype);
      check_sum(f({0}), f({}), 1, leading, dtype);
      check_sum(f({0, 4}), f({}), 1, leading, dtype);
      check_sum(f({4, 0}), f({}), 1, leading, dtype);
      check_sum(f({4, 4}), f({4}), 1, leading, dtype);
      check_sum(f({1, 9}), f({9}), 1, leading, dtype);
      check_sum(f({9, 1}), f({9, 1}), 1, leading, dtype);
      check_sum(f({1, 1}), f({1}), 1, leading, dtype);
      check_sum(f({500, 10}), f({500, 1}), 1, leading, dtype);
      check_sum(f({500, 10}), f({10}), 1, leading, dtype);
      check_sum(f({3, 100000}), f({3, 1}), 1, leading, dtype);
      check_sum(f({3, 100000}), f({100000}), 1, leading, dtype);
      check_sum(f({100, 1500}), f({1500}), 1, leading, dtype);
      check_sum(f({40000, 3}), f({3}), 1, leading, dtype);
      check_sum(f({20, 30, 40}), f({20, 1, 40}), 1, leading, dtype);
      check_sum(f({20, 30, 40}), f({20, 1, 40}), 2, leading, dtype);
      check_sum(f({20, 30, 40}), f({30, 1}), 2, leading, dtype);
      check_sum(f({20, 30, 40}), f({30, 1}), 3, leading, dtype);
      check_sum(f({3, 4, 5, 700}), f({4, 1, 700}), 2, leading, dtype);
      check_sum(f({3, 4, 5, 700}), f({4, 1, 700}), 3, leading, dtype);
      check_sum(f({50, 2, 1100}), f({50, 1, 1100}), 1, leading, dtype);
    }
  }
}

TEST(elementwise_sum_takes_its_axes_from_the_shape) {
  const Buffer x = random_buffer({6, 5}, 1);
  Attributes program = single_op("square", 1, DType::kFloat32);
  program["reduce"] = std::string("sum");
  const Buffer rows = run_every_way("elementwise", {x}, {make_spec({6})}, program)[0],
               columns = run_every_way("elementwise", {x}, {make_spec({5})}, program)[0];
  double row = 0, column = 0;
  for (int j = 0; j < 5; ++j) row += x.at<float>(5 + j) * x.at<float>(5 + j);
  for (int i = 0; i < 6; ++i) column += x.at<float>(5 * i + 1) * x.at<float>(5 * i + 1);
  EXPECT_NEAR(rows.at<float>(1), row, 1e-6);
  EXPECT_NEAR(columns.at<float>(1), column, 1e-6);
}

TEST(elementwise_refuses_bad_programs) {
  const Buffer x = random_buffer({4, 4});
  const auto run = [&](const Attributes& attributes, Spec out = make_spec({4, 4})) { run_kernel("elementwise", {x, x}, {out}, attributes); };
  EXPECT_THROWS(run(single_op("frobnicate", 1, DType::kFloat32)), std::invalid_argument, "no opcode 'frobnicate'");
  EXPECT_THROWS(run(ProgramBuilder().op("add", {0, 3}).give({2})), std::invalid_argument, "before it is written");
  EXPECT_THROWS(run(ProgramBuilder().op("add", {0, 1}).give({3})), std::invalid_argument, "does not exist");
  EXPECT_THROWS(run(ProgramBuilder().op("add", {0, 1}, DType::kInt32).give({2}), make_spec({4, 4}, DType::kInt32)), std::invalid_argument,
                "no 'add' of");
  EXPECT_THROWS(run(single_op("add", 2, DType::kFloat32), make_spec({4, 5})), std::invalid_argument, "broadcast");
  Attributes sum = ProgramBuilder().op("add", {0, 1}).give({2});
  sum["reduce"] = std::string("sum");
  EXPECT_THROWS(run(sum, make_spec({4})), std::invalid_argument, "reduce_axes");
}

}  // namespace
}  // namespace nnlite::test
