// simple_rnn_grad, lstm_grad, gru_grad: gradients of recurrent layers with respect to the projections of their inputs and to the first states.
// Inputs: (simple_rnn) all states, (lstm) gates and cell states, (gru) gates, what the forward kept, and states; then u, the first state (gru) or
// cell state (lstm), gradients of the last states, gradients of all states if `sequence`, and the mask where there is one. Outputs: gradients of x
// (they may lie where the gates were), (gru with reset after the product) those of the product of state and u, and those of the first states.
#include "kernels/rnn_rows.h"

namespace nnlite::NN_ISA {
namespace {

// One step of one row. `previous` is the state (gru) or cell state (lstm) before the step, `kept` what the forward kept of the step itself.
template <class T>
struct BackwardRow {
  const T *gates, *kept, *previous;
  const T* dstates;  // or null
  T *sums, *state, *other;
  T *dx, *dinner;  // dinner: of the product of state and u, where it differs from dx, or null
};

// The gradient of the state after the step.
template <class T>
NN_INLINE Vec<T> state_gradient(const BackwardRow<T>& row, int64_t j, int n) {
  const Vec<T> carried = load(row.state + j);
  return row.dstates ? carried + load_some(row.dstates + j, n) : carried;
}

// The steps leave in `state` what reaches the state before them by other ways than u; products are added to it.
template <class T>
void back_simple(const RnnPlan& plan, const BackwardRow<T>& row) {
  constexpr int kLanes = Vec<T>::kLanes;
  for (int64_t j = 0; j < plan.units; j += kLanes) {
    const int n = static_cast<int>(smaller(plan.units - j, kLanes));
    const Vec<T> dsum = state_gradient(row, j, n) * slope(plan.activation, load_some(row.gates + j, n));
    store_some(row.dx + j, dsum, n);
    store(row.sums + j, dsum);
    store(row.state + j, Vec<T>::zero());
  }
}

template <class T>
void back_lstm(const RnnPlan& plan, const BackwardRow<T>& row) {
  constexpr int kLanes = Vec<T>::kLanes;
  const int64_t units = plan.units, padded = plan.padded;
  const RnnActivation inner = plan.recurrent_activation, outer = plan.activation;
  for (int64_t j = 0; j < units; j += kLanes) {
    const int n = static_cast<int>(smaller(units - j, kLanes));
    const Vec<T> i = load_some(row.gates + j, n), f = load_some(row.gates + units + j, n), g = load_some(row.gates + 2 * units + j, n);
    const Vec<T> o = load_some(row.gates + 3 * units + j, n), out = activate(outer, load_some(row.kept + j, n));
    const Vec<T> dh = state_gradient(row, j, n), dc = fma(dh * o, slope(outer, out), load(row.other + j));
    const Vec<T> d[4] = {dc * g * slope(inner, i), dc * load_some(row.previous + j, n) * slope(inner, f), dc * i * slope(outer, g),
                         dh * out * slope(inner, o)};
    NN_UNROLL(4)
    for (int k = 0; k < 4; ++k) {
      store_some(row.dx + k * units + j, d[k], n);
      store(row.sums + k * padded + j, d[k]);
    }
    store(row.other + j, dc * f);
    store(row.state + j, Vec<T>::zero());
  }
}

// Of z h + (1 - z) candidate: the gradients of the sums in z and in the candidate; leaves that of h.
template <class T>
struct Mixed {
  Vec<T> dz, dcandidate, dh;

  NN_ALWAYS Mixed(const RnnPlan& plan, const BackwardRow<T>& row, int64_t j, int n) {
    const Vec<T> z = load_some(row.gates + j, n), candidate = load_some(row.gates + 2 * plan.units + j, n);
    const Vec<T> total = state_gradient(row, j, n);
    dz = total * (load_some(row.previous + j, n) - candidate) * slope(plan.recurrent_activation, z);
    dcandidate = total * (splat(T(1)) - z) * slope(plan.activation, candidate);
    dh = total * z;
  }
};

template <class T>
void back_gru_after(const RnnPlan& plan, const BackwardRow<T>& row) {
  constexpr int kLanes = Vec<T>::kLanes;
  const int64_t units = plan.units, padded = plan.padded;
  for (int64_t j = 0; j < units; j += kLanes) {
    const int n = static_cast<int>(smaller(units - j, kLanes));
    const Mixed<T> mixed(plan, row, j, n);
    const Vec<T> r = load_some(row.gates + units + j, n);
    const Vec<T> dr = mixed.dcandidate * load_some(row.kept + j, n) * slope(plan.recurrent_activation, r);
    const Vec<T> d[3] = {mixed.dz, dr, mixed.dcandidate * r};
    store_some(row.dx + j, mixed.dz, n);
    store_some(row.dx + units + j, dr, n);
    store_some(row.dx + 2 * units + j, mixed.dcandidate, n);
    NN_UNROLL(3)
    for (int k = 0; k < 3; ++k) {
      store_some(row.dinner + k * units + j, d[k], n);
      store(row.sums + k * padded + j, d[k]);
    }
    store(row.state + j, mixed.dh);
  }
}

// The update gate and the candidate; then, once the gradient of the reset state is known, the reset gate.
template <class T>
void back_gru_candidate(const RnnPlan& plan, const BackwardRow<T>& row) {
  constexpr int kLanes = Vec<T>::kLanes;
  for (int64_t j = 0; j < plan.units; j += kLanes) {
    const int n = static_cast<int>(smaller(plan.units - j, kLanes));
    const Mixed<T> mixed(plan, row, j, n);
    store(row.sums + j, mixed.dz);
    store(row.sums + 2 * plan.padded + j, mixed.dcandidate);
    store(row.state + j, mixed.dh);
  }
}
template <class T>
void back_gru_reset(const RnnPlan& plan, const BackwardRow<T>& row) {
  constexpr int kLanes = Vec<T>::kLanes;
  const int64_t units = plan.units, padded = plan.padded;
  for (int64_t j = 0; j < units; j += kLanes) {
    const int n = static_cast<int>(smaller(units - j, kLanes));
    const Vec<T> r = load_some(row.gates + units + j, n), dreset = load(row.other + j);
    const Vec<T> dr = dreset * load_some(row.previous + j, n) * slope(plan.recurrent_activation, r);
    store(row.sums + padded + j, dr);
    store(row.state + j, fma(dreset, r, load(row.state + j)));
    store_some(row.dx + j, load(row.sums + j), n);
    store_some(row.dx + units + j, dr, n);
    store_some(row.dx + 2 * units + j, load(row.sums + 2 * padded + j), n);
  }
}

// A step that does not count: nothing reaches its gates, and all reaches the state before it.
template <class T>
void pass_row(const RnnPlan& plan, const BackwardRow<T>& row) {
  constexpr int kLanes = Vec<T>::kLanes;
  const size_t bytes = static_cast<size_t>(plan.gates * plan.units) * sizeof(T);
  __builtin_memset(row.dx, 0, bytes);
  if (row.dinner) __builtin_memset(row.dinner, 0, bytes);
  __builtin_memset(row.sums, 0, static_cast<size_t>(plan.gates * plan.padded) * sizeof(T));
  if (!row.dstates) return;
  for (int64_t j = 0; j < plan.units; j += kLanes) {
    const int n = static_cast<int>(smaller(plan.units - j, kLanes));
    store(row.state + j, state_gradient(row, j, n));
  }
}

// Where the inputs and outputs of a cell are.
struct BackwardPlaces {
  int kept, u, first, dlast, dstates, dfirst;

  explicit BackwardPlaces(const RnnPlan& plan) {
    const bool simple = plan.cell == RnnCell::kSimple, lstm = plan.cell == RnnCell::kLstm;
    kept = simple ? -1 : 1;
    u = simple ? 1 : lstm ? 2 : 3;
    first = simple ? -1 : u + 1;
    dlast = simple ? 2 : u + 2;
    dstates = plan.sequence ? dlast + (lstm ? 2 : 1) : -1;
    dfirst = plan.cell == RnnCell::kGruAfter ? 2 : 1;
  }
};

template <class T>
BackwardRow<T> find_row(const RnnPlan& plan, const StepArgs& args, const BackwardPlaces& places, const RnnWork<T>& work, int64_t first,
                        int64_t i, int64_t time, int64_t before) {
  const int64_t row = first + i, wide = plan.gates * plan.units, at = place(plan, row, time, plan.units);
  const bool lstm = plan.cell == RnnCell::kLstm;
  BackwardRow<T> r;
  r.gates = static_cast<const T*>(args.in[0]) + place(plan, row, time, wide);
  r.kept = places.kept < 0 ? nullptr : static_cast<const T*>(args.in[places.kept]) + at;
  r.previous = nullptr;
  if (places.first >= 0) {
    r.previous = before < 0 ? static_cast<const T*>(args.in[places.first]) + row * plan.units
                            : static_cast<const T*>(args.in[lstm ? 1 : 2]) + place(plan, row, before, plan.units);
  }
  r.dstates = places.dstates < 0 ? nullptr : static_cast<const T*>(args.in[places.dstates]) + at;
  r.sums = work.sums + i * plan.gate_ld;
  r.state = work.state + i * plan.state_ld;
  r.other = work.other + i * plan.state_ld;
  r.dx = static_cast<T*>(args.out[0]) + place(plan, row, time, wide);
  r.dinner = plan.cell == RnnCell::kGruAfter ? static_cast<T*>(args.out[1]) + place(plan, row, time, wide) : nullptr;
  return r;
}

// Asks for what the next step of the row reads and writes, `delta` steps on: so many rows lie too far apart for the processor to foresee it.
// It goes to the second cache, as rows multiples of 4 KiB apart push each other out of the first.
template <class T>
NN_INLINE void prefetch_step(const RnnPlan& plan, const BackwardRow<T>& row, int64_t delta) {
  constexpr int kLanes = Vec<T>::kLanes;
  const int64_t narrow = delta * plan.units, wide = plan.gates * narrow;
  for (int64_t j = 0; j < plan.gates * plan.units; j += kLanes) {
    prefetch_l2(row.gates + wide + j);
    if (row.dx != row.gates) prefetch_l2(row.dx + wide + j);
    if (row.dinner) prefetch_l2(row.dinner + wide + j);
  }
  for (int64_t j = 0; j < plan.units; j += kLanes) {
    if (row.previous) prefetch_l2(row.previous + narrow + j);
    if (row.kept) prefetch_l2(row.kept + narrow + j);
    if (row.dstates) prefetch_l2(row.dstates + narrow + j);
  }
}

template <class T>
void run_chunk(const RnnPlan& plan, const StepArgs& args, const BackwardPlaces& places, const RnnRows& rows, const RnnWork<T>& work) {
  using StepFunction = void (*)(const RnnPlan&, const BackwardRow<T>&);
  static constexpr StepFunction kSteps[] = {back_simple<T>, back_lstm<T>, back_gru_after<T>, back_gru_candidate<T>};
  const StepFunction step = kSteps[static_cast<int>(plan.cell)];
  const bool reset_before = plan.cell == RnnCell::kGruBefore;
  const T* packed = static_cast<const T*>(args.scratch);
  const int64_t depth = plan.gates * plan.padded, used = reset_before ? 2 * plan.padded : depth;
  for (int64_t s = plan.steps - 1; s >= 0; --s) {
    const int64_t time = plan.reverse ? plan.steps - 1 - s : s, before = s == 0 ? -1 : plan.reverse ? time + 1 : time - 1;
    for (int64_t i = 0; i < rows.count; ++i) {
      const BackwardRow<T> row = find_row(plan, args, places, work, rows.first, i, time, before);
      if (before >= 0) prefetch_step(plan, row, before - time);
      if (counts(plan, args, rows.first + i, time)) {
        step(plan, row);
      } else {
        pass_row(plan, row);
      }
    }
    if (reset_before) {
      multiply_rows(work.sums + used, plan.gate_ld, packed + used * kRnnPanel, depth, work.other, plan.state_ld, rows.count, plan.padded, plan.padded,
                    false);
      for (int64_t i = 0; i < rows.count; ++i) {
        if (counts(plan, args, rows.first + i, time)) back_gru_reset(plan, find_row(plan, args, places, work, rows.first, i, time, before));
      }
    }
    multiply_rows(work.sums, plan.gate_ld, packed, depth, work.state, plan.state_ld, rows.count, plan.padded, used, true);
  }
}

template <class T>
void run_rnn_grad(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  const RnnPlan& plan = *static_cast<const RnnPlan*>(state);
  const BackwardPlaces places(plan);
  const bool lstm = plan.cell == RnnCell::kLstm;
  if (phase == 0) return pack_backward(plan, static_cast<const T*>(args.in[places.u]), begin, end, static_cast<T*>(args.scratch));
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    const RnnRows rows(plan, chunk);
    const RnnWork<T> work(plan, args.thread_scratch);
    const int64_t at = rows.first * plan.units;
    copy_in(plan, static_cast<const T*>(args.in[places.dlast]) + at, plan.units, rows.count, work.state);
    if (lstm) copy_in(plan, static_cast<const T*>(args.in[places.dlast + 1]) + at, plan.units, rows.count, work.other);
    run_chunk(plan, args, places, rows, work);
    copy_out(plan, work.state, rows.count, static_cast<T*>(args.out[places.dfirst]) + at);
    if (lstm) copy_out(plan, work.other, rows.count, static_cast<T*>(args.out[2]) + at);
  }
}

void prepare_rnn_grad(Prepare& prepare, RnnCell cell) {
  auto* plan = static_cast<RnnPlan*>(prepare.new_state(rnn_state_bytes(prepare)));
  plan_rnn(prepare, cell, true, plan);
  const bool single = prepare.input(0).dtype == DType::kFloat32;
  prepare.set_run(single ? run_rnn_grad<float> : run_rnn_grad<double>);
  prepare.need_scratch(static_cast<size_t>(rnn_packed_size(plan->gates * plan->padded, plan->padded)) * (single ? sizeof(float) : sizeof(double)));
  prepare.need_thread_scratch(single ? RnnWork<float>::bytes(*plan) : RnnWork<double>::bytes(*plan));
}

void prepare_simple_rnn_grad(Prepare& prepare) { prepare_rnn_grad(prepare, RnnCell::kSimple); }
void prepare_lstm_grad(Prepare& prepare) { prepare_rnn_grad(prepare, RnnCell::kLstm); }
void prepare_gru_grad(Prepare& prepare) { prepare_rnn_grad(prepare, prepare.get_int("reset_after") ? RnnCell::kGruAfter : RnnCell::kGruBefore); }

NN_KERNEL("simple_rnn_grad", prepare_simple_rnn_grad);
NN_KERNEL("lstm_grad", prepare_lstm_grad);
NN_KERNEL("gru_grad", prepare_gru_grad);

}  // namespace
}  // namespace nnlite::NN_ISA
