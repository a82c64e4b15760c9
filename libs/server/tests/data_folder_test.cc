#include "ktrdr/server/data_folder.h"

#include <gtest/gtest.h>

#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/temporary_folder.h"

namespace ktrdr::server {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::TemporaryFolder;
namespace fs = std::filesystem;

TEST(DataFolder, MakesEverythingThatAServerNeeds) {
  const TemporaryFolder temporary;
  const DataFolder folder{temporary / "deep/data"};
  ASSERT_THAT(folder.create(), IsOk());
  ASSERT_THAT(folder.create(), IsOk()) << "a second start finds it";
  for (const auto& path :
       {folder.checkpoints(), folder.models(), folder.market(), folder.strategies(), folder.logs()}) {
    EXPECT_TRUE(fs::is_directory(path)) << path;
  }
}

TEST(DataFolder, AFileInTheWayIsAClearError) {
  const TemporaryFolder temporary;
  ASSERT_THAT(write_new_file_synced(temporary / "data", "x"), IsOk());
  EXPECT_THAT(DataFolder{temporary / "data"}.create(), FailsWith(ErrorCode::kIo));
}

TEST(DataFolder, TheTokenIsMadeOnceAndIsPrivate) {
  const TemporaryFolder temporary;
  const DataFolder folder{temporary.path()};
  const auto token = folder.token_text();
  ASSERT_THAT(token, IsOk());
  EXPECT_EQ(token->size(), 64u) << "256 bits in hex";
  EXPECT_EQ(*folder.token_text(), *token);
  EXPECT_EQ(fs::status(folder.token()).permissions() & fs::perms(077), fs::perms::none);
  const TemporaryFolder other;
  EXPECT_NE(*DataFolder{other.path()}.token_text(), *token);
}

TEST(DataFolder, ATokenThatOthersCanReadIsRefused) {
  const TemporaryFolder temporary;
  const DataFolder folder{temporary.path()};
  ASSERT_THAT(folder.token_text(), IsOk());
  fs::permissions(folder.token(), fs::perms::others_read, fs::perm_options::add);
  EXPECT_THAT(folder.token_text(), FailsWith(ErrorCode::kForbidden));
}

TEST(DataFolder, AnEmptyTokenFileIsRefusedAndNotAnOpenDoor) {
  const TemporaryFolder temporary;
  const DataFolder folder{temporary.path()};
  ASSERT_THAT(replace_file_durably(folder.token(), "\n", 0600), IsOk());
  EXPECT_THAT(folder.token_text(), FailsWith(ErrorCode::kInvalidArgument));
}

}  // namespace
}  // namespace ktrdr::server
