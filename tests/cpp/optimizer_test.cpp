#include <functional>

#include "elementwise_program.h"

namespace nnlite::test {
namespace {

struct Element {
  double p, g, a, b;  // parameter, gradient, slots
};
using Rule = std::function<void(Element&, double lr, int64_t step)>;

// Runs `kernel` on tensors of these sizes and compares every result with the rule in double.
void check_update(const std::string& kernel, int slots, bool counts_steps, Attributes attributes, const Rule& rule, DType dtype,
                  const std::vector<int64_t>& sizes) {
  const int n = static_cast<int>(sizes.size());
  attributes["n"] = int64_t{n};
  std::vector<Buffer> inputs = {Buffer(make_spec({}), {0.01f})};
  const int64_t step = 3;
  if (counts_steps) inputs.push_back(Buffer(make_spec({}, DType::kInt64), {step}));
  const int first = static_cast<int>(inputs.size());
  std::vector<Spec> outputs;
  for (int group = 0; group < 2 + slots; ++group) {
    for (int i = 0; i < n; ++i) {
      const Spec spec = make_spec({sizes[i]}, dtype);
      inputs.push_back(random_buffer(spec, 100 * group + i,
                                     group == 3                                               ? 0.01
                                     : group == 2 && slots == 1 && kernel == "rmsprop_update" ? 0.01
                                                                                              : -1,
                                     1));
      if (group != 1) outputs.push_back(spec);
    }
  }
  const auto results = run_every_way(kernel, inputs, outputs, attributes);
  const double epsilon = dtype == DType::kFloat64 ? 1e-9 : dtype == DType::kFloat32 ? 4e-7 : 8e-3;  // the rate is a float
  for (int i = 0; i < n; ++i) {
    for (int64_t k = 0; k < sizes[i]; ++k) {
      Element e = {value_at(inputs[first + i], k), value_at(inputs[first + n + i], k), slots > 0 ? value_at(inputs[first + 2 * n + i], k) : 0,
                   slots > 1 ? value_at(inputs[first + 3 * n + i], k) : 0};
      rule(e, static_cast<double>(0.01f), step);
      EXPECT_NEAR(value_at(results[i], k), e.p, epsilon);
      if (slots > 0) EXPECT_NEAR(value_at(results[n + i], k), e.a, epsilon);
      if (slots > 1) EXPECT_NEAR(value_at(results[2 * n + i], k), e.b, epsilon);
    }
  }
}

void check_sizes(const std::string& kernel, int slots, bool counts_steps, const Attributes& attributes, const Rule& rule) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kBFloat16}) {
    check_update(kernel, slots, counts_steps, attributes, rule, dtype, {1});
    check_update(kernel, slots, counts_steps, attributes, rule, dtype, {30, 0, 10, 1, 33, 16});
  }
  check_update(kernel, slots, counts_steps, attributes, rule, DType::kFloat32, {20000, 3, 40000, 7});
}

Attributes numbers(std::initializer_list<std::pair<const char*, double>> values) {
  Attributes attributes;
  for (const auto& [name, value] : values) attributes[name] = value;
  return attributes;
}

TEST(optimizer_sgd) {
  for (const double decay : {0.0, 0.1}) {
    check_sizes("sgd_update", 0, false, numbers({{"weight_decay", decay}}), [=](Element& e, double lr, int64_t) {
      e.p -= e.p * decay * lr;
      e.p -= lr * e.g;
    });
  }
}

TEST(optimizer_momentum) {
  for (const bool nesterov : {false, true}) {
    Attributes attributes = numbers({{"weight_decay", 0.1}, {"momentum", 0.9}});
    attributes["nesterov"] = int64_t{nesterov};
    check_sizes("momentum_update", 1, false, attributes, [=](Element& e, double lr, int64_t) {
      e.p -= e.p * 0.1 * lr;
      e.a = 0.9 * e.a - lr * e.g;
      e.p += nesterov ? 0.9 * e.a - lr * e.g : e.a;
    });
  }
}

TEST(optimizer_rmsprop) {
  check_sizes("rmsprop_update", 1, false, numbers({{"weight_decay", 0.1}, {"rho", 0.9}, {"epsilon", 1e-7}}), [](Element& e, double lr, int64_t) {
    e.p -= e.p * 0.1 * lr;
    e.a = 0.9 * e.a + 0.1 * e.g * e.g;
    e.p -= lr * e.g / std::sqrt(e.a + 1e-7);
  });
}

TEST(optimizer_adam) {
  for (const double decay : {0.0, 0.004}) {
    check_sizes("adam_update", 2, true, numbers({{"weight_decay", decay}, {"beta_1", 0.9}, {"beta_2", 0.999}, {"epsilon", 1e-7}}),
                [=](Element& e, double lr, int64_t step) {
                  const double alpha = lr * std::sqrt(1 - std::pow(0.999, step)) / (1 - std::pow(0.9, step));
                  e.p -= e.p * decay * lr;
                  e.a += (e.g - e.a) * 0.1;
                  e.b += (e.g * e.g - e.b) * (1 - 0.999);
                  e.p -= alpha * e.a / (std::sqrt(e.b) + 1e-7);
                });
  }
}

TEST(optimizer_updates_in_place) {
  const Spec spec = make_spec({77});
  Attributes attributes = numbers({{"weight_decay", 0.0}, {"beta_1", 0.9}, {"beta_2", 0.999}, {"epsilon", 1e-7}});
  attributes["n"] = int64_t{1};
  const std::vector<Buffer> inputs = {Buffer(make_spec({}), {0.1f}), Buffer(make_spec({}, DType::kInt64), {int64_t{1}}),
                                      random_buffer(spec, 1),        random_buffer(spec, 2),
                                      random_buffer(spec, 3),        random_buffer(spec, 4, 0, 1)};
  const auto fresh = run_kernel("adam_update", inputs, {spec, spec, spec}, attributes);
  std::vector<Spec> specs;
  for (const Buffer& x : inputs) specs.push_back(x.spec());
  run_step(Step("adam_update", specs, {spec, spec, spec}, attributes, active_isa()), inputs, {inputs[2], inputs[4], inputs[5]});
  EXPECT(inputs[2].same_bytes(fresh[0]));
  EXPECT(inputs[4].same_bytes(fresh[1]));
  EXPECT(inputs[5].same_bytes(fresh[2]));
}

TEST(optimizer_scales_gradients_inside_the_update) {
  const struct {
    const char* kernel;
    int slots;
    bool counts_steps;
    Attributes attributes;
  } rules[] = {{"sgd_update", 0, false, {}},
               {"momentum_update", 1, false, numbers({{"momentum", 0.9}})},
               {"rmsprop_update", 1, false, numbers({{"rho", 0.9}, {"epsilon", 1e-7}})},
               {"adam_update", 2, true, numbers({{"beta_1", 0.9}, {"beta_2", 0.999}, {"epsilon", 1e-7}})}};
  for (const auto& rule : rules) {
    Attributes attributes = rule.attributes;
    attributes["n"] = int64_t{1};
    const Spec spec = make_spec({1003});
    std::vector<Buffer> inputs = {Buffer(make_spec({}), {0.01f})};
    if (rule.counts_steps) inputs.push_back(Buffer(make_spec({}, DType::kInt64), {3}));
    const size_t gradient = inputs.size() + 1;
    for (int group = 0; group < 2 + rule.slots; ++group) inputs.push_back(random_buffer(spec, group, group > 1 ? 0.01 : -1, 1));
    const std::vector<Spec> outputs(1 + rule.slots, spec);
    std::vector<Buffer> multiplied = inputs;
    multiplied[gradient] = Buffer(spec);
    for (int64_t i = 0; i < spec.size(); ++i) multiplied[gradient].at<float>(i) = inputs[gradient].at<float>(i) * 0.37f;
    const auto expected = run_kernel(rule.kernel, multiplied, outputs, attributes);
    inputs.push_back(Buffer(make_spec({}), {0.37f}));
    attributes["scaled"] = int64_t{1};
    const auto got = run_every_way(rule.kernel, inputs, outputs, attributes);
    for (size_t k = 0; k < got.size(); ++k) EXPECT(got[k].same_bytes(expected[k]));
    inputs.back() = Buffer(make_spec({}, DType::kFloat64), {0.37});
    EXPECT_THROWS(run_kernel(rule.kernel, inputs, outputs, attributes), std::invalid_argument, "the scale of the gradients");
  }
}

TEST(optimizer_global_norm) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kBFloat16}) {
    for (const auto& sizes : {std::vector<int64_t>{1}, {3, 0, 17, 2000}, {50000, 1, 30000}, {0}}) {
      std::vector<Buffer> inputs;
      double sum = 0;
      for (const int64_t size : sizes) {
        inputs.push_back(random_buffer(make_spec({size}, dtype), size));
        for (int64_t i = 0; i < size; ++i) sum += value_at(inputs.back(), i) * value_at(inputs.back(), i);
      }
      const double got = value_at(run_every_way("global_norm", inputs, {make_spec({}, dtype)})[0], 0);
      EXPECT_NEAR(got, std::sqrt(sum), std::sqrt(sum) * (dtype == DType::kFloat64 ? 1e-14 : dtype == DType::kFloat32 ? 3e-7 : 4e-3));
    }
  }
}

TEST(optimizer_refuses_mixed_tensors) {
  const Buffer lr(make_spec({}), {0.1f}), p = random_buffer({4}), g = random_buffer({5});
  Attributes attributes;
  attributes["n"] = int64_t{1};
  EXPECT_THROWS(run_kernel("sgd_update", {lr, p, g}, {make_spec({4})}, attributes), std::invalid_argument, "meets a tensor of 5");
  EXPECT_THROWS(run_kernel("sgd_update", {lr, p}, {make_spec({4})}, attributes), std::invalid_argument, "n=1 needs");
}

}  // namespace
}  // namespace nnlite::test
