#include "harness.h"

#include <sched.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>

#include "calibrate.h"
#include "core/arena.h"
#include "core/parallel.h"

namespace nnlite::bench {
namespace {

struct Options {
  bool quick = false, peak = false;
  std::string only, json;
  std::vector<Isa> isas = {active_isa()};
  std::vector<int> threads = {1, 2};
};

struct Result {
  std::string name, isa;
  int threads;
  double best_us, median_us;
  double gflops, gbytes;  // per second, of the best window
  double peak;            // the calibrator, GF/s on all threads
  double fraction;        // median over windows of the fraction of the calibrator beside them
};

// Time of the calling thread alone: what others on the machine do does not count.
double thread_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}
double wall_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// All phases of a step, `repeat` times over.
class RepeatedStep final : public Parts {
 public:
  RepeatedStep(const Step& step, const StepArgs& args, int64_t repeat) : step_(step), args_(args), parts_(repeat * static_cast<int64_t>(step.phases().size())) {}
  int64_t next(int) override {
    while (++at_ < parts_) {
      if (step_.phases()[phase()] > 0) return step_.phases()[phase()];
    }
    return 0;
  }
  void run(int worker, int64_t begin, int64_t end) override {
    StepArgs own = args_;
    own.thread_scratch = static_cast<char*>(args_.thread_scratch) + worker * static_cast<int64_t>(align_up(step_.thread_scratch_bytes()));
    step_.run(static_cast<int>(phase()), begin, end, own);
  }

 private:
  size_t phase() const { return static_cast<size_t>(at_) % step_.phases().size(); }
  const Step& step_;
  const StepArgs args_;
  const int64_t parts_;
  int64_t at_ = -1;
};

// One chunk of calibration a thread.
class CalibratedTeam final : public Parts {
 public:
  CalibratedTeam(Isa isa, int threads, int64_t rounds) : isa_(isa), threads_(threads), rounds_(rounds) {}
  int64_t next(int) override { return done_++ ? 0 : threads_; }
  void run(int, int64_t begin, int64_t end) override {
    for (int64_t i = begin; i < end; ++i) calibrate(isa_, rounds_);
  }

 private:
  Isa isa_;
  int64_t threads_, rounds_;
  int done_ = 0;
};

// Gives every worker a CPU of its own: left alone, two of them may share one for seconds.
class PinnedTeam final : public Parts {
 public:
  explicit PinnedTeam(int threads) : threads_(threads) {
    CPU_ZERO(&allowed_);
    sched_getaffinity(0, sizeof(allowed_), &allowed_);
  }
  int64_t next(int) override { return done_++ ? 0 : threads_; }
  void run(int worker, int64_t, int64_t) override {
    pin(worker);
    ++arrived_;
    for (const double start = wall_seconds(); arrived_ < threads_ && wall_seconds() - start < 0.1;) sched_yield();
  }

 private:
  // The worker-th of the CPUs that the process may use, counted round.
  void pin(int worker) const {
    int place = worker % std::max(1, CPU_COUNT(&allowed_));
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &allowed_) || place-- > 0) continue;
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      sched_setaffinity(0, sizeof(one), &one);
      return;
    }
  }

  cpu_set_t allowed_;
  int threads_, done_ = 0;
  std::atomic<int> arrived_{0};
};

// Pins the team for as long as it lives, and lets the calling thread go where it could before.
class PinnedScope {
 public:
  explicit PinnedScope(int threads) {
    sched_getaffinity(0, sizeof(before_), &before_);
    if (threads == 1) return;
    PinnedTeam team(threads);
    run_parts(threads, team);
  }
  ~PinnedScope() { sched_setaffinity(0, sizeof(before_), &before_); }

 private:
  cpu_set_t before_;
};

double peak_gflops(Isa isa, int threads, int64_t rounds) {
  if (threads == 1) {
    const double start = thread_seconds();
    const double flops = calibrate(isa, rounds);
    return flops / (thread_seconds() - start) * 1e-9;
  }
  CalibratedTeam team(isa, threads, rounds);
  const double start = wall_seconds();
  run_parts(threads, team);
  const double seconds = wall_seconds() - start;
  return threads * calibrate(isa, 1) * static_cast<double>(rounds) / seconds * 1e-9;
}

void fill(void* data, const Spec& spec, uint64_t seed) {
  uint64_t state = seed;
  const auto uniform = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state >> 11) / 4503599627370496.0 - 1;
  };
  std::memset(data, 0, spec.bytes());
  for (int64_t i = 0; i < spec.size(); ++i) {
    if (spec.dtype == DType::kFloat32) static_cast<float*>(data)[i] = static_cast<float>(uniform());
    if (spec.dtype == DType::kFloat64) static_cast<double*>(data)[i] = uniform();
    if (spec.dtype == DType::kBFloat16) {
      const float value = static_cast<float>(uniform());
      uint32_t bits;
      std::memcpy(&bits, &value, sizeof(bits));
      static_cast<uint16_t*>(data)[i] = static_cast<uint16_t>(bits >> 16);
    }
  }
}

// A case with its memory.
struct Bound {
  Bound(const Case& c, Isa isa, int threads) : step(c.kernel, c.inputs, c.outputs, c.attributes, isa) {
    uint64_t seed = 1;
    for (const Spec& spec : c.inputs) {
      in.push_back(take(spec.bytes()));
      fill(in.back(), spec, seed++);
      bytes += static_cast<double>(spec.bytes());
    }
    if (c.fill) c.fill(in);
    for (const Spec& spec : c.outputs) {
      out.push_back(take(spec.bytes()));
      std::memset(out.back(), 0, spec.bytes());
      bytes += static_cast<double>(spec.bytes());
    }
    args = {in.data(), out.data(), take(step.scratch_bytes()), take(static_cast<size_t>(threads) * align_up(step.thread_scratch_bytes()))};
  }
  void* take(size_t size) {
    blocks.emplace_back(size + kAlignment);
    return blocks.back().data();
  }

  Step step;
  std::vector<Block> blocks;
  std::vector<void*> in, out;
  StepArgs args;
  double bytes = 0;
};

double run_seconds(const Bound& bound, int threads, int64_t repeat) {
  if (threads == 1) {
    const double start = thread_seconds();
    for (int64_t i = 0; i < repeat; ++i) bound.step.run_serial(bound.args);
    return thread_seconds() - start;
  }
  RepeatedStep parts(bound.step, bound.args, repeat);
  const double start = wall_seconds();
  run_parts(threads, parts);
  return wall_seconds() - start;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Result measure(const Case& c, Isa isa, int threads, bool quick) {
  const Bound bound(c, isa, threads);
  const PinnedScope pinned(threads);
  const double once = std::max(run_seconds(bound, threads, 1), 1e-8);
  const int64_t repeat = quick ? 1 : std::clamp<int64_t>(static_cast<int64_t>(3e-4 / once), 1, 5000);
  const int windows = quick ? 1 : std::clamp(static_cast<int>(0.15 / (once * static_cast<double>(repeat))), 7, 60);
  const int64_t rounds = quick ? 100 : 8000;
  std::vector<double> seconds, fractions;
  double peak = 0;
  for (int w = 0; w < windows; ++w) {
    const double before = peak_gflops(isa, threads, rounds);
    seconds.push_back(run_seconds(bound, threads, repeat) / static_cast<double>(repeat));
    const double beside = std::max(before, peak_gflops(isa, threads, rounds));
    fractions.push_back(c.flops / seconds.back() * 1e-9 / beside);
    peak = std::max(peak, beside);
  }
  const double best = *std::min_element(seconds.begin(), seconds.end());
  return {c.name, isa_name(isa), threads, best * 1e6, median(seconds) * 1e6, c.flops / best * 1e-9, bound.bytes / best * 1e-9, peak, median(fractions)};
}

void print(const Result& r) {
  std::printf("%-28s %-8s %2d %11.2f %11.2f", r.name.c_str(), r.isa.c_str(), r.threads, r.best_us, r.median_us);
  if (r.gflops > 0) std::printf(" %9.1f %7.1f%% %7.1f%%", r.gflops, 100 * r.gflops / r.peak, 100 * r.fraction);
  if (r.gflops <= 0) std::printf(" %9s %8s %8s", "", "", "");
  std::printf(" %8.1f\n", r.gbytes);
  std::fflush(stdout);
}

void write_json(const std::string& path, const std::string& family, const std::vector<Result>& results) {
  std::ofstream file(path);
  file << "{\"family\": \"" << family << "\", \"results\": [";
  for (size_t i = 0; i < results.size(); ++i) {
    const Result& r = results[i];
    file << (i ? ",\n" : "\n") << "  {\"name\": \"" << r.name << "\", \"isa\": \"" << r.isa << "\", \"threads\": " << r.threads << ", \"best_us\": " << r.best_us
         << ", \"median_us\": " << r.median_us << ", \"gflops\": " << r.gflops << ", \"gbytes\": " << r.gbytes << ", \"peak_gflops\": " << r.peak
         << ", \"fraction_of_peak\": " << r.fraction << "}";
  }
  file << "\n]}\n";
  if (!file) {
    std::fprintf(stderr, "cannot write %s\n", path.c_str());
    std::exit(2);
  }
}

[[noreturn]] void usage(const std::string& message) {
  std::fprintf(stderr, "%s\noptions: --quick, --peak, --only PART-OF-NAME, --isa baseline|avx2|avx512|all, --threads LIST, --json FILE\n", message.c_str());
  std::exit(2);
}

std::vector<Isa> parse_isas(const std::string& name) {
  std::vector<Isa> isas;
  for (int i = 0; i <= static_cast<int>(best_isa()); ++i) {
    const Isa isa = static_cast<Isa>(i);
    if (name == "all" || name == isa_name(isa)) isas.push_back(isa);
  }
  if (isas.empty()) usage("--isa: this machine cannot run '" + name + "'");
  return isas;
}

std::vector<int> parse_threads(const std::string& list) {
  std::vector<int> threads;
  for (size_t at = 0; at < list.size(); at = list.find(',', at) == std::string::npos ? list.size() : list.find(',', at) + 1) {
    threads.push_back(std::atoi(list.c_str() + at));
    if (threads.back() < 1 || threads.back() > kMaxThreads) usage("--threads: bad count in '" + list + "'");
  }
  return threads;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--quick" || option == "--peak") {
      (option == "--quick" ? options.quick : options.peak) = true;
      continue;
    }
    if (i + 1 == argc) usage("unknown option, or one without its value: " + option);
    const std::string value = argv[++i];
    if (option == "--only") {
      options.only = value;
    } else if (option == "--isa") {
      options.isas = parse_isas(value);
    } else if (option == "--threads") {
      options.threads = parse_threads(value);
    } else if (option == "--json") {
      options.json = value;
    } else {
      usage("unknown option " + option);
    }
  }
  return options;
}

// The calibrator alone, GF/s, a line for every thread count.
void print_peaks(const Options& options) {
  for (int threads : options.threads) {
    const PinnedScope pinned(threads);
    double best = 0;
    for (int i = 0; i < 20; ++i) best = std::max(best, peak_gflops(options.isas[0], threads, 8000));
    std::printf("%.1f\n", best);
  }
}

}  // namespace

Spec make_spec(std::vector<int64_t> dims, DType dtype) {
  Spec spec;
  spec.dtype = dtype;
  for (int64_t dim : dims) spec.dims[spec.rank++] = dim;
  return spec;
}

int run_benchmark(int argc, char** argv, const std::string& family, const std::vector<Case>& cases) {
  const Options options = parse(argc, argv);
  const FlushDenormals flush;
  if (options.peak) {
    print_peaks(options);
    return 0;
  }
  std::vector<Result> results;
  std::printf("%-28s %-8s %2s %11s %11s %9s %8s %8s %8s\n", family.c_str(), "isa", "th", "best us", "median us", "GF/s", "of peak", "median", "GB/s");
  for (const Case& c : cases) {
    if (c.name.find(options.only) == std::string::npos) continue;
    for (Isa isa : options.isas) {
      for (int threads : options.threads) {
        results.push_back(measure(c, isa, threads, options.quick));
        print(results.back());
      }
    }
  }
  if (!options.json.empty()) write_json(options.json, family, results);
  return 0;
}

}  // namespace nnlite::bench
