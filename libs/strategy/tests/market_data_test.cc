#include "ktrdr/strategy/market_data.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <fstream>

#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/strategy/testing/market_generator.h"

namespace ktrdr::strategy {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;
using ktrdr::testing::TemporaryFolder;

const std::string kHeader = "timestamp,open,high,low,close,volume\n";
const std::string kRow = "2024-01-01T00:00:00Z,1.1,1.3,1.0,1.2,500\n";

TEST(MarketData, ReadsARow) {
  const auto data = parse_market_data(kHeader + kRow, "x.csv");
  ASSERT_THAT(data, IsOk());
  EXPECT_EQ(data->rows(), 1U);
  EXPECT_EQ(data->timestamps_ms[0], 1'704'067'200'000);
  EXPECT_EQ(data->open[0], 1.1);
  EXPECT_EQ(data->high[0], 1.3);
  EXPECT_EQ(data->low[0], 1.0);
  EXPECT_EQ(data->close[0], 1.2);
  EXPECT_EQ(data->volume[0], 500);
}

TEST(MarketData, ReadsWhatIsWrittenALittleDifferently) {
  const auto plain = parse_market_data(kHeader + kRow, "x.csv");
  for (const std::string& text : {
           "\xEF\xBB\xBF" + kHeader + kRow,  // BOM
           std::string(
               "timestamp,open,high,low,close,volume\r\n2024-01-01T00:00:00Z,1.1,1.3,1.0,1.2,500\r\n"),
           std::string("Date,Open,HIGH,low,Close,Volume\n2024-01-01,1.1,1.3,1,1.2,5e2"),  // no last newline
           std::string(
               "time,close,volume,low,high,open\n2024-01-01 00:00:00,1.2,500,1.0,1.3,1.1\n"),  // other order
           std::string("timestamp,open,high,low,close,volume,spread\n2024-01-01T02:00:00+02:00,1.1,1.3,1.0,1."
                       "2,500,junk\n"),
           kHeader + kRow + "\n",
       }) {
    const auto data = parse_market_data(text, "x.csv");
    ASSERT_THAT(data, IsOk()) << text;
    EXPECT_EQ(*data, *plain) << text;
  }
}

TEST(MarketData, ANegativeVolumeIsUnknownAndBecomesZero) {
  const auto data = parse_market_data(kHeader + "2024-01-01,1.1,1.3,1.0,1.2,-1\n", "x.csv");
  ASSERT_THAT(data, IsOk());
  EXPECT_EQ(data->volume[0], 0);
  EXPECT_FALSE(std::signbit(data->volume[0]));
}

struct BadFile {
  std::string text;
  std::string says;
};

TEST(MarketData, NamesTheLineOfWhatIsWrong) {
  const std::vector<BadFile> files = {
      {"", "line 1: the file is empty"},
      {kHeader, "line 1: the file has a header but no rows"},
      {kRow, "line 1: the first column is \"2024-01-01T00:00:00Z\""},
      {"timestamp,open,high,low,volume\n", "line 1: the header lacks close"},
      {"timestamp,high\n", "lacks open, low, close, volume"},
      {"timestamp,open,high,low,close,volume,OPEN\n", "line 1: the column open is there twice"},
      {"open,timestamp,high,low,close,volume\n", "line 1: the first column is \"open\""},
      {kHeader + kRow + kRow, "line 3: the time \"2024-01-01T00:00:00Z\" is the same"},
      {kHeader + kRow + "2023-12-31,1.1,1.3,1.0,1.2,500\n", "line 3: the time \"2023-12-31\" is earlier"},
      {kHeader + "yesterday,1.1,1.3,1.0,1.2,500\n", "line 2: the time \"yesterday\" can't be read"},
      {kHeader + "2023-02-30,1.1,1.3,1.0,1.2,500\n", "line 2: the time"},
      {kHeader + "2024-01-01,1.1,1.3,1.0,,500\n", "line 2: close is empty"},
      {kHeader + "2024-01-01,1.1,1.3,1.0,nan,500\n", "line 2: close is \"nan\", not a finite number"},
      {kHeader + "2024-01-01,inf,1.3,1.0,1.2,500\n", "line 2: open is \"inf\""},
      {kHeader + "2024-01-01,1e999,1.3,1.0,1.2,500\n", "line 2: open is \"1e999\""},
      {kHeader + "2024-01-01,1.1,1.3,1.0,1.2,many\n", "line 2: volume is \"many\""},
      {kHeader + "2024-01-01, 1.1,1.3,1.0,1.2,5\n", "line 2: open is \" 1.1\""},
      {kHeader + "2024-01-01,1.1x,1.3,1.0,1.2,5\n", "line 2: open is \"1.1x\""},
      {kHeader + "2024-01-01,0,1.3,1.0,1.2,500\n", "line 2: open is not above 0"},
      {kHeader + "2024-01-01,1.1,1.3,-1.0,1.2,500\n", "line 2: low is not above 0"},
      {kHeader + "2024-01-01,1.1,0.9,1.0,1.2,500\n", "line 2: high is below low"},
      {kHeader + "2024-01-01,1.1,1.3,1.0,1.2\n", "line 2: has 5 fields where the header has 6"},
      {kHeader + "2024-01-01,1.1,1.3,1.0,1.2,5,6\n", "line 2: has 7 fields"},
      {kHeader + "\n" + kRow, "line 2: has 1 fields"},
      {kHeader + std::string(1000, ',') + "\n", "line 2: has more than 64 fields"},
      {std::string(1000, ','), "line 1: has more than 64 columns"},
  };
  for (const BadFile& file : files) {
    const auto data = parse_market_data(file.text, "EURUSD_1h.csv");
    EXPECT_THAT(data, FailsWith(ErrorCode::kInvalidArgument)) << file.text;
    EXPECT_THAT(data, SaysError("EURUSD_1h.csv line "));
    EXPECT_THAT(data, SaysError(file.says));
  }
}

TEST(MarketData, ComesBackFromAFileBitByBit) {
  const TemporaryFolder folder;
  const MarketData market =
      testing::make_market({.symbol = "GBPUSD", .timeframe = "4h", .rows = 300, .seed = 5});
  testing::write_market(folder.path(), market);
  const auto data = load_market_data(folder.path(), "GBPUSD", "4h");
  ASSERT_THAT(data, IsOk());
  EXPECT_EQ(*data, market);
}

TEST(MarketData, AMissingFileListsWhatThereIs) {
  const TemporaryFolder folder;
  EXPECT_THAT(load_market_data(folder.path(), "EURUSD", "1h"),
              SaysError("the folder has no market data files"));
  for (const char* name : {"GBPUSD_1h.csv", "EUR_USD_4h.csv", "notes.txt", "x_9h.csv"}) {
    std::ofstream(folder / name) << kHeader;
  }
  const auto missing = load_market_data(folder.path(), "EURUSD", "1h");
  EXPECT_THAT(missing, FailsWith(ErrorCode::kNotFound));
  EXPECT_THAT(missing, SaysError("the folder has EUR_USD 4h, GBPUSD 1h."));
  for (char c = 'a'; c <= 'z'; ++c) std::ofstream(folder / (std::string(1, c) + "_1d.csv")) << kHeader;
  EXPECT_THAT(load_market_data(folder.path(), "EURUSD", "1h"), SaysError("and 18 more"));
}

TEST(MarketData, AFolderInTheFilesPlaceIsNoFile) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "EURUSD_1h.csv");
  EXPECT_THAT(load_market_data(folder.path(), "EURUSD", "1h"), FailsWith(ErrorCode::kNotFound));
}

TEST(MarketData, NamesThatCouldLeaveTheFolderAreRefused) {
  for (const std::string& symbol :
       {std::string(""), std::string(".."), std::string("../x"), std::string("a/b"), std::string("a..b"),
        std::string("EUR USD"), std::string(21, 'A'), std::string("a\0b", 3), std::string("\xc3\xa9")}) {
    EXPECT_THAT(load_market_data("/nowhere", symbol, "1h"), FailsWith(ErrorCode::kInvalidArgument)) << symbol;
  }
  EXPECT_THAT(load_market_data("/nowhere", "EURUSD", "2h"), SaysError("1m, 5m, 15m, 30m, 1h, 4h, 1d and 1w"));
  EXPECT_THAT(load_market_data("/nowhere", "EURUSD", "../1h"), FailsWith(ErrorCode::kInvalidArgument));
}

TEST(MarketData, TenYearsOfHoursAreReadInATenthOfASecond) {
  const std::string text = testing::csv_of(testing::make_market({.rows = 57'600}));
  const auto before = std::chrono::steady_clock::now();
  const auto data = parse_market_data(text, "x.csv");
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - before;
  ASSERT_THAT(data, IsOk());
  EXPECT_EQ(data->rows(), 57'600U);
  RecordProperty("milliseconds", std::to_string(took.count()));
  EXPECT_LT(took.count(), 1000) << "ten times the promise, for loaded machines and sanitizers";
}

}  // namespace
}  // namespace ktrdr::strategy
