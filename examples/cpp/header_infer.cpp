// A head as one header, `nalu-export model.pt --format cpp`: no library at all.
//
//     header_infer GOLDEN.bin
//
// NALU_HEADER is the header's path; the build gives it.
#include NALU_HEADER

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "program.hpp"

namespace {

using Model = nalu::Model;

infer::Tensors in_a_batch(const infer::Tensors& batch) {
    const auto count = static_cast<std::size_t>(batch[0].shape[0]);
    infer::Tensor result{infer::Type::float32, {count, Model::outputs}, {}};
    result.data.resize(count * Model::outputs * sizeof(float));
    Model::predict(batch[0].as<float>(), result.as<float>(), count);
    return {result};
}

/// predict(x, y, n) must give, bit for bit, what n calls of predict(x, y) give.
void check_singles(const infer::Golden& golden) {
    const auto& x = golden.inputs[0].tensor;
    const auto batched = in_a_batch({x});
    std::vector<float> single(Model::outputs);
    for (std::size_t sample = 0; sample < golden.samples(); ++sample) {
        Model::predict(x.as<float>() + sample * Model::inputs, single.data());
        const auto* same = batched[0].as<float>() + sample * Model::outputs;
        if (std::memcmp(single.data(), same, sizeof(float) * Model::outputs) != 0) {
            throw infer::Failure(infer::mismatch, "sample " + std::to_string(sample) +
                                                      ": predict(x, y) and predict(x, y, n) give other bits");
        }
    }
}

/// Refuse a golden file of other inputs and outputs than the header has.
void check_shapes(const infer::Golden& golden, const std::string& path) {
    if (golden.inputs.size() != 1 || golden.outputs.size() != 1) {
        throw infer::Failure(infer::bad_input, path + " is for " + std::to_string(golden.inputs.size()) +
                                                   " inputs and " + std::to_string(golden.outputs.size()) +
                                                   " outputs, the header for one of each");
    }
    const auto &input = golden.inputs[0].tensor, &output = golden.outputs[0].torch;
    if (input.type != infer::Type::float32 || output.type != infer::Type::float32 || golden.outputs[0].shared) {
        throw infer::Failure(infer::bad_input, path + " is for " + text_of(input.type) + " to " +
                                                   text_of(output.type) + ", the header for float32 to float32");
    }
    const infer::Shape x{input.shape[0], Model::inputs}, y{input.shape[0], Model::outputs};
    if (input.shape != x || output.shape != y) {
        throw infer::Failure(infer::bad_input, path + " is for " + infer::text_of(input.shape) + " to " +
                                                   infer::text_of(output.shape) + ", the header for " +
                                                   infer::text_of(x) + " to " + infer::text_of(y));
    }
}

int run(int argc, char** argv) {
    if (argc != 2) throw infer::Failure(infer::bad_input, "usage: header_infer GOLDEN.bin");
    const auto golden = infer::read_golden(argv[1]);
    const infer::Texts metadata = {
        {"tool", Model::tool}, {"source_sha256", Model::source_sha256}, {"compute", Model::compute}};
    infer::show(metadata);
    infer::Options options;
    options.model = "the header";
    options.golden = argv[1];
    check_origin(golden, options, metadata);
    check_shapes(golden, options.golden);
    check_singles(golden);
    return verify(golden, options, "nalu::Model", in_a_batch);
}

}  // namespace

int main(int argc, char** argv) {
    return infer::guarded("header_infer", [&] { return run(argc, argv); });
}
