#include <CLI/CLI.hpp>

#include "commands.h"
#include "json_document.h"
#include "ktrdr/checkpoints/open_checkpoint_store.h"
#include "ktrdr/core/durable_file.h"
#include "ktrdr/core/ids.h"
#include "model_files.h"
#include "wording.h"

namespace ktrdr::cli {
namespace {

std::string checkpoint_text(const api::CheckpointData& data, std::int64_t now_wall_ms) {
  const api::CheckpointInfo& state = data.state;
  return rows_text({{"operation", data.operation_id},
                    {"checkpoint", state.ref.to_string()},
                    {"type", std::string(to_string(data.checkpoint_type))},
                    {"saved", data.created_at + " (" + age_text(data.created_at, now_wall_ms) + ")"},
                    {"position", position_text(state)},
                    {"step", std::to_string(state.global_step)},
                    {"size", bytes_text(state.size_bytes)},
                    {"digest", state.manifest_digest},
                    {"path", data.artifacts_path}});
}

std::string kept_text(const std::vector<api::CheckpointInfo>& kept, std::int64_t now_wall_ms) {
  std::vector<std::vector<std::string>> lines = {{"CHECKPOINT", "TYPE", "POSITION", "SIZE", "AGE"}};
  for (const auto& checkpoint : kept) {
    lines.push_back({checkpoint.ref.to_string(), std::string(to_string(checkpoint.checkpoint_type)),
                     position_text(checkpoint), bytes_text(checkpoint.size_bytes),
                     age_text(checkpoint.created_at, now_wall_ms)});
  }
  return table_text(lines);
}

bool says_yes(std::istream& in) {
  std::string line;
  std::getline(in, line);
  return line == "y" || line == "Y" || line == "yes";
}

std::string list_text(const std::vector<api::CheckpointSummary>& checkpoints, std::int64_t now_wall_ms) {
  std::vector<std::vector<std::string>> lines = {{"ID", "TYPE", "POSITION", "SIZE", "AGE"}};
  for (const auto& checkpoint : checkpoints) {
    lines.push_back({checkpoint.operation_id, std::string(to_string(checkpoint.checkpoint_type)),
                     position_text(checkpoint.state_summary), bytes_text(checkpoint.artifacts_size_bytes),
                     age_text(checkpoint.created_at, now_wall_ms)});
  }
  return table_text(lines);
}

std::string stats_text(const api::CheckpointStatsResponse& stats, std::int64_t now_wall_ms) {
  return rows_text(
      {{"operations", std::to_string(stats.total_checkpoints)},
       {"checkpoints", std::to_string(stats.kept_checkpoints)},
       {"size", bytes_text(stats.total_size_bytes)},
       {"oldest", stats.oldest_checkpoint ? age_text(*stats.oldest_checkpoint, now_wall_ms) : ""}});
}

// The place of all checkpoints, when the server names the path of this one: ".../op_1/1-3".
std::string place_of(const std::string& checkpoint_path) {
  const std::size_t operation_end = checkpoint_path.rfind('/');
  const std::size_t place_end =
      operation_end == std::string::npos ? operation_end : checkpoint_path.rfind('/', operation_end - 1);
  return place_end == std::string::npos ? "" : checkpoint_path.substr(0, place_end);
}

Result<void> check_folder(const std::string& place, const api::CheckpointData& data) {
  const auto folder = std::filesystem::path(place) / data.operation_id / data.state.ref.to_string();
  std::error_code ignored;
  if (std::filesystem::is_directory(folder, ignored)) return {};
  return Error(ErrorCode::kUnsupported,
               "The checkpoint lies in " + data.artifacts_path + ", and " + folder.string() +
                   " is no folder of this machine; run this command on the server's machine, or say with "
                   "--checkpoints where the server's folder of checkpoints is mounted.");
}

// The store verifies every byte before one is written.
Result<checkpoints::VerifiedCheckpoint> verified_checkpoint(const api::CheckpointData& data,
                                                            const std::string& place,
                                                            const client::Environment& environment) {
  if (!s3::is_s3_url(place)) TRY(check_folder(place, data));
  TRY_ASSIGN(const auto store, checkpoints::open_checkpoint_store(place, environment));
  TRY_ASSIGN(auto checkpoint, store->load({data.operation_id}, data.state.ref));
  if (checkpoint.manifest_digest() == data.state.manifest_digest) return checkpoint;
  return Error(ErrorCode::kCheckpointCorrupted, "The checkpoint in " + place +
                                                    " is another one than the server has recorded for " +
                                                    data.operation_id + ".");
}

std::string exported_json(const api::CheckpointData& data, const std::filesystem::path& folder,
                          const std::vector<OutputFile>& files) {
  std::string names;
  for (const OutputFile& file : files)
    names += (names.empty() ? "" : ",") + json_string((folder / file.name).string());
  return JsonObject()
      .add("operation_id", data.operation_id)
      .add("checkpoint", data.state.ref.to_string())
      .add_json("files", "[" + names + "]")
      .text();
}

class CheckpointsCommand final : public Command {
 public:
  void configure(CLI::App& app) override {
    app.require_subcommand(1);
    show_ = app.add_subcommand("show", "Show an operation's checkpoint");
    show_->footer("Example:\n  ktrdr checkpoints show op_training_20261123_140833_1a2b3c4d");
    delete_ = app.add_subcommand("delete", "Delete an operation's checkpoints");
    delete_->footer("Example:\n  ktrdr checkpoints delete op_training_20261123_140833_1a2b3c4d --force");
    delete_->add_flag("-f,--force", force_, "Don't ask");
    export_ = app.add_subcommand("export", "Write an operation's checkpoint for use in Python");
    export_->footer(
        "Example:\n"
        "  ktrdr checkpoints export op_training_20261123_140833_1a2b3c4d --format pytorch --output "
        "exported\n\n"
        "In Python: module.load_state_dict(torch.load(\"exported/model.pt\", weights_only=True))");
    add_export_options(*export_, "The folder to write into; it is made when it is missing", export_options_);
    export_->add_option(
        "--checkpoints", checkpoints_,
        "Where checkpoints lie, when not where the server says: a folder, or s3://BUCKET/PREFIX");
    for (CLI::App* command : {show_, delete_, export_})
      command->add_option("ID", id_, "The operation's id")->required();
    list_ = app.add_subcommand("list", "List the current checkpoint of every operation, newest first");
    list_->footer("Example:\n  ktrdr checkpoints list --older-than-days 7");
    list_->add_option("--older-than-days", older_than_days_, "Only those that are older")
        ->check(CLI::NonNegativeNumber);
    stats_ = app.add_subcommand("stats", "How many there are, how large, how old");
    cleanup_ = app.add_subcommand("cleanup", "Delete old checkpoints of operations that are not live");
    cleanup_->footer("Example:\n  ktrdr checkpoints cleanup --max-age-days 7");
    cleanup_
        ->add_option("--max-age-days", max_age_days_,
                     "Those that are older go (default: the server's --checkpoint-max-age-days)")
        ->check(CLI::Range(1, 36'500));
    for (CLI::App* command : {show_, delete_, export_, list_, stats_, cleanup_}) command->fallthrough();
  }

  Result<ExitCode> run(const Context& context) override {
    TRY_ASSIGN(const auto api, context.api());
    if (list_->parsed()) return list(context, *api);
    if (stats_->parsed()) return stats(context, *api);
    if (cleanup_->parsed()) return clean_up(context, *api);
    TRY_ASSIGN(const OperationId id, OperationId::parse(id_));
    if (export_->parsed()) return export_files(context, *api, id);
    return show_->parsed() ? show(context, *api, id) : remove(context, *api, id);
  }

 private:
  Result<ExitCode> list(const Context& context, client::ApiClient& api) const {
    client::CheckpointFilter filter{.older_than_days = older_than_days_};
    std::vector<api::CheckpointSummary> checkpoints;
    do {
      TRY_ASSIGN(const auto page, api.list_checkpoints(filter));
      checkpoints.insert(checkpoints.end(), page.data.begin(), page.data.end());
      filter.cursor = page.next_cursor;
    } while (filter.cursor);
    if (context.json()) context.print(json_list(checkpoints));
    else if (checkpoints.empty()) context.note("There are no checkpoints.");
    else context.print(list_text(checkpoints, context.now()));
    return ExitCode::kOk;
  }

  static Result<ExitCode> stats(const Context& context, client::ApiClient& api) {
    TRY_ASSIGN(const auto answer, api.checkpoint_stats());
    context.print(context.json() ? api::to_json(answer) : stats_text(answer, context.now()));
    return ExitCode::kOk;
  }

  Result<ExitCode> clean_up(const Context& context, client::ApiClient& api) const {
    TRY_ASSIGN(const auto answer, api.clean_up_checkpoints(max_age_days_));
    if (context.json()) {
      context.print(api::to_json(answer));
    } else {
      context.note("Deleted the checkpoints of " + std::to_string(answer.checkpoints_deleted) +
                   " operations and " + std::to_string(answer.orphan_artifacts_cleaned) +
                   " objects that nothing named.");
    }
    return ExitCode::kOk;
  }

  static Result<ExitCode> show(const Context& context, client::ApiClient& api, const OperationId& id) {
    TRY_ASSIGN(const auto answer, api.checkpoint(id));
    if (context.json()) {
      context.print(api::to_json(answer.data));
      return ExitCode::kOk;
    }
    context.print(checkpoint_text(answer.data, context.now()));
    if (context.verbose()) context.print(kept_text(answer.data.kept, context.now()));
    context.note("resume with: ktrdr resume " + id.value);
    return ExitCode::kOk;
  }

  Result<ExitCode> export_files(const Context& context, client::ApiClient& api, const OperationId& id) const {
    TRY_ASSIGN(const auto answer, api.checkpoint(id));
    TRY_ASSIGN(const auto checkpoint,
               verified_checkpoint(answer.data,
                                   checkpoints_.empty() ? place_of(answer.data.artifacts_path) : checkpoints_,
                                   context.surroundings().environment));
    TRY_ASSIGN(const ExportedFiles exported, files_of(checkpoint, export_options_.format));
    const std::filesystem::path folder = std::filesystem::absolute(export_options_.output);
    TRY(create_folders_durably(folder));
    TRY(write_outputs(folder, exported.files, exported.never, export_options_.existing()));
    context.note("Exported checkpoint " + answer.data.state.ref.to_string() + " of " + id.value + ".");
    if (context.json()) context.print(exported_json(answer.data, folder, exported.files));
    else
      for (const OutputFile& file : exported.files) context.print((folder / file.name).string());
    return ExitCode::kOk;
  }

  Result<ExitCode> remove(const Context& context, client::ApiClient& api, const OperationId& id) const {
    if (!force_) {
      TRY_ASSIGN(const bool confirmed, confirm(context, api, id));
      if (!confirmed) return aborted(context);
    }
    TRY_ASSIGN(const auto answer, api.delete_checkpoint(id));
    if (context.json()) context.print(api::to_json(answer));
    else context.note(answer.message.empty() ? "Deleted." : answer.message);
    return ExitCode::kOk;
  }

  static Result<bool> confirm(const Context& context, client::ApiClient& api, const OperationId& id) {
    TRY_ASSIGN(const auto answer, api.checkpoint(id));
    using enum api::CheckpointType;
    const api::CheckpointType type = answer.data.checkpoint_type;
    context.note("This deletes the " + std::string(to_string(type)) + " checkpoint of " + id.value + " (" +
                 position_text(answer.data.state) + ").");
    if (type == kCancellation || type == kFailure || type == kShutdown)
      context.note("The training stopped there: without it, it can't be resumed and its work is lost.");
    const Streams& streams = context.surroundings().streams;
    streams.err << "Delete it? [y/N] " << std::flush;
    return says_yes(streams.in);
  }

  static ExitCode aborted(const Context& context) {
    context.note("Nothing was deleted.");
    if (context.json())
      context.print(api::to_json(api::MessageResponse{.success = false, .message = "Nothing was deleted."}));
    return ExitCode::kOk;
  }

  CLI::App* show_ = nullptr;
  CLI::App* delete_ = nullptr;
  CLI::App* export_ = nullptr;
  CLI::App* list_ = nullptr;
  CLI::App* stats_ = nullptr;
  CLI::App* cleanup_ = nullptr;
  std::string id_;
  std::optional<std::int64_t> older_than_days_;
  std::optional<std::int64_t> max_age_days_;
  bool force_ = false;
  ExportOptions export_options_;
  std::string checkpoints_;  // empty: where the server says
};

}  // namespace

CommandRow checkpoints_command() {
  return {"checkpoints", "Show, list, export, delete or clean up checkpoints",
          "Examples:\n"
          "  ktrdr checkpoints show op_training_20261123_140833_1a2b3c4d\n"
          "  ktrdr checkpoints list\n"
          "  ktrdr checkpoints cleanup --max-age-days 7",
          []() -> std::unique_ptr<Command> { return std::make_unique<CheckpointsCommand>(); }};
}

}  // namespace ktrdr::cli
