// The convolutions of well-known networks in all three passes: residual networks, MobileNet, generators with transposed convolutions, U-Net,
// networks on sequences (images of one row), grouped convolutions. A transposed convolution is the input gradient of the convolution that shrinks its
// result, so its forward pass stands under conv2d_input_grad.
#include <algorithm>

#include "harness.h"

namespace nnlite::bench {
namespace {

constexpr int64_t kDepthwise = 0;

struct Layer {
  const char* net;
  int64_t batch, rows, cols, channels, filters, kernel_rows, kernel_cols, stride;
  bool same;           // padding so that ceil(size / stride) pixels come out
  int64_t groups = 1;  // or kDepthwise
};

int64_t shrunk(int64_t size, int64_t taps, int64_t stride, bool same) { return same ? (size + stride - 1) / stride : (size - taps) / stride + 1; }

int64_t missing(int64_t size, int64_t out, int64_t taps, int64_t stride, bool same) {
  return same ? std::max<int64_t>((out - 1) * stride + taps - size, 0) : 0;
}

std::string describe(const Layer& p, const std::string& kernel) {
  const auto text = [](int64_t v) { return std::to_string(v); };
  const std::string pass = kernel == "conv2d" ? kernel : kernel.substr(kernel.find('_') + 1);
  std::string name = std::string(p.net) + " " + pass + " " + text(p.batch) + "x" + text(p.rows) + "x" + text(p.cols) + "x" + text(p.channels) + "->" + text(p.filters) + " " + text(p.kernel_rows) + "x" +
                     text(p.kernel_cols);
  if (p.stride > 1) name += "/" + text(p.stride);
  if (p.groups == kDepthwise) name += " depthwise";
  if (p.groups > 1) name += " in " + text(p.groups) + " groups";
  return name;
}

Case layer_case(const Layer& p, const std::string& kernel) {
  const bool depthwise = p.groups == kDepthwise;
  const int64_t row_stride = p.rows == 1 ? 1 : p.stride;
  const int64_t out_rows = shrunk(p.rows, p.kernel_rows, row_stride, p.same), out_cols = shrunk(p.cols, p.kernel_cols, p.stride, p.same);
  const int64_t rows = missing(p.rows, out_rows, p.kernel_rows, row_stride, p.same);
  const int64_t cols = missing(p.cols, out_cols, p.kernel_cols, p.stride, p.same);
  const Spec x = make_spec({p.batch, p.rows, p.cols, p.channels}), y = make_spec({p.batch, out_rows, out_cols, p.filters});
  const int64_t depth = depthwise ? p.channels : p.channels / p.groups;
  const Spec w = make_spec({p.kernel_rows, p.kernel_cols, depth, depthwise ? p.filters / p.channels : p.filters});
  Case c;
  c.name = describe(p, kernel);
  c.kernel = (depthwise ? "depthwise_" : "") + kernel;
  c.attributes = {{"strides", std::vector<int64_t>{row_stride, p.stride}},
                  {"dilation", std::vector<int64_t>{1, 1}},
                  {"padding", std::vector<int64_t>{rows / 2, rows - rows / 2, cols / 2, cols - cols / 2}}};
  if (!depthwise) c.attributes["groups"] = p.groups;
  c.inputs = kernel == "conv2d" ? std::vector<Spec>{x, w} : kernel == "conv2d_input_grad" ? std::vector<Spec>{y, w} : std::vector<Spec>{x, y};
  c.outputs = {kernel == "conv2d" ? y : kernel == "conv2d_input_grad" ? x : w};
  c.flops = 2.0 * static_cast<double>(y.size() * p.kernel_rows * p.kernel_cols * (depthwise ? 1 : depth));
  return c;
}

std::vector<Case> cases() {
  const Layer layers[] = {
      {"resnet20", 32, 32, 32, 3, 16, 3, 3, 1, true},         {"resnet20", 32, 32, 32, 16, 16, 3, 3, 1, true},
      {"resnet20", 32, 32, 32, 16, 32, 3, 3, 2, true},        {"resnet20", 32, 16, 16, 32, 32, 3, 3, 1, true},
      {"resnet20", 32, 16, 16, 32, 64, 3, 3, 2, true},        {"resnet20", 32, 8, 8, 64, 64, 3, 3, 1, true},
      {"resnet20", 32, 32, 32, 16, 32, 1, 1, 2, true},        {"resnet20", 32, 16, 16, 32, 64, 1, 1, 2, true},
      {"resnet50", 2, 230, 230, 3, 64, 7, 7, 2, false},       {"resnet50", 2, 56, 56, 64, 64, 1, 1, 1, true},
      {"resnet50", 2, 56, 56, 64, 256, 1, 1, 1, true},        {"resnet50", 2, 56, 56, 256, 64, 1, 1, 1, true},
      {"resnet50", 2, 56, 56, 64, 64, 3, 3, 1, true},         {"resnet50", 2, 56, 56, 256, 512, 1, 1, 2, true},
      {"resnet50", 2, 56, 56, 256, 128, 1, 1, 2, true},       {"resnet50", 2, 28, 28, 512, 1024, 1, 1, 2, true},
      {"resnet50", 2, 14, 14, 1024, 2048, 1, 1, 2, true},     {"resnet50", 2, 56, 56, 128, 128, 3, 3, 2, true},
      {"resnet50", 2, 28, 28, 128, 128, 3, 3, 1, true},       {"resnet50", 2, 14, 14, 256, 256, 3, 3, 1, true},
      {"resnet50", 2, 14, 14, 512, 512, 3, 3, 2, true},       {"resnet50", 2, 7, 7, 512, 512, 3, 3, 1, true},
      {"resnet50", 2, 14, 14, 1024, 256, 1, 1, 1, true},      {"resnet50", 2, 7, 7, 2048, 512, 1, 1, 1, true},
      {"mobilenet", 2, 225, 225, 3, 32, 3, 3, 2, false},      {"mobilenet", 2, 112, 112, 32, 16, 1, 1, 1, true},
      {"mobilenet", 2, 56, 56, 24, 144, 1, 1, 1, true},       {"mobilenet", 2, 14, 14, 64, 384, 1, 1, 1, true},
      {"mobilenet", 2, 14, 14, 384, 64, 1, 1, 1, true},       {"mobilenet", 2, 7, 7, 160, 960, 1, 1, 1, true},
      {"mobilenet", 1, 56, 56, 32, 32, 3, 3, 1, true, kDepthwise},   {"mobilenet", 1, 57, 57, 96, 96, 3, 3, 2, false, kDepthwise},
      {"mobilenet", 2, 112, 112, 32, 32, 3, 3, 1, true, kDepthwise}, {"mobilenet", 2, 113, 113, 96, 96, 3, 3, 2, false, kDepthwise},
      {"mobilenet", 2, 56, 56, 144, 144, 3, 3, 1, true, kDepthwise}, {"mobilenet", 2, 57, 57, 144, 144, 3, 3, 2, false, kDepthwise},
      {"mobilenet", 1, 28, 28, 64, 64, 3, 3, 2, true, kDepthwise},   {"mobilenet", 1, 28, 28, 192, 192, 3, 3, 1, true, kDepthwise},
      {"mobilenet", 1, 29, 29, 192, 192, 3, 3, 2, false, kDepthwise}, {"mobilenet", 1, 14, 14, 384, 384, 3, 3, 1, true, kDepthwise},
      {"mobilenet", 1, 14, 14, 576, 576, 3, 3, 2, true, kDepthwise}, {"mobilenet", 1, 7, 7, 960, 960, 3, 3, 1, true, kDepthwise},
      {"multiplier", 1, 28, 28, 32, 64, 3, 3, 1, true, kDepthwise},  {"multiplier", 1, 28, 28, 32, 64, 3, 3, 2, true, kDepthwise},
      {"multiplier", 1, 28, 28, 16, 64, 3, 3, 1, true, kDepthwise},  {"multiplier", 1, 28, 28, 20, 60, 3, 3, 1, true, kDepthwise},
      {"multiplier", 8, 28, 28, 1, 32, 3, 3, 1, true, kDepthwise},   {"multiplier", 1, 28, 28, 32, 64, 5, 5, 1, true, kDepthwise},
      {"dcgan", 32, 14, 14, 64, 128, 5, 5, 2, true},          {"dcgan", 32, 7, 7, 128, 256, 5, 5, 1, true},
      {"dcgan", 32, 28, 28, 1, 64, 5, 5, 2, true},            {"dcgan", 16, 16, 16, 128, 128, 4, 4, 2, true},
      {"dcgan", 16, 32, 32, 64, 128, 4, 4, 2, true},          {"dcgan", 16, 64, 64, 3, 64, 4, 4, 2, true},
      {"generator", 16, 64, 64, 1, 64, 3, 3, 2, true},        {"generator", 16, 64, 64, 3, 64, 3, 3, 2, true},
      {"generator", 16, 64, 64, 3, 64, 5, 5, 2, true},        {"generator", 16, 64, 64, 8, 64, 4, 4, 2, true},
      {"generator", 4, 128, 128, 1, 32, 2, 2, 2, true},       {"generator", 4, 128, 128, 3, 32, 2, 2, 2, true},
      {"unet", 2, 56, 56, 128, 256, 2, 2, 2, true},           {"unet", 1, 112, 112, 64, 128, 2, 2, 2, true},
      {"unet", 1, 112, 112, 64, 2, 1, 1, 1, true},            {"sequence", 32, 1, 128, 64, 128, 1, 5, 1, false},
      {"sequence", 16, 1, 500, 70, 256, 1, 7, 1, false},      {"sequence", 32, 1, 100, 128, 128, 1, 5, 2, true},
      {"sequence", 32, 1, 400, 1, 32, 1, 7, 1, true},         {"volume", 32, 16, 16, 32, 32, 3, 3, 1, true},
      {"volume", 16, 32, 32, 8, 16, 3, 3, 1, true},           {"groups", 4, 28, 28, 64, 64, 3, 3, 1, true, 2},
      {"groups", 4, 28, 28, 64, 64, 3, 3, 1, true, 4},        {"groups", 4, 28, 28, 64, 64, 3, 3, 1, true, 8},
      {"groups", 4, 28, 28, 64, 64, 3, 3, 1, true, 16},       {"groups", 4, 28, 28, 64, 64, 3, 3, 1, true, 32},
      {"groups", 4, 28, 28, 64, 64, 3, 3, 1, true, 64},       {"groups", 4, 28, 28, 128, 128, 3, 3, 1, true, 32},
      {"groups", 4, 28, 28, 256, 256, 1, 1, 1, true, 4},      {"training", 128, 32, 32, 16, 16, 3, 3, 1, true},
      {"training", 128, 32, 32, 16, 32, 3, 3, 2, true},       {"training", 128, 16, 16, 32, 64, 3, 3, 2, true},
      {"training", 64, 32, 32, 32, 64, 1, 1, 1, true},        {"training", 64, 16, 16, 64, 128, 1, 1, 1, true},
      {"training", 64, 16, 16, 128, 128, 1, 1, 1, true},      {"training", 64, 8, 8, 128, 256, 1, 1, 1, true},
      {"training", 64, 8, 8, 256, 256, 1, 1, 1, true}};
  std::vector<Case> list;
  for (const char* kernel : {"conv2d", "conv2d_input_grad", "conv2d_kernel_grad"}) {
    for (const Layer& layer : layers) list.push_back(layer_case(layer, kernel));
  }
  return list;
}

}  // namespace
}  // namespace nnlite::bench

int main(int argc, char** argv) { return nnlite::bench::run_benchmark(argc, argv, "conv_models", nnlite::bench::cases()); }
