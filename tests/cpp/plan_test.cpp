// Plans of toy kernels, which are registered here.
#include "runtime/plan.h"

#include <numeric>

#include "core/check.h"
#include "kernel_test.h"
#include "runtime/eager.h"

namespace nnlite {
namespace {

using test::Buffer;
using test::make_spec;

// toy_add: out = in0 + in1 + shift, element by element in chunks of 16; through thread scratch. `flops` steers the schedule.
struct AddState {
  int64_t size;
  float shift;
};
constexpr int64_t kChunk = 16;

void run_add(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const auto& s = *static_cast<const AddState*>(state);
  const float* a = static_cast<const float*>(args.in[0]);
  const float* b = static_cast<const float*>(args.in[1]);
  float* const own = static_cast<float*>(args.thread_scratch);
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    const int64_t first = chunk * kChunk, count = std::min(kChunk, s.size - first);
    for (int64_t i = 0; i < count; ++i) own[i] = a[first + i] + b[first + i];
    for (int64_t i = 0; i < count; ++i) static_cast<float*>(args.out[0])[first + i] = own[i] + s.shift;
  }
}

void prepare_add(Prepare& prepare) {
  if (prepare.num_inputs() != 2 || prepare.input(0).size() != prepare.output(0).size()) prepare.fail("takes two inputs of the output's size");
  auto* state = static_cast<AddState*>(prepare.new_state(sizeof(AddState)));
  state->size = prepare.output(0).size();
  state->shift = static_cast<float>(prepare.get_float("shift", 0));
  prepare.set_run(run_add);
  prepare.add_phase((state->size + kChunk - 1) / kChunk);
  prepare.need_thread_scratch(kChunk * sizeof(float));
}

// toy_total: the sum of all elements, in two phases through shared scratch: partial sums of 16, then their sum in order.
void run_total(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  const int64_t size = *static_cast<const int64_t*>(state);
  const float* x = static_cast<const float*>(args.in[0]);
  float* const partial = static_cast<float*>(args.scratch);
  if (phase == 1) {
    *static_cast<float*>(args.out[0]) = std::accumulate(partial, partial + (size + kChunk - 1) / kChunk, 0.0f);
    return;
  }
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    partial[chunk] = std::accumulate(x + chunk * kChunk, x + std::min(size, (chunk + 1) * kChunk), 0.0f);
  }
}

void prepare_total(Prepare& prepare) {
  auto* size = static_cast<int64_t*>(prepare.new_state(sizeof(int64_t)));
  *size = prepare.input(0).size();
  const int64_t chunks = (*size + kChunk - 1) / kChunk;
  prepare.set_run(run_total);
  prepare.add_phase(chunks);
  prepare.add_phase(1);
  prepare.need_scratch(static_cast<size_t>(chunks) * sizeof(float));
}

void prepare_attributes(Prepare& prepare) {
  int64_t ints[2];
  double floats[4];
  const char* strings[4];
  EXPECT_EQ(prepare.get_int("an_int"), 7);
  EXPECT_EQ(prepare.get_int("absent", 5), 5);
  EXPECT_EQ(prepare.get_float("an_int"), 7.0);
  EXPECT_EQ(std::string(prepare.get_string("a_string", "")), "text");
  EXPECT_EQ(prepare.get_ints("ints", ints, 2), 3);
  EXPECT_EQ(ints[1], 2);
  EXPECT_EQ(prepare.get_floats("ints", floats, 4), 3);
  EXPECT_EQ(floats[2], 3.0);
  EXPECT_EQ(prepare.get_strings("strings", strings, 4), 2);
  EXPECT_EQ(std::string(strings[1]), "b");
  EXPECT_EQ(prepare.get_strings("empty", strings, 4), 0);
  EXPECT(prepare.has("empty") && !prepare.has("absent"));
  prepare.get_ints(prepare.get_string("ask", "ints"), ints, 2);
}

void prepare_avx2_only(Prepare& prepare) {
  prepare.set_run(run_add);
  prepare.add_phase(1);
}

// toy_slow: 16 chunks of long chains of dependent additions; says nothing of its cost.
void run_slow(const void*, int, int64_t begin, int64_t end, const StepArgs& args) {
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    volatile float sum = static_cast<const float*>(args.in[0])[0];
    for (int i = 0; i < 100000; ++i) sum = sum + 1;
    static_cast<float*>(args.out[0])[chunk] = sum;
  }
}

void prepare_slow(Prepare& prepare) {
  prepare.set_run(run_slow);
  prepare.add_phase(16);
}

const KernelRegistrar kSlow("toy_slow", Isa::kAny, prepare_slow);
const KernelRegistrar kAdd("toy_add", Isa::kAny, prepare_add);
const KernelRegistrar kTotal("toy_total", Isa::kAny, prepare_total);
const KernelRegistrar kAttributes("toy_attributes", Isa::kAny, prepare_attributes);
const KernelRegistrar kAvx2("toy_avx2", Isa::kAvx2, prepare_avx2_only);

Slot arena_slot(const Spec& spec, int64_t offset) { return {spec, SlotKind::kArena, offset, nullptr}; }
Slot fixed_slot(const Buffer& buffer) { return {buffer.spec(), SlotKind::kFixed, 0, buffer.data()}; }
Slot input_slot(const Spec& spec, int64_t index) { return {spec, SlotKind::kInput, index, nullptr}; }
Slot output_slot(const Spec& spec, int64_t index) { return {spec, SlotKind::kOutput, index, nullptr}; }

PlanStep make_step(const char* kernel, const std::vector<Slot>& slots, std::vector<int> inputs, std::vector<int> outputs,
                   Attributes attributes = {}) {
  std::vector<Spec> in, out;
  for (int slot : inputs) in.push_back(slots[slot].spec);
  for (int slot : outputs) out.push_back(slots[slot].spec);
  return {Step(kernel, in, out, std::move(attributes)), inputs, outputs, kernel};
}

// A training step in miniature on a batch [8, n]: t = x + x + 1; s = total(t); variable += s; output = t. `flops` makes it worth a team.
struct Miniature {
  explicit Miniature(int64_t n, double flops, std::shared_ptr<Arena> arena = std::make_shared<Arena>())
      : batch(make_spec({8, n})), variable(make_spec({1}), {0.0f}), plan(make(arena, flops)) {}

  Plan make(const std::shared_ptr<Arena>& arena, double flops) {
    const std::vector<Slot> slots = {input_slot(batch, 0), arena_slot(batch, 0), arena_slot(make_spec({1}), static_cast<int64_t>(batch.bytes())),
                                     fixed_slot(variable), output_slot(batch, 0)};
    std::vector<PlanStep> steps;
    steps.push_back(make_step("toy_add", slots, {0, 0}, {1}, {{"shift", 1.0}, {"flops", flops}}));
    steps.push_back(make_step("toy_total", slots, {1}, {2}, {{"flops", flops}}));
    steps.push_back(make_step("toy_add", slots, {3, 2}, {3}));
    steps.push_back(make_step("toy_add", slots, {1, 1}, {4}, {{"flops", flops}}));
    return Plan(slots, std::move(steps), {}, arena, batch.bytes() + 4);
  }

  Spec batch;
  Buffer variable;
  Plan plan;
};

constexpr double kTinyWork = 0, kMuchWork = 1e9;

struct ThreadCount {
  explicit ThreadCount(int threads) : before(num_threads()) { set_num_threads(threads); }
  ~ThreadCount() { set_num_threads(before); }
  int before;
};

// Small whole numbers, so that sums are exact in any order.
Buffer whole_numbers(std::initializer_list<int64_t> dims) {
  Buffer buffer(make_spec(dims));
  for (int64_t i = 0; i < buffer.size(); ++i) buffer.at<float>(i) = static_cast<float>(i % 11 - 3);
  return buffer;
}

}  // namespace

TEST(plan_runs_alone_and_as_a_team) {
  for (int threads : {1, 2, 4}) {
    const ThreadCount count(threads);
    for (double flops : {kTinyWork, kMuchWork}) {
      Miniature mini(100, flops);
      const Buffer x = whole_numbers({8, 100});
      const Buffer y(mini.batch);
      void* in[] = {x.data()};
      void* out[] = {y.data()};
      mini.plan.arena().lock();
      for (int i = 0; i < 3; ++i) mini.plan.run(in, out);
      mini.plan.arena().unlock();
      float sum = 0;
      for (int64_t i = 0; i < x.size(); ++i) {
        EXPECT_EQ(y.at<float>(i), 4 * x.at<float>(i) + 2);
        sum += 2 * x.at<float>(i) + 1;
      }
      EXPECT_EQ(mini.variable.at<float>(0), 3 * sum);
      EXPECT(y.guards_intact() && mini.variable.guards_intact());
    }
  }
}

TEST(plan_steps_gather_rows) {
  for (double flops : {kTinyWork, kMuchWork}) {
    const ThreadCount count(2);
    Miniature mini(5000, flops);  // large enough for a shared gather
    const Buffer source = whole_numbers({50, 5000});
    std::vector<int64_t> order(6 * 8);
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i * 29 % 50);
    mini.plan.arena().lock();
    EXPECT_EQ(mini.plan.run_steps({{source.as<char>(), 50}}, order.data(), 6, {}), 6);
    mini.plan.arena().unlock();
    double sum = 0;
    for (int64_t row : order) {
      for (int64_t i = 0; i < 5000; ++i) sum += 2 * source.at<float>(row * 5000 + i) + 1;
    }
    EXPECT_EQ(mini.variable.at<float>(0), static_cast<float>(sum));
  }
}

TEST(plan_batches_write_rows_in_place) {
  for (double flops : {kTinyWork, kMuchWork}) {
    const ThreadCount count(2);
    Miniature mini(30, flops);
    const Buffer source = whole_numbers({50, 30}), result(make_spec({50, 30}));
    std::memset(result.data(), 0, result.spec().bytes());
    mini.plan.arena().lock();
    EXPECT_EQ(mini.plan.run_batches({{source.as<char>(), 50}}, {result.as<char>()}, 3, 5, {}), 5);
    EXPECT_EQ(mini.plan.run_batches({{source.as<char>(), 50}}, {nullptr}, 0, 2, {}), 2);
    mini.plan.arena().unlock();
    for (int64_t i = 0; i < result.size(); ++i) {
      const bool inside = i >= 3 * 30 && i < 43 * 30;
      EXPECT_EQ(result.at<float>(i), inside ? 4 * source.at<float>(i) + 2 : 0);
    }
  }
}

TEST(plan_stops_between_steps_when_polled) {
  constexpr int64_t kSteps = 200000;  // tenths of a second at least: worker 0 is asked long before the end, unless it sleeps through it all
  for (double flops : {kTinyWork, kMuchWork}) {
    const ThreadCount count(2);
    Miniature mini(100, flops);
    const Buffer source = whole_numbers({8, 100});
    const std::vector<int64_t> order(8 * kSteps, 1);
    int polls = 0;
    const Poll poll = {[](void* context) { return ++*static_cast<int*>(context) > 0; }, &polls};
    mini.plan.arena().lock();
    int64_t steps = kSteps;
    for (int attempt = 0; attempt < 100 && steps == kSteps; ++attempt) {
      polls = 0;
      mini.variable.at<float>(0) = 0;
      steps = mini.plan.run_steps({{source.as<char>(), 8}}, order.data(), kSteps, poll);
    }
    mini.plan.arena().unlock();
    EXPECT_EQ(polls, 1);
    EXPECT(steps > 0 && steps < kSteps);
    float per_step = 0, expected = 0;
    for (int64_t i = 0; i < 100; ++i) per_step += 8 * (2 * source.at<float>(100 + i) + 1);
    for (int64_t s = 0; s < steps; ++s) expected += per_step;
    EXPECT_EQ(mini.variable.at<float>(0), expected);
  }
}

TEST(plan_shares_a_growing_arena) {
  const auto arena = std::make_shared<Arena>();
  Miniature small(10, kTinyWork, arena), large(100000, kTinyWork, arena);
  for (Miniature* mini : {&small, &large, &small}) {
    const Buffer x = whole_numbers({8, mini->batch.dims[1]}), y(mini->batch);
    void* in[] = {x.data()};
    void* out[] = {y.data()};
    arena->lock();
    mini->plan.run(in, out);
    arena->unlock();
    EXPECT_EQ(y.at<float>(9), 4 * x.at<float>(9) + 2);
  }
}

TEST(plan_profile_names_every_step) {
  Miniature mini(100, kMuchWork);
  const Buffer x = whole_numbers({8, 100}), y(mini.batch);
  void* in[] = {x.data()};
  void* out[] = {y.data()};
  mini.plan.arena().lock();
  const auto profile = mini.plan.profile(in, out, 5);
  mini.plan.arena().unlock();
  EXPECT_EQ(profile.size(), 4u);
  EXPECT_EQ(profile[1].first, "toy_total");
  for (const auto& step : profile) EXPECT(step.second > 0);
}

TEST(plan_dump_shows_steps_and_slots) {
  const ThreadCount count(2);
  Miniature mini(100, kMuchWork);
  mini.plan.arena().lock();
  const std::string text = mini.plan.dump();
  mini.plan.arena().unlock();
  EXPECT(text.find("toy_total") != std::string::npos);
  EXPECT(text.find("%1 float32 (8, 100) arena+0") != std::string::npos);
  EXPECT(text.find("50T+1 chunks") != std::string::npos);
}

TEST(plan_learns_what_calls_cost) {
  const ThreadCount count(2);
  const Spec spec = make_spec({16});
  const std::vector<Slot> slots = {input_slot(spec, 0), output_slot(spec, 0)};
  std::vector<PlanStep> steps;
  steps.push_back(make_step("toy_slow", slots, {0}, {1}));
  Plan plan(slots, std::move(steps), {}, std::make_shared<Arena>(), 0);
  const Buffer x = whole_numbers({16}), y(spec);
  void* in[] = {x.data()};
  void* out[] = {y.data()};
  plan.arena().lock();
  EXPECT(plan.dump().find("16T chunks") == std::string::npos);
  for (int i = 0; i < 3; ++i) plan.run(in, out);
  EXPECT(plan.dump().find("16T chunks") != std::string::npos);
  plan.arena().unlock();
  EXPECT(!plan.is_short());
}

TEST(plan_rejects_what_does_not_fit) {
  const Spec spec = make_spec({4});
  const auto build = [&](std::vector<Slot> slots, size_t bytes) { Plan(std::move(slots), {}, {}, std::make_shared<Arena>(), bytes); };
  EXPECT_THROWS(build({arena_slot(spec, 64)}, 64), std::invalid_argument, "slot 0: 16 bytes at offset 64 do not fit in an arena of 64 bytes");
  EXPECT_THROWS(build({input_slot(spec, 1), input_slot(spec, 0), input_slot(make_spec({5}), 0)}, 0), std::invalid_argument, "differ in size");
  EXPECT_THROWS(build({output_slot(spec, 1), input_slot(spec, 0)}, 0), std::invalid_argument, "no slot is output 0");
  Miniature mini(10, kTinyWork);
  EXPECT_THROWS(make_step("toy_add", {fixed_slot(mini.variable)}, {0}, {0}), std::invalid_argument, "toy_add: takes two inputs");
}

TEST(step_attributes) {
  const Attributes good = {{"an_int", int64_t{7}}, {"a_string", std::string("text")}, {"ints", std::vector<int64_t>{1, 2, 3}},
                           {"strings", std::vector<std::string>{"a", "b"}}, {"empty", std::vector<int64_t>{}}};
  const auto ask = [&](const char* name) {
    Attributes attributes = good;
    attributes["ask"] = std::string(name);
    Step("toy_attributes", {}, {}, attributes);
  };
  EXPECT_THROWS(ask("ints"), std::invalid_argument, "must set a run function and at least one phase");
  EXPECT_THROWS(ask("nothing"), std::invalid_argument, "toy_attributes: attribute 'nothing' is missing");
  EXPECT_THROWS(ask("an_int"), std::invalid_argument, "toy_attributes: attribute 'an_int' must be a list of ints, got an int");
}

TEST(step_falls_back_to_lower_instruction_sets) {
  EXPECT_EQ(Step("toy_avx2", {}, {}, {}, Isa::kAvx512).phases().size(), 1u);
  EXPECT_THROWS(Step("toy_avx2", {}, {}, {}, Isa::kBaseline), std::invalid_argument, "no kernel 'toy_avx2' for instruction set baseline");
  EXPECT_THROWS(Step("toy_nothing", {}, {}, {}), std::invalid_argument, "no kernel 'toy_nothing'");
}

TEST(eager_runs_alone_and_as_a_team) {
  for (double flops : {kTinyWork, kMuchWork}) {
    const ThreadCount count(2);
    const Spec spec = make_spec({1000});
    EagerStep eager(Step("toy_add", {spec, spec}, {spec}, {{"flops", flops}}));
    EXPECT_EQ(eager.is_short(), flops == kTinyWork);
    const Buffer x = whole_numbers({1000}), y(spec);
    void* in[] = {x.data(), x.data()};
    void* out[] = {y.data()};
    eager.run(in, out);
    for (int64_t i = 0; i < 1000; ++i) EXPECT_EQ(y.at<float>(i), 2 * x.at<float>(i));
  }
}

}  // namespace nnlite
