// Data movement, embedding lookups and random numbers.
#include "harness.h"

namespace nnlite::bench {
namespace {

using Ints = std::vector<int64_t>;

Case make_case(const std::string& name, const char* kernel, std::vector<Spec> inputs, std::vector<Spec> outputs, Attributes attributes = {}) {
  Case c;
  c.name = name;
  c.kernel = kernel;
  c.inputs = std::move(inputs);
  c.outputs = std::move(outputs);
  c.attributes = std::move(attributes);
  return c;
}

Case transpose(const std::string& name, const Ints& dims, const Ints& axes, DType dtype = DType::kFloat32) {
  Ints out;
  for (int64_t a : axes) out.push_back(dims[a]);
  return make_case("transpose " + name, "transpose", {make_spec(dims, dtype)}, {make_spec(out, dtype)}, {{"axes", axes}});
}

Case slice(const std::string& name, const Ints& dims, const Ints& starts, const Ints& sizes, const Ints& strides) {
  return make_case("slice " + name, "slice", {make_spec(dims)}, {make_spec(sizes)}, {{"starts", starts}, {"sizes", sizes}, {"strides", strides}});
}

// Ids spread over the table by a multiplicative hash.
std::function<void(const std::vector<void*>&)> spread_ids(int input, int64_t count, int64_t rows) {
  return [=](const std::vector<void*>& inputs) {
    for (int64_t i = 0; i < count; ++i) static_cast<int32_t*>(inputs[input])[i] = static_cast<int32_t>(i * 2654435761 % rows);
  };
}

void add_rows(std::vector<Case>& list, int64_t rows, int64_t count, int64_t width) {
  const Spec table = make_spec({rows, width}), ids = make_spec({count}, DType::kInt32), values = make_spec({count, width});
  const std::string name = std::to_string(count) + "x" + std::to_string(width) + " of " + std::to_string(rows);
  list.push_back(make_case("take_rows " + name, "take_rows", {table, ids}, {values}));
  list.back().fill = spread_ids(1, count, rows);
  list.push_back(make_case("scatter_add_rows " + name, "scatter_add_rows", {ids, values}, {table}, {{"rows", rows}}));
  list.back().fill = spread_ids(0, count, rows);
}

void add_random(std::vector<Case>& list) {
  const Spec key = make_spec({2}, DType::kInt64), x = make_spec({128, 512}), wide = make_spec({128, 512}, DType::kFloat64);
  list.push_back(make_case("random_uniform 65536", "random_uniform", {key}, {x}));
  list.push_back(make_case("random_normal 65536", "random_normal", {key}, {x}));
  list.push_back(make_case("random_normal 65536 float64", "random_normal", {key}, {wide}));
  list.push_back(make_case("dropout 128x512", "dropout", {x, key}, {x}, {{"rate", 0.2}}));
  list.push_back(make_case("dropout 12800x512", "dropout", {make_spec({12800, 512}), key}, {make_spec({12800, 512})}, {{"rate", 0.2}}));
  list.push_back(make_case("dropout 128x512 float64", "dropout", {wide, key}, {wide}, {{"rate", 0.2}}));
}

std::vector<Case> cases() {
  std::vector<Case> list = {
      transpose("256x256", {256, 256}, {1, 0}),
      transpose("1000x1000", {1000, 1000}, {1, 0}),
      transpose("1024x1024", {1024, 1024}, {1, 0}),
      transpose("1024x1024 bfloat16", {1024, 1024}, {1, 0}, DType::kBFloat16),
      transpose("heads 32x128x8x32", {32, 128, 8, 32}, {0, 2, 1, 3}),
      transpose("NHWC to NCHW 16x56x56x64", {16, 56, 56, 64}, {0, 3, 1, 2}),
      transpose("NHWC to NCHW 32x64x64x3", {32, 64, 64, 3}, {0, 3, 1, 2}),
      make_case("broadcast_to bias 4096x256", "broadcast_to", {make_spec({256})}, {make_spec({4096, 256})}),
      make_case("broadcast_to column 4096x256", "broadcast_to", {make_spec({4096, 1})}, {make_spec({4096, 256})}),
      make_case("reverse time 32x100x64", "reverse", {make_spec({32, 100, 64})}, {make_spec({32, 100, 64})}, {{"axes", Ints{1}}}),
      slice("crop 32x30x30x64", {32, 30, 30, 64}, {0, 1, 1, 0}, {32, 28, 28, 64}, {1, 1, 1, 1}),
      slice("one step 32x100x64", {32, 100, 64}, {0, 50, 0}, {32, 1, 64}, {1, 1, 1}),
      make_case("pad 32x28x28x64", "pad", {make_spec({32, 28, 28, 64})}, {make_spec({32, 30, 30, 64})},
                {{"low", Ints{0, 1, 1, 0}}, {"high", Ints{0, 1, 1, 0}}, {"interior", Ints{0, 0, 0, 0}}, {"value", 0.0}}),
      make_case("concatenate channels 32x28x28x(64+32)", "concatenate", {make_spec({32, 28, 28, 64}), make_spec({32, 28, 28, 32})},
                {make_spec({32, 28, 28, 96})}, {{"axis", int64_t{3}}})};
  add_rows(list, 30522, 2048, 256);
  add_rows(list, 20000, 6400, 32);
  add_rows(list, 20000, 6400, 128);
  add_rows(list, 1000000, 6400, 64);
  add_random(list);
  return list;
}

}  // namespace
}  // namespace nnlite::bench

int main(int argc, char** argv) { return nnlite::bench::run_benchmark(argc, argv, "movement", nnlite::bench::cases()); }
