// A command line with a scripted server, a clock that only waits move, and Ctrl+C by hand.
#pragma once

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "ktrdr/client/testing/scripted_server.h"
#include "ktrdr/core/testing/manual_clock.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "surroundings.h"

namespace ktrdr::cli {

// What a test does while the command waits between two looks at an operation: at its n-th wait, from 1.
struct WaitScript {
  ktrdr::testing::ManualClock& clock;
  std::map<int, std::function<void()>> at_wait;
  bool interrupted = false;
  int waits = 0;
};

class ScriptedPause final : public Pause {
 public:
  explicit ScriptedPause(WaitScript& script) : script_(script) {}
  void wait(Duration duration) override {
    script_.clock.advance(duration);
    CHECK(++script_.waits < 10'000, "a followed operation ends");
    const auto action = script_.at_wait.find(script_.waits);
    if (action != script_.at_wait.end()) action->second();
  }
  bool is_interrupted() const override { return script_.interrupted; }

 private:
  WaitScript& script_;
};

class TestBench {
 public:
  // `ktrdr --url <server> <arguments>`
  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"ktrdr", "--url", server.url()});
    return run_exactly(arguments);
  }

  int run_exactly(const std::vector<std::string>& words) {
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    out.str("");
    err.str("");
    const Surroundings surroundings{{in, out, err, is_terminal},
                                    [this](const std::string& name) { return variable(name); },
                                    clock,
                                    [this] { return std::make_unique<ScriptedPause>(script); }};
    return run_in(surroundings, static_cast<int>(argv.size()), argv.data(), extra_commands);
  }

  void refuse(const std::string& request, int status, const std::string& code) {
    server.answer(request, {status, R"({"success":false,"detail":"The reason.","error":{"code":")" + code +
                                        R"(","message":"The reason.","details":{}}})"});
  }

  client::testing::ScriptedServer server;
  ktrdr::testing::ManualClock clock;  // 2023-11-14T22:13:20Z
  ktrdr::testing::TemporaryFolder folder;
  WaitScript script{clock};
  std::istringstream in;
  std::ostringstream out, err;
  bool is_terminal = false;
  std::vector<ExtraCommand> extra_commands;

 private:
  std::optional<std::string> variable(const std::string& name) const {
    return name == "HOME" ? std::optional(folder.path().string()) : std::nullopt;
  }
};

// ---- answers of the server ----

inline std::string running_operation(int epoch, double percent) {
  return R"({"success":true,"data":{"operation_id":"op_1","status":"running","phase":"training","attempt":1,)"
         R"("created_at":"2023-11-14T22:00:00Z","worker_id":"w_1","worker_name":"cpu-1","progress":{"percentage":)" +
         std::to_string(percent) + R"(,"context":{"epoch":)" + std::to_string(epoch) +
         R"(,"total_epochs":10,"global_step":340,"train_loss":0.7,"val_loss":0.65,"best_val_loss":0.6,)"
         R"("samples_per_second":12345.6,"eta_seconds":65}},"checkpoint":{"ref":"1-3","checkpoint_type":"periodic",)"
         R"("epoch":11,"start_epoch":12,"start_batch":0,"global_step":300,"created_at":"2023-11-14T22:13:12Z"}}})";
}

inline const std::string kNoEvents =
    R"({"success":true,"data":{"operation_id":"op_1","events":[],"last_sequence":0}})";

inline const std::string kHealthy =
    R"({"success":true,"status":"healthy","version":"0","workers_connected":1})";

inline std::string queued_operation() {
  return R"({"success":true,"data":{"operation_id":"op_1","status":"pending","phase":"queued","attempt":0,)"
         R"("created_at":"2023-11-14T22:00:00Z"}})";
}

inline std::string completed_operation() {
  return R"({"success":true,"data":{"operation_id":"op_1","status":"completed","attempt":1,)"
         R"("created_at":"2023-11-14T22:00:00Z","progress":{"percentage":100},"result_summary":)"
         R"({"model_path":"/m/op_1/1","model_sha256":"abc123","test_metrics":{"test_accuracy":0.53125}}}})";
}

// "failed" or "cancelled", with a checkpoint to resume from.
inline std::string ended_operation(const std::string& status) {
  return R"({"success":true,"data":{"operation_id":"op_1","status":")" + status +
         R"(","attempt":1,"created_at":"2023-11-14T22:00:00Z","error_message":"Worker w_1 fell silent.",)"
         R"("checkpoint":{"ref":"1-3","checkpoint_type":"periodic","start_epoch":12,"start_batch":0,"global_step":0,)"
         R"("created_at":"2023-11-14T22:13:12Z"}}})";
}

}  // namespace ktrdr::cli
