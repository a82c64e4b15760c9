// Denormal numbers make a training up to a hundred times slower, and a thread that treats them differently
// gets other bits, so they are flushed to zero wherever an engine computes.
#pragma once

#include <xmmintrin.h>

namespace ktrdr::engine_torch {

inline constexpr unsigned kFlushToZero = 0x8000;       // results
inline constexpr unsigned kDenormalsAreZero = 0x0040;  // operands

// For the calling thread. Reading the register first is the cheap way: writing it stalls the pipeline.
inline void flush_denormals() {
  constexpr unsigned kWanted = kFlushToZero | kDenormalsAreZero;
  if ((_mm_getcsr() & kWanted) != kWanted) _mm_setcsr(_mm_getcsr() | kWanted);
}

}  // namespace ktrdr::engine_torch
