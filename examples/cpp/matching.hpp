// Which input and output of a model is which of a golden file: by name, or else by their order.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "verify.hpp"

namespace infer {

namespace detail {

/// For each of the model's values the golden file's that it is: `wanted[found[i]]` is `names[i]`. By name where the names
/// are the same, and by order otherwise: a file of version 1 has no names, and formats may not allow every name.
inline std::vector<std::size_t> order_of(const Names& names, const Names& wanted, const std::string& kind,
                                         const Options& options) {
    std::vector<std::size_t> order(wanted.size());
    for (std::size_t number = 0; number < order.size(); ++number) order[number] = number;
    if (names.empty()) return order;  // the model says none
    if (names.size() != wanted.size()) {
        throw Failure(bad_input, options.golden + " has " + std::to_string(wanted.size()) + " " + kind + "s (" +
                                     text_of(wanted) + "), " + options.model + " " + std::to_string(names.size()) + " (" +
                                     text_of(names) + ")");
    }
    if (!std::is_permutation(names.begin(), names.end(), wanted.begin())) return order;
    for (std::size_t number = 0; number < order.size(); ++number) {
        const auto place = std::find(wanted.begin(), wanted.end(), names[number]) - wanted.begin();
        order[number] = static_cast<std::size_t>(place);
    }
    return order;
}

template <class Values>
Names names_of(const Values& values) {
    Names names;
    for (const auto& value : values) names.push_back(value.name);
    return names;
}

}  // namespace detail

/// A model that takes and gives tensors in the golden file's order.
inline Run matched(const Golden& golden, Model& model, const Options& options) {
    const auto inputs = detail::order_of(model.inputs, detail::names_of(golden.inputs), "input", options);
    const auto outputs = detail::order_of(model.outputs, detail::names_of(golden.outputs), "output", options);
    return [inputs, outputs, &model](const Tensors& batch) {
        Tensors given;
        for (const auto number : inputs) given.push_back(batch[number]);
        auto found = model.run(given);
        if (found.size() != outputs.size()) return found;  // whoever compares them says so
        Tensors results(found.size());
        for (std::size_t number = 0; number < found.size(); ++number) {
            results[outputs[number]] = std::move(found[number]);
        }
        return results;
    };
}

}  // namespace infer
