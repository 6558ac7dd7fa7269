// Depthwise convolutions: the layers of MobileNet-V2 at 224 x 224 pixels for four images at once, which no cache holds, and small ones that the
// second cache holds.
#include <algorithm>

#include "harness.h"

namespace nnlite::bench {
namespace {

struct Layer {
  int64_t batch, size, channels, taps, stride;
};

Case layer_case(const Layer& p, const std::string& kernel) {
  const int64_t out = (p.size + p.stride - 1) / p.stride, padding = std::max<int64_t>((out - 1) * p.stride + p.taps - p.size, 0);
  const Spec x = make_spec({p.batch, p.size, p.size, p.channels}), y = make_spec({p.batch, out, out, p.channels});
  const Spec w = make_spec({p.taps, p.taps, p.channels, 1});
  const auto text = [](int64_t v) { return std::to_string(v); };
  Case c;
  c.name = kernel + " " + text(p.batch) + "x" + text(p.size) + "x" + text(p.size) + "x" + text(p.channels) + " " + text(p.taps) + "x" + text(p.taps) +
           (p.stride > 1 ? "/" + text(p.stride) : "");
  c.kernel = "depthwise_" + kernel;
  c.attributes = {{"strides", std::vector<int64_t>{p.stride, p.stride}},
                  {"dilation", std::vector<int64_t>{1, 1}},
                  {"padding", std::vector<int64_t>{padding / 2, padding - padding / 2, padding / 2, padding - padding / 2}}};
  c.inputs = kernel == "conv2d" ? std::vector<Spec>{x, w} : kernel == "conv2d_input_grad" ? std::vector<Spec>{y, w} : std::vector<Spec>{x, y};
  c.outputs = {kernel == "conv2d" ? y : kernel == "conv2d_input_grad" ? x : w};
  c.flops = 2.0 * static_cast<double>(y.size() * p.taps * p.taps);
  return c;
}

std::vector<Case> cases() {
  const Layer layers[] = {{4, 112, 32, 3, 1}, {4, 112, 96, 3, 2}, {4, 56, 144, 3, 1}, {4, 56, 144, 3, 2}, {4, 28, 192, 3, 1}, {4, 28, 192, 3, 2},
                          {4, 14, 384, 3, 1}, {4, 14, 576, 3, 1}, {4, 14, 576, 3, 2}, {4, 7, 960, 3, 1},  {1, 28, 64, 3, 1},  {1, 28, 64, 3, 2},
                          {1, 56, 32, 3, 1},  {1, 56, 32, 3, 2},  {1, 14, 256, 3, 1}, {1, 28, 64, 5, 1},  {1, 28, 64, 5, 2}};
  std::vector<Case> list;
  for (const char* kernel : {"conv2d", "conv2d_input_grad", "conv2d_kernel_grad"}) {
    for (const Layer& layer : layers) list.push_back(layer_case(layer, kernel));
  }
  return list;
}

}  // namespace
}  // namespace nnlite::bench

int main(int argc, char** argv) { return nnlite::bench::run_benchmark(argc, argv, "depthwise", nnlite::bench::cases()); }
