// Runs an exported header over batches from stdin; the protocol is that of nalu_export/runtimes/_program.py.
#include "model.hpp"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

using Model = MODEL;

template <class T>
void put(const T& value) {
  std::fwrite(&value, sizeof value, 1, stdout);
}

void put_text(std::uint32_t status, const std::string& text) {
  put(status);
  put(static_cast<std::uint32_t>(text.size()));
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

template <class T>
bool get(T* values, std::size_t count) {
  return std::fread(values, sizeof(T), count, stdin) == count;
}

// Which NaN comes out of an operation on two of them is nobody's promise.
std::size_t differing(const float* a, const float* b, std::size_t count) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < count; ++i) {
    found += std::memcmp(a + i, b + i, sizeof *a) != 0 && !(std::isnan(a[i]) && std::isnan(b[i]));
  }
  return found;
}

}  // namespace

int main() {
  put_text(0, "library\theader\ndevice\tCPU\nprovider\theader\noptions\t\nthreads\t1\n");
  std::vector<float> x, y, alone(Model::outputs);
  for (std::uint32_t rank = 0; get(&rank, 1);) {
    std::uint64_t sizes[2] = {};
    if (rank != 2 || !get(sizes, 2) || sizes[1] != Model::inputs) return 1;
    const std::size_t n = sizes[0];
    x.resize(n * Model::inputs);
    y.resize(n * Model::outputs);
    if (!get(x.data(), x.size())) return 1;
    Model::predict(x.data(), y.data(), n);
    std::size_t different = 0;
    for (std::size_t i = 0; i < n; ++i) {
      Model::predict(x.data() + i * Model::inputs, alone.data());
      different += differing(alone.data(), y.data() + i * Model::outputs, Model::outputs) != 0;
    }
    if (different != 0) {
      put_text(1, std::to_string(different) + " of " + std::to_string(n) +
                      " samples give something else alone than in their batch");
      continue;
    }
    put(std::uint32_t{0});
    put(std::uint32_t{2});
    put(static_cast<std::uint64_t>(n));
    put(static_cast<std::uint64_t>(Model::outputs));
    std::fwrite(y.data(), sizeof(float), y.size(), stdout);
    std::fflush(stdout);
  }
}
