#include "objects.h"

#include "ktrdr/checkpoints/artifacts.h"

namespace ktrdr::simulator {

Result<checkpoints::StoredCheckpoint> Objects::put(const checkpoints::CheckpointContent& content) {
  auto stored = store_.put(content);
  const ObjectName name{content.description.operation, content.description.ref};
  if (!stored.ok()) {
    world_.violate("two objects met at the name " + name.second.to_string());
    return stored;
  }
  digests_[name] = stored->manifest_digest;
  newest_of_[world_.scheduler.running()] = name;
  world_.note([&] { return "wrote " + name.first.value + " " + name.second.to_string(); });
  return stored;
}

void Objects::remove(const OperationId& id, CheckpointRef ref) {
  if (is_there(id, ref)) world_.note([&] { return "removed " + id.value + " " + ref.to_string(); });
  static_cast<void>(store_.remove(id, ref));
  digests_.erase({id, ref});
}

void Objects::damage(const OperationId& id, CheckpointRef ref) {
  store_.change_file(id, ref, std::string(checkpoints::kModelFile), "rust");
  damaged_.insert({id, ref});
  world_.note([&] { return "damaged " + id.value + " " + ref.to_string(); });
}

std::string Objects::digest(const OperationId& id, CheckpointRef ref) const {
  const auto found = digests_.find({id, ref});
  return found == digests_.end() ? "" : found->second;
}

Result<checkpoints::PublishedModel> Objects::publish(const OperationId& id, Attempt attempt,
                                                     const std::string& sha256) {
  const std::string path = "/models/" + id.value + "/" + std::to_string(attempt);
  const auto [place, is_new] = models_.emplace(path, sha256);
  if (!is_new && place->second != sha256) {
    world_.violate("attempt " + std::to_string(attempt) + " ended in two different models");
    return Error(ErrorCode::kConflict, "Another model is there.");
  }
  world_.note([&] { return "published " + path; });
  return checkpoints::PublishedModel{path, sha256};
}

bool Objects::is_published(const std::string& path, const std::string& sha256) const {
  const auto found = models_.find(path);
  return found != models_.end() && found->second == sha256;
}

void Objects::forget_unsynced(const Process* writer) {
  const auto newest = newest_of_.find(writer);
  if (newest != newest_of_.end()) remove(newest->second.first, newest->second.second);
}

}  // namespace ktrdr::simulator
