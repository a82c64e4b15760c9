#include "fingerprint.h"

#include <bit>
#include <span>
#include <type_traits>

#include "ktrdr/core/digest.h"

namespace ktrdr::strategy {
namespace {

static_assert(std::endian::native == std::endian::little, "a fingerprint must not depend on the machine");

class Parts {
 public:
  template <class T>
  void add(std::string_view name, const std::vector<T>& values) {
    static_assert(std::is_arithmetic_v<T>);
    start(name, values.size());
    digest_.update(std::as_bytes(std::span(values)));
  }
  void add(std::string_view name, std::string_view text) {
    start(name, text.size());
    digest_.update(text);
  }
  std::string hex() { return digest_.hex(); }

 private:
  void start(std::string_view name, std::uint64_t count) {
    digest_.update(name).update(std::string_view("\0", 1));
    digest_.update(std::as_bytes(std::span(&count, 1)));
  }

  Sha256 digest_;
};

void add_bars(Parts& parts, const MarketData& bars) {
  parts.add("bar_timestamps_ms", bars.timestamps_ms);
  parts.add("open", bars.open);
  parts.add("high", bars.high);
  parts.add("low", bars.low);
  parts.add("close", bars.close);
  parts.add("volume", bars.volume);
}

void add_normalization(Parts& parts, const Normalization& normalization) {
  parts.add("normalization", to_string(normalization.method));
  parts.add("column", std::vector<std::int64_t>{normalization.column});
  parts.add("constants", std::vector<double>{normalization.offset, normalization.scale});
}

}  // namespace

std::string fingerprint_of(const MarketData& selected, const Dataset& dataset) {
  Parts parts;
  parts.add("format", "ktrdr dataset 1");
  add_bars(parts, selected);
  for (const std::string& name : dataset.feature_names) parts.add("feature_name", name);
  parts.add("shape", std::vector<std::int64_t>{dataset.rows, dataset.columns});
  parts.add("timestamps_ms", dataset.timestamps_ms);
  parts.add("features", dataset.features);
  parts.add("labels", dataset.labels);
  parts.add("split",
            std::vector<std::int64_t>{dataset.train.begin, dataset.train.end, dataset.validation.begin,
                                      dataset.validation.end, dataset.test.begin, dataset.test.end});
  parts.add("class_weights", dataset.class_weights);
  for (const Normalization& normalization : dataset.normalization) add_normalization(parts, normalization);
  return parts.hex();
}

}  // namespace ktrdr::strategy
