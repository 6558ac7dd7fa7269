// Products of bfloat16 and of bytes. Fractions are of the float32 peak: the machine can reach 2 with bfloat16 and 4 with bytes.
#include "harness.h"

namespace nnlite::bench {
namespace {

void add_sizes(std::vector<Case>* list, const std::string& name, const std::string& kernel, DType a, DType b, DType c) {
  const int64_t sizes[][3] = {{128, 128, 128}, {512, 512, 512}, {1024, 1024, 1024}, {2048, 2048, 2048}, {32, 784, 512}, {500, 501, 503}};
  for (const auto& s : sizes) {
    Case product;
    product.name = name + " " + std::to_string(s[0]) + "x" + std::to_string(s[1]) + "x" + std::to_string(s[2]);
    product.kernel = kernel;
    product.inputs = {make_spec({s[0], s[1]}, a), make_spec({s[1], s[2]}, b)};
    product.outputs = {make_spec({s[0], s[2]}, c)};
    product.flops = 2.0 * static_cast<double>(s[0] * s[1] * s[2]);
    list->push_back(product);
  }
}

std::vector<Case> cases() {
  std::vector<Case> list;
  add_sizes(&list, "bfloat16", "matmul", DType::kBFloat16, DType::kBFloat16, DType::kBFloat16);
  const size_t plain = list.size();
  for (size_t i = 0; i < plain; ++i) {
    Case turned = list[i];
    turned.name += " A^T B^T";
    for (Spec* spec : {&turned.inputs[0], &turned.inputs[1]}) std::swap(spec->dims[0], spec->dims[1]);
    turned.attributes = {{"transpose_a", int64_t{1}}, {"transpose_b", int64_t{1}}};
    list.push_back(turned);
  }
  add_sizes(&list, "uint8", "matmul_int8", DType::kUInt8, DType::kInt8, DType::kInt32);
  add_sizes(&list, "int8", "matmul_int8", DType::kInt8, DType::kInt8, DType::kInt32);
  return list;
}

}  // namespace
}  // namespace nnlite::bench

int main(int argc, char** argv) { return nnlite::bench::run_benchmark(argc, argv, "narrow matmul", nnlite::bench::cases()); }
