#include <numeric>

#include "bfloat16_test.h"

namespace nnlite::test {
namespace {

using Ints = std::vector<int64_t>;

Spec spec_of(const Ints& dims, DType dtype) {
  Spec spec;
  spec.dtype = dtype;
  for (int64_t dim : dims) spec.dims[spec.rank++] = dim;
  return spec;
}

// All bytes distinct in long runs, whatever the dtype.
Buffer bytes_buffer(const Spec& spec) {
  Buffer buffer(spec);
  uint32_t state = 12345;
  for (size_t i = 0; i < spec.bytes(); ++i) {
    state = state * 1664525u + 1013904223u;
    buffer.as<uint8_t>()[i] = static_cast<uint8_t>(state >> 24);
  }
  return buffer;
}

int64_t flat(const Ints& index, const Spec& spec) {
  int64_t at = 0;
  for (int i = 0; i < spec.rank; ++i) at = at * spec.dims[i] + index[i];
  return at;
}

// Checks `out` element by element: `source` maps an output index to an input index.
template <class Source>
void expect_moved(const Buffer& in, const Buffer& out, Source source) {
  const Spec& y = out.spec();
  const size_t item = dtype_size(y.dtype);
  Ints index(y.rank, 0);
  int64_t wrong = 0;
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t from = flat(source(index), in.spec());
    wrong += std::memcmp(out.as<char>() + i * item, in.as<char>() + from * item, item) != 0;
    for (int a = y.rank - 1; a >= 0 && ++index[a] == y.dims[a]; --a) index[a] = 0;
  }
  EXPECT_EQ(wrong, 0);
}

const DType kSizes[] = {DType::kUInt8, DType::kBFloat16, DType::kFloat32, DType::kFloat64};

void check_transpose(const Ints& dims, const Ints& axes, DType dtype = DType::kFloat32) {
  const Buffer x = bytes_buffer(spec_of(dims, dtype));
  Ints out;
  for (int64_t a : axes) out.push_back(dims[a]);
  const Buffer y = run_every_way("transpose", {x}, {spec_of(out, dtype)}, {{"axes", axes}})[0];
  expect_moved(x, y, [&](const Ints& index) {
    Ints from(axes.size());
    for (size_t i = 0; i < axes.size(); ++i) from[axes[i]] = index[i];
    return from;
  });
}

void check_slice(const Ints& dims, const Ints& starts, const Ints& sizes, const Ints& strides, DType dtype = DType::kFloat32) {
  const Buffer x = bytes_buffer(spec_of(dims, dtype));
  const Buffer y = run_every_way("slice", {x}, {spec_of(sizes, dtype)}, {{"starts", starts}, {"sizes", sizes}, {"strides", strides}})[0];
  expect_moved(x, y, [&](Ints index) {
    for (size_t i = 0; i < index.size(); ++i) index[i] = starts[i] + index[i] * strides[i];
    return index;
  });
}

void check_reverse(const Ints& dims, const Ints& axes, DType dtype = DType::kFloat32) {
  const Buffer x = bytes_buffer(spec_of(dims, dtype));
  const Buffer y = run_every_way("reverse", {x}, {x.spec()}, {{"axes", axes}})[0];
  expect_moved(x, y, [&](Ints index) {
    for (int64_t a : axes) index[a] = dims[a] - 1 - index[a];
    return index;
  });
}

void check_broadcast(const Ints& dims, const Ints& shape, DType dtype = DType::kFloat32) {
  const Buffer x = bytes_buffer(spec_of(dims, dtype));
  const Buffer y = run_every_way("broadcast_to", {x}, {spec_of(shape, dtype)}, {{"shape", shape}})[0];
  expect_moved(x, y, [&](const Ints& index) {
    Ints from(index.end() - static_cast<int64_t>(dims.size()), index.end());
    for (size_t i = 0; i < from.size(); ++i) from[i] = dims[i] == 1 ? 0 : from[i];
    return from;
  });
}

void check_pad(const Ints& dims, const Ints& low, const Ints& high, const Ints& interior, DType dtype = DType::kFloat32) {
  const Buffer x = bytes_buffer(spec_of(dims, dtype));
  Ints out;
  for (size_t i = 0; i < dims.size(); ++i) out.push_back(low[i] + high[i] + (dims[i] > 0 ? (dims[i] - 1) * (interior[i] + 1) + 1 : 0));
  const Buffer y = run_every_way("pad", {x}, {spec_of(out, dtype)}, {{"low", low}, {"high", high}, {"interior", interior}, {"value", 0.0}})[0];
  Buffer expected(y.spec());
  const size_t item = dtype_size(dtype);
  std::memset(expected.data(), 0, y.spec().bytes());
  Ints index(dims.size(), 0);
  for (int64_t i = 0; i < x.size(); ++i) {
    Ints to = index;
    for (size_t a = 0; a < to.size(); ++a) to[a] = low[a] + to[a] * (interior[a] + 1);
    std::memcpy(expected.as<char>() + flat(to, y.spec()) * item, x.as<char>() + i * item, item);
    for (int a = static_cast<int>(dims.size()) - 1; a >= 0 && ++index[a] == dims[a]; --a) index[a] = 0;
  }
  EXPECT(y.same_bytes(expected));
}

void check_concatenate(const std::vector<Ints>& shapes, int axis, DType dtype = DType::kFloat32) {
  std::vector<Buffer> inputs;
  Ints out = shapes[0];
  out[axis] = 0;
  for (const Ints& dims : shapes) {
    inputs.push_back(bytes_buffer(spec_of(dims, dtype)));
    out[axis] += dims[axis];
  }
  const Buffer y = run_every_way("concatenate", inputs, {spec_of(out, dtype)}, {{"axis", int64_t{axis}}})[0];
  const size_t item = dtype_size(dtype);
  int64_t start = 0;
  for (const Buffer& x : inputs) {
    Ints index(out.size(), 0);
    int64_t wrong = 0;
    for (int64_t i = 0; i < x.size(); ++i) {
      Ints to = index;
      to[axis] += start;
      wrong += std::memcmp(y.as<char>() + flat(to, y.spec()) * item, x.as<char>() + i * item, item) != 0;
      for (int a = static_cast<int>(out.size()) - 1; a >= 0 && ++index[a] == x.spec().dims[a]; --a) index[a] = 0;
    }
    EXPECT_EQ(wrong, 0);
    start += x.spec().dims[axis];
  }
}

TEST(transpose_matrices_of_every_size_and_dtype) {
  for (DType dtype : kSizes) {
    for (int64_t rows : {1, 2, 3, 7, 16, 17, 33, 65}) {
      for (int64_t columns : {1, 2, 5, 8, 16, 31, 64, 130}) check_transpose({rows, columns}, {1, 0}, dtype);
    }
  }
}

TEST(transpose_of_many_axes) {
  for (DType dtype : kSizes) {
    check_transpose({2, 5, 6, 3}, {0, 3, 1, 2}, dtype);
    check_transpose({2, 3, 20, 18}, {0, 2, 3, 1}, dtype);
    check_transpose({3, 17, 4, 9}, {0, 2, 1, 3}, dtype);
    check_transpose({3, 17, 4, 9}, {0, 2, 3, 1}, dtype);
    check_transpose({4, 3, 2, 5, 6}, {4, 2, 0, 3, 1}, dtype);
    check_transpose({2, 1, 3, 2, 1, 2, 3, 2}, {7, 6, 5, 4, 3, 2, 1, 0}, dtype);
  }
  check_transpose({7}, {0});
  check_transpose({}, {});
  check_transpose({0, 3}, {1, 0});
  check_transpose({100, 300}, {1, 0});
  check_transpose({3, 70, 200}, {2, 1, 0});
  check_transpose({3, 70, 200}, {1, 2, 0});
}

TEST(transpose_of_long_rows) {
  check_transpose({2, 3, 40000}, {1, 0, 2});
  check_transpose({200000}, {0});
}

TEST(slice_with_strides) {
  for (DType dtype : kSizes) {
    check_slice({10, 20}, {2, 3}, {5, 10}, {1, 1}, dtype);
    check_slice({10, 20}, {1, 0}, {3, 7}, {3, 3}, dtype);
    check_slice({4, 9, 9, 3}, {0, 1, 1, 0}, {4, 4, 4, 3}, {1, 2, 2, 1}, dtype);
    check_slice({4, 9, 9, 17}, {0, 1, 1, 1}, {4, 4, 8, 8}, {1, 2, 1, 2}, dtype);
    check_slice({50}, {49}, {1}, {1}, dtype);
  }
  check_slice({5, 5}, {5, 0}, {0, 5}, {1, 1});
  check_slice({3, 100000}, {0, 5}, {3, 49990}, {1, 2});
  check_slice({1000, 50}, {0, 7}, {1000, 1}, {1, 1});
}

TEST(reverse_of_axes) {
  for (DType dtype : kSizes) {
    check_reverse({33}, {0}, dtype);
    check_reverse({5, 37}, {1}, dtype);
    check_reverse({5, 37}, {0}, dtype);
    check_reverse({5, 7, 3}, {0, 1, 2}, dtype);
    check_reverse({5, 7, 3}, {1}, dtype);
  }
  check_reverse({4}, {});
  check_reverse({0, 4}, {1});
  check_reverse({150000}, {0});
}

TEST(broadcast_to_larger_shapes) {
  for (DType dtype : kSizes) {
    check_broadcast({}, {70}, dtype);
    check_broadcast({5}, {100, 5}, dtype);
    check_broadcast({37, 1}, {37, 19}, dtype);
    check_broadcast({3, 1, 5}, {2, 3, 4, 5}, dtype);
    check_broadcast({2, 1, 3, 1}, {2, 5, 3, 7}, dtype);
    check_broadcast({1, 300}, {500, 300}, dtype);
  }
  check_broadcast({}, {200000});
  check_broadcast({4, 1}, {4, 30000});
  check_broadcast({3, 1, 2, 1, 5}, {3, 200, 2, 100, 5});
  check_broadcast({1}, {0});
}

TEST(pad_with_low_high_and_interior) {
  for (DType dtype : kSizes) {
    check_pad({5}, {2}, {3}, {0}, dtype);
    check_pad({5}, {2}, {3}, {2}, dtype);
    check_pad({2, 5, 6, 3}, {0, 1, 2, 0}, {0, 2, 1, 0}, {0, 0, 0, 0}, dtype);
    check_pad({2, 5, 6, 3}, {0, 1, 2, 0}, {0, 2, 1, 0}, {0, 1, 1, 0}, dtype);
    check_pad({2, 3, 4}, {1, 0, 0}, {0, 0, 5}, {0, 2, 0}, dtype);
    check_pad({3, 4}, {0, 0}, {0, 0}, {0, 0}, dtype);
  }
  check_pad({}, {}, {}, {});
  check_pad({0, 3}, {1, 1}, {1, 0}, {2, 0});
  check_pad({40, 30, 30, 8}, {0, 1, 1, 0}, {0, 1, 1, 0}, {0, 0, 0, 0});
}

TEST(pad_writes_the_value_in_the_dtype) {
  const auto corner = [](DType dtype, double value) {
    Buffer x(make_spec({1}, dtype));
    std::memset(x.data(), 0, x.spec().bytes());
    return run_kernel("pad", {x}, {make_spec({3}, dtype)}, {{"low", Ints{1}}, {"high", Ints{1}}, {"interior", Ints{0}}, {"value", value}})[0];
  };
  EXPECT_EQ(corner(DType::kFloat32, -1.5).at<float>(2), -1.5f);
  EXPECT_EQ(corner(DType::kFloat64, 0.1).at<double>(0), 0.1);
  EXPECT_EQ(corner(DType::kInt32, -7).at<int32_t>(2), -7);
  EXPECT_EQ(corner(DType::kInt64, -7).at<int64_t>(2), -7);
  EXPECT_EQ(corner(DType::kInt8, -7).at<int8_t>(2), -7);
  EXPECT_EQ(int{corner(DType::kUInt8, 200).at<uint8_t>(0)}, 200);
  EXPECT_EQ(int{corner(DType::kBool, 1).at<uint8_t>(0)}, 1);
  EXPECT_EQ(int{corner(DType::kBFloat16, -1.5).at<uint16_t>(0)}, 0xbfc0);
  EXPECT(std::isinf(corner(DType::kFloat32, -INFINITY).at<float>(0)));
}

TEST(concatenate_along_every_axis) {
  for (DType dtype : kSizes) {
    check_concatenate({{3, 4}, {2, 4}, {5, 4}}, 0, dtype);
    check_concatenate({{30, 4}, {30, 1}, {30, 17}}, 1, dtype);
    check_concatenate({{2, 3, 4}, {2, 0, 4}, {2, 5, 4}}, 1, dtype);
    check_concatenate({{7}}, 0, dtype);
  }
  check_concatenate({{2, 30000}, {2, 50001}, {2, 3}}, 1);
  check_concatenate({{300, 200}, {500, 200}}, 0);
  check_concatenate({{0}, {0}}, 0);
}

TEST(movement_rejects_what_does_not_fit) {
  const Buffer x = bytes_buffer(make_spec({3, 4}));
  EXPECT_THROWS(run_kernel("transpose", {x}, {make_spec({4, 3})}, {{"axes", Ints{1, 1}}}), std::invalid_argument, "permutation");
  EXPECT_THROWS(run_kernel("transpose", {x}, {make_spec({3, 4})}, {{"axes", Ints{1, 0}}}), std::invalid_argument, "must have 4 elements, got 3");
  EXPECT_THROWS(run_kernel("broadcast_to", {x}, {make_spec({2, 3, 5})}), std::invalid_argument, "must have 4 elements, got 5");
  EXPECT_THROWS(run_kernel("reverse", {x}, {make_spec({3, 4})}, {{"axes", Ints{2}}}), std::invalid_argument, "got 2");
  EXPECT_THROWS(run_kernel("slice", {x}, {make_spec({3, 3})}, {{"starts", Ints{0, 2}}, {"sizes", Ints{3, 3}}, {"strides", Ints{1, 1}}}),
                std::invalid_argument, "leaves axis 1");
  EXPECT_THROWS(run_kernel("pad", {x}, {make_spec({2, 4})}, {{"low", Ints{-1, 0}}, {"high", Ints{0, 0}}, {"interior", Ints{0, 0}}, {"value", 0.0}}),
                std::invalid_argument, "must not be negative");
  EXPECT_THROWS(run_kernel("concatenate", {x, x}, {make_spec({7, 4})}, {{"axis", int64_t{0}}}), std::invalid_argument, "must have 6 elements, got 7");
}

// ---- take_rows and scatter_add_rows ----

Buffer make_ids(const Spec& spec, int64_t low, int64_t high, uint64_t seed = 3) {
  return random_buffer(spec, seed, static_cast<double>(low), static_cast<double>(high));
}

int64_t id_of(const Buffer& ids, int64_t i) {
  return ids.spec().dtype == DType::kInt32 ? ids.at<int32_t>(i) : ids.spec().dtype == DType::kInt64 ? ids.at<int64_t>(i) : ids.at<uint8_t>(i);
}

TEST(take_rows_of_every_width_and_id_type) {
  for (DType ids_type : {DType::kInt32, DType::kInt64, DType::kUInt8}) {
    for (DType dtype : kSizes) {
      for (int64_t width : {1, 2, 3, 8, 16, 17, 50, 100}) {
        const Buffer table = bytes_buffer(make_spec({40, width}, dtype)), ids = make_ids(make_spec({7, 5}, ids_type), 0, 40);
        const Buffer y = run_every_way("take_rows", {table, ids}, {make_spec({7, 5, width}, dtype)})[0];
        const size_t bytes = width * dtype_size(dtype);
        for (int64_t i = 0; i < 35; ++i) EXPECT(std::memcmp(y.as<char>() + i * bytes, table.as<char>() + id_of(ids, i) * bytes, bytes) == 0);
      }
    }
  }
}

TEST(take_rows_out_of_range) {
  const Buffer ids(make_spec({3}, DType::kInt32), {-1, 1, 2});
  const Buffer y = run_every_way("take_rows", {random_buffer({2, 3}), ids}, {make_spec({3, 3})})[0];
  for (int i : {0, 2, 6, 8}) EXPECT(std::isnan(y.at<float>(i)));
  EXPECT(!std::isnan(y.at<float>(4)));
  const Buffer doubles = run_every_way("take_rows", {random_buffer(make_spec({2}, DType::kFloat64)), ids}, {make_spec({3}, DType::kFloat64)})[0];
  EXPECT(std::isnan(doubles.at<double>(0)) && !std::isnan(doubles.at<double>(1)));
  const Buffer ints = run_every_way("take_rows", {random_buffer(make_spec({2}, DType::kInt32), 1, 5, 9), ids}, {make_spec({3}, DType::kInt32)})[0];
  EXPECT(ints.at<int32_t>(0) == 0 && ints.at<int32_t>(1) >= 5);
}

TEST(take_rows_of_many_and_none) {
  const Buffer table = random_buffer({1000, 300});
  const Buffer ids = make_ids(make_spec({5000}, DType::kInt64), 0, 1000);
  const Buffer y = run_every_way("take_rows", {table, ids}, {make_spec({5000, 300})})[0];
  for (int64_t i = 0; i < 5000; ++i) EXPECT_EQ(y.at<float>(i * 300 + 299), table.at<float>(id_of(ids, i) * 300 + 299));
  run_every_way("take_rows", {table, Buffer(make_spec({0}, DType::kInt32))}, {make_spec({0, 300})});
}

template <class T>
void check_scatter(int64_t rows, int64_t ids_count, int64_t width, DType dtype, DType ids_type = DType::kInt32, int64_t low = 0, int64_t high = -1) {
  const Buffer ids = make_ids(make_spec({ids_count}, ids_type), low, high < 0 ? rows : high),
               dy = random_buffer(make_spec({ids_count, width}, dtype), 5, -100, 100);
  const Buffer y = run_every_way("scatter_add_rows", {ids, dy}, {make_spec({rows, width}, dtype)}, {{"rows", rows}})[0];
  std::vector<T> expected(rows * width, T(0));
  for (int64_t i = 0; i < ids_count; ++i) {
    const int64_t id = id_of(ids, i);
    for (int64_t j = 0; j < width && id >= 0 && id < rows; ++j) expected[id * width + j] += dy.at<T>(i * width + j);
  }
  EXPECT(expected.empty() || std::memcmp(expected.data(), y.data(), y.spec().bytes()) == 0);
}

TEST(scatter_add_rows_sums_in_the_order_of_the_ids) {
  for (int64_t width : {1, 3, 8, 16, 33, 64, 130, 300}) {
    check_scatter<float>(10, 20, width, DType::kFloat32);
    check_scatter<float>(50, 2000, width, DType::kFloat32);
    check_scatter<float>(3000, 1500, width, DType::kFloat32);
    check_scatter<double>(50, 700, width, DType::kFloat64, DType::kInt64);
    check_scatter<int32_t>(50, 700, width, DType::kInt32, DType::kUInt8);
    check_scatter<int64_t>(50, 700, width, DType::kInt64);
    check_scatter<uint8_t>(50, 700, width, DType::kUInt8);
    check_scatter<int8_t>(50, 700, width, DType::kInt8);
  }
  check_scatter<float>(40000, 3, 70, DType::kFloat32);
  check_scatter<float>(300000, 40, 64, DType::kFloat32);
}

TEST(scatter_add_rows_of_bfloat16_rounds_once) {
  for (int64_t width : {1, 3, 16, 40, 300}) {
    for (int64_t rows : {5, 50, 3000}) {
      const Buffer ids = make_ids(make_spec({400}, DType::kInt32), 0, rows), dy = random_buffer({400, width});
      expect_bfloat16_like_float32("scatter_add_rows", {ids, dy}, {make_spec({rows, width})}, {{"rows", rows}}, 0);
    }
  }
}

TEST(scatter_add_rows_ignores_ids_out_of_range) {
  check_scatter<float>(20, 500, 200, DType::kFloat32, DType::kInt32, -10, 40);
  check_scatter<float>(20, 5000, 20, DType::kFloat32, DType::kInt64, -10, 40);
  check_scatter<float>(20, 0, 20, DType::kFloat32);
  check_scatter<float>(2000, 0, 200, DType::kFloat32);
  check_scatter<float>(0, 5, 3, DType::kFloat32, DType::kInt32, 0, 4);
}

}  // namespace
}  // namespace nnlite::test
