#include "ktrdr/checkpoints/safetensors.h"

#include <gtest/gtest.h>

#include <bit>
#include <limits>
#include <random>

#include "ktrdr/checkpoints/file_content.h"
#include "ktrdr/core/testing/matchers.h"

namespace ktrdr::checkpoints {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;
using namespace std::string_literals;

std::string bytes_of(const TensorMap& map) {
  std::string bytes;
  const FileContent file = tensor_file("x.safetensors", map).value();
  for (const auto& piece : file.pieces())
    bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  return bytes;
}

Result<SafetensorsFile> parse(const std::string& bytes) {
  return parse_safetensors(std::as_bytes(std::span(bytes)));
}

std::string length(std::uint64_t value) { return {reinterpret_cast<const char*>(&value), sizeof value}; }

std::string file_with(const std::string& header, std::size_t data_bytes) {
  return length(header.size()) + header + std::string(data_bytes, 'x');
}

std::string tensor(const std::string& name, std::string_view dtype, std::string_view shape,
                   std::string_view offsets) {
  return "\"" + name + R"(":{"dtype":")" + std::string(dtype) + R"(","shape":)" + std::string(shape) +
         R"(,"data_offsets":)" + std::string(offsets) + "}";
}

TensorMap mixed() {
  TensorMap map;
  const std::vector<std::int64_t> shape = {2, 3};
  const std::vector<float> weights = {1, 2, 3, 4, 5, 6};
  map.put("b.weight", DType::kF32, shape, std::as_bytes(std::span(weights)));
  map.put_scalar("step", std::int64_t{7});
  map.put_u8("a.mask", std::vector<std::uint8_t>{1, 0, 255});
  map.put_f64("loss", std::vector<double>{0.5, -0.0});
  map.put("empty", DType::kF32, std::vector<std::int64_t>{0, 4}, {});
  return map;
}

// By hand from the format's description and the reference's rules: descending item size, then name; compact
// JSON; spaces up to a multiple of 8.
TEST(Safetensors, WritesExactlyWhatTheFormatSays) {
  const std::string header = R"({"step":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
                             R"("loss":{"dtype":"F64","shape":[2],"data_offsets":[8,24]},)"
                             R"("b.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[24,48]},)"
                             R"("empty":{"dtype":"F32","shape":[0,4],"data_offsets":[48,48]},)"
                             R"("a.mask":{"dtype":"U8","shape":[3],"data_offsets":[48,51]}})";
  ASSERT_EQ(header.size(), 297U);
  const std::string golden = "\x30\x01\0\0\0\0\0\0"s + header + "       " +     // 304 = 0x130
                             "\x07\0\0\0\0\0\0\0"s +                            // step
                             "\0\0\0\0\0\0\xe0\x3f"s + "\0\0\0\0\0\0\0\x80"s +  // 0.5, -0.0
                             "\0\0\x80\x3f"s + "\0\0\0\x40"s + "\0\0\x40\x40"s + "\0\0\x80\x40"s +
                             "\0\0\xa0\x40"s + "\0\0\xc0\x40"s + "\x01\0\xff"s;
  EXPECT_EQ(bytes_of(mixed()), golden);
}

TEST(Safetensors, ReadsBackEveryBit) {
  const TensorMap map = mixed();
  const std::string bytes = bytes_of(map);
  const auto file = parse(bytes);
  ASSERT_THAT(file, IsOk());
  EXPECT_EQ(to_tensor_map(*file), map);
}

TEST(Safetensors, KeepsNanPayloadsAndDenormals) {
  std::vector<float> values;
  for (const std::uint32_t bits : {0x7fc0deadU, 0x7f800001U, 0x80000000U, 1U, 0x007fffffU, 0xff800000U}) {
    values.push_back(std::bit_cast<float>(bits));
  }
  TensorMap map;
  map.put_f32("odd", values);
  const std::string bytes = bytes_of(map);
  EXPECT_EQ(to_tensor_map(parse(bytes).value()), map);
}

TEST(Safetensors, AnEmptyMapIsAFileToo) {
  EXPECT_EQ(bytes_of({}), length(8) + "{}      ");
  EXPECT_TRUE(parse(bytes_of({}))->tensors.empty());
}

TEST(Safetensors, RandomMapsComeBackWhole) {
  std::mt19937_64 random(5);  // fixed: a failure can be repeated
  constexpr DType kTypes[] = {DType::kF32, DType::kF64, DType::kI64, DType::kU8};
  for (int round = 0; round < 200; ++round) {
    TensorMap map;
    for (std::uint64_t i = random() % 12; i > 0; --i) {
      const std::vector<std::int64_t> shape(random() % 4, static_cast<std::int64_t>(random() % 4));
      for (std::byte& b : map.add("t" + std::to_string(random() % 50), kTypes[random() % 4], shape)) {
        b = static_cast<std::byte>(random());
      }
    }
    const std::string bytes = bytes_of(map);
    const auto file = parse(bytes);
    ASSERT_THAT(file, IsOk());
    EXPECT_EQ(to_tensor_map(*file), map);
  }
}

TEST(Safetensors, EveryTensorIsAlignedInAMappedFile) {
  const std::string bytes = bytes_of(mixed());
  const SafetensorsFile file = parse(bytes).value();
  for (const TensorView& view : file.tensors) {
    const auto offset = view.bytes.data() - reinterpret_cast<const std::byte*>(bytes.data());
    EXPECT_EQ(static_cast<std::size_t>(offset) % size_of(view.dtype), 0U) << view.name;
  }
}

TEST(Safetensors, DoesNotDependOnTheOrderOfInsertion) {
  TensorMap forwards, backwards;
  for (int i = 0; i < 5; ++i) forwards.put_scalar("t" + std::to_string(i), 1.0);
  for (int i = 4; i >= 0; --i) backwards.put_scalar("t" + std::to_string(i), 1.0);
  EXPECT_EQ(bytes_of(forwards), bytes_of(backwards));
}

TEST(Safetensors, RefusesToWriteAHeaderOverOneMebibyte) {
  TensorMap map;
  for (int i = 0; i < 5000; ++i) map.put_u8(std::to_string(i) + std::string(200, 'n'), {});
  EXPECT_THAT(tensor_file("x.safetensors", map), FailsWith(ErrorCode::kTooLarge));
}

TEST(Safetensors, AcceptsWhatOtherWritersMayWrite) {
  EXPECT_THAT(
      parse(file_with(R"({"__metadata__":{"format":"pt"},)" + tensor("a", "F32", "[1]", "[0,4]") + "}", 4)),
      IsOk());
  // Offsets in another order than the names, and a header that is not padded.
  EXPECT_THAT(
      parse(file_with("{" + tensor("a", "U8", "[1]", "[4,5]") + "," + tensor("b", "F32", "[]", "[0,4]") + "}",
                      5)),
      IsOk());
}

struct Crafted {
  const char* what;
  std::string bytes;
  const char* says;
};

std::vector<Crafted> crafted_files() {
  const std::string ok = tensor("a", "F32", "[1]", "[0,4]");
  const std::string deep = R"({"a":{"dtype":"F32","shape":)" + std::string(5000, '[') +
                           std::string(5000, ']') + R"(,"data_offsets":[0,4]}})";
  return {
      {"nothing", "", "too short"},
      {"seven bytes", std::string(7, '\0'), "too short"},
      {"a header of no bytes", length(0), "does not end with }"},
      {"a header over 1 MiB", length((1 << 20) + 1) + std::string((1 << 20) + 1, ' '), "longer than 1 MiB"},
      {"a header of 2^64 - 1 bytes", length(~std::uint64_t{0}) + "{}", "longer than 1 MiB"},
      {"a header longer than the file", length(100) + "{}", "longer than the file"},
      {"overlap", file_with("{" + ok + "," + tensor("b", "F32", "[1]", "[2,6]") + "}", 6), "overlaps"},
      {"the same bytes twice", file_with("{" + ok + "," + tensor("b", "F32", "[1]", "[0,4]") + "}", 4),
       "overlaps"},
      {"an empty tensor inside another",
       file_with("{" + ok + "," + tensor("b", "F32", "[0]", "[2,2]") + "}", 4), "overlaps"},
      {"a hole", file_with("{" + ok + "," + tensor("b", "F32", "[1]", "[5,9]") + "}", 9), "hole"},
      {"a hole at the start", file_with("{" + tensor("a", "F32", "[1]", "[4,8]") + "}", 8), "hole"},
      {"trailing bytes", file_with("{" + ok + "}", 5), "after the last tensor"},
      {"data without tensors", file_with("{}", 1), "after the last tensor"},
      {"truncated data", file_with("{" + ok + "}", 3), "outside the file"},
      {"a duplicate name", file_with("{" + ok + "," + ok + "}", 4), "duplicate key"},
      {"a duplicate field",
       file_with(R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4),
       "duplicate key"},
      {"duplicate metadata", file_with(R"({"__metadata__":{},"__metadata__":{}})", 0), "duplicate key"},
      {"a duplicate name by escape",
       file_with("{" + ok + "," + tensor("\\u0061", "F32", "[1]", "[0,4]") + "}", 4), "duplicate key"},
      {"offset 2^63",
       file_with("{" + tensor("a", "F32", "[1]", "[9223372036854775808,9223372036854775812]") + "}", 4),
       "2^63"},
      {"offset 2^63 - 1",
       file_with("{" + tensor("a", "U8", "[1]", "[9223372036854775806,9223372036854775807]") + "}", 4),
       "outside the file"},
      {"offset 2^64", file_with("{" + tensor("a", "F32", "[1]", "[0,18446744073709551616]") + "}", 4),
       "no integer"},
      {"a negative offset", file_with("{" + tensor("a", "F32", "[1]", "[-4,0]") + "}", 4),
       "outside the file"},
      {"offsets backwards", file_with("{" + tensor("a", "F32", "[1]", "[4,0]") + "}", 4), "outside the file"},
      {"one offset", file_with("{" + tensor("a", "F32", "[1]", "[0]") + "}", 4), "wrong type"},
      {"three offsets", file_with("{" + tensor("a", "F32", "[1]", "[0,4,4]") + "}", 4), "wrong type"},
      {"a fractional offset", file_with("{" + tensor("a", "F32", "[1]", "[0,4.0]") + "}", 4), "no integer"},
      {"a product over 2^63",
       file_with("{" + tensor("a", "F32", "[4294967296,4294967296]", "[0,4]") + "}", 4), "impossible shape"},
      {"bytes over 2^63", file_with("{" + tensor("a", "F64", "[2305843009213693952]", "[0,4]") + "}", 4),
       "impossible shape"},
      {"a product that wraps to 0",
       file_with("{" + tensor("a", "F32", "[9223372036854775807,2,0]", "[0,0]") + "}", 0),
       "impossible shape"},
      {"a negative size", file_with("{" + tensor("a", "F32", "[-1]", "[0,4]") + "}", 4), "impossible shape"},
      {"two negative sizes", file_with("{" + tensor("a", "F32", "[-1,-1]", "[0,4]") + "}", 4),
       "impossible shape"},
      {"a shape of another size", file_with("{" + tensor("a", "F32", "[2]", "[0,4]") + "}", 4),
       "another size"},
      {"a shape that is a number", file_with("{" + tensor("a", "F32", "1", "[0,4]") + "}", 4), "wrong type"},
      {"an unknown dtype", file_with("{" + tensor("a", "F33", "[1]", "[0,4]") + "}", 4), "dtype"},
      {"a dtype we don't use", file_with("{" + tensor("a", "BF16", "[2]", "[0,4]") + "}", 4), "dtype"},
      {"a dtype that is a number", file_with(R"({"a":{"dtype":1,"shape":[1],"data_offsets":[0,4]}})", 4),
       "wrong type"},
      {"a missing field", file_with(R"({"a":{"dtype":"F32","shape":[1]}})", 4), "must have"},
      {"an unknown field", file_with(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})", 4),
       "must have"},
      {"a tensor that is a string", file_with(R"({"a":"F32"})", 0), "must have"},
      {"a name that is not UTF-8", file_with("{" + tensor("\xff\xfe", "F32", "[1]", "[0,4]") + "}", 4),
       "read at byte"},
      {"a name with a newline", file_with("{" + tensor("a\\n", "F32", "[1]", "[0,4]") + "}", 4), "printable"},
      {"an empty name", file_with("{" + tensor("", "F32", "[1]", "[0,4]") + "}", 4), "printable"},
      {"deep nesting", file_with(deep, 4), "nested too deeply"},
      {"an array", file_with("[]", 0), "does not end with }"},
      {"two objects", file_with("{}{}", 0), "read at byte"},
      {"rubbish after a NUL", file_with("{}\0{}"s, 0), "control character"},
      {"a NUL in the padding", file_with("{}\0  "s, 0), "does not end with }"},
      {"a byte order mark", file_with("\xef\xbb\xbf{}", 0), "does not start with {"},
      {"a space in front", file_with(" {}", 0), "does not start with {"},
      {"a comment", file_with("{/**/}", 0), "read at byte"},
      {"an unfinished object", file_with(R"({"a":})", 0), "read at byte"},
      {"metadata that is no text", file_with(R"({"__metadata__":{"a":1}})", 0), "__metadata__"},
      {"a boolean", file_with(R"({"a":true})", 0), "boolean"},
  };
}

TEST(Safetensors, RefusesEveryCraftedFileAndSaysWhy) {
  for (const Crafted& file : crafted_files()) {
    EXPECT_THAT(parse(file.bytes), FailsWith(ErrorCode::kCheckpointCorrupted)) << file.what;
    EXPECT_THAT(parse(file.bytes), SaysError(file.says)) << file.what;
  }
}

TEST(Safetensors, NoTruncationAndNoFlippedBitMakesItReadOutOfBounds) {
  const std::string bytes = bytes_of(mixed());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(parse(bytes.substr(0, size)).ok()) << size;
  }
  for (std::size_t bit = 0; bit < 8 * (8 + 304);
       ++bit) {  // the header; a bit in a name may well be another name
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto file = parse(flipped);
    if (file.ok()) to_tensor_map(*file);  // under a sanitizer, a view outside the file would stop the test
  }
}

TEST(Restore, CopiesIntoMemoryThatIsThere) {
  const TensorMap saved = mixed();
  const std::string bytes = bytes_of(saved);
  TensorMap target = saved;
  for (std::byte& b : target.mutable_bytes("b.weight")) b = std::byte{0};
  const std::byte* memory = target.mutable_bytes("b.weight").data();
  ASSERT_THAT(restore_into(parse(bytes).value(), target), IsOk());
  EXPECT_EQ(target, saved);
  EXPECT_EQ(target.mutable_bytes("b.weight").data(), memory);
}

TEST(Restore, RefusesAnotherModelAndChangesNothing) {
  const std::string bytes = bytes_of(mixed());
  const SafetensorsFile file = parse(bytes).value();
  TensorMap missing = mixed(), surplus, other_shape = mixed(), other_type = mixed();
  missing.put_scalar("z", 1.0);
  surplus.put_scalar("step", std::int64_t{1});
  other_shape.put_f32("b.weight", std::vector<float>(6));
  other_type.put_i64("loss", std::vector<std::int64_t>(2));
  for (TensorMap* map : {&missing, &surplus, &other_shape, &other_type}) {
    const TensorMap before = *map;
    EXPECT_THAT(restore_into(file, *map), FailsWith(ErrorCode::kCheckpointCorrupted));
    EXPECT_EQ(*map, before);
  }
  EXPECT_THAT(check_layout(file, missing), SaysError("'z' is missing"));
  EXPECT_THAT(check_layout(file, other_shape), SaysError("'b.weight'"));
}

}  // namespace
}  // namespace ktrdr::checkpoints
