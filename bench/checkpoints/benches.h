// The parts of `bench_checkpoints`, each of which prints its figures.
#pragma once

#include "../figures.h"

namespace ktrdr::bench {

class LargeTraining;

void save_large_states(Figures& figures, LargeTraining& training);
void restore_large_states(Figures& figures, LargeTraining& training);
void train_with_a_checkpoint_every_epoch(Figures& figures);

}  // namespace ktrdr::bench
