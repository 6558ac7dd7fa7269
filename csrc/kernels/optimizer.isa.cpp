// Optimizer updates of many tensors at once, in place, and the norm of many tensors. The elements of all tensors are numbered through and
// cut into chunks of equal size, so that many small tensors cost no more than one large one.
#include "kernels/float_items.h"
#include "kernels/kernel.h"

namespace nnlite::NN_ISA {
namespace {

constexpr int64_t kChunk = 16 * 1024;
constexpr int64_t kMaxChunks = 256;
constexpr int64_t kNormPiece = 1024;  // squares added in single precision, 16 in a lane
constexpr int kMaxScalars = 5;

// Inputs: `first` scalars, then groups of n tensors: params, grads, slots ..., then, when `scale` is not 0, a scalar that multiplies the gradients;
// outputs: params, slots ...
struct UpdateState {
  int n, first;
  int scale;  // its number among the inputs
  int64_t total, chunk;
  DType lr;
  double numbers[kMaxScalars];  // the rule's attributes
  int64_t starts[1];            // n + 1: the number of each tensor's first element; then the dtypes
};
NN_INLINE DType* dtypes_of(UpdateState* s) { return reinterpret_cast<DType*>(s->starts + s->n + 1); }
NN_INLINE const DType* dtypes_of(const UpdateState* s) { return reinterpret_cast<const DType*>(s->starts + s->n + 1); }

UpdateState* plan_tensors(Prepare& prepare, int n, int first) {
  auto* s = static_cast<UpdateState*>(prepare.new_state(sizeof(UpdateState) + (sizeof(int64_t) + sizeof(DType)) * static_cast<size_t>(n)));
  s->n = n;
  s->first = first;
  for (int i = 0; i < n; ++i) {
    const Spec& x = prepare.input(first + i);
    if (x.dtype != DType::kFloat32 && x.dtype != DType::kFloat64 && x.dtype != DType::kBFloat16) {
      prepare.fail("takes floating point tensors, got %s", dtype_name(x.dtype));
    }
    s->starts[i + 1] = s->starts[i] + x.size();
    dtypes_of(s)[i] = x.dtype;
  }
  s->total = s->starts[n];
  s->chunk = kChunk;
  if (s->chunk * kMaxChunks < s->total) s->chunk = (s->total + kMaxChunks - 1) / kMaxChunks / 64 * 64 + 64;
  prepare.add_phase((s->total + s->chunk - 1) / s->chunk);
  prepare.set_cost(8.0 * static_cast<double>(s->total));
  return s;
}

// Calls body(tensor, first element, elements) for the parts of tensors that elements [begin, end) of the numbering make up.
template <class Body>
NN_INLINE void for_parts(const UpdateState& s, int64_t begin, int64_t end, Body body) {
  int low = 0, high = s.n;  // the tensor that holds `begin`
  while (begin > 0 && high - low > 1) {
    const int middle = (low + high) / 2;
    (s.starts[middle] <= begin ? low : high) = middle;
  }
  for (int i = low; i < s.n && s.starts[i] < end; ++i) {
    const int64_t from = begin > s.starts[i] ? begin : s.starts[i], to = end < s.starts[i + 1] ? end : s.starts[i + 1];
    if (from < to) body(i, from - s.starts[i], to - from);
  }
}

NN_INLINE double read_scalar(const void* p, DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return *static_cast<const float*>(p);
    case DType::kFloat64: return *static_cast<const double*>(p);
    default: return to_number(BFloat16(), *static_cast<const uint16_t*>(p));
  }
}

// The rules. `Rates` are computed once per call in double; step() updates vectors in place.
struct Sgd {
  static constexpr int kFirst = 1, kSlots = 0;
  static void read(Prepare& prepare, double* numbers) { numbers[0] = prepare.get_float("weight_decay", 0); }
  static void rates(const double* numbers, double lr, int64_t, double* rates) {
    rates[0] = lr;
    rates[1] = lr * numbers[0];
  }
  template <class V>
  static NN_ALWAYS void step(const V* rates, V& p, V g, V*) {
    p = fnma(rates[0], g, fnma(rates[1], p, p));
  }
};
struct Momentum {
  static constexpr int kFirst = 1, kSlots = 1;
  static void read(Prepare& prepare, double* numbers) {
    numbers[0] = prepare.get_float("weight_decay", 0);
    numbers[1] = prepare.get_float("momentum");
  }
  static void rates(const double* numbers, double lr, int64_t, double* rates) {
    rates[0] = lr;
    rates[1] = lr * numbers[0];
    rates[2] = numbers[1];
  }
  template <class V>
  static NN_ALWAYS void step(const V* rates, V& p, V g, V* slots) {
    slots[0] = fnma(rates[0], g, slots[0] * rates[2]);
    p = fnma(rates[1], p, p) + slots[0];
  }
};
struct Nesterov : Momentum {
  template <class V>
  static NN_ALWAYS void step(const V* rates, V& p, V g, V* slots) {
    slots[0] = fnma(rates[0], g, slots[0] * rates[2]);
    p = fnma(rates[0], g, fma(slots[0], rates[2], fnma(rates[1], p, p)));
  }
};
struct RmsProp {
  static constexpr int kFirst = 1, kSlots = 1;
  static void read(Prepare& prepare, double* numbers) {
    numbers[0] = prepare.get_float("weight_decay", 0);
    numbers[1] = prepare.get_float("rho");
    numbers[2] = prepare.get_float("epsilon");
  }
  static void rates(const double* numbers, double lr, int64_t, double* rates) {
    rates[0] = lr;
    rates[1] = lr * numbers[0];
    rates[2] = numbers[1];
    rates[3] = 1 - numbers[1];
    rates[4] = numbers[2];
  }
  template <class V>
  static NN_ALWAYS void step(const V* rates, V& p, V g, V* slots) {
    slots[0] = fma(g * g, rates[3], slots[0] * rates[2]);
    p = fnma(rates[1], p, p) - (rates[0] * g) / sqrt(slots[0] + rates[4]);
  }
};
struct Adam {
  static constexpr int kFirst = 2, kSlots = 2;
  static void read(Prepare& prepare, double* numbers) {
    numbers[0] = prepare.get_float("weight_decay", 0);
    numbers[1] = prepare.get_float("beta_1");
    numbers[2] = prepare.get_float("beta_2");
    numbers[3] = prepare.get_float("epsilon");
  }
  static void rates(const double* numbers, double lr, int64_t t, double* rates) {
    const double count = static_cast<double>(t);
    rates[0] = lr * __builtin_sqrt(1 - __builtin_pow(numbers[2], count)) / (1 - __builtin_pow(numbers[1], count));
    rates[1] = lr * numbers[0];
    rates[2] = 1 - numbers[1];
    rates[3] = 1 - numbers[2];
    rates[4] = numbers[3];
  }
  template <class V>
  static NN_ALWAYS void step(const V* rates, V& p, V g, V* slots) {
    slots[0] = fma(g - slots[0], rates[2], slots[0]);
    slots[1] = fma(fms(g, g, slots[1]), rates[3], slots[1]);
    p = fnma(rates[1], p, p) - (rates[0] * slots[0]) / (sqrt(slots[1]) + rates[4]);
  }
};

// One part of tensor i: reads params, grads and slots, writes params and slots.
template <class Rule, class E>
NN_INLINE void update_part(const UpdateState& s, const StepArgs& args, const double* rates, double factor, int i, int64_t first, int64_t n) {
  using Item = typename E::Item;
  using V = typename E::V;
  constexpr int L = E::kLanes;
  V r[kMaxScalars];
  NN_UNROLL(5)
  for (int k = 0; k < kMaxScalars; ++k) r[k] = splat(static_cast<typename E::Number>(rates[k]));
  const auto in = [&](int group) { return static_cast<const Item*>(args.in[s.first + group * s.n + i]) + first; };
  const auto out = [&](int group) { return static_cast<Item*>(args.out[group * s.n + i]) + first; };
  const Item *p_in = in(0), *g_in = in(1), *a_in = Rule::kSlots > 0 ? in(2) : p_in, *b_in = Rule::kSlots > 1 ? in(3) : p_in;
  Item *p_out = out(0), *a_out = Rule::kSlots > 0 ? out(1) : p_out, *b_out = Rule::kSlots > 1 ? out(2) : p_out;
  const V scale = splat(static_cast<typename E::Number>(factor));
  int64_t k = 0;
  for (; k + L <= n; k += L) {
    V p = E::read(p_in + k), slots[2];
    if (Rule::kSlots > 0) slots[0] = E::read(a_in + k);
    if (Rule::kSlots > 1) slots[1] = E::read(b_in + k);
    Rule::step(r, p, rounded(E::read(g_in + k) * scale), slots);
    E::write(p_out + k, p);
    if (Rule::kSlots > 0) E::write(a_out + k, slots[0]);
    if (Rule::kSlots > 1) E::write(b_out + k, slots[1]);
  }
  if (k < n) {
    const int m = static_cast<int>(n - k);
    V p = E::read_part(p_in + k, m), slots[2];
    if (Rule::kSlots > 0) slots[0] = E::read_part(a_in + k, m);
    if (Rule::kSlots > 1) slots[1] = E::read_part(b_in + k, m);
    Rule::step(r, p, rounded(E::read_part(g_in + k, m) * scale), slots);
    E::write_part(p_out + k, p, m);
    if (Rule::kSlots > 0) E::write_part(a_out + k, slots[0], m);
    if (Rule::kSlots > 1) E::write_part(b_out + k, slots[1], m);
  }
}

template <class Rule>
void run_update(const void* state, int, int64_t begin, int64_t end, const StepArgs& args) {
  const auto& s = *static_cast<const UpdateState*>(state);
  double rates[kMaxScalars] = {};
  Rule::rates(s.numbers, read_scalar(args.in[0], s.lr), s.first > 1 ? *static_cast<const int64_t*>(args.in[1]) : 0, rates);
  const double factor = s.scale > 0 ? read_scalar(args.in[s.scale], s.lr) : 1;
  const int64_t last = end * s.chunk < s.total ? end * s.chunk : s.total;
  for_parts(s, begin * s.chunk, last, [&](int i, int64_t first, int64_t n) {
    switch (dtypes_of(&s)[i]) {
      case DType::kFloat32: return update_part<Rule, Float32>(s, args, rates, factor, i, first, n);
      case DType::kFloat64: return update_part<Rule, Float64>(s, args, rates, factor, i, first, n);
      default: return update_part<Rule, BFloat16>(s, args, rates, factor, i, first, n);
    }
  });
}

template <class Rule>
void prepare_update(Prepare& prepare) {
  const int n = static_cast<int>(prepare.get_int("n"));
  const bool scaled = prepare.get_int("scaled", 0) != 0;
  const int scale = Rule::kFirst + (2 + Rule::kSlots) * n;
  if (n < 1 || prepare.num_inputs() != scale + scaled || prepare.num_outputs() != (1 + Rule::kSlots) * n) {
    prepare.fail("n=%d needs %d scalars and %d groups of n tensors in, %d groups out; got %d and %d", n, Rule::kFirst + scaled, 2 + Rule::kSlots,
                 1 + Rule::kSlots, prepare.num_inputs(), prepare.num_outputs());
  }
  UpdateState* s = plan_tensors(prepare, n, Rule::kFirst);
  const auto check = [&](const Spec& own, const Spec& other) {
    if (own.dtype != other.dtype || own.size() != other.size()) {
      prepare.fail("a parameter of %lld %s meets a tensor of %lld %s", static_cast<long long>(own.size()), dtype_name(own.dtype),
                   static_cast<long long>(other.size()), dtype_name(other.dtype));
    }
  };
  for (int i = 0; i < n; ++i) {
    const Spec& param = prepare.input(Rule::kFirst + i);
    for (int group = 1; group < 2 + Rule::kSlots; ++group) check(param, prepare.input(Rule::kFirst + group * n + i));
    for (int group = 0; group < 1 + Rule::kSlots; ++group) check(param, prepare.output(group * n + i));
  }
  s->lr = prepare.input(0).dtype;
  if (prepare.input(0).size() != 1 || (s->lr != DType::kFloat32 && s->lr != DType::kFloat64 && s->lr != DType::kBFloat16)) {
    prepare.fail("the learning rate must be one float, got %lld of %s", static_cast<long long>(prepare.input(0).size()), dtype_name(s->lr));
  }
  if (scaled) {
    s->scale = scale;
    if (prepare.input(scale).size() != 1 || prepare.input(scale).dtype != s->lr) {
      const Spec& got = prepare.input(scale);
      prepare.fail("the scale of the gradients must be one %s, got %lld of %s", dtype_name(s->lr), static_cast<long long>(got.size()),
                   dtype_name(got.dtype));
    }
  }
  if (Rule::kFirst > 1 && (prepare.input(1).size() != 1 || prepare.input(1).dtype != DType::kInt64)) {
    prepare.fail("the step number must be one int64");
  }
  Rule::read(prepare, s->numbers);
  prepare.set_run(run_update<Rule>);
}

void prepare_momentum(Prepare& prepare) {
  prepare.get_int("nesterov", 0) != 0 ? prepare_update<Nesterov>(prepare) : prepare_update<Momentum>(prepare);
}

// Sum of squares of n elements.
template <class E>
NN_INLINE double sum_squares(const typename E::Item* x, int64_t n) {
  constexpr int L = E::kLanes;
  using V = typename E::V;
  double total = 0;
  while (n > 0) {
    int64_t m = n < kNormPiece ? n : kNormPiece;
    n -= m;
    V a = V::zero(), b = a, c = a, d = a;
    for (; m >= 4 * L; m -= 4 * L, x += 4 * L) {
      const V p = E::read(x), q = E::read(x + L), r = E::read(x + 2 * L), t = E::read(x + 3 * L);
      a = fma(p, p, a);
      b = fma(q, q, b);
      c = fma(r, r, c);
      d = fma(t, t, d);
    }
    for (; m >= L; m -= L, x += L) {
      const V p = E::read(x);
      a = fma(p, p, a);
    }
    if (m > 0) {
      const V p = E::read_part(x, static_cast<int>(m));
      b = fma(p, p, b);
      x += m;
    }
    total += static_cast<double>(reduce_add((a + b) + (c + d)));
  }
  return total;
}

void run_norm(const void* state, int phase, int64_t begin, int64_t end, const StepArgs& args) {
  const auto& s = *static_cast<const UpdateState*>(state);
  double* partial = static_cast<double*>(args.scratch);
  if (phase == 1) {
    double sum = 0;
    for (int64_t k = 0; k * s.chunk < s.total; ++k) sum += partial[k];
    const double norm = __builtin_sqrt(sum);
    switch (s.lr) {
      case DType::kFloat32: *static_cast<float*>(args.out[0]) = static_cast<float>(norm); return;
      case DType::kFloat64: *static_cast<double*>(args.out[0]) = norm; return;
      default: *static_cast<uint16_t*>(args.out[0]) = to_item(BFloat16(), norm); return;
    }
  }
  for (int64_t k = begin; k < end; ++k) {
    double sum = 0;
    for_parts(s, k * s.chunk, (k + 1) * s.chunk < s.total ? (k + 1) * s.chunk : s.total, [&](int i, int64_t first, int64_t n) {
      switch (dtypes_of(&s)[i]) {
        case DType::kFloat32: sum += sum_squares<Float32>(static_cast<const float*>(args.in[i]) + first, n); break;
        case DType::kFloat64: sum += sum_squares<Float64>(static_cast<const double*>(args.in[i]) + first, n); break;
        default: sum += sum_squares<BFloat16>(static_cast<const uint16_t*>(args.in[i]) + first, n);
      }
    });
    partial[k] = sum;
  }
}

void prepare_norm(Prepare& prepare) {
  UpdateState* s = plan_tensors(prepare, prepare.num_inputs(), 0);
  s->lr = prepare.output(0).dtype;
  prepare.need_scratch(sizeof(double) * static_cast<size_t>((s->total + s->chunk - 1) / s->chunk));
  prepare.add_phase(1);
  prepare.set_run(run_norm);
}

NN_KERNEL("sgd_update", prepare_update<Sgd>);
NN_KERNEL("momentum_update", prepare_momentum);
NN_KERNEL("rmsprop_update", prepare_update<RmsProp>);
NN_KERNEL("adam_update", prepare_update<Adam>);
NN_KERNEL("global_norm", prepare_norm);

}  // namespace
}  // namespace nnlite::NN_ISA
