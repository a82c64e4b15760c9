// Checkpoints and models as files that Python opens: what `checkpoints export` and `model export` write.
#pragma once

#include <string>
#include <vector>

#include "ktrdr/checkpoints/model_weights.h"
#include "ktrdr/checkpoints/verified_checkpoint.h"
#include "output_files.h"

namespace CLI {
class App;
}

namespace ktrdr::cli {

enum class ModelFormat { kPytorch, kSafetensors };

// The options that both commands have.
struct ExportOptions {
  ModelFormat format = ModelFormat::kPytorch;
  std::string output;  // a file or a folder
  bool force = false;

  Existing existing() const { return force ? Existing::kReplace : Existing::kRefuse; }
};

void add_export_options(CLI::App& app, const char* what_output_is, ExportOptions& options);

struct ExportedFiles {
  std::vector<OutputFile> files;
  std::vector<std::string> never;  // what another checkpoint's export may have left in the folder
};

// They borrow the memory of `checkpoint` and of `model`.
//
// kPytorch: model.pt, optimizer.pt, training_state.json, strategy.yaml, and best_model.pt once an epoch was
// best. kSafetensors: the checkpoint's own files with its manifest, byte for byte.
Result<ExportedFiles> files_of(const checkpoints::VerifiedCheckpoint& checkpoint, ModelFormat format);
Result<OutputFile> file_of(const checkpoints::ModelWeights& model, ModelFormat format, std::string name);

}  // namespace ktrdr::cli
