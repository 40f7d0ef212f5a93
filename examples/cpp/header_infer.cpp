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

#include "golden.hpp"
#include "program.hpp"

namespace {

using Model = nalu::Model;

infer::Tensor in_a_batch(const infer::Tensor& batch) {
    infer::Tensor result{{batch.shape[0], Model::outputs}, std::vector<float>(batch.shape[0] * Model::outputs)};
    Model::predict(batch.data.data(), result.data.data(), batch.shape[0]);
    return result;
}

/// predict(x, y, n) must give, bit for bit, what n calls of predict(x, y) give.
void check_singles(const infer::Golden& golden) {
    const auto batched = in_a_batch({golden.x_shape, golden.x}).data;
    std::vector<float> single(Model::outputs);
    for (std::size_t sample = 0; sample < golden.samples(); ++sample) {
        Model::predict(golden.x.data() + sample * Model::inputs, single.data());
        if (std::memcmp(single.data(), batched.data() + sample * Model::outputs, sizeof(float) * Model::outputs) != 0) {
            throw infer::Failure(infer::mismatch, "sample " + std::to_string(sample) +
                                                      ": predict(x, y) and predict(x, y, n) give other bits");
        }
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
    const infer::Shape x{golden.x_shape[0], Model::inputs}, y{golden.x_shape[0], Model::outputs};
    if (golden.x_shape != x || golden.y_shape != y) {
        throw infer::Failure(infer::bad_input, options.golden + " is for " + infer::text_of(golden.x_shape) + " to " +
                                                   infer::text_of(golden.y_shape) + ", the header for " +
                                                   infer::text_of(x) + " to " + infer::text_of(y));
    }
    check_singles(golden);
    return verify(golden, options, "nalu::Model", in_a_batch);
}

}  // namespace

int main(int argc, char** argv) {
    return infer::guarded("header_infer", [&] { return run(argc, argv); });
}
