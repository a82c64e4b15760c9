#include "ktrdr/client/server_address.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/temporary_folder.h"

namespace ktrdr::client {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::TemporaryFolder;

Environment environment_of(std::map<std::string, std::string> variables) {
  return [variables](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

void write(const std::filesystem::path& file, const std::string& text) { std::ofstream(file) << text; }

class FindServer : public ::testing::Test {
 protected:
  FindServer() {
    std::filesystem::create_directory(folder_ / ".ktrdr");
    home_ = folder_.path().string();
  }
  std::string url(const AddressOptions& options, const std::map<std::string, std::string>& variables) {
    const auto found = find_server(options, environment_of(variables));
    return found.ok() ? found->url : found.error().message;
  }
  std::string token(const AddressOptions& options, const std::map<std::string, std::string>& variables) {
    const auto found = find_server(options, environment_of(variables));
    return found.ok() ? found->token : found.error().message;
  }
  TemporaryFolder folder_;
  std::string home_;
};

TEST_F(FindServer, TakesTheFirstPlaceThatNamesOne) {
  EXPECT_EQ(url({}, {{"HOME", home_}}), "http://127.0.0.1:8000");
  write(folder_ / ".ktrdr/server.url", "http://127.0.0.1:9001\n");
  EXPECT_EQ(url({}, {{"HOME", home_}}), "http://127.0.0.1:9001");
  EXPECT_EQ(url({}, {{"HOME", home_}, {"KTRDR_API_URL", "http://b:2"}}), "http://b:2");
  EXPECT_EQ(url({.port = 77}, {{"HOME", home_}, {"KTRDR_API_URL", "http://b:2"}}), "http://127.0.0.1:77");
  EXPECT_EQ(url({.url = "http://c:3", .port = 77}, {{"HOME", home_}}), "http://c:3");
}

TEST_F(FindServer, TheNamedDataFolderWinsOverTheOneInHome) {
  write(folder_ / "server.url", "http://127.0.0.1:9002");
  write(folder_ / "token", "abc\n");
  write(folder_ / ".ktrdr/server.url", "http://127.0.0.1:9001");
  EXPECT_EQ(url({.data_dir = folder_.path()}, {{"HOME", home_}}), "http://127.0.0.1:9002");
  EXPECT_EQ(token({.data_dir = folder_.path()}, {{"HOME", home_}}), "abc");
  EXPECT_EQ(token({}, {{"HOME", "/nowhere"}, {"KTRDR_DATA_DIR", home_}}), "abc");
}

TEST_F(FindServer, AMissingTokenFileIsNoToken) { EXPECT_EQ(token({}, {{"HOME", home_}}), ""); }

TEST_F(FindServer, TheEnvironmentsTokenWinsOverTheFile) {
  write(folder_ / ".ktrdr/token", "file");
  EXPECT_EQ(token({}, {{"HOME", home_}, {"KTRDR_API_TOKEN", "variable"}}), "variable");
}

TEST_F(FindServer, TheHomeFoldersTokenStaysOnThisMachine) {
  write(folder_ / ".ktrdr/token", "secret");
  for (const char* local : {"http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"}) {
    EXPECT_EQ(token({.url = local}, {{"HOME", home_}}), "secret") << local;
  }
  for (const char* remote : {"http://example.com", "http://127.example.com", "https://10.0.0.7:8000"}) {
    EXPECT_EQ(token({.url = remote}, {{"HOME", home_}}), "") << remote;
  }
  EXPECT_EQ(token({.url = "http://example.com", .data_dir = folder_ / ".ktrdr"}, {}), "secret");
}

TEST_F(FindServer, RefusesATokenThatCouldSmuggleAHeader) {
  write(folder_ / ".ktrdr/token", "abc\r\nX-Evil: 1");
  EXPECT_THAT(find_server({}, environment_of({{"HOME", home_}})), FailsWith(ErrorCode::kInvalidArgument));
}

TEST(NormalizedUrl, DropsSlashesAndThePrefix) {
  for (const char* text : {"http://h:1", "http://h:1/", "http://h:1/api/v1", "http://h:1/api/v1/"}) {
    const auto url = normalized_url(text);
    ASSERT_THAT(url, IsOk()) << text;
    EXPECT_EQ(*url, "http://h:1");
  }
}

TEST(NormalizedUrl, RefusesWhatIsNotAPlainHttpUrl) {
  for (const char* text :
       {"", "h:1", "ftp://h", "http://", "http://user:pass@h", "http://h/?a=b", "http://h/#x"}) {
    EXPECT_THAT(normalized_url(text), FailsWith(ErrorCode::kInvalidArgument)) << text;
  }
}

TEST(FindServerPort, RefusesWhatIsNoPort) {
  for (const int port : {0, -1, 65536}) {
    EXPECT_THAT(find_server({.port = port}, environment_of({})), FailsWith(ErrorCode::kInvalidArgument));
  }
}

}  // namespace
}  // namespace ktrdr::client
