// Random convolutions, poolings, products and attentions, at every instruction set, in every order of chunks, against plain loops in float64.
//
//   nnlite_fuzz [--count 2000] [--seed 1]
//
// A mismatch prints the case and its number; `--seed S --count N` repeats a run. Built with sanitizers it also finds every access out of bounds.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "conv_reference.h"

namespace nnlite::test {

namespace {
int failures = 0;
std::string current;  // what is being tried
}  // namespace

void report_failure(const char* file, int line, const std::string& message) {
  if (++failures <= 20) std::printf("%s:%d: %s\n  in %s\n", file, line, message.c_str(), current.c_str());
}
TestRegistrar::TestRegistrar(const char*, TestFunction) {}

namespace {

using Ints = std::vector<int64_t>;

// Winograd's rounding errors spread over a tile: there, elements are held to the largest magnitude of the result.
bool may_be_winograd(const ConvCase& p) {
  return p.sh == 1 && p.sw == 1 && p.dh == 1 && p.dw == 1 && p.groups == 1 && p.kh * p.kw > 1 && p.dtype == DType::kFloat32;
}

void expect_close(const Buffer& result, const Expected& expected, bool loose) {
  const double unit = result.spec().dtype == DType::kFloat32 ? (loose ? 4e-6 : 1e-6) : 2e-15;
  double largest = 0;
  for (double magnitude : expected.magnitude) largest = std::max(largest, magnitude);
  for (int64_t i = 0; i < result.size(); ++i) {
    const double bound = unit * ((loose ? largest : expected.magnitude[i]) + 1e-30);
    if (!(std::fabs(value_at(result, i) - expected.value[i]) <= bound)) {
      return report_failure(__FILE__, __LINE__, "element " + show(i) + " is " + show(value_at(result, i)) + ", not " + show(expected.value[i]));
    }
  }
}

// Sums of differences of sums: errors in proportion to the largest element and to 1.
void expect_near(const Buffer& result, const Expected& expected) {
  const double unit = result.spec().dtype == DType::kFloat32 ? 2e-5 : 1e-13;
  double largest = 1;
  for (double value : expected.value) largest = std::max(largest, std::fabs(value));
  for (int64_t i = 0; i < result.size(); ++i) {
    if (!(std::fabs(value_at(result, i) - expected.value[i]) <= unit * largest)) {
      return report_failure(__FILE__, __LINE__, "element " + show(i) + " is " + show(value_at(result, i)) + ", not " + show(expected.value[i]));
    }
  }
}

DType any_float(Chooser& choose) { return choose.between(0, 4) ? DType::kFloat32 : DType::kFloat64; }

ConvCase random_convolution(Chooser& choose, bool depthwise) {
  const bool plain = choose.between(0, 2) == 0;  // stride 1 without dilation, as most are
  ConvCase p;
  p.n = choose.of({0, 1, 1, 2, 3});
  p.h = choose.between(1, 14);
  p.w = choose.between(1, 14);
  p.kh = choose.of({1, 2, 3, 3, 3, 5, 7});
  p.kw = choose.between(0, 3) ? p.kh : choose.of({1, 2, 3, 4});
  p.sh = plain ? 1 : choose.of({1, 2, 2, 3});
  p.sw = plain ? 1 : choose.of({1, 2, 2, 3});
  p.dh = plain ? 1 : choose.of({1, 1, 2, 3});
  p.dw = plain ? 1 : choose.of({1, 1, 2, 3});
  p.groups = depthwise || plain ? 1 : choose.of({1, 1, 2, 3});
  p.c = p.groups * choose.of({1, 2, 3, 7, 16, 17, 32, 33, 48});
  p.k = depthwise ? p.c * choose.of({1, 1, 1, 2, 3}) : p.groups * choose.of({1, 3, 8, 16, 17, 32, 45, 64, 70});
  for (int64_t& side : p.padding) side = choose.of({0, 0, 1, 1, 2, 3});
  p.dtype = any_float(choose);
  return p;
}

void try_convolution(Chooser& choose, uint64_t seed, bool depthwise) {
  const ConvCase p = random_convolution(choose, depthwise);
  current = (depthwise ? "depthwise " : "") + p.text();
  const std::string name = depthwise ? "depthwise_conv2d" : "conv2d";
  const Spec kernel = depthwise ? p.depthwise_kernel() : p.kernel();
  const Buffer x = random_buffer(p.x(), seed), w = random_buffer(kernel, seed + 1), dy = random_buffer(p.y(), seed + 2);
  const bool loose = !depthwise && may_be_winograd(p);
  Attributes attributes = p.attributes();
  if (depthwise) attributes.erase("groups");
  expect_close(run_every_way(name, {x, w}, {p.y()}, attributes)[0], expected_forward(p, x, w, depthwise), loose);
  expect_close(run_every_way(name + "_input_grad", {dy, w}, {p.x()}, attributes)[0], expected_input_grad(p, dy, w, depthwise), loose);
  expect_close(run_every_way(name + "_kernel_grad", {x, dy}, {kernel}, attributes)[0], expected_kernel_grad(p, x, dy, depthwise), loose);
}

struct Pooling {
  int64_t n, h, w, c;
  Ints pool, strides, padding;

  int64_t rows() const { return (h + padding[0] + padding[1] - pool[0]) / strides[0] + 1; }
  int64_t cols() const { return (w + padding[2] + padding[3] - pool[1]) / strides[1] + 1; }
  // visit(output, input or -1 in the padding, cell of the window)
  template <class Visit>
  void for_cells(Visit visit) const {
    for (int64_t b = 0; b < n; ++b)
      for (int64_t i = 0; i < rows(); ++i)
        for (int64_t j = 0; j < cols(); ++j)
          for (int64_t k = 0; k < c; ++k)
            for (int64_t cell = 0; cell < pool[0] * pool[1]; ++cell) {
              const int64_t row = i * strides[0] - padding[0] + cell / pool[1], col = j * strides[1] - padding[2] + cell % pool[1];
              const bool inside = row >= 0 && row < h && col >= 0 && col < w;
              visit(((b * rows() + i) * cols() + j) * c + k, inside ? ((b * h + row) * w + col) * c + k : -1, cell);
            }
  }
};

Pooling random_pooling(Chooser& choose) {
  Pooling p{choose.of({0, 1, 2, 3}), choose.between(1, 13), choose.between(1, 13), choose.of({1, 3, 8, 16, 17, 40, 64}), {}, {}, {}};
  const bool same = choose.between(0, 1) != 0;
  for (int64_t size : {p.h, p.w}) {
    p.pool.push_back(std::min(size, choose.of({1, 2, 2, 3, 3, 5})));
    p.strides.push_back(choose.between(0, 1) ? p.pool.back() : choose.of({1, 2, 3}));
    const int64_t most = same ? p.pool.back() - 1 : 0;
    p.padding.push_back(most / 2);
    p.padding.push_back(most - most / 2);
  }
  return p;
}

void try_pooling(Chooser& choose, uint64_t seed) {
  const Pooling p = random_pooling(choose);
  const DType dtype = any_float(choose);
  current = "pooling of " + show(p.n) + " " + show(p.h) + " " + show(p.w) + " " + show(p.c) + " by " + show(p.pool[0]) + "x" + show(p.pool[1]) + " strides " +
            show(p.strides[0]) + "x" + show(p.strides[1]);
  const Attributes forward = {{"pool_size", p.pool}, {"strides", p.strides}, {"padding", p.padding}};
  Attributes backward = forward;
  backward["input_shape"] = Ints{p.n, p.h, p.w, p.c};
  const Spec in = make_spec({p.n, p.h, p.w, p.c}, dtype), out = make_spec({p.n, p.rows(), p.cols(), p.c}, dtype);
  const Buffer x = random_buffer(in, seed), dy = random_buffer(out, seed + 1);

  Expected largest(out.size()), mean(out.size()), to_largest(in.size()), to_all(in.size());
  std::vector<int64_t> winner(out.size(), -1), inside(out.size(), 0);
  p.for_cells([&](int64_t o, int64_t i, int64_t) {
    if (i < 0) return;
    ++inside[o];
    mean.add(o, value_at(x, i));
    if (winner[o] < 0 || value_at(x, i) > value_at(x, winner[o])) winner[o] = i;
  });
  p.for_cells([&](int64_t o, int64_t i, int64_t) {
    if (i >= 0) to_all.add(i, value_at(dy, o) / static_cast<double>(inside[o]));
  });
  for (int64_t o = 0; o < out.size(); ++o) {
    largest.add(o, value_at(x, winner[o]));
    to_largest.add(winner[o], value_at(dy, o));
    mean.value[o] /= static_cast<double>(inside[o]);
    mean.magnitude[o] /= static_cast<double>(inside[o]);
  }
  const auto found = run_every_way("max_pool2d", {x}, {out, make_spec({p.n, p.rows(), p.cols(), p.c}, DType::kUInt8)}, forward);
  expect_close(found[0], largest, false);
  expect_close(run_every_way("max_pool2d_grad", {dy, found[1]}, {in}, backward)[0], to_largest, false);
  expect_close(run_every_way("average_pool2d", {x}, {out}, forward)[0], mean, false);
  expect_close(run_every_way("average_pool2d_grad", {dy}, {in}, backward)[0], to_all, false);
}

void try_product(Chooser& choose, uint64_t seed) {
  const int64_t batch = choose.of({1, 1, 2, 3}), m = choose.of({0, 1, 2, 5, 6, 7, 13, 31, 64, 70}), n = choose.of({1, 3, 15, 16, 17, 33, 64, 65, 130}),
                k = choose.of({0, 1, 2, 9, 16, 31, 64, 200, 400});
  const bool ta = choose.between(0, 1) != 0, tb = choose.between(0, 1) != 0, one_b = choose.between(0, 1) != 0;
  const DType dtype = any_float(choose);
  current = "matmul " + show(batch) + " x " + show(m) + "x" + show(k) + "x" + show(n) + (ta ? " a transposed" : "") + (tb ? " b transposed" : "");
  const Spec a_spec = ta ? make_spec({batch, k, m}, dtype) : make_spec({batch, m, k}, dtype), c_spec = make_spec({batch, m, n}, dtype);
  const int64_t b_batch = one_b ? 1 : batch;
  const Buffer a = random_buffer(a_spec, seed), b = random_buffer(tb ? make_spec({b_batch, n, k}, dtype) : make_spec({b_batch, k, n}, dtype), seed + 1);
  Expected c(c_spec.size());
  for (int64_t s = 0; s < batch; ++s)
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j)
        for (int64_t d = 0; d < k; ++d) {
          const int64_t at = s * m * k + (ta ? d * m + i : i * k + d), from = (one_b ? 0 : s) * k * n + (tb ? j * k + d : d * n + j);
          c.add((s * m + i) * n + j, value_at(a, at) * value_at(b, from));
        }
  const Attributes attributes = {{"transpose_a", int64_t{ta}}, {"transpose_b", int64_t{tb}}};
  expect_close(run_every_way("matmul", {a, b}, {c_spec}, attributes)[0], c, true);
}

struct Attention {
  int64_t batch, targets, sources, heads, group, size, value_size;
  bool causal;
};

// One row of the scores by the definition: its probabilities, zero where nothing may be seen.
std::vector<double> probabilities(const Attention& p, double scale, const Buffer& q, const Buffer& k, int64_t b, int64_t t, int64_t h) {
  std::vector<double> row(p.sources);
  const int64_t seen = p.causal ? std::min(t + 1, p.sources) : p.sources;
  double largest = -INFINITY, sum = 0;
  for (int64_t j = 0; j < seen; ++j) {
    for (int64_t d = 0; d < p.size; ++d) {
      row[j] += scale * value_at(q, ((b * p.targets + t) * p.heads + h) * p.size + d) *
                value_at(k, ((b * p.sources + j) * (p.heads / p.group) + h / p.group) * p.size + d);
    }
    largest = std::max(largest, row[j]);
  }
  for (int64_t j = 0; j < seen; ++j) sum += row[j] = std::exp(row[j] - largest);
  for (int64_t j = 0; j < seen; ++j) row[j] /= sum;
  return row;
}

void try_attention(Chooser& choose, uint64_t seed) {
  Attention p{choose.of({1, 2}), choose.of({1, 2, 5, 17, 33, 65, 70}), choose.of({1, 3, 16, 31, 64, 65, 130}), 0, choose.of({1, 1, 2, 3}), choose.of({1, 8, 16, 20, 64}),
              choose.of({1, 8, 16, 20, 64}), choose.between(0, 2) == 0};
  const int64_t key_heads = choose.of({1, 2, 3});
  p.heads = key_heads * p.group;
  const DType dtype = any_float(choose);
  const double scale = 0.3;
  current = "attention " + show(p.batch) + " " + show(p.targets) + " " + show(p.sources) + " " + show(p.heads) + "/" + show(p.group) + " " + show(p.size) + " " +
            show(p.value_size) + (p.causal ? " causal" : "");
  const Spec q_spec = make_spec({p.batch, p.targets, p.heads, p.size}, dtype), k_spec = make_spec({p.batch, p.sources, key_heads, p.size}, dtype),
             v_spec = make_spec({p.batch, p.sources, key_heads, p.value_size}, dtype), y_spec = make_spec({p.batch, p.targets, p.heads, p.value_size}, dtype),
             rows = make_spec({p.batch, p.heads, p.targets}, dtype);
  const Buffer q = random_buffer(q_spec, seed, -2, 2), k = random_buffer(k_spec, seed + 1, -2, 2), v = random_buffer(v_spec, seed + 2), dy = random_buffer(y_spec, seed + 3);
  Expected y(y_spec.size()), dq(q_spec.size()), dk(k_spec.size()), dv(v_spec.size());
  for (int64_t b = 0; b < p.batch; ++b)
    for (int64_t h = 0; h < p.heads; ++h)
      for (int64_t t = 0; t < p.targets; ++t) {
        const std::vector<double> weights = probabilities(p, scale, q, k, b, t, h);
        const int64_t at = (b * p.targets + t) * p.heads + h;
        std::vector<double> slopes(p.sources);  // of the probabilities
        double mean = 0;
        for (int64_t j = 0; j < p.sources; ++j) {
          const int64_t key = (b * p.sources + j) * key_heads + h / p.group;
          for (int64_t d = 0; d < p.value_size; ++d) {
            y.add(at * p.value_size + d, weights[j] * value_at(v, key * p.value_size + d));
            dv.add(key * p.value_size + d, weights[j] * value_at(dy, at * p.value_size + d));
            slopes[j] += value_at(dy, at * p.value_size + d) * value_at(v, key * p.value_size + d);
          }
          mean += weights[j] * slopes[j];
        }
        for (int64_t j = 0; j < p.sources; ++j) {
          const int64_t key = (b * p.sources + j) * key_heads + h / p.group;
          const double slope = scale * weights[j] * (slopes[j] - mean);
          for (int64_t d = 0; d < p.size; ++d) {
            dq.add(at * p.size + d, slope * value_at(k, key * p.size + d));
            dk.add(key * p.size + d, slope * value_at(q, at * p.size + d));
          }
        }
      }
  const Attributes attributes = {{"scale", scale}, {"causal", int64_t{p.causal}}, {"bias", int64_t{0}}, {"mask", int64_t{0}}};
  const auto out = run_every_way("attention", {q, k, v}, {y_spec, rows, rows}, attributes);
  const auto grads = run_every_way("attention_grad", {q, k, v, out[0], out[1], out[2], dy}, {q_spec, k_spec, v_spec}, attributes);
  expect_near(out[0], y);
  expect_near(grads[0], dq);
  expect_near(grads[1], dk);
  expect_near(grads[2], dv);
}

void run(int64_t count, uint64_t seed) {
  Chooser choose(seed);
  for (int64_t i = 0; i < count && failures == 0; ++i) {
    const uint64_t data = seed * 1000003 + static_cast<uint64_t>(i) * 7;
    switch (i % 6) {
      case 0: case 1: try_convolution(choose, data, false); break;
      case 2: try_convolution(choose, data, true); break;
      case 3: try_pooling(choose, data); break;
      case 4: try_attention(choose, data); break;
      default: try_product(choose, data); break;
    }
    if (failures > 0) std::printf("case %lld of seed %llu\n", static_cast<long long>(i), static_cast<unsigned long long>(seed));
  }
}

}  // namespace
}  // namespace nnlite::test

int main(int argc, char** argv) {
  int64_t count = 2000;
  uint64_t seed = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--count") == 0) count = std::atoll(argv[i + 1]);
    if (std::strcmp(argv[i], "--seed") == 0) seed = std::strtoull(argv[i + 1], nullptr, 10);
  }
  nnlite::test::run(count, seed);
  std::printf("%lld random cases, %d failures\n", static_cast<long long>(count), nnlite::test::failures);
  return nnlite::test::failures > 0;
}
