// Convolutions that Winograd serves, against the direct kernels (attribute exact). The flops are those of the direct way, so the fraction of the peak
// may reach 4 for 3 x 3 taps.
#include "harness.h"

namespace nnlite::bench {
namespace {

struct Layer {
  int64_t n, size, channels, filters, taps;
  bool same;
};

Case layer_case(const Layer& p, const std::string& kernel, bool exact) {
  const int64_t pad = p.same ? p.taps / 2 : 0, out = p.size + 2 * pad - p.taps + 1;
  const Spec x = make_spec({p.n, p.size, p.size, p.channels}), y = make_spec({p.n, out, out, p.filters});
  const Spec w = make_spec({p.taps, p.taps, p.channels, p.filters});
  const auto text = [](int64_t v) { return std::to_string(v); };
  Case c;
  c.name = kernel + " " + text(p.n) + "x" + text(p.size) + "x" + text(p.size) + "x" + text(p.channels) + "->" + text(p.filters) + " " + text(p.taps) +
           "x" + text(p.taps) + (p.same ? " same" : "") + (exact ? " exact" : "");
  c.kernel = kernel;
  c.attributes = {{"strides", std::vector<int64_t>{1, 1}},
                  {"dilation", std::vector<int64_t>{1, 1}},
                  {"padding", std::vector<int64_t>{pad, pad, pad, pad}},
                  {"groups", int64_t{1}},
                  {"exact", int64_t{exact}}};
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
  c.flops = 2.0 * static_cast<double>(y.size() * p.taps * p.taps * p.channels);
  return c;
}

std::vector<Case> cases() {
  const Layer layers[] = {{8, 56, 64, 64, 3, true},    {8, 28, 128, 128, 3, true}, {8, 14, 256, 256, 3, true}, {8, 7, 512, 512, 3, true},
                          {1, 56, 64, 64, 3, true},    {1, 14, 256, 256, 3, true}, {8, 28, 32, 64, 3, true},   {64, 13, 32, 64, 3, false},
                          {64, 5, 64, 64, 3, false},   {32, 32, 16, 16, 3, true},  {32, 16, 32, 32, 3, true},  {32, 8, 64, 64, 3, true},
                          {8, 28, 32, 32, 5, true},    {8, 28, 64, 64, 5, true},   {4, 14, 256, 256, 3, true}, {2, 14, 512, 512, 3, true},
                          {2, 28, 512, 512, 3, true},  {4, 7, 512, 512, 3, true}};
  std::vector<Case> list;
  for (const char* kernel : {"conv2d", "conv2d_input_grad", "conv2d_kernel_grad"}) {
    for (const Layer& layer : layers) {
      for (bool exact : {false, true}) list.push_back(layer_case(layer, kernel, exact));
    }
  }
  return list;
}

}  // namespace
}  // namespace nnlite::bench

int main(int argc, char** argv) { return nnlite::bench::run_benchmark(argc, argv, "winograd", nnlite::bench::cases()); }
