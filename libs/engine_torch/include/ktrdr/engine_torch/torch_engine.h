// The Engine on libtorch: multilayer perceptrons, weighted cross entropy, Adam, on the CPU with one thread.
//
// The process should run in the environment of torch_environment.h: it decides which kernels libtorch and the
// BLAS pick, and different kernels give different bits. identity() tells what was really picked.
#pragma once

#include <memory>

#include "ktrdr/training/engine.h"

namespace ktrdr::engine_torch {

// Its engines are used by the thread that created them; creating one turns flush-to-zero on in that thread
// and limits libtorch to one thread in the whole process. No random number of libtorch is ever drawn.
// Exceptions of libtorch come back as kInternal.
std::unique_ptr<training::EngineFactory> make_torch_engine_factory();

}  // namespace ktrdr::engine_torch
