#include "runtime/program.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

#include "core/arena.h"
#include "core/check.h"
#include "core/spec_text.h"

namespace nnlite {
namespace {

// What sharing costs a call, in nanoseconds: handing out its chunks, and the cache lines that move when a part changes hands.
constexpr double kHandOver = 500;
constexpr double kShare = 500;

constexpr double kUnknownRounds = 16;
constexpr int64_t kMaxRegisters = 1 << 24;

double rounds_of(const LoopSpec& spec) { return spec.length < 0 ? kUnknownRounds : static_cast<double>(std::max<int64_t>(spec.length, 1)); }

std::string join(const std::vector<int>& slots, const std::vector<std::string>& texts) {
  std::string text;
  for (int slot : slots) text += (text.empty() ? "" : ", ") + texts[slot];
  return text;
}

}  // namespace

Program::Program(std::vector<PlanStep> steps) : steps_(std::move(steps)) {
  size_t operands = 0;
  for (const PlanStep& step : steps_) operands += step.inputs.size() + step.outputs.size();
  operands_.resize(operands);  // never again: calls point into it
  operand_slots_.reserve(operands);
  for (size_t i = 0; i < steps_.size(); ++i) {
    const PlanStep& plan_step = steps_[i];
    const Step& step = plan_step.step;
    void* const* in = operands_.data() + operand_slots_.size();
    void* const* out = in + plan_step.inputs.size();
    operand_slots_.insert(operand_slots_.end(), plan_step.inputs.begin(), plan_step.inputs.end());
    operand_slots_.insert(operand_slots_.end(), plan_step.outputs.begin(), plan_step.outputs.end());
    scratch_bytes_ = std::max(scratch_bytes_, step.scratch_bytes());
    thread_scratch_bytes_ = std::max(thread_scratch_bytes_, step.thread_scratch_bytes());
    const ControlKind control = control_kind(step.kernel().c_str());
    const int64_t all_chunks = std::accumulate(step.phases().begin(), step.phases().end(), int64_t{0});
    for (size_t phase = 0; phase < step.phases().size(); ++phase) {
      const int64_t chunks = step.phases()[phase];
      if (chunks == 0) continue;
      const double share = static_cast<double>(chunks) / static_cast<double>(all_chunks);
      calls_.push_back({step.run_function(), step.state(), in, out, chunks, static_cast<int>(phase), false, control,
                        static_cast<int>(i), 0, -1, 0, 1, control == ControlKind::kNone ? step.nanoseconds() * share : 0});
    }
  }
  scratch_bytes_ = align_up(scratch_bytes_);
  link_control();
  add_up_sections();
}

void Program::link_control() {
  std::vector<int> open_loops, open_branches;
  double repeats = 1;
  for (size_t i = 0; i < calls_.size(); ++i) {
    Call& call = calls_[i];
    if (call.control == ControlKind::kLoopBegin) {
      const auto* spec = static_cast<const LoopSpec*>(call.state);
      open_loops.push_back(static_cast<int>(loops_.size()));
      loops_.push_back({spec, call.in, i + 1, 0, 0, 0});
      add_registers(*spec);
      repeats *= rounds_of(*spec);
    } else if (call.control == ControlKind::kBranchBegin) {
      open_branches.push_back(static_cast<int>(branches_.size()));
      branches_.push_back({static_cast<const BranchSpec*>(call.state), {i + 1}, 0});
    }
    call.repeats = repeats;
    call.nanoseconds *= repeats;
    if (call.control >= ControlKind::kSectionsBegin) {
      link_sections(i);
      continue;
    }
    if (in_sections_) {
      call.section = static_cast<int>(sections_.back().starts.size()) - 1;
      call.group = static_cast<int>(sections_.size()) - 1;
    }
    if (call.control == ControlKind::kNone) continue;
    const bool of_loop = call.control <= ControlKind::kLoopEnd;
    std::vector<int>& open = of_loop ? open_loops : open_branches;
    NN_CHECK(!open.empty(), "step %d, '%s', does not belong to a loop or branch", call.step, steps_[call.step].step.kernel().c_str());
    call.place = open.back();
    if (call.control == ControlKind::kBranchNext) branches_[call.place].starts.push_back(i + 1);
    if (call.control == ControlKind::kLoopEnd) {
      Loop& loop = loops_[call.place];
      loop.after = i + 1;
      repeats /= rounds_of(*loop.spec);
      open.pop_back();
    } else if (call.control == ControlKind::kBranchEnd) {
      Branch& branch = branches_[call.place];
      branch.after = i + 1;
      NN_CHECK(branch.spec->branches == static_cast<int64_t>(branch.starts.size()), "a branch_begin announces %lld branches, but %zu follow",
               static_cast<long long>(branch.spec->branches), branch.starts.size());
      open.pop_back();
    }
  }
  NN_CHECK(open_loops.empty() && open_branches.empty() && !in_sections_, "a loop, branch or group of sections of the plan has no end");
}

void Program::link_sections(size_t i) {
  Call& call = calls_[i];
  const bool begins = call.control == ControlKind::kSectionsBegin;
  NN_CHECK(begins != in_sections_, "step %d, '%s', must not stand here", call.step, steps_[call.step].step.kernel().c_str());
  if (begins) sections_.push_back({i, {}, 0});
  Sections& group = sections_.back();
  call.place = static_cast<int>(sections_.size()) - 1;
  in_sections_ = call.control != ControlKind::kSectionsEnd;
  if (in_sections_) {
    group.starts.push_back(i + 1);
    return;
  }
  group.after = i + 1;
  most_sections_ = std::max(most_sections_, group.starts.size());
  NN_CHECK(calls_[group.begin].chunks == static_cast<int64_t>(group.starts.size()), "a sections_begin announces %lld sections, but %zu follow",
           static_cast<long long>(calls_[group.begin].chunks), group.starts.size());
}

void Program::add_up_sections() {
  nanoseconds_ = 0;
  for (const Sections& group : sections_) {
    double sum = 0;
    for (size_t i = group.starts[0]; i < group.after; ++i) sum += calls_[i].nanoseconds;
    if (!calls_[group.begin].team || !learned_) calls_[group.begin].nanoseconds = sum;
  }
  for (const Call& call : calls_) nanoseconds_ += call.section < 0 ? call.nanoseconds : 0;
}

void Program::run_section(const Sections& group, int64_t section, int worker) const {
  const size_t next = static_cast<size_t>(section) + 1;
  const size_t end = (next < group.starts.size() ? group.starts[next] : group.after) - 1;
  size_t position = group.starts[next - 1];
  while (position < end) {
    const size_t index = position++;
    const Call& call = calls_[index];
    if (call.control != ControlKind::kNone) {
      position = follow(call, position, worker);
    } else if (watch_) {  // a call is in one section only, so no two workers add to its time
      const auto begin = std::chrono::steady_clock::now();
      run_call(call, worker, 0, call.chunks);
      watch_->call_seconds[index] += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    } else {
      run_call(call, worker, 0, call.chunks);
    }
  }
}

void Program::add_registers(const LoopSpec& spec) {
  std::vector<int64_t> named;
  for (int64_t i = 0; i < spec.moves; ++i) {
    const Move& move = spec.move_list()[i];
    named.push_back(move.reg);
    if (move.kind == MoveKind::kCarryIn) named.push_back(move.b);
  }
  for (int64_t i = 0; i < spec.finals; ++i) named.push_back(spec.final_list()[i].in), named.push_back(spec.final_list()[i].out);
  for (const int64_t reg : named) {
    NN_CHECK(reg >= 0 && reg < kMaxRegisters, "register %lld of a loop is out of range", static_cast<long long>(reg));
    if (static_cast<size_t>(reg) >= register_operands_.size()) register_operands_.resize(reg + 1);
  }
  register_addresses_.resize(register_operands_.size());
}

void Program::bind_to_register(size_t operand, int64_t reg) {
  NN_CHECK(reg >= 0 && reg < static_cast<int64_t>(register_operands_.size()), "no loop sets register %lld", static_cast<long long>(reg));
  register_operands_[reg].push_back(operand);
}

void Program::set_register(int64_t reg, char* address) const {
  register_addresses_[reg] = address;
  for (const size_t operand : register_operands_[reg]) operands_[operand] = address;
}

size_t Program::follow(const Call& call, size_t position, int worker) const {
  switch (call.control) {
    case ControlKind::kLoopBegin:
      return begin_loop(&loops_[call.place]);
    case ControlKind::kLoopTest:
      return *static_cast<const bool*>(call.in[0]) ? position : leave_loop(loops_[call.place], true);
    case ControlKind::kLoopEnd: {
      Loop* loop = &loops_[call.place];
      if (++loop->round == loop->rounds) return leave_loop(*loop, false);
      // In sections that a team runs the others leave the clock to the calling thread.
      const bool shared = worker != 0 && is_shared(call);
      if (poll_ != nullptr && (shared ? poll_->stopped() : poll_->check(worker))) return calls_.size();
      start_round(loop);
      return loop->first;
    }
    case ControlKind::kBranchBegin: {
      const Branch& branch = branches_[call.place];
      const auto index = static_cast<int64_t>(*static_cast<const int32_t*>(call.in[0]));
      return branch.starts[std::clamp<int64_t>(index, 0, static_cast<int64_t>(branch.starts.size()) - 1)];
    }
    case ControlKind::kBranchNext:
      return branches_[call.place].after;
    default:
      return position;
  }
}

size_t Program::begin_loop(Loop* loop) const {
  const LoopSpec& spec = *loop->spec;
  loop->round = 0;
  loop->rounds = spec.length < 0 ? std::numeric_limits<int64_t>::max() : spec.length;
  if (spec.counted) loop->rounds = std::clamp<int64_t>(*static_cast<const int32_t*>(loop->operands[0]), 0, spec.length);
  for (int64_t i = 0; i < spec.clears; ++i) {
    const int64_t* clear = spec.clear_list() + 2 * i;
    std::memset(loop->operands[clear[0]], 0, static_cast<size_t>(clear[1]));
  }
  if (loop->rounds == 0) return leave_loop(*loop, false);
  start_round(loop);
  return loop->first;
}

void Program::start_round(Loop* loop) const {
  const LoopSpec& spec = *loop->spec;
  const int64_t round = loop->round;
  const auto row = [&](int64_t k) { return spec.reverse ? loop->rounds - 1 - k : k; };
  const auto operand = [&](int64_t i) { return static_cast<char*>(loop->operands[i]); };
  for (int64_t i = 0; i < spec.moves; ++i) {  // before the registers that they follow move on
    const Move& move = spec.move_list()[i];
    if (move.kind == MoveKind::kCarryIn) set_register(move.reg, round == 0 ? operand(move.a) + move.offset : register_addresses_[move.b]);
  }
  for (int64_t i = 0; i < spec.moves; ++i) {
    const Move& move = spec.move_list()[i];
    switch (move.kind) {
      case MoveKind::kRow:
        set_register(move.reg, operand(move.a) + row(round) * move.stride + move.offset);
        break;
      case MoveKind::kCarryIn:
        break;
      case MoveKind::kCarryOut:
        set_register(move.reg, operand(((loop->rounds - 1 - round) & 1) == 0 ? move.a : move.b) + move.offset);
        break;
      case MoveKind::kHistoryIn:
        set_register(move.reg, operand(move.a) + row(round) * move.stride);
        if (round == 0) std::memcpy(operand(move.a) + row(0) * move.stride, operand(move.b), static_cast<size_t>(move.stride));
        break;
      case MoveKind::kHistoryOut:
        set_register(move.reg, round + 1 < loop->rounds ? operand(move.b) + row(round + 1) * move.stride : operand(move.a));
        break;
    }
  }
}

size_t Program::leave_loop(const Loop& loop, bool by_test) const {
  const LoopSpec& spec = *loop.spec;
  for (int64_t i = 0; i < spec.finals; ++i) {
    const FinalCarry& carry = spec.final_list()[i];
    const char* from = static_cast<const char*>(loop.operands[carry.first]) + carry.offset;
    if (loop.rounds > 0) from = register_addresses_[by_test ? carry.in : carry.out];
    char* target = static_cast<char*>(loop.operands[carry.target]) + carry.offset;
    if (target != from) std::memcpy(target, from, static_cast<size_t>(carry.bytes));
  }
  return loop.after;
}

void Program::bind_scratch(void* scratch, char* thread_scratch, size_t thread_stride) {
  scratch_ = scratch;
  thread_scratch_ = thread_scratch;
  thread_stride_ = thread_stride;
}

double Program::schedule(int threads) {
  // The cheapest labelling by dynamic programming: costs of the calls so far, the last one being worker 0's (0) or the team's (1).
  struct Best {
    double cost[2];
    bool from_team[2];
  };
  std::vector<Best> best(calls_.size());
  double alone = 0, shared = 0;
  for (size_t i = 0; i < calls_.size(); ++i) {
    const Call& call = calls_[i];
    if (call.section >= 0) {  // part of what came before
      best[i] = {{alone, shared}, {false, true}};
      continue;
    }
    const double parts = static_cast<double>(std::min<int64_t>(threads, call.chunks));
    const double hand_over = kHandOver * call.repeats;
    const double alone_after_team = shared + hand_over, from_alone = alone + hand_over, from_shared = shared + hand_over;
    best[i].from_team[0] = alone_after_team < alone;
    best[i].from_team[1] = from_shared <= from_alone;
    best[i].cost[0] = std::min(alone_after_team, alone) + call.nanoseconds;
    best[i].cost[1] = std::min(from_alone, from_shared) + (parts > 1 ? call.nanoseconds / parts + kShare * call.repeats : 1e18);
    alone = best[i].cost[0];
    shared = best[i].cost[1];
  }
  bool team = shared < alone;
  const double cost = std::min(alone, shared);
  for (size_t i = calls_.size(); i-- > 0;) {
    calls_[i].team = team && calls_[i].section < 0;
    team = best[i].from_team[team];
  }
  return cost;
}

void Program::Watch::lap(size_t call) {
  const auto now = std::chrono::steady_clock::now();
  call_seconds[call] += std::chrono::duration<double>(now - last).count();
  last = now;
}

void Program::start_watch() {
  watch_ = std::make_unique<Watch>();
  watch_->call_seconds.resize(calls_.size());
}

std::vector<double> Program::stop_watch() {
  std::vector<double> call_seconds = std::move(watch_->call_seconds);
  watch_.reset();
  return call_seconds;
}

int64_t Program::next_timed(size_t* position, int worker) const {
  if (*position == 0) {
    watch_->last = std::chrono::steady_clock::now();
  } else {
    watch_->lap(*position - 1);  // the shared call that has just been finished
    leave_sections(position);
  }
  while (*position < calls_.size()) {
    const Call& call = calls_[(*position)++];
    if (call.team) return call.chunks;
    const size_t index = *position - 1;
    if (call.control != ControlKind::kNone) {
      *position = follow(call, *position, worker);
    } else {
      run_call(call, worker, 0, call.chunks);
    }
    watch_->lap(index);
    if (must_poll(call, *position, worker)) return kIdleChunks;
  }
  return 0;
}

std::vector<double> Program::sum_by_step(const std::vector<double>& call_seconds) const {
  std::vector<double> seconds(steps_.size(), 0.0);
  for (size_t i = 0; i < calls_.size(); ++i) seconds[calls_[i].step] += call_seconds[i];
  for (const Sections& group : sections_) {  // the time of sections that a team ran is shared out among their steps
    if (!calls_[group.begin].team) continue;
    double sum = 0;
    for (size_t i = group.starts[0]; i < group.after; ++i) sum += call_seconds[i];
    double* whole = &seconds[calls_[group.begin].step];
    if (sum == 0) continue;
    for (size_t i = group.starts[0]; i < group.after; ++i) seconds[calls_[i].step] += call_seconds[i] * (*whole / sum - 1);
    *whole = 0;
  }
  return seconds;
}

void Program::learn(const std::vector<double>& call_seconds, int threads) {
  for (size_t i = 0; i < calls_.size(); ++i) {
    Call& call = calls_[i];
    if (steps_[call.step].step.has_stated_cost() || is_shared(call)) continue;
    const double workers = call.team ? static_cast<double>(std::min<int64_t>(threads, call.chunks)) : 1;
    const double measured = call_seconds[i] * 1e9 * workers;
    call.nanoseconds = learned_ ? std::min(call.nanoseconds, measured) : measured;
  }
  learned_ = true;
  add_up_sections();
}

std::string Program::dump(const std::vector<std::string>& slot_texts) const {
  std::string text;
  int indent = 0;
  for (size_t i = 0; i < steps_.size(); ++i) {
    const PlanStep& step = steps_[i];
    const ControlKind control = control_kind(step.step.kernel().c_str());
    if (control == ControlKind::kLoopEnd || control == ControlKind::kBranchEnd || control == ControlKind::kBranchNext) indent -= 2;
    std::string chunks;
    double nanoseconds = 0;
    for (const Call& call : calls_) {
      if (call.step != static_cast<int>(i)) continue;
      nanoseconds += call.nanoseconds;
      chunks += format("%s%lld%s", chunks.empty() ? "" : "+", static_cast<long long>(call.chunks), call.team ? "T" : "");
    }
    text += format("%4zu %*s%-24s %s -> %s  [%s chunks, ~%.1f us] %s\n", i, indent, "", step.step.kernel().c_str(),
                   join(step.inputs, slot_texts).c_str(), join(step.outputs, slot_texts).c_str(), chunks.c_str(), nanoseconds / 1000,
                   step.label.c_str());
    if (control == ControlKind::kLoopBegin || control == ControlKind::kBranchBegin || control == ControlKind::kBranchNext) indent += 2;
  }
  return text;
}

}  // namespace nnlite
