// Matrix products: squares, the three products of Dense layers, the steps of small networks, single rows and columns, attention batches.
#include "harness.h"

namespace nnlite::bench {
namespace {

Case product(const std::string& name, int64_t m, int64_t k, int64_t n, bool transpose_a = false, bool transpose_b = false, int64_t batch = 0) {
  Case c;
  c.name = name;
  c.kernel = "matmul";
  std::vector<int64_t> a = {m, k}, b = {k, n}, out = {m, n};
  if (transpose_a) std::swap(a[0], a[1]);
  if (transpose_b) std::swap(b[0], b[1]);
  if (batch > 0) {
    for (std::vector<int64_t>* dims : {&a, &b, &out}) dims->insert(dims->begin(), batch);
  }
  c.inputs = {make_spec(a), make_spec(b)};
  c.outputs = {make_spec(out)};
  c.attributes = {{"transpose_a", int64_t{transpose_a}}, {"transpose_b", int64_t{transpose_b}}};
  c.flops = 2.0 * static_cast<double>(m * k * n * (batch > 0 ? batch : 1));
  return c;
}

Case packed_product(const std::string& name, int64_t m, int64_t k, int64_t n) {
  Case c = product(name, m, k, n);
  c.inputs[1] = make_spec({k * ((n + 15) / 16 * 16)});
  c.attributes = {{"packed", int64_t{1}}, {"n", n}};
  return c;
}

Case fused(Case c, const std::string& activation) {
  c.name += " " + activation;
  c.inputs.push_back(make_spec({c.outputs[0].dim(-1)}));
  c.attributes["bias"] = int64_t{1};
  c.attributes["activation"] = activation;
  return c;
}

std::vector<Case> cases() {
  std::vector<Case> list;
  for (int64_t n : {64, 128, 256, 512, 1024, 2048}) list.push_back(product("square " + std::to_string(n), n, n, n));
  for (int64_t n : {512, 1024}) {
    list.push_back(product("square " + std::to_string(n) + " A^T", n, n, n, true));
    list.push_back(product("square " + std::to_string(n) + " B^T", n, n, n, false, true));
    list.push_back(packed_product("square " + std::to_string(n) + " packed", n, n, n));
  }
  list.push_back(product("square 500", 500, 500, 500));
  const int64_t dense[][3] = {{32, 784, 512}, {128, 784, 512}, {128, 512, 512}, {128, 512, 10}, {32, 512, 10}};
  for (const auto& d : dense) {
    const std::string name = std::to_string(d[0]) + "x" + std::to_string(d[1]) + "x" + std::to_string(d[2]);
    list.push_back(product(name + " forward", d[0], d[1], d[2]));
    list.push_back(product(name + " dW", d[1], d[0], d[2], true));
    list.push_back(product(name + " dx", d[0], d[2], d[1], false, true));
  }
  list.push_back(fused(product("32x784x512", 32, 784, 512), "relu"));
  list.push_back(fused(product("32x784x512", 32, 784, 512), "tanh"));
  list.push_back(packed_product("32x784x512 packed", 32, 784, 512));
  list.push_back(product("tiny 1 forward", 32, 13, 32));
  list.push_back(product("tiny 1 dW", 13, 32, 32, true));
  list.push_back(product("tiny 2 forward", 32, 32, 32));
  list.push_back(product("tiny 2 dW", 32, 32, 32, true));
  list.push_back(product("tiny 2 dx", 32, 32, 32, false, true));
  list.push_back(product("tiny 3 forward", 32, 32, 1));
  list.push_back(product("tiny 3 dW", 32, 32, 1, true));
  list.push_back(product("tiny 3 dx", 32, 1, 32, false, true));
  list.push_back(product("row 1x784x512", 1, 784, 512));
  list.push_back(packed_product("row 1x784x512 packed", 1, 784, 512));
  list.push_back(product("row 1x2048x2048", 1, 2048, 2048));
  list.push_back(product("row 1x512x784 B^T", 1, 512, 784, false, true));
  list.push_back(product("column 2048x2048x1", 2048, 2048, 1));
  list.push_back(product("pixels 6272x64x64", 6272, 64, 64));
  list.push_back(product("pixels dW 64x6272x64", 64, 6272, 64, true));
  list.push_back(product("heads 64 of 128x64x128 B^T", 128, 64, 128, false, true, 64));
  list.push_back(product("heads 64 of 128x128x64", 128, 128, 64, false, false, 64));
  list.push_back(product("heads 256 of 32x16x32 B^T", 32, 16, 32, false, true, 256));
  for (Spec* spec : {&list.emplace_back(product("float64 512", 512, 512, 512)).inputs[0], &list.back().inputs[1], &list.back().outputs[0]}) {
    spec->dtype = DType::kFloat64;
  }
  list.back().flops *= 2;  // half the lanes: counted twice to compare with the float32 peak
  return list;
}

}  // namespace
}  // namespace nnlite::bench

int main(int argc, char** argv) { return nnlite::bench::run_benchmark(argc, argv, "gemm", nnlite::bench::cases()); }
