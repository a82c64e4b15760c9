#include "ktrdr/checkpoints/manifest.h"

#include <gtest/gtest.h>

#include "ktrdr/checkpoints/testing/sample_checkpoint.h"
#include "ktrdr/core/digest.h"
#include "ktrdr/core/testing/matchers.h"

namespace ktrdr::checkpoints {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;

Manifest sample() {
  Manifest manifest;
  manifest.operation = {"op_training_1"};
  manifest.ref = {2, 17};
  manifest.parent = CheckpointRef{1, 16};
  manifest.checkpoint_type = CheckpointType::kCancellation;
  manifest.epoch = 8;
  manifest.start_epoch = 9;
  manifest.start_batch = 3;
  manifest.global_step = 9007199254740993;  // 2^53 + 1: a double would lose it
  manifest.identity = {{"engine", "native"}, {"strategy", "quote \" and ünïcode"}};
  manifest.files = {{"model.safetensors", 12, std::string(32, 'a')},
                    {"optimizer.safetensors", 7, std::string(32, '0')},
                    {"trainer.safetensors", 1, std::string(32, '1')}};
  return manifest;
}

std::string with_digest(std::string text) {  // `text` up to and with the opening quote of self's value
  return text + xxh3_128_hex(std::as_bytes(std::span(text))) + "\"\n}\n";
}

// The golden text of format version 1. It never changes; a new version gets a text of its own.
TEST(Manifest, IsWrittenAsVersionOneSays) {
  const std::string golden = R"({
  "format_version": 1,
  "operation": "op_training_1",
  "checkpoint": "2-17",
  "parent": "1-16",
  "checkpoint_type": "cancellation",
  "epoch": 8,
  "start_epoch": 9,
  "start_batch": 3,
  "global_step": 9007199254740993,
  "identity": {
    "engine": "native",
    "strategy": "quote \" and ünïcode"
  },
  "files": [
    {
      "name": "model.safetensors",
      "size": 12,
      "xxh3_128": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    },
    {
      "name": "optimizer.safetensors",
      "size": 7,
      "xxh3_128": "00000000000000000000000000000000"
    },
    {
      "name": "trainer.safetensors",
      "size": 1,
      "xxh3_128": "11111111111111111111111111111111"
    }
  ],
  "self": ")";
  EXPECT_EQ(write_manifest(sample())->text, with_digest(golden));
}

TEST(Manifest, ReadsBackEveryField) {
  const ManifestText written = write_manifest(sample()).value();
  const auto parsed = parse_manifest(written.text);
  ASSERT_THAT(parsed, IsOk());
  EXPECT_EQ(parsed->manifest, sample());
  EXPECT_EQ(parsed->digest, written.digest);
}

TEST(Manifest, TheFirstCheckpointHasNoParentAndNoEpoch) {
  Manifest manifest = sample();
  manifest.parent.reset();
  manifest.epoch = -1;
  manifest.checkpoint_type = CheckpointType::kInitial;
  EXPECT_EQ(parse_manifest(write_manifest(manifest)->text)->manifest, manifest);
}

TEST(Manifest, EveryFlippedBitIsFound) {
  const std::string text = write_manifest(sample())->text;
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_THAT(parse_manifest(flipped), FailsWith(ErrorCode::kCheckpointCorrupted)) << "bit " << bit;
  }
}

TEST(Manifest, EveryTruncationAndExtensionIsFound) {
  const std::string text = write_manifest(sample())->text;
  for (std::size_t size = 0; size < text.size(); ++size) {
    ASSERT_THAT(parse_manifest(text.substr(0, size)), FailsWith(ErrorCode::kCheckpointCorrupted)) << size;
  }
  EXPECT_THAT(parse_manifest(text + "\n"), FailsWith(ErrorCode::kCheckpointCorrupted));
  EXPECT_THAT(parse_manifest(text + text), FailsWith(ErrorCode::kCheckpointCorrupted));
}

// A right digest is no excuse for a wrong content.
TEST(Manifest, ACraftedOneIsRefusedInSpiteOfItsDigest) {
  const std::string text = write_manifest(sample())->text;
  const std::string open = text.substr(0, text.size() - 36);  // without self's value and the end
  ASSERT_EQ(with_digest(open), text);
  struct Case {
    std::string from, to;
  };
  const std::vector<Case> cases = {
      {"op_training_1", "../../etc"},
      {"\"2-17\"", "\"2-\""},
      {"\"2-17\"", "\"-2-17\""},
      {"\"1-16\"", "\"x\""},
      {"cancellation", "best"},
      {"\"epoch\": 8", "\"epoch\": -2"},
      {"\"epoch\": 8", "\"epoch\": 8.0"},
      {"\"epoch\": 8", "\"epoch\": \"8\""},
      {"\"start_batch\": 3", "\"start_batch\": 9223372036854775808"},
      {"\"start_batch\": 3", "\"start_batch\": 3, \"start_batch\": 3"},
      {"\"start_batch\": 3", "\"extra\": 1, \"start_batch\": 3"},
      {"  \"start_batch\": 3,\n", ""},
      {"\"native\"", "null"},
      {"\"native\"", "[[[[]]]]"},
      {"model.safetensors", "../model"},
      {"model.safetensors", "manifest.json"},
      {"model.safetensors", "optimizer.safetensors"},
      {"model.safetensors", "zz"},
      {"\"size\": 12", "\"size\": -1"},
      {"\"size\": 12", "\"size\": 1e3"},
      {"aaaaaaaa\"", "AAAAAAAA\""},
      {"aaaaaaaa\"", "\""},
      {"\"format_version\": 1", "\"format_version\": 0"},
  };
  for (const auto& [from, to] : cases) {
    std::string changed = open;
    const std::size_t place = changed.find(from);
    ASSERT_NE(place, std::string::npos) << from;
    changed.replace(place, from.size(), to);
    EXPECT_THAT(parse_manifest(with_digest(changed)), FailsWith(ErrorCode::kCheckpointCorrupted)) << to;
  }
}

TEST(Manifest, ANewerVersionIsUnsupportedNotDamaged) {
  Manifest manifest = sample();
  manifest.format_version = 2;
  EXPECT_THAT(parse_manifest(write_manifest(manifest)->text), FailsWith(ErrorCode::kUnsupported));
}

TEST(Manifest, RefusesToWriteWhatItWouldNotRead) {
  Manifest negative = sample(), unsorted = sample(), not_utf8 = sample(), bad_id = sample(), huge = sample();
  negative.start_batch = -1;
  std::swap(unsorted.files[0], unsorted.files[1]);
  not_utf8.identity["x"] = "\xff";
  bad_id.operation = {"a/b"};
  huge.identity["x"] = std::string(1 << 20, 'x');
  for (const Manifest* manifest : {&negative, &unsorted, &not_utf8, &bad_id}) {
    EXPECT_THAT(write_manifest(*manifest), FailsWith(ErrorCode::kInvalidArgument));
  }
  EXPECT_THAT(write_manifest(huge), FailsWith(ErrorCode::kTooLarge));
}

TEST(Manifest, DigestsOfPiecesAreDigestsOfTheWhole) {
  const testing::SampleCheckpoint sample_checkpoint;
  const CheckpointContent content = sample_checkpoint.content({"op"}, {1, 0});
  std::string joined;
  for (const auto& piece : content.files[0].pieces()) {
    joined.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  }
  ASSERT_GT(content.files[0].pieces().size(), 1U);
  const std::vector<FileEntry> files = describe(content)->files;
  const auto model =
      std::find_if(files.begin(), files.end(), [](const auto& f) { return f.name == kModelFile; });
  EXPECT_EQ(model->xxh3_128, xxh3_128_hex(std::as_bytes(std::span(joined))));
}

TEST(CheckpointTypes, HaveNamesThatReadBack) {
  for (const char* name : {"initial", "periodic", "cancellation", "failure", "shutdown"}) {
    ASSERT_TRUE(parse_checkpoint_type(name).has_value()) << name;
    EXPECT_EQ(to_string(*parse_checkpoint_type(name)), name);
  }
  EXPECT_FALSE(parse_checkpoint_type("Periodic").has_value());
}

TEST(Artifacts, OptionalOnesMayBeMissingButNotEmpty) {
  std::vector<FileEntry> files = sample().files;
  EXPECT_THAT(validate_artifacts(files), IsOk());
  files.push_back({std::string(kSchedulerFile), 0, std::string(32, '0')});
  EXPECT_THAT(validate_artifacts(files), ktrdr::testing::SaysError("scheduler.safetensors is empty"));
  files = {sample().files[0], sample().files[2]};
  EXPECT_THAT(validate_artifacts(files), ktrdr::testing::SaysError("no optimizer.safetensors"));
}

}  // namespace
}  // namespace ktrdr::checkpoints
