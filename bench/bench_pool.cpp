// Pooling: the layers of small image classifiers, overlapping windows, few channels; and as the last step of convolutions.
#include "harness.h"

namespace nnlite::bench {
namespace {

struct Pool {
  std::string name;
  int64_t n, size, channels, window, stride, pad;
};

// Memory takes lines of zeros faster than others: the gradient's winners must not be all the same.
void scatter_winners(int64_t cells, int64_t count, void* winners) {
  uint32_t state = 1;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    static_cast<uint8_t*>(winners)[i] = static_cast<uint8_t>((state >> 8) % static_cast<uint32_t>(cells));
  }
}

void add(std::vector<Case>& list, const Pool& t) {
  const int64_t out = (t.size + 2 * t.pad - t.window) / t.stride + 1;
  const std::vector<int64_t> x_dims = {t.n, t.size, t.size, t.channels};
  const Spec x = make_spec(x_dims), y = make_spec({t.n, out, out, t.channels}), cells = make_spec({t.n, out, out, t.channels}, DType::kUInt8);
  const Attributes forward = {{"pool_size", std::vector<int64_t>{t.window, t.window}},
                              {"strides", std::vector<int64_t>{t.stride, t.stride}},
                              {"padding", std::vector<int64_t>{t.pad, t.pad, t.pad, t.pad}}};
  Attributes gradient = forward;
  gradient["input_shape"] = x_dims;
  const auto add_case = [&](const char* what, const char* kernel, std::vector<Spec> inputs, std::vector<Spec> outputs, const Attributes& attributes) {
    Case c;
    c.name = t.name + " " + what;
    c.kernel = kernel;
    c.inputs = std::move(inputs);
    c.outputs = std::move(outputs);
    c.attributes = attributes;
    if (c.inputs.size() == 2) c.fill = [t, y](const std::vector<void*>& given) { scatter_winners(t.window * t.window, y.size(), given[1]); };
    list.push_back(c);
  };
  add_case("max", "max_pool2d", {x}, {y, cells}, forward);
  add_case("max inference", "max_pool2d", {x}, {y}, forward);
  add_case("max gradient", "max_pool2d_grad", {y, cells}, {x}, gradient);
  add_case("average", "average_pool2d", {x}, {y}, forward);
  add_case("average gradient", "average_pool2d_grad", {y}, {x}, gradient);
}

// A 3 x 3 convolution with relu and 2 x 2 pooling as its last step, in training and in inference, and without pooling.
void add_convolution(std::vector<Case>& list, int64_t n, int64_t size, int64_t channels, int64_t filters) {
  const Spec x = make_spec({n, size, size, channels}), w = make_spec({3, 3, channels, filters}), bias = make_spec({filters});
  const Spec y = make_spec({n, size, size, filters}), half = make_spec({n, size / 2, size / 2, filters});
  const Spec cells = make_spec({n, size / 2, size / 2, filters}, DType::kUInt8);
  Case c;
  c.kernel = "conv2d";
  c.inputs = {x, w, bias};
  c.flops = 18.0 * static_cast<double>(y.size() * channels);
  c.attributes = {{"padding", std::vector<int64_t>{1, 1, 1, 1}}, {"bias", int64_t{1}}, {"activation", std::string("relu")}};
  const std::string side = std::to_string(size);
  const std::string name = "conv " + std::to_string(n) + "x" + side + "x" + side + "x" + std::to_string(channels) + "->" + std::to_string(filters);
  c.name = name;
  c.outputs = {y};
  list.push_back(c);
  c.attributes["pool"] = int64_t{1};
  c.name = name + " pooled inference";
  c.outputs = {half};
  list.push_back(c);
  c.attributes["cut"] = int64_t{1};
  c.name = name + " pooled";
  c.outputs = {half, cells};
  list.push_back(c);
}

std::vector<Case> cases() {
  std::vector<Case> list;
  add_convolution(list, 64, 28, 1, 32);
  add_convolution(list, 64, 12, 32, 64);
  add_convolution(list, 32, 32, 64, 64);
  for (const Pool& t :
       {Pool{"2x2 64x26x26x32", 64, 26, 32, 2, 2, 0}, Pool{"2x2 64x11x11x64", 64, 11, 64, 2, 2, 0}, Pool{"2x2 1x26x26x32", 1, 26, 32, 2, 2, 0},
        Pool{"3x3/2 1x56x56x64", 1, 56, 64, 3, 2, 1}, Pool{"3x3/2 16x56x56x64", 16, 56, 64, 3, 2, 1},
        Pool{"3x3/1 16x28x28x64", 16, 28, 64, 3, 1, 1}, Pool{"2x2 64x32x32x3", 64, 32, 3, 2, 2, 0}, Pool{"2x2 4x128x128x32", 4, 128, 32, 2, 2, 0},
        Pool{"2x2 8x112x112x64", 8, 112, 64, 2, 2, 0}, Pool{"2x2 2x224x224x64", 2, 224, 64, 2, 2, 0}, Pool{"2x2 4x224x224x64", 4, 224, 64, 2, 2, 0},
        Pool{"3x3/2 4x112x112x64", 4, 112, 64, 3, 2, 1}, Pool{"3x3/2 8x56x56x64", 8, 56, 64, 3, 2, 1}}) {
    add(list, t);
  }
  return list;
}

}  // namespace
}  // namespace nnlite::bench

int main(int argc, char** argv) { return nnlite::bench::run_benchmark(argc, argv, "pool", nnlite::bench::cases()); }
