#include "kernels/rnn_plan.h"

#include <cstring>

namespace nnlite {
namespace {

constexpr int64_t kMostRows = 16;   // of a chunk
constexpr int64_t kFewChunks = 4;   // with fewer rows, smaller chunks
constexpr int64_t kLeastRows = 4;   // one register tile

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

// The names of inputs and outputs, one letter each: G gates, S states (or anything of their shape), H one state, U the recurrent kernel, B a bias.
const char* form_of(RnnCell cell, bool gradient, bool outputs, bool sequence) {
  switch (cell) {
    case RnnCell::kSimple: return !gradient ? (outputs ? "SH" : "GUH") : outputs ? "GH" : sequence ? "SUHS" : "SUH";
    case RnnCell::kLstm: return !gradient ? (outputs ? "SGSHH" : "GUHH") : outputs ? "GHH" : sequence ? "GSUHHHS" : "GSUHHH";
    case RnnCell::kGruAfter: return !gradient ? (outputs ? "SGSH" : "GUHB") : outputs ? "GGH" : sequence ? "GSSUHHS" : "GSSUHH";
    case RnnCell::kGruBefore: return !gradient ? (outputs ? "SGSH" : "GUH") : outputs ? "GH" : sequence ? "GSSUHHS" : "GSSUHH";
  }
  return "";
}

void require_form(const Prepare& prepare, const RnnPlan& plan, const char* form, bool outputs) {
  const DType dtype = prepare.input(0).dtype;
  for (int i = 0; form[i]; ++i) {
    const Spec& spec = outputs ? prepare.output(i) : prepare.input(i);
    switch (form[i]) {
      case 'G': require(prepare, "a tensor of gates", spec, dtype, 3, plan.batch, plan.steps, plan.gates * plan.units); break;
      case 'S': require(prepare, "a tensor of states", spec, dtype, 3, plan.batch, plan.steps, plan.units); break;
      case 'H': require(prepare, "a state", spec, dtype, 2, plan.batch, plan.units, 0); break;
      case 'U': require(prepare, "the recurrent kernel", spec, dtype, 2, plan.units, plan.gates * plan.units, 0); break;
      default: require(prepare, "the recurrent bias", spec, dtype, 1, plan.gates * plan.units, 0, 0); break;
    }
  }
}

void cut_rows(RnnPlan* plan) {
  const int64_t most = ceil_div(plan->batch, kLeastRows), few = most < kFewChunks ? most : kFewChunks, wanted = ceil_div(plan->batch, kMostRows);
  plan->chunks = wanted > few ? wanted : few;
  plan->rows = plan->chunks ? ceil_div(plan->batch, plan->chunks) : 0;
}

}  // namespace

void plan_rnn(Prepare& prepare, RnnCell cell, bool gradient, RnnPlan* plan) {
  plan->cell = cell;
  plan->gates = cell == RnnCell::kSimple ? 1 : cell == RnnCell::kLstm ? 4 : 3;
  plan->activation = parse_activation(prepare, "activation");
  plan->recurrent_activation = cell == RnnCell::kSimple ? RnnActivation::kLinear : parse_activation(prepare, "recurrent_activation");
  plan->reverse = prepare.get_int("reverse", 0) != 0;
  plan->sequence = gradient && prepare.get_int("sequence", 1) != 0;
  const char* form = form_of(cell, gradient, false, plan->sequence);
  const int inputs = static_cast<int>(std::strlen(form));
  plan->mask = prepare.get_int("mask", 0) ? inputs : -1;
  if (prepare.num_inputs() != inputs + (plan->mask >= 0)) {
    prepare.fail("takes %d inputs here, but got %d", inputs + (plan->mask >= 0), prepare.num_inputs());
  }
  const Spec& first = prepare.input(0);
  const Spec& kernel = prepare.input(static_cast<int>(std::strchr(form, 'U') - form));
  if (first.rank != 3 || kernel.rank != 2) {
    prepare.fail("sequences must have rank 3 and the recurrent kernel rank 2, but have %d and %d", first.rank, kernel.rank);
  }
  if (first.dtype != DType::kFloat32 && first.dtype != DType::kFloat64) {
    prepare.fail("inputs must be float32 or float64, but are %s", dtype_name(first.dtype));
  }
  plan->batch = first.dims[0];
  plan->steps = first.dims[1];
  plan->units = kernel.dims[0];
  if (plan->units < 1) prepare.fail("there must be at least one unit");
  require_form(prepare, *plan, form, false);
  require_form(prepare, *plan, form_of(cell, gradient, true, plan->sequence), true);
  if (plan->mask >= 0) require(prepare, "the mask", prepare.input(plan->mask), DType::kBool, 2, plan->batch, plan->steps, 0);

  plan->padded = ceil_div(plan->units, 16) * 16;
  plan->state_ld = plan->padded + 16;  // rows must not lie a multiple of 4 KiB apart
  plan->gate_ld = plan->gates * plan->padded + 16;
  cut_rows(plan);
  plan->pack_chunks = gradient ? ceil_div(plan->padded, kRnnPanel) : ceil_div(plan->gates * plan->padded, kRnnPanel);
  const double cells = static_cast<double>(plan->batch * plan->steps) * static_cast<double>(plan->units);
  prepare.set_cost(cells * static_cast<double>(plan->gates) * (2.0 * static_cast<double>(plan->units) + 20.0));
  prepare.add_phase(plan->pack_chunks);
  prepare.add_phase(plan->chunks);
}

}  // namespace nnlite
