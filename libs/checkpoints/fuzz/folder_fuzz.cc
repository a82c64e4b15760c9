// A published checkpoint on a disk that changes bytes, cuts files short, exchanges and loses them: it is
// verified only when nothing has changed, and no damage passes for anything but damage.
#include <fuzzer/FuzzedDataProvider.h>

#include <fstream>
#include <map>
#include <memory>

#include "ktrdr/checkpoints/file_checkpoint_store.h"
#include "ktrdr/checkpoints/testing/sample_checkpoint.h"
#include "ktrdr/core/testing/temporary_folder.h"

namespace ktrdr::checkpoints {
namespace {

namespace fs = std::filesystem;
using Files = std::map<std::string, std::string>;

const OperationId kOperation{"op_1"};
constexpr CheckpointRef kRef{1, 7};

class Disk {
 public:
  Disk() {
    CHECK(testing::put_sample(store_, kOperation, kRef).ok(), "the sample is a checkpoint");
    for (const auto& entry : fs::directory_iterator(checkpoint_)) {
      std::ifstream stream(entry.path(), std::ios::binary);
      original_[entry.path().filename()] = std::string(std::istreambuf_iterator<char>(stream), {});
    }
  }

  void hold(const Files& files) {
    for (const auto& entry : fs::directory_iterator(checkpoint_)) fs::remove(entry.path());
    for (const auto& [name, bytes] : files) std::ofstream(checkpoint_ / name, std::ios::binary) << bytes;
  }

  const Files& original() const { return original_; }
  Result<VerifiedCheckpoint> load() const { return store_.load(kOperation, kRef); }

 private:
  ktrdr::testing::TemporaryFolder folder_;
  FileCheckpointStore store_ = FileCheckpointStore::open(folder_.path()).value();
  const fs::path checkpoint_ = folder_ / (kOperation.value + "/" + kRef.to_string());
  Files original_;
};

std::string& chosen(Files& files, FuzzedDataProvider& input) {
  return std::next(files.begin(), input.ConsumeIntegralInRange<std::ptrdiff_t>(0, std::ssize(files) - 1))
      ->second;
}

// One way in which a disk or a person damages a folder.
void damage(Files& files, FuzzedDataProvider& input) {
  enum class Kind { kByte, kCut, kAppend, kReplace, kExchange, kRemove, kMaxValue = kRemove };
  std::string& file = chosen(files, input);
  switch (input.ConsumeEnum<Kind>()) {
    case Kind::kByte:
      if (!file.empty())
        file[input.ConsumeIntegralInRange<std::size_t>(0, file.size() - 1)] = input.ConsumeIntegral<char>();
      break;
    case Kind::kCut: file.resize(input.ConsumeIntegralInRange<std::size_t>(0, file.size())); break;
    case Kind::kAppend: file += input.ConsumeRandomLengthString(16); break;
    case Kind::kReplace: file = input.ConsumeRandomLengthString(2000); break;
    case Kind::kExchange: std::swap(file, chosen(files, input)); break;
    case Kind::kRemove:
      std::erase_if(files, [&file](const auto& entry) { return &entry.second == &file; });
      break;
  }
}

void load_damaged(FuzzedDataProvider input) {
  static Disk disk;
  Files files = disk.original();
  while (input.remaining_bytes() > 0 && files.size() > 1) damage(files, input);
  disk.hold(files);
  const auto loaded = disk.load();
  CHECK(loaded.ok() == (files == disk.original()), "verified is what was written, and nothing else");
  CHECK(loaded.ok() || loaded.error().code == ErrorCode::kCheckpointCorrupted, "damage is called damage");
}

}  // namespace
}  // namespace ktrdr::checkpoints

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ktrdr::checkpoints::load_damaged({data, size});
  return 0;
}
