// 2-D convolutions with their gradients: the layers of small image networks, of ResNet-20 on 32 x 32 images and of larger networks; depthwise
// layers. The flops of padding count, as they do for everyone, so a kernel that skips them may exceed the peak.
#include <algorithm>

#include "harness.h"

namespace nnlite::bench {
namespace {

struct Layer {
  int64_t n, size, channels, filters, taps, stride;
  bool same;  // padding so that ceil(size / stride) pixels come out
};

Case layer_case(const Layer& p, const std::string& kernel, bool depthwise) {
  const int64_t out = p.same ? (p.size + p.stride - 1) / p.stride : (p.size - p.taps) / p.stride + 1;
  const int64_t padding = p.same ? std::max<int64_t>((out - 1) * p.stride + p.taps - p.size, 0) : 0;
  const Spec x = make_spec({p.n, p.size, p.size, p.channels}), y = make_spec({p.n, out, out, p.filters});
  const Spec w = depthwise ? make_spec({p.taps, p.taps, p.channels, p.filters / p.channels}) : make_spec({p.taps, p.taps, p.channels, p.filters});
  Case c;
  const auto text = [](int64_t v) { return std::to_string(v); };
  c.name = kernel + " " + text(p.n) + "x" + text(p.size) + "x" + text(p.size) + "x" + text(p.channels) + "->" + text(p.filters) + " " + text(p.taps) +
           "x" + text(p.taps) + (p.stride > 1 ? "/" + text(p.stride) : "") + (p.same ? " same" : "");
  c.kernel = (depthwise ? "depthwise_" : "") + kernel;
  c.attributes = {{"strides", std::vector<int64_t>{p.stride, p.stride}},
                  {"dilation", std::vector<int64_t>{1, 1}},
                  {"padding", std::vector<int64_t>{padding / 2, padding - padding / 2, padding / 2, padding - padding / 2}}};
  if (!depthwise) c.attributes["groups"] = int64_t{1};
  if (kernel == "conv2d") {
    c.inputs = {x, w, make_spec({p.filters})};
    c.outputs = {y};
    c.attributes["bias"] = int64_t{1};
    c.attributes["activation"] = std::string("relu");
  } else if (kernel == "conv2d_input_grad") {
    c.inputs = {y, w};
    c.outputs = {x};
  } else {
    c.inputs = {x, y};
    c.outputs = {w};
  }
  c.flops = 2.0 * static_cast<double>(y.size() * p.taps * p.taps * (depthwise ? 1 : p.channels));
  if (depthwise) c.name = "depthwise " + c.name;
  return c;
}

std::vector<Case> cases() {
  const Layer dense[] = {{64, 28, 1, 32, 3, 1, false},  {64, 13, 32, 64, 3, 1, false}, {64, 5, 64, 64, 3, 1, false},  {1, 28, 1, 32, 3, 1, false},
                         {1, 13, 32, 64, 3, 1, false},  {1, 5, 64, 64, 3, 1, false},   {32, 32, 3, 16, 3, 1, true},   {32, 32, 3, 64, 3, 1, true},
                         {32, 32, 16, 16, 3, 1, true},  {32, 32, 16, 32, 3, 2, true},  {32, 16, 32, 32, 3, 1, true},  {32, 16, 32, 64, 3, 2, true},
                         {32, 8, 64, 64, 3, 1, true},   {32, 32, 16, 32, 1, 2, true},  {4, 56, 64, 64, 3, 1, true},   {4, 28, 128, 128, 3, 1, true},
                         {4, 14, 256, 256, 3, 1, true}, {4, 28, 64, 256, 1, 1, true},  {4, 28, 256, 64, 1, 1, true},  {1, 56, 64, 64, 3, 1, true},
                         {16, 28, 1, 6, 5, 1, true},    {16, 14, 6, 16, 5, 1, false}};
  const Layer depthwise[] = {{1, 28, 64, 64, 3, 1, true},  {1, 56, 32, 32, 3, 1, true}, {1, 14, 256, 256, 3, 1, true}, {1, 28, 64, 64, 3, 2, true},
                             {1, 28, 64, 64, 5, 1, true},  {8, 56, 64, 64, 3, 1, true}, {1, 28, 32, 64, 3, 1, true}};
  std::vector<Case> list;
  for (const char* kernel : {"conv2d", "conv2d_input_grad", "conv2d_kernel_grad"}) {
    const bool input_grad = std::string(kernel) == "conv2d_input_grad";
    for (const Layer& layer : dense) {
      // Nobody needs the gradient of the pictures.
      if (!input_grad || layer.channels > 3) list.push_back(layer_case(layer, kernel, false));
    }
    for (const Layer& layer : depthwise) list.push_back(layer_case(layer, kernel, true));
  }
  return list;
}

}  // namespace
}  // namespace nnlite::bench

int main(int argc, char** argv) { return nnlite::bench::run_benchmark(argc, argv, "conv", nnlite::bench::cases()); }
