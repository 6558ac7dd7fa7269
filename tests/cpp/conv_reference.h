// Convolutions by plain loops in float64, straight from the definition, and random cases for tests of the kernels.
#pragma once
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernel_test.h"

namespace nnlite::test {

// A convolution x [n, h, w, c] -> y [n, oh, ow, k]; dense kernels are [kh, kw, c / groups, k], depthwise ones [kh, kw, c, k / c].
struct ConvCase {
  int64_t n, h, w, c, k, kh, kw, sh, sw, dh, dw, groups;
  int64_t padding[4];  // top, bottom, left, right
  DType dtype = DType::kFloat32;
  bool exact = true;  // products one by one: not by Winograd

  int64_t oh() const { return output_size(h + padding[0] + padding[1], kh, sh, dh); }
  int64_t ow() const { return output_size(w + padding[2] + padding[3], kw, sw, dw); }
  Spec x() const { return make_spec({n, h, w, c}, dtype); }
  Spec y() const { return make_spec({n, oh(), ow(), k}, dtype); }
  Spec kernel() const { return make_spec({kh, kw, c / groups, k}, dtype); }
  Spec depthwise_kernel() const { return make_spec({kh, kw, c, k / c}, dtype); }
  Attributes attributes() const {
    return {{"strides", std::vector<int64_t>{sh, sw}},
            {"dilation", std::vector<int64_t>{dh, dw}},
            {"padding", std::vector<int64_t>(padding, padding + 4)},
            {"groups", groups},
            {"exact", int64_t{exact}}};
  }
  std::string text() const {
    std::string result = "conv";
    for (int64_t v : {n, h, w, c, k, kh, kw, sh, sw, dh, dw, groups, padding[0], padding[1], padding[2], padding[3]}) {
      result += " " + std::to_string(v);
    }
    return result + (dtype == DType::kFloat32 ? " float32" : " float64");
  }

 private:
  static int64_t output_size(int64_t padded, int64_t taps, int64_t stride, int64_t dilation) {
    const int64_t room = padded - (taps - 1) * dilation - 1;
    return room < 0 ? 0 : room / stride + 1;
  }
};

// A result in float64, and for each element the sum of the magnitudes of its terms: rounding errors are in proportion to that.
struct Expected {
  std::vector<double> value, magnitude;
  explicit Expected(int64_t size) : value(size), magnitude(size) {}
  void add(int64_t i, double term) {
    value[i] += term;
    magnitude[i] += std::fabs(term);
  }
};

inline double value_at(const Buffer& buffer, int64_t i) {
  return buffer.spec().dtype == DType::kFloat32 ? buffer.at<float>(i) : buffer.at<double>(i);
}

// Calls visit(x index, kernel index, y index) for every product of the convolution.
template <class Visit>
void visit_products(const ConvCase& p, bool depthwise, Visit visit) {
  const int64_t oh = p.oh(), ow = p.ow(), depth = depthwise ? 1 : p.c / p.groups, group_filters = depthwise ? p.k / p.c : p.k / p.groups;
  for (int64_t n = 0; n < p.n; ++n)
    for (int64_t y = 0; y < oh; ++y)
      for (int64_t x = 0; x < ow; ++x)
        for (int64_t r = 0; r < p.kh; ++r)
          for (int64_t s = 0; s < p.kw; ++s) {
            const int64_t row = y * p.sh + r * p.dh - p.padding[0], col = x * p.sw + s * p.dw - p.padding[2];
            if (row < 0 || row >= p.h || col < 0 || col >= p.w) continue;
            for (int64_t k = 0; k < p.k; ++k)
              for (int64_t d = 0; d < depth; ++d) {
                const int64_t channel = k / group_filters * depth + d;
                const int64_t tap = r * p.kw + s;
                visit(((n * p.h + row) * p.w + col) * p.c + channel, depthwise ? tap * p.k + k : (tap * depth + d) * p.k + k,
                      ((n * oh + y) * ow + x) * p.k + k);
              }
          }
}

inline Expected expected_forward(const ConvCase& p, const Buffer& x, const Buffer& w, bool depthwise = false) {
  Expected result(p.y().size());
  visit_products(p, depthwise, [&](int64_t i, int64_t j, int64_t o) { result.add(o, value_at(x, i) * value_at(w, j)); });
  return result;
}
inline Expected expected_input_grad(const ConvCase& p, const Buffer& dy, const Buffer& w, bool depthwise = false) {
  Expected result(p.x().size());
  visit_products(p, depthwise, [&](int64_t i, int64_t j, int64_t o) { result.add(i, value_at(dy, o) * value_at(w, j)); });
  return result;
}
inline Expected expected_kernel_grad(const ConvCase& p, const Buffer& x, const Buffer& dy, bool depthwise = false) {
  Expected result(depthwise ? p.depthwise_kernel().size() : p.kernel().size());
  visit_products(p, depthwise, [&](int64_t i, int64_t j, int64_t o) { result.add(j, value_at(dy, o) * value_at(x, i)); });
  return result;
}

// Every element within a few roundings of its terms' magnitudes.
inline bool close_to(const Buffer& result, const Expected& expected) {
  const double unit = result.spec().dtype == DType::kFloat32 ? 6e-7 : 1e-15;
  if (result.size() != static_cast<int64_t>(expected.value.size())) return false;
  for (int64_t i = 0; i < result.size(); ++i) {
    if (!(std::fabs(value_at(result, i) - expected.value[i]) <= unit * (expected.magnitude[i] + 1e-30))) return false;
  }
  return true;
}

// Deterministic choices.
class Chooser {
 public:
  explicit Chooser(uint64_t seed) : state_(seed * 2654435761u + 12345) {}
  int64_t between(int64_t low, int64_t high) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return low + static_cast<int64_t>((state_ >> 33) % static_cast<uint64_t>(high - low + 1));
  }
  int64_t of(std::initializer_list<int64_t> values) { return values.begin()[between(0, static_cast<int64_t>(values.size()) - 1)]; }

 private:
  uint64_t state_;
};

}  // namespace nnlite::test
