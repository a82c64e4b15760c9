// Every random number of a training, as a pure function of its place in the run. There is no generator state,
// so a run can go on from any batch and seeking costs nothing.
//
// Source: Philox4x32-10, Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace ktrdr::training {

// One block of Philox4x32-10: 128 random bits for a 64-bit key and a 128-bit counter.
std::array<std::uint32_t, 4> philox(std::uint64_t key, std::array<std::uint32_t, 4> counter);

// What a number is for. Part of the counter, so that no two uses share numbers. Never renumber.
enum class Stream : std::uint32_t { kSampleOrder = 1, kDropout = 2, kInitialWeights = 3 };

// The rows of an epoch in their order: a permutation of 0 .. rows - 1, a pure function of (seed, epoch).
// Fisher-Yates with unbiased draws.
std::vector<std::int64_t> sample_order(std::int64_t seed, std::int64_t epoch, std::int64_t rows);

// Fills `mask` with 0 (probability `rate`) or 1 / (1 - rate): a pure function of (seed, global_step, layer).
// Element i belongs to row i / width of the batch.
void dropout_mask(std::int64_t seed, std::int64_t global_step, std::int64_t layer, double rate,
                  std::span<float> mask);

// Uniform numbers in [0, 1) with 24 bits for the initial weights: a pure function of (seed, tensor, element).
void initial_uniform(std::int64_t seed, std::int64_t tensor, std::span<float> numbers);

}  // namespace ktrdr::training
