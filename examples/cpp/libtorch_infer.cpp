// A TorchScript file in libtorch, on the CPU or on CUDA. Loading such a file runs what is in it: load only your own.
//
//     libtorch_infer MODEL.torchscript.pt GOLDEN.bin [--device cpu|cuda] [--threads N] [--batch N]
//     libtorch_infer MODEL.torchscript.pt --serve [--device cpu|cuda] [--threads N]
#include <ATen/Parallel.h>
#include <torch/cuda.h>
#include <torch/script.h>
#include <torch/version.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cuda.hpp"
#include "metadata.hpp"
#include "program.hpp"

namespace {

using infer::Failure;

constexpr auto library = "libtorch " TORCH_VERSION;

/// float32 is float32: no TF32 in matrix products and convolutions, which cuDNN's would use by default.
void forbid_tf32() {
    at::globalContext().setAllowTF32CuBLAS(false);
    at::globalContext().setAllowTF32CuDNN(false);
}

void need_cuda() {
    if (torch::cuda::is_available()) return;
    throw Failure(infer::unavailable, std::string(library) + " sees no CUDA device, or was built without CUDA");
}

class TorchModel final : public infer::Model {
public:
    explicit TorchModel(const infer::Options& options) : device_(options.cuda ? torch::kCUDA : torch::kCPU) {
        if (options.cuda) need_cuda();
        if (options.threads) at::set_num_threads(options.threads);
        forbid_tf32();
        module_ = load(options);
        facts = {{"library", library}, {"provider", "TorchScript"}, {"threads", std::to_string(at::get_num_threads())}};
        const auto& context = at::globalContext();
        facts.emplace_back("options", !options.cuda ? ""
                                                    : "cudnn.allow_tf32=" + std::to_string(context.allowTF32CuDNN()) +
                                                          ", matmul.allow_tf32=" + std::to_string(context.allowTF32CuBLAS()));
        const auto device = options.cuda ? infer::cuda_facts() : infer::Texts{{"device", "CPU"}};
        facts.insert(facts.end(), device.begin(), device.end());
    }

    infer::Tensor run(const infer::Tensor& batch) override {
        const c10::InferenceMode no_gradients;
        const std::vector<std::int64_t> shape(batch.shape.begin(), batch.shape.end());
        auto* data = const_cast<float*>(batch.data.data());  // it is only read
        const auto input = torch::from_blob(data, shape, torch::kFloat32).to(device_);
        const auto output = module_.forward({input});
        if (!output.isTensor() || output.toTensor().scalar_type() != torch::kFloat32) {
            throw Failure(infer::bad_input, "the model's output is not a float32 tensor");
        }
        const auto values = output.toTensor().to(torch::kCPU).contiguous();
        infer::Tensor result{{values.sizes().begin(), values.sizes().end()}, {}};
        result.data.assign(values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel());
        return result;
    }

private:
    torch::jit::Module load(const infer::Options& options) {
        torch::jit::ExtraFilesMap extra{{"nalu_export.json", ""}};
        try {
            auto module = torch::jit::load(options.model, device_, extra);
            module.eval();
            metadata = infer::read_metadata(extra.at("nalu_export.json"), options.model);
            return module;
        } catch (const c10::Error& error) {
            throw Failure(infer::bad_input, std::string(library) + " refuses " + options.model + ": " +
                                                infer::one_line(error.what_without_backtrace()));
        }
    }

    torch::Device device_;
    torch::jit::Module module_;
};

}  // namespace

int main(int argc, char** argv) {
    return infer::main_of(argc, argv, "libtorch_infer", "--device", [](const infer::Options& options) {
        return std::unique_ptr<infer::Model>(std::make_unique<TorchModel>(options));
    });
}
