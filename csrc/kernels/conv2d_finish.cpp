// The last steps of convolutions, done while a cache holds the pixels: what is asked for, and the bands that are pooled at a time.
#include <algorithm>

#include "kernels/conv2d_plan.h"

namespace nnlite {
namespace {

using std::max;
using std::min;
using ll = long long;

// Bytes of a map that is pooled as soon as it is computed.
constexpr int64_t kPoolBytes = 64 * 1024;

}  // namespace

int read_conv_residual(const Prepare& prepare, int inputs) {
  const int residual = prepare.get_int("residual", 0) ? inputs : 0;
  if (residual) ++inputs;
  if (prepare.num_inputs() != inputs) prepare.fail("needs %d inputs, got %d", inputs, prepare.num_inputs());
  if (!residual) return 0;
  const Spec &map = prepare.input(residual), &y = prepare.output(0);
  bool same = map.dtype == y.dtype && map.rank == y.rank;
  for (int axis = 0; same && axis < y.rank; ++axis) same = map.dims[axis] == y.dims[axis];
  if (!same) prepare.fail("the residual must have the dtype and shape of the result");
  if (prepare.get_int("groups", 1) != 1 || prepare.get_int("pool", 0)) prepare.fail("a residual needs one group and no pooling");
  return residual;
}

ConvPool read_conv_pool(const Prepare& prepare, const Spec& x, const int64_t* kernel_size, Spec* y) {
  ConvPool pool = {};
  pool.on = prepare.get_int("pool", 0);
  if (!pool.on) return pool;
  int64_t strides[2], dilation[2], padding[4];
  read_conv_pair(prepare, "strides", strides);
  read_conv_pair(prepare, "dilation", dilation);
  if (prepare.get_ints("padding", padding, 4) != 4) prepare.fail("attribute padding needs 4 integers (top, bottom, left, right)");
  if (x.rank != 4 || y->rank != 4 || x.dtype != DType::kFloat32 || prepare.get_int("groups", 1) != 1) {
    prepare.fail("pooling comes after convolutions of float32 images of rank 4 in one group");
  }
  for (int i = 0; i < 2; ++i) {
    const int64_t size = conv_axis_size(x.dims[1 + i], kernel_size[i], strides[i], dilation[i], padding + 2 * i);
    if (y->dims[1 + i] != size / 2) {
      prepare.fail("%lld %s pooled by twos give %lld, got %lld", static_cast<ll>(size), i ? "columns" : "rows", static_cast<ll>(size / 2),
                   static_cast<ll>(y->dims[1 + i]));
    }
    y->dims[1 + i] = size;
  }
  pool.rows = prepare.output(0).dims[1];
  pool.cols = prepare.output(0).dims[2];
  pool.cells = prepare.num_outputs() == 2;
  pool.cut = prepare.get_int("cut", 0);
  if (pool.cells && (prepare.output(1).dtype != DType::kUInt8 || prepare.output(1).size() != prepare.output(0).size())) {
    prepare.fail("cells must be uint8 and as many as pooled elements");
  }
  if (pool.cut && (!pool.cells || read_conv_activation(prepare) != Activation::kRelu)) prepare.fail("attribute cut needs cells and relu");
  return pool;
}

void plan_conv_pool(Prepare& prepare, DensePlan* plan, const ConvPool& pool) {
  if (!pool.on) return;
  DenseConv* conv = plan->convs;
  plan->pool = pool;
  plan->few_rows = 0;
  conv->out_rows = 2 * pool.rows;
  conv->out_cols = 2 * pool.cols;
  const int64_t row = max<int64_t>(conv->out_cols * min(plan->columns, kPanelColumns) * static_cast<int64_t>(sizeof(float)), 1);
  plan->pool.band_rows = max<int64_t>(min(kPoolBytes / row, conv->out_rows) / 2 * 2, 2);
  plan->pool.band_images = max<int64_t>(plan->pool.band_rows < conv->out_rows ? 1 : kPoolBytes / (row * plan->pool.band_rows), 1);
  prepare.need_thread_scratch(plan->pool.band_images * plan->pool.band_rows * row);
}

}  // namespace nnlite
