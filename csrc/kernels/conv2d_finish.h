// What is done to pixels of a convolution behind the products and the bias: a map is added, and the result activated.
// Per-ISA header: include only from `.isa.cpp` files.
#pragma once
#include "kernels/conv2d_plan.h"
#include "kernels/shape_math.h"
#include "simd/vec.h"

namespace nnlite::NN_ISA {
namespace {

struct Finish {
  bool residual;
  Activation activation;
  int64_t to_residual;  // bytes from an element of the result to that of the map
};

NN_INLINE bool activates_after(Activation activation) { return activation == Activation::kSigmoid || activation == Activation::kTanh; }

// `residual`: number of the input that is added, or 0.
NN_INLINE Finish make_finish(int residual, Activation activation, const StepArgs& args) {
  Finish finish = {residual != 0, activation, 0};
  if (residual) finish.to_residual = static_cast<const char*>(args.in[residual]) - static_cast<const char*>(args.out[0]);
  return finish;
}

template <class T>
NN_INLINE const T* step_to(const T* p, int64_t bytes) {
  return reinterpret_cast<const T*>(reinterpret_cast<const char*>(p) + bytes);
}

// At most one vector of elements, of which the residual is not added yet.
template <class T>
NN_INLINE void add_residual(const Finish& finish, T* p, int part) {
  const T* residual = step_to(p, finish.to_residual);
  const Vec<T> floor = splat(finish.activation == Activation::kRelu ? T(0) : -static_cast<T>(__builtin_inf()));
  if (part == Vec<T>::kLanes) {
    store(p, max(floor, load(p) + load(residual)));
  } else {
    store_part(p, max(floor, load_part(p, part) + load_part(residual, part)), part);
  }
}

}  // namespace
}  // namespace nnlite::NN_ISA
