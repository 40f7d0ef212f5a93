// Times an ONNX file in ONNX Runtime, with one thread: onnxruntime INPUTS FEATURES MODEL.
#include <onnxruntime_cxx_api.h>

#include <cstdint>
#include <cstdlib>
#include <map>

#include "timings.hpp"

namespace {

Ort::Env quiet_environment() {
    // The environment sends usage data while it is made, unless these say no.
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    setenv("ORT_TELEMETRY_DISABLED", "1", 1);
    Ort::Env environment(ORT_LOGGING_LEVEL_ERROR, "benchmark");
    environment.DisableTelemetryEvents();
    return environment;
}

Ort::SessionOptions one_thread() {
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(1);
    options.SetInterOpNumThreads(1);
    return options;
}

class OnnxRuntime final : public timings::Program {
public:
    explicit OnnxRuntime(const std::vector<std::string>& words)
        : ring_(words.at(0), std::stoul(words.at(1))),
          environment_(quiet_environment()),
          session_(environment_, words.at(2).c_str(), one_thread()),
          outputs_(static_cast<std::size_t>(
              session_.GetOutputTypeInfo(0).GetTensorTypeAndShapeInfo().GetShape().back())),
          y_(ring_.samples() * outputs_) {}

    std::string about() const override { return std::string("onnxruntime ") + OrtGetApiBase()->GetVersionString(); }

    double seconds(const std::string& what, long calls) override {
        auto& batches = tensors(std::stoul(what));
        std::size_t place = 0;
        return timings::seconds_per_call(calls, [&] {
            run(batches[place].x, batches[0].y);
            timings::keep(y_.data());
            timings::advance(place, batches.size());
        });
    }

    std::vector<float> results(const std::string& what) override {
        for (auto& batch : tensors(std::stoul(what))) run(batch.x, batch.y);
        return y_;
    }

private:
    struct Batch {
        Ort::Value x, y;
    };

    /// Made beforehand: a call only runs.
    std::vector<Batch>& tensors(std::size_t batch) {
        auto& found = tensors_[batch];
        const std::size_t count = ring_.batches(batch);
        for (std::size_t place = found.size(); place < count; ++place) {
            float* const y = y_.data() + place * batch * outputs_;
            found.push_back({tensor(ring_.batch(place * batch), batch, ring_.features), tensor(y, batch, outputs_)});
        }
        return found;
    }

    Ort::Value tensor(float* data, std::size_t batch, std::size_t features) {
        const std::int64_t shape[] = {static_cast<std::int64_t>(batch), static_cast<std::int64_t>(features)};
        return Ort::Value::CreateTensor<float>(memory_, data, batch * features, shape, 2);
    }

    void run(const Ort::Value& x, Ort::Value& y) {
        const char* const names[] = {"input", "output"};
        session_.Run(options_, &names[0], &x, 1, &names[1], &y, 1);
    }

    timings::Ring ring_;
    Ort::Env environment_;
    Ort::Session session_;
    std::size_t outputs_;
    std::vector<float> y_;
    Ort::RunOptions options_;
    Ort::MemoryInfo memory_ = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    std::map<std::size_t, std::vector<Batch>> tensors_;
};

}  // namespace

int main(int argc, char** argv) { return timings::serve<OnnxRuntime>(argc, argv); }
