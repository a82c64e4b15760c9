#include "postman.h"

#include "ktrdr/api/worker.h"
#include "support/child_process.h"

namespace ktrdr::chaos {
namespace {

constexpr Duration kBetweenDeliveries = std::chrono::milliseconds(400);

// Everything that a worker can write, in the name of an attempt that is over.
std::vector<Question> writes_of(const OldOwner& owner) {
  const std::string path = "/operations/" + owner.operation.value;
  const api::TrainingResult result{.model_path = "models/m", .model_sha256 = std::string(64, 'a'), .seed = 7};
  const CheckpointRef fresh{owner.attempt, 1'000'000};
  return {
      {"POST", path + "/heartbeat", api::to_json(api::HeartbeatRequest{owner.attempt, owner.worker}), {}},
      {"POST",
       path + "/checkpoints",
       api::to_json(api::CommitCheckpointRequest{
           .attempt = owner.attempt, .worker_id = owner.worker, .checkpoint = {.ref = fresh}}),
       {}},
      {"POST",
       path + "/complete",
       api::to_json(api::CompleteRequest{.attempt = owner.attempt,
                                         .worker_id = owner.worker,
                                         .model_path = result.model_path,
                                         .model_sha256 = result.model_sha256,
                                         .result = {api::to_json(result)}}),
       {}},
      {"POST", path + "/fail", api::to_json(api::FailRequest{owner.attempt, owner.worker, "I am late."}), {}},
      {"POST",
       path + "/stopped",
       api::to_json(api::StoppedRequest{.attempt = owner.attempt, .worker_id = owner.worker}),
       {}},
      {"POST", path + "/claim", api::to_json(api::ClaimRequest{owner.attempt, owner.worker, "late"}), {}},
  };
}

}  // namespace

Postman::Postman(World world, std::uint64_t seed)
    : world_(std::move(world)),
      random_(seed),
      way_in_(world_.urls, world_.token),
      thread_([this](std::stop_token stop) { live(stop); }) {}

void Postman::live(std::stop_token stop) {
  const SystemClock clock;
  while (!stop.stop_requested()) {
    repeat_a_request();
    write_as_a_superseded_worker();
    const Duration next = clock.monotonic() + kBetweenDeliveries;
    while (clock.monotonic() < next && !stop.stop_requested()) system_test::pause_between_looks();
  }
}

void Postman::repeat_a_request() {
  const auto old = world_.book.old_request(random_);
  if (!old) return;
  const auto reply = way_in_.ask(random_(), {"POST", old->path, old->body, {{"Idempotency-Key", old->key}}});
  if (!reply || reply->is_trouble()) return;
  world_.score.add(Count::kRequestsRepeated);
  if (reply->accepted() && essence_of(reply->body) == old->answer) return;
  world_.score.wrong(Count::kRepeatsAnsweredOtherwise,
                     old->path + " " + old->key + ": " + old->answer + " before, now " + reply->describe());
}

void Postman::write_as_a_superseded_worker() {
  const auto owner = world_.book.superseded_owner(random_);
  if (!owner) return;
  const auto writes = writes_of(*owner);
  const Question& write = writes[random_() % writes.size()];
  const auto reply = way_in_.ask(random_(), write);
  if (!reply || reply->is_trouble()) return;
  if (reply->code() == "STALE") world_.score.add(Count::kStaleWritesRefusedByHand);
  else
    world_.score.wrong(reply->accepted() ? Count::kStaleWritesAccepted : Count::kStrangeAnswers,
                       write.path + ": " + reply->describe());
}

}  // namespace ktrdr::chaos
