// A TorchScript file in libtorch, on the CPU or on CUDA. Loading such a file runs what is in it: load only your own.
//
//     libtorch_infer MODEL.torchscript.pt GOLDEN.bin [--device cpu|cuda] [--threads N] [--batch N]
//     libtorch_infer MODEL.torchscript.pt --serve [--device cpu|cuda] [--threads N]
#include <ATen/Parallel.h>
#include <torch/cuda.h>
#include <torch/script.h>
#include <torch/version.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
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

constexpr std::array scalars = {torch::kFloat32, torch::kFloat64, torch::kInt32, torch::kInt64, torch::kBool};

torch::ScalarType scalar_of(infer::Type type) { return scalars[static_cast<std::size_t>(type) - 1]; }

infer::Type type_of(const torch::Tensor& output, std::size_t number) {
    const auto found = std::find(scalars.begin(), scalars.end(), output.scalar_type());
    if (found == scalars.end()) {
        throw Failure(infer::bad_input, "the model's output " + std::to_string(number) + " is of " +
                                            toString(output.scalar_type()) + "; " + infer::type_names + " is expected");
    }
    return static_cast<infer::Type>(found - scalars.begin() + 1);
}

/// What a model gives: a tensor, or a tuple or list of tensors.
std::vector<torch::Tensor> tensors_of(const c10::IValue& output) {
    if (output.isTensor()) return {output.toTensor()};
    if (output.isTensorList()) return output.toTensorVector();
    std::vector<torch::Tensor> found;
    if (output.isTuple()) {
        for (const auto& element : output.toTupleRef().elements()) {
            if (!element.isTensor()) break;
            found.push_back(element.toTensor());
        }
        if (found.size() == output.toTupleRef().elements().size()) return found;
    }
    throw Failure(infer::bad_input, "the model's output is neither a tensor nor a tuple or list of tensors");
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

    infer::Tensors run(const infer::Tensors& batch) override {
        try {
            return computed(batch);
        } catch (const std::exception& error) {  // CUDA's come late, at the latest where results are copied
            if (device_.is_cuda() && infer::is_device_fault(error.what())) {
                throw Failure(infer::unavailable, std::string(library) + ": " + infer::one_line(error.what()));
            }
            throw;
        }
    }

private:
    infer::Tensors computed(const infer::Tensors& batch) {
        const c10::InferenceMode no_gradients;
        std::vector<c10::IValue> given;
        for (const auto& tensor : batch) {
            const std::vector<std::int64_t> shape(tensor.shape.begin(), tensor.shape.end());
            auto* data = const_cast<unsigned char*>(tensor.data.data());  // it is only read
            given.emplace_back(torch::from_blob(data, shape, scalar_of(tensor.type)).to(device_));
        }
        infer::Tensors results;
        for (const auto& output : tensors_of(module_.forward(given))) {
            const auto values = output.to(torch::kCPU).contiguous();
            infer::Tensor result{type_of(values, results.size()), {values.sizes().begin(), values.sizes().end()}, {}};
            const auto* bytes = static_cast<const unsigned char*>(values.const_data_ptr());
            result.data.assign(bytes, bytes + values.nbytes());
            results.push_back(std::move(result));
        }
        return results;
    }

    torch::jit::Module load(const infer::Options& options) {
        torch::jit::ExtraFilesMap extra{{"nalu_export.json", ""}};
        try {
            auto module = torch::jit::load(options.model, device_, extra);
            module.eval();
            metadata = infer::read_metadata(extra.at("nalu_export.json"), options.model);
            inputs = infer::read_names(metadata, "inputs", options.model);
            outputs = infer::read_names(metadata, "outputs", options.model);
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
