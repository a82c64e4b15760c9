// `checkpoints export` and `model export`: real checkpoints in real folders, and, where Debian's
// python3-torch is installed, PyTorch itself as the reader.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "ktrdr/checkpoints/file_checkpoint_store.h"
#include "ktrdr/checkpoints/model_store.h"
#include "ktrdr/core/digest.h"
#include "ktrdr/strategy/testing/strategy_text.h"
#include "ktrdr/training/random.h"
#include "ktrdr/training/testing/example_training.h"
#include "ktrdr/training/trainer_state.h"
#include "test_bench.h"

namespace ktrdr::cli {
namespace {

namespace fs = std::filesystem;
using checkpoints::TensorMap;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

constexpr CheckpointRef kRef{1, 3};

// Another stream for each tensor, so that no two are equal.
void put_random(TensorMap& map, const std::string& name, const std::vector<std::int64_t>& shape,
                std::int64_t seed = 1) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  std::vector<float> values(static_cast<std::size_t>(count));
  training::initial_uniform(seed, static_cast<std::int64_t>(map.size()), values);
  map.put(name, checkpoints::DType::kF32, shape, std::as_bytes(std::span(values)));
}

// What a worker writes for strategy_text(): 5 features, hidden layers of 16 and 8, 3 classes.
struct Training {
  explicit Training(std::int64_t step = 640) {
    const std::vector<std::int64_t> widths = {5, 16, 8, 3};
    for (std::size_t layer = 0; layer + 1 < widths.size(); ++layer) {
      add_parameter(std::to_string(3 * layer) + ".weight", {widths[layer + 1], widths[layer]});
      add_parameter(std::to_string(3 * layer) + ".bias", {widths[layer + 1]});
    }
    optimizer.put_scalar("step", step);
    const auto parsed = strategy::parse_strategy(strategy_yaml);
    training::TrainerState state =
        training::initial_state(parsed->training, training::testing::example_dataset(), 42);
    state.position = {.start_epoch = 2, .start_batch = 0};
    state.global_step = step;
    state.best = {.epoch = 1, .validation_loss = 0.1, .validation_accuracy = 0.75};
    state.schedule.learning_rate = 0.00125;
    state.history = {{.epoch = 0, .train_loss = 0.3, .learning_rate = 0.0025},
                     {.epoch = 1, .train_loss = 0.2, .val_loss = 0.1, .learning_rate = 0.00125}};
    write_trainer_state(state, trainer);
  }

  void add_parameter(const std::string& name, const std::vector<std::int64_t>& shape) {
    put_random(model, name, shape);
    put_random(best_model, name, shape, 2);
    put_random(optimizer, name + ".exp_avg", shape, 3);
    put_random(optimizer, name + ".exp_avg_sq", shape, 4);
  }

  checkpoints::CheckpointContent content(const OperationId& id) const {
    checkpoints::CheckpointContent content{{.operation = id,
                                            .ref = kRef,
                                            .epoch = 1,
                                            .start_epoch = 2,
                                            .global_step = 640,
                                            .identity = {{"engine", "torch"}}},
                                           {}};
    content.files = {tensor_file("model.safetensors", model).value(),
                     tensor_file("optimizer.safetensors", optimizer).value(),
                     tensor_file("trainer.safetensors", trainer).value()};
    if (has_best) content.files.push_back(tensor_file("best_model.safetensors", best_model).value());
    if (!strategy_yaml.empty())
      content.files.push_back(checkpoints::text_file("strategy.yaml", strategy_yaml));
    return content;
  }

  TensorMap model, best_model, optimizer, trainer;
  std::string strategy_yaml = strategy::testing::strategy_text();
  bool has_best = true;
};

std::string content_of(const fs::path& file) { return read_file(file, 1 << 20).value(); }

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  return names;
}

class Export : public ::testing::Test {
 protected:
  // Stores the checkpoint and lets the server tell of it.
  void store(const Training& training, const std::string& digest = "") {
    auto store = checkpoints::FileCheckpointStore::open(root_);
    const auto stored = store->put(training.content({"op_1"}));
    ASSERT_TRUE(stored.ok()) << stored.error().describe();
    serve_checkpoint(checkpoint_.string(), digest.empty() ? stored->manifest_digest : digest);
  }

  void serve_checkpoint(const std::string& path, const std::string& digest) {
    bench_.server.answer(
        "GET /api/v1/checkpoints/op_1",
        {200,
         R"({"success":true,"data":{"operation_id":"op_1","checkpoint_type":"periodic","created_at":"T",)"
         R"("state":{"ref":"1-3","checkpoint_type":"periodic","start_epoch":2,"start_batch":0,)"
         R"("manifest_digest":")" +
             digest + R"("},"kept":[],"artifacts_path":")" + path + R"("}})"});
  }

  int export_checkpoint(const std::string& format, std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"checkpoints", "export",   "op_1", "--format",
                                      format,        "--output", output_};
    words.insert(words.end(), more.begin(), more.end());
    return bench_.run(words);
  }

  void damage(const fs::path& file) {
    std::string text = content_of(file);
    text.back() = static_cast<char>(text.back() ^ 1);
    std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
  }

  // Publishes the training's model and lets the server tell of it.
  fs::path publish(const Training& training) {
    auto models = checkpoints::ModelStore::open(bench_.folder.path() / "models");
    const checkpoints::FileContent file = tensor_file("model.safetensors", training.model).value();
    const auto published = models->publish({"op_1"}, 1, {&file, 1});
    serve_operation("completed", published->path.string(), published->model_sha256);
    return published->path;
  }

  void serve_operation(const std::string& status, const std::string& path, const std::string& sha256) {
    bench_.server.answer("GET /api/v1/operations/op_1",
                         {200, R"({"success":true,"data":{"operation_id":"op_1","status":")" + status +
                                   R"(","attempt":1,"created_at":"T","result_summary":{"model_path":")" +
                                   path + R"(","model_sha256":")" + sha256 + R"("}}})"});
  }

  TestBench bench_;
  fs::path root_ = bench_.folder.path() / "checkpoints";
  fs::path checkpoint_ = root_ / "op_1" / "1-3";
  fs::path output_ = bench_.folder.path() / "exported";
};

// ---- checkpoints export ----

TEST_F(Export, PytorchWritesStateDictsAndTheTrainersState) {
  store(Training());
  EXPECT_EQ(export_checkpoint("pytorch"), 0) << bench_.err.str();
  EXPECT_THAT(names_in(output_), UnorderedElementsAre("model.pt", "best_model.pt", "optimizer.pt",
                                                      "training_state.json", "strategy.yaml"));
  EXPECT_EQ(bench_.err.str(), "Exported checkpoint 1-3 of op_1.\n");
  EXPECT_THAT(bench_.out.str(), HasSubstr((output_ / "model.pt").string() + "\n"));
  EXPECT_EQ(content_of(output_ / "strategy.yaml"), strategy::testing::strategy_text());
  EXPECT_EQ(
      content_of(output_ / "training_state.json"),
      R"({"format_version":1,"operation_id":"op_1","checkpoint":"1-3","checkpoint_type":"periodic",)"
      R"("strategy_name":"quick","seed":42,)"
      R"("model":{"type":"mlp","hidden_layers":[16,8],"activation":"relu","dropout":0.2},)"
      R"("position":{"epoch":1,"start_epoch":2,"start_batch":0,"validation_pending":false,"finished":false},)"
      R"("global_step":640,"epochs":3,"batch_size":32,"gradient_clip":1,"class_weights":[0.9,0.8,1.3],)"
      R"("scheduler":{"type":"none","learning_rate":0.00125,"epochs":0,"best":null,"bad_epochs":0},)"
      R"("early_stopping":{"best_score":null,"misses":0},"stopped_early":false,)"
      R"("best":{"epoch":1,"val_loss":0.1,"val_accuracy":0.75},"history":[)"
      R"({"epoch":0,"train_loss":0.3,"train_accuracy":null,"val_loss":null,"val_accuracy":null,"learning_rate":0.0025},)"
      R"({"epoch":1,"train_loss":0.2,"train_accuracy":null,"val_loss":0.1,"val_accuracy":null,"learning_rate":0.00125}]})"
      "\n");
}

TEST_F(Export, TheSameCheckpointIsExportedAsTheSameBytes) {
  store(Training());
  EXPECT_EQ(export_checkpoint("pytorch"), 0);
  const std::string model = content_of(output_ / "model.pt"),
                    optimizer = content_of(output_ / "optimizer.pt");
  EXPECT_EQ(export_checkpoint("pytorch", {"--force"}), 0);
  EXPECT_EQ(content_of(output_ / "model.pt"), model);
  EXPECT_EQ(content_of(output_ / "optimizer.pt"), optimizer);
}

TEST_F(Export, SafetensorsIsAVerifiedCopy) {
  store(Training());
  EXPECT_EQ(export_checkpoint("safetensors"), 0) << bench_.err.str();
  EXPECT_EQ(names_in(output_).size(), names_in(checkpoint_).size());
  for (const std::string& name : names_in(checkpoint_))
    EXPECT_EQ(content_of(output_ / name), content_of(checkpoint_ / name)) << name;
}

TEST_F(Export, AsJsonIsOneDocument) {
  store(Training());
  EXPECT_EQ(export_checkpoint("safetensors", {"--json"}), 0);
  const auto document = api::from_json<api::JsonText>(bench_.out.str());
  ASSERT_TRUE(document.ok()) << bench_.out.str();
  EXPECT_EQ(api::member_of(*document, "checkpoint"), "1-3");
  EXPECT_THAT(bench_.out.str(), HasSubstr((output_ / "manifest.json").string()));
}

TEST_F(Export, ADamagedCheckpointIsRefusedAndNothingIsWritten) {
  store(Training());
  for (const std::string& name : names_in(checkpoint_)) {
    const std::string whole = content_of(checkpoint_ / name);
    damage(checkpoint_ / name);
    for (const char* format : {"pytorch", "safetensors"}) EXPECT_EQ(export_checkpoint(format), 1) << name;
    EXPECT_FALSE(fs::exists(output_)) << name;
    std::ofstream(checkpoint_ / name, std::ios::binary | std::ios::trunc) << whole;
  }
  EXPECT_EQ(export_checkpoint("pytorch"), 0) << "whole again, so it was the damage that was refused";
}

TEST_F(Export, ACheckpointThatTheServerDidNotRecordIsRefused) {
  store(Training(), std::string(32, '0'));
  EXPECT_EQ(export_checkpoint("pytorch"), 1);
  EXPECT_THAT(bench_.err.str(), HasSubstr("another one than the server has recorded"));
  EXPECT_FALSE(fs::exists(output_));
}

TEST_F(Export, ACheckpointElsewhereSaysWhereToRunIt) {
  serve_checkpoint("/no/such/folder/op_1/1-3", "d1");
  EXPECT_EQ(export_checkpoint("pytorch"), 2);
  EXPECT_THAT(bench_.err.str(), HasSubstr("/no/such/folder/op_1/1-3"));
  EXPECT_THAT(bench_.err.str(), HasSubstr("run this command on the server's machine"));
}

TEST_F(Export, ACheckpointIsFoundWhereItsFolderIsMounted) {
  store(Training());
  const std::string digest =
      checkpoints::FileCheckpointStore::open(root_)->load({"op_1"}, kRef)->manifest_digest();
  serve_checkpoint("/no/such/folder/op_1/1-3", digest);
  EXPECT_EQ(export_checkpoint("safetensors", {"--checkpoints", root_}), 0) << bench_.err.str();
  EXPECT_TRUE(fs::exists(output_ / "model.safetensors"));
}

TEST_F(Export, LookingWhereThereIsNoCheckpointMakesNoFolder) {
  serve_checkpoint(checkpoint_.string(), "d1");
  EXPECT_EQ(export_checkpoint("safetensors", {"--checkpoints", bench_.folder / "wrong"}), 2);
  EXPECT_FALSE(fs::exists(bench_.folder / "wrong"));
  EXPECT_THAT(bench_.err.str(), HasSubstr("--checkpoints"));
}

TEST_F(Export, ABucketNeedsItsKeys) {
  serve_checkpoint("s3://bucket/prefix/op_1/1-3", "d1");
  EXPECT_EQ(export_checkpoint("safetensors"), 2);
  EXPECT_THAT(bench_.err.str(), HasSubstr("AWS_ACCESS_KEY_ID"));
}

TEST_F(Export, ReplacesNothingUnlessForced) {
  store(Training());
  fs::create_directory(output_);
  std::ofstream(output_ / "optimizer.pt") << "mine";
  EXPECT_EQ(export_checkpoint("pytorch"), 4);
  EXPECT_THAT(bench_.err.str(), HasSubstr("optimizer.pt already exists; add --force"));
  EXPECT_THAT(names_in(output_), UnorderedElementsAre("optimizer.pt"));
  EXPECT_EQ(content_of(output_ / "optimizer.pt"), "mine");
  EXPECT_EQ(export_checkpoint("pytorch", {"--force"}), 0);
  EXPECT_EQ(names_in(output_).size(), 5);
}

TEST_F(Export, AFailureLeavesNoTemporaryFiles) {
  store(Training());
  fs::create_directories(output_ / "optimizer.pt" / "not empty");
  EXPECT_EQ(export_checkpoint("pytorch", {"--force"}), 1);
  for (const std::string& name : names_in(output_)) EXPECT_FALSE(name.ends_with(".tmp")) << name;
}

// Else Python would take the best model of another checkpoint for this one's.
TEST_F(Export, ABestModelOfAnotherCheckpointDoesNotStay) {
  Training training;
  training.has_best = false;
  store(training);
  fs::create_directory(output_);
  std::ofstream(output_ / "best_model.pt") << "of another checkpoint";
  EXPECT_EQ(export_checkpoint("pytorch"), 4);
  EXPECT_TRUE(fs::exists(output_ / "best_model.pt"));
  EXPECT_EQ(export_checkpoint("pytorch", {"--force"}), 0);
  EXPECT_FALSE(fs::exists(output_ / "best_model.pt"));
}

TEST_F(Export, WithoutAStrategyOnlySafetensorsCanBeWritten) {
  Training training;
  training.strategy_yaml.clear();
  store(training);
  EXPECT_EQ(export_checkpoint("pytorch"), 2);
  EXPECT_THAT(bench_.err.str(), HasSubstr("--format safetensors"));
  EXPECT_EQ(export_checkpoint("safetensors"), 0);
}

TEST_F(Export, AnUnknownFormatIsBadInput) {
  EXPECT_EQ(export_checkpoint("pickle"), 2);
  EXPECT_EQ(bench_.run({"checkpoints", "export", "op_1", "--format", "pytorch"}), 2) << "no --output";
  EXPECT_TRUE(bench_.server.requests().empty());
}

// ---- model export ----

TEST_F(Export, AModelIsFoundByItsOperationOrItsFolder) {
  const fs::path folder = publish(Training());
  const std::string by_id = bench_.folder.path() / "by_id.pt", by_path = bench_.folder.path() / "by_path.pt";
  EXPECT_EQ(bench_.run({"model", "export", "op_1", "--format", "pytorch", "--output", by_id}), 0)
      << bench_.err.str();
  EXPECT_EQ(bench_.out.str(), by_id + "\n");
  EXPECT_EQ(bench_.run({"model", "export", folder, "--format", "pytorch", "--output", by_path}), 0);
  EXPECT_EQ(content_of(by_id), content_of(by_path));
  EXPECT_EQ(bench_.run({"model", "export", "op_1", "--format", "pytorch", "--output", by_id}), 4)
      << "it exists";
}

TEST_F(Export, AModelAsSafetensorsIsACopy) {
  const fs::path folder = publish(Training());
  const std::string file = bench_.folder.path() / "copy.safetensors";
  EXPECT_EQ(bench_.run({"model", "export", "op_1", "--format", "safetensors", "--output", file}), 0);
  EXPECT_EQ(content_of(file), content_of(folder / "model.safetensors"));
}

TEST_F(Export, ADamagedModelIsRefused) {
  damage(publish(Training()) / "model.safetensors");
  const std::string file = bench_.folder.path() / "model.pt";
  EXPECT_EQ(bench_.run({"model", "export", "op_1", "--format", "pytorch", "--output", file}), 1);
  EXPECT_THAT(bench_.err.str(), HasSubstr("SHA-256"));
  EXPECT_FALSE(fs::exists(file));
}

TEST_F(Export, AModelThatIsNotThereSaysWhatToDo) {
  const std::vector<std::string> words = {"model",   "export",   "op_1", "--format",
                                          "pytorch", "--output", "x.pt"};
  serve_operation("completed", "/no/such/model", "abc");
  EXPECT_EQ(bench_.run(words), 2);
  EXPECT_THAT(bench_.err.str(), HasSubstr("run this command on the machine that has it"));
  EXPECT_EQ(bench_.run({"model", "export", "/no/such/model", "--format", "pytorch", "--output", "x.pt"}), 3);
  TestBench running;
  running.server.answer("GET /api/v1/operations/op_1", {200, running_operation(4, 42)});
  EXPECT_EQ(running.run(words), 4);
  EXPECT_THAT(running.err.str(), HasSubstr("ktrdr checkpoints export op_1"));
}

// ---- Python ----

// The exit code of Debian's Python, the one that has Debian's PyTorch.
int python(const std::string& arguments) {
  const int status = std::system(("/usr/bin/python3 " + arguments).c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class ExportToPython : public Export {
 protected:
  void export_both() {
    store(Training());
    ASSERT_EQ(export_checkpoint("pytorch"), 0) << bench_.err.str();
    output_ = bench_.folder.path() / "safetensors";
    ASSERT_EQ(export_checkpoint("safetensors"), 0) << bench_.err.str();
  }
  int run_script(const std::string& test) {
    return python(LOAD_IN_PYTHON " " + test + " " + (bench_.folder.path() / "exported").string() + " " +
                  output_.string());
  }
};

TEST_F(ExportToPython, SafetensorsAreReadByAReaderThatIsNotOurs) {
  if (python("-c pass") != 0) GTEST_SKIP() << "SKIPPED: there is no /usr/bin/python3";
  export_both();
  EXPECT_EQ(run_script("safetensors"), 0);
}

TEST_F(ExportToPython, PytorchLoadsTheFilesAndGoesOnTraining) {
  if (python("-c 'import torch' 2>/dev/null") != 0)
    GTEST_SKIP() << "SKIPPED: python3-torch is not installed (apt-get install python3-torch)";
  export_both();
  EXPECT_EQ(run_script("torch"), 0);
}

}  // namespace
}  // namespace ktrdr::cli
