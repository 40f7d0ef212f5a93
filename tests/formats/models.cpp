// Runs the models of MODELS over samples from stdin, in batches of each size of SIZES and one by one; writes the outputs.
#include HEADERS

#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <type_traits>

namespace {

// As many numbers as there are, so that a sanitizer sees the first one that is not theirs; null for none.
std::unique_ptr<float[]> floats(std::size_t count) {
  return std::unique_ptr<float[]>(count != 0 ? new float[count] : nullptr);
}

bool same(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0 || (std::isnan(a) && std::isnan(b)); }

template <class Model>
int run(const char* name) {
  static_assert(noexcept(Model::predict(nullptr, nullptr)), "no exception");
  static_assert(noexcept(Model::predict(nullptr, nullptr, 0)), "no exception");
  static_assert(std::is_empty<Model>::value, "no state");
  constexpr std::size_t inputs = Model::inputs, outputs = Model::outputs;
  constexpr std::size_t sizes[] = {SIZES};
  for (const std::size_t n : sizes) {
    const auto x = floats(n * inputs), y = floats(n * outputs);
    if (n != 0 && std::fread(x.get(), sizeof(float), n * inputs, stdin) != n * inputs) return 2;
    Model::predict(x.get(), y.get(), n);
    if (n == 0) continue;
    std::fwrite(y.get(), sizeof(float), n * outputs, stdout);
    for (std::size_t i = 0; i < n; ++i) {
      const auto one = floats(inputs), alone = floats(outputs);
      std::memcpy(one.get(), x.get() + i * inputs, inputs * sizeof(float));
      Model::predict(one.get(), alone.get());
      for (std::size_t o = 0; o < outputs; ++o) {
        if (same(alone[o], y[i * outputs + o])) continue;
        std::fprintf(stderr, "%s: sample %zu of %zu gives %a alone, %a in the batch\n", name, i, n,
                     static_cast<double>(alone[o]), static_cast<double>(y[i * outputs + o]));
        return 1;
      }
    }
  }
  return 0;
}

}  // namespace

int main() {
  int failed = 0;
#define RUN(MODEL) failed |= run<MODEL>(#MODEL);
  MODELS
  return failed;
}
