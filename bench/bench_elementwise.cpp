// Elementwise programs, reductions, softmax and optimizer updates.
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

// One instruction on `operands` tensors of a size that fits the L2 cache.
Case instruction(const std::string& code, int operands, DType dtype = DType::kFloat32, DType result = DType::kFloat32) {
  const Ints dims = {128, 256};
  Ints args = {-1, -1, -1};
  for (int i = 0; i < operands; ++i) args[i] = i;
  std::vector<Spec> inputs(operands, make_spec(dims, dtype));
  if (code == "where") inputs[0] = make_spec(dims, DType::kBool);
  return make_case(code + " " + dtype_name(dtype), "elementwise", inputs, {make_spec(dims, result)},
                   {{"codes", std::vector<std::string>{code}},
                    {"args", args},
                    {"params", std::vector<double>{0}},
                    {"dtypes", std::vector<std::string>{dtype_name(result)}},
                    {"results", Ints{operands}},
                    {"reduce", std::string("none")}});
}

void add_instructions(std::vector<Case>& list) {
  for (const char* code : {"relu", "square", "exp", "expm1", "log", "log1p", "tanh", "sigmoid", "erf", "gelu", "sin", "cos"}) {
    list.push_back(instruction(code, 1));
  }
  for (const char* code : {"add", "multiply", "divide", "maximum", "power", "relu_grad", "tanh_grad", "gelu_grad"}) list.push_back(instruction(code, 2));
  for (const DType dtype : {DType::kFloat64, DType::kBFloat16}) {
    list.push_back(instruction("add", 2, dtype, dtype));
    list.push_back(instruction("tanh", 1, dtype, dtype));
  }
  list.push_back(instruction("less", 2, DType::kFloat32, DType::kBool));
  list.push_back(instruction("where", 3));
  list.push_back(instruction("cast", 1, DType::kUInt8));
  for (const DType dtype : {DType::kInt32, DType::kInt64}) list.push_back(instruction("add", 2, dtype, dtype));
  list.push_back(instruction("equal", 2, DType::kInt32, DType::kBool));
  list.push_back(instruction("logical_and", 2, DType::kBool, DType::kBool));
}

void add_softmax(std::vector<Case>& list, int64_t rows, int64_t columns) {
  const Spec x = make_spec({rows, columns}), labels = make_spec({rows}, DType::kInt32), loss = make_spec({rows});
  const std::string name = std::to_string(rows) + "x" + std::to_string(columns);
  list.push_back(make_case("softmax " + name, "softmax", {x}, {x}));
  list.push_back(make_case("softmax_grad " + name, "softmax_grad", {x, x}, {x}));
  list.push_back(make_case("log_softmax " + name, "log_softmax", {x}, {x}));
  list.push_back(make_case("log_softmax_grad " + name, "log_softmax_grad", {x, x}, {x}));
  list.push_back(make_case("cross_entropy " + name, "sparse_softmax_cross_entropy", {x, labels}, {loss, x}));
  list.push_back(make_case("cross_entropy_grad " + name, "sparse_softmax_cross_entropy_grad", {x, labels, loss}, {x}));
}

void add_reduction(std::vector<Case>& list, const std::string& name, const char* kernel, const Ints& dims, const Ints& axes, const Ints& kept,
                   DType dtype = DType::kFloat32) {
  list.push_back(make_case(std::string(kernel) + " " + name, kernel, {make_spec(dims, dtype)}, {make_spec(kept, dtype)},
                           {{"axes", axes}, {"keepdims", int64_t{0}}}));
}

void add_updates(std::vector<Case>& list, int64_t size) {
  const Spec x = make_spec({size}), lr = make_spec({1}), step = make_spec({1}, DType::kInt64);
  const std::string name = std::to_string(size);
  list.push_back(make_case("sgd " + name, "sgd_update", {lr, x, x}, {x}, {{"n", int64_t{1}}}));
  const Attributes adam = {{"n", int64_t{1}}, {"beta_1", 0.9}, {"beta_2", 0.999}, {"epsilon", 1e-7}};
  list.push_back(make_case("adam " + name, "adam_update", {lr, step, x, x, x, x}, {x, x, x}, adam));
  list.back().fill = [size](const std::vector<void*>& inputs) {
    *static_cast<int64_t*>(inputs[1]) = 1;
    for (int64_t i = 0; i < size; ++i) static_cast<float*>(inputs[5])[i] = 1;
  };
  list.push_back(make_case("global_norm " + name, "global_norm", {x}, {make_spec({})}));
}

std::vector<Case> cases() {
  std::vector<Case> list;
  add_instructions(list);
  for (const auto& d : {Ints{128, 256}, Ints{4096, 256}, Ints{1024, 1000}, Ints{4096, 10}, Ints{16384, 64}}) add_softmax(list, d[0], d[1]);
  for (const char* kernel : {"sum", "max"}) {
    add_reduction(list, "256x1024 rows", kernel, {256, 1024}, {1}, {256});
    add_reduction(list, "256x1024 columns", kernel, {256, 1024}, {0}, {1024});
    add_reduction(list, "32x7x7x512 space", kernel, {32, 49, 512}, {1}, {32, 512});
    add_reduction(list, "4096x10 rows", kernel, {4096, 10}, {1}, {4096});
  }
  add_reduction(list, "256x1024 all int64", "sum", {256, 1024}, {0, 1}, {}, DType::kInt64);
  list.push_back(make_case("argmax 4096x10", "argmax", {make_spec({4096, 10})}, {make_spec({4096}, DType::kInt32)}, {{"axis", int64_t{1}}}));
  add_updates(list, 65536);
  add_updates(list, 1 << 20);
  return list;
}

}  // namespace
}  // namespace nnlite::bench

int main(int argc, char** argv) { return nnlite::bench::run_benchmark(argc, argv, "elementwise", nnlite::bench::cases()); }
