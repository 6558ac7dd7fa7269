// The products behind a recurrent layer's gradients, made of a block of steps while the gradients of its gates are in a cache: those of the recurrent
// kernel, and where asked for those of the inputs' kernel, the biases and the inputs.
// Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include "kernels/rnn_rows.h"

namespace nnlite::NN_ISA {
namespace {

// Steps [begin, begin + count) in time, of all rows of a chunk; rows of working copies are ordered by row, then time.
struct RnnBlock {
  int64_t begin, count;

  // In the order of the gradients: block 0 holds the last steps taken.
  RnnBlock(const RnnPlan& plan, int64_t block) {
    const int64_t after = block * plan.block_steps;
    count = smaller(plan.steps - after, plan.block_steps);
    begin = plan.reverse ? after : plan.steps - after - count;
  }
};

// Working copies of a chunk in thread scratch, one after the other. The first rows of a block's gates may be read three rows further.
template <class T>
struct RnnGradWork {
  T *sums, *state, *other;         // gradients of the gates' sums, of the states after a step, and of cell states (lstm) or reset states (gru)
  T *previous, *inputs, *dinputs;  // of a block: states before each step, inputs, and their gradients

  RnnGradWork(const RnnPlan& plan, void* scratch) {
    const int64_t rows = plan.rows + kRnnSpareRows, block = plan.rows * plan.block_steps;
    __builtin_memset(scratch, 0, bytes(plan));
    sums = static_cast<T*>(scratch);
    state = sums + rows * plan.block_steps * plan.gate_ld;
    other = state + rows * plan.state_ld;
    previous = other + rows * plan.state_ld;
    inputs = previous + (plan.u_grad ? block * plan.state_ld : 0);
    dinputs = inputs + block * plan.feature_ld;
  }
  static size_t bytes(const RnnPlan& plan) {
    const int64_t rows = plan.rows + kRnnSpareRows, block = plan.rows * plan.block_steps;
    const int64_t narrow = 2 * rows + (plan.u_grad ? block : 0), features = 2 * block + kRnnSpareRows;
    return static_cast<size_t>(rows * plan.block_steps * plan.gate_ld + narrow * plan.state_ld + features * plan.feature_ld) * sizeof(T);
  }
};

// Where the packed kernel of the inputs starts in scratch, behind the recurrent one, and where both end.
NN_INLINE int64_t packed_inputs(const RnnPlan& plan) { return rnn_packed_size(plan.gates * plan.padded, plan.padded); }
NN_INLINE int64_t packed_size(const RnnPlan& plan) {
  return packed_inputs(plan) + (plan.input_grad ? rnn_packed_size(plan.gates * plan.padded, plan.features) : 0);
}

// The candidate of gru with reset after has one gradient as a part of the state's product and, in the last slot, one as a part of the inputs'.
NN_INLINE int64_t shared_gates(const RnnPlan& plan) { return plan.slots > plan.gates ? plan.gates - 1 : plan.gates; }

// c [rows, columns] += a [k, rows]' b [k, columns], with b as it lies in the block.
template <class T>
NN_INLINE void add_transposed(const RnnPlan& plan, const T* a, int64_t a_ld, const T* b, T* c, int64_t rows, int64_t columns, int64_t k) {
  const int64_t wide = plan.gates * plan.padded;
  attention::multiply(attention::Product<T>{a, 1, a_ld, b, plan.gate_ld, kRnnPanel, c, wide, rows, columns, k, true});
}

// sums [columns] += all rows of b.
template <class T>
void add_columns(const RnnPlan& plan, const T* b, int64_t rows, int64_t columns, T* sums) {
  for (int64_t j = 0; j < columns; j += Vec<T>::kLanes) {
    Vec<T> sum = Vec<T>::zero();
    for (int64_t i = 0; i < rows; ++i) sum = sum + load(b + i * plan.gate_ld + j);
    store(sums + j, load(sums + j) + sum);
  }
}

// The gradient of the inputs of a block, [k, features], from the gates' and the packed kernel.
template <class T>
void make_dinputs(const RnnPlan& plan, const RnnGradWork<T>& work, const T* packed, int64_t k) {
  const int64_t wide = plan.gates * plan.padded, shared = shared_gates(plan) * plan.padded, columns = plan.feature_ld - 16;
  const auto multiply = [&](const T* gates, int64_t from, int64_t depth) {
    attention::multiply(attention::Product<T>{gates, plan.gate_ld, 1, packed + from * kRnnPanel, kRnnPanel, kRnnPanel * wide, work.dinputs,
                                              plan.feature_ld, k, columns, depth, from > 0});
  };
  multiply(work.sums, 0, shared);
  if (shared < wide) multiply(work.sums + wide, shared, plan.padded);
}

// Where a block's rows of inputs and of their gradients lie.
NN_INLINE int64_t input_row(const RnnPlan& plan, const RnnRows& rows, const RnnBlock& block, int64_t i) {
  return ((rows.first + i) * plan.steps + block.begin) * plan.features;
}

template <class T>
void add_input_products(const RnnPlan& plan, const StepArgs& args, const RnnRows& rows, const RnnBlock& block, const RnnGradWork<T>& work,
                        const T* packed, T* sums) {
  const int64_t k = rows.count * block.count, wide = plan.gates * plan.padded, shared = shared_gates(plan) * plan.padded;
  const size_t bytes = static_cast<size_t>(plan.features) * sizeof(T);
  for (int64_t i = 0; i < k; ++i) {
    const T* x = static_cast<const T*>(args.in[plan.at.x]) + input_row(plan, rows, block, i / block.count) + i % block.count * plan.features;
    __builtin_memcpy(work.inputs + i * plan.feature_ld, x, bytes);
  }
  add_transposed(plan, work.inputs, plan.feature_ld, work.sums, sums + plan.w_sums, plan.features, shared, k);
  if (shared < wide) {
    add_transposed(plan, work.inputs, plan.feature_ld, work.sums + wide, sums + plan.w_sums + shared, plan.features, plan.padded, k);
  }
  if (plan.at.dbias >= 0) {
    add_columns(plan, work.sums, k, shared, sums + plan.bias_sums);
    if (shared < wide) add_columns(plan, work.sums + wide, k, plan.padded, sums + plan.bias_sums + shared);
  }
  if (!plan.input_grad) return;
  make_dinputs(plan, work, packed, k);
  for (int64_t i = 0; i < k; ++i) {
    T* dx = static_cast<T*>(args.out[plan.at.dinput]) + input_row(plan, rows, block, i / block.count) + i % block.count * plan.features;
    __builtin_memcpy(dx, work.dinputs + i * plan.feature_ld, bytes);
  }
}

// Adds what a block gives to the sums of its part.
template <class T>
void add_products(const RnnPlan& plan, const StepArgs& args, const RnnRows& rows, const RnnBlock& block, const RnnGradWork<T>& work,
                  const T* packed_inputs, T* sums) {
  const int64_t k = rows.count * block.count, wide = plan.gates * plan.padded;
  add_transposed(plan, work.previous, plan.state_ld, work.sums, sums, plan.units, wide, k);
  if (plan.at.dinner_bias >= 0) add_columns(plan, work.sums, k, wide, sums + plan.inner_sums);
  if (plan.products) add_input_products(plan, args, rows, block, work, packed_inputs, sums);
}

// One row of a result: the sums of all parts, without the units that only fill vectors.
template <class T>
void add_parts(const RnnPlan& plan, const T* sums, T* to) {
  constexpr int kLanes = Vec<T>::kLanes;
  for (int64_t gate = 0; gate < plan.gates; ++gate) {
    for (int64_t j = 0; j < plan.units; j += kLanes) {
      const T* from = sums + gate * plan.padded + j;
      Vec<T> sum = Vec<T>::zero();
      for (int64_t part = 0; part < plan.parts; ++part) sum = sum + load(from + part * plan.part_size);
      store_some(to + gate * plan.units + j, sum, static_cast<int>(smaller(plan.units - j, kLanes)));
    }
  }
}

// Rows [begin, end) of the gradients of the recurrent kernel and of the inputs' behind it; those of the biases go with the first.
template <class T>
void add_all_parts(const RnnPlan& plan, const StepArgs& args, int64_t begin, int64_t end, const T* sums) {
  const RnnGradPlaces& at = plan.at;
  const int64_t wide = plan.gates * plan.padded, width = plan.gates * plan.units;
  for (int64_t row = begin; row < end; ++row) {
    if (row < plan.units) {
      add_parts(plan, sums + row * wide, static_cast<T*>(args.out[at.du]) + row * width);
    } else {
      const int64_t feature = row - plan.units;
      add_parts(plan, sums + plan.w_sums + feature * wide, static_cast<T*>(args.out[at.dw]) + feature * width);
    }
  }
  if (begin > 0) return;
  if (at.dbias >= 0) add_parts(plan, sums + plan.bias_sums, static_cast<T*>(args.out[at.dbias]));
  if (at.dinner_bias >= 0) add_parts(plan, sums + plan.inner_sums, static_cast<T*>(args.out[at.dinner_bias]));
}

}  // namespace
}  // namespace nnlite::NN_ISA
