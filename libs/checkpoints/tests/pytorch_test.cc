// What Python will read, byte by byte: the zip, the pickle in it, and the state dicts. That PyTorch itself
// loads such files is tested where it is installed, by the tests of `ktrdr checkpoints export`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <array>
#include <cstring>

#include "ktrdr/checkpoints/file_content.h"
#include "ktrdr/checkpoints/pytorch_file.h"
#include "ktrdr/checkpoints/pytorch_state.h"
#include "ktrdr/core/digest.h"
#include "ktrdr/core/testing/matchers.h"

namespace ktrdr::checkpoints {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::SaysError;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::string_literals;  // a pickle is full of zeros

std::string text_of(const PytorchFile& file) {
  std::string text;
  for (const auto& piece : file.pieces())
    text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  return text;
}

std::string written(const PythonValue& value) {
  const auto file = PytorchFile::of(value);
  EXPECT_TRUE(file.ok());
  const std::string text = text_of(*file);
  EXPECT_EQ(text.size(), file->size());
  return text;
}

// ---- a reader of zips, for what the writer writes ----

std::uint64_t number_at(std::string_view zip, std::size_t at, std::size_t bytes) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < bytes; ++i)
    number |= std::uint64_t{static_cast<unsigned char>(zip.at(at + i))} << (8 * i);
  return number;
}

struct ZipEntry {
  std::string name, bytes;
  std::size_t position = 0;  // of the bytes in the zip
};

// Follows the central directory, and checks that both headers of each file tell the same and that its CRC-32
// is right.
std::vector<ZipEntry> unzip(std::string_view zip) {
  const std::size_t end = zip.size() - 22;
  EXPECT_EQ(zip.substr(end, 4), "PK\5\6");
  std::vector<ZipEntry> entries;
  std::size_t at = number_at(zip, end + 16, 4);
  EXPECT_EQ(at + number_at(zip, end + 12, 4), end) << "the directory lies right before its end record";
  for (std::uint64_t left = number_at(zip, end + 10, 2); left > 0; --left) {
    EXPECT_EQ(zip.substr(at, 4), "PK\1\2");
    const std::size_t local = number_at(zip, at + 42, 4);
    EXPECT_EQ(zip.substr(local, 4), "PK\3\4");
    EXPECT_EQ(zip.substr(at + 6, 24), zip.substr(local + 4, 24)) << "both headers say the same";
    EXPECT_EQ(number_at(zip, at + 10, 2), 0) << "stored, not compressed";
    EXPECT_EQ(number_at(zip, at + 12, 4), 0x0021'0000) << "no time";
    const std::size_t name = number_at(zip, at + 28, 2);
    const std::size_t begin = local + 30 + name + number_at(zip, local + 28, 2);
    ZipEntry entry{std::string(zip.substr(at + 46, name)),
                   std::string(zip.substr(begin, number_at(zip, at + 24, 4))), begin};
    EXPECT_EQ(entry.name, zip.substr(local + 30, name));
    EXPECT_EQ(::crc32_z(0, reinterpret_cast<const Bytef*>(entry.bytes.data()), entry.bytes.size()),
              number_at(zip, at + 16, 4));
    entries.push_back(std::move(entry));
    at += 46 + name;
  }
  EXPECT_EQ(at, end);
  return entries;
}

std::string pickle_of(const PythonValue& value) { return unzip(written(value)).at(0).bytes; }

// Owns the bytes that a SafetensorsFile borrows, as a mapped checkpoint does.
class Tensors {
 public:
  explicit Tensors(const TensorMap& map) {
    const FileContent content = tensor_file("x.safetensors", map).value();
    for (const auto& piece : content.pieces()) bytes_.insert(bytes_.end(), piece.begin(), piece.end());
    file_ = parse_safetensors(bytes_).value();
  }
  const SafetensorsFile& file() const { return file_; }

 private:
  std::vector<std::byte> bytes_;
  SafetensorsFile file_;
};

void put(TensorMap& map, std::string_view name, std::vector<std::int64_t> shape, std::vector<float> values) {
  map.put(name, DType::kF32, shape, std::as_bytes(std::span(values)));
}

TensorMap one_layer() {
  TensorMap model;
  put(model, "0.weight", {2, 2}, {1, -2, 0.5F, -0.0F});
  put(model, "0.bias", {2}, {3, 4});
  return model;
}

TensorMap adam_of_one_layer(std::int64_t step) {
  TensorMap optimizer;
  put(optimizer, "0.weight.exp_avg", {2, 2}, {1, 2, 3, 4});
  put(optimizer, "0.weight.exp_avg_sq", {2, 2}, {5, 6, 7, 8});
  put(optimizer, "0.bias.exp_avg", {2}, {9, 10});
  put(optimizer, "0.bias.exp_avg_sq", {2}, {11, 12});
  optimizer.put_scalar("step", step);
  return optimizer;
}

constexpr AdamSettings kSettings{0.001, 0.9, 0.999, 1e-8, 0.0001};

// ---- the zip ----

TEST(PytorchFile, IsAZipOfPickleStoragesAndVersion) {
  const Tensors model(one_layer());
  const auto entries = unzip(written(model_state_dict(model.file())));
  std::vector<std::string> names;
  for (const ZipEntry& entry : entries) names.push_back(entry.name);
  EXPECT_THAT(names, ElementsAre("archive/data.pkl", "archive/byteorder", "archive/data/0", "archive/data/1",
                                 "archive/version"));
  EXPECT_EQ(entries[1].bytes, "little");
  EXPECT_EQ(entries[2].bytes, "\0\0\x80\x3f\0\0\0\xc0\0\0\0\x3f\0\0\0\x80"s) << "the weight's bits";
  EXPECT_EQ(entries[3].bytes, "\0\0\x40\x40\0\0\x80\x40"s) << "the bias's bits";
  EXPECT_EQ(entries[4].bytes, "3\n");
  for (const ZipEntry& entry : entries) EXPECT_EQ(entry.position % 64, 0) << entry.name;
}

TEST(PytorchFile, IsTheSameFileInEveryRelease) {
  const Tensors model(one_layer()), optimizer(adam_of_one_layer(7));
  EXPECT_EQ(sha256_hex(written(model_state_dict(model.file()))),
            "f20f1ea7422cc39a19d2f46df32c0f251e9dcd913e59bc7a23d8de3ff89168d7");
  const auto adam = AdamStateDict::of(model.file(), optimizer.file(), kSettings);
  EXPECT_EQ(sha256_hex(written(adam->value())),
            "c0424753c63a96166689d6714879434347ddea8be4097fa40653ee1538bb55bd");
}

TEST(PytorchFile, AnEmptyTensorHasAnEmptyStorage) {
  TensorMap model;
  model.put_f32("empty", {});
  const Tensors tensors(model);
  const auto entries = unzip(written(model_state_dict(tensors.file())));
  EXPECT_EQ(entries.at(2).name, "archive/data/0");
  EXPECT_EQ(entries.at(2).bytes, "");
}

// Only the sizes are looked at: the bytes of these tensors don't exist.
TEST(PytorchFile, RefusesWhatAPlainZipCannotHold) {
  const auto tensor_of = [](std::int64_t count) {
    static const std::byte nothing{};
    return TensorView{"x", DType::kU8, {count}, {&nothing, static_cast<std::size_t>(count)}};
  };
  const auto refused = PytorchFile::of({tensor_of(std::int64_t{1} << 32)});
  EXPECT_THAT(refused, FailsWith(ErrorCode::kTooLarge));
  EXPECT_THAT(refused, SaysError("--format safetensors"));
  PythonList many;
  many.items.assign(65'533, {tensor_of(0)});
  EXPECT_THAT(PytorchFile::of({many}), FailsWith(ErrorCode::kTooLarge));
}

// ---- the pickle ----

TEST(PytorchFile, PicklesAStateDictAsAnOrderedDictOfRebuiltTensors) {
  const Tensors model(one_layer());
  const auto tensor = [](const std::string& key, const std::string& count, const std::string& size,
                         const std::string& stride) {
    return "ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"s + key +
           "X\3\0\0\0cpuK"s + count + "tQK\0("s + size + "t(" + stride +
           "t\x89"
           "ccollections\nOrderedDict\n)RtR"s;
  };
  EXPECT_EQ(pickle_of(model_state_dict(model.file())),
            "\x80\2ccollections\nOrderedDict\n)R("s +  //
                "X\x8\0\0\0"
                "0.weight"s +
                tensor("0", "\4", "K\2K\2", "K\2K\1") +  //
                "X\6\0\0\0"
                "0.bias"s +
                tensor("1", "\2", "K\2", "K\1") + "u.");
}

TEST(PytorchFile, PicklesEveryKindOfValue) {
  const std::pair<PythonValue, std::string> cases[] = {
      {{PythonNone{}}, "N"},
      {{true}, "\x88"},
      {{false}, "\x89"},
      {{std::int64_t{0}}, "K\0"s},
      {{std::int64_t{255}}, "K\xff"},
      {{std::int64_t{256}}, "M\0\1"s},
      {{std::int64_t{65535}}, "M\xff\xff"},
      {{std::int64_t{65536}}, "J\0\0\1\0"s},
      {{std::int64_t{-1}}, "J\xff\xff\xff\xff"},
      {{std::int64_t{1} << 31}, "\x8a\x8\0\0\0\x80\0\0\0\0"s},
      {{std::int64_t{-3'000'000'000}}, "\x8a\x8\0\xa2\x2f\x4d\xff\xff\xff\xff"s},
      {{1.0}, "G\x3f\xf0\0\0\0\0\0\0"s},
      {{std::string("lr")}, "X\2\0\0\0lr"s},
      {{PythonTuple{}}, "(t"},
      {{PythonList{{{true}}}},
       "](\x88"
       "e"},
      {{PythonDict{PythonDict::Kind::kDict, {{{true}, {PythonNone{}}}}}}, "}(\x88Nu"},
  };
  for (const auto& [value, expected] : cases) EXPECT_EQ(pickle_of(value), "\x80\2" + expected + ".");
}

TEST(PytorchFile, NamesTheStorageOfEachType) {
  const std::pair<DType, std::string> cases[] = {{DType::kF32, "FloatStorage"},
                                                 {DType::kF64, "DoubleStorage"},
                                                 {DType::kI64, "LongStorage"},
                                                 {DType::kU8, "ByteStorage"}};
  const std::array<std::byte, 16> bytes{};
  for (const auto& [dtype, storage] : cases) {
    const TensorView tensor{"x", dtype, {2}, std::span(bytes).first(2 * size_of(dtype))};
    EXPECT_THAT(pickle_of({tensor}), HasSubstr("ctorch\n" + storage +
                                               "\nX\1\0\0\0"
                                               "0X\3\0\0\0cpuK\2tQ"s));
  }
}

// weights_only=True refuses every global outside a short list, so nothing else may get in.
TEST(PytorchFile, CallsNothingButWhatBuildsTensors) {
  const Tensors model(one_layer()), optimizer(adam_of_one_layer(7));
  std::string text = pickle_of(AdamStateDict::of(model.file(), optimizer.file(), kSettings)->value());
  const std::string known[] = {"ccollections\nOrderedDict\n", "ctorch._utils\n_rebuild_tensor_v2\n",
                               "ctorch\nFloatStorage\n", "X\n\0\0\0"s};  // the last: a text of ten
  for (const std::string& part : known) {
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part))
      text.erase(at, part.size());
  }
  EXPECT_EQ(text.find('\n'), std::string::npos) << "a global's names end with line ends";
}

// ---- state dicts ----

TEST(StateDict, FollowsTheOrderOfTheModules) {
  TensorMap map;
  for (const char* name : {"12.bias", "12.weight", "3.bias", "3.weight", "1.running_mean", "1.bias",
                           "1.weight", "layers.10.weight", "layers.9.bias", "layers.9.weight"})
    map.put_f32(name, std::vector<float>{1});
  EXPECT_THAT(state_dict_order(Tensors(map).file()),
              ElementsAre("1.weight", "1.bias", "1.running_mean", "3.weight", "3.bias", "12.weight",
                          "12.bias", "layers.9.weight", "layers.9.bias", "layers.10.weight"));
}

TEST(AdamState, KeepsTheOrderOfTheParametersAndSkipsBuffers) {
  TensorMap map = one_layer();
  put(map, "0.running_mean", {2}, {1, 1});
  const Tensors model(map), optimizer(adam_of_one_layer(7));
  const auto adam = AdamStateDict::of(model.file(), optimizer.file(), kSettings);
  ASSERT_TRUE(adam.ok());
  const auto entries = unzip(written(adam->value()));
  ASSERT_EQ(entries.size(), 3 + 6) << "step, exp_avg and exp_avg_sq of two parameters";
  EXPECT_EQ(entries[2].bytes, "\0\0\xe0\x40"s) << "7 steps as a float32";
  EXPECT_EQ(entries[3].bytes.substr(0, 4), "\0\0\x80\x3f"s) << "the weight's exp_avg comes first";
  EXPECT_EQ(entries[7].bytes.substr(0, 4), "\0\0\x30\x41"s) << "the bias's exp_avg_sq comes last";
  EXPECT_THAT(entries[0].bytes, HasSubstr("X\6\0\0\0params](K\0K\1e"s));
  EXPECT_THAT(entries[0].bytes, HasSubstr("X\5\0\0\0betas(G\x3f\xec\xcc\xcc\xcc\xcc\xcc\xcd"s));
}

TEST(AdamState, HasNoStateBeforeTheFirstStep) {
  const Tensors model(one_layer()), optimizer(adam_of_one_layer(0));
  const auto adam = AdamStateDict::of(model.file(), optimizer.file(), kSettings);
  EXPECT_THAT(pickle_of(adam->value()), HasSubstr("X\5\0\0\0state}(u"s));
}

TEST(AdamState, StaysWholeWhenItMoves) {
  const Tensors model(one_layer()), optimizer(adam_of_one_layer(7));
  auto adam = AdamStateDict::of(model.file(), optimizer.file(), kSettings);
  const std::string before = written(adam->value());
  const AdamStateDict moved = *std::move(adam);
  EXPECT_EQ(written(moved.value()), before);
}

TEST(AdamState, RefusesAnotherOptimizer) {
  const auto refused = [](auto change) {
    TensorMap map = adam_of_one_layer(7);
    change(map);
    const Tensors model(one_layer()), optimizer(map);
    EXPECT_THAT(AdamStateDict::of(model.file(), optimizer.file(), kSettings),
                FailsWith(ErrorCode::kUnsupported));
  };
  refused([](TensorMap& map) { map.put_f32("0.bias.momentum_buffer", std::vector<float>{1, 2}); });
  refused([](TensorMap& map) { map.put_f32("1.bias.exp_avg", std::vector<float>{1, 2}); });
  refused([](TensorMap& map) { map.put_f32("0.bias.exp_avg", std::vector<float>{1, 2, 3}); });
  refused([](TensorMap& map) { map.put_f64("0.bias.exp_avg_sq", std::vector<double>{1, 2}); });
  refused([](TensorMap& map) { map.put_f32("step", std::vector<float>{7}); });
  const Tensors model(one_layer()), nothing((TensorMap()));
  EXPECT_THAT(AdamStateDict::of(model.file(), nothing.file(), kSettings), FailsWith(ErrorCode::kUnsupported));
}

}  // namespace
}  // namespace ktrdr::checkpoints
