// Recurrent layers and their gradients, with the products before and after them: projections of the inputs, gradients of kernels and inputs.
#include "harness.h"

namespace nnlite::bench {
namespace {

struct Size {
  int64_t batch, steps, inputs, units;
};

Case product(const std::string& name, int64_t m, int64_t k, int64_t n, bool transpose_a, bool transpose_b) {
  Case c;
  c.name = name;
  c.kernel = "matmul";
  c.inputs = {transpose_a ? make_spec({k, m}) : make_spec({m, k}), transpose_b ? make_spec({n, k}) : make_spec({k, n})};
  c.outputs = {make_spec({m, n})};
  c.attributes = {{"transpose_a", int64_t{transpose_a}}, {"transpose_b", int64_t{transpose_b}}};
  c.flops = 2.0 * static_cast<double>(m) * static_cast<double>(k) * static_cast<double>(n);
  return c;
}

// The gradient with that of the recurrent kernel in one step, and with those of the projection, too.
Case with_kernel_gradients(Case c, const std::string& name, const Size& s, int level) {
  const bool lstm = c.kernel == "lstm_grad", gru = c.kernel == "gru_grad";
  const Spec wide = c.outputs[0], u = lstm ? c.inputs[2] : gru ? c.inputs[3] : c.inputs[1], state = c.outputs.back();
  const Spec bias = make_spec({u.dims[1]}), x = make_spec({s.batch, s.steps, s.inputs}), w = make_spec({s.inputs, u.dims[1]});
  c.name = name + (level == 1 ? "gradient and recurrent kernel's" : "gradient and all kernels'");
  c.attributes["u_grad"] = int64_t{1};
  if (lstm) c.inputs.push_back(make_spec({s.batch, s.steps, s.units}));
  if (!gru) c.inputs.push_back(state);
  c.outputs = level == 1 ? std::vector<Spec>{wide, state} : std::vector<Spec>{state};
  if (lstm) c.outputs.push_back(state);
  c.outputs.push_back(u);
  if (gru) c.outputs.push_back(bias);
  c.flops *= 2;
  if (level == 1) return c;
  for (const char* attribute : {"products", "bias_grad", "input_grad"}) c.attributes[attribute] = int64_t{1};
  c.inputs.insert(c.inputs.end(), {x, w});
  c.outputs.insert(c.outputs.end(), {w, bias, x});
  c.flops *= 1 + static_cast<double>(s.inputs) / static_cast<double>(s.units);
  return c;
}

void add(std::vector<Case>* list, const std::string& cell, int64_t gates, const Size& s) {
  const std::string name = cell + " " + std::to_string(s.batch) + " x " + std::to_string(s.steps) + ", " + std::to_string(s.inputs) + " -> " +
                           std::to_string(s.units) + " ";
  const Spec wide = make_spec({s.batch, s.steps, gates * s.units}), states = make_spec({s.batch, s.steps, s.units});
  const Spec state = make_spec({s.batch, s.units}), u = make_spec({s.units, gates * s.units}), bias = make_spec({gates * s.units});
  const int64_t rows = s.batch * s.steps;
  const double flops = 2.0 * static_cast<double>(rows * s.units) * static_cast<double>(gates * s.units);
  Case forward;
  forward.name = name + "forward";
  forward.kernel = cell;
  forward.attributes = {{"activation", std::string("tanh")}, {"reverse", int64_t{0}}, {"mask", int64_t{0}}, {"reset_after", int64_t{1}}};
  if (gates > 1) forward.attributes["recurrent_activation"] = std::string("sigmoid");
  forward.flops = flops;
  Case gradient = forward;
  gradient.name = name + "gradient";
  gradient.kernel = cell + "_grad";
  gradient.attributes["sequence"] = int64_t{1};
  if (cell == "lstm") {
    forward.inputs = {wide, u, state, state};
    forward.outputs = {states, wide, states, state, state};
    gradient.inputs = {wide, states, u, state, state, state, states};
    gradient.outputs = {wide, state, state};
  } else if (cell == "gru") {
    forward.inputs = {wide, u, state, bias};
    forward.outputs = {states, wide, states, state};
    gradient.inputs = {wide, states, states, u, state, state, states};
    gradient.outputs = {wide, wide, state};
  } else {
    forward.inputs = {wide, u, state};
    forward.outputs = {states, state};
    gradient.inputs = {states, u, state, states};
    gradient.outputs = {wide, state};
  }
  list->push_back(with_kernel_gradients(gradient, name, s, 1));
  list->push_back(with_kernel_gradients(gradient, name, s, 2));
  list->push_back(product(name + "projection", rows, s.inputs, gates * s.units, false, false));
  list->push_back(forward);
  list->push_back(gradient);
  list->push_back(product(name + "kernel gradient", s.inputs, rows, gates * s.units, true, false));
  list->push_back(product(name + "recurrent kernel gradient", s.units, rows, gates * s.units, true, false));
  list->push_back(product(name + "input gradient", rows, gates * s.units, s.inputs, false, true));
}

std::vector<Case> cases() {
  std::vector<Case> list;
  for (const Size& size : {Size{32, 100, 64, 64}, Size{16, 100, 64, 64}, Size{32, 100, 128, 128}, Size{64, 50, 256, 256}, Size{32, 50, 128, 100},
                           Size{128, 120, 64, 64}, Size{32, 200, 128, 64}}) {
    add(&list, "lstm", 4, size);
    add(&list, "gru", 3, size);
  }
  add(&list, "lstm", 4, {32, 100, 32, 32});
  add(&list, "simple_rnn", 1, {32, 100, 128, 128});
  add(&list, "lstm", 4, {1, 100, 128, 128});
  add(&list, "lstm", 4, {1, 1, 128, 128});
  return list;
}

}  // namespace
}  // namespace nnlite::bench

int main(int argc, char** argv) { return nnlite::bench::run_benchmark(argc, argv, "rnn", nnlite::bench::cases()); }
