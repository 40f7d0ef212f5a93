// Times the header of a model: header INPUTS, compiled with NALU_HEADER.
#include NALU_HEADER

#include "timings.hpp"

namespace {

using nalu::Model;

class Header final : public timings::Program {
public:
    explicit Header(const std::vector<std::string>& words)
        : ring_(words.at(0), Model::inputs), y_(ring_.samples() * Model::outputs) {}

    std::string about() const override { return Model::tool; }

    double seconds(const std::string& what, long calls) override {
        const std::size_t batch = std::stoul(what), batches = ring_.batches(batch);
        std::size_t place = 0;
        // Two loops, because a batch of one has a call of its own.
        if (batch == 1) {
            return timings::seconds_per_call(calls, [&] {
                Model::predict(ring_.batch(place), y_.data());
                timings::keep(y_.data());
                timings::advance(place, batches);
            });
        }
        return timings::seconds_per_call(calls, [&] {
            Model::predict(ring_.batch(place * batch), y_.data(), batch);
            timings::keep(y_.data());
            timings::advance(place, batches);
        });
    }

    std::vector<float> results(const std::string& what) override {
        const std::size_t batch = std::stoul(what), batches = ring_.batches(batch);
        for (std::size_t place = 0; place < batches; ++place) {
            const float* const x = ring_.batch(place * batch);
            float* const y = y_.data() + place * batch * Model::outputs;
            batch == 1 ? Model::predict(x, y) : Model::predict(x, y, batch);
        }
        return y_;
    }

private:
    timings::Ring ring_;
    std::vector<float> y_;
};

}  // namespace

int main(int argc, char** argv) { return timings::serve<Header>(argc, argv); }
