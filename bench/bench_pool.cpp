// Pooling: the layers of small image classifiers, overlapping windows, few channels.
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

std::vector<Case> cases() {
  std::vector<Case> list;
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
