// What must hold from one process to the next. The test program plays the other process, too: main() looks
// for the name of a role before it runs tests.
#include <gmock/gmock.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>

#include "ktrdr/core/digest.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/engine_torch/torch_environment.h"
#include "ktrdr/training/pinned_environment.h"
#include "test_problem.h"

namespace ktrdr::engine_torch {
namespace {

using ::ktrdr::testing::SaysError;
using ::ktrdr::testing::TemporaryFolder;

// ---- the roles ----

// All tensors one after the other: the layout is known from a fresh engine.
void read_tensors(std::ifstream& file, checkpoints::TensorMap& tensors) {
  for (const checkpoints::TensorView& tensor : tensors.views()) {
    const std::span<std::byte> bytes = tensors.mutable_bytes(tensor.name);
    file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
}

void write_tensors(std::ofstream& file, const checkpoints::TensorMap& tensors) {
  for (const checkpoints::TensorView& tensor : tensors.views()) {
    file.write(reinterpret_cast<const char*>(tensor.bytes.data()),
               static_cast<std::streamsize>(tensor.bytes.size()));
  }
}

// "train BEGIN END FILE": goes on from the state in FILE, unless BEGIN is 0, and leaves the new state there.
int train(const std::vector<std::string>& arguments) {
  const std::int64_t begin = std::stoll(arguments.at(0)), end = std::stoll(arguments.at(1));
  const strategy::Dataset dataset = make_dataset();
  const auto engine = make_engine(make_strategy(), dataset);
  EngineState state = state_of(*engine);
  if (begin > 0) {
    std::ifstream file(arguments.at(2), std::ios::binary);
    read_tensors(file, state.model);
    read_tensors(file, state.optimizer);
    CHECK(file.good() && engine->restore_model(state.model.views()) &&
              engine->restore_optimizer(state.optimizer.views()),
          "the process before left its state");
  }
  train_steps(*engine, begin, end);
  state = state_of(*engine);
  std::ofstream file(arguments.at(2), std::ios::binary);
  write_tensors(file, state.model);
  write_tensors(file, state.optimizer);
  return file.good() ? 0 : 1;
}

// "describe FILE": what the engine and the environment of this process are.
int describe(const std::vector<std::string>& arguments) {
  const strategy::Dataset dataset = make_dataset();
  std::ofstream file(arguments.at(0));
  const auto engine = make_engine(make_strategy(), dataset);
  for (const auto& [key, value] : engine->identity()) file << key << '=' << value << '\n';
  for (const auto& [name, value] : training::pinned_environment())
    file << name << '=' << std::getenv(name.c_str()) << '\n';
  return file.good() ? 0 : 1;
}

// ---- playing them ----

// Runs this program again and waits until it ended. Returns its exit status.
int run_process(std::vector<std::string> arguments, std::vector<std::string> environment) {
  const auto pointers_to = [](std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (std::string& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
  };
  arguments.insert(arguments.begin(), "engine_torch_test");
  pid_t process = 0;
  const int failed = posix_spawn(&process, "/proc/self/exe", nullptr, nullptr, pointers_to(arguments).data(),
                                 pointers_to(environment).data());
  int status = 0;
  CHECK(failed == 0 && waitpid(process, &status, 0) == process, "a test can run itself");
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::vector<std::string> pinned_variables() {
  std::vector<std::string> variables;
  for (const auto& [name, value] : training::pinned_environment()) variables.push_back(name + "=" + value);
  return variables;
}

std::string digest_after_training(const std::vector<std::pair<std::int64_t, std::int64_t>>& parts,
                                  const std::vector<std::string>& environment) {
  const TemporaryFolder folder;
  const std::string file = folder / "state";
  for (const auto& [begin, end] : parts) {
    EXPECT_EQ(run_process({"train", std::to_string(begin), std::to_string(end), file}, environment), 0);
  }
  return *sha256_of_file(file);
}

std::map<std::string, std::string> description_of_process(const std::vector<std::string>& environment) {
  const TemporaryFolder folder;
  EXPECT_EQ(run_process({"describe", folder / "description"}, environment), 0);
  std::ifstream file(folder / "description");
  std::map<std::string, std::string> description;
  for (std::string line; std::getline(file, line);) {
    description[line.substr(0, line.find('='))] = line.substr(line.find('=') + 1);
  }
  return description;
}

// What this process, which runs in the pinned environment, would have answered. A process costs half a
// second, so the tests compare with this one where they can.
std::string digest_of_training_here(std::int64_t steps) {
  const TemporaryFolder folder;
  EXPECT_EQ(train({"0", std::to_string(steps), folder / "state"}), 0);
  return *sha256_of_file(folder / "state");
}

constexpr std::int64_t kSteps = 23;

TEST(TrainingProcess, AnotherOneEndsInTheSameBits) {
  EXPECT_EQ(digest_after_training({{0, kSteps}}, pinned_variables()), digest_of_training_here(kSteps));
  EXPECT_NE(digest_of_training_here(kSteps - 1), digest_of_training_here(kSteps));
}

TEST(TrainingProcess, OneThatResumesEndsInTheBitsOfOneThatWasNotDisturbed) {
  EXPECT_EQ(digest_after_training({{0, 4}, {4, kSteps}}, pinned_variables()),
            digest_of_training_here(kSteps));
}

TEST(TrainingProcess, AnUnsuitableEnvironmentChangesNoBit) {
  const std::vector<std::string> unsuitable = {"OPENBLAS_CORETYPE=Prescott", "ATEN_CPU_CAPABILITY=default",
                                               "OMP_NUM_THREADS=2"};
  EXPECT_EQ(digest_after_training({{0, kSteps}}, unsuitable), digest_of_training_here(kSteps));
}

// The variable that says "I did it already" is inherited; it must not keep a child from doing it.
TEST(TrainingProcess, OneStartedWithoutTheEnvironmentGivesItToItself) {
  const auto description = description_of_process({"KTRDR_REEXECUTED_PROCESS=" + std::to_string(getpid())});
  for (const auto& [name, value] : training::pinned_environment()) EXPECT_EQ(description.at(name), value);
  EXPECT_EQ(description.at("cpu_capability"), "AVX2");
}

TEST(TrainingProcess, ExecutingItselfAgainIsTriedOnce) {
  setenv("KTRDR_REEXECUTED_PROCESS", std::to_string(getpid()).c_str(), 1);
  setenv("OPENBLAS_CORETYPE", "Prescott", 1);
  std::array<char*, 1> arguments = {nullptr};
  EXPECT_FALSE(environment_is_pinned());
  EXPECT_THAT(reexecute_with_pinned_environment(arguments.data()), SaysError("do not stay set"));
  setenv("OPENBLAS_CORETYPE", "Haswell", 1);
  unsetenv("KTRDR_REEXECUTED_PROCESS");
}

TEST(TrainingProcess, TheIdentityTellsTheReferenceBlasFromOpenBlas) {
  const std::string reference = "/usr/lib/x86_64-linux-gnu/blas/libblas.so.3";
  if (!std::filesystem::exists(reference)) GTEST_SKIP() << "the reference BLAS is not installed";
  std::vector<std::string> environment = pinned_variables();
  environment.push_back("LD_PRELOAD=" + reference);
  const auto slow = description_of_process(environment);
  const strategy::Dataset dataset = make_dataset();
  const training::EngineIdentity fast = make_engine(make_strategy(), dataset)->identity();
  EXPECT_THAT(slow.at("blas"), ::testing::StartsWith("libblas.so.3"));
  EXPECT_EQ(slow.at("blas_core"), "generic");
  EXPECT_THAT(fast.at("blas"), ::testing::StartsWith("OpenBLAS"));
  EXPECT_EQ(fast.at("blas_core"), "Haswell");
}

}  // namespace

int run_role(const std::string& role, const std::vector<std::string>& arguments) {
  return role == "train" ? train(arguments) : describe(arguments);
}

}  // namespace ktrdr::engine_torch

int main(int argc, char** argv) {
  if (const auto pinned = ktrdr::engine_torch::reexecute_with_pinned_environment(argv); !pinned.ok()) {
    std::cerr << pinned.error().describe() << '\n';
    return 1;
  }
  const std::string role = argc > 1 ? argv[1] : "";
  if (role == "train" || role == "describe")
    return ktrdr::engine_torch::run_role(role, {argv + 2, argv + argc});
  ::testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
