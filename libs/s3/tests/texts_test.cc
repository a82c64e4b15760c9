// The two notations of S3: percent-encoding and XML.
#include <gtest/gtest.h>

#include "ktrdr/core/testing/matchers.h"
#include "uri_text.h"
#include "xml_text.h"

namespace ktrdr::s3 {
namespace {

using ktrdr::testing::FailsWith;

TEST(UriText, EncodesAllButTheUnreserved) {
  EXPECT_EQ(encode_path("/a-Z_0.~/b=c d+é"), "/a-Z_0.~/b%3Dc%20d%2B%C3%A9");
}

TEST(UriText, SortsTheQueryByWhatIsSent) {
  EXPECT_EQ(encode_query({{"prefix", "op/1="}, {"list-type", "2"}, {"delimiter", "/"}}),
            "delimiter=%2F&list-type=2&prefix=op%2F1%3D");
  EXPECT_EQ(encode_query({{"uploads", ""}}), "uploads=");
}

TEST(UriText, DecodesWhatItEncoded) {
  std::string all;
  for (int byte = 1; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(decode_uri(encode_path(all)), all);
  EXPECT_EQ(decode_uri("a+b%2fc"), "a b/c");
  EXPECT_EQ(decode_uri("%"), "%");
  EXPECT_EQ(decode_uri("%4"), "%4");
  EXPECT_EQ(decode_uri("%zz"), "%zz");
}

TEST(XmlText, ReadsElementsAndText) {
  const auto root = parse_xml(
      "<?xml version='1.0'?>\n<!-- x -->\n<A xmlns=\"http://x/\"><B>1</B><B/><C >2<D>3</D></C ></A>\n");
  ASSERT_TRUE(root.ok());
  EXPECT_EQ(root->name, "A");
  ASSERT_EQ(root->children.size(), 3U);
  EXPECT_EQ(root->text_of("B"), "1");
  EXPECT_EQ(root->children[2].text_of("D"), "3");
  EXPECT_EQ(root->text_of("Missing"), "");
}

TEST(XmlText, ResolvesTheFiveEntitiesAndNumbers) {
  EXPECT_EQ(parse_xml("<A>&lt;&amp;&gt;&quot;&apos;&#65;&#xe9;&#x1F600;</A>")->text, "<&>\"'Aé😀");
  EXPECT_EQ(escape_xml("<\"a\"&'b'>"), "&lt;&quot;a&quot;&amp;&apos;b&apos;&gt;");
}

TEST(XmlText, RefusesEverythingElse) {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "<A>";
  for (const std::string& text :
       {std::string(), std::string("text"), std::string("<A>"), std::string("<A></B>"),
        std::string("<A></A><B/>"), std::string("<A>&x;</A>"), std::string("<A>&#0;</A>"),
        std::string("<A>&#x110000;</A>"), std::string("<A>&lt</A>"),
        std::string("<!DOCTYPE A [<!ENTITY x 'y'>]><A>&x;</A>"), std::string("<A"), std::string("<>"),
        std::string("<!--"), std::string("<?xml"), std::string("<A><!-- </A>"), std::string("</A>"), deep}) {
    EXPECT_THAT(parse_xml(text), FailsWith(ErrorCode::kIo)) << text;
  }
}

}  // namespace
}  // namespace ktrdr::s3
