#include "model_files.h"

#include <CLI/CLI.hpp>
#include <map>

#include "ktrdr/checkpoints/pytorch_file.h"
#include "ktrdr/checkpoints/pytorch_state.h"
#include "ktrdr/core/check.h"
#include "training_state_json.h"

namespace ktrdr::cli {
namespace {

using checkpoints::PytorchFile;
using checkpoints::VerifiedCheckpoint;

const std::map<std::string, ModelFormat> kFormats = {{"pytorch", ModelFormat::kPytorch},
                                                     {"safetensors", ModelFormat::kSafetensors}};

constexpr const char* kBestModel = "best_model.pt";

// `Lender` is what the value borrows from beside the checkpoint; it lives as long as the file.
template <class Lender>
Result<OutputFile> pytorch_output(std::string name, const checkpoints::PythonValue& value, Lender lender) {
  struct Owner {
    PytorchFile file;
    Lender lender;
  };
  TRY_ASSIGN(PytorchFile file, PytorchFile::of(value));
  const auto owner = std::make_shared<const Owner>(Owner{std::move(file), std::move(lender)});
  return OutputFile{std::move(name), owner->file.pieces(), owner};
}

Result<OutputFile> model_output(std::string name, const checkpoints::SafetensorsFile& model) {
  return pytorch_output(std::move(name), checkpoints::model_state_dict(model), nullptr);
}

Result<OutputFile> optimizer_output(const VerifiedCheckpoint& checkpoint, const TrainingState& training) {
  const strategy::Optimizer& adam = training.strategy.training.optimizer;
  const checkpoints::AdamSettings settings{.learning_rate = training.state.schedule.learning_rate,
                                           .beta1 = adam.beta1,
                                           .beta2 = adam.beta2,
                                           .epsilon = adam.epsilon,
                                           .weight_decay = adam.weight_decay};
  TRY_ASSIGN(auto made, checkpoints::AdamStateDict::of(checkpoint.model(), checkpoint.optimizer(), settings));
  const auto shared = std::make_shared<const checkpoints::AdamStateDict>(std::move(made));
  return pytorch_output("optimizer.pt", shared->value(), shared);
}

Result<ExportedFiles> pytorch_files(const VerifiedCheckpoint& checkpoint) {
  TRY_ASSIGN(const TrainingState training, read_training_state(checkpoint));
  TRY_ASSIGN(OutputFile model, model_output("model.pt", checkpoint.model()));
  TRY_ASSIGN(OutputFile optimizer, optimizer_output(checkpoint, training));
  ExportedFiles exported{{std::move(model), std::move(optimizer)}, {}};
  exported.files.push_back(text_output("training_state.json", training_state_json(checkpoint, training)));
  exported.files.push_back(text_output(std::string(checkpoints::kStrategyFile),
                                       std::string(checkpoint.text(checkpoints::kStrategyFile))));
  if (checkpoint.best_model() == nullptr) {
    exported.never = {kBestModel};
    return exported;
  }
  TRY_ASSIGN(OutputFile best, model_output(kBestModel, *checkpoint.best_model()));
  exported.files.push_back(std::move(best));
  return exported;
}

Result<ExportedFiles> verified_copy(const VerifiedCheckpoint& checkpoint) {
  ExportedFiles exported;
  for (const checkpoints::FileEntry& file : checkpoint.manifest().files)
    exported.files.push_back({file.name, {checkpoint.bytes(file.name)}, nullptr});
  TRY_ASSIGN(checkpoints::ManifestText manifest, checkpoints::write_manifest(checkpoint.manifest()));
  CHECK(manifest.digest == checkpoint.manifest_digest(), "a manifest has one text");
  exported.files.push_back(text_output(std::string(checkpoints::kManifestFile), std::move(manifest.text)));
  for (const std::string_view optional : {checkpoints::kBestModelFile, checkpoints::kSchedulerFile}) {
    if (checkpoint.tensors(optional) == nullptr) exported.never.emplace_back(optional);
  }
  return exported;
}

}  // namespace

void add_export_options(CLI::App& app, const char* what_output_is, ExportOptions& options) {
  app.add_option("--format", options.format, "pytorch (.pt, for torch.load) or safetensors")
      ->required()
      ->transform(CLI::CheckedTransformer(kFormats).description(""));
  app.add_option("-o,--output", options.output, what_output_is)->required();
  app.add_flag("-f,--force", options.force, "Replace what is there");
}

Result<ExportedFiles> files_of(const VerifiedCheckpoint& checkpoint, ModelFormat format) {
  switch (format) {
    case ModelFormat::kPytorch: return pytorch_files(checkpoint);
    case ModelFormat::kSafetensors: return verified_copy(checkpoint);
  }
  CHECK(false, "every format has its files");
}

Result<OutputFile> file_of(const checkpoints::ModelWeights& model, ModelFormat format, std::string name) {
  switch (format) {
    case ModelFormat::kPytorch: return model_output(std::move(name), model.tensors());
    case ModelFormat::kSafetensors: return OutputFile{std::move(name), {model.bytes()}, nullptr};
  }
  CHECK(false, "every format has its file");
}

}  // namespace ktrdr::cli
