#include "runtime/plan.h"

#include <algorithm>

#include "core/check.h"
#include "core/parallel.h"
#include "core/spec_text.h"
#include "runtime/gather.h"
#include "runtime/runs.h"

namespace nnlite {
namespace {

constexpr double kTeamStartNanoseconds = 5000;  // waking workers that sleep
constexpr size_t kThreadGap = 256;  // between the scratch of two threads: CPUs prefetch neighbouring lines

constexpr const char* kKindNames[] = {"arena", "fixed", "input", "output", "moving"};

// While it lives, the loops of a program ask the timer.
class LoopPolls {
 public:
  LoopPolls(Program* program, PollTimer* timer) : program_(program) { program_->set_poll(timer); }
  ~LoopPolls() { program_->set_poll(nullptr); }
  LoopPolls(const LoopPolls&) = delete;

 private:
  Program* program_;
};

}  // namespace

Plan::Plan(std::vector<Slot> slots, std::vector<PlanStep> steps, std::vector<PlanStep> prologue, std::shared_ptr<Arena> arena, size_t arena_bytes)
    : slots_(std::move(slots)),
      steps_(std::move(steps)),
      prologue_(std::move(prologue)),
      arena_(std::move(arena)),
      arena_bytes_(align_up(arena_bytes)) {
  collect(&inputs_, SlotKind::kInput, "input");
  collect(&outputs_, SlotKind::kOutput, "output");
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    NN_CHECK(slot.kind != SlotKind::kArena || (slot.where >= 0 && static_cast<size_t>(slot.where) + slot.spec.bytes() <= arena_bytes_),
             "slot %zu: %zu bytes at offset %lld do not fit in an arena of %zu bytes", i, slot.spec.bytes(),
             static_cast<long long>(slot.where), arena_bytes_);
  }
  input_operands_.resize(inputs_.size());
  output_operands_.resize(outputs_.size());
  find_operands(&steps_);
  find_operands(&prologue_);
}

void Plan::collect(std::vector<Spec>* specs, SlotKind kind, const char* name) {
  std::vector<bool> seen;
  for (const Slot& slot : slots_) {
    if (slot.kind != kind) continue;
    NN_CHECK(slot.where >= 0 && slot.where < static_cast<int64_t>(slots_.size()), "%s index %lld is out of range", name,
             static_cast<long long>(slot.where));
    const size_t index = static_cast<size_t>(slot.where);
    if (index >= specs->size()) specs->resize(index + 1), seen.resize(index + 1);
    NN_CHECK(!seen[index] || (*specs)[index].bytes() == slot.spec.bytes(), "two slots of %s %zu differ in size: %s and %s", name, index,
             spec_text((*specs)[index]).c_str(), spec_text(slot.spec).c_str());
    if (!seen[index]) (*specs)[index] = slot.spec;  // the first slot of an input is the one callers see; others are views
    seen[index] = true;
  }
  for (size_t i = 0; i < seen.size(); ++i) NN_CHECK(seen[i], "no slot is %s %zu, but there are slots for later ones", name, i);
}

void Plan::find_operands(Program* program) {
  for (size_t i = 0; i < program->operand_slots().size(); ++i) {
    const int number = program->operand_slots()[i];
    NN_CHECK(number >= 0 && number < static_cast<int>(slots_.size()), "a step names slot %d, but there are %zu slots", number, slots_.size());
    const Slot& slot = slots_[number];
    if (slot.kind == SlotKind::kFixed) program->bind(i, slot.fixed);
    if (slot.kind == SlotKind::kInput) input_operands_[slot.where].push_back({program, i});
    if (slot.kind == SlotKind::kOutput) output_operands_[slot.where].push_back({program, i});
    if (slot.kind == SlotKind::kMoving) program->bind_to_register(i, slot.where);
  }
}

bool Plan::refresh_schedule() {
  const int threads = num_threads();
  if (threads == threads_) return false;
  threads_ = threads;
  team_nanoseconds_ = steps_.schedule(threads);
  team_prologue_nanoseconds_ = prologue_.schedule(threads);
  return true;
}

void Plan::prepare_run() {
  const bool rescheduled = refresh_schedule();
  if (rescheduled || bound_base_ == nullptr || bound_base_ != arena_->base()) bind_arena();
}

void Plan::bind_arena() {
  const size_t scratch = align_up(std::max(steps_.scratch_bytes(), prologue_.scratch_bytes()));
  const size_t own = align_up(std::max(steps_.thread_scratch_bytes(), prologue_.thread_scratch_bytes())) + kThreadGap;
  arena_->reserve(arena_bytes_ + scratch + own * threads_);
  bound_base_ = arena_->base();
  for (Program* program : {&steps_, &prologue_}) {
    program->bind_scratch(bound_base_ + arena_bytes_, bound_base_ + arena_bytes_ + scratch, own);
    for (size_t i = 0; i < program->operand_slots().size(); ++i) {
      const Slot& slot = slots_[program->operand_slots()[i]];
      if (slot.kind == SlotKind::kArena) program->bind(i, bound_base_ + slot.where);
    }
  }
}

void Plan::bind_slots(const std::vector<std::vector<Operand>>& operands, int index, void* address) {
  for (const Operand& operand : operands[index]) operand.program->bind(operand.index, address);
}

int Plan::team_size(const Program& program, double team_nanoseconds, int64_t count) const {
  const double runs = static_cast<double>(count);
  return runs * team_nanoseconds + kTeamStartNanoseconds < 0.9 * runs * program.nanoseconds() ? threads_ : 1;
}

void Plan::run_once(const Program& program, double team_nanoseconds) {
  const int threads = team_size(program, team_nanoseconds, 1);
  if (threads > 1) {
    SingleRun parts(program);
    run_parts(threads, parts);
  } else {
    FlushDenormals flush;
    program.run();
  }
}

template <class Body>
void Plan::measure(int threads, const Body& body) {
  steps_.start_watch();
  body();
  const std::vector<double> call_seconds = steps_.stop_watch();
  if (++runs_ == 1) return;
  steps_.learn(call_seconds, threads);
  team_nanoseconds_ = steps_.schedule(threads_);
}

template <class Piece>
int64_t Plan::run_pieces(int64_t count, const Piece& piece) {
  int64_t done = 0;
  while (measuring() && done < count) {
    const int threads = team_size(steps_, team_nanoseconds_, count);
    measure(threads, [&] { done += piece(done, 1, threads); });
  }
  return done == count ? done : done + piece(done, count - done, team_size(steps_, team_nanoseconds_, count - done));
}

void Plan::run(void* const* inputs, void* const* outputs, Poll poll) {
  prepare_run();
  PollTimer timer(poll);
  const LoopPolls loop_polls(&steps_, &timer);
  for (size_t i = 0; i < inputs_.size(); ++i) bind_slots(input_operands_, static_cast<int>(i), inputs[i]);
  for (size_t i = 0; i < outputs_.size(); ++i) bind_slots(output_operands_, static_cast<int>(i), outputs[i]);
  if (!measuring()) {
    run_once(steps_, team_nanoseconds_);
    return;
  }
  const int threads = team_size(steps_, team_nanoseconds_, 1);
  measure(threads, [&] {
    SingleRun parts(steps_);
    run_parts(threads, parts);
  });
}

void Plan::run_prologue() {
  prepare_run();
  run_once(prologue_, team_prologue_nanoseconds_);
}

int64_t Plan::batch() const {
  NN_CHECK(!inputs_.empty(), "a plan without inputs has no rows to step through");
  for (size_t i = 0; i < inputs_.size(); ++i) {
    NN_CHECK(inputs_[i].rank > 0 && inputs_[i].dims[0] > 0 && inputs_[i].dims[0] == inputs_[0].dims[0],
             "all inputs of a plan that steps through rows must have the same leading dimension, at least 1; input 0 is %s, input %zu is %s",
             spec_text(inputs_[0]).c_str(), i, spec_text(inputs_[i]).c_str());
  }
  return inputs_[0].dims[0];
}

void Plan::bind_staging() {
  if (staging_.data() != nullptr) return;
  size_t bytes = 0;
  for (const Spec& spec : inputs_) bytes += align_up(spec.bytes());
  for (const Spec& spec : outputs_) bytes += align_up(spec.bytes());
  staging_ = Block(bytes);
  char* next = staging_.data();
  for (const Spec& spec : inputs_) staged_inputs_.push_back(next), next += align_up(spec.bytes());
  for (const Spec& spec : outputs_) staged_outputs_.push_back(next), next += align_up(spec.bytes());
}

int64_t Plan::run_steps(const std::vector<Source>& sources, const int64_t* order, int64_t count, Poll poll) {
  if (count <= 0) return 0;
  const int64_t rows = batch();
  prepare_run();
  bind_staging();
  std::vector<GatheredInput> gathered;
  size_t bytes = 0;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    gathered.push_back({sources[i].data, static_cast<char*>(staged_inputs_[i]), row_bytes(inputs_[i])});
    bytes += inputs_[i].bytes();
    bind_slots(input_operands_, static_cast<int>(i), staged_inputs_[i]);
  }
  for (size_t i = 0; i < outputs_.size(); ++i) bind_slots(output_operands_, static_cast<int>(i), staged_outputs_[i]);
  const int64_t chunks = std::clamp<int64_t>(static_cast<int64_t>(bytes / kGatherChunkBytes), 1, rows);
  PollTimer timer(poll);
  const LoopPolls loop_polls(&steps_, &timer);
  return run_pieces(count, [&](int64_t first, int64_t steps, int threads) {
    GatherRun parts(steps_, steps, &timer, gathered, order + first * rows, rows, chunks);
    run_parts(threads, parts);
    return parts.steps_run();
  });
}

int64_t Plan::run_batches(const std::vector<Source>& sources, const std::vector<char*>& results, int64_t first_row, int64_t count, Poll poll) {
  if (count <= 0) return 0;
  const int64_t rows = batch();
  prepare_run();
  bind_staging();
  const auto bind_batch = [&](int64_t batch) {
    const size_t row = static_cast<size_t>(first_row + batch * rows);
    for (size_t i = 0; i < inputs_.size(); ++i) {
      bind_slots(input_operands_, static_cast<int>(i), const_cast<char*>(sources[i].data) + row * row_bytes(inputs_[i]));
    }
    for (size_t i = 0; i < outputs_.size(); ++i) {
      char* const result = results[i];
      bind_slots(output_operands_, static_cast<int>(i), result != nullptr ? result + row * row_bytes(outputs_[i]) : staged_outputs_[i]);
    }
  };
  PollTimer timer(poll);
  const LoopPolls loop_polls(&steps_, &timer);
  return run_pieces(count, [&](int64_t first, int64_t steps, int threads) {
    RepeatedRun parts(steps_, steps, &timer, [&](int64_t i) { bind_batch(first + i); });
    run_parts(threads, parts);
    return parts.steps_run();
  });
}

std::vector<std::pair<std::string, double>> Plan::profile(void* const* inputs, void* const* outputs, int repeat) {
  run(inputs, outputs);
  steps_.start_watch();
  PollTimer timer({});
  RepeatedRun parts(steps_, repeat, &timer, [](int64_t) {});
  run_parts(team_size(steps_, team_nanoseconds_, 1), parts);
  const std::vector<double> seconds = steps_.sum_by_step(steps_.stop_watch());
  std::vector<std::pair<std::string, double>> result;
  for (size_t i = 0; i < seconds.size(); ++i) result.emplace_back(steps()[i].label, seconds[i] / repeat);
  return result;
}

std::vector<std::string> Plan::slot_texts() const {
  std::vector<std::string> texts;
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    std::string text = format("%%%zu %s %s", i, spec_text(slot.spec).c_str(), kKindNames[static_cast<int>(slot.kind)]);
    if (slot.kind != SlotKind::kFixed) text += format(slot.kind == SlotKind::kArena ? "+%lld" : " %lld", static_cast<long long>(slot.where));
    texts.push_back(text);
  }
  return texts;
}

std::string Plan::dump() {
  refresh_schedule();
  std::string text = format("%zu steps, ~%.1f us on one thread, ~%.1f us on %d (T: shared by the team), arena %zu bytes\n", steps().size(),
                            steps_.nanoseconds() / 1000, team_nanoseconds_ / 1000, threads_, arena_bytes_);
  if (!prologue_.steps().empty()) text += "prologue:\n" + prologue_.dump(slot_texts()) + "steps:\n";
  return text + steps_.dump(slot_texts());
}

}  // namespace nnlite
