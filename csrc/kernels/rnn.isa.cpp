// simple_rnn, lstm, gru: all steps of a recurrent layer. Inputs: x, u, the first state, (lstm) the first cell state, (gru with reset after the
// product) the recurrent bias, and the mask where there is one. Outputs: all states, (lstm, gru) gates, which may lie where x was, and cell states
// (lstm) or what the reset gate multiplies or has multiplied (gru), and the last states. Steps that do not count keep the state. Without the
// attribute `keep` gates and what follows them are no outputs, without `sequence` the states are none.
#include "kernels/rnn_rows.h"

namespace nnlite::NN_ISA {
namespace {

// One step of one row: pointers to what it reads and writes.
template <class T>
struct ForwardRow {
  const T *x, *next_x;  // next_x: what the next step reads, or x again
  const T* bias;
  T *sums, *state, *other;
  T *states, *gates, *kept;  // null where they are no outputs
};

template <class T>
NN_INLINE void prefetch_gate(const ForwardRow<T>& row, int64_t j) {
  prefetch_l2(row.next_x + j);
}

template <class T>
void step_simple(const RnnPlan& plan, const ForwardRow<T>& row) {
  constexpr int kLanes = Vec<T>::kLanes;
  for (int64_t j = 0; j < plan.units; j += kLanes) {
    const int n = static_cast<int>(smaller(plan.units - j, kLanes));
    prefetch_gate(row, j);
    const Vec<T> h = activate(plan.activation, load(row.sums + j) + load_some(row.x + j, n));
    if (row.states) store_some(row.states + j, h, n);
    store(row.state + j, h);
  }
}

template <class T>
void step_lstm(const RnnPlan& plan, const ForwardRow<T>& row) {
  constexpr int kLanes = Vec<T>::kLanes;
  const int64_t units = plan.units, padded = plan.padded;
  for (int64_t j = 0; j < units; j += kLanes) {
    const int n = static_cast<int>(smaller(units - j, kLanes));
    Vec<T> sum[4];
    NN_UNROLL(4)
    for (int g = 0; g < 4; ++g) {
      prefetch_gate(row, g * units + j);
      sum[g] = load(row.sums + g * padded + j) + load_some(row.x + g * units + j, n);
    }
    const Vec<T> i = activate(plan.recurrent_activation, sum[0]), f = activate(plan.recurrent_activation, sum[1]);
    const Vec<T> g = activate(plan.activation, sum[2]), o = activate(plan.recurrent_activation, sum[3]);
    const Vec<T> c = fma(f, load(row.other + j), i * g);
    const Vec<T> h = o * activate(plan.activation, c);
    if (row.gates) {
      store_some(row.gates + j, i, n);
      store_some(row.gates + units + j, f, n);
      store_some(row.gates + 2 * units + j, g, n);
      store_some(row.gates + 3 * units + j, o, n);
      store_some(row.kept + j, c, n);
    }
    if (row.states) store_some(row.states + j, h, n);
    store(row.other + j, c);
    store(row.state + j, h);
  }
}

// z h + (1 - z) candidate.
template <class T>
NN_INLINE Vec<T> mix(Vec<T> z, Vec<T> h, Vec<T> candidate) {
  return fma(z, h, (splat(T(1)) - z) * candidate);
}

template <class T>
void step_gru_after(const RnnPlan& plan, const ForwardRow<T>& row) {
  constexpr int kLanes = Vec<T>::kLanes;
  const int64_t units = plan.units, padded = plan.padded;
  for (int64_t j = 0; j < units; j += kLanes) {
    const int n = static_cast<int>(smaller(units - j, kLanes));
    Vec<T> x[3], inner[3];
    NN_UNROLL(3)
    for (int g = 0; g < 3; ++g) {
      prefetch_gate(row, g * units + j);
      x[g] = load_some(row.x + g * units + j, n);
      inner[g] = load(row.sums + g * padded + j) + load_some(row.bias + g * units + j, n);
    }
    const Vec<T> z = activate(plan.recurrent_activation, x[0] + inner[0]), r = activate(plan.recurrent_activation, x[1] + inner[1]);
    const Vec<T> candidate = activate(plan.activation, fma(r, inner[2], x[2]));
    const Vec<T> h = mix(z, load(row.state + j), candidate);
    if (row.gates) {
      store_some(row.gates + j, z, n);
      store_some(row.gates + units + j, r, n);
      store_some(row.gates + 2 * units + j, candidate, n);
      store_some(row.kept + j, inner[2], n);
    }
    if (row.states) store_some(row.states + j, h, n);
    store(row.state + j, h);
  }
}

// Update and reset gates, and the state after the reset.
template <class T>
void step_gru_gates(const RnnPlan& plan, const ForwardRow<T>& row) {
  constexpr int kLanes = Vec<T>::kLanes;
  const int64_t units = plan.units, padded = plan.padded;
  for (int64_t j = 0; j < units; j += kLanes) {
    const int n = static_cast<int>(smaller(units - j, kLanes));
    const Vec<T> z = activate(plan.recurrent_activation, load(row.sums + j) + load_some(row.x + j, n));
    const Vec<T> r = activate(plan.recurrent_activation, load(row.sums + padded + j) + load_some(row.x + units + j, n));
    const Vec<T> reset = r * load(row.state + j);
    if (row.gates) {
      store_some(row.gates + j, z, n);
      store_some(row.gates + units + j, r, n);
      store_some(row.kept + j, reset, n);
    }
    store(row.sums + j, z);
    store(row.other + j, reset);
  }
}
template <class T>
void step_gru_candidate(const RnnPlan& plan, const ForwardRow<T>& row) {
  constexpr int kLanes = Vec<T>::kLanes;
  const int64_t units = plan.units, padded = plan.padded;
  for (int64_t j = 0; j < units; j += kLanes) {
    const int n = static_cast<int>(smaller(units - j, kLanes));
    const Vec<T> candidate = activate(plan.activation, load(row.sums + 2 * padded + j) + load_some(row.x + 2 * units + j, n));
    const Vec<T> h = mix(load(row.sums + j), load(row.state + j), candidate);
    if (row.gates) store_some(row.gates + 2 * units + j, candidate, n);
    if (row.states) store_some(row.states + j, h, n);
    store(row.state + j, h);
  }
}

// A step that does not count.
template <class T>
void keep_row(const RnnPlan& plan, const ForwardRow<T>& row) {
  const size_t bytes = static_cast<size_t>(plan.units) * sizeof(T);
  if (row.states) __builtin_memcpy(row.states, row.state, bytes);
  if (!row.gates) return;
  __builtin_memset(row.gates, 0, static_cast<size_t>(plan.gates) * bytes);
  if (plan.cell == RnnCell::kLstm) {
    __builtin_memcpy(row.kept, row.other, bytes);
  } else {
    __builtin_memset(row.kept, 0, bytes);
  }
}

// What a step of a row takes from x.
template <class T>
NN_INLINE const T* find_input(const RnnPlan& plan, const StepArgs& args, int64_t row, int64_t time) {
  const int64_t wide = plan.gates * plan.units;
  const T* x = static_cast<const T*>(args.in[0]);
  if (plan.ids < 0) return x + place(plan, row, time, wide);
  const int64_t id = static_cast<const int32_t*>(args.in[plan.ids])[row * plan.steps + time];
  return id < 0 || id >= plan.table_rows ? static_cast<const T*>(missing_row(plan)) : x + id * wide;
}

template <class T>
ForwardRow<T> find_row(const RnnPlan& plan, const StepArgs& args, const RnnWork<T>& work, int64_t first, int64_t i, int64_t time, int64_t next) {
  const int64_t row = first + i;
  ForwardRow<T> r;
  r.x = find_input<T>(plan, args, row, time);
  r.next_x = find_input<T>(plan, args, row, next);
  r.bias = plan.cell == RnnCell::kGruAfter ? static_cast<const T*>(args.in[3]) : nullptr;
  r.sums = work.sums + i * plan.gate_ld;
  r.state = work.state + i * plan.state_ld;
  r.other = work.other + i * plan.state_ld;
  const int64_t at = place(plan, row, time, plan.units);
  r.states = plan.states < 0 ? nullptr : static_cast<T*>(args.out[plan.states]) + at;
  r.gates = plan.kept < 0 ? nullptr : static_cast<T*>(args.out[plan.kept]) + at * plan.gates;
  r.kept = plan.kept < 0 ? nullptr : static_cast<T*>(args.out[plan.kept + 1]) + at;
  return r;
}

// Asks for what the next step of the row writes, `delta` steps on.
template <class T>
NN_INLINE void prefetch_outputs(const RnnPlan& plan, const ForwardRow<T>& row, int64_t delta) {
  constexpr int kLanes = Vec<T>::kLanes;
  const int64_t narrow = delta * plan.units;
  for (int64_t j = 0; j < plan.units; j += kLanes) {
    if (row.states) prefetch_l2(row.states + narrow + j);
    if (row.kept) prefetch_l2(row.kept + narrow + j);
  }
  if (!row.gates || row.gates == row.x) return;
  for (int64_t j = 0; j < plan.gates * plan.units; j += kLanes) prefetch_l2(row.gates + plan.gates * narrow + j);
}

template <class T>
void run_chunk(const RnnPlan& plan, const StepArgs& args, const RnnRows& rows, const RnnWork<T>& work) {
  using StepFunction = void (*)(const RnnPlan&, const ForwardRow<T>&);
  static constexpr StepFunction kSteps[] = {step_simple<T>, step_lstm<T>, step_gru_after<T>, step_gru_gates<T>};
  const StepFunction step = kSteps[static_cast<int>(plan.cell)];
  const bool before = plan.cell == RnnCell::kGruBefore;
  const T* packed = static_cast<const T*>(args.scratch);
  const int64_t columns = (before ? 2 : plan.gates) * plan.padded;
  for (int64_t s = 0; s < plan.steps; ++s) {
    const int64_t time = plan.reverse ? plan.steps - 1 - s : s;
    const int64_t next = s + 1 == plan.steps ? time : plan.reverse ? time - 1 : time + 1;
    multiply_rows(work.state, plan.state_ld, packed, plan.units, work.sums, plan.gate_ld, rows.count, columns, plan.units, false);
    for (int64_t i = 0; i < rows.count; ++i) {
      const ForwardRow<T> row = find_row(plan, args, work, rows.first, i, time, next);
      prefetch_outputs(plan, row, next - time);
      if (counts(plan, args, rows.first + i, time)) {
        step(plan, row);
      } else {
        keep_row(plan, row);
      }
    }
    if (!before) continue;
    multiply_rows(work.other, plan.state_ld, packed + packed_part(plan), plan.units, work.sums + columns, plan.gate_ld, rows.count, plan.padded,
                  plan.units, false);
    for (int64_t i = 0; i < rows.count; ++i) {
      if (counts(plan, args, rows.first + i, time)) step_gru_candidate(plan, find_row(plan, args, work, rows.first, i, time, next));
    }
  }
}

template <class T>
void run_rnn(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  const RnnPlan& plan = *static_cast<const RnnPlan*>(state);
  const bool lstm = plan.cell == RnnCell::kLstm;
  if (phase == 0) {
    const T* u = static_cast<const T*>(args.in[1]);
    T* packed = static_cast<T*>(args.scratch);
    if (plan.cell != RnnCell::kGruBefore) return pack_forward(plan, u, 0, plan.gates, begin, end, packed);
    pack_forward(plan, u, 0, 2, begin, end, packed);
    return pack_forward(plan, u, 2, 1, begin, end, packed + packed_part(plan));
  }
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    const RnnRows rows(plan, chunk);
    const RnnWork<T> work(plan, args.thread_scratch);
    const int64_t at = rows.first * plan.units;
    copy_in(plan, static_cast<const T*>(args.in[2]) + at, plan.units, rows.count, work.state);
    if (lstm) copy_in(plan, static_cast<const T*>(args.in[3]) + at, plan.units, rows.count, work.other);
    run_chunk(plan, args, rows, work);
    copy_out(plan, work.state, rows.count, static_cast<T*>(args.out[plan.last]) + at);
    if (lstm) copy_out(plan, work.other, rows.count, static_cast<T*>(args.out[plan.last + 1]) + at);
  }
}

void prepare_rnn(Prepare& prepare, RnnCell cell) {
  auto* plan = static_cast<RnnPlan*>(prepare.new_state(rnn_state_bytes(prepare)));
  plan_rnn(prepare, cell, false, plan);
  const bool single = prepare.input(0).dtype == DType::kFloat32;
  const int64_t whole = rnn_packed_size(plan->units, plan->gates * plan->padded);
  const int64_t parts = packed_part(*plan) + rnn_packed_size(plan->units, plan->padded);
  prepare.set_run(single ? run_rnn<float> : run_rnn<double>);
  prepare.need_scratch(static_cast<size_t>(cell == RnnCell::kGruBefore ? parts : whole) * (single ? sizeof(float) : sizeof(double)));
  prepare.need_thread_scratch(single ? RnnWork<float>::bytes(*plan) : RnnWork<double>::bytes(*plan));
}

void prepare_simple_rnn(Prepare& prepare) { prepare_rnn(prepare, RnnCell::kSimple); }
void prepare_lstm(Prepare& prepare) { prepare_rnn(prepare, RnnCell::kLstm); }
void prepare_gru(Prepare& prepare) { prepare_rnn(prepare, prepare.get_int("reset_after") ? RnnCell::kGruAfter : RnnCell::kGruBefore); }

NN_KERNEL("simple_rnn", prepare_simple_rnn);
NN_KERNEL("lstm", prepare_lstm);
NN_KERNEL("gru", prepare_gru);

}  // namespace
}  // namespace nnlite::NN_ISA
