// What the crash tests run and kill:
//
//   checkpoint_store_program COMMAND ROOT OPERATION ATTEMPT SEQUENCE SEED
//
// COMMAND is nothing (opens the store and stops), put, load, remove, remove_operation, or publish (a model).
// Exit status: 0 done, 3 refused with kConflict, 4 another error, 5 loaded something else than the seed's
// checkpoint.
#include <cstdlib>
#include <string>
#include <string_view>

#include "ktrdr/checkpoints/file_checkpoint_store.h"
#include "ktrdr/checkpoints/model_store.h"
#include "ktrdr/checkpoints/testing/sample_checkpoint.h"

namespace ktrdr::checkpoints::testing {
namespace {

struct Request {
  std::string_view command;
  std::string root;
  OperationId operation;
  CheckpointRef ref;
  SampleCheckpoint sample;
};

template <class Value>
int status_of(const Result<Value>& result) {
  if (result.ok()) return 0;
  return result.error().code == ErrorCode::kConflict ? 3 : 4;
}

int load(const FileCheckpointStore& store, const Request& request) {
  const auto loaded = store.load(request.operation, request.ref);
  if (loaded.ok() && !request.sample.equals(*loaded)) return 5;
  return status_of(loaded);
}

int publish(const Request& request) {
  auto store = ModelStore::open(request.root);
  if (!store.ok()) return status_of(store);
  return status_of(store->publish(request.operation, request.ref.attempt,
                                  request.sample.content(request.operation, request.ref).files));
}

int run(const Request& request) {
  auto store = FileCheckpointStore::open(request.root);
  if (!store.ok()) return status_of(store);
  if (request.command == "put")
    return status_of(store->put(request.sample.content(request.operation, request.ref)));
  if (request.command == "load") return load(*store, request);
  if (request.command == "remove") return status_of(store->remove(request.operation, request.ref));
  if (request.command == "remove_operation") return status_of(store->remove_operation(request.operation));
  if (request.command == "publish") return publish(request);
  return request.command == "nothing" ? 0 : 2;
}

}  // namespace
}  // namespace ktrdr::checkpoints::testing

int main(int argc, char** argv) {
  using namespace ktrdr::checkpoints::testing;
  if (argc != 7) return 2;
  return run({argv[1],
              argv[2],
              {argv[3]},
              {std::atoll(argv[4]), std::atoll(argv[5])},
              SampleCheckpoint(std::atoi(argv[6]))});
}
