// Goal: whatever a value holds, it stays text.
#include "core/status_page.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(StatusPageTest, ShowsStateTilesAndSections) {
  StatusPage page;
  page.title = "edge.example";
  page.readiness.ready = true;
  page.tiles = {{"Connections", "12"}};
  page.sections = {{"Refusals", {{"from-not-covered", "3"}}, ""}, {"Errors", {}, "none so far"}};
  const std::string html = RenderStatusPage(page);
  EXPECT_THAT(html, HasSubstr("<h1>edge.example</h1>"));
  EXPECT_THAT(html, HasSubstr("state good\">ready<"));
  EXPECT_THAT(html, HasSubstr("<dt>Connections</dt><dd>12</dd>"));
  EXPECT_THAT(html, HasSubstr("from-not-covered</th><td>3</td>"));
  EXPECT_THAT(html, HasSubstr("<p>none so far</p>"));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("http://")));
}

TEST(StatusPageTest, SaysWhyItIsNotReady) {
  StatusPage page;
  page.readiness.reasons = {"starting", "no-certificate"};
  EXPECT_THAT(RenderStatusPage(page), HasSubstr("not ready: starting, no-certificate"));
  page.draining = true;
  EXPECT_THAT(RenderStatusPage(page), HasSubstr("state wait\">draining<"));
}

TEST(StatusPageTest, EscapesEveryValue) {
  const std::string hostile = "<script>'\"&";
  StatusPage page;
  page.title = page.subtitle = hostile;
  page.readiness.reasons = {hostile};
  page.tiles = {{hostile, hostile}};
  page.sections = {{hostile, {{hostile, hostile}}, ""}, {"e", {}, hostile}};
  const std::string html = RenderStatusPage(page);
  EXPECT_THAT(html, Not(HasSubstr("<script>")));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;&#39;&quot;&amp;"));
}

TEST(ReadinessTest, IsJson) {
  EXPECT_EQ(RenderReadiness({true, {}}), "{\"ready\":true,\"reasons\":[]}\n");
  EXPECT_EQ(RenderReadiness({false, {"draining", "a\"\n"}}),
            "{\"ready\":false,\"reasons\":[\"draining\",\"a\\\"\\u000a\"]}\n");
}

}  // namespace
}  // namespace sallyport::core
