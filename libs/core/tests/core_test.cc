#include <gtest/gtest.h>

#include "ktrdr/core/clock.h"
#include "ktrdr/core/digest.h"
#include "ktrdr/core/durable_file.h"
#include "ktrdr/core/ids.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/temporary_folder.h"

namespace ktrdr {
namespace {

using testing::FailsWith;
using testing::IsOk;
using testing::TemporaryFolder;

TEST(Ids, AcceptsOnlyTheOneShape) {
  for (const std::string& good :
       {std::string("a"), std::string("op_training_1"), std::string("x-y_9"), std::string(64, 'a')}) {
    EXPECT_TRUE(is_valid_id(good)) << good;
  }
  for (const std::string& bad : {std::string(), std::string(".."), std::string("../../x"), std::string("a/b"),
                                 std::string("A"), std::string("%2e"), std::string("a\0b", 3),
                                 std::string(65, 'a'), std::string(65536, 'a'), std::string("\xc3\xa9")}) {
    EXPECT_FALSE(is_valid_id(bad));
    EXPECT_THAT(OperationId::parse(bad), FailsWith(ErrorCode::kInvalidArgument));
  }
}

TEST(Ids, NewIdsAreValidAndDiffer) {
  EXPECT_TRUE(is_valid_id(new_operation_id("training", 0).value));
  EXPECT_TRUE(is_valid_id(new_worker_id().value));
  EXPECT_NE(new_worker_id(), new_worker_id());
}

TEST(Ids, ACheckpointRefSurvivesItsText) {
  const CheckpointRef ref{.attempt = 2, .sequence = 17};
  EXPECT_EQ(ref.to_string(), "2-17");
  EXPECT_EQ(CheckpointRef::parse("2-17"), ref);
  for (const char* bad :
       {"", "2", "2-", "-17", "2-17.tmp", "02-17", "2--17", "+2-17", "2-99999999999999999999"}) {
    EXPECT_FALSE(CheckpointRef::parse(bad).has_value()) << bad;
  }
}

TEST(Time, FormatsAndReadsUtc) {
  EXPECT_EQ(iso8601_utc(1'700'000'000'123), "2023-11-14T22:13:20.123Z");
  EXPECT_EQ(compact_utc(1'700'000'000'123), "20231114_221320");
  EXPECT_EQ(*parse_iso8601_ms("2023-11-14T22:13:20.123Z"), 1'700'000'000'123);
  EXPECT_EQ(*parse_iso8601_ms("2023-11-14 22:13:20"), 1'700'000'000'000);
  EXPECT_EQ(*parse_iso8601_ms("2023-11-15T00:13:20+02:00"), 1'700'000'000'000);
  EXPECT_EQ(*parse_iso8601_ms("1970-01-01"), 0);
}

TEST(Time, RefusesWhatIsNoTime) {
  for (const char* bad :
       {"", "2023", "2023-02-30", "2023-13-01", "2023-01-01T25:00:00", "2023-01-01x", "2023-01-01T10:00.5",
        "2023-01-01T00:00:00.Z", "2023-01-01T00:00:00+2", "0000-01-01"}) {
    EXPECT_THAT(parse_iso8601_ms(bad), FailsWith(ErrorCode::kInvalidArgument)) << bad;
  }
}

TEST(Digest, KnownAnswers) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(xxh3_128_hex({}),
            "99aa06d3014798d86001c324468d497f");  // XXH3-128 of nothing, from xxHash's own tests
  EXPECT_TRUE(equal_in_constant_time("secret", "secret"));
  EXPECT_FALSE(equal_in_constant_time("secret", "secreT"));
  EXPECT_FALSE(equal_in_constant_time("secret", "secret1"));
}

TEST(Digest, AStreamInPiecesIsTheDigestOfTheWhole) {
  std::string text(300'000, 'x');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7);
  const auto bytes = std::as_bytes(std::span(text));
  Xxh3 digest;
  EXPECT_EQ(digest.hex(), xxh3_128_hex({}));
  digest.update(bytes.first(1)).update({}).update(bytes.subspan(1, 99'999)).update(bytes.subspan(100'000));
  EXPECT_EQ(digest.hex(), xxh3_128_hex(bytes));
  EXPECT_NE(digest.update(bytes.first(1)).hex(), xxh3_128_hex(bytes));
}

TEST(DurableFile, ALargeFileInPiecesHoldsThemAllInOrder) {
  const testing::TemporaryFolder folder;
  auto file = NewFile::create(folder / "large");
  ASSERT_TRUE(file.ok());
  std::string expected;
  for (int i = 0; i < 20; ++i) {  // more than the disk is given at once
    const std::string piece(1'000'001, static_cast<char>('a' + i));
    ASSERT_TRUE(file->write(std::as_bytes(std::span(piece))).ok());
    expected += piece;
  }
  ASSERT_TRUE(file->sync().ok());
  EXPECT_TRUE(read_file(folder / "large", expected.size()).value() == expected);
  EXPECT_FALSE(NewFile::create(folder / "large").ok());
}

TEST(DurableFile, ReplacesWholeFiles) {
  const TemporaryFolder folder;
  ASSERT_THAT(replace_file_durably(folder / "f", "one"), IsOk());
  ASSERT_THAT(replace_file_durably(folder / "f", "two", 0600), IsOk());
  EXPECT_EQ(*read_file(folder / "f", 100), "two");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1)
      << "no temporary file is left";
}

TEST(DurableFile, NeverOverwritesAnObject) {
  const TemporaryFolder folder;
  ASSERT_THAT(write_new_file_synced(folder / "f", "one"), IsOk());
  EXPECT_THAT(write_new_file_synced(folder / "f", "two"), FailsWith(ErrorCode::kIo));
  EXPECT_EQ(*read_file(folder / "f", 100), "one");
}

TEST(DurableFile, ReadsOnlyUpToTheLimit) {
  const TemporaryFolder folder;
  ASSERT_THAT(write_new_file_synced(folder / "f", "12345"), IsOk());
  EXPECT_THAT(read_file(folder / "f", 5), IsOk());
  EXPECT_THAT(read_file(folder / "f", 4), FailsWith(ErrorCode::kTooLarge));
  EXPECT_THAT(read_file(folder / "missing", 4), FailsWith(ErrorCode::kNotFound));
}

TEST(DurableFile, CreatesFoldersAndSaysWhenAFileIsInTheWay) {
  const TemporaryFolder folder;
  ASSERT_THAT(create_folders_durably(folder / "a/b/c/"), IsOk());
  ASSERT_THAT(create_folders_durably(folder / "a/b/c"), IsOk());
  ASSERT_THAT(write_new_file_synced(folder / "a/file", "x"), IsOk());
  EXPECT_THAT(create_folders_durably(folder / "a/file"), FailsWith(ErrorCode::kIo));
  EXPECT_THAT(create_folders_durably(folder / "a/file/d"), FailsWith(ErrorCode::kIo));
}

TEST(FileLock, OneHolderAtATime) {
  const TemporaryFolder folder;
  {
    const auto first = FileLock::acquire(folder / "lock");
    ASSERT_THAT(first, IsOk());
    EXPECT_THAT(FileLock::acquire(folder / "lock"), FailsWith(ErrorCode::kConflict));
  }
  EXPECT_THAT(FileLock::acquire(folder / "lock"), IsOk());
}

}  // namespace
}  // namespace ktrdr
