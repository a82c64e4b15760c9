// The command line itself: unknown words, help, global options, exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <fstream>

#include "command.h"
#include "ktrdr/cli/exit_code.h"
#include "suggestion.h"
#include "test_bench.h"

namespace ktrdr::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(Usage, AWrongWordIsAnsweredWithTheNearestRightOne) {
  const std::pair<std::vector<std::string>, const char*> table[] = {
      {{"statsu"}, "Unknown command 'statsu'; did you mean 'status'?"},
      {{"op"}, "did you mean 'ops'?"},
      {{"checkpoints", "shwo", "op_1"}, "Unknown command 'shwo'; did you mean 'show'?"},
      {{"train", "s.yaml", "--sed", "7"}, "Unknown option '--sed'; did you mean '--seed'?"},
      {{"train", "--folow"}, "did you mean '--follow'?"},
      {{"ops", "--jsn"}, "did you mean '--json'?"},
      {{"ops", "--limt=3"}, "Unknown option '--limt'; did you mean '--limit'?"},
      {{"frobnicate"}, "Unknown command 'frobnicate'. See: ktrdr --help"},
      {{"cancel", "op_1", "op_2"}, "'op_2' is one word too many. See: ktrdr cancel --help"},
      {{"follow"}, "ID is required"},
      {{"checkpoints"}, "See: ktrdr checkpoints --help"},
      {{"ops", "--limit", "0"}, "--limit"},
      {{}, "A command is missing."},
  };
  for (const auto& [words, says] : table) {
    TestBench bench;
    EXPECT_EQ(bench.run(words), 2) << says;
    EXPECT_THAT(bench.err.str(), HasSubstr(says));
    EXPECT_THAT(bench.out.str(), IsEmpty());
    EXPECT_THAT(bench.server.requests(), IsEmpty())
        << "nothing is asked for a command that was not understood";
  }
}

TEST(Usage, NothingNearIsNotGuessed) {
  EXPECT_EQ(nearest("xyz", {"ops", "train"}), std::nullopt);
  EXPECT_EQ(nearest("tarin", {"ops", "train"}), "train");
  EXPECT_EQ(nearest(std::string(100'000, 'a'), {"ops"}), std::nullopt);
}

TEST(Usage, EveryCommandsHelpShowsAnExample) {
  for (const CommandRow& row : command_table()) {
    TestBench bench;
    EXPECT_EQ(bench.run({row.name, "--help"}), 0);
    EXPECT_THAT(bench.out.str(), HasSubstr(std::string("ktrdr ") + row.name)) << row.name;
    EXPECT_THAT(bench.out.str(), HasSubstr("Example")) << row.name;
    EXPECT_THAT(bench.err.str(), IsEmpty());
  }
  for (const char* word : {"show", "delete"}) {
    TestBench bench;
    EXPECT_EQ(bench.run({"checkpoints", word, "--help"}), 0);
    EXPECT_THAT(bench.out.str(), HasSubstr(std::string("ktrdr checkpoints ") + word));
  }
}

TEST(Usage, TheMainHelpListsCommandsAndExitCodes) {
  TestBench bench;
  EXPECT_EQ(bench.run_exactly({"ktrdr", "--help"}), 0);
  for (const CommandRow& row : command_table()) EXPECT_THAT(bench.out.str(), HasSubstr(row.name));
  EXPECT_THAT(bench.out.str(), HasSubstr("Exit codes:"));
  EXPECT_THAT(bench.out.str(), HasSubstr("130  interrupted"));
}

TEST(Usage, GlobalOptionsStandBeforeOrAfterTheCommand) {
  TestBench bench;
  bench.server.answer("GET /api/v1/workers", {200, "[]"});
  bench.server.answer("GET /api/v1/health", {200, kHealthy});
  const std::string url = bench.server.url();
  const std::string port = std::to_string(bench.server.port());
  EXPECT_EQ(bench.run_exactly({"ktrdr", "--json", "--url", url, "workers"}), 0);
  EXPECT_EQ(bench.out.str(), "[]\n");
  EXPECT_EQ(bench.run_exactly({"ktrdr", "workers", "--json", "-u", url}), 0);
  EXPECT_EQ(bench.out.str(), "[]\n");
  EXPECT_EQ(bench.run_exactly({"ktrdr", "workers", "-p", port}), 0);
  EXPECT_EQ(bench.run_exactly({"ktrdr", "-p", port, "workers"}), 0);
  EXPECT_EQ(bench.server.requests().size(), 8U) << "each asks for the workers and for what ails the server";
}

TEST(Usage, UsageErrorsAreOneJsonDocumentToo) {
  TestBench bench;
  EXPECT_EQ(bench.run({"statsu", "--json"}), 2);
  EXPECT_EQ(bench.out.str(),
            R"({"status":"error","code":"INVALID_ARGUMENT","message":"Unknown command 'statsu'; )"
            R"(did you mean 'status'? See: ktrdr --help","exit_code":2})"
            "\n");
  EXPECT_THAT(bench.err.str(), IsEmpty());
}

TEST(Usage, BadIdsAreRefusedBeforeAnyRequest) {
  for (const std::string id : {"../../x", "OP_1", "a b", "", "op/1", "op%2f1"}) {
    for (const std::vector<std::string>& words :
         std::vector<std::vector<std::string>>{{"status", id},
                                               {"follow", id},
                                               {"cancel", id},
                                               {"resume", id},
                                               {"checkpoints", "show", id},
                                               {"checkpoints", "delete", id, "--force"}}) {
      TestBench bench;
      EXPECT_EQ(bench.run(words), 2) << words[0] << " " << id;
      EXPECT_THAT(bench.server.requests(), IsEmpty());
    }
  }
}

TEST(Usage, EveryErrorHasItsExitCode) {
  const std::pair<const char*, int> table[] = {{"INVALID_ARGUMENT", 2},
                                               {"UNSUPPORTED", 2},
                                               {"UNAUTHORIZED", 6},
                                               {"FORBIDDEN", 6},
                                               {"NOT_FOUND", 3},
                                               {"CHECKPOINT_NOT_FOUND", 3},
                                               {"CHECKPOINT_CORRUPTED", 1},
                                               {"CONFLICT", 4},
                                               {"STALE", 4},
                                               {"PRECONDITION_FAILED", 4},
                                               {"TOO_LARGE", 2},
                                               {"UNAVAILABLE", 5},
                                               {"IO_ERROR", 1},
                                               {"INTERNAL_ERROR", 1}};
  for (const auto& [code, exit_code] : table) {
    TestBench bench;
    bench.refuse("GET /api/v1/operations/op_1", 400, code);
    EXPECT_EQ(bench.run({"status", "op_1"}), exit_code) << code;
    EXPECT_THAT(bench.err.str(), HasSubstr("Error: The reason."));
    EXPECT_THAT(bench.out.str(), IsEmpty());

    EXPECT_EQ(bench.run({"status", "op_1", "--json"}), exit_code);
    EXPECT_EQ(bench.out.str(), std::string(R"({"status":"error","code":")") + code +
                                   R"(","message":"The reason.","exit_code":)" + std::to_string(exit_code) +
                                   "}\n");
    EXPECT_THAT(bench.err.str(), IsEmpty());
  }
}

TEST(Usage, AnUnreachableServerIsExitCode5AndSaysWhatToDo) {
  TestBench bench;
  bench.server.go_down();
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"status"}, {"ops"}, {"workers"}, {"follow", "op_1"}}) {
    EXPECT_EQ(bench.run(words), 5) << words[0];
    EXPECT_THAT(bench.err.str(), HasSubstr("Is `ktrdr serve` running?"));
  }
  EXPECT_EQ(bench.script.waits, 0) << "a server that never answered is not waited for";
}

TEST(Usage, VersionNeedsNoServer) {
  TestBench bench;
  EXPECT_EQ(bench.run({"version"}), 0);
  EXPECT_THAT(bench.out.str(), ::testing::MatchesRegex("ktrdr [0-9.]+\n"));
  EXPECT_EQ(bench.run({"version", "--json"}), 0);
  EXPECT_THAT(bench.out.str(), ::testing::MatchesRegex("\\{\"version\":\"[0-9.]+\"\\}\n"));
  EXPECT_EQ(bench.run({"--version"}), 0);
  EXPECT_THAT(bench.server.requests(), IsEmpty());
}

TEST(Usage, ErrorsCannotSteerTheTerminal) {
  TestBench bench;
  bench.server.answer(
      "GET /api/v1/workers",
      {400, R"({"success":false,"detail":"a\u001b[31mb\nc","error":{"code":"INVALID_ARGUMENT"}})"});
  EXPECT_EQ(bench.run({"workers"}), 2);
  EXPECT_EQ(bench.err.str(), "Error: a?[31mb c\n");
}

TEST(Usage, AnExtraCommandIsOneOfTheCommandsAndGetsGlobalOptionsGivenBeforeIt) {
  TestBench bench;
  int port = 0;
  bench.extra_commands.push_back({"serve", "Run the server",
                                  [&port](CLI::App& app) { app.add_option("--port", port, "Port"); },
                                  [](Streams& streams) {
                                    streams.out << "served\n";
                                    return 7;
                                  }});
  EXPECT_EQ(bench.run_exactly({"ktrdr", "--port", "9000", "serve"}), 7);
  EXPECT_EQ(port, 9000);
  EXPECT_EQ(bench.out.str(), "served\n");
  EXPECT_EQ(bench.run_exactly({"ktrdr", "--port", "9000", "serve", "--port", "9001"}), 7);
  EXPECT_EQ(port, 9001) << "the nearer one wins";
  EXPECT_EQ(bench.run_exactly({"ktrdr", "srve"}), 2);
  EXPECT_THAT(bench.err.str(), HasSubstr("did you mean 'serve'?"));
}

TEST(Usage, TheTokenIsSentAndNeverShown) {
  TestBench bench;
  std::filesystem::create_directory(bench.folder / ".ktrdr");
  std::ofstream(bench.folder / ".ktrdr/token") << "s3cr3t\n";
  bench.refuse("GET /api/v1/workers", 401, "UNAUTHORIZED");
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(bench.run({"workers", "--verbose"}), 6);
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(bench.server.requests().at(0).headers.at("authorization"), "Bearer s3cr3t");
  EXPECT_THAT(log, HasSubstr("http request method=GET"));
  EXPECT_THAT(log + bench.err.str() + bench.out.str(), Not(HasSubstr("s3cr3t")));
}

}  // namespace
}  // namespace ktrdr::cli
