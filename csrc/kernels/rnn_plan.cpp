#include "kernels/rnn_plan.h"

#include <cstring>
#include <limits>

namespace nnlite {
namespace {

constexpr int64_t kMostRows = 16;   // of a chunk
constexpr int64_t kFewChunks = 4;   // with fewer rows, smaller chunks
constexpr int64_t kFewChunksOfProducts = 8;  // products are worth more threads
constexpr int64_t kLeastRows = 4;   // one register tile
constexpr int64_t kBlockRows = 128;  // steps of all rows of a block together
constexpr int64_t kMostParts = 16;

RnnActivation parse_activation(const Prepare& prepare, const char* attribute) {
  constexpr const char* kNames[] = {"tanh", "sigmoid", "relu", "linear", "hard_sigmoid"};
  const char* name = prepare.get_string(attribute, "tanh");
  int i = 0;
  while (i < 5 && std::strcmp(name, kNames[i])) ++i;
  if (i == 5) prepare.fail("%s must be 'tanh', 'sigmoid', 'relu', 'linear' or 'hard_sigmoid', but is '%s'", attribute, name);
  return static_cast<RnnActivation>(i);
}

void require(const Prepare& prepare, const char* what, const Spec& spec, DType dtype, int rank, int64_t a, int64_t b, int64_t c) {
  const int64_t dims[3] = {a, b, c};
  bool fits = spec.rank == rank && spec.dtype == dtype;
  for (int i = 0; i < rank && fits; ++i) fits = spec.dims[i] == dims[i];
  if (fits) return;
  if (rank == 3) {
    prepare.fail("%s must be %s [%lld, %lld, %lld]", what, dtype_name(dtype), static_cast<long long>(a), static_cast<long long>(b),
                 static_cast<long long>(c));
  }
  if (rank == 1) prepare.fail("%s must be %s [%lld]", what, dtype_name(dtype), static_cast<long long>(a));
  prepare.fail("%s must be %s [%lld, %lld]", what, dtype_name(dtype), static_cast<long long>(a), static_cast<long long>(b));
}

// The names of inputs and outputs, one letter each: G gates, S states (or anything of their shape), H one state, U the recurrent kernel, B a bias,
// M a mask, T a table of gates, I its rows, X inputs that were projected, W the kernel that did it.
const char* gradient_inputs(RnnCell cell, bool sequence) {
  switch (cell) {
    case RnnCell::kSimple: return sequence ? "SUHS" : "SUH";
    case RnnCell::kLstm: return sequence ? "GSUHHHS" : "GSUHHH";
    case RnnCell::kGruAfter:
    case RnnCell::kGruBefore: return sequence ? "GSSUHHS" : "GSSUHH";
  }
  return "";
}
const char* forward_inputs(RnnCell cell) {
  return cell == RnnCell::kSimple || cell == RnnCell::kGruBefore ? "UH" : cell == RnnCell::kLstm ? "UHH" : "UHB";
}

// A text of a few letters.
struct Form {
  char letters[32] = {};
  int count = 0;

  void add(const char* more) {
    while (*more) letters[count++] = *more++;
  }
  // Adds a letter and returns where it stands.
  int place(char letter) {
    letters[count] = letter;
    return count++;
  }
  int find(char letter) const {
    const char* found = std::strchr(letters, letter);
    return found ? static_cast<int>(found - letters) : -1;
  }
};

// Of the inputs for the products, the cells' own may hold some: states (simple_rnn, gru) and the first state (gru).
void add_product_inputs(const RnnPlan& plan, Form* form, RnnGradPlaces* at) {
  const bool simple = plan.cell == RnnCell::kSimple, lstm = plan.cell == RnnCell::kLstm;
  at->states = at->first_state = at->x = at->w = -1;
  if (plan.u_grad) {
    at->states = simple ? 0 : lstm ? form->place('S') : 2;
    at->first_state = simple || lstm ? form->place('H') : at->first;
  }
  if (plan.products) at->x = form->place('X');
  if (plan.input_grad) at->w = form->place('W');
}

void find_gradient_inputs(const RnnPlan& plan, RnnGradPlaces* at) {
  const bool simple = plan.cell == RnnCell::kSimple, lstm = plan.cell == RnnCell::kLstm;
  at->kept = simple ? -1 : 1;
  at->u = simple ? 1 : lstm ? 2 : 3;
  at->first = simple ? -1 : at->u + 1;
  at->dlast = simple ? 2 : at->u + 2;
  at->dstates = plan.sequence ? at->dlast + (lstm ? 2 : 1) : -1;
}

Form inputs_of(const Prepare& prepare, bool gradient, RnnPlan* plan) {
  Form form;
  if (gradient) {
    form.add(gradient_inputs(plan->cell, plan->sequence));
  } else {
    form.add(prepare.get_int("table", 0) ? "T" : "G");
    form.add(forward_inputs(plan->cell));
  }
  if (prepare.get_int("mask", 0)) form.add("M");
  if (form.find('T') >= 0) form.add("I");
  if (gradient) {
    find_gradient_inputs(*plan, &plan->at);
    add_product_inputs(*plan, &form, &plan->at);
  }
  return form;
}

Form gradient_outputs(const Prepare& prepare, const RnnPlan& plan, RnnGradPlaces* at) {
  Form form;
  const bool after = plan.cell == RnnCell::kGruAfter;
  const auto place = [&form](bool there, char letter) { return there ? form.place(letter) : -1; };
  at->dx = place(!plan.products, 'G');
  at->dinner = place(after && !plan.u_grad, 'G');
  at->dfirst = form.place('H');
  if (plan.cell == RnnCell::kLstm) form.place('H');
  at->du = place(plan.u_grad, 'U');
  at->dinner_bias = place(plan.u_grad && after, 'B');
  at->dw = place(plan.products, 'W');
  at->dbias = place(plan.products && prepare.get_int("bias_grad", 0), 'B');
  at->dinput = place(plan.input_grad, 'X');
  return form;
}

// Sets where the forward kernels find their outputs, too.
Form outputs_of(const Prepare& prepare, bool gradient, RnnPlan* plan) {
  Form form;
  plan->states = plan->kept = -1;
  if (gradient) return gradient_outputs(prepare, *plan, &plan->at);
  if (prepare.get_int("sequence", 1)) {
    plan->states = 0;
    form.add("S");
  }
  if (plan->cell != RnnCell::kSimple && prepare.get_int("keep", 1)) {
    plan->kept = form.count;
    form.add("GS");
  }
  plan->last = form.count;
  form.add(plan->cell == RnnCell::kLstm ? "HH" : "H");
  return form;
}

void require_form(const Prepare& prepare, const RnnPlan& plan, const Form& form, bool outputs) {
  const DType dtype = prepare.input(0).dtype;
  const int count = outputs ? prepare.num_outputs() : prepare.num_inputs();
  if (count != form.count) prepare.fail("takes %d %s here, but got %d", form.count, outputs ? "outputs" : "inputs", count);
  for (int i = 0; i < form.count; ++i) {
    const Spec& spec = outputs ? prepare.output(i) : prepare.input(i);
    switch (form.letters[i]) {
      case 'G': require(prepare, "a tensor of gates", spec, dtype, 3, plan.batch, plan.steps, plan.gates * plan.units); break;
      case 'S': require(prepare, "a tensor of states", spec, dtype, 3, plan.batch, plan.steps, plan.units); break;
      case 'H': require(prepare, "a state", spec, dtype, 2, plan.batch, plan.units, 0); break;
      case 'M': require(prepare, "the mask", spec, DType::kBool, 2, plan.batch, plan.steps, 0); break;
      case 'T': require(prepare, "the table", spec, dtype, 2, plan.table_rows, plan.gates * plan.units, 0); break;
      case 'I': require(prepare, "rows of the table", spec, DType::kInt32, 2, plan.batch, plan.steps, 0); break;
      case 'U': require(prepare, "the recurrent kernel", spec, dtype, 2, plan.units, plan.gates * plan.units, 0); break;
      case 'X': require(prepare, "a tensor of inputs", spec, dtype, 3, plan.batch, plan.steps, plan.features); break;
      case 'W': require(prepare, "the kernel", spec, dtype, 2, plan.features, plan.gates * plan.units, 0); break;
      default: require(prepare, "a bias", spec, dtype, 1, plan.gates * plan.units, 0, 0); break;
    }
  }
}

void cut_rows(RnnPlan* plan) {
  const int64_t most = ceil_div(plan->batch, kLeastRows), wanted = ceil_div(plan->batch, kMostRows);
  int64_t few = plan->u_grad ? kFewChunksOfProducts : kFewChunks;
  few = most < few ? most : few;
  plan->chunks = wanted > few ? wanted : few;
  plan->rows = plan->chunks ? ceil_div(plan->batch, plan->chunks) : 0;
}

// What a gradient works out besides: which products, how many steps at a time, and where the sums of a part lie.
void ask_for_products(const Prepare& prepare, RnnPlan* plan) {
  plan->products = prepare.get_int("products", 0) != 0;
  plan->u_grad = plan->products || prepare.get_int("u_grad", 0);
  plan->input_grad = plan->products && prepare.get_int("input_grad", 0);
  if (plan->u_grad && plan->cell == RnnCell::kGruBefore) prepare.fail("makes no kernel gradients where the reset gate acts before the product");
}

void cut_blocks(RnnPlan* plan) {
  const int64_t fitting = plan->rows ? kBlockRows / plan->rows : 1, most = plan->steps > 1 ? plan->steps : 1;
  plan->block_steps = !plan->u_grad ? 1 : fitting < 1 ? 1 : fitting < most ? fitting : most;
  plan->slots = plan->gates + (plan->products && plan->cell == RnnCell::kGruAfter);
  plan->gate_ld = plan->slots * plan->padded + 16;
  plan->feature_ld = plan->products ? ceil_div(plan->features, 16) * 16 + 16 : 0;
  plan->parts = plan->u_grad && plan->chunks > kMostParts ? kMostParts : plan->chunks;
  if (!plan->u_grad) return;
  const int64_t wide = plan->gates * plan->padded;
  plan->w_sums = (plan->units + kRnnSpareRows) * wide;
  plan->bias_sums = plan->w_sums + (plan->products ? (plan->features + kRnnSpareRows) * wide : 0);
  plan->inner_sums = plan->bias_sums + wide;
  plan->part_size = plan->inner_sums + wide;
}

double gradient_flops(const RnnPlan& plan) {
  const double wide = static_cast<double>(plan.batch * plan.steps) * static_cast<double>(plan.gates * plan.units);
  const int64_t depth = (plan.u_grad ? plan.units : 0) + (plan.products ? plan.features : 0) + (plan.input_grad ? plan.features : 0);
  return 2.0 * wide * static_cast<double>(depth);
}

template <class T>
void fill_missing(const RnnPlan& plan, T* row) {
  for (int64_t i = 0; i < plan.gates * plan.units; ++i) row[i] = std::numeric_limits<T>::quiet_NaN();
}

}  // namespace

size_t rnn_state_bytes(const Prepare& prepare) {
  const Spec& first = prepare.input(0);
  const bool table = prepare.get_int("table", 0) && first.rank == 2;
  return sizeof(RnnPlan) + (table ? static_cast<size_t>(first.dims[1]) * dtype_size(first.dtype) : 0);
}

void plan_rnn(Prepare& prepare, RnnCell cell, bool gradient, RnnPlan* plan) {
  plan->cell = cell;
  plan->gates = cell == RnnCell::kSimple ? 1 : cell == RnnCell::kLstm ? 4 : 3;
  plan->activation = parse_activation(prepare, "activation");
  plan->recurrent_activation = cell == RnnCell::kSimple ? RnnActivation::kLinear : parse_activation(prepare, "recurrent_activation");
  plan->reverse = prepare.get_int("reverse", 0) != 0;
  plan->sequence = gradient && prepare.get_int("sequence", 1) != 0;
  if (gradient) ask_for_products(prepare, plan);
  const Form form = inputs_of(prepare, gradient, plan);
  plan->mask = form.find('M');
  plan->ids = form.find('I');
  if (prepare.num_inputs() != form.count) prepare.fail("takes %d inputs here, but got %d", form.count, prepare.num_inputs());
  const Spec& first = prepare.input(0);
  const Spec& kernel = prepare.input(form.find('U'));
  const Spec& sequences = plan->ids < 0 ? first : prepare.input(plan->ids);
  if (sequences.rank != (plan->ids < 0 ? 3 : 2) || kernel.rank != 2) {
    prepare.fail("sequences must have rank 3 (rows of a table 2) and the recurrent kernel rank 2, but have %d and %d", sequences.rank, kernel.rank);
  }
  if (first.dtype != DType::kFloat32 && first.dtype != DType::kFloat64) {
    prepare.fail("inputs must be float32 or float64, but are %s", dtype_name(first.dtype));
  }
  plan->batch = sequences.dims[0];
  plan->steps = sequences.dims[1];
  plan->table_rows = first.dims[0];
  plan->units = kernel.dims[0];
  if (plan->units < 1) prepare.fail("there must be at least one unit");
  if (plan->products) plan->features = prepare.input(plan->at.x).rank == 3 ? prepare.input(plan->at.x).dims[2] : 0;
  require_form(prepare, *plan, form, false);
  require_form(prepare, *plan, outputs_of(prepare, gradient, plan), true);

  plan->padded = ceil_div(plan->units, 16) * 16;
  plan->state_ld = plan->padded + 16;  // rows must not lie a multiple of 4 KiB apart
  plan->gate_ld = plan->gates * plan->padded + 16;
  if (plan->ids >= 0 && first.dtype == DType::kFloat32) fill_missing(*plan, reinterpret_cast<float*>(plan + 1));
  if (plan->ids >= 0 && first.dtype == DType::kFloat64) fill_missing(*plan, reinterpret_cast<double*>(plan + 1));
  cut_rows(plan);
  if (gradient) cut_blocks(plan);
  plan->pack_chunks = gradient ? ceil_div(plan->padded, kRnnPanel) + (plan->input_grad ? ceil_div(plan->features, kRnnPanel) : 0)
                               : ceil_div(plan->gates * plan->padded, kRnnPanel);
  const double cells = static_cast<double>(plan->batch * plan->steps) * static_cast<double>(plan->units);
  prepare.set_cost(cells * static_cast<double>(plan->gates) * (2.0 * static_cast<double>(plan->units) + 20.0) +
                   (gradient ? gradient_flops(*plan) : 0));
  prepare.add_phase(plan->pack_chunks);
  prepare.add_phase(gradient ? plan->parts : plan->chunks);
  if (gradient && plan->u_grad) prepare.add_phase(plan->units + plan->features);
}

}  // namespace nnlite
