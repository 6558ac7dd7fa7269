#include "bind/arrays.h"

#include <algorithm>

#include "core/check.h"
#include "core/spec_text.h"

namespace nnlite {
namespace {

using py::detail::npy_api;
using py::detail::PyArray_Proxy;
using py::detail::PyArrayDescr_Proxy;

const npy_api& numpy() {
  static const npy_api& api = npy_api::get();
  return api;
}

// numpy's numbers of our dtypes, in the order of DType. bfloat16 travels as uint16: numpy has no such type.
constexpr int kNumpyTypes[] = {npy_api::NPY_FLOAT_, npy_api::NPY_DOUBLE_, npy_api::NPY_USHORT_, npy_api::NPY_INT_,
                               npy_api::NPY_LONG_,  npy_api::NPY_UBYTE_,  npy_api::NPY_BYTE_,   npy_api::NPY_BOOL_};

constexpr int kNeeded = npy_api::NPY_ARRAY_C_CONTIGUOUS_ | npy_api::NPY_ARRAY_ALIGNED_;

PyObject* descriptor(DType dtype) {
  static PyObject* made[sizeof(kNumpyTypes) / sizeof(int)] = {};
  PyObject*& found = made[static_cast<int>(dtype)];
  if (found == nullptr) found = numpy().PyArray_DescrFromType_(kNumpyTypes[static_cast<int>(dtype)]);
  Py_INCREF(found);
  return found;
}

bool is_array(PyObject* object) { return Py_TYPE(object) == numpy().PyArray_Type_ || numpy().PyArray_Check_(object); }

const PyArray_Proxy* as_array(PyObject* object) { return reinterpret_cast<const PyArray_Proxy*>(object); }

bool same_type(const PyArray_Proxy* array, DType dtype) {
  const auto* descr = reinterpret_cast<const PyArrayDescr_Proxy*>(array->descr);
  const int type = descr->type_num == npy_api::NPY_LONGLONG_ ? static_cast<int>(npy_api::NPY_LONG_) : descr->type_num;
  return type == kNumpyTypes[static_cast<int>(dtype)] && (descr->byteorder == '=' || descr->byteorder == '|');
}

std::string describe(PyObject* object) {
  if (!is_array(object)) return std::string("an object of type ") + Py_TYPE(object)->tp_name;
  const PyArray_Proxy* array = as_array(object);
  std::string text = py::str(py::handle(array->descr)).cast<std::string>() + " (";
  for (int i = 0; i < array->nd; ++i) text += (i ? ", " : "") + std::to_string(array->dimensions[i]);
  text += array->nd == 1 ? ",)" : ")";
  return (array->flags & kNeeded) == kNeeded ? text : text + " that is not C-contiguous and aligned";
}

void free_block(PyObject* capsule) {
  release(PyCapsule_GetPointer(capsule, nullptr), reinterpret_cast<size_t>(PyCapsule_GetContext(capsule)));
}

std::string describe_value(py::handle value) { return std::string("an object of type ") + Py_TYPE(value.ptr())->tp_name; }

bool is_int(py::handle value) { return PyLong_Check(value.ptr()) || (PyIndex_Check(value.ptr()) && !is_array(value.ptr())); }

// A double, or a number type that converts to one (numpy's scalars).
bool is_float(py::handle value) { return PyFloat_Check(value.ptr()) || py::hasattr(value, "__float__"); }

Attribute parse_list(const std::string& name, const py::sequence& list) {
  bool ints = true, strings = list.size() > 0;
  for (const py::handle item : list) {
    ints = ints && is_int(item);
    strings = strings && py::isinstance<py::str>(item);
    NN_CHECK(is_int(item) || is_float(item) || py::isinstance<py::str>(item), "attribute '%s' must hold ints, floats or strings; got %s",
             name.c_str(), describe_value(item).c_str());
  }
  if (ints) return list.cast<std::vector<int64_t>>();
  if (strings) return list.cast<std::vector<std::string>>();
  return list.cast<std::vector<double>>();
}

Attribute parse_attribute(const std::string& name, py::handle value) {
  if (is_int(value)) return value.cast<int64_t>();
  if (py::isinstance<py::str>(value)) return value.cast<std::string>();
  if (py::isinstance<py::tuple>(value) || py::isinstance<py::list>(value)) return parse_list(name, py::reinterpret_borrow<py::sequence>(value));
  NN_CHECK(is_float(value), "attribute '%s' must be an int, a float, a string or a flat sequence of these; got %s", name.c_str(),
           describe_value(value).c_str());
  return value.cast<double>();
}

}  // namespace

PyObject* new_array(const Spec& spec, void** data) {
  const size_t bytes = spec.bytes();
  void* block = allocate(bytes);
  PyObject* capsule = PyCapsule_New(block, nullptr, free_block);
  if (capsule == nullptr) {
    release(block, bytes);
    throw py::error_already_set();
  }
  PyCapsule_SetContext(capsule, reinterpret_cast<void*>(bytes));
  static_assert(sizeof(Py_intptr_t) == sizeof(int64_t), "a 64-bit system");
  PyObject* array = numpy().PyArray_NewFromDescr_(numpy().PyArray_Type_, descriptor(spec.dtype), spec.rank,
                                                  reinterpret_cast<const Py_intptr_t*>(spec.dims), nullptr, block,
                                                  npy_api::NPY_ARRAY_WRITEABLE_ | kNeeded, nullptr);
  if (array == nullptr) {
    Py_DECREF(capsule);
    throw py::error_already_set();
  }
  numpy().PyArray_SetBaseObject_(array, capsule);
  *data = block;
  return array;
}

void* matching_data(PyObject* object, const Spec& spec) {
  if (!is_array(object)) return nullptr;
  const PyArray_Proxy* array = as_array(object);
  const bool match = array->nd == spec.rank && (array->flags & kNeeded) == kNeeded && same_type(array, spec.dtype) &&
                     std::equal(spec.dims, spec.dims + spec.rank, array->dimensions);  // null for rank 0
  return match ? array->data : nullptr;
}

void fail_match(const std::string& what, PyObject* object, const Spec& spec) {
  fail_check("%s: expected a C-contiguous array %s, got %s", what.c_str(), spec_text(spec).c_str(), describe(object).c_str());
}

Spec array_spec(PyObject* object, const char* what, int index) {
  if (is_array(object)) {
    const PyArray_Proxy* array = as_array(object);
    Spec spec;
    spec.rank = array->nd;
    if (array->nd <= kMaxRank && (array->flags & kNeeded) == kNeeded) {
      std::copy_n(array->dimensions, array->nd, spec.dims);
      for (int i = 0; i < static_cast<int>(sizeof(kNumpyTypes) / sizeof(int)); ++i) {
        spec.dtype = static_cast<DType>(i);
        if (same_type(array, spec.dtype)) return spec;
      }
    }
  }
  fail_check("%s %d: expected a C-contiguous array of float32, float64, bfloat16 (as uint16), int32, int64, uint8, int8 or bool, got %s", what, index,
             describe(object).c_str());
}

void* array_pointer(PyObject* object) { return as_array(object)->data; }

bool array_is_writeable(PyObject* object) { return (as_array(object)->flags & npy_api::NPY_ARRAY_WRITEABLE_) != 0; }

Spec parse_spec(py::handle shape, py::handle dtype) {
  Spec spec;
  const std::string name = py::str(dtype).cast<std::string>();
  NN_CHECK(parse_dtype(name.c_str(), &spec.dtype), "dtype must be one of float32, float64, bfloat16, int32, int64, uint8, int8, bool; got '%s'",
           name.c_str());
  const auto dims = shape.cast<std::vector<int64_t>>();
  NN_CHECK(dims.size() <= static_cast<size_t>(kMaxRank), "a shape has at most %d dimensions; got %zu", kMaxRank, dims.size());
  spec.rank = static_cast<int>(dims.size());
  double size = 1;
  for (int i = 0; i < spec.rank; ++i) {
    NN_CHECK(dims[i] >= 0, "dimensions must be 0 or more; got shape %s", shape_text(dims.data(), spec.rank).c_str());
    spec.dims[i] = dims[i];
    size *= static_cast<double>(dims[i] > 0 ? dims[i] : 1);
  }
  NN_CHECK(size < 1e18, "shape %s has too many elements", shape_text(dims.data(), spec.rank).c_str());
  return spec;
}

std::vector<Spec> parse_specs(py::handle sequence) {
  std::vector<Spec> specs;
  for (const py::handle item : sequence) {
    const auto pair = item.cast<py::tuple>();
    NN_CHECK(pair.size() == 2, "a spec is a pair (shape, dtype); got a tuple of %zu", pair.size());
    specs.push_back(parse_spec(pair[0], pair[1]));
  }
  return specs;
}

Attributes parse_attributes(const py::dict& attributes) {
  Attributes parsed;
  for (const auto& item : attributes) {
    const auto name = item.first.cast<std::string>();
    if (!item.second.is_none()) parsed[name] = parse_attribute(name, item.second);
  }
  return parsed;
}

}  // namespace nnlite
