// A small test harness. TEST(name) { EXPECT(...); } in any *_test.cpp; test_main.cpp runs them all.
#pragma once
#include <cmath>
#include <cstdio>
#include <sstream>
#include <string>

namespace nnlite::test {

using TestFunction = void (*)();
struct TestRegistrar {
  TestRegistrar(const char* name, TestFunction function);
};
// Marks the running test as failed and prints where; only the first few failures of a test are printed.
void report_failure(const char* file, int line, const std::string& message);

template <class T>
std::string show(const T& value) {
  std::ostringstream text;
  text.precision(9);
  text << value;
  return text.str();
}

}  // namespace nnlite::test

#define TEST(name)                                                                          \
  static void test_##name();                                                                \
  static const ::nnlite::test::TestRegistrar registrar_##name(#name, test_##name);          \
  static void test_##name()

#define EXPECT(condition)                                                                   \
  do {                                                                                      \
    if (!(condition)) ::nnlite::test::report_failure(__FILE__, __LINE__, #condition);       \
  } while (0)

#define EXPECT_EQ(a, b)                                                                     \
  do {                                                                                      \
    const auto left_ = (a);  /* a copy: (a) may be a reference into something that dies */  \
    const auto right_ = (b);                                                                \
    if (!(left_ == right_))                                                                 \
      ::nnlite::test::report_failure(__FILE__, __LINE__, std::string(#a " == " #b ": ") +   \
                                     ::nnlite::test::show(left_) + " != " + ::nnlite::test::show(right_)); \
  } while (0)

// |a - b| <= tolerance; NaN equals only NaN.
#define EXPECT_NEAR(a, b, tolerance)                                                        \
  do {                                                                                      \
    const double left_ = (a), right_ = (b);                                                 \
    if (!(std::fabs(left_ - right_) <= (tolerance) || left_ == right_ || (left_ != left_ && right_ != right_))) \
      ::nnlite::test::report_failure(__FILE__, __LINE__, std::string(#a " ~ " #b ": ") +    \
                                     ::nnlite::test::show(left_) + " and " + ::nnlite::test::show(right_)); \
  } while (0)

// The expression throws Type, and its message holds `part`.
#define EXPECT_THROWS(expression, Type, part)                                               \
  do {                                                                                      \
    std::string caught_ = "nothing";                                                        \
    try {                                                                                   \
      expression;                                                                           \
    } catch (const Type& error_) {                                                          \
      caught_ = std::string(error_.what()).find(part) != std::string::npos ? "" : error_.what(); \
    }                                                                                       \
    if (!caught_.empty()) ::nnlite::test::report_failure(__FILE__, __LINE__, #expression " threw " + caught_); \
  } while (0)
