// Batch, layer and group normalization.
#include "harness.h"

namespace nnlite::bench {
namespace {

Case make_case(const std::string& name, const char* kernel, std::vector<Spec> inputs, std::vector<Spec> outputs, Attributes attributes = {}) {
  Case c;
  c.name = name;
  c.kernel = kernel;
  c.inputs = std::move(inputs);
  c.outputs = std::move(outputs);
  c.attributes = std::move(attributes);
  return c;
}

void add_batch_norm(std::vector<Case>& list, int64_t rows, int64_t channels) {
  const Spec x = make_spec({rows, channels}), c = make_spec({channels});
  const std::string name = std::to_string(rows) + "x" + std::to_string(channels);
  list.push_back(make_case("batch_norm " + name, "batch_norm", {x, c, c}, {x, c, c}, {{"epsilon", 1e-3}}));
  list.push_back(make_case("batch_norm_grad " + name, "batch_norm_grad", {x, x, c, c, c}, {x, c, c}, {{"epsilon", 1e-3}}));
  // Variances must be positive.
  list.back().fill = [channels](const std::vector<void*>& inputs) {
    for (int64_t i = 0; i < channels; ++i) static_cast<float*>(inputs[4])[i] = 1;
  };
}

void add_layer_norm(std::vector<Case>& list, int64_t rows, int64_t columns) {
  const Spec x = make_spec({rows, columns}), c = make_spec({columns}), r = make_spec({rows});
  const std::string name = std::to_string(rows) + "x" + std::to_string(columns);
  list.push_back(make_case("layer_norm " + name, "layer_norm", {x, c, c}, {x, r, r}, {{"epsilon", 1e-3}}));
  list.push_back(make_case("layer_norm_grad " + name, "layer_norm_grad", {x, x, c, r, r}, {x, c, c}));
}

void add_group_norm(std::vector<Case>& list, int64_t samples, int64_t positions, int64_t channels, int64_t groups) {
  const Spec x = make_spec({samples, positions, channels}), c = make_spec({channels}), g = make_spec({samples, groups});
  const std::string name = std::to_string(samples) + "x" + std::to_string(positions) + "x" + std::to_string(channels);
  list.push_back(make_case("group_norm " + name, "group_norm", {x, c, c}, {x, g, g}, {{"epsilon", 1e-3}, {"groups", groups}}));
  list.push_back(make_case("group_norm_grad " + name, "group_norm_grad", {x, x, c, g, g}, {x, c, c}, {{"groups", groups}}));
}

std::vector<Case> cases() {
  std::vector<Case> list;
  const int64_t batch[][2] = {{32, 64}, {128, 64}, {25088, 64}, {12544, 256}, {131072, 16}, {16384, 32}, {1568, 512}, {100000, 3}};
  for (const auto& d : batch) add_batch_norm(list, d[0], d[1]);
  const int64_t layer[][2] = {{8, 256}, {32, 128}, {128, 256}, {4096, 256}, {4096, 64}, {1024, 768}, {8192, 32}, {8192, 512}};
  for (const auto& d : layer) add_layer_norm(list, d[0], d[1]);
  add_group_norm(list, 8, 64, 256, 32);
  add_group_norm(list, 4, 3136, 64, 32);
  return list;
}

}  // namespace
}  // namespace nnlite::bench

int main(int argc, char** argv) { return nnlite::bench::run_benchmark(argc, argv, "norm", nnlite::bench::cases()); }
