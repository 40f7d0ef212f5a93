// Times a TorchScript file in libtorch, with one thread: libtorch INPUTS FEATURES MODEL.
#include <ATen/Parallel.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/version.h>

#include <cstdint>
#include <map>

#include "timings.hpp"

namespace {

class LibTorch final : public timings::Program {
public:
    explicit LibTorch(const std::vector<std::string>& words) : ring_(words.at(0), std::stoul(words.at(1))) {
        at::set_num_threads(1);
        module_ = torch::jit::load(words.at(2));
        module_.eval();
    }

    std::string about() const override { return "libtorch " TORCH_VERSION; }

    double seconds(const std::string& what, long calls) override {
        const c10::InferenceMode no_gradients;
        auto& batches = tensors(std::stoul(what));
        std::size_t place = 0;
        return timings::seconds_per_call(calls, [&] {
            const auto y = module_.forward(batches[place]);
            timings::keep(&y);
            timings::advance(place, batches.size());
        });
    }

    std::vector<float> results(const std::string& what) override {
        const c10::InferenceMode no_gradients;
        std::vector<float> found;
        for (auto& batch : tensors(std::stoul(what))) {
            const auto y = module_.forward(batch).toTensor().contiguous();
            found.insert(found.end(), y.const_data_ptr<float>(), y.const_data_ptr<float>() + y.numel());
        }
        return found;
    }

private:
    using Arguments = std::vector<c10::IValue>;

    /// Made beforehand: a call only runs.
    std::vector<Arguments>& tensors(std::size_t batch) {
        auto& found = tensors_[batch];
        const std::size_t count = ring_.batches(batch);
        const std::vector<std::int64_t> shape{static_cast<std::int64_t>(batch),
                                              static_cast<std::int64_t>(ring_.features)};
        for (std::size_t place = found.size(); place < count; ++place) {
            found.push_back({at::from_blob(ring_.batch(place * batch), shape, at::kFloat)});
        }
        return found;
    }

    timings::Ring ring_;
    torch::jit::Module module_;
    std::map<std::size_t, std::vector<Arguments>> tensors_;
};

}  // namespace

int main(int argc, char** argv) { return timings::serve<LibTorch>(argc, argv); }
