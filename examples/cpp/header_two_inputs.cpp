// A header of several inputs and outputs: that of the model in two_inputs.py, `nalu-export ... --format cpp`.
//
//     header_two_inputs GOLDEN.bin
//
// NALU_HEADER_TWO_INPUTS is the header's path; the build gives it.
#include NALU_HEADER_TWO_INPUTS

#include <algorithm>
#include <string>
#include <vector>

#include "matching.hpp"
#include "program.hpp"

namespace {

/// What is bought, and what it comes to. The numbers of a sample stand side by side, the samples one after the other.
struct Invoices {
    const float *prices, *quantities;
    float *total, *largest;
    std::size_t count;
};

// predict has a pointer for each input and output, and the header says how many numbers a sample of each has.
static_assert(nalu::Model::input_count == 2 && nalu::Model::output_count == 2, "not the header of two_inputs.py");
static_assert(nalu::Model::total_size == 1 && nalu::Model::largest_size == 1, "not the header of two_inputs.py");

void in_a_batch(const Invoices& all) {
    nalu::Model::predict(all.prices, all.quantities, all.total, all.largest, all.count);
}

void one_by_one(const Invoices& all) {
    for (std::size_t n = 0; n < all.count; ++n) {
        const auto* prices = all.prices + n * nalu::Model::prices_size;
        const auto* quantities = all.quantities + n * nalu::Model::quantities_size;
        nalu::Model::predict(prices, quantities, all.total + n, all.largest + n);
    }
}

/// The header as verify.hpp wants a model: tensors in and out, in the order of predict.
class Header final : public infer::Model {
public:
    explicit Header(void (*predict)(const Invoices&)) : predict_(predict) {
        inputs = {"prices", "quantities"};
        outputs = {"total", "largest"};
        metadata = {{"tool", nalu::Model::tool},
                    {"source_sha256", nalu::Model::source_sha256},
                    {"compute", nalu::Model::compute}};
    }

    infer::Tensors run(const infer::Tensors& batch) override {
        const auto &prices = batch[0], &quantities = batch[1];
        const auto count = prices.shape[0];
        check("prices", prices, {count, nalu::Model::prices_size});
        check("quantities", quantities, {count, nalu::Model::quantities_size});
        auto total = one_for_each(count), largest = one_for_each(count);
        predict_({prices.as<float>(), quantities.as<float>(), total.as<float>(), largest.as<float>(), count});
        return {total, largest};
    }

private:
    /// Refuse what predict would read as something else, or past its end.
    static void check(const std::string& name, const infer::Tensor& found, const infer::Shape& expected) {
        if (found.type == infer::Type::float32 && found.shape == expected) return;
        throw infer::Failure(infer::bad_input, "input " + name + " is " + text_of(found.type) + ", " +
                                                   infer::text_of(found.shape) + "; the header takes float32, " +
                                                   infer::text_of(expected));
    }

    /// Room for one number of each sample.
    static infer::Tensor one_for_each(std::uint64_t count) {
        return {infer::Type::float32, {count}, std::vector<unsigned char>(count * sizeof(float))};
    }

    void (*predict_)(const Invoices&);
};

/// predict of n samples must give, bit for bit, what n calls of predict give.
void check_singles(const infer::Golden& golden, const infer::Options& options) {
    infer::Tensors all;
    for (const auto& input : golden.inputs) all.push_back(input.tensor);
    Header batch(in_a_batch), single(one_by_one);
    const auto batched = matched(golden, batch, options)(all), singly = matched(golden, single, options)(all);
    for (std::size_t number = 0; number < batched.size(); ++number) {
        const auto &a = batched[number].data, &b = singly[number].data;
        if (a == b) continue;
        const auto byte = std::mismatch(a.begin(), a.end(), b.begin()).first - a.begin();
        const auto sample = static_cast<std::size_t>(byte) / sizeof(float);
        throw infer::Failure(infer::mismatch, "sample " + std::to_string(sample) + ", output " +
                                                  golden.outputs[number].name +
                                                  ": predict of one sample and of n give other bits");
    }
}

int run(int argc, char** argv) {
    if (argc != 2) throw infer::Failure(infer::bad_input, "usage: header_two_inputs GOLDEN.bin");
    infer::Options options;
    options.model = "the header";
    options.golden = argv[1];
    const auto golden = infer::read_golden(options.golden);
    Header header(in_a_batch);
    infer::show(header.metadata);
    check_origin(golden, options, header.metadata);
    check_singles(golden, options);
    return verify(golden, options, "nalu::Model", matched(golden, header, options));
}

}  // namespace

int main(int argc, char** argv) {
    return infer::guarded("header_two_inputs", [&] { return run(argc, argv); });
}
