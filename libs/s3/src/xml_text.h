// The little XML that S3 speaks: elements and text. Attributes, comments and the declaration are skipped; a
// DOCTYPE, and with it every entity that somebody could define, is refused.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ktrdr/core/result.h"

namespace ktrdr::s3 {

struct XmlElement {
  std::string name;
  std::string text;  // of this element itself, entities resolved
  std::vector<XmlElement> children;

  // The text of the first child of that name; empty when there is none.
  std::string text_of(std::string_view child) const;
};

// kIo when the text is not such a document, or is nested deeper than anything S3 says.
Result<XmlElement> parse_xml(std::string_view text);

std::string escape_xml(std::string_view text);

}  // namespace ktrdr::s3
