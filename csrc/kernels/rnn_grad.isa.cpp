// simple_rnn_grad, lstm_grad, gru_grad: gradients of recurrent layers with respect to the projections of their inputs and to the first states.
// Inputs: (simple_rnn) all states, (lstm) gates and cell states, (gru) gates, what the forward kept, and states; then u, the first state (gru) or
// cell state (lstm), gradients of the last states, gradients of all states if `sequence`, and the mask where there is one. Outputs: gradients of x
// (they may lie where the gates were), (gru with reset after the product) those of the product of state and u, and those of the first states.
// Where kernel gradients are asked for (rnn_plan.h), more inputs follow: all states (lstm), the first state (lstm, simple_rnn), the projected inputs
// and, for their gradient, their kernel; more outputs: gradients of u, the recurrent bias (gru with reset after), the kernel, its bias, the inputs.
#include "kernels/rnn_grad_products.h"

namespace nnlite::NN_ISA {
namespace {

// One step of one row. `previous` is the state (gru) or cell state (lstm) before the step, `kept` what the forward kept of the step itself.
template <class T>
struct BackwardRow {
  const T *gates, *kept, *previous;
  const T* dstates;  // or null
  T *sums, *state, *other;
  T *dx, *dinner;  // or null; dinner: of the product of state and u, where it differs from dx
  T* dcandidate;   // gru with reset after: the candidate's gradient as a part of x, or null
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
    if (row.dx) store_some(row.dx + j, dsum, n);
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
      if (row.dx) store_some(row.dx + k * units + j, d[k], n);
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
    if (row.dx) {
      store_some(row.dx + j, mixed.dz, n);
      store_some(row.dx + units + j, dr, n);
      store_some(row.dx + 2 * units + j, mixed.dcandidate, n);
    }
    if (row.dcandidate) store(row.dcandidate + j, mixed.dcandidate);
    NN_UNROLL(3)
    for (int k = 0; k < 3; ++k) {
      if (row.dinner) store_some(row.dinner + k * units + j, d[k], n);
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
  if (row.dx) __builtin_memset(row.dx, 0, bytes);
  if (row.dinner) __builtin_memset(row.dinner, 0, bytes);
  __builtin_memset(row.sums, 0, static_cast<size_t>(plan.slots * plan.padded) * sizeof(T));
  if (!row.dstates) return;
  for (int64_t j = 0; j < plan.units; j += kLanes) {
    const int n = static_cast<int>(smaller(plan.units - j, kLanes));
    store(row.state + j, state_gradient(row, j, n));
  }
}

// One step: when it is, and when the one before it was, or -1.
struct RnnStep {
  int64_t time, before;
};

// The state before the step, of the kind that `first` and `all` hold.
template <class T>
NN_INLINE const T* state_before(const RnnPlan& plan, const StepArgs& args, int first, int all, int64_t row, const RnnStep& step) {
  return step.before < 0 ? static_cast<const T*>(args.in[first]) + row * plan.units
                         : static_cast<const T*>(args.in[all]) + place(plan, row, step.before, plan.units);
}

template <class T>
BackwardRow<T> find_row(const RnnPlan& plan, const StepArgs& args, const RnnGradWork<T>& work, const RnnRows& rows, int64_t i, const RnnBlock& block,
                        const RnnStep& step) {
  const RnnGradPlaces& at = plan.at;
  const int64_t row = rows.first + i, narrow = place(plan, row, step.time, plan.units), wide = narrow * plan.gates;
  const auto output = [&](int index) { return index < 0 ? nullptr : static_cast<T*>(args.out[index]) + wide; };
  BackwardRow<T> r;
  r.gates = static_cast<const T*>(args.in[0]) + wide;
  r.kept = at.kept < 0 ? nullptr : static_cast<const T*>(args.in[at.kept]) + narrow;
  r.previous = at.first < 0 ? nullptr : state_before<T>(plan, args, at.first, plan.cell == RnnCell::kLstm ? 1 : 2, row, step);
  r.dstates = at.dstates < 0 ? nullptr : static_cast<const T*>(args.in[at.dstates]) + narrow;
  r.sums = work.sums + (i * block.count + step.time - block.begin) * plan.gate_ld;
  r.state = work.state + i * plan.state_ld;
  r.other = work.other + i * plan.state_ld;
  r.dx = output(at.dx);
  r.dinner = output(at.dinner);
  r.dcandidate = plan.slots > plan.gates ? r.sums + plan.gates * plan.padded : nullptr;
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
    if (row.dx && row.dx != row.gates) prefetch_l2(row.dx + wide + j);
    if (row.dinner) prefetch_l2(row.dinner + wide + j);
  }
  for (int64_t j = 0; j < plan.units; j += kLanes) {
    if (row.previous) prefetch_l2(row.previous + narrow + j);
    if (row.kept) prefetch_l2(row.kept + narrow + j);
    if (row.dstates) prefetch_l2(row.dstates + narrow + j);
  }
}

// Keeps the state before a step for the gradient of u, and asks for what the products of the block will read of the step before it.
template <class T>
NN_INLINE void keep_previous(const RnnPlan& plan, const StepArgs& args, const RnnGradWork<T>& work, int64_t row, int64_t at, const RnnStep& step) {
  const T* state = state_before<T>(plan, args, plan.at.first_state, plan.at.states, row, step);
  __builtin_memcpy(work.previous + at * plan.state_ld, state, static_cast<size_t>(plan.units) * sizeof(T));
  if (step.before < 0) return;
  const int64_t delta = (step.before - step.time) * plan.units;
  for (int64_t j = 0; j < plan.units; j += Vec<T>::kLanes) prefetch_l2(state + delta + j);
  if (!plan.products) return;
  const T* x = static_cast<const T*>(args.in[plan.at.x]) + place(plan, row, step.before, plan.features);
  for (int64_t j = 0; j < plan.features; j += Vec<T>::kLanes) prefetch_l2(x + j);
}

template <class T>
void run_step(const RnnPlan& plan, const StepArgs& args, const RnnRows& rows, const RnnGradWork<T>& work, const RnnBlock& block,
              const RnnStep& step) {
  using CellFunction = void (*)(const RnnPlan&, const BackwardRow<T>&);
  static constexpr CellFunction kCells[] = {back_simple<T>, back_lstm<T>, back_gru_after<T>, back_gru_candidate<T>};
  const CellFunction cell = kCells[static_cast<int>(plan.cell)];
  const bool reset_before = plan.cell == RnnCell::kGruBefore;
  const T* packed = static_cast<const T*>(args.scratch);
  const int64_t depth = plan.gates * plan.padded, used = reset_before ? 2 * plan.padded : depth, ld = block.count * plan.gate_ld;
  T* sums = work.sums + (step.time - block.begin) * plan.gate_ld;
  for (int64_t i = 0; i < rows.count; ++i) {
    const BackwardRow<T> row = find_row(plan, args, work, rows, i, block, step);
    if (step.before >= 0) prefetch_step(plan, row, step.before - step.time);
    if (plan.u_grad) keep_previous(plan, args, work, rows.first + i, i * block.count + step.time - block.begin, step);
    if (counts(plan, args, rows.first + i, step.time)) {
      cell(plan, row);
    } else {
      pass_row(plan, row);
    }
  }
  if (reset_before) {
    multiply_rows(sums + used, ld, packed + used * kRnnPanel, depth, work.other, plan.state_ld, rows.count, plan.padded, plan.padded, false);
    for (int64_t i = 0; i < rows.count; ++i) {
      if (counts(plan, args, rows.first + i, step.time)) back_gru_reset(plan, find_row(plan, args, work, rows, i, block, step));
    }
  }
  multiply_rows(sums, ld, packed, depth, work.state, plan.state_ld, rows.count, plan.padded, used, true);
}

template <class T>
void run_chunk(const RnnPlan& plan, const StepArgs& args, const RnnRows& rows, const RnnGradWork<T>& work, T* sums) {
  const T* inputs_kernel = static_cast<const T*>(args.scratch) + packed_inputs(plan);
  for (int64_t b = 0; b * plan.block_steps < plan.steps; ++b) {
    const RnnBlock block(plan, b);
    for (int64_t k = 0; k < block.count; ++k) {
      const int64_t time = plan.reverse ? block.begin + k : block.begin + block.count - 1 - k;
      const bool first = time == (plan.reverse ? plan.steps - 1 : 0);
      run_step(plan, args, rows, work, block, RnnStep{time, first ? -1 : plan.reverse ? time + 1 : time - 1});
    }
    if (plan.u_grad) add_products(plan, args, rows, block, work, inputs_kernel, sums);
  }
}

// The chunks of a part, one after the other.
template <class T>
void run_part(const RnnPlan& plan, const StepArgs& args, int64_t part, T* sums) {
  const RnnGradPlaces& at = plan.at;
  const bool lstm = plan.cell == RnnCell::kLstm;
  if (plan.u_grad) __builtin_memset(sums, 0, static_cast<size_t>(plan.part_size) * sizeof(T));
  for (int64_t chunk = plan.chunks * part / plan.parts; chunk < plan.chunks * (part + 1) / plan.parts; ++chunk) {
    const RnnRows rows(plan, chunk);
    const RnnGradWork<T> work(plan, args.thread_scratch);
    const int64_t first = rows.first * plan.units;
    copy_in(plan, static_cast<const T*>(args.in[at.dlast]) + first, plan.units, rows.count, work.state);
    if (lstm) copy_in(plan, static_cast<const T*>(args.in[at.dlast + 1]) + first, plan.units, rows.count, work.other);
    run_chunk(plan, args, rows, work, sums);
    copy_out(plan, work.state, rows.count, static_cast<T*>(args.out[at.dfirst]) + first);
    if (lstm) copy_out(plan, work.other, rows.count, static_cast<T*>(args.out[at.dfirst + 1]) + first);
  }
}

// Panels of both packed kernels, those of u first.
template <class T>
void pack_kernels(const RnnPlan& plan, const StepArgs& args, int64_t begin, int64_t end) {
  const int64_t own = ceil_div(plan.padded, kRnnPanel);
  T* packed = static_cast<T*>(args.scratch);
  pack_backward(plan, static_cast<const T*>(args.in[plan.at.u]), plan.units, begin, smaller(end, own), packed);
  if (end <= own) return;
  pack_backward(plan, static_cast<const T*>(args.in[plan.at.w]), plan.features, begin > own ? begin - own : 0, end - own,
                packed + packed_inputs(plan));
}

template <class T>
void run_rnn_grad(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  const RnnPlan& plan = *static_cast<const RnnPlan*>(state);
  T* sums = static_cast<T*>(args.scratch) + packed_size(plan);
  if (phase == 0) return pack_kernels<T>(plan, args, begin, end);
  if (phase == 2) return add_all_parts(plan, args, begin, end, sums);
  for (int64_t part = begin; part < end; ++part) run_part(plan, args, part, sums + part * plan.part_size);
}

void prepare_rnn_grad(Prepare& prepare, RnnCell cell) {
  auto* plan = static_cast<RnnPlan*>(prepare.new_state(rnn_state_bytes(prepare)));
  plan_rnn(prepare, cell, true, plan);
  const bool single = prepare.input(0).dtype == DType::kFloat32;
  prepare.set_run(single ? run_rnn_grad<float> : run_rnn_grad<double>);
  prepare.need_scratch(static_cast<size_t>(packed_size(*plan) + plan->parts * plan->part_size) * dtype_size(prepare.input(0).dtype));
  prepare.need_thread_scratch(single ? RnnGradWork<float>::bytes(*plan) : RnnGradWork<double>::bytes(*plan));
}

void prepare_simple_rnn_grad(Prepare& prepare) { prepare_rnn_grad(prepare, RnnCell::kSimple); }
void prepare_lstm_grad(Prepare& prepare) { prepare_rnn_grad(prepare, RnnCell::kLstm); }
void prepare_gru_grad(Prepare& prepare) { prepare_rnn_grad(prepare, prepare.get_int("reset_after") ? RnnCell::kGruAfter : RnnCell::kGruBefore); }

NN_KERNEL("simple_rnn_grad", prepare_simple_rnn_grad);
NN_KERNEL("lstm_grad", prepare_lstm_grad);
NN_KERNEL("gru_grad", prepare_gru_grad);

}  // namespace
}  // namespace nnlite::NN_ISA
