#include "kernels/elementwise_program.h"

namespace nnlite {
namespace {

class Combiner {
 public:
  explicit Combiner(ElementwiseProgram* program) : p_(*program) {
    for (int i = 0; i < p_.instructions; ++i) {
      for (int k = 0; k < 3; ++k) {
        if (arg(i, k) >= 0) ++uses_[arg(i, k)];
      }
    }
    for (int k = 0; k < p_.results; ++k) uses_[p_.registers[k]] += 2;  // never a passing value
  }

  void run() {
    for (int i = 0; i < p_.instructions; ++i) {
      // bfloat16 rounds every result: a group would give other bits.
      const DType dtype = p_.dtypes[p_.inputs + i];
      if (dtype != DType::kFloat32 && dtype != DType::kFloat64) continue;
      if (p_.opcodes[i] == Opcode::k_where) relu_gradient(i);
      if (p_.opcodes[i] == Opcode::k_multiply) {
        for (int side = 0; side < 2 && p_.opcodes[i] == Opcode::k_multiply; ++side) activation_gradient(i, arg(i, side), arg(i, 1 - side));
      }
      if (p_.opcodes[i] == Opcode::k_square) square_of_difference(i);
    }
    mark_needed();
  }

 private:
  int64_t arg(int i, int k) const { return p_.args[3 * i + k]; }
  // The instruction that writes a register, or -1 for an input.
  int writer(int64_t reg) const { return reg >= p_.inputs ? static_cast<int>(reg) - p_.inputs : -1; }
  bool is_constant(int64_t reg, double value) const {
    const int i = writer(reg);
    return i >= 0 && p_.opcodes[i] == Opcode::k_constant && p_.params[i] == value;
  }
  // The instruction `opcode` that writes a register read only once, or -1.
  int passing(int64_t reg, Opcode opcode) const {
    const int i = writer(reg);
    return i >= 0 && p_.opcodes[i] == opcode && uses_[reg] == 1 ? i : -1;
  }
  void replace(int i, Opcode opcode, int64_t a, int64_t b) {
    p_.opcodes[i] = opcode;
    p_.args[3 * i] = a;
    p_.args[3 * i + 1] = b;
    p_.args[3 * i + 2] = -1;
  }

  // where(y > 0, dy, 0)
  void relu_gradient(int i) {
    const int test = passing(arg(i, 0), Opcode::k_greater);
    if (test < 0 || !is_constant(arg(test, 1), 0) || !is_constant(arg(i, 2), 0)) return;
    if (p_.dtypes[arg(test, 0)] == p_.dtypes[p_.inputs + i]) replace(i, Opcode::k_relu_grad, arg(i, 1), arg(test, 0));
  }

  // dy * (y * (1 - y)) and dy * (1 - y^2)
  void activation_gradient(int i, int64_t dy, int64_t factor) {
    const int product = passing(factor, Opcode::k_multiply);
    if (product >= 0) {
      for (int side = 0; side < 2; ++side) {
        const int64_t y = arg(product, side);
        const int rest = passing(arg(product, 1 - side), Opcode::k_subtract);
        if (rest >= 0 && is_constant(arg(rest, 0), 1) && arg(rest, 1) == y) return replace(i, Opcode::k_sigmoid_grad, dy, y);
      }
    }
    const int rest = passing(factor, Opcode::k_subtract);
    if (rest < 0 || !is_constant(arg(rest, 0), 1)) return;
    const int square = passing(arg(rest, 1), Opcode::k_square);
    if (square >= 0) replace(i, Opcode::k_tanh_grad, dy, arg(square, 0));
  }

  void square_of_difference(int i) {
    const int difference = passing(arg(i, 0), Opcode::k_subtract);
    if (difference >= 0) replace(i, Opcode::k_square_difference, arg(difference, 0), arg(difference, 1));
  }

  void mark_needed() {
    bool wanted[kMaxRegisters] = {};
    for (int k = 0; k < p_.results; ++k) wanted[p_.registers[k]] = true;
    for (int i = p_.instructions - 1; i >= 0; --i) {
      p_.needed[i] = wanted[p_.inputs + i];
      for (int k = 0; k < 3 && p_.needed[i]; ++k) {
        if (arg(i, k) >= 0) wanted[arg(i, k)] = true;
      }
    }
  }

  ElementwiseProgram& p_;
  int uses_[kMaxRegisters] = {};
};

}  // namespace

void combine_instructions(ElementwiseProgram* program) { Combiner(program).run(); }

}  // namespace nnlite
