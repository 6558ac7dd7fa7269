// simple_rnn, lstm, gru and their gradients against plain loops in double and finite differences; same bits in every order, on every team, in
// every batch.
#include <cmath>
#include <functional>

#include "elementwise_program.h"

namespace nnlite::test {
namespace {

struct Shape {
  int64_t batch, steps, units;
};

struct Options {
  bool masked = false, reverse = false;
  const char *activation = "tanh", *recurrent = "sigmoid";
};

double apply(const std::string& name, double x) {
  if (name == "tanh") return std::tanh(x);
  if (name == "sigmoid") return 1 / (1 + std::exp(-x));
  if (name == "relu") return x > 0 ? x : 0;
  if (name == "linear") return x;
  return std::fmin(1, std::fmax(0, x / 6 + 0.5));
}

enum class Cell { kSimple, kLstm, kGruAfter, kGruBefore };

const char* name_of(Cell cell) { return cell == Cell::kSimple ? "simple_rnn" : cell == Cell::kLstm ? "lstm" : "gru"; }
int64_t gates_of(Cell cell) { return cell == Cell::kSimple ? 1 : cell == Cell::kLstm ? 4 : 3; }

// One layer: inputs in the kernel's order (x, u, h, and c or the recurrent bias), the mask apart.
class Layer {
 public:
  Layer(Cell cell, const Shape& shape, const Options& options, DType dtype, uint64_t seed = 1)
      : cell_(cell), s_(shape), options_(options), dtype_(dtype) {
    const int64_t wide = gates_of(cell) * s_.units;
    const double scale = 1.0 / std::sqrt(static_cast<double>(s_.units));
    inputs = {random_buffer(make({s_.batch, s_.steps, wide}), seed, -2, 2), random_buffer(make({s_.units, wide}), seed + 1, -2 * scale, 2 * scale),
              random_buffer(make({s_.batch, s_.units}), seed + 2)};
    if (cell == Cell::kLstm) inputs.push_back(random_buffer(make({s_.batch, s_.units}), seed + 3));
    if (cell == Cell::kGruAfter) inputs.push_back(random_buffer(make({wide}), seed + 4));
    if (options.masked) {
      mask.push_back(random_buffer(make_spec({s_.batch, s_.steps}, DType::kBool), seed + 5));
      for (int64_t t = 0; t < s_.steps && s_.batch > 1; ++t) mask[0].at<uint8_t>(s_.steps + t) = 0;  // an empty sequence
    }
  }

  Spec make(std::initializer_list<int64_t> dims) const { return make_spec(dims, dtype_); }
  Attributes attributes() const {
    Attributes found = {{"activation", std::string(options_.activation)}, {"reverse", int64_t{options_.reverse}}, {"mask", int64_t{options_.masked}}};
    if (cell_ != Cell::kSimple) found["recurrent_activation"] = std::string(options_.recurrent);
    if (cell_ == Cell::kGruAfter || cell_ == Cell::kGruBefore) found["reset_after"] = int64_t{cell_ == Cell::kGruAfter};
    return found;
  }
  std::vector<Buffer> forward() const {
    const Spec states = make({s_.batch, s_.steps, s_.units}), state = inputs[2].spec(), gates = inputs[0].spec();
    std::vector<Spec> outputs = {states, gates, states, state};
    if (cell_ == Cell::kSimple) outputs = {states, state};
    if (cell_ == Cell::kLstm) outputs.push_back(state);
    return run_every_way(name_of(cell_), joined(inputs, mask), outputs, attributes());
  }
  // The same with rows of a table as x.
  std::vector<Buffer> forward_on(const Buffer& table, const Buffer& ids, bool every_way = true) const {
    std::vector<Buffer> given = inputs;
    given[0] = table;
    std::vector<Spec> outputs;
    for (const Buffer& buffer : forward()) outputs.push_back(buffer.spec());
    Attributes with_table = attributes();
    with_table["table"] = int64_t{1};
    given = joined(joined(given, mask), {ids});
    return every_way ? run_every_way(name_of(cell_), given, outputs, with_table) : run_kernel(name_of(cell_), given, outputs, with_table);
  }
  // Without gates and what follows them, and without all states unless `sequence`.
  std::vector<Buffer> forward_without(bool sequence) const {
    std::vector<Spec> outputs;
    if (sequence) outputs.push_back(make({s_.batch, s_.steps, s_.units}));
    for (int i = 0; i < (cell_ == Cell::kLstm ? 2 : 1); ++i) outputs.push_back(inputs[2].spec());
    Attributes without = attributes();
    without["keep"] = int64_t{0};
    without["sequence"] = int64_t{sequence};
    return run_every_way(name_of(cell_), joined(inputs, mask), outputs, without);
  }
  // Gradients of x, (gru with reset after) of the product of state and u, of the first states; from those of all states and of the last ones.
  std::vector<Buffer> backward(const std::vector<Buffer>& out, const Buffer& dstates, const std::vector<Buffer>& dlast) const {
    std::vector<Buffer> given;
    std::vector<Spec> found = {inputs[0].spec()};
    if (cell_ == Cell::kSimple) given = {out[0], inputs[1]};
    if (cell_ == Cell::kLstm) given = {out[1], out[2], inputs[1], inputs[3]};
    if (cell_ == Cell::kGruAfter || cell_ == Cell::kGruBefore) given = {out[1], out[2], out[0], inputs[1], inputs[2]};
    if (cell_ == Cell::kGruAfter) found.push_back(inputs[0].spec());
    for (const Buffer& buffer : dlast) found.push_back(buffer.spec());
    given = joined(joined(given, dlast), {dstates});
    Attributes with_sequence = attributes();
    with_sequence["sequence"] = int64_t{1};
    return run_every_way(std::string(name_of(cell_)) + "_grad", joined(given, mask), found, with_sequence);
  }

  // The same with kernel gradients in the same step: those of u (and the recurrent bias); with inputs x and their kernel w, those of w, its bias and x
  // instead of that of the gates.
  std::vector<Buffer> backward_with_kernels(const std::vector<Buffer>& out, const Buffer& dstates, const std::vector<Buffer>& dlast,
                                            const std::vector<Buffer>& inputs_and_kernel, bool whole = true) const {
    const bool products = !inputs_and_kernel.empty(), gru = cell_ == Cell::kGruAfter;
    const Spec bias = make({gates_of(cell_) * s_.units});
    std::vector<Buffer> given;
    std::vector<Spec> found;
    if (!products) found.push_back(inputs[0].spec());
    if (cell_ == Cell::kSimple) given = {out[0], inputs[1]};
    if (cell_ == Cell::kLstm) given = {out[1], out[2], inputs[1], inputs[3]};
    if (gru) given = {out[1], out[2], out[0], inputs[1], inputs[2]};
    for (const Buffer& buffer : dlast) found.push_back(buffer.spec());
    given = joined(joined(joined(given, dlast), {dstates}), mask);
    if (cell_ == Cell::kLstm) given.push_back(out[0]);
    if (!gru) given.push_back(inputs[2]);
    found.push_back(inputs[1].spec());
    if (gru) found.push_back(bias);
    Attributes with = attributes();
    with["sequence"] = with["u_grad"] = int64_t{1};
    if (products) {
      given.push_back(inputs_and_kernel[0]);
      if (whole) given.push_back(inputs_and_kernel[1]);
      found.push_back(inputs_and_kernel[1].spec());
      if (whole) found.push_back(bias);
      if (whole) found.push_back(inputs_and_kernel[0].spec());
      with["products"] = int64_t{1};
      with["bias_grad"] = with["input_grad"] = int64_t{whole};
    }
    return run_every_way(std::string(name_of(cell_)) + "_grad", given, found, with);
  }
  // The states before each step.
  Buffer previous(const Buffer& states) const {
    Buffer found = random_buffer(states.spec(), 1, 0, 0);
    const size_t row = static_cast<size_t>(s_.units) * dtype_size(dtype_);
    for (int64_t b = 0; b < s_.batch; ++b) {
      for (int64_t t = 0; t < s_.steps; ++t) {
        const int64_t before = options_.reverse ? t + 1 : t - 1;
        const bool first = before < 0 || before == s_.steps;
        const char* from = first ? inputs[2].as<char>() + b * row : states.as<char>() + (b * s_.steps + before) * row;
        std::memcpy(found.as<char>() + (b * s_.steps + t) * row, from, row);
      }
    }
    return found;
  }

  // All states by plain loops in double; the last cell states (lstm) in `cells`.
  std::vector<double> states(std::vector<double>* last, std::vector<double>* cells) const {
    const int64_t units = s_.units, wide = gates_of(cell_) * units;
    std::vector<double> all(static_cast<size_t>(s_.batch * s_.steps * units));
    last->assign(static_cast<size_t>(s_.batch * units), 0);
    *cells = *last;
    for (int64_t b = 0; b < s_.batch; ++b) {
      std::vector<double> h(units), c(units), sums(wide);
      for (int64_t j = 0; j < units; ++j) {
        h[j] = value_at(inputs[2], b * units + j);
        if (cell_ == Cell::kLstm) c[j] = value_at(inputs[3], b * units + j);
      }
      for (int64_t step = 0; step < s_.steps; ++step) {
        const int64_t t = options_.reverse ? s_.steps - 1 - step : step;
        if (mask.empty() || mask[0].at<uint8_t>(b * s_.steps + t)) advance(b, t, &h, &c);
        for (int64_t j = 0; j < units; ++j) all[(b * s_.steps + t) * units + j] = h[j];
      }
      for (int64_t j = 0; j < units; ++j) {
        (*last)[b * units + j] = h[j];
        (*cells)[b * units + j] = c[j];
      }
    }
    return all;
  }

  std::vector<Buffer> inputs, mask;

 private:
  static std::vector<Buffer> joined(std::vector<Buffer> a, const std::vector<Buffer>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }
  double product(const std::vector<double>& h, int64_t column) const {
    double sum = 0;
    for (int64_t k = 0; k < s_.units; ++k) sum += h[k] * value_at(inputs[1], k * gates_of(cell_) * s_.units + column);
    return sum;
  }
  void advance(int64_t b, int64_t t, std::vector<double>* h, std::vector<double>* c) const {
    const int64_t units = s_.units, wide = gates_of(cell_) * units, at = (b * s_.steps + t) * wide;
    const auto x = [&](int64_t gate, int64_t j) { return value_at(inputs[0], at + gate * units + j); };
    std::vector<double> next(units), r(units), reset(units);
    const bool after = cell_ == Cell::kGruAfter;
    const auto inner = [&](int64_t gate, int64_t j) { return product(*h, gate * units + j) + (after ? value_at(inputs[3], gate * units + j) : 0); };
    for (int64_t j = 0; j < units && gates_of(cell_) == 3; ++j) {
      r[j] = apply(options_.recurrent, x(1, j) + inner(1, j));
      reset[j] = r[j] * (*h)[j];
    }
    for (int64_t j = 0; j < units; ++j) {
      if (cell_ == Cell::kSimple) {
        next[j] = apply(options_.activation, x(0, j) + inner(0, j));
      } else if (cell_ == Cell::kLstm) {
        const double i = apply(options_.recurrent, x(0, j) + inner(0, j)), f = apply(options_.recurrent, x(1, j) + inner(1, j));
        const double g = apply(options_.activation, x(2, j) + inner(2, j)), o = apply(options_.recurrent, x(3, j) + inner(3, j));
        (*c)[j] = f * (*c)[j] + i * g;
        next[j] = o * apply(options_.activation, (*c)[j]);
      } else {
        const double z = apply(options_.recurrent, x(0, j) + inner(0, j));
        const double added = after ? r[j] * inner(2, j) : product(reset, 2 * units + j);
        next[j] = z * (*h)[j] + (1 - z) * apply(options_.activation, x(2, j) + added);
      }
    }
    *h = next;
  }

  Cell cell_;
  Shape s_;
  Options options_;
  DType dtype_;
};

constexpr Cell kCells[] = {Cell::kSimple, Cell::kLstm, Cell::kGruAfter, Cell::kGruBefore};

void expect_near(const Buffer& actual, const std::vector<double>& expected, double tolerance) {
  for (int64_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(value_at(actual, i), expected[static_cast<size_t>(i)], tolerance);
}

void expect_right(const Shape& shape, const Options& options = {}) {
  for (Cell cell : kCells) {
    for (DType dtype : {DType::kFloat32, DType::kFloat64}) {
      const Layer layer(cell, shape, options, dtype);
      const auto out = layer.forward();
      std::vector<double> last, cells;
      const double tolerance = dtype == DType::kFloat64 ? 1e-12 : 5e-6;
      expect_near(out[0], layer.states(&last, &cells), tolerance);
      expect_near(out[cell == Cell::kSimple ? 1 : 3], last, tolerance);
      if (cell == Cell::kLstm) expect_near(out[4], cells, 2 * tolerance);
    }
  }
}

// The sum of all outputs times their cotangents, and its gradient with respect to x, h and c by differences and by the kernel.
void expect_right_gradients(Cell cell, const Shape& shape, const Options& options) {
  Layer layer(cell, shape, options, DType::kFloat64);
  const Buffer dstates = random_buffer(layer.make({shape.batch, shape.steps, shape.units}), 20);
  std::vector<Buffer> dlast = {random_buffer(layer.make({shape.batch, shape.units}), 21)};
  if (cell == Cell::kLstm) dlast.push_back(random_buffer(layer.make({shape.batch, shape.units}), 22));
  const auto loss = [&] {
    std::vector<double> last, cells;
    const std::vector<double> all = layer.states(&last, &cells);
    double sum = 0;
    for (size_t i = 0; i < all.size(); ++i) sum += all[i] * value_at(dstates, static_cast<int64_t>(i));
    for (size_t i = 0; i < last.size(); ++i) sum += last[i] * value_at(dlast[0], static_cast<int64_t>(i));
    for (size_t i = 0; i < cells.size() && cell == Cell::kLstm; ++i) sum += cells[i] * value_at(dlast[1], static_cast<int64_t>(i));
    return sum;
  };
  const auto grads = layer.backward(layer.forward(), dstates, dlast);
  const size_t first = cell == Cell::kGruAfter ? 2 : 1;
  std::vector<std::pair<Buffer, Buffer>> pairs = {{layer.inputs[0], grads[0]}, {layer.inputs[2], grads[first]}};
  if (cell == Cell::kLstm) pairs.push_back({layer.inputs[3], grads[2]});
  for (auto& [input, gradient] : pairs) {
    for (int64_t i = 0; i < input.size(); ++i) {
      double& x = input.at<double>(i);
      const double kept = x, step = 1e-6;
      x = kept + step;
      const double above = loss();
      x = kept - step;
      const double below = loss();
      x = kept;
      EXPECT_NEAR(gradient.at<double>(i), (above - below) / (2 * step), 1e-7);
    }
  }
}

// a' b over rows, or the sums of b's columns without a.
std::vector<double> product_over_rows(const Buffer* a, const Buffer& b) {
  const int64_t wide = b.spec().dims[2], rows = b.spec().dims[0] * b.spec().dims[1], features = a ? a->spec().dims[2] : 1;
  std::vector<double> sums(static_cast<size_t>(features * wide));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < features; ++i) {
      for (int64_t j = 0; j < wide; ++j) sums[i * wide + j] += (a ? value_at(*a, r * features + i) : 1.0) * value_at(b, r * wide + j);
    }
  }
  return sums;
}

std::vector<double> product_with_transposed(const Buffer& a, const Buffer& w) {
  const int64_t wide = w.spec().dims[1], features = w.spec().dims[0], rows = a.spec().dims[0] * a.spec().dims[1];
  std::vector<double> found(static_cast<size_t>(rows * features));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < features; ++i) {
      for (int64_t j = 0; j < wide; ++j) found[r * features + i] += value_at(a, r * wide + j) * value_at(w, i * wide + j);
    }
  }
  return found;
}

// Kernel gradients made along with the others against products of those; the others keep their bits.
void expect_right_kernel_gradients(Cell cell, const Shape& shape, int64_t features, const Options& options, DType dtype) {
  const Layer layer(cell, shape, options, dtype);
  const Buffer dstates = random_buffer(layer.make({shape.batch, shape.steps, shape.units}), 20);
  std::vector<Buffer> dlast = {random_buffer(layer.make({shape.batch, shape.units}), 21)};
  if (cell == Cell::kLstm) dlast.push_back(random_buffer(layer.make({shape.batch, shape.units}), 22));
  const Buffer x = random_buffer(layer.make({shape.batch, shape.steps, features}), 23);
  const Buffer w = random_buffer(layer.make({features, gates_of(cell) * shape.units}), 24);
  const auto out = layer.forward();
  const auto plain = layer.backward(out, dstates, dlast);
  const bool gru = cell == Cell::kGruAfter;
  const size_t states = plain.size() - dlast.size();
  const Buffer previous = layer.previous(out[0]);
  const double tolerance = (dtype == DType::kFloat64 ? 1e-13 : 4e-6) * (1.0 + static_cast<double>(shape.batch * shape.steps + shape.units));
  const auto u = layer.backward_with_kernels(out, dstates, dlast, {}), all = layer.backward_with_kernels(out, dstates, dlast, {x, w});
  const auto least = layer.backward_with_kernels(out, dstates, dlast, {x, w}, false);
  EXPECT(u[0].same_bytes(plain[0]));
  for (size_t i = 0; i < dlast.size(); ++i) {
    EXPECT(u[1 + i].same_bytes(plain[states + i]) && all[i].same_bytes(plain[states + i]) && least[i].same_bytes(plain[states + i]));
  }
  const size_t n = dlast.size();
  expect_near(u[1 + n], product_over_rows(&previous, plain[gru ? 1 : 0]), tolerance);
  if (gru) expect_near(u[2 + n], product_over_rows(nullptr, plain[1]), tolerance);
  for (size_t i = 1 + n; i < u.size(); ++i) EXPECT(all[i - 1].same_bytes(u[i]));
  const size_t dw = n + (gru ? 2 : 1);
  EXPECT(all.size() == dw + 3 && least.size() == dw + 1 && least[dw].same_bytes(all[dw]));
  expect_near(all[dw], product_over_rows(&x, plain[0]), tolerance);
  expect_near(all[dw + 1], product_over_rows(nullptr, plain[0]), tolerance);
  expect_near(all[dw + 2], product_with_transposed(plain[0], w), tolerance);
}

TEST(rnn_of_every_small_size) {
  for (int64_t batch = 1; batch <= 10; ++batch) expect_right({batch, 3, 5});
  for (int64_t units : {1, 15, 16, 17, 31, 64, 65, 100}) expect_right({3, 4, units});
  for (int64_t steps : {0, 1, 2, 9}) expect_right({2, steps, 7});
  expect_right({70, 3, 20});
  expect_right({0, 3, 4});
}

TEST(rnn_with_masks_both_ways_and_other_activations) {
  for (const bool masked : {false, true}) {
    for (const bool reverse : {false, true}) {
      expect_right({5, 6, 18}, {masked, reverse});
      expect_right({3, 4, 6}, {masked, reverse, "relu", "hard_sigmoid"});
      expect_right({3, 4, 6}, {masked, reverse, "sigmoid", "tanh"});
      expect_right({3, 4, 6}, {masked, reverse, "linear", "sigmoid"});
    }
  }
}

TEST(rnn_gradients) {
  for (Cell cell : kCells) {
    for (const bool masked : {false, true}) {
      for (const bool reverse : {false, true}) expect_right_gradients(cell, {3, 4, 5}, {masked, reverse});
    }
    expect_right_gradients(cell, {2, 3, 4}, {false, false, "sigmoid", "tanh"});
    expect_right_gradients(cell, {2, 3, 4}, {true, false, "linear", "sigmoid"});
    expect_right_gradients(cell, {1, 2, 17}, {});
  }
}

TEST(rnn_makes_kernel_gradients) {
  for (Cell cell : {Cell::kSimple, Cell::kLstm, Cell::kGruAfter}) {
    for (DType dtype : {DType::kFloat32, DType::kFloat64}) {
      for (const bool masked : {false, true}) {
        for (const bool reverse : {false, true}) expect_right_kernel_gradients(cell, {5, 40, 18}, 7, {masked, reverse}, dtype);
      }
      for (int64_t features : {1, 16, 17, 65}) expect_right_kernel_gradients(cell, {3, 5, 6}, features, {}, dtype);
      for (int64_t units : {1, 15, 16, 33, 64}) expect_right_kernel_gradients(cell, {2, 3, units}, 5, {}, dtype);
      for (int64_t batch : {1, 4, 7, 16, 300}) expect_right_kernel_gradients(cell, {batch, 3, 5}, 4, {}, dtype);
      for (int64_t steps : {0, 1, 130, 131}) expect_right_kernel_gradients(cell, {1, steps, 5}, 4, {}, dtype);
      expect_right_kernel_gradients(cell, {0, 3, 4}, 5, {}, dtype);
    }
  }
}

// A sequence alone has the bits of one that is padded and masked in a batch, forwards and backwards.
TEST(rnn_does_not_depend_on_neighbours_or_padding) {
  const int64_t batch = 13, steps = 7, units = 40, length = 4, row = 9;
  for (Cell cell : kCells) {
    Layer all(cell, {batch, steps, units}, {true}, DType::kFloat32);
    Layer one(cell, {1, length, units}, {}, DType::kFloat32);
    for (int64_t t = 0; t < steps; ++t) all.mask[0].at<uint8_t>(row * steps + t) = t < length;
    const int64_t wide = gates_of(cell) * units;
    std::memcpy(one.inputs[0].data(), all.inputs[0].as<float>() + row * steps * wide, one.inputs[0].spec().bytes());
    std::memcpy(one.inputs[2].data(), all.inputs[2].as<float>() + row * units, one.inputs[2].spec().bytes());
    if (cell == Cell::kLstm) std::memcpy(one.inputs[3].data(), all.inputs[3].as<float>() + row * units, one.inputs[3].spec().bytes());
    const auto many = all.forward(), single = one.forward();
    EXPECT(std::memcmp(many[0].as<float>() + row * steps * units, single[0].data(), single[0].spec().bytes()) == 0);
    const size_t last = cell == Cell::kSimple ? 1 : 3;
    EXPECT(std::memcmp(many[last].as<float>() + row * units, single[last].data(), single[last].spec().bytes()) == 0);
    const Buffer zeros = random_buffer(all.make({batch, steps, units}), 3, 0, 0), short_zeros = random_buffer(one.make({1, length, units}), 3, 0, 0);
    std::vector<Buffer> dmany = {random_buffer(all.make({batch, units}), 5)}, dsingle = {random_buffer(one.make({1, units}), 5)};
    if (cell == Cell::kLstm) dmany.push_back(random_buffer(all.make({batch, units}), 6)), dsingle.push_back(random_buffer(one.make({1, units}), 6));
    for (size_t i = 0; i < dmany.size(); ++i) std::memcpy(dsingle[i].data(), dmany[i].as<float>() + row * units, dsingle[i].spec().bytes());
    const auto gradients = all.backward(many, zeros, dmany), alone = one.backward(single, short_zeros, dsingle);
    EXPECT(std::memcmp(gradients[0].as<float>() + row * steps * wide, alone[0].data(), alone[0].spec().bytes()) == 0);
  }
}

// Rows of a table, read where a step needs them, give the bits of the same rows gathered first; rows that do not exist are NaN.
TEST(rnn_reads_rows_of_a_table) {
  for (Cell cell : kCells) {
    for (const bool masked : {false, true}) {
      for (DType dtype : {DType::kFloat32, DType::kFloat64}) {
        const int64_t batch = 6, steps = 5, units = 18, rows = 7, wide = gates_of(cell) * units;
        Layer layer(cell, {batch, steps, units}, {masked, true}, dtype);
        const Buffer table = random_buffer(layer.make({rows, wide}), 31, -2, 2);
        Buffer ids = random_buffer(make_spec({batch, steps}, DType::kInt32), 32, 0, 0);
        const size_t row_bytes = static_cast<size_t>(wide) * dtype_size(dtype);
        for (int64_t i = 0; i < batch * steps; ++i) {
          const int64_t id = i * 5 % rows;
          ids.at<int32_t>(i) = static_cast<int32_t>(id);
          std::memcpy(layer.inputs[0].as<char>() + i * row_bytes, table.as<char>() + id * row_bytes, row_bytes);
        }
        const auto expected = layer.forward();
        const auto found = layer.forward_on(table, ids);
        for (size_t i = 0; i < expected.size(); ++i) EXPECT(found[i].same_bytes(expected[i]));
        for (int64_t i = 0; i < batch * steps; ++i) ids.at<int32_t>(i) = i % 2 ? -1 : static_cast<int32_t>(rows);
        const auto missing = layer.forward_on(table, ids, false)[0];
        for (int64_t i = 0; i < missing.size() && !masked; ++i) EXPECT(std::isnan(value_at(missing, i)));
      }
    }
  }
}

TEST(rnn_writes_only_what_is_asked_for) {
  for (Cell cell : kCells) {
    for (const bool masked : {false, true}) {
      const Layer layer(cell, {6, 5, 18}, {masked}, DType::kFloat32);
      const auto all = layer.forward();
      const size_t last = cell == Cell::kSimple ? 1 : 3;
      for (const bool sequence : {false, true}) {
        const auto some = layer.forward_without(sequence);
        EXPECT(some.size() == all.size() - last + sequence);
        if (sequence) EXPECT(some[0].same_bytes(all[0]));
        for (size_t i = last; i < all.size(); ++i) EXPECT(some[i - last + sequence].same_bytes(all[i]));
      }
    }
  }
}

TEST(rnn_refuses_what_does_not_fit) {
  const Buffer x = random_buffer({2, 3, 16}), u = random_buffer({4, 16}), h = random_buffer({2, 4});
  const std::vector<Spec> outputs = {make_spec({2, 3, 4}), make_spec({2, 3, 16}), make_spec({2, 3, 4}), make_spec({2, 4}), make_spec({2, 4})};
  const Attributes plain = {{"activation", std::string("tanh")}, {"recurrent_activation", std::string("sigmoid")}};
  EXPECT_THROWS(run_kernel("lstm", {x, u, h}, outputs, plain), std::invalid_argument, "takes 4 inputs");
  EXPECT_THROWS(run_kernel("lstm", {x, u, h, random_buffer({2, 5})}, outputs, plain), std::invalid_argument, "a state must be float32 [2, 4]");
  EXPECT_THROWS(run_kernel("lstm", {x, random_buffer({4, 12}), h, h}, outputs, plain), std::invalid_argument, "the recurrent kernel");
  EXPECT_THROWS(run_kernel("lstm", {x, u, h, h}, outputs, {{"activation", std::string("gelu")}}), std::invalid_argument, "'gelu'");
  const Attributes masked = {{"activation", std::string("tanh")}, {"recurrent_activation", std::string("sigmoid")}, {"mask", int64_t{1}}};
  EXPECT_THROWS(run_kernel("lstm", {x, u, h, h, random_buffer({2, 3})}, outputs, masked), std::invalid_argument, "the mask must be bool [2, 3]");
  Attributes of_table = plain;
  of_table["table"] = int64_t{1};
  const Buffer table = random_buffer({9, 16});
  EXPECT_THROWS(run_kernel("lstm", {table, u, h, h, random_buffer({2, 3})}, outputs, of_table), std::invalid_argument, "int32 [2, 3]");
  EXPECT_THROWS(run_kernel("lstm", {table, u, h, h}, outputs, of_table), std::invalid_argument, "takes 5 inputs");
  const std::vector<Buffer> known = {x, random_buffer({2, 3, 4}), u, h, h, h};
  const std::vector<Spec> made = {make_spec({2, 3, 16}), make_spec({2, 4}), make_spec({2, 4}), make_spec({4, 16})};
  Attributes with_u = plain;
  with_u["sequence"] = int64_t{0};
  with_u["u_grad"] = int64_t{1};
  EXPECT_THROWS(run_kernel("lstm_grad", known, made, with_u), std::invalid_argument, "takes 8 inputs");
  with_u["reset_after"] = int64_t{0};
  EXPECT_THROWS(run_kernel("gru_grad", known, made, with_u), std::invalid_argument, "where the reset gate acts before the product");
  Attributes last_only = plain;
  last_only["keep"] = last_only["sequence"] = int64_t{0};
  EXPECT_THROWS(run_kernel("lstm", {x, u, h, h}, outputs, last_only), std::invalid_argument, "takes 2 outputs");
}

}  // namespace
}  // namespace nnlite::test
