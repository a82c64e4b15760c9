#include <CLI/CLI.hpp>
#include <filesystem>

#include "commands.h"
#include "json_document.h"
#include "ktrdr/core/ids.h"
#include "model_files.h"

namespace ktrdr::cli {
namespace fs = std::filesystem;
namespace {

// Where a model lies, and what its row says about it; "" when no row was asked.
struct ModelPlace {
  fs::path folder;
  std::string sha256;
};

Error has_no_model(const OperationId& id, api::OperationStatus status) {
  return {ErrorCode::kConflict, "Operation " + id.value + " is " + std::string(to_string(status)) +
                                    " and has no finished model; its newest weights are in its checkpoint: "
                                    "'ktrdr checkpoints export " +
                                    id.value + "'."};
}

Result<ModelPlace> model_of_operation(const Context& context, const OperationId& id) {
  TRY_ASSIGN(const auto api, context.api());
  TRY_ASSIGN(const auto answer, api->operation(id));
  const api::Operation& operation = answer.data;
  const api::JsonText result = operation.result_summary.value_or(api::JsonText{"{}"});
  ModelPlace place{api::member_of(result, "model_path"), api::member_of(result, "model_sha256")};
  if (operation.status != api::OperationStatus::kCompleted || place.folder.empty())
    return has_no_model(id, operation.status);
  std::error_code ignored;
  if (fs::is_directory(place.folder, ignored)) return place;
  return Error(ErrorCode::kUnsupported,
               "The model lies in " + place.folder.string() +
                   ", which is no folder of this machine; run this command on the machine "
                   "that has it, or give it a copy of the folder instead of the id.");
}

class ModelCommand final : public Command {
 public:
  void configure(CLI::App& app) override {
    app.require_subcommand(1);
    CLI::App* command = app.add_subcommand("export", "Write a finished model for use in Python");
    command->footer(
        "Examples:\n"
        "  ktrdr model export op_training_20261123_140833_1a2b3c4d --format pytorch --output model.pt\n"
        "  ktrdr model export ./models/op_1/1 --format safetensors --output model.safetensors\n\n"
        "In Python: module.load_state_dict(torch.load(\"model.pt\", weights_only=True))");
    command->add_option("MODEL", model_, "The operation's id, or a model's folder (a path with a /)")
        ->required();
    add_export_options(*command, "The file to write", options_);
    command->fallthrough();
  }

  Result<ExitCode> run(const Context& context) override {
    TRY_ASSIGN(const ModelPlace place, find(context));
    TRY_ASSIGN(const auto model, checkpoints::ModelWeights::read(place.folder, place.sha256));
    const fs::path output = fs::absolute(options_.output);
    if (!output.has_filename())
      return Error(ErrorCode::kInvalidArgument, "--output names a folder; name the file to write.");
    TRY_ASSIGN(const OutputFile file, file_of(model, options_.format, output.filename().string()));
    TRY(write_outputs(output.parent_path(), {&file, 1}, {}, options_.existing()));
    if (context.json()) context.print(JsonObject().add("file", output.string()).text());
    else context.print(output.string());
    return ExitCode::kOk;
  }

 private:
  Result<ModelPlace> find(const Context& context) const {
    if (model_.find('/') != std::string::npos) return ModelPlace{model_, ""};
    TRY_ASSIGN(const OperationId id, OperationId::parse(model_));
    return model_of_operation(context, id);
  }

  std::string model_;
  ExportOptions options_;
};

}  // namespace

CommandRow model_command() {
  return {"model", "Export a finished model",
          "Example:\n"
          "  ktrdr model export op_training_20261123_140833_1a2b3c4d --format pytorch --output model.pt",
          []() -> std::unique_ptr<Command> { return std::make_unique<ModelCommand>(); }};
}

}  // namespace ktrdr::cli
