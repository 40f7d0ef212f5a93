// Runs an exported header over batches from stdin; the protocol is that of nalu_export/runtimes/_program.py.
#include "model.hpp"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
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

// A type, as the protocol counts them.
template <class T>
constexpr std::uint32_t code() {
  if (std::is_same_v<T, float>) return 1;
  if (std::is_same_v<T, double>) return 2;
  if (std::is_same_v<T, std::int32_t>) return 3;
  if (std::is_same_v<T, std::int64_t>) return 4;
  return 5;
}

// Numbers in a sample of what the k-th pointer of predict points to.
template <class M, class = void>
struct sizes {
  static constexpr std::size_t at(std::size_t k) { return k == 0 ? M::inputs : M::outputs; }
};
template <class M>
struct sizes<M, std::void_t<decltype(M::input_count)>> {
  static constexpr std::size_t at(std::size_t k) {
    return k < M::input_count ? M::input_sizes[k] : M::output_sizes[k - M::input_count];
  }
};

// What one of them points to: those to const are of inputs.
template <class P>
struct Tensor {
  using T = std::remove_const_t<P>;
  static constexpr bool given = std::is_const_v<P>;
  std::size_t size = 0;
  std::unique_ptr<T[]> batch, alone{};

  explicit Tensor(std::size_t numbers) : size(numbers), alone(new T[numbers]) {}
  P* at(std::size_t sample) const { return batch.get() + sample * size; }

  // An input of a request; n is the number of samples, once an input has told it.
  bool read(std::size_t& n, bool& known) {
    std::uint32_t head[2];
    if (!get(head, 2) || head[0] != code<T>() || head[1] == 0) return false;
    std::vector<std::uint64_t> shape(head[1]);
    if (!get(shape.data(), shape.size())) return false;
    std::size_t numbers = 1;
    for (std::size_t axis = 1; axis < shape.size(); ++axis) numbers *= shape[axis];
    if (numbers != size || (known && shape[0] != n)) return false;
    n = shape[0];
    known = true;
    batch.reset(new T[n * size]);
    return get(batch.get(), n * size);
  }
  void write(std::size_t n) const {
    put(code<T>());
    put(std::uint32_t{2});
    put(static_cast<std::uint64_t>(n));
    put(static_cast<std::uint64_t>(size));
    std::fwrite(batch.get(), sizeof(T), n * size, stdout);
  }
  // Which NaN comes out of an operation on two of them is nobody's promise.
  bool differs(std::size_t sample) const {
    const T* many = batch.get() + sample * size;
    bool found = false;
    for (std::size_t i = 0; i < size; ++i) {
      const T a = alone[i], b = many[i];
      found = found || (std::memcmp(&a, &b, sizeof a) != 0 && !(a != a && b != b));
    }
    return found;
  }
};

template <class... P>
struct Program {
  static constexpr std::size_t inputs = (std::size_t{std::is_const_v<P>} + ...);
  std::tuple<Tensor<P>...> tensors;

  template <std::size_t... K>
  explicit Program(std::index_sequence<K...>) : tensors(Tensor<P>(sizes<Model>::at(K))...) {}

  template <class F>
  void each(F f) {
    std::apply([&](auto&... tensor) { (f(tensor), ...); }, tensors);
  }

  // How many samples give something else alone than in their batch; the batch is computed.
  std::size_t compute(std::size_t n) {
    each([&](auto& tensor) {
      using tensor_t = std::remove_reference_t<decltype(tensor)>;
      if constexpr (!tensor_t::given) tensor.batch.reset(new typename tensor_t::T[n * tensor.size]);
    });
    std::apply([&](auto&... tensor) { Model::predict(tensor.at(0)..., n); }, tensors);
    std::size_t different = 0;
    for (std::size_t sample = 0; sample < n; ++sample) {
      std::apply([&](auto&... tensor) { Model::predict(alone(tensor, sample)...); }, tensors);
      bool found = false;
      each([&](auto& tensor) {
        if constexpr (!std::remove_reference_t<decltype(tensor)>::given) found = tensor.differs(sample) || found;
      });
      different += found;
    }
    return different;
  }
  template <class Q>
  static Q* alone(const Tensor<Q>& tensor, std::size_t sample) {
    if constexpr (Tensor<Q>::given) return tensor.at(sample);
    return tensor.alone.get();
  }

  // 1 where a request is none for this model.
  int serve() {
    for (std::uint32_t count = 0; get(&count, 1);) {
      std::size_t n = 0;
      bool known = false, right = count == inputs;
      each([&](auto& tensor) {
        if constexpr (std::remove_reference_t<decltype(tensor)>::given) right = right && tensor.read(n, known);
      });
      if (!right) {
        std::fputs("the inputs are not of the header's number, types and sizes\n", stderr);
        return 1;
      }
      const std::size_t different = compute(n);
      if (different != 0) {
        put_text(1, std::to_string(different) + " of " + std::to_string(n) +
                        " samples give something else alone than in their batch");
        continue;
      }
      put(std::uint32_t{0});
      put(static_cast<std::uint32_t>(sizeof...(P) - inputs));
      each([&](auto& tensor) {
        if constexpr (!std::remove_reference_t<decltype(tensor)>::given) tensor.write(n);
      });
      std::fflush(stdout);
    }
    return 0;
  }
};

// The program for a header, from the pointers of the predict of one sample.
template <class... P>
Program<P...> program_for(void (*)(P*...) noexcept) {
  return Program<P...>(std::index_sequence_for<P...>{});
}

}  // namespace

int main() {
  put_text(0, "library\theader\ndevice\tCPU\nprovider\theader\noptions\t\nthreads\t1\n");
  return program_for(&Model::predict).serve();
}
