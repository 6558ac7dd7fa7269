// Plan.
#include "runtime/plan.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "bind/arrays.h"
#include "bind/bind.h"
#include "core/check.h"
#include "core/spec_text.h"

namespace nnlite {
namespace {

// Holds a plan's arena. Waits without Python's lock: the thread that runs may need it to finish.
class ArenaHold {
 public:
  explicit ArenaHold(Arena& arena) : arena_(arena) {
    int held = arena.try_lock();
    if (held == 0) {
      py::gil_scoped_release unlocked;
      held = arena.lock() ? 1 : -1;
    }
    if (held < 0) throw std::runtime_error("a plan on this arena is already running in this thread (a signal handler must not run plans)");
  }
  ~ArenaHold() { arena_.unlock(); }
  ArenaHold(const ArenaHold&) = delete;

 private:
  Arena& arena_;
};

// Lets Ctrl-C end a long run. Python handles signals on the main thread only, so other threads do not ask.
class SignalPoll {
 public:
  Poll poll() {
    const bool main_thread = syscall(SYS_gettid) == getpid();
    return main_thread ? Poll{&SignalPoll::stop, this} : Poll{};
  }
  // With Python's lock held: raises what a signal handler raised.
  void raise_pending() {
    if (error_) throw py::error_already_set(*error_);
  }

 private:
  static bool stop(void* context) {
    py::gil_scoped_acquire locked;
    if (PyErr_CheckSignals() == 0) return false;
    static_cast<SignalPoll*>(context)->error_.emplace();
    return true;
  }
  std::optional<py::error_already_set> error_;
};

// A plan and the arrays it points into.
struct BoundPlan {
  Plan plan;
  std::vector<py::object> fixed;
};

SlotKind parse_kind(const std::string& name) {
  constexpr const char* kNames[] = {"arena", "fixed", "input", "output", "moving"};
  for (int i = 0; i < 5; ++i) {
    if (name == kNames[i]) return static_cast<SlotKind>(i);
  }
  fail_check("the kind of a slot must be 'arena', 'fixed', 'input', 'output' or 'moving'; got '%s'", name.c_str());
}

std::vector<Slot> parse_slots(const py::sequence& sequence, std::vector<py::object>* fixed) {
  std::vector<Slot> slots;
  for (const py::handle item : sequence) {
    const auto fields = item.cast<py::tuple>();
    NN_CHECK(fields.size() == 4, "a slot is (dtype, shape, kind, where); got a tuple of %zu", fields.size());
    Slot slot{parse_spec(fields[1], fields[0]), parse_kind(fields[2].cast<std::string>()), 0, nullptr};
    if (slot.kind == SlotKind::kFixed) {
      const Spec array = array_spec(fields[3].ptr(), "slot", static_cast<int>(slots.size()));
      NN_CHECK(array.dtype == slot.spec.dtype && array.size() == slot.spec.size(), "slot %zu: expected %s, got an array %s", slots.size(),
               spec_text(slot.spec).c_str(), spec_text(array).c_str());
      slot.fixed = array_pointer(fields[3].ptr());
      fixed->push_back(fields[3]);
    } else {
      slot.where = fields[3].cast<int64_t>();
    }
    slots.push_back(slot);
  }
  return slots;
}

std::vector<Spec> specs_of(const std::vector<int>& numbers, const std::vector<Slot>& slots) {
  std::vector<Spec> specs;
  for (int number : numbers) {
    NN_CHECK(number >= 0 && number < static_cast<int>(slots.size()), "a step names slot %d, but there are %zu slots", number, slots.size());
    specs.push_back(slots[number].spec);
  }
  return specs;
}

std::vector<PlanStep> parse_steps(const py::sequence& sequence, const std::vector<Slot>& slots) {
  std::vector<PlanStep> steps;
  for (const py::handle item : sequence) {
    const auto fields = item.cast<py::tuple>();
    NN_CHECK(fields.size() == 5, "a step is (kernel, input_slots, output_slots, attributes, label); got a tuple of %zu", fields.size());
    const auto inputs = fields[1].cast<std::vector<int>>(), outputs = fields[2].cast<std::vector<int>>();
    std::vector<Spec> input_specs = specs_of(inputs, slots), output_specs = specs_of(outputs, slots);
    Step step(fields[0].cast<std::string>(), std::move(input_specs), std::move(output_specs), parse_attributes(fields[3].cast<py::dict>()));
    steps.push_back({std::move(step), inputs, outputs, fields[4].cast<std::string>()});
  }
  return steps;
}

void check_writeable(const std::vector<PlanStep>& steps, const std::vector<Slot>& slots, const py::sequence& given) {
  for (const PlanStep& step : steps) {
    for (int number : step.outputs) {
      NN_CHECK(slots[number].kind != SlotKind::kInput, "step '%s' writes to slot %d, which is an input", step.label.c_str(), number);
      NN_CHECK(slots[number].kind != SlotKind::kFixed || array_is_writeable(py::object(py::tuple(given[number])[3]).ptr()),
               "step '%s' writes to slot %d, whose array is read-only", step.label.c_str(), number);
    }
  }
}

std::unique_ptr<BoundPlan> make_plan(const py::sequence& slots, const py::sequence& steps, const py::sequence& prologue, std::shared_ptr<Arena> arena,
                                     int64_t arena_bytes) {
  NN_CHECK(arena_bytes >= 0, "arena_bytes must be 0 or more; got %lld", static_cast<long long>(arena_bytes));
  std::vector<py::object> fixed;
  std::vector<Slot> parsed = parse_slots(slots, &fixed);
  std::vector<PlanStep> body = parse_steps(steps, parsed), before = parse_steps(prologue, parsed);
  check_writeable(body, parsed, slots);
  check_writeable(before, parsed, slots);
  const auto bytes = static_cast<size_t>(arena_bytes);
  return std::unique_ptr<BoundPlan>(
      new BoundPlan{Plan(std::move(parsed), std::move(body), std::move(before), std::move(arena), bytes), std::move(fixed)});
}

// The items of a sequence, kept alive while Python's lock is released.
class Items {
 public:
  explicit Items(py::handle sequence) : tuple_(py::reinterpret_steal<py::object>(PySequence_Tuple(sequence.ptr()))) {
    if (!tuple_) throw py::error_already_set();
  }
  size_t size() const { return static_cast<size_t>(PyTuple_GET_SIZE(tuple_.ptr())); }
  PyObject* operator[](size_t i) const { return PyTuple_GET_ITEM(tuple_.ptr(), static_cast<Py_ssize_t>(i)); }

 private:
  py::object tuple_;
};

void check_count(const Items& items, const std::vector<Spec>& specs, const char* what) {
  NN_CHECK(items.size() == specs.size(), "expected %zu %s, got %zu", specs.size(), what, items.size());
}

std::vector<void*> input_pointers(const Items& inputs, const Plan& plan) {
  check_count(inputs, plan.inputs(), "inputs");
  std::vector<void*> pointers(inputs.size());
  for (size_t i = 0; i < pointers.size(); ++i) {
    pointers[i] = matching_data(inputs[i], plan.inputs()[i]);
    if (pointers[i] == nullptr) fail_match(format("input %zu", i), inputs[i], plan.inputs()[i]);
  }
  return pointers;
}

// An array whose rows are those of `spec`; returns its number of rows.
int64_t check_rows(PyObject* array, const Spec& spec, const char* what, int index) {
  const Spec given = array_spec(array, what, index);
  Spec expected = spec;
  if (given.rank > 0 && spec.rank > 0) expected.dims[0] = given.dims[0];
  NN_CHECK(spec.rank > 0 && same_spec(given, expected), "%s %d: expected rows of %s, got %s", what, index, spec_text(spec).c_str(),
           spec_text(given).c_str());
  return given.dims[0];
}

std::vector<Source> parse_sources(const Items& items, const Plan& plan) {
  check_count(items, plan.inputs(), "sources");
  std::vector<Source> sources;
  for (size_t i = 0; i < items.size(); ++i) {
    const int64_t rows = check_rows(items[i], plan.inputs()[i], "source", static_cast<int>(i));
    sources.push_back({static_cast<const char*>(array_pointer(items[i])), rows});
  }
  return sources;
}

// A run that may be long: Ctrl-C ends it.
void run_loops(Plan& plan, void* const* inputs, void* const* outputs) {
  SignalPoll signals;
  {
    ArenaHold hold(plan.arena());
    py::gil_scoped_release unlocked;
    plan.run(inputs, outputs, signals.poll());
  }
  signals.raise_pending();
}

py::list run(BoundPlan& bound, py::handle inputs) {
  Plan& plan = bound.plan;
  const Items items(inputs);
  const std::vector<void*> in = input_pointers(items, plan);
  std::vector<void*> out(plan.outputs().size());
  py::list results(out.size());
  for (size_t i = 0; i < out.size(); ++i) PyList_SET_ITEM(results.ptr(), static_cast<Py_ssize_t>(i), new_array(plan.outputs()[i], &out[i]));
  if (plan.has_loops()) {
    run_loops(plan, in.data(), out.data());
    return results;
  }
  ArenaHold hold(plan.arena());
  if (plan.is_short()) {
    plan.run(in.data(), out.data());
  } else {
    py::gil_scoped_release unlocked;
    plan.run(in.data(), out.data());
  }
  return results;
}

void run_prologue(BoundPlan& bound) {
  ArenaHold hold(bound.plan.arena());
  py::gil_scoped_release unlocked;
  bound.plan.run_prologue();
}

// The row numbers of steps [first, first + count), all of them safe to follow.
const int64_t* check_order(py::handle order, int64_t first, int64_t count, int64_t batch, const std::vector<Source>& sources) {
  const Spec spec = array_spec(order.ptr(), "order", 0);
  NN_CHECK(spec.dtype == DType::kInt64 && spec.rank == 1, "order must be a vector of int64; got %s", spec_text(spec).c_str());
  const int64_t steps = spec.dims[0] / batch;
  NN_CHECK(first >= 0 && count >= 0 && first <= steps && count <= steps - first,
           "cannot run %lld steps from step %lld: the %lld entries of order are enough for %lld steps of %lld rows", static_cast<long long>(count),
           static_cast<long long>(first), static_cast<long long>(spec.dims[0]), static_cast<long long>(steps), static_cast<long long>(batch));
  int64_t rows = sources[0].rows;
  for (const Source& source : sources) rows = std::min(rows, source.rows);
  const int64_t* begin = static_cast<const int64_t*>(array_pointer(order.ptr())) + first * batch;
  for (int64_t i = 0; i < count * batch; ++i) {
    NN_CHECK(static_cast<uint64_t>(begin[i]) < static_cast<uint64_t>(rows), "order[%lld] is %lld, but the sources have %lld rows",
             static_cast<long long>(first * batch + i), static_cast<long long>(begin[i]), static_cast<long long>(rows));
  }
  return begin;
}

void run_steps(BoundPlan& bound, py::handle sources, py::handle order, int64_t first, int64_t count) {
  Plan& plan = bound.plan;
  const int64_t batch = plan.batch();
  const Items items(sources);
  const std::vector<Source> parsed = parse_sources(items, plan);
  const int64_t* rows = check_order(order, first, count, batch, parsed);
  if (count == 1 && plan.is_short()) {  // over before Ctrl-C or another thread could wait for it
    ArenaHold hold(plan.arena());
    plan.run_steps(parsed, rows, 1, {});
    return;
  }
  SignalPoll signals;
  {
    ArenaHold hold(plan.arena());
    py::gil_scoped_release unlocked;
    plan.run_steps(parsed, rows, count, signals.poll());
  }
  signals.raise_pending();
}

void run_batches(BoundPlan& bound, py::handle sources, py::handle results, int64_t first_row, int64_t count) {
  Plan& plan = bound.plan;
  const int64_t batch = plan.batch();
  const Items items(sources), targets(results);
  const std::vector<Source> parsed = parse_sources(items, plan);
  check_count(targets, plan.outputs(), "results");
  int64_t rows = parsed[0].rows;
  for (const Source& source : parsed) rows = std::min(rows, source.rows);
  std::vector<char*> out(targets.size(), nullptr);
  for (size_t i = 0; i < out.size(); ++i) {
    if (targets[i] == Py_None) continue;
    const Spec& spec = plan.outputs()[i];
    NN_CHECK(spec.rank > 0 && spec.dims[0] == batch, "result %zu: the output is %s, not %lld rows; pass None to drop it", i, spec_text(spec).c_str(),
             static_cast<long long>(batch));
    rows = std::min(rows, check_rows(targets[i], spec, "result", static_cast<int>(i)));
    NN_CHECK(array_is_writeable(targets[i]), "result %zu: the array is read-only", i);
    out[i] = static_cast<char*>(array_pointer(targets[i]));
  }
  NN_CHECK(first_row >= 0 && count >= 0 && first_row <= rows && count <= (rows - first_row) / batch,
           "%lld batches of %lld rows from row %lld need more than the %lld rows given", static_cast<long long>(count), static_cast<long long>(batch),
           static_cast<long long>(first_row), static_cast<long long>(rows));
  SignalPoll signals;
  {
    ArenaHold hold(plan.arena());
    py::gil_scoped_release unlocked;
    plan.run_batches(parsed, out, first_row, count, signals.poll());
  }
  signals.raise_pending();
}

std::vector<std::pair<std::string, double>> profile(BoundPlan& bound, py::handle inputs, int repeat) {
  Plan& plan = bound.plan;
  NN_CHECK(repeat >= 1, "repeat must be at least 1; got %d", repeat);
  const Items items(inputs);
  const std::vector<void*> in = input_pointers(items, plan);
  std::vector<Block> blocks;
  std::vector<void*> out;
  for (const Spec& spec : plan.outputs()) {
    blocks.emplace_back(spec.bytes());
    out.push_back(blocks.back().data());
  }
  ArenaHold hold(plan.arena());
  py::gil_scoped_release unlocked;
  return plan.profile(in.data(), out.data(), repeat);
}

std::string dump(BoundPlan& bound) {
  ArenaHold hold(bound.plan.arena());
  return bound.plan.dump();
}

}  // namespace

void register_plan(py::module_& module) {
  py::class_<BoundPlan>(module, "Plan")
      .def(py::init(&make_plan), py::arg("slots"), py::arg("steps"), py::arg("prologue"), py::arg("arena"), py::arg("arena_bytes"))
      .def("run", &run, py::arg("inputs"))
      .def("run_prologue", &run_prologue)
      .def("run_steps", &run_steps, py::arg("sources"), py::arg("order"), py::arg("first"), py::arg("count"))
      .def("run_batches", &run_batches, py::arg("sources"), py::arg("results"), py::arg("first_row"), py::arg("count"))
      .def("profile", &profile, py::arg("inputs"), py::arg("repeat") = 10)
      .def("dump", &dump)
      .def_property_readonly("num_steps", [](const BoundPlan& bound) { return bound.plan.steps().size(); })
      .def_property_readonly("microseconds", [](const BoundPlan& bound) { return bound.plan.nanoseconds() / 1000; });
}

}  // namespace nnlite
