// An ONNX file in ONNX Runtime, on the CPU or on CUDA, never on the one where the other was asked for.
//
//     onnxruntime_infer MODEL.onnx GOLDEN.bin [--provider cpu|cuda] [--threads N] [--batch N]
//     onnxruntime_infer MODEL.onnx --serve [--provider cpu|cuda] [--threads N]
#define ORT_API_MANUAL_INIT  // so that a library older than its headers is an error here, not a crash before main
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "cuda.hpp"
#include "placement.hpp"
#include "program.hpp"

namespace {

using infer::Failure;

constexpr auto cuda_provider = "CUDAExecutionProvider", cpu_provider = "CPUExecutionProvider";

std::string library() { return std::string("onnxruntime ") + OrtGetApiBase()->GetVersionString(); }

/// The library, ready for use and quiet.
Ort::Env start() {
    // Its packages send usage data from the making of the environment on, unless one of these forbids it; which one
    // counts depends on the version (onnxruntime pull requests 27379 and 29843). Whoever has set them decides.
    setenv("ORT_DISABLE_TELEMETRY", "1", 0);
    setenv("ORT_TELEMETRY_DISABLED", "1", 0);
    if (OrtGetApiBase()->GetApi(ORT_API_VERSION) == nullptr) {
        throw Failure(infer::unavailable, library() + " is older than the headers that this program was built with");
    }
    Ort::InitApi();
    Ort::Env environment(ORT_LOGGING_LEVEL_FATAL, "nalu_export");  // failures come as exceptions
    environment.DisableTelemetryEvents();
    return environment;
}

/// The CUDA provider's options, as the provider itself writes them down: "device_id=0, use_tf32=0, ...".
std::string text_of(const OrtCUDAProviderOptionsV2* options) {
    Ort::AllocatorWithDefaultOptions allocator;
    char* given = nullptr;
    Ort::ThrowOnError(Ort::GetApi().GetCUDAProviderOptionsAsString(options, allocator, &given));
    const Ort::AllocatedStringPtr owner(given, Ort::detail::AllocatedFree(allocator));
    std::string text;
    for (const char* character = given; *character != '\0'; ++character) {
        text += *character == ';' ? std::string(", ") : std::string(1, *character);
    }
    return text;
}

/// Put CUDA into a session: without TF32, which the provider uses by default, and with the convolutions that cuDNN's
/// heuristics choose, which are the same in every run. Gives the options that are in force.
std::string use_cuda(Ort::SessionOptions& session) {
    OrtCUDAProviderOptionsV2* given = nullptr;
    Ort::ThrowOnError(Ort::GetApi().CreateCUDAProviderOptions(&given));
    const std::unique_ptr<OrtCUDAProviderOptionsV2, void (*)(OrtCUDAProviderOptionsV2*)> options(
        given, [](OrtCUDAProviderOptionsV2* owned) { Ort::GetApi().ReleaseCUDAProviderOptions(owned); });
    const char* const keys[] = {"use_tf32", "cudnn_conv_algo_search"};
    const char* const values[] = {"0", "HEURISTIC"};
    Ort::ThrowOnError(Ort::GetApi().UpdateCUDAProviderOptions(options.get(), keys, values, 2));
    session.AppendExecutionProvider_CUDA_V2(*options);
    return text_of(options.get());
}

/// What an error says, without the place in the library's source that some begin with, and without the machine's name.
std::string reason_of(const Ort::Exception& error) {
    std::string text = error.what();
    const std::string mark = "[ONNXRuntimeError] : ", host = " ; hostname=";
    const auto named = text.find(host);
    if (named != std::string::npos) text.erase(named, text.find(" ; ", named + host.size()) - named);
    const auto start = text.find(mark);
    if (start == std::string::npos) return infer::one_line(text);
    const auto name = text.find(" : ", start + mark.size());  // "[ONNXRuntimeError] : 1 : FAIL : reason"
    const auto reason = name == std::string::npos ? name : text.find(" : ", name + 3);
    return infer::one_line(reason == std::string::npos ? text : text.substr(reason + 3));
}

/// Whether an error while loading says that the file is at fault and not the device.
bool is_bad_file(const Ort::Exception& error) {
    switch (error.GetOrtErrorCode()) {
        case ORT_INVALID_PROTOBUF:
        case ORT_INVALID_GRAPH:
        case ORT_INVALID_ARGUMENT:
        case ORT_NO_MODEL:
        case ORT_NO_SUCHFILE: return true;
        default: return false;
    }
}

/// In the order of infer::Type.
constexpr std::array elements = {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE,
                                 ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
                                 ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL};

class OnnxRuntimeModel final : public infer::Model {
public:
    explicit OnnxRuntimeModel(const infer::Options& options)
        : on_cuda_(options.cuda), environment_(start()), session_(load(options)) {
        check_values();
        const auto meta = session_.GetModelMetadata();
        for (const auto& key : meta.GetCustomMetadataMapKeysAllocated(allocator_)) {
            const std::string name = key.get(), prefix = "nalu_export.";
            if (name.rfind(prefix, 0) != 0) continue;
            const auto value = meta.LookupCustomMetadataMapAllocated(key.get(), allocator_);
            metadata.emplace_back(name.substr(prefix.size()), value.get());
        }
        std::sort(metadata.begin(), metadata.end());
        facts = {{"library", library()}, {"provider", options.cuda ? cuda_provider : cpu_provider}};
        facts.emplace_back("options", options_in_force_);
        facts.emplace_back("threads", options.threads ? std::to_string(options.threads) : "default");
        const auto device = options.cuda ? infer::cuda_facts() : infer::Texts{{"device", "CPU"}};
        facts.insert(facts.end(), device.begin(), device.end());
    }

    infer::Tensors run(const infer::Tensors& batch) override {
        if (batch.size() != inputs.size()) {
            throw Failure(infer::bad_input, "the model takes " + std::to_string(inputs.size()) + " inputs, not " +
                                                std::to_string(batch.size()));
        }
        std::vector<Ort::Value> given;
        for (const auto& tensor : batch) given.push_back(value_of(tensor));
        const auto input_names = pointers(inputs), output_names = pointers(outputs);
        const auto found = [&] {
            try {
                return session_.Run(Ort::RunOptions{}, input_names.data(), given.data(), given.size(),
                                    output_names.data(), output_names.size());
            } catch (const Ort::Exception& error) {
                const bool device = on_cuda_ && infer::is_device_fault(error.what());
                throw Failure(device ? infer::unavailable : infer::bad_input, library() + ": " + reason_of(error));
            }
        }();
        if (profile_) check_profile();
        infer::Tensors results;
        for (const auto& value : found) results.push_back(tensor_of(value));
        return results;
    }

private:
    /// After the first run: nothing but shapes was computed on the CPU.
    void check_profile() {
        const auto file = session_.EndProfilingAllocated(allocator_);
        std::ifstream profile(file.get());
        const auto node = profile ? infer::fallback_in(profile) : "which cannot be known";
        profile_.reset();
        if (node.empty()) return;
        throw Failure(infer::unavailable, library() + " runs a node on the CPU, for which " + cuda_provider +
                                              " has no kernel: " + infer::one_line(node));
    }

    /// A session on CUDA without the silent fallback to the CPU that a node without a kernel otherwise means. Where only
    /// shapes would be computed there, which the ban forbids too, the first run is profiled instead.
    Ort::Session on_cuda(const infer::Options& options, Ort::SessionOptions& session) {
        auto banned = session.Clone();
        banned.AddConfigEntry("session.disable_cpu_ep_fallback", "1");
        try {
            return Ort::Session(environment_, options.model.c_str(), banned);
        } catch (const Ort::Exception& error) {
            if (std::string(error.what()).find("explicitly disabled") == std::string::npos) throw;
            profile_ = std::make_unique<infer::ProfileFolder>();
            session.EnableProfiling(profile_->prefix().c_str());
            auto loaded = Ort::Session(environment_, options.model.c_str(), session);
            if (takes_integers(loaded)) throw;  // then integers may be values
            return loaded;
        }
    }

    static bool takes_integers(const Ort::Session& session) {
        for (std::size_t number = 0; number < session.GetInputCount(); ++number) {
            const auto type = session.GetInputTypeInfo(number).GetTensorTypeAndShapeInfo().GetElementType();
            if (type != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT && type != ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE) return true;
        }
        return false;
    }

    Ort::Session load(const infer::Options& options) {
        const auto provider = options.cuda ? cuda_provider : cpu_provider;
        const auto available = Ort::GetAvailableProviders();
        if (std::find(available.begin(), available.end(), provider) == available.end()) {
            throw Failure(infer::unavailable, library() + " was built without " + provider + "; use onnxruntime-gpu");
        }
        Ort::SessionOptions session;
        session.SetLogSeverityLevel(ORT_LOGGING_LEVEL_FATAL);
        if (options.threads) session.SetIntraOpNumThreads(options.threads);
        const auto refused = library() + " cannot run on " + provider + ": ";
        try {
            if (options.cuda) options_in_force_ = use_cuda(session);
        } catch (const Ort::Exception& error) {
            throw Failure(infer::unavailable, refused + reason_of(error));
        }
        try {
            return options.cuda ? on_cuda(options, session)
                                : Ort::Session(environment_, options.model.c_str(), session);
        } catch (const Ort::Exception& error) {
            if (options.cuda && !is_bad_file(error)) {
                throw Failure(infer::unavailable, refused + reason_of(error));
            }
            throw Failure(infer::bad_input, library() + " refuses " + options.model + ": " + reason_of(error));
        }
    }

    /// Names, and tensors of the types that a golden file and the protocol have.
    void check_values() {
        for (std::size_t number = 0; number < session_.GetInputCount(); ++number) {
            inputs.emplace_back(session_.GetInputNameAllocated(number, allocator_).get());
            check_type(session_.GetInputTypeInfo(number), "input " + inputs.back());
        }
        for (std::size_t number = 0; number < session_.GetOutputCount(); ++number) {
            outputs.emplace_back(session_.GetOutputNameAllocated(number, allocator_).get());
            check_type(session_.GetOutputTypeInfo(number), "output " + outputs.back());
        }
    }

    static void check_type(const Ort::TypeInfo& info, const std::string& which) {
        if (info.GetONNXType() == ONNX_TYPE_TENSOR &&
            std::find(elements.begin(), elements.end(), info.GetTensorTypeAndShapeInfo().GetElementType()) !=
                elements.end()) {
            return;
        }
        throw Failure(infer::bad_input, "the model's " + which + " is no tensor of " + infer::type_names);
    }

    Ort::Value value_of(const infer::Tensor& tensor) const {
        static unsigned char none = 0;  // an address for a tensor without numbers
        auto* data = tensor.data.empty() ? &none : const_cast<unsigned char*>(tensor.data.data());  // it is only read
        const std::vector<std::int64_t> shape(tensor.shape.begin(), tensor.shape.end());
        return Ort::Value::CreateTensor(memory_, data, tensor.data.size(), shape.data(), shape.size(),
                                        elements[static_cast<std::size_t>(tensor.type) - 1]);
    }

    static infer::Tensor tensor_of(const Ort::Value& value) {
        const auto info = value.GetTensorTypeAndShapeInfo();
        const auto sizes = info.GetShape();
        const auto type = std::find(elements.begin(), elements.end(), info.GetElementType()) - elements.begin();
        infer::Tensor result{static_cast<infer::Type>(type + 1), {sizes.begin(), sizes.end()}, {}};
        const auto* bytes = static_cast<const unsigned char*>(value.GetTensorRawData());
        result.data.assign(bytes, bytes + info.GetElementCount() * infer::size_of(result.type));
        return result;
    }

    static std::vector<const char*> pointers(const infer::Names& names) {
        std::vector<const char*> found;
        for (const auto& name : names) found.push_back(name.c_str());
        return found;
    }

    const bool on_cuda_;
    std::string options_in_force_;
    std::unique_ptr<infer::ProfileFolder> profile_;  // outlives the session, which may still write into it
    Ort::Env environment_;
    Ort::Session session_;
    Ort::AllocatorWithDefaultOptions allocator_;
    Ort::MemoryInfo memory_ = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeCPU);
};

}  // namespace

int main(int argc, char** argv) {
    return infer::main_of(argc, argv, "onnxruntime_infer", "--provider", [](const infer::Options& options) {
        return std::unique_ptr<infer::Model>(std::make_unique<OnnxRuntimeModel>(options));
    });
}
