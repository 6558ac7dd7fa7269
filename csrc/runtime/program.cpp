#include "runtime/program.h"

#include <algorithm>
#include <numeric>

#include "core/check.h"
#include "core/spec_text.h"

namespace nnlite {
namespace {

// What sharing costs a call, in nanoseconds: handing out its chunks, and the cache lines that move when a part changes hands.
constexpr double kHandOver = 500;
constexpr double kShare = 500;

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
    nanoseconds_ += step.nanoseconds();
    const int64_t all_chunks = std::accumulate(step.phases().begin(), step.phases().end(), int64_t{0});
    for (size_t phase = 0; phase < step.phases().size(); ++phase) {
      const int64_t chunks = step.phases()[phase];
      if (chunks == 0) continue;
      const double share = static_cast<double>(chunks) / static_cast<double>(all_chunks);
      calls_.push_back({step.run_function(), step.state(), in, out, chunks, static_cast<int>(phase), false, static_cast<int>(i),
                        step.nanoseconds() * share});
    }
  }
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
    const double parts = static_cast<double>(std::min<int64_t>(threads, call.chunks));
    const double alone_after_team = shared + kHandOver, from_alone = alone + kHandOver, from_shared = shared + kHandOver;
    best[i].from_team[0] = alone_after_team < alone;
    best[i].from_team[1] = from_shared <= from_alone;
    best[i].cost[0] = std::min(alone_after_team, alone) + call.nanoseconds;
    best[i].cost[1] = std::min(from_alone, from_shared) + (parts > 1 ? call.nanoseconds / parts + kShare : 1e18);
    alone = best[i].cost[0];
    shared = best[i].cost[1];
  }
  bool team = shared < alone;
  const double cost = std::min(alone, shared);
  for (size_t i = calls_.size(); i-- > 0;) {
    calls_[i].team = team;
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
  }
  while (*position < calls_.size()) {
    const Call& call = calls_[(*position)++];
    if (call.team) return call.chunks;
    run_call(call, worker, 0, call.chunks);
    watch_->lap(*position - 1);
  }
  return 0;
}

std::vector<double> Program::sum_by_step(const std::vector<double>& call_seconds) const {
  std::vector<double> seconds(steps_.size(), 0.0);
  for (size_t i = 0; i < calls_.size(); ++i) seconds[calls_[i].step] += call_seconds[i];
  return seconds;
}

void Program::learn(const std::vector<double>& call_seconds, int threads) {
  nanoseconds_ = 0;
  for (size_t i = 0; i < calls_.size(); ++i) {
    Call& call = calls_[i];
    if (steps_[call.step].step.has_stated_cost()) {
      nanoseconds_ += call.nanoseconds;
      continue;
    }
    const double workers = call.team ? static_cast<double>(std::min<int64_t>(threads, call.chunks)) : 1;
    const double measured = call_seconds[i] * 1e9 * workers;
    call.nanoseconds = learned_ ? std::min(call.nanoseconds, measured) : measured;
    nanoseconds_ += call.nanoseconds;
  }
  learned_ = true;
}

std::string Program::dump(const std::vector<std::string>& slot_texts) const {
  std::string text;
  for (size_t i = 0; i < steps_.size(); ++i) {
    const PlanStep& step = steps_[i];
    std::string chunks;
    double nanoseconds = 0;
    for (const Call& call : calls_) {
      if (call.step != static_cast<int>(i)) continue;
      nanoseconds += call.nanoseconds;
      chunks += format("%s%lld%s", chunks.empty() ? "" : "+", static_cast<long long>(call.chunks), call.team ? "T" : "");
    }
    text += format("%4zu %-24s %s -> %s  [%s chunks, ~%.1f us] %s\n", i, step.step.kernel().c_str(), join(step.inputs, slot_texts).c_str(),
                   join(step.outputs, slot_texts).c_str(), chunks.c_str(), nanoseconds / 1000, step.label.c_str());
  }
  return text;
}

}  // namespace nnlite
