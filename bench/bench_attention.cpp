// Attention and its gradient: sizes of small encoders, long sequences, causal, heads of 32, 64 and 128.
#include "harness.h"

namespace nnlite::bench {
namespace {

void add_both(std::vector<Case>* list, const std::string& name, int64_t batch, int64_t length, int64_t heads, int64_t size, bool causal = false) {
  const Spec x = make_spec({batch, length, heads, size}), rows = make_spec({batch, heads, length});
  Case c;
  c.name = name + " forward";
  c.kernel = "attention";
  c.inputs = {x, x, x};
  c.outputs = {x, rows, rows};
  c.attributes = {{"scale", 0.125}, {"causal", int64_t{causal}}};
  const double pairs = causal ? static_cast<double>(length * (length + 1)) / 2 : static_cast<double>(length * length);
  c.flops = 4.0 * pairs * static_cast<double>(batch * heads * size);
  list->push_back(c);
  c.name = name + " gradient";
  c.kernel = "attention_grad";
  c.inputs = {x, x, x, x, rows, rows, x};
  c.outputs = {x, x, x};
  c.flops *= 2.5;
  c.fill = [rows](const std::vector<void*>& inputs) {
    for (int64_t i = 0; i < rows.size(); ++i) {
      static_cast<float*>(inputs[4])[i] = 64;
      static_cast<float*>(inputs[5])[i] = 1;
    }
  };
  list->push_back(c);
}

std::vector<Case> cases() {
  std::vector<Case> list;
  add_both(&list, "8 x 512, 8 heads of 64", 8, 512, 8, 64);
  add_both(&list, "8 x 512, 8 heads of 64 causal", 8, 512, 8, 64, true);
  add_both(&list, "2 x 2048, 8 heads of 64", 2, 2048, 8, 64);
  add_both(&list, "16 x 128, 4 heads of 32", 16, 128, 4, 32);
  add_both(&list, "16 x 128, 4 heads of 64", 16, 128, 4, 64);
  add_both(&list, "8 x 197, 3 heads of 64", 8, 197, 3, 64);
  add_both(&list, "32 x 64, 4 heads of 32", 32, 64, 4, 32);
  add_both(&list, "32 x 16, 4 heads of 16", 32, 16, 4, 16);
  add_both(&list, "4 x 512, 4 heads of 128", 4, 512, 4, 128);
  return list;
}

}  // namespace
}  // namespace nnlite::bench

int main(int argc, char** argv) { return nnlite::bench::run_benchmark(argc, argv, "attention", nnlite::bench::cases()); }
